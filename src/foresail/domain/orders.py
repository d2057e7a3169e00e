"""Orders, fills and what a gate says about them. Prices and quantities are exact decimals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.signals import Side

__all__ = ["Fill", "FillReason", "Order", "OrderKind", "Ruling", "TimeInForce"]


class OrderKind(StrEnum):
    """What triggers an order."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING = "trailing"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTC = "gtc"  # until it is cancelled
    DAY = "day"  # to the end of the session
    GTD = "gtd"  # until ``expires_at``
    IOC = "ioc"  # what does not fill at once is cancelled
    FOK = "fok"  # all at once or nothing


class FillReason(StrEnum):
    """Why a fill happened."""

    ENTRY = "entry"
    REBALANCE = "rebalance"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, decided at a nominal instant (ns UTC).

    Attributes
    ----------
    limit_price : of limit and stop-limit orders
    stop_price : of a stop order its trigger; on others the stop that hangs on the position once they fill
    target_price : the target that hangs on the position once the order fills
    trigger_price : of a stop-limit order; of a stop order that also carries an attached stop
    trail : of a trailing order, the distance kept from the best price since it was accepted, quote currency
    expires_at : of good-till-date orders, ns UTC
    reduce_only : never opens or turns a position
    parent : the order whose fill brings this one to life
    group : orders of one group cancel one another: the first that fills takes the others with it
    strategy : who asked for it
    revision : 0 for the first order of a decision's leg, then counted
    """

    id: OrderId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    kind: OrderKind
    decided_at: int
    reason: FillReason = FillReason.ENTRY
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    trigger_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: int = 0
    reduce_only: bool = False
    parent: OrderId | None = None
    group: str = ""
    strategy: str = ""
    revision: int = 0

    @property
    def is_plain_stop(self) -> bool:
        """Whether ``stop_price`` is what sets it off: a stop order without a trigger of its own."""
        return self.kind is OrderKind.STOP and self.trigger_price is None

    @property
    def trigger(self) -> Decimal | None:
        """Price that sets it off, wherever it is kept; None where nothing has to."""
        return self.stop_price if self.is_plain_stop else self.trigger_price

    def with_trigger(self, level: Decimal) -> Order:
        """Return it set off at another price, kept where it was; a plain stop gets no stop that hangs on a position."""
        return replace(self, stop_price=level) if self.is_plain_stop else replace(self, trigger_price=level)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes
    ----------
    quantity : units, positive
    price : price paid or received, slippage and half-spread included, on the tick grid
    reference_price : price before slippage and spread (open, close or stop level)
    fee : commission and regulatory fees, quote currency, >= 0
    slippage : money lost to slippage and half-spread, >= 0 (already in ``price``)
    execution : the venue's id of this execution, unique with it; empty in a backtest of bars
    """

    order_id: OrderId
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    price: Decimal
    reference_price: Decimal
    fee: Decimal
    slippage: Decimal
    filled_at: int
    reason: FillReason
    execution: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a risk rule says: allow, shrink to a quantity, or refuse (quantity zero)."""

    rule: str
    quantity: Decimal
    text: str = ""
