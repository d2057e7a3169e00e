"""What the simulated venue is told: how it fills, and one bar of all its instruments."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError

__all__ = ["VenueBar", "VenueSettings"]


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How the venue fills.

    Attributes
    ----------
    close_only : bars are single prints at the close: everything fills at the next close
    good_for_bars : bars that a good-till-cancelled order without parent lives, absent ones counted; 0 = no bound
    volume_share : most of a bar's volume that is filled, fraction; None = no cap. Missing volume fills nothing then
    allow_short : whether a sale may open a position; otherwise it is cut to the holding
    latency_ns : an order acts from the first bar or quote that starts so long after its decision
    latency_bars : and lets so many bars pass besides
    """

    close_only: bool = False
    good_for_bars: int = 5
    volume_share: float | None = None
    allow_short: bool = False
    latency_ns: int = 0
    latency_bars: int = 0

    def __post_init__(self) -> None:
        for name in ("good_for_bars", "latency_ns", "latency_bars"):
            value: int = getattr(self, name)
            if value < 0:
                raise ConfigError(f"expected {name} >= 0, received {value}")
        if self.volume_share is not None and not 0 < self.volume_share <= 1:
            raise ConfigError(f"expected volume_share in (0, 1], received {self.volume_share}")


@dataclass(frozen=True, slots=True, eq=False)
class VenueBar:
    """One bar of all instruments of a venue, in its order.

    Attributes
    ----------
    position : time position, for error texts
    end : ns UTC; time of fills inside the bar
    open, high, low, close, volume : (N,), quote currency and units; NaN = missing
    present : (N,), whether the instrument has a bar
    start : ns UTC; time of fills at the open where given
    spread : (N,), measured ask minus bid, quote currency; NaN = use the cost model's
    halted : (N,), whether trading was halted all through the bar
    limit_up, limit_down : (N,), price limits of the day, quote currency; NaN = none
    average_volume : (N,), units traded a day, known before the bar; for impact; NaN = unknown
    volatility : (N,), standard deviation of daily returns, fraction, known before the bar; for impact; NaN = unknown
    session_end : ns UTC at which day orders end; None = midnight UTC after the start of the bar
    """

    position: int
    end: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    present: BoolArray
    start: int | None = None
    spread: FloatArray | None = None
    halted: BoolArray | None = None
    limit_up: FloatArray | None = None
    limit_down: FloatArray | None = None
    average_volume: FloatArray | None = None
    volatility: FloatArray | None = None
    session_end: int | None = None

    @property
    def begins(self) -> int:
        """Start of the bar, its end where the start is not known, ns UTC."""
        return self.end if self.start is None else self.start

    @property
    def session(self) -> int:
        """End of the session, ns UTC."""
        return (self.begins // NS_PER_DAY + 1) * NS_PER_DAY if self.session_end is None else self.session_end

    def check(self, n: int) -> None:
        """Refuse columns of another length than the number of instruments.

        Raises
        ------
        ConfigError
            If a column has not N values.
        """
        columns = (self.open, self.high, self.low, self.close, self.volume, self.present)
        given = (self.spread, self.halted, self.limit_up, self.limit_down, self.average_volume, self.volatility)
        if any(len(values) != n for values in (*columns, *(one for one in given if one is not None))):
            raise ConfigError(f"bar {self.position}: expected {n} values in every column")
