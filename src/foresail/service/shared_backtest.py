"""A backtest of an account as ``paper`` builds it: several strategies that are netted, large orders in slices.

The parts are those of the account (``Stream.parts``), so that backtest, paper and parity cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.events import BarsClosed
from foresail.domain.orders import Fill
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, Desk, ReviewedOrder, TradingParts
from foresail.engine.trading.shell import Shell
from foresail.ledger.books import Books
from foresail.ledger.entries import Entry
from foresail.ledger.journal import Journal
from foresail.ledger.repricing import reprice
from foresail.ledger.trades import Trade, trades
from foresail.portfolio.attribution import strategy_profits
from foresail.protocols import Progress
from foresail.service.stream import Stream

__all__ = ["SharedBacktest", "run_shared_backtest"]

_BARS_PER_NEWS = 250


@dataclass(frozen=True, slots=True, eq=False)
class SharedBacktest:
    """What came of it, named as in ``engine.backtest.Backtest``.

    Attributes
    ----------
    net : (T,) equity at each close
    gross, net_2x : (1,) equity at the end without costs and at twice the costs
    orders : every order of the desks after the gate
    profits : strategy -> profit as text, the empty name is what no strategy owns; empty for one strategy
    """

    net: FloatArray
    gross: FloatArray
    net_2x: FloatArray
    orders: tuple[ReviewedOrder, ...]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    journal: tuple[Entry, ...]
    total_cost: Decimal
    bars_per_year: float
    profits: Mapping[str, str]


def run_shared_backtest(stream: Stream, *, progress: Progress) -> SharedBacktest:
    """Run the strategies of a stream over its bars on one account."""
    parts, link = stream.parts(account="backtest", environment="backtest")
    orders: list[ReviewedOrder] = []
    fills: list[Fill] = []

    def watch(desk: Desk, at: int, decision: Decision, reviewed: tuple[ReviewedOrder, ...]) -> None:
        del desk, at, decision
        orders.extend(reviewed)

    parts = replace(parts, watch=watch)
    core = TradingCore(parts, journal := Journal())
    shell = Shell(core, link, heard=lambda report: None if report.fill is None else fills.append(report.fill))
    bars = stream.inputs.data.bars
    net = np.full(bars.shape[1], float(stream.settings.capital))
    stream.begin(core)
    for event in stream.events():
        shell.apply(event)
        if isinstance(event, BarsClosed):
            net[event.position] = float(core.books.equity(rates=parts.market.rates()))
            if event.position % _BARS_PER_NEWS == 0:
                progress("backtest", event.position, bars.shape[1])
    progress("backtest", bars.shape[1], bars.shape[1])
    return SharedBacktest(
        net,
        _repriced(journal.entries, parts, Decimal(0)),
        _repriced(journal.entries, parts, Decimal(2)),
        tuple(orders),
        tuple(fills),
        tuple(trades(journal.entries, bars.end.tolist())),
        journal.entries,
        _total_cost(core, parts),
        stream.inputs.bars_per_year,
        _profits(journal.entries, parts),
    )


def _profits(entries: tuple[Entry, ...], parts: TradingParts) -> dict[str, str]:
    """Return the profit of each strategy; none where names are quoted in several currencies."""
    if not parts.strategies or any(one.currency != parts.currency for one in parts.instruments.values()):
        return {}
    found = strategy_profits(entries, parts.strategies, parts.instruments, parts.currency)
    return {name: f"{float(np.sum(one)):.2f}" for name, one in found.items()}


def _repriced(entries: tuple[Entry, ...], parts: TradingParts, factor: Decimal) -> FloatArray:
    """Return the equity at the end of the same journal with all costs multiplied, (1,)."""
    books = Books("backtest", parts.currency, allow_short=True)
    for entry in reprice(entries, factor):
        books.apply(entry)
    return np.array([float(books.equity(rates=parts.market.rates()))])


def _total_cost(core: TradingCore, parts: TradingParts) -> Decimal:
    """Return all costs booked; what was paid in another currency counts at the rate at which the books end."""
    rates, total = parts.market.rates(), Decimal(0)
    for one in sorted({parts.currency, *(each.currency for each in parts.instruments.values())}):
        sums = core.books.totals(one)
        paid = sums.fees + sums.slippage + sums.holding
        total += paid if one == parts.currency else paid * rates.get(one, Decimal(0))
    return total
