"""The gate: every order passes here, and what cannot be checked does not pass.

1. Orders that reduce come first: within the held quantity they always pass, price or no price, so that an exit is never
   blocked by the lack of something else.
2. The rest is validated: known instrument, exact finite numbers, a finite positive price, positive equity, a stop on
   the right side. One failure refuses.
3. Every rule speaks; the strictest wins; the quantity is cut to whole lots.
4. What passed counts for the orders after it: cash, positions and exposures are carried forward within the batch.

Nothing is caught here: a rule that raises stops the batch, so no order leaves. Orders come back in the order given,
each with the rulings that acted on it; a quantity of zero means refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from foresail.core.ids import InstrumentId
from foresail.core.numbers import round_quantity
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import Instrument
from foresail.domain.limits import PositionLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.protocols import RiskRule, RiskView
from foresail.risk.rules.cash_floor import CashFloor
from foresail.risk.rules.class_exposure import ClassExposure
from foresail.risk.rules.max_position import MaxPosition
from foresail.risk.rules.per_trade_risk import PerTradeRisk
from foresail.risk.rules.sector import SectorExposure
from foresail.risk.rules.shorting import Shorting

__all__ = ["RiskGate", "default_rules", "inactive_rules"]

_ZERO = Decimal(0)
_INPUT = "gate input check"
_EXIT = "gate exits"

_INACTIVE: tuple[tuple[str, str], ...] = (
    ("RISK-05 altcoin share", "off: caps within a class come with multi-asset portfolios"),
    ("RISK-06 currency exposure", "off: three forex positions of 1 % risk each stay below 5 % of any currency"),
    ("RISK-11 correlation", "off: needs the correlation monitor, which does not exist yet"),
    ("RISK-14 value at risk", "off: needs the risk measures, which do not exist yet"),
    ("RISK-19 drawdown ladder", "off: needs state that survives restarts, which does not exist yet"),
    ("RISK-20 leverage", "off: nothing is levered, so there is nothing to limit"),
    ("RISK-24 daily loss breaker", "off: breakers do not exist yet"),
    ("RISK-25 weekly loss breaker", "off: breakers do not exist yet"),
    ("RISK-26 consecutive losses breaker", "off: breakers do not exist yet"),
    ("RISK-27 trades per day breaker", "off: breakers do not exist yet"),
    ("RISK-28 daily loss in money", "off: breakers do not exist yet"),
    ("RISK-29 daily loss in R", "off: breakers do not exist yet"),
    ("RISK-31 kill switch", "off: nothing trades live yet"),
    ("SIZE-10 condition multipliers", "off: need beta, VIX and session state, which do not exist yet"),
)


def default_rules(limits: PositionLimits) -> tuple[RiskRule, ...]:
    """Return the rules in force, in the order in which they are named when several are equally strict."""
    return (
        Shorting(limits),
        PerTradeRisk(limits),
        MaxPosition(limits),
        SectorExposure(limits),
        ClassExposure(limits),
        CashFloor(limits),
    )


def inactive_rules() -> tuple[tuple[str, str], ...]:
    """Return (rule, why it is off) for every limit of the specification that is not enforced; reports print it."""
    return _INACTIVE


class _Projected:
    """The account as it will stand after the orders that passed so far."""

    def __init__(self, view: RiskView) -> None:
        self._view = view
        self._positions = {p.instrument: p for p in view.account.positions}
        self._account = view.account
        self._prices: dict[InstrumentId, float] = {}

    @property
    def account(self) -> Account:
        return self._account

    def price(self, instrument: InstrumentId) -> float:
        if instrument not in self._prices:
            self._prices[instrument] = float(self._view.price(instrument))
        return self._prices[instrument]

    def sector(self, instrument: InstrumentId) -> str:
        return self._view.sector(instrument)

    def held(self, instrument: InstrumentId) -> Decimal:
        position = self._positions.get(instrument)
        return _ZERO if position is None else position.quantity

    def apply(self, order: Order, quantity: Decimal) -> None:
        """Carry an order forward at the last close; without a price cash stays as it is."""
        signed = quantity if order.side is Side.BUY else -quantity
        price = self.price(order.instrument)
        after = self.held(order.instrument) + signed
        average = Decimal(repr(price)) if math.isfinite(price) else _ZERO
        self._positions[order.instrument] = Position(order.instrument, after, average, order.decided_at)
        if after == 0:
            del self._positions[order.instrument]
        paid = average * signed
        self._account = replace(
            self._account, cash=self._account.cash - paid, positions=tuple(self._positions.values())
        )


class RiskGate:
    """Reviews a batch of orders against the limits of one profile."""

    def __init__(self, rules: Sequence[RiskRule], instruments: Mapping[InstrumentId, Instrument]) -> None:
        self._rules = tuple(rules)
        self._instruments = instruments

    def review(self, orders: Sequence[Order], view: RiskView) -> list[tuple[Order, tuple[Ruling, ...]]]:
        """Return every order with the quantity that may leave (0 = refused) and the rulings that cut it."""
        projected = _Projected(view)
        held = {order.instrument: projected.held(order.instrument) for order in orders}
        reducing = [_is_reducing(order, held[order.instrument]) for order in orders]
        passed: list[tuple[Order, tuple[Ruling, ...]]] = [(order, ()) for order in orders]
        for exits in (True, False):
            for i, order in enumerate(orders):
                if reducing[i] is exits:
                    quantity, rulings = self._review(order, projected)
                    passed[i] = (replace(order, quantity=quantity) if rulings else order, rulings)
        return passed

    def _review(self, order: Order, projected: _Projected) -> tuple[Decimal, tuple[Ruling, ...]]:
        wrong = self._quantity_fault(order)
        if wrong:
            return _ZERO, (Ruling(_INPUT, _ZERO, wrong),)
        held = projected.held(order.instrument)
        closing = min(order.quantity, abs(held)) if _is_reducing(order, held) else _ZERO
        if closing > 0:
            projected.apply(order, closing)
        opening = order.quantity - closing
        if opening == 0:
            return closing, ()
        allowed, rulings = self._open(replace(order, quantity=opening), projected)
        if allowed > 0:
            projected.apply(order, allowed)
        return closing + allowed, rulings

    def _open(self, order: Order, projected: _Projected) -> tuple[Decimal, tuple[Ruling, ...]]:
        wrong = self._opening_fault(order, projected)
        if wrong:
            return _ZERO, (Ruling(_INPUT, _ZERO, wrong),)
        acted = []
        for rule in self._rules:
            ruling = rule.review(order, projected)
            if not ruling.quantity.is_finite():
                return _ZERO, (Ruling(rule.name, _ZERO, "the rule returned no number: refused"),)
            if ruling.quantity < order.quantity:
                acted.append(ruling)
        strictest = min((r.quantity for r in acted), default=order.quantity)
        lot = self._instruments[order.instrument].lot
        allowed = max(_ZERO, round_quantity(strictest, lot)) if acted else order.quantity
        return allowed, tuple(sorted(acted, key=lambda ruling: ruling.quantity))

    @staticmethod
    def _quantity_fault(order: Order) -> str:
        if not order.quantity.is_finite() or order.quantity <= 0:
            return f"expected a finite positive quantity, received {order.quantity}"
        return ""

    def _opening_fault(self, order: Order, projected: _Projected) -> str:
        """Return what makes an opening order impossible to check, empty where nothing does."""
        if order.instrument not in self._instruments:
            return f"instrument {order.instrument} is not known"
        if self._instruments[order.instrument].multiplier != 1:
            return f"{order.instrument} has a contract multiplier, which limits on value do not support yet"
        price, equity = projected.price(order.instrument), projected.account.equity
        if not (math.isfinite(price) and price > 0.0):
            return f"no price is known for {order.instrument}, received {price}"
        if not (equity.is_finite() and equity > 0 and projected.account.cash.is_finite()):
            return f"equity and cash must be finite and equity positive, received {equity}"
        return _level_fault(order, price)


def _level_fault(order: Order, price: float) -> str:
    """Return which price level of an order makes no sense, empty where none."""
    for name in ("limit_price", "stop_price", "target_price"):
        level = getattr(order, name)
        if level is not None and not (level.is_finite() and level > 0):
            return f"expected a finite positive {name}, received {level}"
    if order.stop_price is not None:
        entry = Decimal(repr(price)) if order.limit_price is None else order.limit_price
        is_right = order.stop_price < entry if order.side is Side.BUY else order.stop_price > entry
        if not is_right:
            return f"the stop {order.stop_price} is on the wrong side of the entry {entry} (SIZE-13)"
    return ""


def _is_reducing(order: Order, held: Decimal) -> bool:
    return held < 0 if order.side is Side.BUY else held > 0
