"""A bar of all instruments as the compiled step reads it: ticks, lots, and what trading costs beside the price."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.instruments import Instrument
from foresail.execution.costs import CostModel
from foresail.execution.impact import impact_table
from foresail.execution.simulated import columns as c
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
        open_, high, low, close = bar.open, bar.high, bar.low, bar.close
        if self._settings.close_only:
            open_ = high = low = close
        top = np.fmax(np.fmax(high, open_), close)  # a missing high or low is no wider than what is known
        bottom = np.fmin(np.fmin(low, open_), close)
        ticks = np.rint(np.stack([open_, top, bottom], axis=1) / self.tick[:, None])
        known = np.isfinite(ticks).all(axis=1) & (np.nan_to_num(ticks, nan=0.0) >= 1).all(axis=1)
        ready: BoolArray = bar.present & known
        if bar.halted is not None:
            ready = ready & ~bar.halted
        table = np.zeros((len(self.tick), c.BAR_WIDTH), dtype=np.int64)
        table[:, :3] = np.where(ready[:, None], ticks, 0.0).astype(np.int64)
        table[:, c.CAP] = -1
        share = self._settings.volume_share
        if share is not None:
            volume = np.nan_to_num(bar.volume, nan=0.0)
            table[:, c.CAP] = np.floor(volume * share / self.lot + 1e-9).astype(np.int64)
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
