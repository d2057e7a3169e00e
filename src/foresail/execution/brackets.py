"""From an exit plan to orders: a bracket around an entry, as a group in which one fill cancels or shrinks the others.

Children live once their parent fills (``Order.parent``); stop, targets and trail share a group (``Order.group``). All
of them reduce only. Ids are a pure function of the entry's id and the leg.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from foresail.core.errors import ConfigError
from foresail.core.ids import OrderId, order_id
from foresail.core.numbers import round_quantity, round_tick
from foresail.domain.instruments import Instrument
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side

__all__ = ["BracketLegs", "bracket_orders", "leg_id"]


@dataclass(frozen=True, slots=True)
class BracketLegs:
    """Levels around an entry.

    Attributes
    ----------
    stop : price; None = another stop guards the position, and the legs are no group: each closes its own part
    targets : (price, share of the entry's quantity), nearest first
    trail : distance of a trailing order for what the targets leave; None = it keeps the stop
    """

    stop: Decimal | None
    targets: tuple[tuple[Decimal, Decimal], ...] = ()
    trail: Decimal | None = None


def bracket_orders(entry: Order, legs: BracketLegs, instrument: Instrument) -> tuple[Order, ...]:
    """Return the children of an entry: a stop for all of it, one limit a target, a trailing order for the rest.

    Raises
    ------
    ConfigError
        If shares exceed the whole, or stop and targets do not lie on either side of each other.
    """
    shares = sum((share for _, share in legs.targets), Decimal(0))
    if shares > 1 or any(share <= 0 for _, share in legs.targets):
        raise ConfigError(f"the targets of a bracket share out {shares} of the position; expected at most 1")
    sign = 1 if entry.side is Side.BUY else -1
    ladder = [*(() if legs.stop is None else (legs.stop,)), *(price for price, _ in legs.targets)]
    if ladder != sorted(ladder, reverse=sign < 0) or len(set(ladder)) != len(ladder):
        raise ConfigError(f"expected the stop, then the targets in order, received {', '.join(map(str, ladder))}")
    out: list[Order] = []
    if legs.stop is not None:
        level = _tick(legs.stop, instrument)
        out.append(_child(entry, "stop", entry.quantity, OrderKind.STOP, FillReason.STOP, trigger=level))
    left = entry.quantity
    for number, (price, share) in enumerate(legs.targets, start=1):
        last = number == len(legs.targets) and shares == 1
        part = left if last else min(left, round_quantity(entry.quantity * share, instrument.lot))
        left -= part
        if part > 0:
            level = _tick(price, instrument)
            leg = f"target {number}"
            out.append(_child(entry, leg, part, OrderKind.LIMIT, FillReason.TARGET, limit=level))
    if legs.trail is not None and left > 0:
        trail = max(instrument.tick, _tick(legs.trail, instrument))
        out.append(_child(entry, "trail", left, OrderKind.TRAILING, FillReason.STOP, trail=trail))
    return tuple(out if legs.stop is not None else [replace(one, group="") for one in out])


def leg_id(entry: OrderId, decided_at: int, leg: str) -> OrderId:
    """Return the id of a leg around an entry: ``stop``, ``target 1`` and so on, or ``trail``."""
    return order_id(environment="bracket", account="", strategy=entry, version="", decided_at_ns=decided_at, leg=leg)


def _tick(price: Decimal, instrument: Instrument) -> Decimal:
    return round_tick(price, instrument.tick)


def _child(
    entry: Order,
    leg: str,
    quantity: Decimal,
    kind: OrderKind,
    reason: FillReason,
    **levels: Decimal,
) -> Order:
    return Order(
        leg_id(entry.id, entry.decided_at, leg),
        entry.instrument,
        Side.SELL if entry.side is Side.BUY else Side.BUY,
        quantity,
        kind,
        entry.decided_at,
        reason,
        limit_price=levels.get("limit"),
        trigger_price=levels.get("trigger"),
        trail=levels.get("trail"),
        reduce_only=True,
        parent=entry.id,
        group=entry.id,
        strategy=entry.strategy,
    )
