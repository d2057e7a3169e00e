"""What features see besides bars: sectors, reference series and the calendar.

All of it is point in time: ``reference`` holds, for each bar, the last value that was available when the bar was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.domain.panel import Panel

__all__ = ["CALENDAR_NAMES", "ContextRow", "FeatureContext", "calendar_flags"]

CALENDAR_NAMES = ("day_sin", "day_cos", "hour_sin", "hour_cos")
_ZONES = {"24/7": "UTC", "24/5": "UTC"}  # FEAT-24: New York for stocks, UTC for crypto and forex
_NS_PER_HOUR = 3_600_000_000_000


def calendar_flags(start: TimeArray, end: TimeArray, calendar: str) -> FloatArray:
    """Return weekday and hour of bars on circles, (C, T) in the order of ``CALENDAR_NAMES``.

    The weekday is that of the middle of the bar, so that a session belongs to the day it is named after; the hour is
    that of its start. Known in advance.
    """
    middle = start + (end - start) // 2
    zone = _ZONES.get(calendar, "America/New_York")
    if zone != "UTC":
        middle, start = _local(middle, zone), _local(start, zone)
    weekday = ((middle // NS_PER_DAY) + 3) % 7  # 1970-01-01 was a Thursday, Monday is 0
    hour = (start % NS_PER_DAY) / _NS_PER_HOUR
    day_angle = 2.0 * np.pi * weekday / 7.0
    hour_angle = 2.0 * np.pi * hour / 24.0
    return np.ascontiguousarray(
        np.stack([np.sin(day_angle), np.cos(day_angle), np.sin(hour_angle), np.cos(hour_angle)]).astype(np.float64)
    )


def _local(times: TimeArray, zone: str) -> TimeArray:
    """Return wall-clock nanoseconds of a zone, daylight saving included."""
    import pandas as pd

    stamps = pd.DatetimeIndex(times.view("datetime64[ns]")).tz_localize("UTC").tz_convert(zone)
    wall: TimeArray = stamps.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    return wall


@dataclass(frozen=True, slots=True, eq=False)
class ContextRow:
    """The context of one bar.

    Attributes
    ----------
    reference : (R,), NaN where unknown
    calendar : (C,), in the order of ``CALENDAR_NAMES``
    given : (N, G), NaN where unknown
    """

    reference: FloatArray
    calendar: FloatArray
    given: FloatArray = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True, slots=True, eq=False)
class FeatureContext:
    """Context of a panel.

    Attributes
    ----------
    sector_codes : (N,) int64, equal numbers share a sector, -1 = none
    reference_names : R names, lower case: vix, sp500, nasdaq, oil
    reference : (R, T) float64, joined as-of; NaN before a series begins
    calendar : (C, T) float64, ``calendar_flags`` of the panel
    given_names : G names of numbers per instrument (funding rate, earnings yield ...)
    given : (N, T, G) float64, joined as-of; NaN where unknown
    """

    sector_codes: IntArray
    reference_names: tuple[str, ...] = ()
    reference: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    calendar: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    given_names: tuple[str, ...] = ()
    given: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)))

    @classmethod
    def of(
        cls,
        panel: Panel,
        *,
        sectors: Sequence[str] | None = None,
        reference_names: Sequence[str] = (),
        reference: FloatArray | None = None,
    ) -> FeatureContext:
        """Return the context of a panel from sector names in the order of its instruments.

        Parameters
        ----------
        sectors : N names; None = no sectors
        reference : (R, T)
        """
        n, t, _ = panel.shape
        if sectors is None:
            codes = np.full(n, -1, dtype=np.int64)
        else:
            order = {name: i for i, name in enumerate(sorted({*sectors}))}
            codes = np.array([order[name] for name in sectors], dtype=np.int64)
        values = np.full((len(reference_names), t), np.nan) if reference is None else reference
        return cls(codes, tuple(name.lower() for name in reference_names), values).complete(panel)

    def complete(self, panel: Panel) -> FeatureContext:
        """Return the context with the calendar of a panel filled in, shapes checked.

        Raises
        ------
        ValueError
            If the context does not belong to a panel of this shape.
        """
        n, t, _ = panel.shape
        calendar = self.calendar
        if calendar.shape != (len(CALENDAR_NAMES), t):
            calendar = calendar_flags(panel.start, panel.end, panel.calendar)
        reference = self.reference if self.reference_names else np.empty((0, t))
        given = self.given if self.given_names else np.empty((n, t, 0))
        shapes = (self.sector_codes.shape, reference.shape, given.shape)
        if shapes != ((n,), (len(self.reference_names), t), (n, t, len(self.given_names))):
            raise ValueError(
                f"context of {shapes[0]} sectors, {shapes[1]} references and {shapes[2]} given series for a panel of "
                f"{n} instruments, {t} times, {len(self.reference_names)} reference and {len(self.given_names)} "
                "given names"
            )
        return replace(
            self,
            sector_codes=np.ascontiguousarray(self.sector_codes, dtype=np.int64),
            reference=np.ascontiguousarray(reference, dtype=np.float64),
            calendar=calendar,
            given=np.ascontiguousarray(given, dtype=np.float64),
        )

    def row(self, t: int) -> ContextRow:
        """Return the context of one time position of a complete context."""
        return ContextRow(self.reference[:, t].copy(), self.calendar[:, t].copy(), self.given[:, t].copy())
