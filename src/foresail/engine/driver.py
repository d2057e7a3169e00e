"""The history driver: the trading core with its journal in memory and the simulated venue as its link.

For every bar, in this order: corporate actions at its start, the venue's fills up to its end, then, once the bar is
known, the decision timer. An order leaves with the first bar whose start is not before the decision. The driver feeds
events and gathers what reports need; every decision about money is the core's (``engine.trading``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account
from foresail.domain.actions import DelistingRule
from foresail.domain.events import BarsClosed, Event, OrderEvent, VenueReport
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill
from foresail.domain.panel import Panel
from foresail.domain.signals import Signal
from foresail.engine.parts import Parts, trading_gate
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.desk import DeskStages, StrategyDesk
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import Decision, Desk, ReviewedOrder, TradingParts
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink, VenueRules
from foresail.engine.view import AsOfView, WholeRun
from foresail.engine.walkforward import WalkForward
from foresail.ledger.journal import Journal

__all__ = ["BacktestInputs", "Driver", "history_parts"]


@dataclass(frozen=True, slots=True, eq=False)
class BacktestInputs:
    """What the driver needs besides the strategy.

    Attributes
    ----------
    features : (N, T, F), rows aligned with the bars
    reference : name -> (T,) value known at each row
    """

    data: MarketData
    settings: PipelineSettings
    features: Panel
    reference: dict[str, FloatArray]
    walk: WalkForward
    bars_per_year: float


def history_parts(
    inputs: BacktestInputs,
    parts: Parts,
    *,
    account: str = "backtest",
    environment: str = "backtest",
    limits: TradingLimits | None = None,
) -> tuple[TradingParts, SimulatedLink]:
    """Return what a core on stored bars is made of, and the venue that reads the same bars.

    Parameters
    ----------
    account, environment : go into the ids of orders and the first entry of the journal
    limits : of breakers; None = none trips
    """
    settings, data = inputs.settings, inputs.data
    market = PanelMarket(data.bars, parts.by_id, settings.currency)
    run = WholeRun(data.bars, inputs.features, inputs.walk.block, inputs.reference)
    issued = {int(p): i for i, p in enumerate(inputs.walk.block.position)}
    names = data.bars.instruments

    def view(position: int, account: Account) -> AsOfView:
        is_blocked = data.blocked_from <= position
        return AsOfView(
            run,
            position=position,
            cause="decision",
            index=issued.get(position, -1),
            holdings=account,
            blocked=frozenset(name for name, blocked in zip(names, is_blocked, strict=True) if blocked),
        )

    planner = (
        parts.planner if environment == parts.planner.environment else replace(parts.planner, environment=environment)
    )
    stages = DeskStages(view, parts.by_id, parts.allocator, planner)
    trading = TradingParts(
        environment=environment,
        account=account,
        currency=settings.currency,
        instruments=parts.by_id,
        market=market,
        desks=(StrategyDesk(parts.strategy, stages),),
        gate=parts.gate if limits is None else trading_gate(parts, limits),
        allow_short=parts.limits.shorting,
        holding_cost=parts.costs.holding_cost,
        limits=limits,
    )
    rules = VenueRules(
        data.bar_set.asset_class, data.blocked_from, data.universe, DelistingRule(settings.delisting_return)
    )
    return trading, SimulatedLink(parts.venue, market, rules)


class Driver:
    """One pass through history; what it gathers is read once the last event is applied.

    Attributes
    ----------
    core : the account
    net, cash, exposure : (T,) equity, cash and gross share of equity invested at each close
    rates : time position -> account currency per unit of other currencies, as marked there
    weights : (decided_at, instrument) -> target weight after caps
    notes : (decided_at, instrument, text) on what was cut or left out
    """

    def __init__(self, inputs: BacktestInputs, parts: Parts, limits: TradingLimits | None = None) -> None:
        settings = inputs.settings
        t = inputs.data.bars.shape[1]
        trading, self.link = history_parts(inputs, parts, limits=limits)
        self._capital, self._by_id = settings.capital, parts.by_id
        self.journal = Journal()
        self.core = TradingCore(replace(trading, watch=self._on_decision, is_audited=False), self.journal)
        self._shell = Shell(self.core, self.link, heard=self._heard)
        self.net: FloatArray = np.full(t, float(settings.capital))
        self.cash: FloatArray = self.net.copy()
        self.exposure: FloatArray = np.zeros(t)
        self.rates: dict[int, dict[str, Decimal]] = {}
        self.signals: list[Signal] = []
        self.weights: dict[tuple[int, InstrumentId], float] = {}
        self.orders: list[ReviewedOrder] = []
        self.fills: list[Fill] = []
        self.notes: list[tuple[int, InstrumentId, str]] = []

    @property
    def order_events(self) -> list[OrderEvent]:
        """What happened to orders besides fills."""
        return self.link.events

    @property
    def ended(self) -> list[tuple[InstrumentId, int, float]]:
        """(instrument, position, value at the last print) of listings that ended while held."""
        return self.link.ended

    @property
    def left(self) -> list[tuple[InstrumentId, int, float]]:
        """(instrument, position, money) of names left before an unexplained jump, with what it would have made."""
        return self.link.left

    def deposit(self, at: int) -> None:
        """Pay in the capital; where limits hold, say which."""
        self.core.begin(at, self._capital)

    def apply(self, event: Event) -> None:
        """Apply the next event: the venue first, then the core, then what the core wants done."""
        self._shell.apply(event)
        if isinstance(event, BarsClosed):
            self._gather(event.position)

    def _heard(self, report: VenueReport) -> None:
        if report.fill is not None:
            self.fills.append(report.fill)

    def _gather(self, now: int) -> None:
        """Note equity, cash and exposure at a close."""
        books = self.core.books
        rates = self.rates[now] = dict(self.core.parts.market.rates())
        equity = float(books.equity(rates=rates))
        self.net[now] = equity
        self.cash[now] = float(books.cash)
        held, marks = books.positions(), books.marks
        gross = sum(
            abs(float(p.quantity * marks[p.instrument]))
            * float(rates.get(self._by_id[p.instrument].currency, Decimal(1)))
            for p in held
        )
        self.exposure[now] = gross / equity if equity > 0 else 0.0

    def _on_decision(self, desk: Desk, at: int, decision: Decision, reviewed: tuple[ReviewedOrder, ...]) -> None:
        del desk
        self.signals.extend(decision.signals)
        self.orders.extend(reviewed)
        for name, weight in decision.weights:
            self.weights[at, name] = weight
        self.notes.extend((at, name, text) for name, text in decision.notes)
