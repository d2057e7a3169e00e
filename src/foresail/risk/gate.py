"""The gate: every order passes here, and what cannot be checked does not pass.

1. Numbers and levels are validated for every order; one failure refuses it.
2. Orders that reduce come next: within the held quantity, less what other exits may take, they always pass, price or no
   price, halt or breaker, so that an exit is never blocked by the lack of something else. Their own caps are what is
   held, and a number a minute.
3. The rest is checked: known instrument, a finite positive price, positive equity, a stop on the right side. Then every
   rule speaks; the strictest wins; the quantity is cut to whole lots.
4. What passed counts for the orders after it; open and unknown orders count at their worst.

A rule that raises, or the lack of what it asks for, refuses the order and every opening after it, and the ruling asks
the core to halt (``halt_reason``). Orders come back in the order given, each with the rulings that acted on it; a
quantity of zero means refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from foresail.core.errors import ForesailError
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import round_quantity
from foresail.domain.instruments import Instrument
from foresail.domain.limits import FlowLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.protocols import RiskView
from foresail.risk.catalogue import TradingRule
from foresail.risk.checks import levels_fault, opening_fault, quantity_fault
from foresail.risk.projected import Projected
from foresail.risk.state import RiskState

__all__ = ["FAULT_RULE", "RiskGate", "halt_reason"]

_ZERO = Decimal(0)
_INPUT = "gate input check"
_EXIT = "gate exits"
_LOTS = "gate lots"
FAULT_RULE = "gate fault"
# everything that a rule or a view can raise by mistake; an interrupt is not among it
_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, ForesailError)


def halt_reason(rulings: Sequence[Ruling]) -> str:
    """Return why the core must halt openings (``TradingHalted``), empty where no ruling asks for it."""
    return next((one.text for one in rulings if one.rule == FAULT_RULE), "")


class RiskGate:
    """Reviews a batch of orders against the limits of one account.

    Parameters
    ----------
    rules : limits on positions, in force everywhere
    trading : limits of an account that trades; they ask a ``TradingRiskView``
    flow : caps of the exit path; None where nothing trades
    """

    def __init__(
        self,
        rules: Sequence[TradingRule],
        instruments: Mapping[InstrumentId, Instrument],
        *,
        trading: Sequence[TradingRule] = (),
        flow: FlowLimits | None = None,
    ) -> None:
        self._rules: tuple[TradingRule, ...] = (*trading, *rules)
        self._instruments = instruments
        self._flow = flow
        self._factors: dict[InstrumentId, float] = {}  # contract multipliers, as they are asked for

    def review(self, orders: Sequence[Order], view: RiskView) -> list[tuple[Order, tuple[Ruling, ...]]]:
        """Return every order with the quantity that may leave (0 = refused) and the rulings that cut it."""
        projected = Projected(view, self._instruments, self._factors)
        batch = _Batch(self._exits_left(view))
        names = {order.id for order in orders}
        turns = [_turn(order, projected.held(order.instrument), names) for order in orders]
        passed: list[tuple[Order, tuple[Ruling, ...]]] = [(order, ()) for order in orders]
        for turn in range(3):
            for i, order in enumerate(orders):
                if turns[i] == turn:
                    quantity, rulings = self._review(order, projected, batch)
                    passed[i] = (replace(order, quantity=quantity) if rulings else order, rulings)
        return passed

    def _exits_left(self, view: RiskView) -> int | None:
        """Return how many exits this minute still has, None where there is no such cap."""
        state: RiskState | None = getattr(view, "state", None)
        if self._flow is None or state is None:
            return None
        try:
            sent: int = sum(one.is_exit for one in state.last_minute(getattr(view, "now", 0)))
        except _FAULTS:
            return None  # openings refuse by themselves; an exit does not wait for a broken state
        return max(0, self._flow.exit_orders_per_minute - sent)

    def _review(self, order: Order, projected: Projected, batch: _Batch) -> tuple[Decimal, tuple[Ruling, ...]]:
        wrong = quantity_fault(order) or levels_fault(order)
        if wrong:
            return _ZERO, (Ruling(_INPUT, _ZERO, wrong),)
        closing = _ZERO
        if order.reduce_only or _reduces(order, projected.held(order.instrument)):
            closing = min(order.quantity, projected.exit_room(order))
            if closing > 0 and not batch.take_exit():
                return _ZERO, (Ruling(_EXIT, _ZERO, "the exits of this minute are used up: a loop is assumed"),)
            if closing > 0:
                projected.close(order, closing)
        opening = order.quantity - closing if closing else order.quantity
        if opening == 0:
            return closing, ()
        if order.reduce_only:
            return closing, (Ruling(_EXIT, closing, "no more is held than is on its way out already"),)
        wanted = replace(order, quantity=opening) if closing else order
        allowed, rulings = self._open(wanted, projected, batch)
        if allowed > 0:
            projected.open(order, allowed)
        return closing + allowed, rulings

    def _open(self, order: Order, projected: Projected, batch: _Batch) -> tuple[Decimal, tuple[Ruling, ...]]:
        if batch.fault:
            return _ZERO, (Ruling(_INPUT, _ZERO, "a rule failed on an order of this batch: nothing is opened"),)
        name = "gate"
        try:
            wrong = self._opening_fault(order, projected)
            if wrong:
                return _ZERO, (Ruling(_INPUT, _ZERO, wrong),)
            record = self._instruments[order.instrument]
            seen = order if record.multiplier == 1 else _per_unit(order, record.multiplier)
            acted = []
            for rule in self._rules:
                name = rule.name
                ruling = rule.review(seen, projected)
                if ruling.quantity is order.quantity:
                    continue  # nothing is cut; that it is a finite number was seen at the door
                if not ruling.quantity.is_finite():
                    return _ZERO, (Ruling(name, _ZERO, "the rule returned no number: refused"),)
                if not ruling.quantity >= order.quantity:
                    acted.append(ruling)
            return _cut(order, acted, record.lot)
        except _FAULTS as fault:
            batch.fault = f"{name} failed on {order.instrument}: {type(fault).__name__}: {fault}"
            return _ZERO, (Ruling(FAULT_RULE, _ZERO, batch.fault),)

    def _opening_fault(self, order: Order, projected: Projected) -> str:
        record, price = self._instruments.get(order.instrument), projected.price(order.instrument)
        seen = order
        if record is not None and record.multiplier.is_finite() and record.multiplier != 1:
            seen = _per_unit(order, record.multiplier)
        wrong = opening_fault(seen, record, price)
        equity, cash = projected.account.equity, projected.account.cash
        if not wrong and not (equity.is_finite() and equity > 0 and cash.is_finite()):
            return f"equity and cash must be finite and equity positive, received {equity}"
        return wrong


class _Batch:
    """What one review carries besides the account: exits left this minute, and a rule that failed."""

    def __init__(self, exits_left: int | None) -> None:
        self._exits_left = exits_left
        self.fault = ""

    def take_exit(self) -> bool:
        if self._exits_left is None:
            return True
        self._exits_left -= 1
        return self._exits_left >= 0


def _cut(order: Order, acted: list[Ruling], lot: Decimal) -> tuple[Decimal, tuple[Ruling, ...]]:
    """Return the strictest quantity in whole lots and the rulings, the strictest first."""
    strictest = min([ruling.quantity for ruling in acted], default=order.quantity)
    allowed = max(_ZERO, round_quantity(strictest, lot))
    if not acted and allowed != order.quantity:
        acted = [Ruling(_LOTS, allowed, f"whole lots of {lot}")]
    return allowed, tuple(sorted(acted, key=lambda ruling: ruling.quantity))


def _per_unit(order: Order, multiplier: Decimal) -> Order:
    """Return an order whose levels are money per unit, as rules compare them."""
    levels = {name: getattr(order, name) for name in ("limit_price", "stop_price", "target_price", "trigger_price")}
    return replace(order, **{name: level * multiplier for name, level in levels.items() if level is not None})


def _turn(order: Order, held: Decimal, batch: set[OrderId]) -> int:
    """Return when an order is reviewed: exits of what is held, openings, exits of what the batch opens."""
    if order.reduce_only and order.parent in batch:
        return 2
    return 0 if order.reduce_only or _reduces(order, held) else 1


def _reduces(order: Order, held: Decimal) -> bool:
    return held < 0 if order.side is Side.BUY else held > 0
