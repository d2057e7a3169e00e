"""What a panel says about volume, as known at an instant: averages, what was traded since, and the shape of a day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel

__all__ = ["PanelVolumes"]

_DAYS = 20  # behind an average
_NAN = Decimal("NaN")


class PanelVolumes:
    """Reads the volume of a panel (implements ``slicing.Volumes``); a bar counts once it is available."""

    def __init__(self, bars: Panel) -> None:
        self._bars = bars
        self._row = {name: i for i, name in enumerate(bars.instruments)}
        self._volume: FloatArray | None = bars.field("volume") if "volume" in bars.fields else None

    def average_daily(self, instrument: InstrumentId, at: int) -> Decimal:
        """Return the mean volume of the last 20 days with bars, NaN without any."""
        volume, last = self._known(instrument, at)
        if volume is None:
            return _NAN
        days = self._bars.start[:last] // NS_PER_DAY
        first = int(np.searchsorted(days, days[-1] - 2 * _DAYS)) if last else 0
        found: dict[int, float] = {}
        for day, units in zip(days[first:].tolist(), volume[first:].tolist(), strict=True):
            if math.isfinite(units):
                found[day] = found.get(day, 0.0) + units
        kept = [found[day] for day in sorted(found)[-_DAYS:]]
        return Decimal(repr(math.fsum(kept) / len(kept))) if kept else _NAN

    def traded(self, instrument: InstrumentId, since: int, at: int) -> Decimal:
        """Return units traded in bars that begin at ``since`` or later and are known at ``at``."""
        volume, last = self._known(instrument, at)
        if volume is None:
            return _NAN
        units = volume[:last][self._bars.start[:last] >= since]
        return Decimal(repr(math.fsum(one for one in units.tolist() if math.isfinite(one))))

    def profile(self, instrument: InstrumentId, instants: Sequence[int], at: int) -> tuple[Decimal, ...]:
        """Return the mean volume that the last 20 days traded between one instant's time of day and the next's.

        Empty where a time of day has no bar, which is always so for daily bars.
        """
        volume, last = self._known(instrument, at)
        if volume is None or len(instants) < 2 or self._bars.frame == "1d":
            return ()
        span = instants[1] - instants[0]
        starts = self._bars.start[:last]
        recent = starts >= at - _DAYS * NS_PER_DAY
        out = []
        for instant in instants:
            since = (starts - instant) % NS_PER_DAY
            units = volume[recent & (since < span)]
            units = units[np.isfinite(units)]
            if not len(units):
                return ()
            out.append(Decimal(repr(float(units.mean()))))
        return tuple(out) if any(out) else ()

    def _known(self, instrument: InstrumentId, at: int) -> tuple[FloatArray | None, int]:
        last = int(np.searchsorted(self._bars.available_at, at, side="right"))
        if self._volume is None or instrument not in self._row:
            return None, last
        return self._volume[self._row[instrument], :last], last
