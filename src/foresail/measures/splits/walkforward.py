"""Walk-forward splits: train on the past, test on what follows, move on.

Borders are anchored at the first time, so that later data move none of them. Training stands before the test always,
hence only the purge has work to do; an embargo would have nothing to act on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray
from foresail.core.errors import ConfigError, DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.product import Split, Zones, make_split
from foresail.measures.splits.purge import SpanGrid, embargo_length

__all__ = ["ExpandingWalkForward", "RollingWalkForward", "between"]


def between(length: int, first: int, last: int) -> BoolArray:
    """Return (length,), true where ``first <= i < last``."""
    mask = np.zeros(length, dtype=np.bool_)
    mask[max(first, 0) : max(last, 0)] = True
    return mask


@dataclass(frozen=True, slots=True)
class ExpandingWalkForward:
    """Train on everything so far, test the next block, move on by one block.

    Attributes
    ----------
    minimum_train : distinct times before the first test block
    test : distinct times of a test block; the last may be shorter
    validation : distinct times kept apart at the end of the training part
    """

    minimum_train: int = 504
    test: int = 252
    validation: int = 0

    def __post_init__(self) -> None:
        _check(self.minimum_train, self.test, self.validation)

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first.

        Raises
        ------
        DataError
            If the history holds no test block, or purging leaves nothing to train on.
        """
        return _walk(spans, self.minimum_train, None, self.test, self.validation)


@dataclass(frozen=True, slots=True)
class RollingWalkForward:
    """Train on the newest times only, test the next block, move on by one block.

    Attributes
    ----------
    train : distinct times of the training part, validation included
    test : distinct times of a test block; the last may be shorter
    validation : distinct times kept apart at the end of the training part
    """

    train: int = 1260
    test: int = 252
    validation: int = 0

    def __post_init__(self) -> None:
        _check(self.train, self.test, self.validation)

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest first.

        Raises
        ------
        DataError
            If the history holds no test block, or purging leaves nothing to train on.
        """
        return _walk(spans, self.train, self.train, self.test, self.validation)


def _check(train: int, test: int, validation: int) -> None:
    if train < 1 or test < 1 or not 0 <= validation < train:
        raise ConfigError(
            f"expected at least one time to train on, one to test and validation inside the training part, "
            f"received train {train}, test {test}, validation {validation}"
        )


def _walk(spans: LabelSpans, first_test: int, train: int | None, test: int, validation: int) -> Iterator[Split]:
    grid, embargo = SpanGrid.of(spans), embargo_length(spans)
    length = len(grid.times)
    if first_test >= length:
        raise DataError(
            f"{length} distinct times hold no test block after {first_test} of training",
            hint="use a shorter training part or a longer history",
        )
    for fold, begin in enumerate(range(first_test, length, test)):
        oldest = 0 if train is None else begin - train
        zones = Zones(
            train=between(length, oldest, begin - validation),
            validation=between(length, begin - validation, begin) if validation else None,
            test=between(length, begin, begin + test),
        )
        yield make_split(grid, zones, embargo=embargo, name=f"fold {fold + 1}")
