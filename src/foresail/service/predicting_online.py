"""Intervals moved by what came of a model's own forecasts since it may be used, as runs do ("online", "adaptive").

Kept are the forecasts of the last 250 bars and those bars themselves. ``foresail predict`` makes them anew from the
history; the process of ``foresail forecasts`` adds one bar at a time and says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray, TimeArray
from foresail.domain.panel import Panel
from foresail.domain.training import Targets
from foresail.engine.row_rules import context_of, windows_whole
from foresail.features.targets import compute_targets
from foresail.forecasting.calibration import calibrate_block
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_stale import ENOUGH

__all__ = ["CALIBRATIONS", "MOVED_BY_OUTCOMES", "PastForecasts", "joined", "prices_of"]

MOVED_BY_OUTCOMES = ("online", "adaptive")
CALIBRATIONS = ("stored", *MOVED_BY_OUTCOMES, "none")
_WINDOW = 250  # issue times whose outcomes keep intervals calibrated, as in runs
_PRICES = ("close", "high", "low", "total_factor")


@dataclass(frozen=True, slots=True, eq=False)
class PastForecasts:
    """What a model said at each of the last W bars, and the bars that tell what came of it.

    Attributes
    ----------
    bars : (N, W, F) prices
    raw : (N, W, K, H, Q) log-return quantiles of the forecaster; NaN where it forecast nothing
    scale : (N, W) volatility of the one-bar log return
    """

    bars: Panel
    raw: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, model: LoadedModel, bars: Panel, features: Panel, scale: FloatArray) -> PastForecasts:
        """Return them for a history, made anew.

        Parameters
        ----------
        bars, features : of the same instruments and times
        scale : (N, T)
        """
        spec, length = model.spec, features.shape[1]
        first = _first(model, features.end)
        whole = windows_whole(features.present, context_of(model.forecaster))
        ready = _ready(features, scale, whole)[:, first:]
        time, instrument = np.nonzero(ready.T)
        rows = np.column_stack([instrument, time + first]).astype(np.int64)
        shape = len(spec.targets), len(spec.horizons), len(spec.levels)
        raw = np.full((len(features.instruments), length - first, *shape), np.nan)
        raw[instrument, time] = model.forecaster.predict(features, rows, scale)
        return cls(prices_of(bars).cut(first, length), raw, scale[:, first:].copy())

    def after(
        self, model: LoadedModel, bar: Panel, features: Panel, *, told: tuple[FloatArray, BoolArray, FloatArray]
    ) -> PastForecasts:
        """Return them after one more bar.

        Parameters
        ----------
        bar, features : (N, 1, F)
        told : scale (N,), whether no gap lies within what the model sees (N,), quantiles (N, K, H, Q)
        """
        scale, whole, raw = told
        here = _ready(features, scale[:, None], whole[:, None])[:, 0]
        newest = np.where(here[:, None, None, None], raw, np.nan)
        bars = joined(self.bars, prices_of(bar))
        first = _first(model, bars.end)
        return PastForecasts(
            bars.cut(first, bars.shape[1]),
            np.concatenate([self.raw, newest[:, None]], axis=1)[:, first:],
            np.concatenate([self.scale, scale[:, None]], axis=1)[:, first:],
        )

    def calibrated(self, model: LoadedModel, ready: IntArray, method: str) -> FloatArray:
        """Return (M, K, H, Q) finished quantiles of the instruments ``ready`` at the newest bar.

        What came of other tickers moves nothing of a model of one: its calibration is its own (TRAIN-31).

        Parameters
        ----------
        method : of ``MOVED_BY_OUTCOMES``
        """
        positions = np.arange(self.bars.shape[1], dtype=np.int64)
        labels = _labels(model, self.bars)
        newest: FloatArray = calibrate_block(self.raw, labels, self.scale, positions, _WINDOW, method=method)[ready, -1]
        return newest


def prices_of(bars: Panel) -> Panel:
    """Return the prices of bars that labels are made of."""
    fields = tuple(name for name in _PRICES if bars.has(name))
    columns = [bars.index(name) for name in fields]
    return replace(bars, values=np.ascontiguousarray(bars.values[:, :, columns]), fields=fields)


def joined(before: Panel, after: Panel) -> Panel:
    """Return two stretches of the same instruments and fields as one."""
    return replace(
        before,
        values=np.concatenate([before.values, after.values], axis=1),
        present=np.concatenate([before.present, after.present], axis=1),
        start=np.concatenate([before.start, after.start]),
        end=np.concatenate([before.end, after.end]),
        available_at=np.concatenate([before.available_at, after.available_at]),
    )


def _first(model: LoadedModel, end: TimeArray) -> int:
    """Return the first bar that is kept: of the window and those whose outcome is to come, what the model had not seen.

    The newest one is always kept.
    """
    count = len(end)
    longest = _WINDOW + max(model.spec.horizons) + 1
    return min(max(0, count - longest, int(np.searchsorted(end, model.usable_from))), count - 1)


def _ready(features: Panel, scale: FloatArray, whole: BoolArray) -> BoolArray:
    """Return (N, T) where a model may forecast."""
    enough = np.isfinite(features.values).mean(axis=2) >= ENOUGH
    found: BoolArray = features.present & np.isfinite(scale) & enough & whole
    return found


def _labels(model: LoadedModel, bars: Panel) -> Targets:
    """Return what came true, by the targets of the model; NaN of those that these bars cannot score.

    Those of instruments other than its own, of a model of one ticker, are NaN, too.
    """
    spec = model.spec
    told = compute_targets(bars, spec.horizons)
    only = model.record.get("only") or bars.instruments
    own = np.array([name in only for name in map(str, bars.instruments)])
    values = np.full((*bars.present.shape, len(spec.targets), len(spec.horizons)), np.nan)
    for k, name in enumerate(spec.targets):
        if name in told.names:
            values[own, :, k] = told.values[own, :, told.names.index(name)]
    return replace(told, names=spec.targets, values=values)
