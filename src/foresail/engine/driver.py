"""The history driver: the trading core with its journal in memory and the simulated venue as its link.

For every bar, in this order: corporate actions at its start, the venue's fills up to its end, then, once the bar is
known, the decision timer. An order leaves with the first bar whose start is not before the decision. The driver feeds
events and gathers what reports need; every decision about money is the core's (``engine.trading``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account, Position
from foresail.domain.actions import DelistingRule
from foresail.domain.books import BookStream
from foresail.domain.events import BarsClosed, Event, OrderEvent, VenueReport
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill
from foresail.domain.panel import Panel
from foresail.domain.signals import Signal
from foresail.engine.history import bar_events
from foresail.engine.parts import Parts, levered_parts, trading_gate
from foresail.engine.rates import carried_costs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.desk import DeskStages, StrategyDesk
from foresail.engine.trading.desk_exits import DeskExits
from foresail.engine.trading.level_keeping import trail_source
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import Decision, Desk, ReviewedOrder, TradingParts
from foresail.engine.trading.quiet import QuietBars, QuietCalls
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink, VenueRules
from foresail.engine.view import AsOfView, WholeRun
from foresail.engine.walkforward import WalkForward
from foresail.execution.planner import PlannerSettings
from foresail.ledger.journal import Journal
from foresail.protocols import Strategy
from foresail.risk.versions import limits_digest
from foresail.signals.strategies.rank_expected_return import RankExpectedReturn

__all__ = ["BacktestInputs", "Driver", "history_parts"]

_NO_RATES: dict[str, Decimal] = {}
_ONE = Decimal(1)
_THIN_DISTANCE = Decimal("0.001")  # EXEC-04: how far beyond the last price a limit order of thin hours may pay


@dataclass(frozen=True, slots=True, eq=False)
class BacktestInputs:
    """What the driver needs besides the strategy.

    Attributes
    ----------
    features : (N, T, F), rows aligned with the bars
    reference : name -> (T,) value known at each row
    books : order books by which orders in a name are filled, in place of its bars
    """

    data: MarketData
    settings: PipelineSettings
    features: Panel
    reference: dict[str, FloatArray]
    walk: WalkForward
    bars_per_year: float
    books: Mapping[InstrumentId, BookStream] = field(default_factory=dict)


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
    limits : of breakers; None = none trips. Those of a profile put stops on what has none (EXIT-01)
    """
    settings, data = inputs.settings, inputs.data
    own = {kind.value: one for kind, one in parts.by_class.items()}  # the profile's: leverage is a limit of its own
    if limits is not None:
        parts = levered_parts(parts, limits, dict(settings.limits))
    market = PanelMarket(data.bars, parts.by_id, settings.currency)
    exits = _exits(inputs, parts, limits, market)
    planner = _planner(parts, environment, limits)
    stages = DeskStages(_views(inputs), parts.by_id, parts.allocator, planner, exits, _least_move(settings, parts))
    trading = TradingParts(
        environment=environment,
        account=account,
        currency=settings.currency,
        instruments=parts.by_id,
        market=market,
        desks=(StrategyDesk(parts.strategy, stages),),
        gate=parts.gate if limits is None else trading_gate(parts, limits),
        allow_short=parts.limits.shorting,
        keeps_stops=exits is not None,
        ranges=market.average_range,
        trail=trail_source(market) if exits is not None and _trails(settings, parts.strategy) else None,
        holding_cost=carried_costs(parts.costs, data.facts).holding_cost,
        transfer_fraction=parts.costs.settings.transfer_fraction * parts.costs.settings.factor,
        margin_cost=parts.costs.margin_cost if parts.limits.cash_floor < 0.0 else None,
        round_trip=lambda name, price, at: parts.costs.round_trip_fraction(price, at, parts.by_id[name]),
        limits=limits,
        limits_digest="" if limits is None else limits_digest(limits, own),
    )
    rules = VenueRules(
        data.bar_set.asset_class,
        data.blocked_from,
        data.universe,
        DelistingRule(settings.delisting_return),
        inputs.books,
    )
    return trading, SimulatedLink(parts.venue, market, rules)


def _views(inputs: BacktestInputs) -> Callable[[int, Account], AsOfView]:
    """Return what shows a strategy the market as it was known at a position."""
    data = inputs.data
    run = WholeRun(data.bars, inputs.features, inputs.walk.block, inputs.reference)
    issued = {int(p): i for i, p in enumerate(inputs.walk.block.position)}
    blocked = _Blocked(data.bars.instruments, data.blocked_from)

    def view(position: int, account: Account) -> AsOfView:
        return AsOfView(
            run,
            position=position,
            cause="decision",
            index=issued.get(position, -1),
            holdings=account,
            blocked=blocked.at(position),
        )

    return view


