"""A desk for the account simulation: two strategies that ask for everything an account can be asked for.

What it wants is a function of the seed and the decision's instant, so a start after a crash wants the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.effects import ReplaceSend
from foresail.domain.orders import Order, OrderKind, TimeInForce
from foresail.domain.signals import Horizon, Side, Signal, SignalKind
from foresail.engine.trading.parts import Attach, Decision, DeskCall, NetShare
from foresail.testing.simulation.loop import Chance

__all__ = ["ONE", "STRATEGIES", "TWO", "RandomDesk"]

ONE, TWO = STRATEGIES = ("test/one@1", "test/two@1")
_DAY = 86_400 * 10**9
_TICK = Decimal("0.01")


class RandomDesk:
    """Buys and sells at market and limits, in brackets, OCO pairs and slices; nets, hangs levels, changes, cancels."""

    id, every = "test/random@1", 1

    def __init__(self, seed: int, names: Sequence[InstrumentId], *, nets: bool) -> None:
        self._seed, self._names, self._nets = seed, tuple(names), nets

    def start(self) -> dict[str, Any]:
        """Return the memory before the first decision."""
        return {"n": 0}

    def decide(self, memory: dict[str, Any], call: DeskCall) -> Decision:
        """Return what the seed says of this instant."""
        draw = Chance(self._seed, "desk", call.at)
        memory["n"] += 1
        orders: list[Order] = []
        shares: list[NetShare] = []
        held = {one.instrument: one.quantity for one in call.account.positions}
        for name in self._names:
            if name not in call.prices or draw.unit() < 0.45:
                continue
            asked, share = self._ask(draw, call, name, held.get(name, Decimal(0)))
            orders += asked
            shares += share
        return Decision(
            tuple(orders),
            self._names if draw.unit() < (0.5 if call.halted else 0.1) else (),
            _levels(draw, call),
            tuple(_signal(draw, call, one) for one in orders if draw.unit() < 0.5),
            changes=_changes(draw, call),
            shares=tuple(shares),
        )

    def _ask(
        self, draw: Chance, call: DeskCall, name: InstrumentId, held: Decimal
    ) -> tuple[list[Order], list[NetShare]]:
        """Ask for one thing in a name."""
        price, what = Decimal(repr(round(call.prices[name], 2))), draw.unit()
        side = draw.one_of((Side.BUY, Side.BUY, Side.SELL))
        entry = replace(
            _order(call, name, "entry", side, Decimal(draw.between(10, 90))), strategy=draw.one_of(STRATEGIES)
        )
        if held and call.halted:  # it wants out as well, and knows nothing of who closes already
            what, entry = 1.0, replace(entry, side=Side.SELL if held > 0 else Side.BUY, quantity=abs(held))
        if abs(held) > 1 and what < 0.4:
            return _pair(call, name, held // 2, price), []
        if what < 0.5:
            return _bracket(entry, call, price), []
        if what < 0.62:
            limit = (price + price * draw.between(-2, 2) / 100).quantize(_TICK)
            return [_until(replace(entry, kind=OrderKind.LIMIT, limit_price=limit), draw, call)], []
        if what < 0.75 and self._nets:
            return [replace(entry, strategy="test/net@1")], [_netted(draw, entry, price)]
        if what < 0.85:
            return [replace(entry, quantity=Decimal(draw.between(150, 300)))], []  # leaves in slices
        sign = 1 if entry.side is Side.BUY else -1
        stop, target = (price * (100 + sign * one) / 100 for one in (Decimal(-4), Decimal(5)))
        return [replace(entry, stop_price=stop.quantize(_TICK), target_price=target.quantize(_TICK))], []


def _order(call: DeskCall, name: InstrumentId, leg: str, side: Side, units: Decimal) -> Order:
    identity = order_id(
        environment="test", account="t", strategy="random", version="1", decided_at_ns=call.at, leg=f"{name}:{leg}"
    )
    return Order(identity, name, side, units, OrderKind.MARKET, call.at, strategy=ONE)


def _pair(call: DeskCall, name: InstrumentId, held: Decimal, price: Decimal) -> list[Order]:
    """Return a stop and a limit that close some units held and cancel one another."""
    sign, side = (1, Side.SELL) if held > 0 else (-1, Side.BUY)
    stop, limit = ((price * (100 + sign * one) / 100).quantize(_TICK) for one in (-2, 2))
    low, high = (
        replace(_order(call, name, leg, side, abs(held)), group=f"{name} {call.at}", reduce_only=True)
        for leg in ("low", "high")
    )
    return [
        replace(low, kind=OrderKind.STOP, stop_price=stop),
        replace(high, kind=OrderKind.LIMIT, limit_price=limit),
    ]


def _bracket(entry: Order, call: DeskCall, price: Decimal) -> list[Order]:
    """Return a limit entry with the two exits that its fill brings to life."""
    sign = 1 if entry.side is Side.BUY else -1
    first = replace(entry, kind=OrderKind.LIMIT, limit_price=(price * (100 - sign) / 100).quantize(_TICK))
    exits = _pair(call, entry.instrument, entry.quantity * sign, price)
    return [first, *(replace(one, quantity=entry.quantity, parent=entry.id) for one in exits)]


def _until(order: Order, draw: Chance, call: DeskCall) -> Order:
    """Let an order stand for ever, or for two days."""
    if draw.unit() < 0.5:
        return order
    return replace(order, time_in_force=TimeInForce.GTD, expires_at=call.at + 2 * _DAY)


def _netted(draw: Chance, entry: Order, price: Decimal) -> NetShare:
    """Return whose a net order is: both want a part of it, and one sells the other some units beside it."""
    sign = 1 if entry.side is Side.BUY else -1
    own = Decimal(draw.between(1, int(entry.quantity) - 1))
    crossed = Decimal(draw.between(1, 9))
    wishes = ((ONE, own * sign), (TWO, (entry.quantity - own) * sign))
    currency = "EUR" if ".DE." in entry.instrument else "USD"
    return NetShare(
        entry.instrument, ((ONE, crossed), (TWO, -crossed)), wishes, (entry.id,), price, Decimal(1), currency
    )  # fmt: skip


def _levels(draw: Chance, call: DeskCall) -> tuple[Attach, ...]:
    """Hang other levels on some of what is held."""
    found = []
    for one in call.account.positions:
        price = call.prices.get(one.instrument)
        if price is not None and draw.unit() < 0.2:
            sign = 1.0 if one.quantity > 0 else -1.0
            stop = round(price * (1.0 - 0.05 * sign), 2) if draw.unit() < 0.7 else None
            target = round(price * (1.0 + 0.06 * sign), 2) if draw.unit() < 0.7 else None
            found.append(Attach(one.instrument, stop, target))
    return tuple(found)


def _changes(draw: Chance, call: DeskCall) -> tuple[ReplaceSend, ...]:
    """Ask for another size of some limit orders that wait."""
    changes = []
    for state in () if call.orders is None else call.orders.open():
        order = state.order
        is_free = not (state.is_cancelling or state.replacing or order.group or order.parent)
        if order.kind is OrderKind.LIMIT and is_free and draw.unit() < 0.3:
            total = max(Decimal(1), order.quantity + draw.between(-5, 15))
            changes.append(ReplaceSend(OrderId(order.id), order.instrument, total))
    return tuple(changes)


def _signal(draw: Chance, call: DeskCall, order: Order) -> Signal:
    """Return a signal behind an order that speaks for some days."""
    until = call.at + draw.between(2, 6) * _DAY
    return Signal(
        order.instrument, SignalKind.BUY, Horizon.SWING_TRADE, 5, 0.8, 0.02, 0.001, float("nan"), float("nan"),
        float("nan"), ("because",), "SIG-15", order.strategy, "1", "model", "f00d", call.at, until,
    )  # fmt: skip
