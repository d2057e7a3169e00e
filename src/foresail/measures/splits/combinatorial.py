"""Purged k-fold and combinatorial purged cross-validation.

1. The distinct times are cut into N groups of consecutive times, equal up to one.
2. Every choice of k groups is a test set once; all others train, after purge and embargo around every test block.
3. C(N, k) fits give k / N * C(N, k) paths: on each of them every sample is tested exactly once.

One path is one history; the spread over paths says how much of a result belongs to the history that happened.

References
----------
[LopezDePrado2018] chapters 7 and 12.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.product import Split, Zones, make_split
from foresail.measures.splits.purge import SpanGrid, embargo_length

__all__ = ["CombinatorialPurged", "PurgedKFold"]

_MOST_FITS = 100_000  # above this a choice of groups is a slip, not a plan


@dataclass(frozen=True, slots=True)
class CombinatorialPurged:
    """All choices of ``test_groups`` out of ``groups`` blocks of time, purged and embargoed.

    Attributes
    ----------
    groups : N blocks of consecutive times
    test_groups : k of them tested at once
    embargo : in the unit of the spans; None = the longest label span, the least that is allowed
    embargo_share : of the time covered, added to the embargo (VALID-08 uses 0.01)
    """

    groups: int = 10
    test_groups: int = 2
    embargo: int | None = None
    embargo_share: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.test_groups < self.groups:
            raise ConfigError(
                f"expected 1 <= test_groups < groups, received {self.test_groups} and {self.groups}",
                hint="the usual choices are 6 and 2, or 10 and 2",
            )
        if self.fits > _MOST_FITS:
            raise ConfigError(f"{self.groups} groups with {self.test_groups} tested need {self.fits:,} fits")

    @property
    def fits(self) -> int:
        """The fits, C(N, k)."""
        return comb(self.groups, self.test_groups)

    @property
    def path_count(self) -> int:
        """The paths that the fits make together, k / N * C(N, k)."""
        return comb(self.groups - 1, self.test_groups - 1)

    def choices(self) -> tuple[tuple[int, ...], ...]:
        """Return the test groups of each split, in the order of the splits."""
        return tuple(combinations(range(self.groups), self.test_groups))

    def paths(self) -> IntArray:
        """Return (path, group): which split tests that group on that path.

        Each pair of split and tested group is used exactly once.
        """
        choices = self.choices()
        served = [[i for i, chosen in enumerate(choices) if g in chosen] for g in range(self.groups)]
        return np.array(served, dtype=np.int64).T

    def group_of(self, spans: LabelSpans) -> IntArray:
        """Return (R,) the group of each sample.

        Raises
        ------
        DataError
            If there are fewer distinct times than groups.
        """
        grid = SpanGrid.of(spans)
        group: IntArray = self._groups(len(grid.times))[grid.slot][grid.pair]
        return group

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits in the order of ``choices``.

        Raises
        ------
        ConfigError
            If the embargo is shorter than the longest label span.
        DataError
            If there are too few times, or a training part is purged empty.
        """
        grid = SpanGrid.of(spans)
        embargo = embargo_length(spans, self.embargo, self.embargo_share)
        group = self._groups(len(grid.times))
        for chosen in self.choices():
            test = np.isin(group, chosen)
            name = "groups " + ", ".join(str(g + 1) for g in chosen)
            yield make_split(grid, Zones(train=~test, test=test), embargo=embargo, name=name, groups=chosen)

    def assemble(self, spans: LabelSpans, splits: Sequence[Split], outputs: Sequence[FloatArray]) -> FloatArray:
        """Return (path, R) the out-of-sample outputs of every path.

        Parameters
        ----------
        splits : all of ``split(spans)``, in order
        outputs : one array a split, aligned with its ``test``

        Raises
        ------
        DataError
            If a split or an output is missing.
        """
        if len(splits) != self.fits or len(outputs) != self.fits:
            raise DataError(f"expected {self.fits} splits and outputs, received {len(splits)} and {len(outputs)}")
        group, paths = self.group_of(spans), self.paths()
        told = np.full((self.path_count, len(spans)), np.nan)
        for i, (split, output) in enumerate(zip(splits, outputs, strict=True)):
            if np.shape(output) != split.test.shape:
                raise DataError(
                    f"split {i + 1} tests {len(split.test)} samples, its output has shape {np.shape(output)}"
                )
            for g in split.groups:
                path = int(np.flatnonzero(paths[:, g] == i)[0])
                inside = group[split.test] == g
                told[path, split.test[inside]] = np.asarray(output, dtype=np.float64)[inside]
        return told

    def _groups(self, length: int) -> IntArray:
        if length < self.groups:
            raise DataError(
                f"{length} distinct times cannot be cut into {self.groups} groups",
                hint="several rows of one time count as one time; use fewer groups",
            )
        sizes = [len(part) for part in np.array_split(np.arange(length), self.groups)]
        return np.repeat(np.arange(self.groups, dtype=np.int64), sizes)


@dataclass(frozen=True, slots=True)
class PurgedKFold:
    """k blocks of consecutive times, each tested once, the others trained on after purge and embargo.

    Attributes
    ----------
    folds : k
    embargo : in the unit of the spans; None = the longest label span, the least that is allowed
    embargo_share : of the time covered, added to the embargo (VALID-08 uses 0.01)
    """

    folds: int = 5
    embargo: int | None = None
    embargo_share: float = 0.0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"expected at least 2 folds, received {self.folds}")

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits, oldest test block first.

        Raises
        ------
        ConfigError
            If the embargo is shorter than the longest label span.
        DataError
            If there are too few times, or a training part is purged empty.
        """
        return CombinatorialPurged(self.folds, 1, self.embargo, self.embargo_share).split(spans)
