"""What an account's limits must know of the market, out of what a run was given: facts in the order they were known.

1. ``vix``: the reference series of that name, as far as it changes; too old is not known.
2. Rows of stored facts with a field of a limit's name: ``vix``, ``btc_volatility_30d`` and ``portfolio_volatility`` of
   no instrument, ``beta`` and ``borrowable`` of one, ``news`` of either: its event time is that of the news.
3. Whale prints and extremes of funding and exchange flows (``alert_facts``), for ALERT-10.
4. Where nobody gives them, the volatility of Bitcoin and betas follow from the bars, known with the day they end on.

Beta is against the reference ``sp500``, without it against the equal-weighted mean of the stocks of the set; told
anew with the first day of a month. What is not known is no fact: it is never filled in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S, from_ns
from foresail.core.ids import InstrumentId
from foresail.domain.calendars import frame_ns
from foresail.domain.events import Fact, Rank
from foresail.domain.facts import FactTable
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import TradingLimits
from foresail.engine.alert_facts import alert_facts
from foresail.engine.day_closes import DayCloses
from foresail.engine.settings import MarketData
from foresail.features.givens import VIX_LIMIT_NS
from foresail.measures.asof import asof_series

__all__ = ["BORROWABLE", "RISK_SOURCE", "risk_facts"]

BORROWABLE = "borrowable"
RISK_SOURCE = "risk"  # of these events
_GENERAL = ("btc_volatility_30d", "news", "portfolio_volatility", "vix")
_OF_ONE = ("beta", BORROWABLE, "news")
_NEWS_NS = 30 * 60 * NS_PER_S
_BITCOIN = ("BTC", "XBT")
_BITCOIN_DAYS, _BITCOIN_LEAST = 30, 20  # SIZE-10: a 30-day volatility
_CRYPTO_YEAR = 365.0  # days on which crypto trades
_BETA_DAYS, _BETA_LEAST = 252, 60  # a year of days; fewer than a quarter say nothing
_MARKET_LEAST = 3  # names whose mean stands in for a market
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Told:
    """One value of one fact."""

    at: int
    kind: str
    instrument: InstrumentId | None
    value: float


def risk_facts(
    data: MarketData, limits: TradingLimits | None, first: int, *, has_alerts: bool = True
) -> tuple[Fact, ...]:
    """Return the facts of a run from a position on, sorted; none where no profile's limits hold.

    Parameters
    ----------
    first : time position of the first bar; what was known before it is told at its start
    has_alerts : with what only ALERT-10 hears of

    Notes
    -----
    Timing: a value of the bars is told when the bar that completes it is available, a given one when it was.
    """
    bars = data.bars
    if limits is None or not limits.profile or first >= bars.shape[1]:
        return ()
    given = [one for table in data.facts.values() for one in _given(table)]
    if has_alerts:
        given += [_Told(*one) for table in data.facts.values() for one in alert_facts(table)]
    if "vix" not in {one.kind for one in given}:
        given += _vix(data)
    if frame_ns(bars.frame) > NS_PER_DAY:
        return tuple(_events(_changes(given, int(bars.start[first])), int(bars.available_at[-1])))
    days = DayCloses(bars)
    if "btc_volatility_30d" not in {one.kind for one in given}:
        given += _bitcoin(data, days)
    given += _betas(data, days, {one.instrument for one in given if one.kind == "beta" and one.instrument})
    return tuple(_events(_changes(given, int(bars.start[first])), int(bars.available_at[-1])))


def _changes(told: Iterable[_Told], begin: int) -> Iterator[_Told]:
    """Yield what changes a value, nothing before an instant: the newest of what was known before it stands there."""
    newest: dict[tuple[str, str], _Told] = {}
    later: list[_Told] = []
    for one in sorted(told, key=lambda one: one.at):
        if one.at <= begin:
            newest[one.kind, one.instrument or ""] = replace(one, at=begin)
        else:
            later.append(one)
    now: dict[tuple[str, str], float] = {}
    for one in (*(newest[key] for key in sorted(newest)), *later):
        key = one.kind, one.instrument or ""
        before = now.get(key, math.nan)
        if one.value != before and not (math.isnan(one.value) and math.isnan(before)):
            now[key] = one.value
            yield one


def _events(told: Iterable[_Told], until: int) -> Iterator[Fact]:
    for number, one in enumerate(told):
        if one.at <= until:
            at, name = one.at, one.instrument
            yield Fact(at, at, Rank.FEATURES, RISK_SOURCE, name, number, kind=one.kind, value=one.value)


def _given(table: FactTable) -> Iterator[_Told]:
    """Yield the rows of stored facts that limits read; a restatement of an older period changes nothing."""
    for field in table.fields:
        column = table.values[:, table.index(field)]
        newest: dict[int, int] = {}
        for row in np.argsort(table.available_at, kind="stable").tolist():
            name = table.instruments[table.code[row]]
            is_read = field in (_OF_ONE if name else _GENERAL)
            if not is_read or not math.isfinite(column[row]):
                continue
            if field == "news":
                yield from _news(table, row, name)
                continue
            period = int(table.event_time[row])
            if period >= newest.get(int(table.code[row]), period):
                newest[int(table.code[row])] = period
                yield _Told(int(table.available_at[row]), field, name or None, float(column[row]))


def _news(table: FactTable, row: int, name: InstrumentId) -> Iterator[_Told]:
    """Yield an entry of a calendar half an hour before its time (EXIT-09); an importance of 0 is none."""
    at, known = int(table.event_time[row]), int(table.available_at[row])
    if table.values[row, table.index("news")] > 0.0 and known <= at:
        yield _Told(max(known, at - _NEWS_NS), "news", name or None, at / NS_PER_S)


def _vix(data: MarketData) -> Iterator[_Told]:
    """Yield the VIX as it was known, and that it is not known where the series has been silent for too long."""
    if "vix" not in data.reference:
        return
    times, values = data.reference["vix"]
    for i, (at, value) in enumerate(zip(times.tolist(), values.tolist(), strict=True)):
        if math.isfinite(value):
            yield _Told(at, "vix", None, value)
            if i + 1 == len(times) or times[i + 1] > at + VIX_LIMIT_NS:
                yield _Told(at + VIX_LIMIT_NS, "vix", None, math.nan)


def _bitcoin(data: MarketData, days: DayCloses) -> Iterator[_Told]:
    """Yield the volatility of 30 daily log returns of Bitcoin, a year's: of the set (spot before others), or given."""
    names = [
        one.id
        for one in data.bar_set.instruments
        if one.asset_class is AssetClass.CRYPTO
        and one.id in data.bars.instruments
        and one.id.removesuffix(".perp").rpartition(".")[2].split("-")[0] in _BITCOIN
    ]
    if names:
        row = data.bars.instruments.index(min(names, key=lambda name: (name.endswith(".perp"), name)))
        moves = np.log1p(days.returns[row])
    elif "btc" in data.reference:
        moves = np.log1p(_moves(data, days, "btc"))
    else:
        return
    for day, known in enumerate(days.known_from.tolist()):
        window = moves[max(0, day + 1 - _BITCOIN_DAYS) : day + 1]
        window = window[np.isfinite(window)]
        if len(window) >= _BITCOIN_LEAST and known < data.bars.shape[1]:
            value = round(float(np.std(window, ddof=1)) * math.sqrt(_CRYPTO_YEAR), _DIGITS)
            yield _Told(int(data.bars.available_at[known]), "btc_volatility_30d", None, value)


