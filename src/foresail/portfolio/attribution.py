"""Every figure of a result by group (ATTR-02): instrument, class, sector, side, hour, strategy, or any other key.

A journal is walked once. What is held belongs to the group of the trade that it is part of, and from mark to mark its
profit goes there: price, dividends, fees, borrow and funding. So each group has a series of profits as long as the
account's, the series add up to the account's, and Sharpe ratio, drawdown, alpha and beta of a group are those of its
series over the account's equity, not of profits lumped together at the exit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import from_ns
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import Instrument
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    Entry,
    FillBooked,
    HoldingCharged,
    ListingEnded,
    Marked,
    OrderIntended,
    SplitApplied,
)
from foresail.ledger.executions import standing_entries
from foresail.ledger.strategies import HOUSE, StrategyBooks
from foresail.ledger.trades import trades
from foresail.measures.performance import PerformanceFigures, TradeStatistics, performance_figures, trade_statistics

__all__ = [
    "GroupFigures",
    "Key",
    "Opening",
    "by_class",
    "by_hour",
    "by_instrument",
    "by_sector",
    "by_side",
    "by_strategy",
    "group_figures",
    "group_profits",
    "strategy_profits",
]

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a trade began: what a group is made from; ``strategy`` is empty where its order names none."""

    instrument: InstrumentId
    side: Side
    at: int
    strategy: str = ""


