"""Integrated order flow: one number for the flow of all levels [ContCucuringuZhang2023].

The first principal component of the levels' flows, each over the average depth of the book. Weights are fitted on
training rows only, their absolute values add up to 1, and their sum is positive, so that buying is positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import format_ns
from foresail.core.errors import DataError
from foresail.features.books.driver import BookBars

__all__ = ["INTEGRATED", "IntegratedFlow", "fit_integrated_flow"]

INTEGRATED = "integrated_flow"


@dataclass(frozen=True, slots=True)
class IntegratedFlow:
    """Fitted weights.

    Attributes
    ----------
    weights : one a level, best first
    explained : share of the variance of the training rows, 0 to 1
    train_until_ns : no bar that ended later was used, ns UTC
    rows : training rows
    """

    weights: tuple[float, ...]
    explained: float
    train_until_ns: int
    rows: int

    def values(self, bars: BookBars) -> FloatArray:
        """Return the integrated flow of every bar, (B,); NaN where the flow of a level is."""
        flow: FloatArray = _flows(bars, len(self.weights)) @ np.array(self.weights)
        return flow

    def add_to(self, bars: BookBars) -> BookBars:
        """Return the bars with the column ``integrated_flow``."""
        return bars.with_column(INTEGRATED, self.values(bars))


def fit_integrated_flow(bars: BookBars, *, levels: int, train_until_ns: int) -> IntegratedFlow:
    """Return the weights of the levels.

    Parameters
    ----------
    levels : how many of the best
    train_until_ns : bars that end later are not looked at, ns UTC

    Raises
    ------
    DataError
        If fewer than ten whole rows a level are left, or nothing moves in them.
    """
    flows = _flows(bars, levels)
    used = flows[(bars.end <= train_until_ns) & np.isfinite(flows).all(axis=1)]
    if len(used) < 10 * levels:
        raise DataError(
            f"{len(used)} whole rows until {format_ns(train_until_ns)}: expected {10 * levels} or more, ten a level",
            hint="take more training days, shorter bars or fewer levels",
        )
    variances, vectors = np.linalg.eigh(np.cov(used, rowvar=False).reshape(levels, levels))
    total = float(variances.sum())
    if total <= 0.0:
        raise DataError("the order flow of the training rows never changes", hint="check the stream")
    first = vectors[:, -1] / np.abs(vectors[:, -1]).sum()
    first = first * (1.0 if first.sum() >= 0.0 else -1.0)
    return IntegratedFlow(tuple(float(w) for w in first), float(variances[-1]) / total, train_until_ns, len(used))


def _flows(bars: BookBars, levels: int) -> FloatArray:
    return np.column_stack([bars.column(f"multi_level_flow_{level}") for level in range(1, levels + 1)])