def _betas(data: MarketData, days: DayCloses, given: set[InstrumentId]) -> Iterator[_Told]:
    """Yield betas with the first day of every month, and as soon as a name has history enough."""
    rows = _rows(data, AssetClass.STOCK, AssetClass.CRYPTO)
    market = _market(data, days)
    month = -1
    for day, known in enumerate(days.known_from.tolist()):
        if known >= data.bars.shape[1] or day + 1 < _BETA_LEAST:
            continue
        at = int(data.bars.available_at[known])
        now = from_ns(at)
        if now.year * 12 + now.month == month:
            continue
        month = now.year * 12 + now.month
        window = slice(max(0, day + 1 - _BETA_DAYS), day + 1)
        for row, beta in zip(rows, _beta(days.returns[rows, window], market[window]).tolist(), strict=True):
            name = data.bars.instruments[row]
            if math.isfinite(beta) and name not in given:
                yield _Told(at, "beta", name, round(beta, _DIGITS))


def _rows(data: MarketData, *classes: AssetClass) -> list[int]:
    kinds = {one.id: one.asset_class for one in data.bar_set.instruments}
    return [i for i, name in enumerate(data.bars.instruments) if kinds[name] in classes]


def _market(data: MarketData, days: DayCloses) -> FloatArray:
    """Return (D,) the market's simple return of each day, NaN where it is not known."""
    if "sp500" in data.reference:
        return _moves(data, days, "sp500")
    returns = days.returns[_rows(data, AssetClass.STOCK)]
    told = np.isfinite(returns)
    count = told.sum(axis=0)
    mean = np.where(told, returns, 0.0).sum(axis=0) / np.maximum(count, 1)
    market: FloatArray = np.where(count >= _MARKET_LEAST, mean, np.nan)
    return market


def _moves(data: MarketData, days: DayCloses, name: str) -> FloatArray:
    """Return (D,) the simple return of a reference series from day to day, as known when each day was over."""
    times, values = data.reference[name]
    known: IntArray = data.bars.available_at[np.minimum(days.known_from, data.bars.shape[1] - 1)]
    level = asof_series(times, values, known)
    moved: FloatArray = np.append(np.nan, level[1:] / level[:-1] - 1.0)
    return moved


def _beta(returns: FloatArray, market: FloatArray) -> FloatArray:
    """Return (N,) covariance with the market over its variance, on the days that both have; NaN below 60."""
    both = np.isfinite(returns) & np.isfinite(market)
    count = both.sum(axis=1)
    x, y = np.where(both, market, 0.0), np.where(both, returns, 0.0)
    n = np.maximum(count, 1)
    dx = np.where(both, x - (x.sum(axis=1) / n)[:, None], 0.0)
    dy = np.where(both, y - (y.sum(axis=1) / n)[:, None], 0.0)
    spread = (dx * dx).sum(axis=1)
    beta: FloatArray = np.where(
        (count >= _BETA_LEAST - 1) & (spread > 0.0), (dx * dy).sum(axis=1) / np.maximum(spread, 1e-300), np.nan
    )
    return beta
