"""The history driver: events in their one total order through strategy, sizing, gate, venue and books.

For every bar, in this order: corporate actions at its start, the venue's fills up to its end, then, once the bar is known,
the decision timer. An order leaves with the first bar whose start is not before the decision. Gross and twice-cost equity are
the same journal with costs multiplied by 0 and 2: decisions stay as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, order_id
from foresail.domain.accounts import Account
from foresail.domain.events import BarsClosed, Event, Fact, OrderEvent, Rank, Timer, event_key
from foresail.domain.orders import Fill, FillReason, Order, OrderKind, Ruling
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Signal, TargetWeights
from foresail.engine.parts import Parts, build_parts
from foresail.engine.rates import account_rates
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.view import AsOfView
from foresail.engine.walkforward import WalkForward
from foresail.execution.planner import PlanRequest, plan_weights
from foresail.ledger.books import Books, Totals
from foresail.ledger.journal import (
    Deposited,
    DividendPaid,
    Entry,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    Journal,
    Marked,
    SplitApplied,
)
from foresail.ledger.repricing import reprice
from foresail.ledger.trades import Trade, trades
from foresail.protocols import Strategy

__all__ = ["Backtest", "BacktestInputs", "ReviewedOrder", "run_backtest"]

ENDED_AFTER_BARS = 10  # a held name without a print for so long has ended
ENDED_HAIRCUT = Decimal("0.30")  # of the last print, in the repeated result

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class BacktestInputs:
    """What the driver needs besides the strategy."""

    data: MarketData
    settings: PipelineSettings
    features: Panel
    reference: dict[str, FloatArray]
    walk: WalkForward
    bars_per_year: float


@dataclass(frozen=True, slots=True)
class ReviewedOrder:
    """An order as planned, with the quantity that the gate let pass and the rulings that cut it."""

    order: Order
    allowed: Decimal
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What came of a backtest.

    Attributes
    ----------
    first : time position of the first decision; equity stands at the capital until then
    net, gross, net_2x, net_haircut : (T,) equity at each close, account currency; ``net_haircut`` books ended listings
        30 % below their last print
    cash : (T,); exposure : (T,) gross share of equity invested
    weights : (decided_at, instrument) -> target weight after caps
    totals : running sums of the account's currency at the end
    ended : (instrument, position, value) of listings closed at their last print
    cost_per_side : mean expected cost of one side, fraction of value, for the comparators
    """

    first: int
    net: FloatArray
    gross: FloatArray
    net_2x: FloatArray
    net_haircut: FloatArray
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
    notes: tuple[tuple[int, InstrumentId, str], ...]
    cost_per_side: float
    bars_per_year: float

    @property
    def total_cost(self) -> Decimal:
        """Fees, slippage and holding costs booked, account currency."""
        return self.totals.fees + self.totals.slippage + self.totals.holding


def history_events(bars: Panel, first: int, every: int) -> Iterator[Event]:
    """Return the events of a backtest from position ``first`` on, in the one total order."""
    t = bars.shape[1]
    events: list[Event] = []
    dividend = bars.field("dividend") if "dividend" in bars.fields else np.full(bars.shape[:2], np.nan)
    split = bars.field("split") if "split" in bars.fields else np.full(bars.shape[:2], np.nan)
    for kind, values, nothing in (("split", split, 1.0), ("dividend", dividend, 0.0)):
        for i, now in np.argwhere(np.isfinite(values) & (values != nothing)):
            if now > first:
                at = int(bars.start[now])
                events.append(
                    Fact(
                        at, at, Rank.CORPORATE_ACTION, kind, bars.instruments[i], int(now), kind, float(values[i, now])
                    )
                )
    for now in range(first, t):
        end = int(bars.end[now])
        events.append(BarsClosed(end, end, Rank.VENUE_FILL, sequence=now, frame=bars.frame, position=now))
        if now % every == 0:
            events.append(Timer(int(bars.available_at[now]), end, Rank.DECISION, sequence=now, name="decision"))
    return iter(sorted(events, key=event_key))


