"""Random k-fold is refused, with the reason; splitters of scikit-learn are let in only where they cut by time.

A random split puts names of one day, and labels that overlap, on both sides. The model then recognises the outcome
instead of forecasting it. On the prices of StockNet that is worth 7 to 9 points of accuracy that nobody can trade
(``tests/accuracy/test_canary_splits.py`` prints the gap).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from foresail.core.errors import ConfigError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.product import Split, Zones, make_split
from foresail.measures.splits.purge import SpanGrid, embargo_length

__all__ = ["ForeignSplitter", "RandomKFold", "from_sklearn", "refuse_random_k_fold"]

_RANDOM_NAMES = ("Shuffle", "Repeated", "Bootstrap", "Random")
_SCATTERED = 10  # a test part in more pieces than a tenth of its times was drawn, not cut


def refuse_random_k_fold(name: str = "a random k-fold") -> NoReturn:
    """Refuse a split that mixes times.

    Raises
    ------
    ConfigError
        Always, with the reason and what to use.
    """
    raise ConfigError(
        f"{name} is refused: it puts samples of one time, and labels that overlap, on both sides, so a model "
        f"recognises outcomes instead of forecasting them; on daily stock data such a split claims 7 to 9 points of "
        f"accuracy that a split by date does not find",
        hint="use PurgedKFold(5), CombinatorialPurged(10, 2) or ExpandingWalkForward(); docs/guide/splits.md",
    )


class RandomKFold:
    """A name that people look for; making one raises the reason why there is none."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        refuse_random_k_fold(f"RandomKFold ({len(args) + len(kwargs)} settings)" if args or kwargs else "RandomKFold")


@dataclass(frozen=True, slots=True)
class ForeignSplitter:
    """A splitter with ``split(x)`` of another library, run over distinct times, with our purge and embargo.

    Attributes
    ----------
    inner : gives (train, test) positions for a table with one row a time
    embargo : in the unit of the spans; None = the longest label span
    embargo_share : of the time covered, added to the embargo
    """

    inner: Any
    embargo: int | None = None
    embargo_share: float = 0.0

    def split(self, spans: LabelSpans) -> Iterator[Split]:
        """Yield the splits in the order of the inner splitter.

        Raises
        ------
        ConfigError
            If its test parts are scattered over time, as a hidden shuffle leaves them.
        """
        grid = SpanGrid.of(spans)
        embargo = embargo_length(spans, self.embargo, self.embargo_share)
        n = len(grid.times)
        name = type(self.inner).__name__
        for i, (train, test) in enumerate(self.inner.split(np.zeros((n, 1)))):
            zones = Zones(np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_))
            zones.train[train], zones.test[test] = True, True
            zones.train[test] = False
            pieces = int(np.diff(np.concatenate([[0], zones.test.astype(np.int8)])).clip(0).sum())
            if pieces > 1 and pieces * _SCATTERED > int(zones.test.sum()):
                refuse_random_k_fold(f"{name} (test part {i + 1} lies in {pieces} separate pieces of time)")
            yield make_split(grid, zones, embargo=embargo, name=f"{name} {i + 1}")


def from_sklearn(splitter: Any, *, embargo: int | None = None, embargo_share: float = 0.0) -> ForeignSplitter:
    """Return a splitter of scikit-learn with purge and embargo, if it cuts by time.

    Parameters
    ----------
    splitter : for example ``KFold(5)`` or ``TimeSeriesSplit(5)``
    embargo : in the unit of the spans; None = the longest label span
    embargo_share : of the time covered, added to the embargo

    Raises
    ------
    ConfigError
        If it shuffles, repeats random draws, or is no splitter.
    """
    name = type(splitter).__name__
    if bool(getattr(splitter, "shuffle", False)):
        refuse_random_k_fold(f"{name}(shuffle=True)")
    if any(part in name for part in _RANDOM_NAMES):
        refuse_random_k_fold(name)
    if not callable(getattr(splitter, "split", None)):
        raise ConfigError(f"expected an object with split(x), received {name}")
    return ForeignSplitter(splitter, embargo, embargo_share)
