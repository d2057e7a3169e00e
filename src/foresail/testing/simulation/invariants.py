"""What must hold after every step of a run, whatever went wrong (each function names the rule it stands for)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Decided,
    Entry,
    FactKnown,
    FillBooked,
    FillBusted,
    FillCorrected,
    LevelsSet,
    OrderIntended,
    OrderReplaced,
    ReplaceIntended,
    Reviewed,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus
from foresail.risk.gate import FAULT_RULE
from foresail.testing.disk import PessimisticDisk
from foresail.testing.simulation.oracle import naive_ledger
from foresail.testing.simulation.process import Core
from foresail.testing.simulation.trace import ViolationError
from foresail.testing.simulation.venue import FakeVenue

__all__ = [
    "check_age",
    "check_changes",
    "check_decisions",
    "check_durable",
    "check_filled",
    "check_halts",
    "check_intents",
    "check_levels",
    "check_limit",
    "check_money",
    "check_opening",
    "check_order",
    "check_replay",
    "check_send",
    "differences",
]

_LATEST = 10_500_000_000  # ns; both cores send an order again within ten seconds of its decision
_NO_LEVELS: frozenset[FillReason] = frozenset()
_STREAMED = frozenset({"facts", "charged_until"})  # not journalled: running the stream again gives them


def check_durable(order: Order, disk: PessimisticDisk) -> None:
    """Check that the intent of what leaves would survive a loss of power now."""
    if not disk.is_durable(order.id.encode()):
        raise ViolationError(f"1: order {order.id} left before its intent was durable")


def check_opening(order: Order, core: Core, *, age: int, oldest: int, is_latched: bool) -> None:
    """Check that nothing which opens a position leaves on an old price or behind the kill switch."""
    held = core.books.quantity(order.instrument)
    signed = order.quantity if order.side is Side.BUY else -order.quantity
    if held * signed < 0 and abs(signed) <= abs(held):
        return
    if is_latched:
        raise ViolationError(f"7: order {order.id} left while the kill switch was latched")
    if age > oldest:
        raise ViolationError(f"5: order {order.id} left on a price {age / 1e9:.1f} s old, {oldest / 1e9:.1f} s allowed")


def check_age(order: Order, now: int) -> None:
    """Check that an order does not leave long after its decision, however often it has to be sent."""
    if now > order.decided_at + _LATEST:
        raise ViolationError(f"41: order {order.id} left {(now - order.decided_at) / 1e9:.1f} s after its decision")


def check_send(order: Order, core: Core, sent: dict[OrderId, Order]) -> None:
    """Check what leaves: its id means one order only, it is open in the order book, its instrument is not unknown."""
    before = sent.get(order.id)
    if before is not None and before != order:
        raise ViolationError(f"1: id {order.id} was sent as {before} and as {order}")
    state = core.orders.get(order.id)
    if state is None or not state.is_open:
        raise ViolationError(f"1: order {order.id} left, but is not open in the order book")
    if state.order != order:
        raise ViolationError(f"1: order {order.id} left as {order}, its intent is {state.order}")
    unknown = [one.order.id for one in core.orders.open(order.instrument) if one.status is OrderStatus.UNKNOWN]
    if before is not None or order.reduce_only or unknown == [order.id]:
        return  # the last: it never left before a crash, and the venue has proved that it lacks it
    if unknown or order.instrument in core.orders.blocked():
        raise ViolationError(f"3: {order.instrument} is blocked (unknown: {unknown}), yet order {order.id} left")


def check_order(order_id: OrderId, core: Core, venue: FakeVenue) -> None:
    """Check that what the venue may still do is reserved, or that the instrument is blocked."""
    there, here = venue.orders[order_id], core.orders.get(order_id)
    if here is None:
        raise ViolationError(f"1: the venue has order {order_id}, which was never intended")
    if there.is_odd:
        return  # the venue broke its word: nobody can have reserved for that
    most = here.filled + here.reserved
    is_unsettled = here.order.instrument in core.orders.blocked() or here in core.orders.differing()
    if most < there.live + there.left and (here.is_open or not is_unsettled):
        raise ViolationError(
            f"3: order {order_id} ({here.status}) counts {here.filled} filled and {here.reserved} reserved, the venue "
            f"has {there.live} filled and {there.left} left"
        )


def check_limit(venue: FakeVenue, most: int) -> None:
    """Check that position and open orders at the venue stay within the limit in the worst case."""
    if any(one.is_odd or any(not x.is_live for x in one.executions) for one in venue.orders.values()):
        return
    for sign in (1, -1):
        reach: dict[str, int] = {name: sign * units for name, units in venue.positions.items()}
        for one in venue.working.values():
            if one.sign == sign:
                reach[one.instrument] = reach.get(one.instrument, 0) + one.left
        for name, units in reach.items():
            if units > most:
                raise ViolationError(f"3: {name} may reach {sign * units} units, the limit is {most}")


def check_intents(entries: tuple[Entry, ...], venue: FakeVenue) -> None:
    """Check that every order at the venue has exactly one intent, and that it says the same."""
    intents: dict[OrderId, Order] = {}
    for entry in entries:
        if isinstance(entry, OrderIntended):
            if entry.order.id in intents:
                raise ViolationError(f"1: order {entry.order.id} was intended twice")
            intents[entry.order.id] = entry.order
    for name, one in venue.orders.items():
        intent = intents.get(name)
        if intent is None:
            raise ViolationError(f"1: the venue has order {name} without a durable intent")
        if (intent.instrument, int(intent.quantity)) != (one.instrument, one.quantity) and not one.is_replaced:
            raise ViolationError(f"1: order {name} was intended as {intent}, the venue has {one}")


def check_levels(entries: tuple[Entry, ...]) -> None:
    """Check that what a stop or target of the venue filled is a level that was journalled before, on that side."""
    orders: dict[OrderId, Order] = {}
    hung: dict[InstrumentId, frozenset[FillReason]] = {}
    books = Books("check", "USD", allow_short=True)
    for entry in entries:
        if isinstance(entry, OrderIntended):
            orders[entry.order.id] = entry.order
        elif isinstance(entry, LevelsSet):
            hung[entry.instrument] = _kinds(entry.stop, entry.target)
        if isinstance(entry, FillBooked):
            fill, order = entry.fill, orders.get(entry.fill.order_id)
            name, held = fill.instrument, books.quantity(fill.instrument)
            signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
            if order is None and fill.reason in (FillReason.STOP, FillReason.TARGET):
                if fill.reason not in hung.get(name, _NO_LEVELS):
                    raise ViolationError(f"1: {fill} was filled by a level that no entry set")
                if held * signed >= 0 or abs(signed) > abs(held):
                    raise ViolationError(f"4: {fill} was filled by a level, but {held} units were held")
            carried = _NO_LEVELS if order is None else _kinds(order.stop_price, order.target_price)
            left = held + signed
            kept = hung.get(name, _NO_LEVELS) if left * held > 0 else _NO_LEVELS
            hung[name] = _NO_LEVELS if left == 0 else kept | carried
        books.apply(entry)


def check_halts(entries: tuple[Entry, ...]) -> None:
    """Check that a failed rule halts the account, another position at the venue its instrument, and that halts hold."""
    books, orders, halted, before = Books("check", "USD", allow_short=True), OrderBook(), set[str](), -1
    for entry in entries:
        if isinstance(entry, TradingHalted):
            halted.add(entry.scope)
        elif isinstance(entry, TradingResumed):
            halted = {scope for scope in halted if entry.scope not in ("", scope)}
        elif isinstance(entry, Reviewed) and "" not in halted:
            failed = [one for one in entry.orders if any(ruling.rule == FAULT_RULE for ruling in one.rulings)]
            if failed:
                raise ViolationError(f"17: a rule failed on {failed}, and the account was not halted")
        elif isinstance(entry, OrderIntended) and halted & {"", str(entry.order.instrument)}:
            _check_reduces(entry.order, books.quantity(entry.order.instrument), orders)
        elif isinstance(entry, FactKnown) and entry.at > before and _is_apart(entry, books, orders, halted):
            raise ViolationError(f"8: {entry} is not what the books hold, and nothing was halted")
        books.apply(entry)
        orders.apply(entry)
        before = max(before, entry.at)


def _check_reduces(order: Order, held: Decimal, orders: OrderBook) -> None:
    """Check that an order behind a halt reduces what is held and not on its way out already."""
    leaving = sum((one.reserved for one in orders.open(order.instrument) if _leaves(one, held)), Decimal(0))
    room = abs(held) if order.reduce_only else abs(held) - leaving
    if held * (1 if order.side is Side.BUY else -1) >= 0 or order.quantity > room:
        raise ViolationError(f"7: order {order} was intended behind a halt, {held} held, {leaving} leaving")


def _leaves(one: OrderState, held: Decimal) -> bool:
    is_exit = held * (1 if one.order.side is Side.BUY else -1) < 0
    return is_exit and one.order.kind is OrderKind.MARKET and not one.is_cancelling


def _is_apart(entry: FactKnown, books: Books, orders: OrderBook, halted: set[str]) -> bool:
    """Return whether a venue's position differs, nothing is under way that explains it, and nothing is halted."""
    kind, _, instrument = entry.kind.partition(":")
    name = InstrumentId(instrument)
    if kind != "position" or entry.value is None or name in halted:
        return False
    if Decimal(repr(entry.value)) == books.quantity(name):
        return False
    differing = any(one.order.instrument == name for one in orders.differing())
    return not (differing or name in orders.blocked() or any(True for _one in orders.open(name)))