@dataclass(slots=True)
class _State:
    """Everything that changes while events pass."""

    journal: Journal
    books: Books
    memory: object
    waiting: list[Order] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    weights: dict[tuple[int, InstrumentId], float] = field(default_factory=dict)
    orders: list[ReviewedOrder] = field(default_factory=list)
    order_events: list[OrderEvent] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    ended: list[tuple[InstrumentId, int, float]] = field(default_factory=list)
    notes: list[tuple[int, InstrumentId, str]] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    last_end: int = 0


@dataclass(frozen=True, slots=True)
class _RiskView:
    """What the gate sees (``protocols.RiskView``)."""

    account: Account
    prices: dict[InstrumentId, float]
    sectors: dict[InstrumentId, str]

    def price(self, instrument: InstrumentId) -> float:
        return self.prices.get(instrument, math.nan)

    def sector(self, instrument: InstrumentId) -> str:
        return self.sectors.get(instrument, instrument)


class _Driver:
    """Applies one event after another."""

    def __init__(self, inputs: BacktestInputs, parts: Parts, every: int) -> None:
        self._in, self._parts, self._every = inputs, parts, every
        self._bars = inputs.data.bars
        self._names = self._bars.instruments
        self._row = {name: i for i, name in enumerate(self._names)}
        self._sectors = {one.id: one.sector for one in parts.instruments}
        self._last = np.full(len(self._names), np.nan)
        self._silent = np.zeros(len(self._names), dtype=np.int64)
        t = self._bars.shape[1]
        capital = float(inputs.settings.capital)
        self.net, self.cash = np.full(t, capital), np.full(t, capital)
        self.exposure = np.zeros(t)
        self._foreign = any(one.currency != inputs.settings.currency for one in parts.instruments)
        self.rates: dict[int, dict[str, Decimal]] = {}
        self._issued = {int(p): i for i, p in enumerate(inputs.walk.block.position)}

    # -- corporate actions ------------------------------------------------------------------------------------------

    def on_fact(self, state: _State, event: Fact) -> None:
        """Book a split or dividend on what is held; levels and waiting orders are restated by the venue."""
        name = event.instrument
        if name is None:
            return
        i = self._row[name]
        if event.kind == "split":
            ratio = Decimal(repr(event.value))
            self._last[i] /= event.value
            self._parts.venue.apply_split(name, ratio)
            if math.isfinite(self._last[i]):
                price = self._exact(name, float(self._last[i]))
                lot = self._parts.by_id[name].lot
                self._book(state, SplitApplied(event.available_at, len(state.journal), name, ratio, price, lot))
        elif state.books.quantity(name) != 0:
            per_unit = Decimal(repr(round(event.value, 8)))
            self._book(state, DividendPaid(event.available_at, len(state.journal), name, per_unit))

    # -- the venue's bar ----------------------------------------------------------------------------------------------

    def on_bar(self, state: _State, event: BarsClosed) -> None:
        """Let the venue match a bar, book what was filled, charge for holding, mark the books."""
        now, bars = event.position, self._bars
        start, end = int(bars.start[now]), int(bars.end[now])
        self._release(state, start)
        column = bars.values[:, now]
        present = bars.present[:, now] & (now < self._in.data.blocked_from)
        at = {name: bars.index(name) for name in ("open", "high", "low", "close", "volume", "spread")}
        fills = self._parts.venue.step(
            now,
            end,
            *(np.ascontiguousarray(column[:, at[name]]) for name in ("open", "high", "low", "close", "volume")),
            present,
            start_ns=start,
            spread=np.ascontiguousarray(column[:, at["spread"]]),
        )
        self._charge_holding(state, start)
        for fill in fills:
            self._fill(state, fill)
        state.order_events.extend(self._parts.venue.take_events())
        close = column[:, at["close"]]
        seen = bars.present[:, now] & np.isfinite(close)
        self._last = np.where(seen, close, self._last)
        self._silent = np.where(seen, 0, self._silent + 1)
        self._end_listings(state, now, end)
        self._mark(state, now, end)

    def _release(self, state: _State, start: int) -> None:
        """Send the orders whose decision is not after the start of this bar."""
        due = [order for order in state.waiting if order.decided_at <= start]
        state.waiting = [order for order in state.waiting if order.decided_at > start]
        for order in due:
            self._parts.venue.submit(order)

    def _fill(self, state: _State, fill: Fill) -> None:
        one = self._parts.by_id[fill.instrument]
        at = max(fill.filled_at, state.books.at)
        self._book(state, FillBooked(at, len(state.journal), fill, one.multiplier, one.currency))
        state.fills.append(fill)

    def _charge_holding(self, state: _State, until: int) -> None:
        """Charge what positions cost since the last bar, at the last known price (COST-10)."""
        since, state.last_end = state.last_end, until
        if since == 0:
            return
        for position in state.books.positions():
            i = self._row[position.instrument]
            one = self._parts.by_id[position.instrument]
            if not math.isfinite(self._last[i]):
                continue
            notional = abs(position.quantity) * self._exact(position.instrument, float(self._last[i]))
            amount = self._parts.costs.holding_cost(position, notional, since, until)
            if amount:
                kind = HoldingKind.FUNDING if one.kind == "perp" else HoldingKind.BORROW
                at = max(until, state.books.at)
                self._book(
                    state, HoldingCharged(at, len(state.journal), amount, kind, position.instrument, one.currency)
                )

    def _end_listings(self, state: _State, now: int, end: int) -> None:
        for i in np.flatnonzero(self._silent == ENDED_AFTER_BARS):
            name = self._names[i]
            if state.books.quantity(name) == 0 or not math.isfinite(self._last[i]):
                continue
            last = float(self._last[i])
            fill = self._parts.venue.close_out(name, self._exact(name, last), FillReason.DELISTED, at_ns=end)
            if fill is not None:
                self._fill(state, fill)
                state.ended.append((name, now, float(fill.quantity * fill.price)))

    def _mark(self, state: _State, now: int, end: int) -> None:
        held = state.books.positions()
        prices = {p.instrument: self._exact(p.instrument, float(self._last[self._row[p.instrument]])) for p in held}
        self._book(state, Marked(end, len(state.journal), tuple(sorted(prices.items()))))
        rates = self.rates[now] = self._rates()
        equity = float(state.books.equity(rates=rates))
        self.net[now] = equity
        self.cash[now] = float(state.books.cash)
        gross = sum(
            abs(float(p.quantity * prices[p.instrument]))
            * float(rates.get(self._parts.by_id[p.instrument].currency, Decimal(1)))
            for p in held
        )
        self.exposure[now] = gross / equity if equity > 0 else 0.0

    # -- decisions ----------------------------------------------------------------------------------------------------

    def on_timer(self, state: _State, event: Timer) -> None:
        """Ask the strategy, size, plan, review; what passes waits for the next bar."""
        now = event.sequence
        rates = self._rates()
        account = state.books.account(at=event.available_at, rates=rates)
        if account.equity <= 0:
            return
        view = self._view(now, account)
        intents = self._parts.strategy.step(state.memory, view)
        state.signals.extend(intent for intent in intents if isinstance(intent, Signal))
        targets = self._parts.allocator.targets(intents, view, rates=rates)
        for intent in intents:
            if isinstance(intent, Cancel):
                self._parts.venue.cancel(intent.instrument, at_ns=event.available_at)
        orders = self._direct(intents, account, event.available_at)
        if targets is not None:
            orders = (*self._plan(state, targets, account, event.available_at), *orders)
        self._review(state, orders, account)

    def _view(self, now: int, account: Account) -> AsOfView:
        blocked = {n for n, b in zip(self._names, self._in.data.blocked_from <= now, strict=True) if b}
        return AsOfView(
            position=now,
            cause="decision",
            whole_bars=self._bars,
            whole_features=self._in.features,
            block=self._in.walk.block,
            index=self._issued.get(now, -1),
            reference=self._in.reference,
            holdings=account,
            blocked=frozenset(blocked),
        )

    def _plan(self, state: _State, targets: TargetWeights, account: Account, at: int) -> Sequence[Order]:
        venue = self._parts.venue
        spec = self._parts.strategy.spec.id.partition("@")
        for name, weight in zip(targets.instruments, targets.weights, strict=True):
            state.weights[at, name] = weight
        pending: dict[InstrumentId, Decimal] = {}
        for order in venue.open_orders:
            pending[order.instrument] = venue.open_quantity(order.instrument)
        prices = {name: float(p) for name, p in zip(self._names, self._last, strict=True)}
        request = PlanRequest(
            account=account,
            prices=prices,
            instruments=self._parts.by_id,
            decided_at=at,
            strategy=spec[0],
            version=spec[2] or "1",
            pending=pending,
            rates=self._rates(),
        )
        plan = plan_weights(targets, request, self._parts.planner)
        for name, stop, target in plan.levels:
            venue.attach(name, stop, target)
        state.notes.extend((at, name, text) for name, text in (*targets.notes, *plan.notes))
        return plan.orders

    def _direct(self, intents: Sequence[Intent], account: Account, at: int) -> tuple[Order, ...]:
        """Return the orders that a strategy asked for itself."""
        strategy, _, version = self._parts.strategy.spec.id.partition("@")
        orders = []
        for intent in intents:
            if not isinstance(intent, OrderIntent):
                continue
            if intent.instrument not in self._row:
                raise ConfigError(f"strategy {strategy} asks for {intent.instrument}, which is not in the set")
            identity = order_id(
                environment="backtest",
                account=account.id,
                strategy=strategy,
                version=version or "1",
                decided_at_ns=at,
                leg=f"{intent.instrument}:{intent.leg}",
            )
            orders.append(
                Order(
                    identity, intent.instrument, intent.side, intent.quantity, OrderKind(intent.kind), at,
                    limit_price=intent.limit_price, stop_price=intent.stop_price, target_price=intent.target_price,
                )
            )  # fmt: skip
        return tuple(orders)

    def _review(self, state: _State, orders: Sequence[Order], account: Account) -> None:
        rates = self._rates()
        prices = {name: float(p) for name, p in zip(self._names, self._last, strict=True)}
        told = list(orders)
        if self._foreign:  # limits are compared in the account's currency, levels included
            by_name = {one.id: rates.get(one.currency, Decimal(1)) for one in self._parts.instruments}
            prices = {name: price * float(by_name[name]) for name, price in prices.items()}
            told = [_converted(order, by_name[order.instrument]) for order in orders]
        reviewed = self._parts.gate.review(told, _RiskView(account, prices, self._sectors))
        for order, (allowed, rulings) in zip(orders, reviewed, strict=True):
            state.orders.append(ReviewedOrder(order, allowed.quantity, rulings))
            if allowed.quantity > 0:
                state.waiting.append(replace(order, quantity=allowed.quantity))

    def _rates(self) -> dict[str, Decimal]:
        return account_rates(self._names, self._last, self._in.settings.currency) if self._foreign else {}

    # -- books ----------------------------------------------------------------------------------------------------------

    def _exact(self, name: InstrumentId, price: float) -> Decimal:
        tick = self._parts.by_id[name].tick
        return max(tick, Decimal(round(price / float(tick))) * tick)

    @staticmethod
    def _book(state: _State, entry: Entry) -> None:
        state.journal.append(entry)
        state.books.apply(entry)


