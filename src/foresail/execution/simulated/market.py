"""A bar of all instruments as the compiled step reads it: ticks, lots, and what trading costs beside the price."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.instruments import Instrument
from foresail.execution.costs import CostModel
from foresail.execution.impact import impact_table
from foresail.execution.simulated import columns as c
from foresail.execution.simulated.columns import CAP
from foresail.execution.simulated.settings import VenueBar, VenueSettings

__all__ = ["MarketReader"]


class MarketReader:
    """Turns bars into the tables of the compiled step.

    Attributes
    ----------
    tick, lot : (N,) float, quote currency and units
    """

    def __init__(self, instruments: Sequence[Instrument], costs: CostModel, settings: VenueSettings) -> None:
        self._costs, self._settings = costs, settings
        self.tick: FloatArray = np.array([float(one.tick) for one in instruments])
        self.lot: FloatArray = np.array([float(one.lot) for one in instruments])
        self._slip: FloatArray = np.array([float(costs.slippage_fraction(one)) for one in instruments])
        self._step: FloatArray = np.array([float(costs.spread_step(one) / one.tick) for one in instruments])
        self._no_impact: FloatArray = np.zeros((len(instruments), c.IMPACT_WIDTH))

    def bars(self, bar: VenueBar) -> tuple[IntArray, BoolArray]:
        """Return bars in ticks with the volume cap in lots, (N, BAR_WIDTH), and which of them can be traded, (N,)."""
        table = np.zeros((len(self.tick), c.BAR_WIDTH), dtype=np.int64)
        ready = np.zeros(len(self.tick), dtype=np.bool_)
        columns = tuple(np.ascontiguousarray(v) for v in (bar.open, bar.high, bar.low, bar.close, bar.volume))
        share = self._settings.volume_share
        rules = (self._settings.close_only, -1.0 if share is None else share)
        _to_ticks(columns, np.ascontiguousarray(bar.present), (self.tick, self.lot), rules, (table, ready))
        if bar.halted is not None:
            ready &= ~bar.halted
        for column, levels in ((c.UP, bar.limit_up), (c.DOWN, bar.limit_down)):
            if levels is not None:
                table[:, column] = np.rint(np.nan_to_num(levels, nan=0.0) / self.tick).astype(np.int64)
        return table, ready

    def frictions(self, bar: VenueBar) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """Return (slip, step, impact, clock) of a bar."""
        clock = np.array([bar.begins, bar.end, bar.session, self._settings.allow_short], dtype=np.int64)
        return self._slip, self._steps(bar.spread), self._impact(bar), clock

    def _steps(self, spread: FloatArray | None) -> FloatArray:
        """Return the ticks that an order loses to the spread, measured where known."""
        if spread is None:
            return self._step
        factor = float(self._costs.settings.factor) * self._costs.settings.spread_legs / 2
        measured: FloatArray = np.where(np.isfinite(spread), spread * factor / self.tick, self._step)
        return measured

    def _impact(self, bar: VenueBar) -> FloatArray:
        model = self._costs.impact
        if model is None:
            return self._no_impact
        unknown = np.full(len(self.tick), np.nan)
        volume = unknown if bar.average_volume is None else bar.average_volume
        volatility = unknown if bar.volatility is None else bar.volatility
        return impact_table(model, volatility, volume / self.lot, float(self._costs.settings.factor))


@c.compiled_step
def _to_ticks(
    columns: tuple[FloatArray, ...],
    present: BoolArray,
    steps: tuple[FloatArray, FloatArray],
    rules: tuple[bool, float],
    out: tuple[IntArray, BoolArray],
) -> None:
    """Write bars in ticks and the volume cap in lots, and which bars can be traded.

    A missing high or low is no wider than what is known; missing volume fills nothing where there is a cap.

    Parameters
    ----------
    columns : open, high, low, close, volume, (N,) each
    steps : (N,) tick and (N,) lot
    rules : whether everything happens at the close; share of volume, negative = no cap
    out : (N, BAR_WIDTH) and (N,), written
    """
    opens, highs, lows, closes, volumes = columns
    table, ready = out
    for i in range(len(present)):
        close = closes[i]
        opened, high, low = (close, close, close) if rules[0] else (opens[i], highs[i], lows[i])
        top, bottom = opened, opened
        for price in (high, close):
            top = price if np.isnan(top) or price > top else top
        for price in (low, close):
            bottom = price if np.isnan(bottom) or price < bottom else bottom
        tick = steps[0][i]
        ticks = (np.rint(opened / tick), np.rint(top / tick), np.rint(bottom / tick))
        known = np.isfinite(ticks[0]) and np.isfinite(ticks[1]) and np.isfinite(ticks[2])
        ready[i] = present[i] and known and min(ticks) >= 1
        if ready[i]:
            for k in range(3):
                table[i, k] = int(ticks[k])
        table[i, CAP] = -1
        if rules[1] >= 0.0:
            volume = 0.0 if np.isnan(volumes[i]) else volumes[i]
            table[i, CAP] = int(np.floor(volume * rules[1] / steps[1][i] + 1e-9))