def _kinds(stop: Decimal | float | None, target: Decimal | float | None) -> frozenset[FillReason]:
    both = ((stop, FillReason.STOP), (target, FillReason.TARGET))
    return frozenset(reason for level, reason in both if level is not None)


def check_decisions(entries: tuple[Entry, ...]) -> None:
    """Check that no strategy decided twice for one instant."""
    seen = [(one.strategy, one.decided_at) for one in entries if isinstance(one, Decided)]
    if len(seen) != len(set(seen)):
        raise ViolationError("1: a decision was taken twice")


def check_changes(entries: tuple[Entry, ...]) -> None:
    """Check that a change which the venue confirms was asked for, and is newer than those confirmed before it."""
    asked: dict[OrderId, list[Decimal]] = {}
    for entry in entries:
        if isinstance(entry, ReplaceIntended):
            asked.setdefault(entry.order_id, []).append(entry.quantity)
        elif isinstance(entry, OrderReplaced):
            waiting = asked.get(entry.order_id, [])
            if entry.quantity not in waiting:
                raise ViolationError(f"53: {entry} is no change that was asked for since the last one")
            last = len(waiting) - 1 - waiting[::-1].index(entry.quantity)
            asked[entry.order_id] = waiting[last + 1 :]


def check_filled(entries: tuple[Entry, ...], core: Core) -> None:
    """Check that what counts as filled of each order is the sum of its executions that still count."""
    fills: dict[OrderId, dict[str, Decimal]] = {}
    for entry in entries:
        if isinstance(entry, FillBooked):
            fills.setdefault(entry.fill.order_id, {})[entry.fill.execution] = entry.fill.quantity
        elif isinstance(entry, FillBusted):
            fills[entry.order_id].pop(entry.execution)
        elif isinstance(entry, FillCorrected):
            own = fills[entry.fill.order_id]
            own.pop(entry.execution)
            own[entry.fill.execution] = entry.fill.quantity
    for name, own in fills.items():
        state, total = core.orders.get(name), sum(own.values(), Decimal(0))
        if state is not None and state.filled != total:
            raise ViolationError(f"2: order {name} counts {state.filled} filled, its executions add up to {total}")