def _converted(order: Order, rate: Decimal) -> Order:
    """Return an order with its levels in the account's currency."""
    levels = {n: getattr(order, n) for n in ("limit_price", "stop_price", "target_price")}
    return replace(order, **{n: None if v is None else v * rate for n, v in levels.items()})


def run_backtest(
    inputs: BacktestInputs, *, strategy: Strategy | None = None, progress: Progress | None = None
) -> Backtest:
    """Run a strategy over history and return what came of it.

    Parameters
    ----------
    strategy : a plug-in; None takes the default strategy, which trades the forecasts
    """
    bars, settings = inputs.data.bars, inputs.settings
    parts = build_parts(bars, inputs.data.bar_set, settings, strategy=strategy, explain=inputs.walk.explain)
    every = parts.strategy.spec.every
    positions = inputs.walk.block.position
    first = int(positions[0]) if len(positions) else bars.shape[1]
    driver = _Driver(inputs, parts, every)
    state = _State(
        Journal(), Books("backtest", settings.currency, allow_short=parts.limits.shorting), parts.strategy.start()
    )
    if first < bars.shape[1]:
        driver._book(state, Deposited(int(bars.start[first]), 0, settings.capital, settings.currency))
        _pass_events(driver, state, history_events(bars, first, every), bars.shape[1] - first, progress)
    ends = [int(end) for end in bars.end]
    return Backtest(
        first=first,
        net=driver.net,
        gross=_repriced(driver, state, first, Decimal(0)),
        net_2x=_repriced(driver, state, first, Decimal(2)),
        net_haircut=_with_haircut(driver, state),
        cash=driver.cash,
        exposure=driver.exposure,
        signals=tuple(state.signals),
        weights=state.weights,
        orders=tuple(state.orders),
        order_events=tuple(state.order_events),
        fills=tuple(state.fills),
        trades=tuple(trades(state.journal.entries, ends)),
        totals=state.books.totals(),
        journal=state.journal.entries,
        ended=tuple(state.ended),
        notes=tuple(state.notes),
        cost_per_side=_cost_per_side(parts, driver, bars),
        bars_per_year=inputs.bars_per_year,
    )


