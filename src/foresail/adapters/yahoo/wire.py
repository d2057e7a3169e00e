"""Yahoo's tables to bars: daily rows of US stocks as yfinance returns them, one table a symbol.

What Yahoo calls Close is adjusted for splits, Adj Close for dividends too, both as of the day of asking. So the price
basis is split_adjusted, and payments follow from the ratio a = Adj Close / Close, which grows only where a stock goes
ex:

1. keep = a[t-1] / a[t] is the share of the close before that is left after a payment at t; 1 = none.
2. What single-precision prices can explain is no payment; a ratio that falls is counted, never booked.
3. cash = close[t-1] (1 - keep); the forward factor is the running product of 1 / keep, 1 at the first bar.

A table without Adj Close says nothing about payments: then the basis of the whole set is unknown and none is booked.
Rows are judged by the quality gate, not here; what cannot even become a row is set aside with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_S
from foresail.core.errors import DataError, MalformedPayloadError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import DayArray, sessions
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.quality import QuarantinedRow
from foresail.domain.sectors import stock_of

__all__ = ["CALENDAR", "GRACE_S", "VENUE", "Answer", "ParsedBars", "parse_answers", "table_of"]

VENUE = "yahoo"
CALENDAR = "XNYS"
GRACE_S = 900.0  # Yahoo may show prices 15 minutes late
_PRICES = ("open", "high", "low", "close")
_NEW_YORK = ("America/New_York", "US/Eastern")
_SINGLE = 1e-6  # relative; four single-precision prices explain less than 5e-7


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one question gave.

    Attributes
    ----------
    symbol : as asked
    table : as yfinance returned it, or None
    reason : why there is no table
    asked_at : ns UTC, before the question was sent
    """

    symbol: str
    table: pd.DataFrame | None
    reason: str
    asked_at: int


@dataclass(slots=True, eq=False)
class ParsedBars:
    """Bars of all answers and what happened on the way.

    Attributes
    ----------
    missing : (symbol, reason) of symbols that gave no bar
    """

    bars: BarTable
    bar_set: BarSet
    quarantined: list[QuarantinedRow]
    missing: list[tuple[str, str]]
    notes: list[str]


@dataclass(slots=True)
class _Findings:
    quarantined: list[QuarantinedRow] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    unadjusted: list[str] = field(default_factory=list)
    open_bars: int = 0
    falls: int = 0


def table_of(answer: pd.DataFrame | Mapping[str, Any], symbol: str) -> pd.DataFrame:
    """Return one symbol's rows with columns open, high, low, close, volume and, where Yahoo gave it, adj_close.

    Parameters
    ----------
    answer : table of one symbol, table of several with two header rows in either order, or such columns as a mapping

    Raises
    ------
    MalformedPayloadError
        If the symbol, the close, or dates are not in it.
    """
    table = answer if isinstance(answer, pd.DataFrame) else pd.DataFrame(answer)
    if isinstance(table.columns, pd.MultiIndex):
        level = next((n for n in range(2) if symbol in table.columns.get_level_values(n)), None)
        if level is None:
            raise MalformedPayloadError(f"yahoo: no columns for {symbol}", venue=VENUE)
        table = pd.DataFrame(table.xs(symbol, axis=1, level=level))
    table = table.rename(columns=lambda name: str(name).strip().lower().replace(" ", "_"))
    wanted = [name for name in (*_PRICES, "adj_close", "volume") if name in table.columns]
    if "close" not in wanted or table.columns.has_duplicates:
        raise MalformedPayloadError(
            f"yahoo, {symbol}: expected one column Close, received {', '.join(map(str, table.columns)) or 'none'}",
            venue=VENUE,
        )
    if not isinstance(table.index, pd.DatetimeIndex):
        try:
            table = table.set_axis(pd.DatetimeIndex(pd.to_datetime(table.index)), axis=0)
        except (ValueError, TypeError) as e:
            raise MalformedPayloadError(f"yahoo, {symbol}: the index has no dates ({e})", venue=VENUE) from e
    numbers = {name: pd.to_numeric(table[name], errors="coerce").astype(np.float64) for name in wanted}
    return pd.DataFrame(numbers, index=table.index).dropna(how="all")


def parse_answers(answers: Sequence[Answer], *, name: str, universe_basis: str) -> ParsedBars:
    """Return the bars of all answers, sorted by (instrument, end).

    Raises
    ------
    DataError
        If no symbol gave a bar.
    """
    found = _Findings()
    tables: dict[str, tuple[pd.DataFrame, Answer]] = {}
    for answer in sorted(answers, key=lambda a: a.symbol):
        table = _usable(answer, found)
        if table is not None:
            tables[answer.symbol] = (table, answer)
    basis = PriceBasis.UNKNOWN if found.unadjusted else PriceBasis.SPLIT_ADJUSTED
    parts = {symbol: _columns(symbol, *tables[symbol], basis, found) for symbol in tables}
    for symbol in [symbol for symbol, part in parts.items() if len(part["end"]) == 0]:
        del parts[symbol]
        found.missing.append((symbol, "no row is a closed bar of a session"))
    if not parts:
        raise DataError(
            _none_came(found.missing), rule="DATA-51", hint="check the tickers and the network, then try again"
        )
    joined = {key: np.concatenate([part[key] for part in parts.values()]) for key in next(iter(parts.values()))}
    instruments = tuple(stock_of(name) for name in sorted(_id_of(symbol) for symbol in parts))
    joined = _sorted(joined)
    bar_set = BarSet(
        name=name,
        asset_class=AssetClass.STOCK,
        frame="1d",
        calendar=CALENDAR,
        price_basis=basis,
        universe_basis=universe_basis,
        currency="USD",
        grace_s=GRACE_S,
        known_by_date=False,
        close_only=not np.isfinite(joined["high"]).any(),
        instruments=instruments,
        source=VENUE,
    )
    return ParsedBars(bar_table(joined), bar_set, found.quarantined, sorted(found.missing), _notes(found))


