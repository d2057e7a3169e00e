"""From what should be held to orders: whole lots, sales before purchases, nothing bought without the money for it.

1. A target weight becomes units: weight x equity / price, whole lots towards zero.
2. The difference to what is held (and already on order) becomes an order, unless it is too small to be worth its cost.
3. A position that turns from long to short is closed by one order and opened by another.
4. Purchases are scaled down together where cash and the proceeds of sales do not pay for them; closing never is.

Everything that was left out or cut is noted with the reason. Order ids are a pure function of the decision.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId, order_id
from foresail.core.numbers import round_quantity, round_tick
from foresail.domain.accounts import Account
from foresail.domain.instruments import Instrument
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side, TargetWeights
from foresail.domain.thin_hours import is_thin

__all__ = ["Plan", "PlanRequest", "PlannerSettings", "plan_quantities", "plan_weights", "target_quantities"]

_ZERO = Decimal(0)
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])

_Levels = Mapping[InstrumentId, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How targets become orders.

    Attributes
    ----------
    no_trade_band : changes below this share of what is held are skipped
    minimum_notional : changes below this money (account currency) are skipped; closing is never skipped
    allow_short : whether a negative target is planned; otherwise it counts as zero
    check_cash : whether purchases are cut to cash and proceeds (off for margined instruments)
    cash_buffer : share of a purchase kept for costs and for a higher price at the fill
    thin_hours : UTC hours in which crypto is traded by limit orders (EXEC-04), as of ``MarketLimits.thin_hours``
    limit_distance : there, fraction of the last price by which a limit may be worse than it; without one of the two
        market orders are planned at all hours, and the refusal is left to others
    """

    no_trade_band: float = 0.10
    minimum_notional: Decimal = Decimal(10)
    allow_short: bool = False
    check_cash: bool = True
    cash_buffer: float = 0.005
    environment: str = "backtest"
    limit_distance: Decimal | None = None
    thin_hours: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.limit_distance is not None and not 0 <= self.limit_distance < 1:
            raise ConfigError(f"limit_distance must be a fraction from 0 to below 1, received {self.limit_distance}")


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is made from.

    Attributes
    ----------
    account : cash, equity and positions at the decision
    prices : last known price, quote currency; NaN or absent = unknown
    instruments : record of every instrument that is held or wanted
    decided_at : nominal decision time, ns UTC
    pending : signed units already on order, orders whose outcome is not known included; purchases among them hold
        back the money that they would cost
    reasons : reason of an exit where it is not a plain one, for example time
    rates : account currency per unit of another quote currency
    """

    account: Account
    prices: Mapping[InstrumentId, float]
    instruments: Mapping[InstrumentId, Instrument]
    decided_at: int
    strategy: str
    version: str
    pending: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    reasons: Mapping[InstrumentId, FillReason] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Orders in the order in which to submit them, and what was decided besides.

    Attributes
    ----------
    levels : (instrument, stop, target) to hang on positions that stay; None = none
    notes : (instrument, sentence) for everything skipped or cut
    """

    orders: tuple[Order, ...]
    levels: tuple[tuple[InstrumentId, float | None, float | None], ...] = ()
    notes: tuple[tuple[InstrumentId, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Leg:
    """Part of a plan: signed units of one instrument for one reason."""

    instrument: Instrument
    signed: Decimal
    reason: FillReason
    unit_value: Decimal | None  # account currency per unit
    opens: bool

    @property
    def notional(self) -> Decimal:
        """Money of the leg; zero where no price is known."""
        return _ZERO if self.unit_value is None else abs(self.signed) * self.unit_value


def target_quantities(targets: TargetWeights, request: PlanRequest) -> tuple[dict[InstrumentId, Decimal], Plan]:
    """Return signed units for target weights, and a plan without orders that notes the weights left out.

    A weight of zero gives zero units; a name without a price is left out.
    """
    quantities: dict[InstrumentId, Decimal] = {}
    notes: list[tuple[InstrumentId, str]] = []
    for name, weight in zip(targets.instruments, targets.weights, strict=True):
        if not math.isfinite(weight):
            raise ConfigError(f"{name}: expected a finite weight, received {weight}")
        unit = _unit_value(name, request)
        if weight == 0:
            quantities[name] = _ZERO
        elif unit is None:
            notes.append((name, "no price is known: nothing planned"))
        else:
            money = _CONTEXT.multiply(Decimal(repr(float(weight))), request.account.equity)
            quantities[name] = round_quantity(_CONTEXT.divide(money, unit), _record(name, request).lot)
    return quantities, Plan((), notes=tuple(notes))


def plan_weights(targets: TargetWeights, request: PlanRequest, settings: PlannerSettings) -> Plan:
    """Return the orders that lead from the account to target weights; names not among them are closed."""
    quantities, left_out = target_quantities(targets, request)
    skipped = {name for name, _text in left_out.notes}
    for position in request.account.positions:
        if position.instrument not in quantities and position.instrument not in skipped:
            quantities[position.instrument] = _ZERO
    levels = {
        name: (stop, target)
        for name, stop, target in zip(targets.instruments, targets.stops, targets.targets, strict=True)
    }
    plan = plan_quantities(quantities, request, settings, levels)
    small = tuple(
        (name, f"SIZE-13: {weight:.2%} of equity is less than one lot of {_record(name, request).lot}: nothing is held")
        for name, weight in zip(targets.instruments, targets.weights, strict=True)
        if weight != 0 and name not in skipped and quantities[name] == 0
    )
    return replace(plan, notes=left_out.notes + small + plan.notes)


def plan_quantities(
    quantities: Mapping[InstrumentId, Decimal],
    request: PlanRequest,
    settings: PlannerSettings,
    levels: _Levels | None = None,
) -> Plan:
    """Return the orders that lead to signed quantities; instruments not named are left alone.

    Parameters
    ----------
    quantities : units wanted, signed; rounded to whole lots towards zero
    levels : (stop, target) prices, NaN = none; they go with orders that open or enlarge, and to ``Plan.levels`` for
        positions that stay

    Raises
    ------
    UnknownNameError
        If an instrument has no record in the request.
    """
    held = {position.instrument: position.quantity for position in request.account.positions}
    notes: list[tuple[InstrumentId, str]] = []
    legs: list[_Leg] = []
    kept: list[InstrumentId] = []
    for name in sorted(quantities):
        wanted = round_quantity(quantities[name], _record(name, request).lot)
        if wanted < 0 and not settings.allow_short:
            notes.append((name, "short positions are not allowed: nothing is held instead"))
            wanted = _ZERO
        current = held.get(name, _ZERO) + request.pending.get(name, _ZERO)
        legs += _legs(name, current, wanted, (request, settings), notes)
        if held.get(name, _ZERO) * wanted > 0:
            kept.append(name)
    if settings.check_cash:
        legs = _within_cash(legs, request.account.cash - _held_back(request, settings), settings, notes)
    legs.sort(key=lambda leg: (leg.signed > 0, leg.opens, leg.instrument.id))
    wanted_levels = levels or {}
    return Plan(
        tuple(_order(leg, request, settings, wanted_levels) for leg in legs),
        tuple((name, *_clean(wanted_levels[name])) for name in kept if name in wanted_levels),
        tuple(notes),
    )


def _legs(
    name: InstrumentId,
    current: Decimal,
    wanted: Decimal,
    how: tuple[PlanRequest, PlannerSettings],
    notes: list[tuple[InstrumentId, str]],
) -> list[_Leg]:
    """Return what leads from current to wanted units: nothing, a change, an exit, or an exit and an entry."""
    request, settings = how
    if wanted == current:
        return []
    one, unit = _record(name, request), _unit_value(name, request)
    exit_reason = request.reasons.get(name, FillReason.EXIT)
    if wanted == 0:
        return [_Leg(one, -current, exit_reason, unit, opens=False)]
    if unit is None:
        notes.append((name, "no price is known: nothing planned"))
        return []
    if current * wanted < 0:
        closing = _Leg(one, -current, exit_reason, unit, opens=False)
        opening = _Leg(one, wanted, FillReason.ENTRY, unit, opens=True)
        return [closing, opening] if _worth(opening, _ZERO, settings, notes) else [closing]
    grows = abs(wanted) > abs(current)
    reason = FillReason.ENTRY if current == 0 else FillReason.REBALANCE
    leg = _Leg(one, wanted - current, reason, unit, opens=grows)
    return [leg] if _worth(leg, current, settings, notes) else []


def _worth(leg: _Leg, current: Decimal, settings: PlannerSettings, notes: list[tuple[InstrumentId, str]]) -> bool:
    """Return whether a change is large enough, noting why not."""
    name = leg.instrument.id
    if leg.notional < settings.minimum_notional:
        notes.append((name, f"a change of {leg.notional:.2f} is below the minimum of {settings.minimum_notional}"))
        return False
    if abs(leg.signed) < Decimal(repr(settings.no_trade_band)) * abs(current):
        notes.append((name, f"a change of less than {settings.no_trade_band:.0%} of the position is not traded"))
        return False
    return True


def _within_cash(
    legs: list[_Leg], cash: Decimal, settings: PlannerSettings, notes: list[tuple[InstrumentId, str]]
) -> list[_Leg]:
    """Scale purchases that open or enlarge so that cash and the proceeds of closing sales pay for them."""
    price_up = 1 + Decimal(repr(settings.cash_buffer))
    available = cash
    for leg in legs:
        if not leg.opens:
            available += -leg.notional * price_up if leg.signed > 0 else leg.notional
    needed = sum((leg.notional for leg in legs if leg.opens and leg.signed > 0), _ZERO) * price_up
    if needed <= available:
        return legs
    share = max(_ZERO, _CONTEXT.divide(available, needed))
    out: list[_Leg] = []
    for leg in legs:
        if not leg.opens or leg.signed < 0:
            out.append(leg)
            continue
        cut = replace(leg, signed=round_quantity(_CONTEXT.multiply(leg.signed, share), leg.instrument.lot))
        text = f"cut from {leg.signed} to {cut.signed} units: cash pays for {float(share):.1%} of the purchases"
        if cut.signed == 0 or cut.notional < settings.minimum_notional:
            notes.append((leg.instrument.id, f"{text}; that is below the minimum, so nothing is bought"))
        else:
            notes.append((leg.instrument.id, text))
            out.append(cut)
    return out


def _held_back(request: PlanRequest, settings: PlannerSettings) -> Decimal:
    """Return the money that purchases on order would cost; one without a price holds back nothing."""
    values = ((units, _unit_value(name, request)) for name, units in sorted(request.pending.items()) if units > 0)
    cost = sum((_CONTEXT.multiply(units, unit) for units, unit in values if unit is not None), _ZERO)
    return cost * (1 + Decimal(repr(settings.cash_buffer)))


def _limit_price(leg: _Leg, request: PlanRequest, settings: PlannerSettings) -> Decimal | None:
    """Return the limit of an order that must not be a market order (EXEC-04), on the tick grid; None = market.

    A leg without a known price stays a market order: it only closes.
    """
    one = leg.instrument
    price = request.prices.get(one.id, math.nan)
    is_free = not is_thin(one.asset_class, request.decided_at, settings.thin_hours)
    if is_free or settings.limit_distance is None or not (math.isfinite(price) and price > 0):
        return None
    worse = settings.limit_distance if leg.signed > 0 else -settings.limit_distance
    limit = round_tick(_CONTEXT.multiply(Decimal(repr(float(price))), 1 + worse), one.tick)
    return max(limit, one.tick)


def _order(leg: _Leg, request: PlanRequest, settings: PlannerSettings, levels: _Levels) -> Order:
    name = leg.instrument.id
    identity = order_id(
        environment=settings.environment,
        account=request.account.id,
        strategy=request.strategy,
        version=request.version,
        decided_at_ns=request.decided_at,
        leg=f"{name}:{leg.reason.value}",
    )
    stop, target = _clean(levels[name]) if leg.opens and name in levels else (None, None)
    tick = leg.instrument.tick
    limit = _limit_price(leg, request, settings)
    return Order(
        id=identity,
        instrument=name,
        side=Side.BUY if leg.signed > 0 else Side.SELL,
        quantity=abs(leg.signed),
        kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
        decided_at=request.decided_at,
        reason=leg.reason,
        limit_price=limit,
        stop_price=None if stop is None else round_tick(Decimal(repr(float(stop))), tick),
        target_price=None if target is None else round_tick(Decimal(repr(float(target))), tick),
        strategy=f"{request.strategy}@{request.version}",
    )


def _clean(levels: tuple[float, float]) -> tuple[float | None, float | None]:
    """Return levels with None for those that are no positive number."""
    stop, target = levels
    return (
        stop if math.isfinite(stop) and stop > 0 else None,
        target if math.isfinite(target) and target > 0 else None,
    )


def _record(name: InstrumentId, request: PlanRequest) -> Instrument:
    if name not in request.instruments:
        raise UnknownNameError("instrument", name, request.instruments)
    return request.instruments[name]


def _unit_value(name: InstrumentId, request: PlanRequest) -> Decimal | None:
    """Return the account-currency value of one unit, None where no price is known."""
    price = request.prices.get(name, math.nan)
    if not (math.isfinite(price) and price > 0):
        return None
    one = _record(name, request)
    value = _CONTEXT.multiply(Decimal(repr(float(price))), one.multiplier)
    if one.currency == request.account.currency:
        return value
    if one.currency not in request.rates:
        raise ConfigError(
            f"{name} is quoted in {one.currency} and no rate to {request.account.currency} is given",
            hint="pass rates in the plan request",
        )
    return _CONTEXT.multiply(value, request.rates[one.currency])
