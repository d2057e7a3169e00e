"""What must hold at every entry of an account's story: one small judge per rule, each with a count of its own.

A judge is shown every entry with the naive account (``account_money``) as it stood before it. Nothing here asks the
core: the journal and the market are all that a judge knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, Protocol

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    BreakerReset,
    BreakerTripped,
    Decided,
    Deposited,
    Entry,
    FactKnown,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    Marked,
    OrderCancelled,
    OrderExpired,
    OrderIntended,
    OrderRejected,
    OrderReplaced,
    ReductionBegun,
    ReductionEnded,
    ReplaceIntended,
    SignalsRenewed,
    SliceStarted,
    SliceStopped,
    SplitApplied,
)
from foresail.ledger.slices import slice_id
from foresail.testing.simulation.account_money import NaiveAccount
from foresail.testing.simulation.trace import ViolationError

__all__ = [
    "Changed",
    "Groups",
    "Holding",
    "Judge",
    "Ladder",
    "OrderFlow",
    "Reduced",
    "Renewals",
    "Sliced",
    "SplitOrders",
]

_DAY = 86_400 * 10**9
_MINUTE = 60 * 10**9
_VIX = "SIZE-10 VIX"
_TICK = Decimal("0.01")  # of the names of an account
_PATIENCE = 3  # decisions after which what had to go must be on its way


class Judge(Protocol):
    """One rule."""

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Look at the next entry; ``account`` is as it was before it."""
        ...


def _demand(holds: object, text: str) -> None:
    if not holds:
        raise ViolationError(text)


@dataclass
class _Parent:
    instrument: InstrumentId
    quantity: Decimal
    plan: tuple[tuple[int, Decimal], ...]
    sent: Decimal = Decimal(0)
    is_stopped: bool = False
    is_over: bool = False  # the last child has left: what it was cut by is not sent any more
    slack: Decimal = Decimal(0)  # of whole lots after splits

    def split(self, ratio: Decimal, lot: Decimal) -> None:
        """Restate what is on its way."""
        self.quantity, self.sent = self.quantity * ratio, self.sent * ratio
        self.plan = tuple((at, units * ratio) for at, units in self.plan)
        self.slack = self.slack * ratio + 2 * lot


class Sliced:
    """Parents and children (EXEC-03): never more than the parent, never early, never after the end, none forgotten."""

    def __init__(self) -> None:
        self._parents: dict[OrderId, _Parent] = {}
        self._of: dict[OrderId, OrderId] = {}
        self._last: dict[OrderId, OrderId] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Count the units of children."""
        if isinstance(entry, SliceStarted):
            self._parents[entry.parent.id] = _Parent(entry.parent.instrument, entry.parent.quantity, entry.slices)
            for number in range(len(entry.slices)):
                child = slice_id(entry.parent, entry.method, number)
                self._of[child], self._last[entry.parent.id] = entry.parent.id, child
        elif isinstance(entry, SliceStopped):
            self._parents[entry.order_id].is_stopped = True
        elif isinstance(entry, SplitApplied):
            for parent in self._parents.values():
                if parent.instrument == entry.instrument:
                    parent.split(entry.ratio, entry.lot)
        elif isinstance(entry, OrderIntended) and entry.order.id in self._of:
            parent = self._parents[self._of[entry.order.id]]
            parent.sent += entry.order.quantity
            parent.is_over = entry.order.id == self._last[self._of[entry.order.id]]
            due = sum((units for at, units in parent.plan if at <= entry.at), Decimal(0))
            _demand(not parent.is_stopped, f"slices: {entry.order.id} left after its parent was stopped")
            most = min(due, parent.quantity) + parent.slack
            _demand(parent.sent <= most, f"slices: {parent.sent} of {parent} left by {entry.at}")
        elif isinstance(entry, Decided):
            for name, parent in self._parents.items():
                is_open = not (parent.is_stopped or parent.is_over) and parent.sent + parent.slack < parent.quantity
                late = entry.at - parent.plan[-1][0]
                _demand(not (is_open and late > 8 * _DAY), f"slices: nobody remembers parent {name}: {parent}")


class Groups:
    """Brackets, OCO pairs, exits that only reduce, and limits, in what was filled (EXEC-02)."""

    def __init__(self) -> None:
        self._orders: dict[OrderId, Order] = {}
        self._limits: dict[OrderId, Decimal | None] = {}
        self._filled: dict[OrderId, Decimal] = {}
        self._split: set[InstrumentId] = set()

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Judge a fill by what was asked for."""
        if isinstance(entry, OrderIntended):
            self._orders[entry.order.id], self._limits[entry.order.id] = entry.order, entry.order.limit_price
        elif isinstance(entry, OrderReplaced) and entry.limit_price is not None:
            self._limits[entry.order_id] = entry.limit_price
        elif isinstance(entry, SplitApplied):
            self._split.add(entry.instrument)
        elif isinstance(entry, FillBooked) and entry.fill.order_id in self._orders:
            self._judge(entry, self._orders[entry.fill.order_id], account)

    def _judge(self, entry: FillBooked, order: Order, account: NaiveAccount) -> None:
        fill, sign = entry.fill, 1 if order.side is Side.BUY else -1
        self._filled[order.id] = self._filled.get(order.id, Decimal(0)) + fill.quantity
        limit = self._limits[order.id]
        if order.kind is OrderKind.LIMIT and limit is not None:
            _demand(sign * (limit - fill.price) >= 0, f"limits: {fill} is worse than {limit}")
        if order.reduce_only:
            held = account.held.get(fill.instrument, Fraction(0))
            is_less = held * sign < 0 and Fraction(fill.quantity) <= abs(held)
            _demand(is_less, f"reduce only: {fill} on {held} held")
        if fill.instrument in self._split:
            return  # units before and after a split are not one sum
        if order.parent is not None:
            there = self._filled.get(order.parent, Decimal(0))
            _demand(self._filled[order.id] <= there, f"brackets: {fill} while its parent had filled {there}")
        if order.group:
            ids = [one.id for one in self._orders.values() if one.group == order.group]
            total = sum((self._filled.get(name, Decimal(0)) for name in ids), Decimal(0))
            most = max(self._orders[name].quantity for name in ids)
            _demand(total <= most, f"OCO: group {order.group} of {most} units filled {total}")


