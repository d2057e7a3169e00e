"""Instruments: what is traded, with the facts that sizing, costs and the venue need; and which ticker meant which when.

An id is permanent, a ticker is not: companies rename themselves, and exchanges hand a free ticker to somebody else. A
``Directory`` holds dated aliases, so that a ticker is always resolved on a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from foresail.core.errors import DataError, UnknownNameError
from foresail.core.ids import InstrumentId

__all__ = ["Alias", "AssetClass", "Directory", "Instrument", "PriceBasis"]


class AssetClass(StrEnum):
    """The three classes that Foresail trades."""

    STOCK = "stock"
    CRYPTO = "crypto"
    FOREX = "forex"


class PriceBasis(StrEnum):
    """How stored prices relate to what was printed: decides how splits and dividends act, and which tiers exist."""

    RAW = "raw"
    SPLIT_ADJUSTED = "split_adjusted"
    TOTAL_RETURN = "total_return"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing.

    Attributes
    ----------
    symbol : the ticker that the data set uses
    sector : a name of ``domain.sectors``, or the instrument's own id where unmapped (its own sector for caps)
    tick, lot : price step in quote currency, quantity step in units
    """

    id: InstrumentId
    symbol: str
    asset_class: AssetClass
    kind: str = "spot"  # spot, etf, perp
    currency: str = "USD"
    sector: str = "unknown"
    multiplier: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.0001")
    lot: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """A ticker that meant an instrument from one day to another, both included.

    Attributes
    ----------
    last : None while it still does, as far as the source knows
    source : who says so
    """

    ticker: str
    first: date
    last: date | None
    instrument: InstrumentId
    source: str = ""

    def covers(self, on: date) -> bool:
        """Return whether the ticker meant the instrument on a day."""
        return self.first <= on and (self.last is None or on <= self.last)

    @property
    def span(self) -> str:
        """The days as text."""
        return f"{self.first} to {'now' if self.last is None else self.last}"


@dataclass(frozen=True, slots=True)
class Directory:
    """All dated aliases; built by ``Directory.of``, which orders and checks them.

    Examples
    --------
    >>> from foresail.core.ids import instrument_id
    >>> old, new = instrument_id("stock.US.USO"), instrument_id("stock.US.USO~2")
    >>> aliases = [Alias("USO", date(1998, 1, 2), date(2001, 3, 30), old), Alias("USO", date(2006, 4, 10), None, new)]
    >>> Directory.of(aliases).resolve("USO", on=date(2007, 1, 3))
    'stock.US.USO~2'
    """

    aliases: tuple[Alias, ...] = ()

    @classmethod
    def of(cls, aliases: Iterable[Alias]) -> Directory:
        """Return the directory of some aliases.

        Raises
        ------
        DataError
            If an alias ends before it begins, or an instrument has two tickers on one day.
        """
        ordered = tuple(sorted(set(aliases), key=lambda a: (a.ticker, a.first, a.instrument)))
        by_instrument: dict[InstrumentId, list[Alias]] = {}
        for alias in ordered:
            if alias.last is not None and alias.last < alias.first:
                raise DataError(f"alias {alias.ticker} of {alias.instrument} ends before it begins: {alias.span}")
            by_instrument.setdefault(alias.instrument, []).append(alias)
        for name, own in sorted(by_instrument.items()):
            own.sort(key=lambda a: a.first)
            for one, following in pairwise(own):
                if one.last is None or following.first <= one.last:
                    raise DataError(
                        f"{name} has two tickers at once: {one.ticker} {one.span}, {following.ticker} {following.span}",
                        hint="end the old alias the day before the new one begins",
                    )
        return cls(ordered)

    def resolve(self, ticker: str, *, on: date) -> InstrumentId:
        """Return what a ticker meant on a day.

        Raises
        ------
        UnknownNameError
            If no instrument ever had the ticker.
        DataError
            If none had it on that day, or several had; the text lists who had it when.
        """
        holders = self.holders(ticker)
        if not holders:
            raise UnknownNameError("ticker", ticker, sorted({alias.ticker for alias in self.aliases}))
        found = [alias for alias in holders if alias.covers(on)]
        spans = ", ".join(f"{alias.instrument} {alias.span}" for alias in holders)
        if not found:
            raise DataError(
                f"ticker {ticker} was not listed on {on}; it meant {spans}",
                column="ticker",
                hint="give a day on which it was listed, or the instrument id",
            )
        if len({alias.instrument for alias in found}) > 1:
            raise DataError(
                f"ticker {ticker} is ambiguous on {on}: it meant {spans}",
                column="ticker",
                hint="give the instrument id",
            )
        return found[0].instrument

    def holders(self, ticker: str) -> tuple[Alias, ...]:
        """Return who had a ticker, by first day."""
        return tuple(alias for alias in self.aliases if alias.ticker == ticker)

    def history(self, instrument: InstrumentId) -> tuple[Alias, ...]:
        """Return the tickers of an instrument, by first day."""
        own = [alias for alias in self.aliases if alias.instrument == instrument]
        return tuple(sorted(own, key=lambda alias: alias.first))

    def ticker(self, instrument: InstrumentId, *, on: date) -> str | None:
        """Return the ticker of an instrument on a day, None where it had none."""
        return next((alias.ticker for alias in self.history(instrument) if alias.covers(on)), None)

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """All instruments, by id."""
        return tuple(sorted({alias.instrument for alias in self.aliases}))
