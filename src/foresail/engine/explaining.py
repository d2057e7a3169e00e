"""Why the best ranked names rank so well: the leading feature contributions of their forecasts (SIG-20)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.protocols import ExplainingForecaster, Forecaster

__all__ = ["Contribution", "Explained", "explain_best", "told"]

Contribution = tuple[str, float, float]  # feature, contribution in log return, value of the feature
_LEADING = 3  # features told per forecast
_BEST = 40  # names per decision: twice the most that the default strategy holds; a costly forecaster may say fewer


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Leading contributions of M forecasts.

    Attributes
    ----------
    rows : (M, 2) (instrument, time)
    features : (M, L) columns of the feature panel, the largest contribution first
    shares, values : (M, L) contribution in log return and value of the feature
    """

    rows: IntArray
    features: IntArray
    shares: FloatArray
    values: FloatArray

    @classmethod
    def nothing(cls) -> Explained:
        """Return an empty record."""
        empty = np.empty((0, _LEADING))
        return cls(np.empty((0, 2), dtype=np.int64), empty.astype(np.int64), empty, empty)


def explain_best(
    forecaster: Forecaster,
    features: Panel,
    rows: IntArray,
    predicted: FloatArray,
    *,
    scale: FloatArray,
    horizon: int,
) -> Explained:
    """Return the leading contributions of the best ranked names of each decision; nothing if the model cannot say.

    Parameters
    ----------
    rows : (R, 2) sorted by time
    predicted : (R, K, H, Q)
    scale : (N, T) volatility of the one-bar log return
    horizon : the traded one, bars
    """
    if not isinstance(forecaster, ExplainingForecaster) or not len(rows):
        return Explained.nothing()
    step = forecaster.spec.horizons.index(horizon)
    middle = forecaster.spec.levels.index(0.5)
    centre = predicted[:, 0, step, middle]
    most = int(getattr(forecaster, "explained_names", _BEST))
    order = np.lexsort((rows[:, 0], -centre, rows[:, 1]))
    _, first, count = np.unique(rows[order, 1], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(first, count)
    best = np.sort(order[place < most])
    chosen = rows[best]
    unit = scale[chosen[:, 0], chosen[:, 1]] * np.sqrt(horizon)
    shares = forecaster.explain(features, chosen, horizon) * unit[:, None]
    leading = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :_LEADING]
    values = features.values[chosen[:, 0], chosen[:, 1]]
    return Explained(
        rows=chosen,
        features=leading.astype(np.int64),
        shares=np.take_along_axis(shares, leading, axis=1),
        values=np.take_along_axis(values, leading, axis=1),
    )


def told(explained: Explained, features: Panel) -> dict[tuple[int, InstrumentId], tuple[Contribution, ...]]:
    """Return contributions by (issued_at, instrument); features that were absent are left out."""
    found: dict[tuple[int, InstrumentId], tuple[Contribution, ...]] = {}
    for (row, now), columns, shares, values in zip(
        explained.rows.tolist(),
        explained.features.tolist(),
        explained.shares.tolist(),
        explained.values.tolist(),
        strict=True,
    ):
        found[int(features.available_at[now]), features.instruments[row]] = tuple(
            (features.fields[c], s, v) for c, s, v in zip(columns, shares, values, strict=True) if not math.isnan(v)
        )
    return found
