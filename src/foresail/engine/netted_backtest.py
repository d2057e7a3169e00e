"""A backtest of several strategies on one account: one pass through history, netted, with the profit of each.

It runs the same core, gate, venue and netting as an account on disk (``trading.netted``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError
from foresail.domain.events import BarsClosed
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.risk_facts import risk_facts
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve, with_sleeves
from foresail.engine.trading.shell import Shell
from foresail.ledger.books import Totals
from foresail.ledger.entries import Entry
from foresail.ledger.journal import Journal
from foresail.ledger.strategies import StrategyBooks
from foresail.portfolio.attribution import strategy_profits

__all__ = ["NettedBacktest", "run_netted_backtest"]


@dataclass(frozen=True, slots=True, eq=False)
class NettedBacktest:
    """What came of it.

    Attributes
    ----------
    net : (T,) equity at each close, account currency; the capital before the first bar
    profits : strategy -> (bars from the first,) profit from close to close; the empty name is the house
    books : of the strategies, at the end
    """

    net: FloatArray
    profits: dict[str, FloatArray]
    fills: tuple[Fill, ...]
    totals: Totals
    journal: tuple[Entry, ...]
    books: StrategyBooks


def run_netted_backtest(
    inputs: BacktestInputs, sleeves: Sequence[Sleeve], *, first: int = 0, limits: TradingLimits | None = None
) -> NettedBacktest:
    """Run several strategies over history on one account.

    Parameters
    ----------
    first : time position of the first event
    limits : of breakers and of the gate of an account that trades; None = none of them

    Raises
    ------
    ConfigError
        If the sleeves do not fit together, or instruments are quoted in several currencies.
    """
    data, settings = inputs.data, inputs.settings
    if not sleeves:
        raise ConfigError("expected at least one strategy", hint="Sleeve(strategy, share=Decimal(1))")
    built = build_parts(data.bars, data.bar_set, settings, strategy=sleeves[0].strategy, explain=None)
    parts, link = history_parts(inputs, built, limits=limits)
    parts = with_sleeves(parts, sleeves)
    journal, fills = Journal(), list[Fill]()
    core = TradingCore(parts, journal)
    shell = Shell(core, link, heard=lambda report: fills.append(report.fill) if report.fill is not None else None)
    net = np.full(data.bars.shape[1], float(settings.capital))
    core.begin(int(data.bars.start[first]), settings.capital)
    facts = risk_facts(data, limits, first)
    for event in history_events(data.bars, first, parts.desks[0].every, facts):
        shell.apply(event)
        if isinstance(event, BarsClosed):
            net[event.position] = float(core.books.equity(rates=parts.market.rates()))
    books = core.strategies
    if books is None:
        raise ConfigError("the account keeps no books of strategies", hint="build its parts with with_sleeves")
    profits = strategy_profits(journal.entries, parts.strategies, parts.instruments, settings.currency)
    return NettedBacktest(net, profits, tuple(fills), core.books.totals(), journal.entries, books)
