"""What features see besides bars: sectors, reference series and the calendar.

All of it is point in time: ``reference`` holds, for each bar, the last value that was available when the bar was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.domain.panel import Panel
from foresail.features.session_flags import NUMBERS, calendar_numbers

__all__ = ["CALENDAR_NAMES", "ContextRow", "FeatureContext", "calendar_flags"]

CALENDAR_NAMES = ("day_sin", "day_cos", "hour_sin", "hour_cos")


def calendar_flags(
    start: TimeArray, end: TimeArray, calendar: str, names: Sequence[str] = CALENDAR_NAMES
) -> FloatArray:
    """Return numbers of the calendar for bars, (C, T) in the order of the names; see ``session_flags``.

    By default weekday and hour on circles: the weekday is that of the middle of the bar, so that a session belongs to
    the day it is named after; the hour is that of its start. Known in advance.
    """
    return calendar_numbers(start, end, calendar, names)


@dataclass(frozen=True, slots=True, eq=False)
class ContextRow:
    """The context of one bar.

    Attributes
    ----------
    reference : (R,), NaN where unknown
    calendar : (C,), in the order of the context's ``calendar_names``
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
    calendar_names : C names of ``session_flags.NUMBERS``
    given_names : G names of numbers per instrument (funding rate, earnings yield ...)
    given : (N, T, G) float64, joined as-of; NaN where unknown
    """

    sector_codes: IntArray
    reference_names: tuple[str, ...] = ()
    reference: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    calendar: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    given_names: tuple[str, ...] = ()
    given: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)))
    calendar_names: tuple[str, ...] = CALENDAR_NAMES

    @classmethod
    def of(
        cls,
        panel: Panel,
        *,
        sectors: Sequence[str] | None = None,
        reference_names: Sequence[str] = (),
        reference: FloatArray | None = None,
        calendar_names: Sequence[str] | None = None,
    ) -> FeatureContext:
        """Return the context of a panel from sector names in the order of its instruments.

        Parameters
        ----------
        sectors : N names; None = no sectors
        reference : (R, T)
        calendar_names : which numbers of the calendar to work out; None = all, so that ``row`` serves any feature
        """
        n, t, _ = panel.shape
        if sectors is None:
            codes = np.full(n, -1, dtype=np.int64)
        else:
            order = {name: i for i, name in enumerate(sorted({*sectors}))}
            codes = np.array([order[name] for name in sectors], dtype=np.int64)
        values = np.full((len(reference_names), t), np.nan) if reference is None else reference
        numbers = tuple(NUMBERS) if calendar_names is None else tuple(calendar_names)
        names = tuple(name.lower() for name in reference_names)
        return cls(codes, names, values, calendar_names=numbers).complete(panel)

    def complete(self, panel: Panel, needed: Sequence[str] = ()) -> FeatureContext:
        """Return the context with the calendar of a panel filled in, shapes checked.

        Parameters
        ----------
        needed : names of calendar numbers that must be there; what is lacking is worked out

        Raises
        ------
        ValueError
            If the context does not belong to a panel of this shape.
        """
        n, t, _ = panel.shape
        calendar = self.calendar
        if calendar.shape != (len(self.calendar_names), t):
            calendar = calendar_flags(panel.start, panel.end, panel.calendar, self.calendar_names)
        lacking = tuple(name for name in dict.fromkeys(needed) if name not in self.calendar_names)
        if lacking:
            more = calendar_flags(panel.start, panel.end, panel.calendar, lacking)
            calendar = np.concatenate([calendar, more])
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
            calendar=np.ascontiguousarray(calendar, dtype=np.float64),
            calendar_names=(*self.calendar_names, *lacking),
            given=np.ascontiguousarray(given, dtype=np.float64),
        )

    def row(self, t: int) -> ContextRow:
        """Return the context of one time position of a complete context."""
        return ContextRow(self.reference[:, t].copy(), self.calendar[:, t].copy(), self.given[:, t].copy())
