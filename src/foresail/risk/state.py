"""What breakers and caps remember: a fold over the journal, so that a restart knows what was known before.

``apply`` takes every entry after the books did; with ``Marked`` entries it is given the account's equity, with money in
another currency its worth. Nothing here reads a clock: an instant comes with each entry, and questions name theirs.

A mark at the last instant of a day belongs to that day; anything else at this instant belongs to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill, Order
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    AlertRaised,
    BreakerReset,
    BreakerTripped,
    CancelIntended,
    DividendPaid,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    HoldingCharged,
    LimitsLoaded,
    ListingEnded,
    Marked,
    OrderIntended,
    SplitApplied,
    TradingHalted,
    TradingResumed,
    flow_of,
)
from foresail.risk.days import day_span, week_start
from foresail.risk.round_trips import Trip, advance_trip
from foresail.risk.settlement_days import next_settlement_day, previous_trading_day

__all__ = ["Breaker", "DayCount", "Done", "Parent", "RiskMemory", "RiskState", "Submitted", "Unsettled"]

_ZERO = Decimal(0)
_MINUTE_NS = 60 * 10**9
_KEPT_NS = 7 * 86_400 * 10**9  # executions and parents are kept so long, for what a venue tells late
_DAYS_KEPT = 10


@dataclass(slots=True)
class Breaker:
    """A breaker that tripped: until when (0 = until a person resets it), since when, and why."""

    until: int
    since: int
    text: str


@dataclass(slots=True)
class Submitted:
    """An intent of the last minute."""

    at: int
    instrument: InstrumentId
    quantity: Decimal
    is_exit: bool


@dataclass(slots=True)
class DayCount:
    """Day trades and trades of one New York day (ISO date)."""

    day: str
    day_trades: int = 0
    trades: int = 0


@dataclass(slots=True)
class Unsettled:
    """Proceeds of a sale and the day (ISO) from which they count."""

    day: str
    amount: Decimal


@dataclass(slots=True)
class Parent:
    """Units ordered in the name of a parent and one instrument, and its own units (0 = not in the journal)."""

    at: int
    own: Decimal = _ZERO
    children: Decimal = _ZERO


@dataclass(slots=True)
class Done:
    """A fill, kept so that a bust or correction can undo it."""

    at: int
    fill: Fill
    multiplier: Decimal


@dataclass(slots=True)
class RiskMemory:
    """All of it as plain fields, money in the account's currency.

    Attributes
    ----------
    day, day_start, day_end : trading day by the portfolio's boundary: ISO date, first instant, first of the next, ns
    equity, day_equity, week_equity, peak : newest, at the start of day and week, highest; None before the first
    losing_streak : round trips that lost, one after the other
    opened_orders : orders of today that opened or added
    acted : steps of the drawdown ladder that acted and have not re-armed
    """

    at: int = 0
    day: str = ""
    day_start: int = 0
    day_end: int = 0
    week: str = ""
    equity: Decimal | None = None
    day_equity: Decimal | None = None
    week_equity: Decimal | None = None
    peak: Decimal | None = None
    losing_streak: int = 0
    opened_orders: dict[str, None] = field(default_factory=dict)
    fills_today: int = 0
    cancels_today: int = 0
    acted: dict[str, float] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    halts: dict[str, tuple[str, str]] = field(default_factory=dict)
    submitted: list[Submitted] = field(default_factory=list)
    parents: dict[str, Parent] = field(default_factory=dict)
    trips: dict[str, Trip] = field(default_factory=dict)
    done: dict[str, Done] = field(default_factory=dict)
    days: list[DayCount] = field(default_factory=list)
    unsettled: list[Unsettled] = field(default_factory=list)
    alerts: dict[str, int] = field(default_factory=dict)
    critical: dict[str, int] = field(default_factory=dict)
    limits_digest: str = ""


class RiskState:
    """The fold; read its ``memory`` and the questions below, change it by ``apply`` only."""

    def __init__(self, limits: TradingLimits | None = None, *, currency: str = "USD") -> None:
        self._limits = TradingLimits() if limits is None else limits
        self._currency = currency
        self.memory = RiskMemory()

    # -- questions ----------------------------------------------------------------------------------------------------

    @property
    def drawdown(self) -> float:
        """Return the fall from the peak, fraction; 0 before there is a peak."""
        peak, equity = self.memory.peak, self.memory.equity
        return 0.0 if peak is None or equity is None or peak <= 0 else max(0.0, float(peak - equity) / float(peak))

    def day_loss(self) -> float:
        """Return the loss since the start of the day, fraction, positive = lost."""
        return _loss(self.memory.day_equity, self.memory.equity)

    def week_loss(self) -> float:
        """Return the loss since the start of the week, fraction, positive = lost."""
        return _loss(self.memory.week_equity, self.memory.equity)

    def breakers_in_force(self, now: int) -> dict[str, Breaker]:
        """Return the breakers that stop openings at an instant, by rule."""
        return {rule: one for rule, one in self.memory.breakers.items() if one.until == 0 or now < one.until}

    def halted(self, instrument: InstrumentId) -> tuple[str, str] | None:
        """Return (rule, why) where the account or an instrument is halted."""
        return self.memory.halts.get("") or self.memory.halts.get(instrument)

    def trades_today(self, now: int) -> int:
        """Return orders that opened or added on the trading day of an instant."""
        return len(self.memory.opened_orders) if now < self.memory.day_end else 0

    def last_minute(self, now: int) -> list[Submitted]:
        """Return the intents of the 60 s before an instant."""
        return [one for one in self.memory.submitted if one.at > now - _MINUTE_NS]

    def parent(self, parent: OrderId, instrument: InstrumentId) -> tuple[Decimal, Decimal]:
        """Return (own units, units ordered so far) of a parent in one instrument; own is 0 where it is not known."""
        found = self.memory.parents.get(f"{parent} {instrument}")
        return (_ZERO, _ZERO) if found is None else (found.own, found.children)

    def day_trades(self, now: int) -> tuple[int, int]:
        """Return (day trades, trades) of the five business days up to an instant, New York."""
        today = day_span(now, "new_york")[0]
        first = previous_trading_day(today, 4).isoformat()
        inside = [one for one in self.memory.days if first <= one.day <= today.isoformat()]
        return sum(one.day_trades for one in inside), sum(one.trades for one in inside)

    def unsettled(self, now: int) -> Decimal:
        """Return proceeds of sales that have not settled at an instant."""
        today = day_span(now, "new_york")[0].isoformat()
        return sum((one.amount for one in self.memory.unsettled if one.day > today), _ZERO)

    def average_price(self, instrument: InstrumentId) -> float:
        """Return the average money per unit that opened a position, 0 where there is none."""
        trip = self.memory.trips.get(instrument)
        return 0.0 if trip is None or trip.quantity == 0 else trip.average

    # -- the fold -----------------------------------------------------------------------------------------------------

    def apply(self, entry: Entry, worth: Decimal | None = None) -> None:
        """Take in the next entry.

        Parameters
        ----------
        worth : in the account's currency: with a mark the equity after it, with money that came or went in another
            currency the value of that money alone, for what was won or lost since the mark is not part of it
        """
        memory, kind, at = self.memory, type(entry), entry.at
        memory.at = max(memory.at, at)
        at = at - 1 if kind is Marked and memory.day else at
        if not memory.day or at >= memory.day_end:
            self._roll(at)
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, entry)
        if kind is Marked:
            if worth is not None:
                self._mark(worth)
        elif (flow := flow_of(entry)) is not None:
            amount = flow[0] if flow[1] in ("", self._currency) else worth
            if amount is not None:
                self._flow(amount)

    def pass_over(self, at: int, equity: Decimal) -> None:
        """Take in marks of the same day that left equity where it was; ``at`` is the last one's instant."""
        self.memory.at = max(self.memory.at, at)
        self.memory.equity = equity

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins(self.memory)
        return plain

    @classmethod
    def from_plain(
        cls, plain: Mapping[str, Any], limits: TradingLimits | None = None, *, currency: str = "USD"
    ) -> RiskState:
        """Return the state that ``to_plain`` told."""
        state = cls(limits, currency=currency)
        state.memory = msgspec.convert(plain, RiskMemory)
        return state

    def _roll(self, at: int) -> None:
        """Begin the trading day of an instant."""
        memory = self.memory
        day, start, end = day_span(at, self._limits.breakers.boundary)
        memory.day, memory.day_start, memory.day_end = day.isoformat(), start, end
        memory.day_equity = memory.equity
        week = week_start(day).isoformat()
        if week != memory.week:
            memory.week, memory.week_equity = week, memory.equity
        memory.opened_orders = {}
        memory.fills_today = memory.cancels_today = 0
        memory.parents = {k: v for k, v in memory.parents.items() if v.at > at - _KEPT_NS}
        memory.done = {k: v for k, v in memory.done.items() if v.at > at - _KEPT_NS}
        memory.trips = {k: v for k, v in memory.trips.items() if v.quantity != 0}
        memory.alerts = {k: v for k, v in memory.alerts.items() if v > at - _KEPT_NS}
        today = day_span(at, "new_york")[0].isoformat()
        memory.unsettled = [one for one in memory.unsettled if one.day > today]

    def _mark(self, equity: Decimal) -> None:
        memory = self.memory
        memory.equity = equity
        memory.day_equity = equity if memory.day_equity is None else memory.day_equity
        memory.week_equity = equity if memory.week_equity is None else memory.week_equity
        memory.peak = equity if memory.peak is None else max(memory.peak, equity)
        fallen = self.drawdown
        for rule, step in list(memory.acted.items()):
            if fallen < step:
                del memory.acted[rule]
                if rule in memory.breakers and memory.breakers[rule].until == 0:
                    del memory.breakers[rule]

    def _flow(self, amount: Decimal) -> None:
        """Money that came or went is no profit: it moves every level that equity is compared with (RISK-19)."""
        memory = self.memory
        for name in ("equity", "day_equity", "week_equity", "peak"):
            level = getattr(memory, name)
            setattr(memory, name, amount if level is None else level + amount)

    def _intended(self, entry: OrderIntended) -> None:
        memory, order = self.memory, entry.order
        oldest = entry.at - _MINUTE_NS
        if memory.submitted and memory.submitted[0].at <= oldest:  # entries come in the order of their instants
            memory.submitted = [one for one in memory.submitted if one.at > oldest]
        memory.submitted.append(Submitted(entry.at, order.instrument, order.quantity, self._is_exit(order)))
        own = memory.parents.setdefault(f"{order.id} {order.instrument}", Parent(entry.at))
        own.own, own.at = order.quantity, entry.at
        if order.parent is not None:
            family = memory.parents.setdefault(f"{order.parent} {order.instrument}", Parent(entry.at))
            family.children, family.at = family.children + order.quantity, entry.at

    def _cancel(self, entry: CancelIntended) -> None:
        self.memory.cancels_today += 1

    def _filled(self, entry: FillBooked) -> None:
        self.memory.fills_today += 1
        self._trade(entry.fill, entry.multiplier, entry.at, sign=1)
        key = f"{entry.fill.order_id} {entry.fill.execution}"
        if entry.fill.execution:
            self.memory.done[key] = Done(entry.at, entry.fill, entry.multiplier)

    def _busted(self, entry: FillBusted) -> None:
        done = self.memory.done.pop(f"{entry.order_id} {entry.execution}", None)
        if done is not None:
            self._trade(done.fill, done.multiplier, entry.at, sign=-1)

    def _corrected(self, entry: FillCorrected) -> None:
        done = self.memory.done.pop(f"{entry.fill.order_id} {entry.execution}", None)
        if done is not None:
            self._trade(done.fill, done.multiplier, entry.at, sign=-1)
            self._trade(entry.fill, done.multiplier, entry.at, sign=1)
            key = f"{entry.fill.order_id} {entry.fill.execution}"
            self.memory.done[key] = Done(entry.at, entry.fill, done.multiplier)

    def _split(self, entry: SplitApplied) -> None:
        trip = self.memory.trips.get(entry.instrument)
        if trip is not None:
            trip.quantity, trip.units = trip.quantity * entry.ratio, trip.units * entry.ratio

    def _dividend(self, entry: DividendPaid) -> None:
        trip = self.memory.trips.get(entry.instrument)
        if trip is not None:
            trip.flow += trip.quantity * entry.per_unit

    def _charged(self, entry: HoldingCharged) -> None:
        trip = None if entry.instrument is None else self.memory.trips.get(entry.instrument)
        if trip is not None:
            trip.flow -= entry.amount

    def _listing_ended(self, entry: ListingEnded) -> None:
        trip = self.memory.trips.get(entry.instrument)
        if trip is not None and trip.quantity != 0:
            ended = advance_trip(trip, -trip.quantity, entry.price, _ZERO, "")
            self._count_profits(ended.profits)

    def _tripped(self, entry: BreakerTripped) -> None:
        self.memory.breakers[entry.rule] = Breaker(entry.until, entry.at, entry.text)
        if entry.rule.startswith("RISK-19"):
            self.memory.acted[entry.rule] = _step_of(entry.rule)
        elif entry.rule.startswith("RISK-26"):
            self.memory.losing_streak = 0

    def _reset(self, entry: BreakerReset) -> None:
        self.memory.breakers.pop(entry.rule, None)
        if entry.rule.startswith("RISK-19") and entry.operator:  # a person reassessed: losses count from here on
            self.memory.peak = self.memory.equity
            self.memory.acted.clear()

    def _halted(self, entry: TradingHalted) -> None:
        self.memory.halts[entry.scope] = (entry.rule, entry.text)

    def _resumed(self, entry: TradingResumed) -> None:
        self.memory.halts = {k: v for k, v in self.memory.halts.items() if entry.scope not in ("", k)}

    def _alerted(self, entry: AlertRaised) -> None:
        self.memory.alerts[entry.kind] = entry.at
        if entry.severity == "CRITICAL":
            self.memory.critical[entry.kind] = entry.at

    def _limits_loaded(self, entry: LimitsLoaded) -> None:
        self.memory.limits_digest = entry.digest

    # -- shared -------------------------------------------------------------------------------------------------------

    def _is_exit(self, order: Order) -> bool:
        trip = self.memory.trips.get(order.instrument)
        held = _ZERO if trip is None else trip.quantity
        return order.reduce_only or (held < 0 if order.side is Side.BUY else held > 0)

    def _trade(self, fill: Fill, multiplier: Decimal, at: int, *, sign: int) -> None:
        memory = self.memory
        units = fill.quantity if fill.side is Side.BUY else -fill.quantity
        trip = memory.trips.setdefault(fill.instrument, Trip())
        today = day_span(at, "new_york")[0]
        ended = advance_trip(trip, units * sign, fill.price * multiplier, fill.fee * sign, today.isoformat())
        if sign < 0:
            return
        self._count_profits(ended.profits)
        is_stock = not fill.instrument.startswith(("crypto.", "fx."))
        if ended.opened > 0:
            memory.opened_orders[fill.order_id] = None
        if is_stock and (ended.day_trades or ended.opened > 0):
            count = next((one for one in memory.days if one.day == today.isoformat()), None)
            if count is None:
                count = DayCount(today.isoformat())
                memory.days = [*memory.days[-_DAYS_KEPT:], count]
            count.day_trades += ended.day_trades
            count.trades += int(ended.opened > 0)
        if is_stock and fill.side is Side.SELL:
            day = next_settlement_day(today, self._limits.account.settlement_days).isoformat()
            memory.unsettled.append(Unsettled(day, fill.quantity * fill.price * multiplier - fill.fee))

    def _count_profits(self, profits: tuple[Decimal, ...]) -> None:
        for profit in profits:
            self.memory.losing_streak = self.memory.losing_streak + 1 if profit < 0 else 0

    # A table, because a dispatching decorator costs several microseconds an entry.
    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        AlertRaised: _alerted,
        BreakerReset: _reset,
        BreakerTripped: _tripped,
        CancelIntended: _cancel,
        DividendPaid: _dividend,
        FillBooked: _filled,
        FillBusted: _busted,
        FillCorrected: _corrected,
        HoldingCharged: _charged,
        LimitsLoaded: _limits_loaded,
        ListingEnded: _listing_ended,
        OrderIntended: _intended,
        SplitApplied: _split,
        TradingHalted: _halted,
        TradingResumed: _resumed,
    }


def _loss(start: Decimal | None, equity: Decimal | None) -> float:
    return 0.0 if start is None or equity is None or start <= 0 else float(start - equity) / float(start)


def _step_of(rule: str) -> float:
    """Return the step that a ladder rule names, for example 0.15 of ``RISK-19 drawdown 15%``."""
    return float(rule.rpartition(" ")[2].rstrip("%")) / 100.0
