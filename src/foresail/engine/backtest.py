"""A backtest: the driver's pass through history, and the equity curves that follow from its journal.

Gross and twice-cost equity are the same journal with costs multiplied by 0 and 2: decisions stay as they were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.actions import DelistingRule
from foresail.domain.events import BarsClosed, Fact, OrderEvent
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill
from foresail.domain.panel import Panel
from foresail.domain.signals import Signal
from foresail.engine.driver import BacktestInputs, Driver
from foresail.engine.history import history_pieces
from foresail.engine.parts import Parts, build_parts
from foresail.engine.risk_facts import risk_facts
from foresail.engine.trading.parts import ReviewedOrder
from foresail.ledger.books import Books, Totals
from foresail.ledger.entries import Entry, Marked
from foresail.ledger.repricing import reprice
from foresail.ledger.trades import Trade, trades
from foresail.protocols import Progress, Strategy

__all__ = ["Backtest", "pass_history", "run_backtest"]

_SEVERE = DelistingRule(-0.30)  # in the repeated result
_BARS_PER_NEWS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What came of a backtest.

    Attributes
    ----------
    first : time position of the first decision; equity stands at the capital until then
    net, gross, net_2x, net_haircut : (T,) equity at each close, account currency; ``net_haircut`` books ended listings
        30 % below their last print
    net_jump : (T,) equity had the unexplained jumps been booked before which names were left
    cash : (T,) account currency
    exposure : (T,) gross share of equity invested
    weights : (decided_at, instrument) -> target weight after caps
    totals : running sums of the account's currency at the end
    ended : (instrument, position, value at the last print) of listings that ended while held
    left : (instrument, position, money) of names left before an unexplained jump, with what it would have made
    notes : (decided_at, instrument, text) on what was cut or left out
    total_cost : fees, slippage and holding costs booked, other currencies at their last rate, account currency
    cost_per_side : mean expected cost of one side, fraction of value, for the comparators
    """

    first: int
    net: FloatArray
    gross: FloatArray
    net_2x: FloatArray
    net_haircut: FloatArray
    net_jump: FloatArray
    cash: FloatArray
    exposure: FloatArray
    signals: tuple[Signal, ...]
    weights: dict[tuple[int, InstrumentId], float]
    orders: tuple[ReviewedOrder, ...]
    order_events: tuple[OrderEvent, ...]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    totals: Totals
    journal: tuple[Entry, ...]
    ended: tuple[tuple[InstrumentId, int, float], ...]
    left: tuple[tuple[InstrumentId, int, float], ...]
    notes: tuple[tuple[int, InstrumentId, str], ...]
    total_cost: Decimal
    cost_per_side: float
    bars_per_year: float


