"""Money that a person pays into an account or takes out of it (RISK-19), and how much of it may leave.

Cash is not all free: what short sales brought is owed, and a part of equity stands as margin (RISK-21). At most the
smaller of cash and equity less the margin in use leaves; a withdrawal of more is not booked, and an alert says so.
"""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from foresail.core.errors import DataError
from foresail.core.numbers import MONEY_CONTEXT
from foresail.domain.alerts import Alert, Severity
from foresail.engine.trading.alerting import tell
from foresail.ledger.entries import Entry, HoldingCharged, HoldingKind, flow_of
from foresail.risk.rules.margin import margin_of

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["REFUSED_DEPOSIT", "REFUSED_WITHDRAWAL", "foreign_worth", "pay", "withdrawable"]

REFUSED_DEPOSIT, REFUSED_WITHDRAWAL = "RISK-19 deposit", "RISK-19 withdrawal"
_UNIT, _ZERO = Decimal("1e-8"), Decimal(0)


def pay(core: TradingCore, at: int, amount: Decimal, currency: str, *, fee: Decimal = _ZERO) -> list[CoreEffect]:
    """Book money that came, or that went where so much may go; a refusal is journalled as an alert.

    Parameters
    ----------
    amount : in ``currency``; negative where it goes
    fee : of the network, within what goes: a cost, while the rest is neither profit nor loss
    """
    if amount < 0 and -amount > (most := withdrawable(core, currency)):
        text = f"a withdrawal of {-amount} {currency} was refused: at most {most.normalize():f} may go"
        return tell(core, at, [Alert(REFUSED_WITHDRAWAL, Severity.WARNING, text)])
    own = core.parts.currency
    if core.risk is not None and currency not in ("", own) and core.parts.market.rates().get(currency) is None:
        text = f"a deposit of {amount} {currency} was refused: no rate from {currency} to {own} is known"
        return tell(core, at, [Alert(REFUSED_DEPOSIT, Severity.WARNING, text)])  # its worth could never be told
    core.deposit(at, amount + fee, currency)
    if fee:
        core.write(HoldingCharged, at, amount=fee, kind=HoldingKind.TRANSFER, currency=currency)
    return []


def foreign_worth(core: TradingCore, entry: Entry) -> Decimal | None:
    """Return what money of another currency is worth that came or went with an entry; None of all other entries.

    Raises
    ------
    DataError
        If its currency has no rate.
    """
    flow = flow_of(entry)
    if flow is None or flow[1] in ("", core.parts.currency):
        return None
    amount, currency = flow
    rate = core.parts.market.rates().get(currency)
    if rate is None:
        own = core.parts.currency
        raise DataError(f"no rate from {currency} to {own}", hint=f"add a pair of {currency} and {own} to the data")
    return (amount * rate).quantize(_UNIT)


def withdrawable(core: TradingCore, currency: str = "") -> Decimal:
    """Return the most that may be taken out, 0 or more: cash, and no more than equity less the margin in use.

    Parameters
    ----------
    currency : of the money; empty = the account's

    Notes
    -----
    Nothing may go while the price of a position that stands on margin, or the rate of the currency, is not known.
    """
    books, rates = core.books, core.parts.market.rates()
    own = currency or books.currency
    rate = Decimal(1) if own == books.currency else rates.get(own, Decimal(0))
    margin = _margin(core)
    if not math.isfinite(margin) or rate <= 0:
        return Decimal(0)
    free = MONEY_CONTEXT.subtract(books.equity(rates=rates), Decimal(repr(margin)))
    most = min(books.totals(own).cash, (free / rate).quantize(_UNIT, ROUND_DOWN))
    return max(Decimal(0), most)


def _margin(core: TradingCore) -> float:
    """Return the margin in use, account currency; NaN where a price is not known, 0 where no limits ask for any."""
    limits, market = core.parts.limits, core.parts.market
    if limits is None:
        return 0.0
    rates, held = market.rates(), []
    for position in core.books.positions():
        one, price = core.parts.instruments[position.instrument], market.price(position.instrument)
        unit = math.nan if price is None else float(price * one.multiplier * rates.get(one.currency, Decimal(1)))
        held.append((position.instrument, float(position.quantity), unit))
    return margin_of(held, float(core.books.cash), limits.book)
