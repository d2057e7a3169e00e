"""The history driver: applies one event after another to strategy, sizing, gate, venue and books.

For every bar, in this order: corporate actions at its start, the venue's fills up to its end, then, once the bar is
known, the decision timer. An order leaves with the first bar whose start is not before the decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import from_ns
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, order_id
from foresail.core.numbers import round_tick
from foresail.domain.accounts import Account
from foresail.domain.actions import DelistingRule
from foresail.domain.events import BarsClosed, Event, Fact, OrderEvent, Timer
from foresail.domain.orders import Fill, FillReason, Order, OrderKind, Ruling
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side, Signal, TargetWeights
from foresail.engine.parts import Parts
from foresail.engine.rates import account_rates
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.tradable import absurd_bars
from foresail.engine.view import AsOfView, WholeRun
from foresail.engine.walkforward import WalkForward
from foresail.execution.planner import PlanRequest, plan_weights
from foresail.execution.simulated.venue import VenueBar
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    Entry,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    Marked,
    SplitApplied,
)
from foresail.ledger.journal import Journal

__all__ = ["BacktestInputs", "Driver", "ReviewedOrder"]

_ENDED_AFTER_BARS = 10  # a held name without a print for so long has ended
_PRICES = ("open", "high", "low", "close", "volume", "spread")


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


@dataclass(frozen=True, slots=True)
class ReviewedOrder:
    """An order as planned, with the quantity that the gate let pass and the rulings that cut it."""

    order: Order
    allowed: Decimal
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True)
class _RiskView:
    """What the gate sees (``protocols.RiskView``)."""

    account: Account
    prices: Mapping[InstrumentId, float]
    sectors: Mapping[InstrumentId, str]

    def price(self, instrument: InstrumentId) -> float:
        return self.prices.get(instrument, math.nan)

    def sector(self, instrument: InstrumentId) -> str:
        return self.sectors.get(instrument, instrument)


class Driver:
    """One pass through history; what it gathers is read once the last event is applied.

    Attributes
    ----------
    journal, books : what was booked, and what follows from it
    net, cash, exposure : (T,) equity, cash and gross share of equity invested at each close
    rates : time position -> account currency per unit of other currencies, as marked there
    last : (N,) last print of each instrument, NaN before the first
    weights : (decided_at, instrument) -> target weight after caps
    ended : (instrument, position, value at the last print) of listings that ended while held
    left : (instrument, position, money) of names closed before an unexplained jump, with what the jump would have made
    notes : (decided_at, instrument, text) on what was cut or left out
    """

    def __init__(self, inputs: BacktestInputs, parts: Parts) -> None:
        settings, self._bars = inputs.settings, inputs.data.bars
        n, t, _ = self._bars.shape
        self._inputs, self._parts = inputs, parts
        self._rule = DelistingRule(settings.delisting_return)
        self._names = self._bars.instruments
        self._row = {name: i for i, name in enumerate(self._names)}
        self._column = {name: self._bars.index(name) for name in _PRICES}
        self._tradable = self._bars.present & ~absurd_bars(self._bars, inputs.data.bar_set.asset_class)
        self._sectors = {one.id: one.sector for one in parts.instruments}
        self._is_foreign = any(one.currency != settings.currency for one in parts.instruments)
        self._issued = {int(p): i for i, p in enumerate(inputs.walk.block.position)}
        self._memory: Any = parts.strategy.start()
        self._silent: IntArray = np.zeros(n, dtype=np.int64)
        self._waiting: list[Order] = []
        self._newest = -1  # time position of the newest bar that has closed
        self._charged_until: int | None = None
        self.journal = Journal()
        self.books = Books("backtest", settings.currency, allow_short=parts.limits.shorting)
        self.net: FloatArray = np.full(t, float(settings.capital))
        self.cash: FloatArray = self.net.copy()
        self.exposure: FloatArray = np.zeros(t)
        self.rates: dict[int, dict[str, Decimal]] = {}
        self.last: FloatArray = np.full(n, np.nan)
        self.signals: list[Signal] = []
        self.weights: dict[tuple[int, InstrumentId], float] = {}
        self.orders: list[ReviewedOrder] = []
        self.order_events: list[OrderEvent] = []
        self.fills: list[Fill] = []
        self.ended: list[tuple[InstrumentId, int, float]] = []
        self.left: list[tuple[InstrumentId, int, float]] = []
        self.notes: list[tuple[int, InstrumentId, str]] = []

    def deposit(self, at: int) -> None:
        """Pay in the capital."""
        settings = self._inputs.settings
        self._book(Deposited(at, len(self.journal), settings.capital, settings.currency))

    def apply(self, event: Event) -> None:
        """Apply the next event."""
        if isinstance(event, Timer):
            self._on_timer(event)
        elif isinstance(event, BarsClosed):
            self._on_bar(event)
        elif isinstance(event, Fact):
            self._on_fact(event)

    # -- corporate actions ------------------------------------------------------------------------------------------

    def _on_fact(self, event: Fact) -> None:
        """Book a split or dividend on what is held; levels and waiting orders are restated by the venue."""
        name = event.instrument
        if name is None:
            return
        if event.kind == "split":
            i, ratio = self._row[name], Decimal(repr(event.value))
            self.last[i] /= event.value
            self._parts.venue.apply_split(name, ratio)
            if math.isfinite(self.last[i]):
                lot = self._parts.by_id[name].lot
                self._book(SplitApplied(event.available_at, len(self.journal), name, ratio, self._price(name), lot))
        elif self.books.quantity(name) != 0:
            per_unit = Decimal(repr(round(event.value, 8)))
            self._book(DividendPaid(event.available_at, len(self.journal), name, per_unit))

    # -- the venue's bar ----------------------------------------------------------------------------------------------

    def _on_bar(self, event: BarsClosed) -> None:
        """Let the venue match a bar, book what was filled, charge for holding, mark the books."""
        now, bars = event.position, self._bars
        start, end = int(bars.start[now]), int(bars.end[now])
        self._release(start)
        columns = {name: np.ascontiguousarray(bars.values[:, now, f]) for name, f in self._column.items()}
        self._leave_blocked(now, start)
        present = self._tradable[:, now] & (now < self._inputs.data.blocked_from)
        fills = self._parts.venue.step(VenueBar(now, end, present=present, start=start, **columns))
        self._charge_holding(start)
        for fill in (one for one in fills if one.filled_at <= start):
            self._fill(fill)
        self._charge_holding(end)  # whoever leaves inside the bar has held until then
        for fill in (one for one in fills if one.filled_at > start):
            self._fill(fill)
        self.order_events.extend(self._parts.venue.take_events())
        seen = bars.present[:, now] & np.isfinite(columns["close"])
        self.last = np.where(seen, columns["close"], self.last)
        self._newest = now
        self._silent = np.where(seen, 0, self._silent + 1)
        self._end_listings(now, end)
        self._mark(now, end)

    def _release(self, start: int) -> None:
        """Send the orders whose decision is not after the start of this bar."""
        due = [order for order in self._waiting if order.decided_at <= start]
        self._waiting = [order for order in self._waiting if order.decided_at > start]
        for order in due:
            self._parts.venue.submit(order)

    def _leave_blocked(self, now: int, start: int) -> None:
        """Close what is held of names that may not be traded from this bar on, at the last print before it."""
        for i in np.flatnonzero(self._inputs.data.blocked_from == now):
            before = self.last[i]
            fill = self._close_out(self._names[i], FillReason.EXIT, start)
            after = float(self._bars.field("close")[i, now])
            if fill is not None and math.isfinite(after):
                units = float(fill.quantity) * (1.0 if fill.side is Side.SELL else -1.0)
                self.left.append((self._names[i], now, units * (after - float(before))))

    def _close_out(
        self, name: InstrumentId, reason: FillReason, at: int, *, price: Decimal | None = None
    ) -> Fill | None:
        """Close a position at a price, by default at the last print; None where nothing is held."""
        if self.books.quantity(name) == 0 or not math.isfinite(self.last[self._row[name]]):
            return None
        fill = self._parts.venue.close_out(name, self._price(name) if price is None else price, reason, at_ns=at)
        if fill is not None:
            self._fill(fill)
        return fill

    def _fill(self, fill: Fill) -> None:
        one = self._parts.by_id[fill.instrument]
        at = max(fill.filled_at, self.books.at)
        self._book(FillBooked(at, len(self.journal), fill, one.multiplier, one.currency))
        self.fills.append(fill)

    def _charge_holding(self, until: int) -> None:
        """Charge what positions cost since the last bar, at the last known price (COST-10)."""
        since, self._charged_until = self._charged_until, until
        if since is None:
            return
        for position in self.books.positions():
            name = position.instrument
            one = self._parts.by_id[name]
            if not math.isfinite(self.last[self._row[name]]):
                continue
            notional = abs(position.quantity) * self._price(name)
            amount = self._parts.costs.holding_cost(position, notional, since, until)
            if amount:
                kind = HoldingKind.FUNDING if one.kind == "perp" else HoldingKind.BORROW
                at = max(until, self.books.at)
                self._book(HoldingCharged(at, len(self.journal), amount, kind, name, one.currency))

    def _end_listings(self, now: int, end: int) -> None:
        """Close what is held of names that have been silent for ten bars and are not listed any more, by the rule."""
        silent = [
            p.instrument for p in self.books.positions() if self._silent[self._row[p.instrument]] >= _ENDED_AFTER_BARS
        ]
        universe = self._inputs.data.universe
        listed = frozenset() if universe is None or not silent else frozenset(universe(from_ns(end).date()))
        for name in silent:
            if name in listed:
                continue  # bars are missing, nothing has ended
            last = self._price(name)
            fill = self._close_out(name, FillReason.DELISTED, end, price=self._delisted_price(name, last))
            if fill is not None:
                self.ended.append((name, now, float(fill.quantity * last)))

    def _delisted_price(self, name: InstrumentId, last: Decimal) -> Decimal:
        """Return what a unit pays: a long position by the rule, a short one pays the last print and gains nothing."""
        if self.books.quantity(name) < 0:
            return last
        tick = self._parts.by_id[name].tick
        return max(tick, round_tick(Decimal(repr(self._rule.price(float(last)))), tick))

    def _mark(self, now: int, end: int) -> None:
        held = self.books.positions()
        prices = {position.instrument: self._price(position.instrument) for position in held}
        self._book(Marked(end, len(self.journal), tuple(sorted(prices.items()))))
        rates = self.rates[now] = self._account_rates()
        equity = float(self.books.equity(rates=rates))
        self.net[now] = equity
        self.cash[now] = float(self.books.cash)
        gross = sum(
            abs(float(p.quantity * prices[p.instrument]))
            * float(rates.get(self._parts.by_id[p.instrument].currency, Decimal(1)))
            for p in held
        )
        self.exposure[now] = gross / equity if equity > 0 else 0.0

    # -- decisions ----------------------------------------------------------------------------------------------------

    def _on_timer(self, event: Timer) -> None:
        """Ask the strategy, size, plan, review; what passes waits for the next bar."""
        at, known = event.available_at, self._known_prices(event.sequence)
        rates = self._account_rates(known)
        held = [p.instrument for p in self.books.positions()]
        prices = {name: self._price(name, known) for name in held if math.isfinite(known[self._row[name]])}
        account = self.books.account(at=at, prices=prices, rates=rates)
        if account.equity <= 0:
            return
        view = self._view(event.sequence, account)
        intents = self._parts.strategy.step(self._memory, view)
        self.signals.extend(intent for intent in intents if isinstance(intent, Signal))
        targets = self._parts.allocator.targets(intents, view, rates=rates)
        for intent in intents:
            if isinstance(intent, Cancel):
                self._cancel(intent.instrument, at)
        orders = self._direct(intents, account, at)
        if targets is not None:
            orders = (*self._plan(targets, account, known, rates), *orders)
        self._review(orders, account, known, rates)

    def _cancel(self, name: InstrumentId, at: int) -> None:
        """Take back the orders of an instrument, those at the venue and those that have not left yet."""
        self._parts.venue.cancel(name, at_ns=at)
        self._waiting = [order for order in self._waiting if order.instrument != name]

    def _pending(self) -> dict[InstrumentId, Decimal]:
        """Return signed units on order by instrument: at the venue, and decided but not sent yet."""
        venue = self._parts.venue
        pending = {order.instrument: venue.open_quantity(order.instrument) for order in venue.open_orders}
        for order in self._waiting:
            signed = order.quantity if order.side is Side.BUY else -order.quantity
            pending[order.instrument] = pending.get(order.instrument, Decimal(0)) + signed
        return pending

    def _view(self, now: int, account: Account) -> AsOfView:
        is_blocked = self._inputs.data.blocked_from <= now
        inputs = self._inputs
        return AsOfView(
            WholeRun(self._bars, inputs.features, inputs.walk.block, inputs.reference),
            position=now,
            cause="decision",
            index=self._issued.get(now, -1),
            holdings=account,
            blocked=frozenset(name for name, blocked in zip(self._names, is_blocked, strict=True) if blocked),
        )

    def _plan(
        self, targets: TargetWeights, account: Account, known: FloatArray, rates: Mapping[str, Decimal]
    ) -> Sequence[Order]:
        """Return the orders that lead to target weights; stops and targets are hung on the positions."""
        venue, at = self._parts.venue, account.at
        strategy, version = self._strategy()
        for name, weight in zip(targets.instruments, targets.weights, strict=True):
            self.weights[at, name] = weight
        request = PlanRequest(
            account=account,
            prices=dict(zip(self._names, known.tolist(), strict=True)),
            instruments=self._parts.by_id,
            decided_at=at,
            strategy=strategy,
            version=version,
            pending=self._pending(),
            rates=rates,
        )
        plan = plan_weights(targets, request, self._parts.planner)
        for name, stop, target in plan.levels:
            venue.attach(name, stop, target)
        self.notes.extend((at, name, text) for name, text in (*targets.notes, *plan.notes))
        return plan.orders

    def _direct(self, intents: Sequence[Intent], account: Account, at: int) -> tuple[Order, ...]:
        """Return the orders that a strategy asked for itself."""
        strategy, version = self._strategy()
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
                version=version,
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

    def _review(
        self, orders: Sequence[Order], account: Account, known: FloatArray, rates: Mapping[str, Decimal]
    ) -> None:
        """Let the gate cut or refuse; limits are compared in the account's currency, levels of orders included."""
        prices, asked = dict(zip(self._names, known.tolist(), strict=True)), list(orders)
        if self._is_foreign:
            by_name = {one.id: rates.get(one.currency, Decimal(1)) for one in self._parts.instruments}
            prices = {name: price * float(by_name[name]) for name, price in prices.items()}
            asked = [_converted(order, by_name[order.instrument]) for order in orders]
        reviewed = self._parts.gate.review(asked, _RiskView(account, prices, self._sectors))
        for order, (allowed, rulings) in zip(orders, reviewed, strict=True):
            self.orders.append(ReviewedOrder(order, allowed.quantity, rulings))
            if allowed.quantity > 0:
                self._waiting.append(replace(order, quantity=allowed.quantity))

    def _strategy(self) -> tuple[str, str]:
        """Return the strategy's name and version."""
        name, _, version = self._parts.strategy.spec.id.partition("@")
        return name, version or "1"

    # -- prices and books ---------------------------------------------------------------------------------------------

    def _known_prices(self, position: int) -> FloatArray:
        """Return the last print of each instrument up to a bar, in units of now, (N,).

        A bar may close while an earlier one is not available yet; a decision on the earlier one must not see it.
        """
        if position >= self._newest:
            return self.last
        close = self._bars.field("close")
        seen = np.isfinite(close[:, : position + 1]) & self._bars.present[:, : position + 1]
        newest = position - np.argmax(seen[:, ::-1], axis=1)
        known: FloatArray = np.where(seen.any(axis=1), close[np.arange(len(close)), newest], np.nan)
        if "split" in self._bars.fields:
            since = self._bars.field("split")[:, position + 1 : self._newest + 1]
            known = known / np.where(np.isfinite(since), since, 1.0).prod(axis=1)
        return known

    def _price(self, name: InstrumentId, prices: FloatArray | None = None) -> Decimal:
        """Return the last print (of ``prices`` where given) as a whole number of ticks."""
        tick = self._parts.by_id[name].tick
        price = (self.last if prices is None else prices)[self._row[name]]
        return max(tick, Decimal(round(float(price) / float(tick))) * tick)

    def _account_rates(self, prices: FloatArray | None = None) -> dict[str, Decimal]:
        if not self._is_foreign:
            return {}
        return account_rates(self._names, self.last if prices is None else prices, self._inputs.settings.currency)

    def _book(self, entry: Entry) -> None:
        self.journal.append(entry)
        self.books.apply(entry)


def _converted(order: Order, rate: Decimal) -> Order:
    """Return an order with its levels in the account's currency."""
    return replace(
        order,
        limit_price=None if order.limit_price is None else order.limit_price * rate,
        stop_price=None if order.stop_price is None else order.stop_price * rate,
        target_price=None if order.target_price is None else order.target_price * rate,
    )