class Changed:
    """A change of an order is the one that was asked for, or the units that had filled by then."""

    def __init__(self) -> None:
        self._asked: dict[tuple[OrderId, int], Decimal] = {}
        self._filled: dict[OrderId, Decimal] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Compare what the venue did with what was asked of it."""
        if isinstance(entry, ReplaceIntended):
            self._asked[entry.order_id, entry.revision] = entry.quantity
        elif isinstance(entry, FillBooked):
            name = entry.fill.order_id
            self._filled[name] = self._filled.get(name, Decimal(0)) + entry.fill.quantity
        elif isinstance(entry, OrderReplaced) and entry.revision:
            asked = self._asked.get((entry.order_id, entry.revision), Decimal(0))
            most = max(asked, self._filled.get(entry.order_id, Decimal(0)))
            _demand(entry.quantity == most, f"changes: {entry}, asked for were {asked} units")


class Ladder:
    """The drawdown ladder (RISK-19): every step trips with the mark that passes it, none without, openings stop."""

    def __init__(self, limits: TradingLimits, rates: Mapping[int, Mapping[str, Decimal]]) -> None:
        rules = limits.breakers
        steps = (rules.drawdown_warning, rules.drawdown_cut, rules.drawdown_close)
        self._steps = {f"RISK-19 drawdown {one * 100:g}%": one for one in steps if one is not None}
        self._rates = rates
        self._now: Mapping[str, Decimal] = {}
        self._peak: Fraction | None = None
        self._fall = 0.0
        self._acted: dict[str, float] = {}
        self._equity: Fraction | None = None  # of the newest mark, and what came or went since
        self._due: set[str] = set()
        self._may: set[str] = set()  # money that goes makes the share that is lost larger; it trips with the next fill
        self._until: dict[str, int] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Follow equity and its peak, and what trips."""
        if isinstance(entry, HoldingCharged) and entry.kind is HoldingKind.TRANSFER:
            entry = Deposited(entry.at, entry.sequence, -entry.amount, entry.currency)  # went the same way
        if isinstance(entry, Deposited):
            self._paid(entry)
        elif isinstance(entry, BreakerTripped) and entry.rule in self._steps:
            _demand(entry.rule in self._due | self._may, f"breakers: {entry} at a drawdown of {self._fall:.2%}")
            self._due.discard(entry.rule)
            self._may.discard(entry.rule)
            self._acted[entry.rule] = self._steps[entry.rule]
            self._until[entry.rule] = entry.until
        elif isinstance(entry, BreakerReset) and entry.operator:
            self._peak, self._fall = self._equity, 0.0  # what is lost from here on counts, not from the next mark on
            self._acted.clear()
            self._until.clear()
        elif isinstance(entry, OrderIntended) and not account.reduces(entry.order) and not entry.order.reduce_only:
            stopped = [rule for rule, until in self._until.items() if until == 0 or entry.at < until]
            _demand(not stopped, f"breakers: {entry.order} opens while {stopped} are in force")

    def marked(self, entry: Marked, account: NaiveAccount) -> None:
        """Value the account after a mark."""
        _demand(not self._due, f"breakers: {sorted(self._due)} did not trip at a drawdown of {self._fall:.2%}")
        self._now = self._rates[entry.at]
        equity = self._equity = account.equity(self._now)
        self._peak = equity if self._peak is None else max(self._peak, equity)
        self._fall = float((self._peak - equity) / self._peak)
        for rule in [rule for rule, step in self._acted.items() if self._fall < step]:
            del self._acted[rule]
            if self._until.get(rule) == 0:
                del self._until[rule]
        self._due, self._may = self._beyond(entry.at), set()

    def _paid(self, entry: Deposited) -> None:
        """Move equity and its peak by what money is worth that came or went."""
        worth = Fraction(entry.amount) * Fraction(self._now.get(entry.currency, Decimal(1)))
        if self._peak is None or self._equity is None:
            self._peak = self._equity = worth
            return
        self._peak, self._equity = self._peak + worth, self._equity + worth
        self._fall = float((self._peak - self._equity) / self._peak)
        self._may = self._beyond(entry.at)

    def _beyond(self, at: int) -> set[str]:
        """Return the steps that are due now."""
        in_force = {rule for rule, until in self._until.items() if until == 0 or at < until}
        beyond = {rule for rule, step in self._steps.items() if self._fall > step}
        return beyond - set(self._acted) - in_force


