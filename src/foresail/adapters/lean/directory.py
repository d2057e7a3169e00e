"""Map files and the tickers of the bars to instruments with dated aliases.

1. A row of a map file says which ticker a symbol had up to and including a date; the first row is the listing, a last
   row at the end of time means that it still trades.
2. A ticker's bars on days on which no map claims the ticker belong to somebody whose history nobody kept: each such
   stretch between claimed days is an instrument of its own, listed from its first to its last bar.
3. The id is made of the *first* ticker an instrument had, which no later event changes; the second one to start under a
   ticker gets ``~2``, in the order of their first days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from foresail.adapters.lean.tables import LeanTables
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.instruments import Alias, Directory

__all__ = ["Identities", "identities"]

_MAPS, _BARS = "map file", "bars without a map file"
_FOREVER = date(2050, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Spell:
    """A ticker from one day to another, both included; ``last`` is None while it holds."""

    ticker: str
    first: date
    last: date | None
    source: str

    def covers(self, day: date) -> bool:
        return self.first <= day and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Identities:
    """Who is who.

    Attributes
    ----------
    of_symbol : name of a factor and map file -> instrument
    """

    directory: Directory
    of_symbol: Mapping[str, InstrumentId]


def identities(tables: LeanTables) -> Identities:
    """Return the instruments of a set with their tickers by day."""
    mapped = _mapped(tables)
    claimed = [spell for spells in mapped.values() for spell in spells]
    histories: dict[str, tuple[_Spell, ...]] = dict(mapped)
    histories |= _without_map(tables, claimed)
    for ticker, days in sorted(_bar_days(tables).items()):
        for number, spell in enumerate(_unclaimed(ticker, days, claimed)):
            histories[f"\x00{ticker}.{number}"] = (spell,)
    names = _named(histories)
    aliases = [
        Alias(spell.ticker, spell.first, spell.last, names[key], spell.source)
        for key, spells in histories.items()
        for spell in spells
    ]
    return Identities(Directory.of(aliases), {key: names[key] for key in histories if not key.startswith("\x00")})


def _mapped(tables: LeanTables) -> dict[str, tuple[_Spell, ...]]:
    rows: dict[str, list[tuple[date, str]]] = {}
    maps = tables.maps.to_pydict()
    for symbol, day, ticker in zip(maps["symbol"], maps["date"], maps["ticker"], strict=True):
        rows.setdefault(symbol, []).append((day, ticker))
    found = {}
    for symbol, own in rows.items():
        spells: list[_Spell] = []
        first = own[0][0]
        for day, ticker in own[1:] or own:
            last = None if day >= _FOREVER else day
            if spells and spells[-1].ticker == ticker:
                spells[-1] = _Spell(ticker, spells[-1].first, last, _MAPS)
            else:
                spells.append(_Spell(ticker, first, last, _MAPS))
            first = day + _DAY
        found[symbol] = tuple(spells)
    return found


def _without_map(tables: LeanTables, claimed: Iterable[_Spell]) -> dict[str, tuple[_Spell, ...]]:
    """Return a history for symbols that have factors but no map: their own name, from when nobody else has it."""
    known = set(tables.maps.column("symbol").to_pylist())
    begins: dict[str, date] = {}
    factors = tables.factors.to_pydict()
    for symbol, day in zip(factors["symbol"], factors["date"], strict=True):
        if symbol not in known:
            begins.setdefault(symbol, day)
    found: dict[str, tuple[_Spell, ...]] = {}
    for symbol, begin in sorted(begins.items()):
        others = [spell.last for spell in claimed if spell.ticker == symbol and spell.covers(begin)]
        free = begin if not others or None in others else max(last for last in others if last is not None) + _DAY
        found[symbol] = (_Spell(symbol, free, None, "factor file without a map file"),)
    return found


def _bar_days(tables: LeanTables) -> dict[str, list[date]]:
    days: dict[str, list[date]] = {}
    for ticker, day in zip(
        tables.bars.column("symbol").to_pylist(), tables.bars.column("date").to_pylist(), strict=True
    ):
        days.setdefault(ticker, []).append(day)
    return days


def _unclaimed(ticker: str, days: list[date], claimed: list[_Spell]) -> list[_Spell]:
    """Return the stretches of a ticker's bars that no map claims."""
    own = [spell for spell in claimed if spell.ticker == ticker]
    spells: list[_Spell] = []
    is_open = False
    for day in days:
        if any(spell.covers(day) for spell in own):
            is_open = False
        elif is_open:
            spells[-1] = _Spell(ticker, spells[-1].first, day, _BARS)
        else:
            spells.append(_Spell(ticker, day, day, _BARS))
            is_open = True
    return spells


def _named(histories: Mapping[str, tuple[_Spell, ...]]) -> dict[str, InstrumentId]:
    """Return the id of each history: its first ticker, numbered by first day where a ticker was handed on."""
    order = sorted(histories, key=lambda key: (histories[key][0].first, key))
    used: dict[str, int] = {}
    names = {}
    for key in order:
        base = histories[key][0].ticker.replace(".", "-")
        used[base] = used.get(base, 0) + 1
        names[key] = instrument_id(f"stock.US.{base}" + ("" if used[base] == 1 else f"~{used[base]}"))
    return names