def check_money(entries: tuple[Entry, ...], core: Core) -> None:
    """Check cash and positions against the ledger that adds everything up from scratch."""
    cash, held = naive_ledger(entries)
    if Fraction(core.books.cash) != cash:
        raise ViolationError(f"2: the books say {core.books.cash} cash, the executions add up to {float(cash)}")
    booked = {one.instrument: Fraction(one.quantity) for one in core.books.positions() if one.quantity}
    if booked != held:
        raise ViolationError(f"2: the books hold {booked}, the executions add up to {held}")


def check_replay(entries: tuple[Entry, ...], core: Core, replayed: Core) -> None:
    """Check that all entries from the first lead to the state at hand, snapshots or not."""
    replayed.recover(None, entries)
    there, here = replayed.to_plain(), core.to_plain()
    apart = [name for name in here if name not in _STREAMED and here[name] != there.get(name)]
    if apart:
        raise ViolationError(f"4: the state that the whole journal leads to is not the state at hand: {apart}")


def differences(core: Core, venue: FakeVenue, deposit: Decimal) -> str:
    """Return what is not settled between the books and the venue's own, empty where they agree to the cent."""
    open_ones = [f"order {one.order.id} is {one.status}, {one.left} left ({one.text})" for one in core.orders.open()]
    there, cash = venue.statement(), core.books.cash - deposit
    held = {one.instrument: one.quantity for one in core.books.positions() if one.quantity}
    found = {
        "open": open_ones,
        "working at the venue": [name for name, one in venue.working.items() if one.left],
        "unknown here": [name for name in venue.orders if core.orders.get(name) is None],
        "positions": [] if held == dict(there.positions) else [held, dict(there.positions)],
        "cash flow": [] if cash * 100 == there.cash else [cash, there.cash],
        "blocked": dict(core.orders.blocked()),
    }
    return "; ".join(f"{name}: {what}" for name, what in found.items() if what)
