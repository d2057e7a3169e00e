"""The scale of labels, one bar at a time: ``targets.label_scale`` for those who cannot read the history at each bar.

What is kept of an instrument: its last price and factor, the weighted sum of its squared returns, and the newest 60 of
them. A bar costs the same after a year as on the first day.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.panel import Panel
from foresail.features.targets import SCALE_DECAY, SCALE_FLOOR, SCALE_WARM_UP, SCALE_WINDOW, usable_price

__all__ = ["LiveScale"]


class LiveScale:
    """Volatility of the one-bar log return that is known at the newest bar.

    Parameters
    ----------
    instruments : N, the rows of every update

    Attributes
    ----------
    close : (N,) adjusted close of the newest bar; NaN where no return can be taken of it
    """

    def __init__(self, instruments: int) -> None:
        self._factor = np.ones(instruments)
        self._close = np.full(instruments, np.nan)  # adjusted, of the last usable bar
        self._total = np.zeros(instruments)
        self._squares = np.zeros((instruments, SCALE_WINDOW))
        self._count = np.zeros(instruments, dtype=np.int64)  # returns so far
        self.close = np.full(instruments, np.nan)

    def read(self, panel: Panel) -> FloatArray:
        """Take the bars of a panel, oldest first; return (N, T) as ``label_scale`` does."""
        close = panel.field("close")
        factor = panel.field("total_factor") if "total_factor" in panel.fields else np.ones(close.shape)
        out = np.empty(close.shape)
        for t in range(close.shape[1]):
            out[:, t] = self.update(close[:, t], factor[:, t], panel.present[:, t])
        return out

    def update(self, close: FloatArray, factor: FloatArray, present: BoolArray) -> FloatArray:
        """Take one bar.

        Parameters
        ----------
        close, factor : (N,) as stored; NaN where absent
        present : (N,)

        Returns
        -------
        (N,) > 0; NaN during an instrument's first 20 bars and where it has no bar
        """
        known = present & np.isfinite(factor) & (factor > 0.0)
        self._factor[known] = factor[known]
        price = np.where(present, close * self._factor, np.nan)
        usable = usable_price(price)
        self.close = np.where(usable, price, np.nan)
        moved = np.flatnonzero(usable & np.isfinite(self._close))
        square = np.log(price[moved] / self._close[moved]) ** 2
        self._close[usable] = price[usable]
        self._squares[moved, self._count[moved] % SCALE_WINDOW] = square
        self._total[moved] = (1.0 - SCALE_DECAY) * square + SCALE_DECAY * self._total[moved]
        self._count[moved] += 1
        scale = np.full(len(price), np.nan)
        told = np.flatnonzero(usable & (self._count >= SCALE_WARM_UP))
        count = self._count[told]
        weighted = self._total[told] / (1.0 - SCALE_DECAY**count)
        trailing = self._squares[told].sum(axis=1) / np.minimum(count, SCALE_WINDOW)
        scale[told] = np.sqrt(np.maximum(0.5 * (weighted + trailing), SCALE_FLOOR * SCALE_FLOOR))
        return scale
