"""What a core makes smaller when the book as a whole risks too much: value at risk and margin (RISK-14, RISK-21).

The gate keeps openings within both limits; prices and volatility move what is held beyond them. At each decision,
1. a value at risk above its limit takes the same share off every position, the one that brings it back to the limit;
2. a margin ratio below 0.50 closes the riskiest positions, by value times daily volatility, until it is above.
What is leaving already counts as gone, so that the same decision is not taken twice.

The margin ratio is equity over the margin in use, the reading under which the 2.0 of RISK-21 is the half of equity that
new positions may bind (RC-08): cash in these books holds the proceeds of short sales.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Order, Ruling
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.leaving import leaving_units
from foresail.engine.trading.reductions import position_values
from foresail.engine.trading.risk_figures import held_returns, margin_now
from foresail.ledger.entries import OrderReview, Reviewed
from foresail.measures.value_at_risk import value_at_risk
from foresail.risk.rules.leverage import margin_state

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["reduce_risk", "value_at_risk_now"]

_RECENT = 20  # days behind the volatility that ranks positions
_SLACK = 1e-9  # two correct roundings of one number
_RISK, _MARGIN = "RISK-14 value at risk", "RISK-21 margin"


def value_at_risk_now(core: TradingCore, values: Mapping[InstrumentId, float], equity: float) -> float:
    """Return the loss of one day in twenty at what is held (RISK-14), fraction of equity; NaN where it is not known.

    A missing return counts as 0 on its day.
    """
    limits = core.parts.limits
    found = None if limits is None else held_returns(core.parts.market, values, limits.book.value_at_risk_days)
    if found is None or not equity > 0.0:
        return math.nan
    names, window = found
    return value_at_risk(np.array([values[name] for name in names]) / equity @ window)


def reduce_risk(core: TradingCore, at: int, limits: TradingLimits) -> list[CoreEffect]:
    """Make what is held smaller where value at risk or margin ask for it; the journal says which and why."""
    positions = core.books.positions()
    if not positions:
        return []
    equity = float(core.books.equity(rates=core.parts.market.rates()))
    values = _staying(core, position_values(core, positions))
    cash = float(core.books.cash)
    effects, kept = _cut_to_value_at_risk(core, at, (values, equity), limits)
    if kept < 1.0:
        cash += (1.0 - kept) * math.fsum(values.values())
        values = {name: kept * value for name, value in values.items()}
    ratio = margin_now(values, equity, cash, limits)
    if margin_state(ratio) == "close":
        why = Ruling(_MARGIN, Decimal(0), f"the margin ratio is {ratio:.2f}, below 0.50: the riskiest positions go")
        for name in _riskiest(core, values):
            effects += _close(core, at, close_orders(core, at, "margin", only=name), why)
            cash += values.pop(name)
            if margin_state(margin_now(values, equity, cash, limits)) != "close":
                break
    return effects


def _cut_to_value_at_risk(
    core: TradingCore, at: int, book: tuple[Mapping[InstrumentId, float], float], limits: TradingLimits
) -> tuple[list[CoreEffect], float]:
    """Take the share off every position that brings value at risk back to its limit; return the share that is left."""
    (values, equity), most = book, limits.book.value_at_risk
    if most is None or not math.fsum(abs(value) for value in values.values()) > most * equity > 0.0:
        return [], 1.0
    loss = value_at_risk_now(core, values, equity)
    if not loss > most * (1.0 + _SLACK):
        return [], 1.0
    text = f"the loss of one day in twenty is {loss:.1%} of equity, {most:.0%} are allowed"
    orders = close_orders(core, at, "value-at-risk", 1.0 - most / loss)
    return _close(core, at, orders, Ruling(_RISK, Decimal(0), text)), most / loss


def _close(core: TradingCore, at: int, orders: list[Order], why: Ruling) -> list[CoreEffect]:
    if not orders:
        return []
    rows = tuple(OrderReview(one.id, one.instrument, one.quantity, one.quantity, (why,)) for one in orders)
    core.write(Reviewed, at, strategy="risk", orders=rows)
    return send_closing(core, at, orders)


def _staying(core: TradingCore, values: dict[InstrumentId, float]) -> dict[InstrumentId, float]:
    """Return the values of what is held less what exits are taking away."""
    out = {}
    for name, value in values.items():
        held, leaving = core.books.quantity(name), leaving_units(core, name)
        share = 1.0 - min(1.0, float(leaving / abs(held))) if leaving and held else 1.0
        if share > 0.0:
            out[name] = value * share
    return out


def _riskiest(core: TradingCore, values: Mapping[InstrumentId, float]) -> list[InstrumentId]:
    """Return the names by value times daily volatility, the largest first; by value where no history is known.

    A name whose own history is unknown counts as volatile as the most volatile one: it is not spared for lack of data.
    """
    names = sorted(values)
    risk = np.abs(np.array([values[name] for name in names]))
    found = _history(core, names)
    if found is not None:
        recent = found[:, -_RECENT:]
        volatility = np.array(
            [np.std(row[np.isfinite(row)]) if np.isfinite(row).sum() > 1 else np.nan for row in recent]
        )
        if np.isfinite(volatility).any():
            risk = risk * np.where(np.isfinite(volatility), volatility, np.nanmax(volatility))
    return [names[i] for i in np.argsort(-risk, kind="stable")]


def _history(core: TradingCore, names: list[InstrumentId]) -> FloatArray | None:
    """Return (N, T) daily returns of the limits' window, NaN where missing; None where there are none."""
    limits, history = core.parts.limits, getattr(core.parts.market, "daily_returns", None)
    found = None if limits is None or history is None or not names else history(names)
    if limits is None or found is None:
        return None
    window: FloatArray = np.asarray(found, dtype=np.float64)[:, -limits.book.value_at_risk_days :]
    return window
