"""Universe(t): which instruments one could have chosen on a day, with the source of that knowledge.

A list of names written today leaves out everything that has failed since. So membership is a function of time, built of
listings; a fixed list is possible, but whoever makes one says ``survivorship_biased=True``, and every report prints the
basis that follows. This module is the home of the three bases and of their words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from foresail.core.arrays import BoolArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.actions import ListingEnd

__all__ = ["Listing", "Universe", "UniverseBasis"]

_EPOCH = date(1970, 1, 1)


class UniverseBasis(StrEnum):
    """How the names of a result were chosen."""

    POINT_IN_TIME = "point_in_time"
    HINDSIGHT = "hindsight"
    UNKNOWN = "unknown"

    @property
    def text(self) -> str:
        """The basis in words, for reports."""
        return _TEXTS[self]

    @classmethod
    def told(cls, value: str) -> str:
        """Return the words of a basis as settings and records name it."""
        return cls(value).text if value in {basis.value for basis in cls} else value


_TEXTS = {
    UniverseBasis.POINT_IN_TIME: "as they were known at the time",
    UniverseBasis.HINDSIGHT: "afterwards (hindsight, survivorship biased): survivors are in, failures are not",
    UniverseBasis.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True, order=True)
class Listing:
    """An instrument was listed from one day to another, both included; ``last`` is None while it still is."""

    instrument: InstrumentId
    first: date
    last: date | None = None
    source: str = ""

    def ended_by(self, day: date) -> bool:
        """Return whether the last day lies before a day."""
        return self.last is not None and self.last < day

    def covers(self, day: date) -> bool:
        """Return whether it was listed on a day."""
        return self.first <= day and not self.ended_by(day)


@dataclass(frozen=True, slots=True)
class Universe:
    """Membership by time; made by ``point_in_time`` or ``fixed``.

    Attributes
    ----------
    listings : by instrument and first day
    source : who says who was listed when

    Examples
    --------
    >>> from foresail.core.ids import instrument_id
    >>> gone = instrument_id("stock.US.WM")
    >>> universe = Universe.point_in_time([Listing(gone, date(1998, 12, 9), date(2008, 9, 26))], source="example")
    >>> universe(date(2008, 9, 26)), universe(date(2008, 9, 29))
    (('stock.US.WM',), ())
    """

    listings: tuple[Listing, ...]
    basis: UniverseBasis
    source: str

    @classmethod
    def point_in_time(cls, listings: Iterable[Listing], *, source: str) -> Universe:
        """Return the universe of dated listings.

        Parameters
        ----------
        source : who says so; printed on reports

        Raises
        ------
        DataError
            If a listing ends before it begins or two of one instrument overlap.
        """
        ordered = tuple(sorted(listings, key=lambda one: (one.instrument, one.first)))
        before: Listing | None = None
        for one in ordered:
            if one.last is not None and one.last < one.first:
                raise DataError(f"listing of {one.instrument} ends {one.last}, before it begins {one.first}")
            if before is not None and before.instrument == one.instrument and not before.ended_by(one.first):
                raise DataError(f"two listings of {one.instrument} overlap on {one.first}")
            before = one
        return cls(ordered, UniverseBasis.POINT_IN_TIME, source)

    @classmethod
    def fixed(
        cls, instruments: Iterable[InstrumentId], *, survivorship_biased: bool | None = None, source: str = "fixed list"
    ) -> Universe:
        """Return a universe that never changes: names chosen with what is known today.

        Parameters
        ----------
        survivorship_biased : must be True: whoever fixes a list says so

        Raises
        ------
        ConfigError
            If it was not said.
        """
        if survivorship_biased is not True:
            raise ConfigError(
                "a fixed list of instruments leaves out those that have failed since; expected "
                f"survivorship_biased=True, received {survivorship_biased}",
                hint="say so, or give dated listings: Universe.point_in_time(listings, source=...)",
            )
        listings = tuple(Listing(name, date.min, None, source) for name in sorted(set(instruments)))
        return cls(listings, UniverseBasis.HINDSIGHT, source)

    def __call__(self, on: date) -> tuple[InstrumentId, ...]:
        """Return who was listed on a day, by id."""
        return tuple(one.instrument for one in self.listings if one.covers(on))

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Everybody who ever was a member, by id."""
        return tuple(sorted({one.instrument for one in self.listings}))

    def mask(self, instruments: Sequence[InstrumentId], ends: TimeArray) -> BoolArray:
        """Return who was listed on the day of each bar end.

        Parameters
        ----------
        instruments : (N,); one without a listing is never a member
        ends : (T,) ns UTC

        Returns
        -------
        (N, T)
        """
        days = np.asarray(ends, dtype=np.int64) // NS_PER_DAY
        row = {name: i for i, name in enumerate(instruments)}
        member: BoolArray = np.zeros((len(instruments), len(days)), dtype=np.bool_)
        for one in self.listings:
            if one.instrument in row:
                inside = days >= (one.first - _EPOCH).days
                if one.last is not None:
                    inside &= days <= (one.last - _EPOCH).days
                member[row[one.instrument]] |= inside
        return member

    def ended(self, by: date) -> tuple[ListingEnd, ...]:
        """Return the listings that had ended for good before a day: what stopped earlier without this is a gap."""
        last: dict[InstrumentId, Listing] = {one.instrument: one for one in self.listings}
        return tuple(
            ListingEnd(name, one.last, one.source)
            for name, one in sorted(last.items())
            if one.last is not None and one.last < by
        )