def _usable(answer: Answer, found: _Findings) -> pd.DataFrame | None:
    """Return the answer's table indexed by naive dates in New York, or None with the reason noted."""
    if answer.table is None or answer.table.empty:
        found.missing.append((answer.symbol, answer.reason or "an empty table"))
        return None
    try:
        table = table_of(answer.table, answer.symbol)
        days = _days(pd.DatetimeIndex(table.index), answer.symbol)
    except MalformedPayloadError as e:
        found.missing.append((answer.symbol, e.text))
        return None
    if table.empty:
        found.missing.append((answer.symbol, "no number in any row"))
        return None
    if "adj_close" not in table or not np.isfinite(table["adj_close"]).any():
        found.unadjusted.append(answer.symbol)
    return table.set_axis(days)


def _days(index: pd.DatetimeIndex, symbol: str) -> pd.DatetimeIndex:
    if index.tz is None:
        return index.normalize()
    local = index.tz_localize(None)
    if str(index.tz) in _NEW_YORK or (str(index.tz) == "UTC" and bool((local == local.normalize()).all())):
        return local.normalize()
    raise MalformedPayloadError(
        f"yahoo, {symbol}: expected a listing in New York, received times in {index.tz}", venue=VENUE
    )


def _columns(symbol: str, table: pd.DataFrame, answer: Answer, basis: PriceBasis, found: _Findings) -> dict[str, Any]:
    days: DayArray = pd.DatetimeIndex(table.index).to_numpy().astype("datetime64[D]")
    labels, opens, closes = sessions(CALENDAR, days.min().astype(object), days.max().astype(object))
    place = np.minimum(np.searchsorted(labels, days), max(len(labels) - 1, 0))
    inside = labels[place] == days if len(labels) else np.zeros(len(days), dtype=np.bool_)
    for position in np.flatnonzero(~inside).tolist():
        reason = f"{days[position]} is no session of calendar {CALENDAR}"
        original = ",".join([str(days[position]), *map(str, table.iloc[position].tolist())])
        found.quarantined.append(QuarantinedRow(f"{VENUE}:{symbol}", position + 1, "Date", "DATA-54", reason, original))
    end = closes[place] if len(labels) else np.zeros(len(days), dtype=np.int64)
    available = end + round(GRACE_S * NS_PER_S)
    running = inside & (available > answer.asked_at)
    found.open_bars += int(running.sum())
    keep = np.flatnonzero(inside & ~running)
    keep = keep[np.argsort(end[keep], kind="stable")]
    numbers = {name: table[name].to_numpy()[keep] for name in table.columns}
    dividend, factor = _payments(numbers["close"], numbers.get("adj_close"), basis, found)
    missing = np.full(len(keep), np.nan)
    return {
        "instrument": np.full(len(keep), _id_of(symbol), dtype=object),
        "start": opens[place[keep]] if len(labels) else keep,
        "end": end[keep],
        "available_at": available[keep],
        **{name: numbers.get(name, missing) for name in (*_PRICES, "volume")},
        "dividend": dividend,
        "total_factor": factor,
        "file": np.full(len(keep), f"{VENUE}:{symbol}", dtype=object),
        "row": keep + 1,
    }


def _payments(
    close: FloatArray, adjusted: FloatArray | None, basis: PriceBasis, found: _Findings
) -> tuple[FloatArray, FloatArray]:
    """Return cash per unit going ex at each row, and the forward factor; rows ascend in time."""
    cash, growth = np.zeros(len(close)), np.ones(len(close))
    if basis is not PriceBasis.SPLIT_ADJUSTED or adjusted is None:
        return cash, growth
    rows = np.flatnonzero((close > 0) & (adjusted > 0))
    ratio = adjusted[rows] / close[rows]
    left = ratio[:-1] / ratio[1:]
    paid = left < 1.0 - _SINGLE
    found.falls += int((left > 1.0 + _SINGLE).sum())
    now, before = rows[1:][paid], rows[:-1][paid]
    cash[now] = close[before] * (1.0 - left[paid])
    growth[now] = 1.0 / left[paid]
    factor: FloatArray = np.cumprod(growth).astype(np.float64)
    return cash, factor


def _id_of(symbol: str) -> InstrumentId:
    return instrument_id(f"stock.US.{symbol}")


def _sorted(columns: dict[str, Any]) -> dict[str, Any]:
    order = np.lexsort((columns["row"], columns["end"], columns["instrument"].astype(str)))
    return {name: values[order] for name, values in columns.items()}


def _none_came(missing: Sequence[tuple[str, str]]) -> str:
    shown = "; ".join(f"{symbol}: {reason}" for symbol, reason in sorted(missing)[:10])
    return f"none of {len(missing)} symbols gave a bar: {shown}" + (" ..." if len(missing) > 10 else "")


def _notes(found: _Findings) -> list[str]:
    notes = ["prices as Yahoo shows them on the day of asking: adjusted for splits that came later"]
    if found.unadjusted:
        names = ", ".join(found.unadjusted[:10]) + (" ..." if len(found.unadjusted) > 10 else "")
        notes.append(f"no adjusted close for {names}: price basis unknown, no payment is booked for any name")
    if found.open_bars:
        notes.append(f"{found.open_bars} bars were not closed yet (or too fresh to be final) and were left out")
    if found.falls:
        notes.append(f"{found.falls} bars whose adjusted close falls against the close: no payment booked there")
    return notes
