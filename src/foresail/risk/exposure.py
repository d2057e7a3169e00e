"""What an account holds, as fractions of its equity: the sums that several rules compare with their limits."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.orders import Order, OrderKind, Ruling
from foresail.protocols import RiskView

__all__ = [
    "allow",
    "asset_class_of",
    "class_value",
    "entry_and_stop",
    "gross_value",
    "held_units",
    "number",
    "refuse",
    "scale",
    "sector_value",
    "shrink_to_money",
    "shrink_to_value",
    "whole_units",
]

_CLASSES = {"crypto": AssetClass.CRYPTO, "fx": AssetClass.FOREX}
_ROUND_DOWN = decimal.Context(prec=60, rounding=decimal.ROUND_DOWN)
_STEP = Decimal("1e-12")
_new = object.__new__
_set_rule, _set_quantity, _set_text = (vars(Ruling)[name].__set__ for name in ("rule", "quantity", "text"))
_SLACK = 1e-9  # fraction of equity that rounding may add


@lru_cache(maxsize=65_536)
def number(exact: Decimal) -> float:
    """Return a decimal as a float; quantities and equity are asked for by many rules, and the cache costs a fifth."""
    return float(exact)


@lru_cache(maxsize=65_536)
def asset_class_of(instrument: InstrumentId) -> AssetClass:
    """Return the class whose limits an id falls under; funds, indices and simulated names count as stocks."""
    return _CLASSES.get(instrument.partition(".")[0], AssetClass.STOCK)


def held_units(view: RiskView, instrument: InstrumentId) -> float:
    """Return the signed units held, 0 where none."""
    known = getattr(view, "position_units", None)
    if known is not None:
        units: float = known(instrument)
        return units
    for position in view.account.positions:
        if position.instrument == instrument:
            return number(position.quantity)
    return 0.0


def gross_value(view: RiskView, counts: Callable[[InstrumentId], bool]) -> float:
    """Return the sum of absolute position values of the instruments that count; NaN where a price is unknown."""
    values = getattr(view, "values", None)  # a review computes them once for all rules
    if values is not None:
        return math.fsum([abs(value) for name, value in values().items() if counts(name)])
    return math.fsum(
        abs(number(p.quantity)) * view.price(p.instrument) for p in view.account.positions if counts(p.instrument)
    )


def class_value(view: RiskView, own: AssetClass) -> float:
    """Return the sum of absolute position values of an asset class; NaN where a price is unknown."""
    known = getattr(view, "class_value", None)
    value: float = gross_value(view, lambda other: asset_class_of(other) is own) if known is None else known(own)
    return value


def sector_value(view: RiskView, sector: str) -> float:
    """Return the sum of absolute position values of a sector; NaN where a price is unknown."""
    known = getattr(view, "sector_value", None)
    value: float = gross_value(view, lambda other: view.sector(other) == sector) if known is None else known(sector)
    return value


def whole_units(units: float) -> Decimal:
    """Return units as an exact decimal, rounded down at the twelfth place; the gate cuts to lots."""
    return Decimal(units).quantize(_STEP, context=_ROUND_DOWN)


def entry_and_stop(order: Order, price: float) -> tuple[float, float | None]:
    """Return the level at which an order is expected to fill and the stop that will hang on it, None where none.

    A plain stop order without ``trigger_price`` takes ``stop_price`` as its trigger: then it carries no stop.
    """
    stop = None if order.stop_price is None else float(order.stop_price)
    if order.limit_price is not None:
        return float(order.limit_price), stop
    if order.trigger_price is not None:
        return float(order.trigger_price), stop
    if order.kind is OrderKind.STOP and stop is not None:
        return stop, None
    return price, stop


def allow(rule: str, order: Order) -> Ruling:
    """Return the ruling that changes nothing; it carries the very number of the order, by which the gate knows it.

    Every rule returns one for almost every order: filled past the initialiser of a frozen record it costs half.
    """
    ruling = _new(Ruling)
    _set_rule(ruling, rule)
    _set_quantity(ruling, order.quantity)
    _set_text(ruling, "")
    return ruling


def refuse(rule: str, text: str) -> Ruling:
    """Return the ruling that lets nothing pass."""
    return Ruling(rule, Decimal(0), text)


def scale(rule: str, order: Order, factor: float, text: str) -> Ruling:
    """Return the ruling that leaves a fraction of an order."""
    return Ruling(rule, whole_units(number(order.quantity) * factor * (1.0 + 1e-12)), text)


def shrink_to_money(rule: str, order: Order, view: RiskView, room: float, *, text: str) -> Ruling:
    """Return the ruling that leaves the units whose value stays within ``room``, account currency; NaN refuses."""
    price = view.price(order.instrument)
    if number(order.quantity) * price <= room:
        return allow(rule, order)
    if not room > 0.0:
        return refuse(rule, text)
    return Ruling(rule, min(whole_units(room / price), order.quantity), f"{text}: order cut")


def shrink_to_value(rule: str, order: Order, view: RiskView, used: float, *, limit: float, what: str) -> Ruling:
    """Return the ruling for a limit on value: units so that ``used`` plus the order stays within ``limit`` of equity.

    Parameters
    ----------
    used : value that counts against the limit already, account currency; NaN refuses
    limit : fraction of equity
    what : the limit in words, for example "one position"
    """
    equity, price = number(view.account.equity), view.price(order.instrument)
    room = (limit + _SLACK) * equity - used
    wanted = number(order.quantity) * price
    if wanted <= room:
        return allow(rule, order)
    if not room > 0.0:  # also where a price is unknown: room is NaN
        return refuse(rule, f"{what} is at its limit of {limit:.0%} of equity")
    return Ruling(
        rule, min(whole_units(room / price), order.quantity), f"{what} is limited to {limit:.0%} of equity: order cut"
    )