def run_backtest(
    inputs: BacktestInputs,
    *,
    strategy: Strategy | None = None,
    first: int | None = None,
    limits: TradingLimits | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Run a strategy over history and return what came of it.

    Parameters
    ----------
    strategy : a plug-in; None takes the default strategy, which trades the forecasts
    first : time position of the first event; None takes that of the first forecast
    limits : of breakers; None = none trips. Those of a profile are told what they read of the market (``risk_facts``)
    """
    bars = inputs.data.bars
    parts = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=strategy, explain=inputs.walk.explain)
    positions = inputs.walk.block.position
    if first is None:
        first = int(positions[0]) if len(positions) else bars.shape[1]
    driver = Driver(inputs, parts, limits)
    if first < bars.shape[1]:
        driver.deposit(int(bars.start[first]))
        facts = risk_facts(inputs.data, limits, first)
        pass_history(driver, bars, first, parts.strategy.spec.every, progress, facts=facts)
    return Backtest(
        first=first,
        net=driver.net,
        gross=_repriced(driver, inputs.settings.currency, first, Decimal(0)),
        net_2x=_repriced(driver, inputs.settings.currency, first, Decimal(2)),
        net_haircut=_with_haircut(driver, inputs.settings.delisting_return),
        net_jump=_with_jumps(driver),
        cash=driver.cash,
        exposure=driver.exposure,
        signals=tuple(driver.signals),
        weights=driver.weights,
        orders=tuple(driver.orders),
        order_events=tuple(driver.order_events),
        fills=tuple(driver.fills),
        trades=tuple(trades(driver.journal.entries, bars.end.tolist())),
        totals=driver.core.books.totals(),
        journal=driver.journal.entries,
        ended=tuple(driver.ended),
        left=tuple(driver.left),
        notes=tuple(driver.notes),
        total_cost=_total_cost(driver, parts, inputs.settings.currency),
        cost_per_side=_cost_per_side(parts, bars, first),
        bars_per_year=inputs.bars_per_year,
    )


def pass_history(
    driver: Driver,
    bars: Panel,
    first: int,
    every: int,
    progress: Progress | None = None,
    *,
    facts: Sequence[Fact] = (),
) -> None:
    """Feed a driver all bars from a position on, with a decision at every so many, and the facts of the run."""
    told = first

    def news(reached: int) -> None:
        nonlocal told
        if progress is not None and (reached - told >= _BARS_PER_NEWS or reached == bars.shape[1]):
            told = reached
            progress("backtest", reached - first, bars.shape[1] - first)

    for piece in history_pieces(bars, first, every, facts):
        if isinstance(piece, range):
            for reached in driver.pass_bars(piece, every):
                news(reached)
        else:
            driver.apply(piece)
            if isinstance(piece, BarsClosed):
                news(piece.position + 1)


def _repriced(driver: Driver, currency: str, first: int, factor: Decimal) -> FloatArray:
    """Return the equity of the same journal with all costs multiplied, (T,)."""
    curve = driver.net.copy()
    books = Books("backtest", currency, allow_short=True)
    now, value = first, math.nan  # equity of the newest mark; NaN once something else has happened
    for entry in reprice(driver.journal.entries, factor):
        books.apply(entry)
        if isinstance(entry, Marked):
            if entry.prices or driver.rates[now] or math.isnan(value):
                value = float(books.equity(rates=driver.rates[now]))
            curve[now] = value
            now += 1
        else:
            value = math.nan
    return curve


def _with_haircut(driver: Driver, booked: float) -> FloatArray:
    """Return equity with every ended listing booked 30 % below its last print from then on, or as it was if lower."""
    curve = driver.net.copy()
    for _, position, value in driver.ended:
        curve[position:] -= value * max(0.0, booked - _SEVERE.delisting_return)
    return curve


def _with_jumps(driver: Driver) -> FloatArray:
    """Return equity with every unexplained jump booked before which a name was left, (T,)."""
    curve = driver.net.copy()
    for _, position, money in driver.left:
        curve[position:] += money
    return curve


def _total_cost(driver: Driver, parts: Parts, currency: str) -> Decimal:
    """Return all costs booked; what was paid in another currency counts at the rate at which the books end."""
    rates = driver.rates.get(max(driver.rates, default=0), {})
    total = Decimal(0)
    for one in sorted({currency, *(each.currency for each in parts.instruments)}):
        sums = driver.core.books.totals(one)
        paid = sums.fees + sums.slippage + sums.holding
        total += paid if one == currency else paid * rates.get(one, Decimal(0))
    return total


def _cost_per_side(parts: Parts, bars: Panel, first: int) -> float:
    """Return half the mean expected round trip over the names that trade at the first decision, at its prices."""
    if first >= len(bars.end):
        return 0.0
    at, close = int(bars.end[first]), bars.field("close")[:, first]
    fractions = [
        parts.costs.round_trip_fraction(float(price), at, one)
        for one, price in zip(parts.instruments, close, strict=True)
        if math.isfinite(price)
    ]
    return float(np.mean(fractions)) / 2 if fractions else 0.0
