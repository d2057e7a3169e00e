"""What facts and time do to what a core holds: splits and dividends, and the cost of holding (COST-10).

A fact about nothing that is held is kept for those who ask. Costs are charged before a bar or a fill changes anything,
so that each stretch of time is charged on what was held in it.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.events import Fact
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.signals import Side
from foresail.engine.trading.alerting import tell
from foresail.engine.trading.news import leave_for_news
from foresail.engine.trading.reconciling import compare_position
from foresail.engine.trading.watching import tell_of_fact
from foresail.ledger.entries import DividendPaid, FactKnown, HoldingCharged, HoldingKind, SliceStopped, SplitApplied

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["charge_to", "take_fact"]

_DIVIDEND_DIGITS = 8  # of a dividend per unit
_ZERO = Decimal(0)


def take_fact(core: TradingCore, event: Fact) -> tuple[CoreEffect, ...]:
    """Book a split or dividend on what is held; keep the value of any other fact, compare what the venue holds."""
    name = event.instrument
    effects: tuple[CoreEffect, ...] = ()
    if name is None or event.kind not in ("split", "dividend"):
        kind = event.kind if name is None else f"{event.kind}:{name}"
        value = event.value if math.isfinite(event.value) else None
        if event.kind == "position" and name is not None:
            effects = compare_position(core, event, name)  # a halt stands before what it is about
        before = core.notes.facts.get(kind)
        if before != value:
            core.write(FactKnown, event.available_at, kind=kind, value=value)
            effects = (*effects, *tell_of_fact(core, event, before))
            if event.kind == "news":
                effects = (*effects, *leave_for_news(core, event))
    elif event.kind == "split":
        core.parts.market.split(name, event.value)
        price, ratio = core.parts.market.price(name), Decimal(repr(event.value))
        effects = _stop_slices(core, event.available_at, name, is_priced=price is not None)
        if price is not None:
            lot = core.parts.instruments[name].lot
            core.write(SplitApplied, event.available_at, instrument=name, ratio=ratio, price=price, lot=lot)
    elif core.books.quantity(name) != 0:
        per_unit = Decimal(repr(round(event.value, _DIVIDEND_DIGITS)))
        core.write(DividendPaid, event.available_at, instrument=name, per_unit=per_unit)
    return effects


def _stop_slices(core: TradingCore, at: int, name: InstrumentId, *, is_priced: bool) -> tuple[CoreEffect, ...]:
    """Stop what has not left of openings, whose levels are of before the split; the rest of an exit is restated."""
    held, alerts = core.books.quantity(name), []
    for state in list(core.slices.open(name)):
        parent = state.parent
        reduces = held > 0 if parent.side is Side.SELL else held < 0
        if is_priced and reduces and state.left <= abs(held):
            continue
        core.write(SliceStopped, at, order_id=parent.id, text="the instrument was split")
        text = f"{name} was split: {state.left} of {parent.quantity} units of order {parent.id} do not leave"
        alerts.append(Alert("EXEC-03 slices", Severity.WARNING, text))
    return tuple(tell(core, at, alerts))


def charge_to(core: TradingCore, until: int) -> None:
    """Charge what positions cost (COST-10): first to the start of the bar in progress, then inside it."""
    since = core.notes.charged_until
    if since is None or until <= since:
        return
    opened = core.parts.market.start(core.parts.market.position + 1)
    if opened is not None and since < opened < until:
        _charge(core, since, opened)
        since = opened
    _charge(core, since, until)


def _charge(core: TradingCore, since: int, until: int) -> None:
    for position in core.books.positions():
        name, price = position.instrument, core.parts.market.price(position.instrument)
        if price is None:
            continue
        one = core.parts.instruments[name]
        value = abs(position.quantity) * price * one.multiplier
        amount = core.parts.holding_cost(position, value, since, until)
        if amount:
            core.write(HoldingCharged, until, amount=amount, kind=_kind(one), instrument=name, currency=one.currency)
    cost_of = core.parts.margin_cost
    credit = _ZERO if cost_of is None else _credit(core)
    amount = _ZERO if cost_of is None or credit <= 0 else cost_of(credit, since, until)
    if amount:
        core.write(HoldingCharged, until, amount=amount, kind=HoldingKind.MARGIN, currency=core.parts.currency)


def _credit(core: TradingCore) -> Decimal:
    """Return the money that was bought for beyond the account's own; what stands on margin was not paid for with it."""
    books, market = core.books, core.parts.market
    rates, free = market.rates(), _ZERO
    for currency in books.currencies:
        free += books.totals(currency).cash * rates.get(currency, Decimal(1))
    for position in books.positions():
        one, price = core.parts.instruments[position.instrument], market.price(position.instrument)
        if price is not None and (one.asset_class is AssetClass.FOREX or one.kind == "perp"):
            free += position.quantity * price * one.multiplier * rates.get(one.currency, Decimal(1))
    return max(_ZERO, -free)


def _kind(one: Instrument) -> HoldingKind:
    if one.kind == "perp":
        return HoldingKind.FUNDING
    return HoldingKind.SWAP if one.asset_class is AssetClass.FOREX else HoldingKind.BORROW
