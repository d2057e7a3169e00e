"""Split: what a splitter hands out, and the one function that makes it from zones of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from foresail.core.arrays import BoolArray, IntArray
from foresail.core.errors import DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.purge import SpanGrid, embargo_length

__all__ = ["Split", "Splitter", "Zones", "make_split", "split_off"]


def _none() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One division of the samples; all rows are places in the spans that were split, ascending.

    Attributes
    ----------
    train, test : (A,), (B,)
    validation : (C,); empty where the splitter keeps none apart
    purged : samples dropped because their label span meets one that they must not know
    embargoed : samples dropped because they start too soon after a test or validation block
    embargo : length that was kept, in the unit of the spans
    name : what the test part is, for reports
    groups : test groups of the combinatorial splitter; empty of others
    """

    train: IntArray
    test: IntArray
    validation: IntArray = field(default_factory=_none)
    purged: int = 0
    embargoed: int = 0
    embargo: int = 0
    name: str = ""
    groups: tuple[int, ...] = ()


class Splitter(Protocol):
    """Divides samples by time; purge and embargo are part of it."""

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Where the parts lie, before anything is dropped: (T,) masks over the distinct times of a grid.

    Attributes
    ----------
    train, test : disjoint
    validation : None = there is none
    sealed : times that nothing may know, not even a test label; None = there are none
    """

    train: BoolArray
    test: BoolArray
    validation: BoolArray | None = None
    sealed: BoolArray | None = None


def make_split(grid: SpanGrid, zones: Zones, *, embargo: int, name: str, groups: tuple[int, ...] = ()) -> Split:
    """Return the split of some zones with purge and embargo applied.

    Validation and test samples whose labels reach into a sealed part are dropped; validation is purged of the test,
    training of all of them.

    Parameters
    ----------
    embargo : in the unit of the spans, from ``embargo_length``

    Raises
    ------
    DataError
        If nothing is left to train on or to test.
    """
    none = np.zeros(len(grid.times), dtype=np.bool_)
    sealed = (none if zones.sealed is None else zones.sealed)[grid.slot]
    test = zones.test[grid.slot]
    test, purged, embargoed = _admitted(grid, test, sealed, embargo)
    validation, *dropped = _admitted(
        grid, (none if zones.validation is None else zones.validation)[grid.slot], sealed | test, embargo
    )
    purged, embargoed = purged + dropped[0], embargoed + dropped[1]
    closed = sealed | zones.test[grid.slot]
    if zones.validation is not None:
        closed = closed | zones.validation[grid.slot]
    train, *dropped = _admitted(grid, zones.train[grid.slot] & ~closed, closed, embargo)
    for what, kept in (("train on", train), ("test", test)):
        if not kept.any():
            raise DataError(
                f"split {name}: no sample is left to {what} after purge and embargo (embargo {embargo}, "
                f"{grid.samples(zones.train[grid.slot])} samples before)",
                hint="use fewer or longer blocks, shorter labels or a longer history",
            )
    return Split(
        train=grid.rows(train),
        test=grid.rows(test),
        validation=grid.rows(validation),
        purged=purged + dropped[0],
        embargoed=embargoed + dropped[1],
        embargo=embargo,
        name=name,
        groups=groups,
    )


def _admitted(grid: SpanGrid, wanted: BoolArray, closed: BoolArray, embargo: int) -> tuple[BoolArray, int, int]:
    """Return the pairs that may be used, and how many samples were purged and embargoed."""
    if not closed.any() or not wanted.any():
        return wanted, 0, 0
    overlapping = wanted & grid.meets(closed)
    soon = wanted & ~overlapping & grid.embargoed(closed, embargo)
    return wanted & ~overlapping & ~soon, grid.samples(overlapping), grid.samples(soon)


def split_off(spans: LabelSpans, test: IntArray, *, embargo: int | None = None, embargo_share: float = 0.0) -> Split:
    """Return what may be trained on when some samples are tested: any set of them, in one block or in several.

    Parameters
    ----------
    test : (B,) rows of the spans
    embargo : in the unit of the spans; None = the longest label span, the least that is allowed
    embargo_share : of the time covered, added to the embargo

    Raises
    ------
    ConfigError
        If the embargo is shorter than the longest label span.
    DataError
        If a row does not exist, or nothing is left to train on.
    """
    tested = np.unique(np.asarray(test, dtype=np.int64))
    if len(tested) == 0 or tested[0] < 0 or tested[-1] >= len(spans):
        raise DataError(f"expected rows of {len(spans)} samples to test, received {test!r}")
    grid, length = SpanGrid.of(spans), embargo_length(spans, embargo, embargo_share)
    closed = np.zeros(len(grid.start), dtype=np.bool_)
    closed[grid.pair[tested]] = True
    train, purged, embargoed = _admitted(grid, ~closed, closed, length)
    if not train.any():
        raise DataError("no sample is left to train on after purge and embargo", hint="test fewer samples")
    purged += grid.samples(closed) - len(tested)  # samples with the very span of a tested one
    return Split(grid.rows(train), tested, purged=purged, embargoed=embargoed, embargo=length, name="given")
