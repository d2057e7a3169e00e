"""What a ranking strategy reads from its view, as arrays of one axis: the instruments of the decision, ascending.

Panels and forecasts may hold more instruments than can be traded now, in any order; here they are lined up by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import Forecast
from foresail.domain.panel import Panel
from foresail.protocols import MarketView
from foresail.signals.rules.exits import ATR_BARS, atr_fraction

__all__ = ["Observation", "observe", "rows_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One decision's inputs.

    Attributes
    ----------
    close : (N,) last close, the set's basis; NaN where the newest bar is absent
    atr : (N,) mean true range as a fraction of the close
    spread : (N,) ask minus bid; NaN unknown
    inputs : critical inputs by name, (N,) each; volume only where the set has it
    curve : (N, Q) log return of the close over the horizon
    high, low : (N, Q) log return of the highest and lowest price, or None where not forecast
    held : (N,) signed units
    """

    ids: tuple[InstrumentId, ...]
    close: FloatArray
    atr: FloatArray
    spread: FloatArray
    inputs: dict[str, FloatArray]
    curve: FloatArray
    high: FloatArray | None
    low: FloatArray | None
    levels: tuple[float, ...]
    held: FloatArray
    model: str
    features_hash: str

    def level(self, curve: FloatArray, level: float) -> FloatArray:
        """Return one quantile of each of (N, Q) curves, (N,)."""
        column: FloatArray = curve[:, self.levels.index(level)]
        return column


def rows_of(wanted: Sequence[InstrumentId], axis: Sequence[InstrumentId]) -> IntArray:
    """Return the position of each wanted instrument on an axis, -1 where it is not there."""
    position = {name: i for i, name in enumerate(axis)}
    return np.array([position.get(name, -1) for name in wanted], dtype=np.int64)


def _take(values: FloatArray, rows: IntArray) -> FloatArray:
    """Return rows of an array, NaN where the row is -1."""
    taken: FloatArray = values[np.maximum(rows, 0)].copy()
    taken[rows < 0] = np.nan
    return taken


def _column(panel: Panel, rows: IntArray, name: str) -> FloatArray:
    if name not in panel.fields or not len(panel.instruments):
        return np.full((len(rows), len(panel.end)), np.nan)
    return _take(panel.field(name), rows)


def _curves(forecast: Forecast, rows: IntArray, horizon: int) -> dict[str, FloatArray]:
    if horizon not in forecast.horizons:
        raise ConfigError(
            f"the strategy decides on {horizon} bars, the forecast has horizons {list(forecast.horizons)}",
            hint="choose a decision horizon among the horizons of the run",
        )
    step = forecast.horizons.index(horizon)
    return {name: _take(forecast.values[:, k, step, :], rows) for k, name in enumerate(forecast.targets)}


def _rsi_name(features: Panel, wanted: str) -> str:
    if wanted in features.fields:
        return wanted
    return next((name for name in features.fields if name.startswith("rsi")), wanted)


def observe(view: MarketView, forecast: Forecast, *, frame: str, horizon: int, rsi: str) -> Observation:
    """Return the inputs of a decision.

    Parameters
    ----------
    frame : bar frame that is traded
    horizon : bars ahead
    rsi : feature name of the relative strength index

    Raises
    ------
    ConfigError
        If the forecast does not hold the horizon.
    """
    ids = tuple(sorted(view.instruments))
    bars, features = view.bars(frame, ATR_BARS + 1), view.features()
    on_bars = rows_of(ids, bars.instruments)
    close = _column(bars, on_bars, "close")
    newest = close[:, -1]
    known = _column(features, rows_of(ids, features.instruments), _rsi_name(features, rsi))
    inputs = {"close": newest, "RSI": known[:, -1]}
    volume = _column(bars, on_bars, "volume")
    if np.isfinite(volume).any():
        inputs["volume"] = volume[:, -1]
    curves = _curves(forecast, rows_of(ids, forecast.instruments), horizon)
    units = {p.instrument: float(p.quantity) for p in view.account().positions}
    return Observation(
        ids=ids,
        close=newest,
        atr=atr_fraction(_column(bars, on_bars, "high"), _column(bars, on_bars, "low"), close),
        spread=_column(bars, on_bars, "spread")[:, -1],
        inputs=inputs,
        curve=curves["close"],
        high=curves.get("high"),
        low=curves.get("low"),
        levels=forecast.levels,
        held=np.array([units.get(name, 0.0) for name in ids]),
        model=forecast.model,
        features_hash=forecast.features_hash,
    )
