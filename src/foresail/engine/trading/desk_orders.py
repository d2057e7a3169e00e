"""Orders that a strategy asks for itself (EXEC-02): intents become orders, changes and cancels of its own.

A strategy names what it asks for by legs and groups of its own words. Ids follow from (account, strategy, decision,
leg) and nothing else, so a repeated decision gives the same orders, and a later one finds an open order by its leg.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.effects import ReplaceSend
from foresail.domain.instruments import AssetClass
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Cancel, Intent, OrderIntent, Replace, Side
from foresail.engine.trading.parts import DeskCall
from foresail.risk.exposure import asset_class_of

__all__ = ["Author"]

_Name = TypeVar("_Name", bound=StrEnum)
_KINDS = {one.value: one for one in OrderKind}
_REASONS = {  # of what only reduces
    "market": FillReason.EXIT,
    "limit": FillReason.TARGET,
    "stop": FillReason.STOP,
    "stop_limit": FillReason.STOP,
    "trailing": FillReason.STOP,
}
_LIVES = {one.value: one for one in TimeInForce}


@dataclass(frozen=True, slots=True)
class Author:
    """Who asks: the parts of an order's id that do not change with the decision."""

    environment: str
    account: str
    strategy: str
    version: str

    def identity(self, at: int, instrument: InstrumentId, leg: str) -> OrderId:
        """Return the id of the order of a leg; the planner names its own legs after reasons."""
        return self._id(at, f"{instrument}:own:{leg}")

    def _id(self, at: int, leg: str) -> OrderId:
        return order_id(
            environment=self.environment,
            account=self.account,
            strategy=self.strategy,
            version=self.version,
            decided_at_ns=at,
            leg=leg,
        )

    def orders(self, intents: Sequence[Intent], call: DeskCall) -> list[Order]:
        """Return the orders asked for, parents before their children.

        Raises
        ------
        ConfigError
            If an instrument is not in the set, or a parent is no leg of the same decision.
        UnknownNameError
            If a kind or a time in force is none.
        """
        wanted = [one for one in intents if isinstance(one, OrderIntent)]
        legs = {(one.instrument, one.leg) for one in wanted} if any(one.parent for one in wanted) else set()
        for one in wanted:
            self._check(one, call, legs)
        if legs:
            wanted.sort(key=lambda one: bool(one.parent))
        return [self._order(one, call) for one in wanted]

    def _check(self, one: OrderIntent, call: DeskCall, legs: set[tuple[InstrumentId, str]]) -> None:
        if one.instrument not in call.prices:
            raise ConfigError(f"strategy {self.strategy} asks for {one.instrument}, which is not in the set")
        if one.ladder and not (
            asset_class_of(one.instrument) is AssetClass.CRYPTO
            and one.side is Side.BUY
            and one.target_price is None
            and not (one.reduce_only or one.parent)
        ):
            raise ConfigError(
                f"strategy {self.strategy}: the order {one.leg!r} in {one.instrument} asks for a ladder, which only a "
                "purchase of crypto without a target can have (EXIT-06)"
            )
        if one.parent and ((one.instrument, one.parent) not in legs or one.parent == one.leg):
            raise ConfigError(
                f"strategy {self.strategy}: the order {one.leg!r} in {one.instrument} names {one.parent!r} as its "
                "parent, which is no other leg of this decision",
                hint="give the entry that leg, and ask for both in one decision",
            )

    def _group(self, one: OrderIntent, call: DeskCall) -> str:
        if one.joins:
            open_order = self._open(one.instrument, one.joins, call)
            return "" if open_order is None else open_order.group
        return self._id(call.at, f"group:{one.group}") if one.group else ""

    def _order(self, one: OrderIntent, call: DeskCall) -> Order:
        at = call.at
        return Order(
            self.identity(at, one.instrument, one.leg),
            one.instrument,
            one.side,
            one.quantity,
            _named(_KINDS, "order kind", one.kind),
            at,
            _REASONS[one.kind] if one.reduce_only else FillReason.ENTRY,
            limit_price=one.limit_price,
            stop_price=one.stop_price,
            target_price=one.target_price,
            trigger_price=one.trigger_price,
            trail=one.trail,
            time_in_force=_named(_LIVES, "time in force", one.time_in_force),
            expires_at=one.expires_at,
            reduce_only=one.reduce_only,
            parent=self.identity(at, one.instrument, one.parent) if one.parent else None,
            group=self._group(one, call),
            strategy=f"{self.strategy}@{self.version}",
        )

    def laddered(self, intents: Sequence[Intent], call: DeskCall) -> tuple[OrderId, ...]:
        """Return the orders for which a ladder was asked."""
        asked = (one for one in intents if isinstance(one, OrderIntent) and one.ladder)
        return tuple(self.identity(call.at, one.instrument, one.leg) for one in asked)

    def changes(self, intents: Sequence[Intent], call: DeskCall) -> tuple[ReplaceSend, ...]:
        """Return the changes of open orders asked for; what is not open any more is left as it ended."""
        out = []
        for one in intents:
            order = self._open(one.instrument, one.leg, call) if isinstance(one, Replace) else None
            if isinstance(one, Replace) and order is not None:
                quantity: Decimal = order.quantity if one.quantity is None else one.quantity
                out.append(ReplaceSend(order.id, order.instrument, quantity, one.limit_price, one.trigger_price))
        return tuple(out)

    def cancelled(self, intents: Sequence[Intent], call: DeskCall) -> tuple[OrderId, ...]:
        """Return the orders of single legs that are to be taken back."""
        legs = (self._open(one.instrument, one.leg, call) for one in intents if isinstance(one, Cancel) and one.leg)
        return tuple(dict.fromkeys(order.id for order in legs if order is not None))

    def _open(self, instrument: InstrumentId, leg: str, call: DeskCall) -> Order | None:
        """Return the newest open order of a leg, None where none is open."""
        states: Iterable[Order] = () if call.orders is None else [s.order for s in call.orders.open(instrument)]
        found = [one for one in states if one.id == self.identity(one.decided_at, instrument, leg)]
        return max(found, key=lambda one: one.decided_at, default=None)


def _named(known: Mapping[str, _Name], what: str, name: str) -> _Name:
    found = known.get(name)
    if found is None:
        raise UnknownNameError(what, name, known)
    return found