@dataclass
class Reduced:
    """Smaller positions while the VIX is high (SIZE-10): begun once, cut by the share, ended with it."""

    level: float
    cut: Fraction
    vix: float | None = None
    is_active: bool = False
    begun: dict[InstrumentId, Fraction] = field(default_factory=dict)
    told: set[InstrumentId] = field(default_factory=set)

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Compare the fact with what was journalled by the time of a decision."""
        if isinstance(entry, FactKnown) and entry.kind == "vix":
            self.vix = entry.value
        elif isinstance(entry, ReductionBegun) and entry.rule == _VIX:
            _demand(not self.is_active, f"reductions: {entry} while it is in force already")
            self.is_active, self.begun, self.told = True, dict(account.held), set()
        elif isinstance(entry, ReductionEnded) and entry.rule == _VIX:
            self.is_active = False
        elif isinstance(entry, OrderIntended):
            self._ordered(entry.order, account)
        elif isinstance(entry, Decided):
            is_due = self.vix is not None and self.vix > self.level
            _demand(is_due == self.is_active, f"reductions: the VIX is {self.vix}, in force is {self.is_active}")

    def _ordered(self, order: Order, account: NaiveAccount) -> None:
        if order.strategy == "reduction":
            most = abs(account.held.get(order.instrument, Fraction(0))) * self.cut
            _demand(Fraction(order.quantity) <= most, f"reductions: {order} takes more than {float(most):g}")
            self.told.add(order.instrument)


class Renewals:
    """Signals end (EXIT-07): what is held on one that nobody renewed is on its way out within some decisions."""

    def __init__(self) -> None:
        self._until: dict[InstrumentId, int] = {}
        self._waited: dict[InstrumentId, int] = {}
        self._is_long: dict[InstrumentId, bool] = {}  # at the newest decision or renewal at which it was held

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Count decisions that pass while nothing is done about an end."""
        is_decision = isinstance(entry, Decided)
        for name in [name for name in self._until if self._is_over(name, account, is_decision=is_decision)]:
            del self._until[name]  # closed or turned: what is held later has signals of its own
            self._waited.pop(name, None)
            self._is_long.pop(name, None)
        if isinstance(entry, SignalsRenewed):
            for name, at in entry.expires:
                self._until[name] = max(at, self._until.get(name, 0)) if at else 2**63 - 1
                if name in account.held:
                    self._is_long[name] = account.held[name] > 0
        elif isinstance(entry, OrderIntended) and (entry.order.reduce_only or account.reduces(entry.order)):
            self._waited.pop(entry.order.instrument, None)
        elif isinstance(entry, Decided):
            for name in self._until:
                self._is_long[name] = account.held[name] > 0
                if self._until[name] > entry.at:
                    self._waited.pop(name, None)
                else:
                    self._waited[name] = self._waited.get(name, 0) + 1
                    _demand(self._waited[name] <= _PATIENCE, f"expiries: {name} is held on after its signals ended")

    def _is_over(self, name: InstrumentId, account: NaiveAccount, *, is_decision: bool) -> bool:
        """Return whether what signals spoke of is gone, or the other way round; what is ordered may still come."""
        held, was_long = account.held.get(name, Fraction(0)), self._is_long.get(name)
        if was_long is None:
            return is_decision and held == 0
        return held == 0 or (held > 0) is not was_long


