"""The as-of view: what a strategy sees at one decision. It hands out the past and raises when asked for more.

An instrument is part of it from its first bar on: the list of who will be listed later is news from the future too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import LookAheadError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account
from foresail.domain.forecast import Forecast, ForecastBlock
from foresail.domain.panel import Panel

__all__ = ["AsOfView"]


@dataclass(frozen=True, slots=True, eq=False)
class AsOfView:
    """The market as it was known at ``position`` (implements ``protocols.MarketView``).

    Attributes
    ----------
    whole_bars, whole_features : panels of the run; only rows up to ``position`` ever leave this object
    index : row of ``block`` that stands at this position, -1 where none was issued
    reference : name -> (T,) value known at each row
    """

    position: int
    cause: str
    whole_bars: Panel
    whole_features: Panel
    block: ForecastBlock | None
    index: int
    reference: dict[str, FloatArray]
    holdings: Account
    blocked: frozenset[InstrumentId] = frozenset()

    @property
    def now(self) -> int:
        """Decision time, ns UTC."""
        return int(self.whole_bars.available_at[self.position])

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Instruments with a bar at this decision that may be traded."""
        here = self.whole_bars.present[:, self.position]
        names = self.whole_bars.instruments
        return tuple(name for name, there in zip(names, here, strict=True) if there and name not in self.blocked)

    @property
    def frame(self) -> str:
        """Frame of the bars."""
        return self.whole_bars.frame

    def bars(self, frame: str, n: int) -> Panel:
        """Return the last ``n`` closed bars, the newest being the one just closed.

        Raises
        ------
        UnknownNameError
            If the run has no bars of that frame.
        LookAheadError
            If ``n`` is negative or zero: the future has no bars here.
        """
        if frame != self.whole_bars.frame:
            raise UnknownNameError("frame", frame, [self.whole_bars.frame])
        if n < 1:
            raise LookAheadError(
                f"bars({frame!r}, {n}) asks for bars that have not closed", hint="ask for n >= 1 past bars"
            )
        return self._listed(self.whole_bars.cut(max(0, self.position + 1 - n), self.position + 1))

    def features(self) -> Panel:
        """Return the newest feature row of every instrument listed by now, (N, 1, F)."""
        return self._listed(self.whole_features.cut(self.position, self.position + 1))

    def forecast(self) -> Forecast | None:
        """Return the forecast issued at this decision, None while no model is fitted."""
        if self.block is None or self.index < 0 or not self.block.model[self.index]:
            return None
        known = self._is_listed()
        return Forecast(
            values=self.block.values[known, self.index],
            issued_at=int(self.block.issued_at[self.index]),
            instruments=tuple(name for name, there in zip(self.block.instruments, known, strict=True) if there),
            targets=self.block.targets,
            horizons=self.block.horizons,
            levels=self.block.levels,
            model=self.block.model[self.index],
        )

    def facts(self, kind: str) -> float:
        """Return the newest value of a reference series, NaN where none is known."""
        series = self.reference.get(kind)
        return float("nan") if series is None else float(series[self.position])

    def account(self) -> Account:
        """Return cash, equity and positions at the last close."""
        return self.holdings

    def _is_listed(self) -> BoolArray:
        """Return which instruments of the run have had a bar by now, (N,)."""
        listed: BoolArray = np.asarray(self.whole_bars.present[:, : self.position + 1].any(axis=1))
        return listed

    def _listed(self, panel: Panel) -> Panel:
        known = self._is_listed()
        if known.all():
            return panel
        return panel.select([name for name, there in zip(panel.instruments, known, strict=True) if there])