def _planner(parts: Parts, environment: str, limits: TradingLimits | None) -> PlannerSettings:
    planner = (
        parts.planner if environment == parts.planner.environment else replace(parts.planner, environment=environment)
    )
    if limits is None or limits.market.thin_hours is None:
        return planner
    return replace(planner, limit_distance=_THIN_DISTANCE, thin_hours=limits.market.thin_hours)


def _exits(inputs: BacktestInputs, parts: Parts, limits: TradingLimits | None, market: PanelMarket) -> DeskExits | None:
    """Return what puts stops in, None where no profile's limits hold or the settings want none."""
    trading = inputs.settings.trading
    if limits is None or not limits.profile or trading.stops == "none":
        return None
    return DeskExits(
        parts.by_id,
        inputs.data.bar_set.price_basis,
        trading.stops == "class_and_target",
        may_exceed=trading.exits.may_exceed,
        has_ladders=trading.exits.ladder,
        ranges=market.average_range,
    )


def _trails(settings: PipelineSettings, strategy: Strategy) -> bool:
    return settings.trading.exits.trailing or bool(getattr(strategy.spec, "trailing", False))


def _least_move(settings: PipelineSettings, parts: Parts) -> Callable[[InstrumentId, float, int], float] | None:
    """Return what a signal must expect where the settings ask it to; the built-in strategy asks itself."""
    multiple = settings.trading.costs.multiple
    if multiple is None or isinstance(parts.strategy, RankExpectedReturn):
        return None
    return lambda name, price, at: parts.costs.minimum_target(price, at, parts.by_id[name], multiple=multiple)


class _Blocked:
    """Names that may not be traded at a position; the set is made anew only where it changes."""

    def __init__(self, names: tuple[InstrumentId, ...], blocked_from: IntArray) -> None:
        self._first = dict(zip(names, blocked_from.tolist(), strict=True))
        self._steps = sorted(self._first.values())
        self._count, self._names = 0, frozenset[InstrumentId]()

    def at(self, position: int) -> frozenset[InstrumentId]:
        count = bisect_right(self._steps, position)
        if count != self._count:
            self._count = count
            self._names = frozenset(name for name, first in self._first.items() if first <= position)
        return self._names


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
        self._market = self.link.market
        self._costs, self._is_free = parts.costs, parts.costs.is_free_to_hold
        if trading.margin_cost is not None:
            self._is_free = self._is_free_of_credit
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

    def _is_free_of_credit(self, position: Position) -> bool:
        """Return whether nothing is paid for a position, nor for credit: cash stays what it is while nothing fills."""
        return self.core.books.cash >= 0 and self._costs.is_free_to_hold(position)

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
            self._gather_span(event.position, event.position + 1)

    def pass_bars(self, stretch: range, every: int) -> Iterator[int]:
        """Take in plain bars (``history.history_pieces``), quiet ones together; yield the positions reached."""
        quiet = QuietBars(self._shell, self.link, self._market, QuietCalls(every, self._is_free, self._gather_span))
        now = stretch.start
        while now < stretch.stop:
            reached = quiet.pass_through(now, stretch.stop)
            if reached == now:
                reached = now + 1
                for event in bar_events(self._market.bars, now, every):
                    self.apply(event)
            now = reached
            yield now

    def _heard(self, report: VenueReport) -> None:
        if report.fill is not None:
            self.fills.append(report.fill)

    def _gather_span(self, first: int, last: int) -> None:
        """Note equity, cash and exposure at closes ``first <= t < last``, through which none of them changed."""
        books, market = self.core.books, self._market
        rates = market.rates() if market.is_foreign else _NO_RATES
        equity, gross, marks = float(books.equity(rates=rates)), 0.0, books.last_marks
        for p in books.positions():
            rate = float(rates.get(self._by_id[p.instrument].currency, _ONE)) if rates else 1.0
            gross += abs(float(p.quantity * marks[p.instrument])) * rate
        exposure = gross / equity if equity > 0 else 0.0
        if last - first == 1:
            self.rates[first] = rates
            self.net[first], self.cash[first], self.exposure[first] = equity, float(books.cash), exposure
        else:
            self.rates.update(dict.fromkeys(range(first, last), rates))
            span = slice(first, last)
            self.net[span], self.cash[span], self.exposure[span] = equity, float(books.cash), exposure

    def _on_decision(self, desk: Desk, at: int, decision: Decision, reviewed: tuple[ReviewedOrder, ...]) -> None:
        del desk
        self.signals.extend(decision.signals)
        self.orders.extend(reviewed)
        for name, weight in decision.weights:
            self.weights[at, name] = weight
        self.notes.extend((at, name, text) for name, text in decision.notes)