def _pass_events(driver: _Driver, state: _State, events: Iterator[Event], bars: int, progress: Progress | None) -> None:
    done = 0
    for event in events:
        if isinstance(event, Timer):
            driver.on_timer(state, event)
        elif isinstance(event, BarsClosed):
            driver.on_bar(state, event)
            done += 1
            if progress is not None and (done % 50 == 0 or done == bars):
                progress("backtest", done, bars)
        elif isinstance(event, Fact):
            driver.on_fact(state, event)


def _repriced(driver: _Driver, state: _State, first: int, factor: Decimal) -> FloatArray:
    """Return the equity of the same journal with all costs multiplied, (T,)."""
    curve = driver.net.copy()
    books = Books("backtest", driver._in.settings.currency, allow_short=True)
    now = first
    for entry in reprice(state.journal.entries, factor):
        books.apply(entry)
        if isinstance(entry, Marked):
            curve[now] = float(books.equity(rates=driver.rates[now]))
            now += 1
    return curve


def _with_haircut(driver: _Driver, state: _State) -> FloatArray:
    """Return equity with every ended listing booked 30 % below its last print from then on, (T,)."""
    curve = driver.net.copy()
    for _, position, value in state.ended:
        curve[position:] -= value * float(ENDED_HAIRCUT)
    return curve


def _cost_per_side(parts: Parts, driver: _Driver, bars: Panel) -> float:
    """Return half the mean expected round trip over the names, at their last known prices and the middle of time."""
    middle = int(bars.end[len(bars.end) // 2])
    fractions = [
        parts.costs.round_trip_fraction(float(price), middle, one)
        for one, price in zip(parts.instruments, driver._last, strict=True)
        if math.isfinite(price)
    ]
    return float(np.mean(fractions)) / 2 if fractions else 0.0