Key = Callable[[Opening], str]


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One group's figures.

    Attributes
    ----------
    performance : of profits over the account's equity at the mark before, fractions
    trades : of closed trades, account currency
    profit : net, trades still open included; cost : fees, slippage and holding; both account currency
    cost_impact : cost over the profit before it, fraction; NaN where there was none
    alpha : annual return that the benchmark does not explain, fraction; beta : against it; NaN without a benchmark
    """

    performance: PerformanceFigures
    trades: TradeStatistics
    profit: float
    cost: float
    cost_impact: float
    alpha: float
    beta: float


def by_instrument(opening: Opening) -> str:
    """Group by instrument."""
    return opening.instrument


def by_side(opening: Opening) -> str:
    """Group by direction: long or short."""
    return "long" if opening.side is Side.BUY else "short"


def by_strategy(opening: Opening) -> str:
    """Group by the strategy that the opening order names."""
    return opening.strategy


def by_hour(zone: str = "UTC") -> Key:
    """Return a key by the hour of the opening fill in a zone, 00 to 23."""
    place = UTC if zone == "UTC" else ZoneInfo(zone)
    return lambda opening: f"{from_ns(opening.at).astimezone(place).hour:02d}"


def by_sector(instruments: Mapping[InstrumentId, Instrument]) -> Key:
    """Return a key by sector."""
    return lambda opening: instruments[opening.instrument].sector


def by_class(instruments: Mapping[InstrumentId, Instrument]) -> Key:
    """Return a key by asset class."""
    return lambda opening: instruments[opening.instrument].asset_class.value


@dataclass(slots=True)
class _Held:
    """What is held of one instrument, at its last price."""

    group: str = ""
    units: float = 0.0
    price: float = _NAN
    worth: float = 1.0  # account currency for one unit at a price of 1


@dataclass(slots=True)
class _Walk:
    """The journal as far as it was read."""

    key: Key
    rates: Mapping[str, float]
    held: dict[InstrumentId, _Held] = field(default_factory=dict)
    strategies: dict[str, str] = field(default_factory=dict)
    openings: dict[tuple[InstrumentId, int], str] = field(default_factory=dict)
    now: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    def read(self, entry: Entry) -> None:
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            handler(self, entry)

    def _gain(self, group: str, money: float) -> None:
        self.now[group] = self.now.get(group, 0.0) + money

    def _pay(self, group: str, cost: float) -> None:
        self.costs[group] = self.costs.get(group, 0.0) + cost

    def _move(self, one: _Held, price: float) -> None:
        if one.units and math.isfinite(one.price):
            self._gain(one.group, one.units * (price - one.price) * one.worth)
        one.price = price

    def _intended(self, entry: OrderIntended) -> None:
        if entry.order.strategy:
            self.strategies[entry.order.id] = entry.order.strategy

    def _filled(self, entry: FillBooked) -> None:
        fill = entry.fill
        rate = self.rates.get(entry.currency, 1.0)
        one = self.held.setdefault(fill.instrument, _Held())
        one.worth = float(entry.multiplier) * rate
        signed = float(fill.quantity) * (1.0 if fill.side is Side.BUY else -1.0)
        self._move(one, float(fill.price))
        closing = min(abs(signed), abs(one.units)) if one.units * signed < 0 else 0.0
        fee, slip = float(fill.fee) * rate, float(fill.slippage) * rate
        for part, opens in ((closing, False), (abs(signed) - closing, True)):
            if part == 0.0:
                continue
            if opens and one.units == 0.0:
                opening = Opening(fill.instrument, fill.side, fill.filled_at, self.strategies.get(fill.order_id, ""))
                one.group = self.openings[fill.instrument, fill.filled_at] = self.key(opening)
            share = part / abs(signed)
            self._gain(one.group, -fee * share)
            self._pay(one.group, (fee + slip) * share)
            one.units += math.copysign(part, signed)
            if abs(one.units) < 1e-12:
                one.units = 0.0

    def _dividend(self, entry: DividendPaid) -> None:
        one = self.held.get(entry.instrument)
        if one is not None and one.units:
            self._gain(one.group, one.units * float(entry.per_unit) * one.worth)

    def _charged(self, entry: HoldingCharged) -> None:
        one = None if entry.instrument is None else self.held.get(entry.instrument)
        group = "" if one is None else one.group
        money = float(entry.amount) * self.rates.get(entry.currency, 1.0)
        self._gain(group, -money)
        self._pay(group, money)

    def _split(self, entry: SplitApplied) -> None:
        one = self.held.get(entry.instrument)
        if one is not None:
            one.units *= float(entry.ratio)
            one.price /= float(entry.ratio)
            lot = float(entry.lot)
            whole = math.copysign(math.floor(abs(one.units) / lot + 1e-6) * lot, one.units)
            self._move(one, float(entry.price))
            one.units = whole

    def _ended(self, entry: ListingEnded) -> None:
        one = self.held.get(entry.instrument)
        if one is not None:
            self._move(one, float(entry.price))
            one.units = 0.0

    def _marked(self, entry: Marked) -> None:
        for name, price in entry.prices:
            one = self.held.get(name)
            if one is not None:
                self._move(one, float(price))
        self.rows.append(self.now)
        self.now = {}

    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        DividendPaid: _dividend,
        FillBooked: _filled,
        HoldingCharged: _charged,
        ListingEnded: _ended,
        Marked: _marked,
        OrderIntended: _intended,
        SplitApplied: _split,
    }


def group_profits(
    entries: Iterable[Entry], key: Key, *, rates: Mapping[str, float] | None = None
) -> dict[str, FloatArray]:
    """Return each group's profit from mark to mark, (T,) account currency; the groups add up to the account's profit.

    Parameters
    ----------
    rates : account currency per unit of another currency, one rate for the whole time; a currency that is not named
        counts as the account's own
    """
    walk = _walked(entries, key, rates)
    return _series(walk.rows)


def group_figures(
    entries: Sequence[Entry],
    key: Key,
    *,
    equity: FloatArray,
    bars_per_year: float,
    benchmark: FloatArray | None = None,
    rates: Mapping[str, float] | None = None,
) -> dict[str, GroupFigures]:
    """Return every figure of each group, groups in ascending order.

    Parameters
    ----------
    entries : the journal, in order
    equity : (T,) of the account at the marks
    benchmark : (T,) simple return from mark to mark, fraction

    Raises
    ------
    DataError
        If there are not as many marks as values of equity or of the benchmark.
    """
    walk = _walked(entries, key, rates)
    profits = _series(walk.rows)
    marks = len(walk.rows)
    if len(equity) != marks or (benchmark is not None and len(benchmark) != marks):
        raise DataError(
            f"the journal has {marks} marks, received {len(equity)} values of equity and "
            f"{'no benchmark' if benchmark is None else f'{len(benchmark)} returns of the benchmark'}"
        )
    total = np.sum(list(profits.values()), axis=0) if profits else np.zeros(marks)
    before = np.asarray(equity, dtype=np.float64) - total
    closed = [(one, one.closed_at) for one in trades(entries) if one.closed_at is not None]
    out = {}
    for group, money in profits.items():
        mine = [one for one in closed if walk.openings.get((one[0].instrument, one[0].opened_at)) == group]
        held = [float(until - one.opened_at) for one, until in mine]
        returns = money / before
        alpha, beta = _regressed(returns, benchmark, bars_per_year)
        cost, net = walk.costs.get(group, 0.0), float(money.sum())
        out[group] = GroupFigures(
            performance=performance_figures(returns, bars_per_year=bars_per_year),
            trades=trade_statistics([float(one.net_profit) for one, _until in mine], holding=held),
            profit=net,
            cost=cost,
            cost_impact=cost / (net + cost) if net + cost > 0.0 else _NAN,
            alpha=alpha,
            beta=beta,
        )
    return out


def strategy_profits(
    entries: Iterable[Entry], strategies: Sequence[str], instruments: Mapping[InstrumentId, Instrument], currency: str
) -> dict[str, FloatArray]:
    """Return the profit of each strategy of a netted account from mark to mark, (T,) money in the account's currency.

    The house, whose name is empty, has what no strategy owns; money paid in or out is no profit. Instruments in other
    currencies are not converted and refused.

    Raises
    ------
    DataError
        If an instrument is quoted in another currency.
    """
    foreign = sorted(one.id for one in instruments.values() if one.currency != currency)
    if foreign:
        raise DataError(f"{foreign[0]} is not quoted in {currency}", hint="tell such strategies apart by group_profits")
    books, marks = StrategyBooks(strategies, instruments, currency), dict[InstrumentId, float]()
    worth: dict[str, float] = dict.fromkeys((HOUSE, *strategies), 0.0)
    rows: list[dict[str, float]] = []
    paid_in = 0.0
    for entry in entries:
        before = float(books.money(HOUSE).cash)
        books.apply(entry)
        if isinstance(entry, Deposited):
            paid_in += float(books.money(HOUSE).cash) - before
        elif isinstance(entry, FillBooked):
            marks[entry.fill.instrument] = float(entry.fill.price)
        elif isinstance(entry, SplitApplied):
            marks[entry.instrument] = float(entry.price)
        elif isinstance(entry, Marked):
            marks.update((name, float(price)) for name, price in entry.prices)
            row = {}
            for name, last in list(worth.items()):
                value = sum(
                    float(p.quantity * instruments[p.instrument].multiplier) * marks[p.instrument]
                    for p in books.positions(name)
                )
                total = float(books.money(name).cash) + value - (paid_in if name == HOUSE else 0.0)
                row[name] = total - last
                worth[name] = total
            rows.append(row)
    return _series(rows)


def _walked(entries: Iterable[Entry], key: Key, rates: Mapping[str, float] | None) -> _Walk:
    walk = _Walk(key, {} if rates is None else rates)
    for entry in standing_entries(entries):
        walk.read(entry)
    return walk


def _series(rows: Sequence[Mapping[str, float]]) -> dict[str, FloatArray]:
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, 0.0) for row in rows]) for name in names}


def _regressed(returns: FloatArray, benchmark: FloatArray | None, bars_per_year: float) -> tuple[float, float]:
    """Return annual alpha and beta by least squares."""
    if benchmark is None or len(returns) < 3:
        return _NAN, _NAN
    market = np.asarray(benchmark, dtype=np.float64)
    spread = float(((market - market.mean()) ** 2).sum())
    if not spread > 0.0:
        return _NAN, _NAN
    beta = float(((market - market.mean()) * (returns - returns.mean())).sum()) / spread
    return float(returns.mean() - beta * market.mean()) * bars_per_year, beta