class OrderFlow:
    """Openings within a minute (RISK-09)."""

    def __init__(self, limits: TradingLimits) -> None:
        self._most = limits.flow.orders_per_minute
        self._opened: list[int] = []

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Count what opens."""
        if isinstance(entry, OrderIntended) and not (entry.order.reduce_only or account.reduces(entry.order)):
            self._opened = [*(at for at in self._opened if at > entry.at - _MINUTE), entry.at]
            most = self._most
            _demand(most is None or len(self._opened) <= most, f"order rate: {len(self._opened)} in a minute")


@dataclass(frozen=True)
class _Waiting:
    """An open order as the journal tells it; prices are its limit and what sets it off."""

    instrument: InstrumentId
    since: int
    quantity: Decimal
    prices: tuple[Decimal | None, ...]

    def replaced(self, entry: OrderReplaced) -> _Waiting:
        """Return it as a change made it."""
        told = entry.limit_price, entry.trigger_price
        kept = tuple(old if new is None else new for new, old in zip(told, self.prices, strict=True))
        return replace(self, quantity=entry.quantity, prices=kept)


class SplitOrders:
    """A split restates what is left of every order that waits, and its prices, or ends it.

    One without prices, of which as many units are left in new units as in old, has nothing to restate.
    """

    def __init__(self) -> None:
        self._open: dict[OrderId, _Waiting] = {}
        self._before: dict[OrderId, tuple[int, _Waiting]] = {}  # as it was before the instant of its newest change
        self._filled: dict[OrderId, Decimal] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Follow which orders wait, and compare at a split."""
        if isinstance(entry, OrderIntended):
            order = entry.order
            trigger = order.trigger_price
            if order.kind is OrderKind.STOP and trigger is None:
                trigger = order.stop_price
            prices = order.limit_price, trigger
            self._open[order.id] = _Waiting(order.instrument, entry.at, order.quantity, prices)
        elif isinstance(entry, OrderReplaced) and entry.order_id in self._open:
            now = self._open[entry.order_id]
            if self._before.get(entry.order_id, (-1, now))[0] != entry.at:
                self._before[entry.order_id] = entry.at, now
            self._open[entry.order_id] = now.replaced(entry)
        elif isinstance(entry, OrderCancelled | OrderExpired | OrderRejected):
            self._open.pop(entry.order_id, None)
        elif isinstance(entry, FillBooked) and entry.fill.order_id in self._open:
            filled = entry.fill.order_id
            self._filled[filled] = self._filled.get(filled, Decimal(0)) + entry.fill.quantity
            if self._filled[filled] >= self._open[filled].quantity:
                del self._open[filled]
        elif isinstance(entry, SplitApplied):
            old = [
                name for name, now in self._open.items()
                if now.instrument == entry.instrument and now.since < entry.at and self._is_old(name, now, entry)
            ]  # fmt: skip
            _demand(not old, f"splits: orders {old} wait in units of before {entry}")

    def _is_old(self, name: OrderId, now: _Waiting, split: SplitApplied) -> bool:
        """Return whether an order waits with other units or prices than a split leaves it."""
        at, before = self._before.get(name, (-1, now))
        before = before if at == split.at else now
        filled = self._filled.get(name, Decimal(0))
        lots = (before.quantity - filled) * split.ratio / split.lot
        if now.quantity != filled + lots.to_integral_value(ROUND_FLOOR) * split.lot:
            return True
        levels = [(one, old) for one, old in zip(now.prices, before.prices, strict=True) if one and old]
        return any(abs(one - old / split.ratio) > _TICK for one, old in levels)


class Holding:
    """Every stretch between two marks in which nothing was traded is paid for once, at the price it began with."""

    def __init__(self, cost: Any) -> None:
        self._cost = cost
        self._paid: dict[InstrumentId, Decimal] = {}
        self._before: dict[InstrumentId, tuple[int, Fraction, Fraction]] = {}
        self._touched: set[InstrumentId] = set()

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Add up what was charged, and note what changed."""
        if isinstance(entry, HoldingCharged) and entry.instrument is not None:
            self._paid[entry.instrument] = self._paid.get(entry.instrument, Decimal(0)) + entry.amount
        elif isinstance(entry, FillBooked):
            self._touched.add(entry.fill.instrument)
        elif isinstance(entry, SplitApplied):
            self._touched.add(entry.instrument)

    def marked(self, entry: Marked, account: NaiveAccount) -> None:
        """Compare what was charged since the mark before with what it costs."""
        for name, (since, units, price) in self._before.items():
            if name not in self._touched and account.held.get(name) == units:
                due = self._cost(name, units, price, since, entry.at)
                off = abs(self._paid.get(name, Decimal(0)) - due)
                _demand(off <= Decimal("1e-7"), f"holding: {name} was charged {self._paid.get(name)}, not {due}")
        self._before = {name: (entry.at, units, account.marks[name]) for name, units in account.held.items()}
        self._paid, self._touched = {}, set()
