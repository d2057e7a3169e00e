"""Leverage (RISK-20 to RISK-23): never above the safe leverage of the class, and off until a user raises it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foresail.domain.calendars import is_asian_forex
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import BookLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, class_value, number, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["CLASS_MAXIMUM", "LeverageCap", "class_leverage", "margin_ratio", "margin_state", "safe_leverage"]

_CLASSES = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)
_BASE = {AssetClass.STOCK: 2.0, AssetClass.CRYPTO: 1.5, AssetClass.FOREX: 5.0}
CLASS_MAXIMUM = {AssetClass.STOCK: 2.0, AssetClass.CRYPTO: 3.0, AssetClass.FOREX: 20.0}  # RISK-05
_HIGH, _LOW = 0.30, 0.15  # annual portfolio volatility
_WINDOW, _LEAST = 60, 20  # daily returns behind the volatility of what is held
_YEAR, _CRYPTO_YEAR = 252.0, 365.0  # trading days
_DAY_NS = 86_400 * 10**9
_FIRST_SATURDAY = 2  # 1 January 1970 was a Thursday


def safe_leverage(asset_class: AssetClass, *, volatility: float) -> float:
    """Return the leverage that a portfolio's volatility allows (RISK-20).

    Parameters
    ----------
    volatility : annual, of the portfolio, fraction; NaN counts as high

    Examples
    --------
    >>> safe_leverage(AssetClass.STOCK, volatility=0.35), safe_leverage(AssetClass.CRYPTO, volatility=0.10)
    (1.0, 1.8)
    """
    factor = 1.0 if _LOW <= volatility <= _HIGH else 1.2 if volatility < _LOW else 0.5
    return round(min(_BASE[asset_class] * factor, CLASS_MAXIMUM[asset_class]), 12)


_LEAST_SAFE = {own: safe_leverage(own, volatility=math.nan) for own in _CLASSES}  # no volatility leaves less


def class_leverage(limits: BookLimits, asset_class: AssetClass) -> float:
    """Return the leverage that the user allows a class, at most the class maximum (RISK-05, RC-07)."""
    return min(limits.leverage[_CLASSES.index(asset_class)], CLASS_MAXIMUM[asset_class])


def margin_ratio(cash: float, margin_used: float) -> float:
    """Return cash over the margin in use (RISK-21); infinite where none is used."""
    return math.inf if margin_used == 0.0 else cash / margin_used


def margin_state(ratio: float) -> str:
    """Return ``close`` below 0.50 (riskiest positions go), ``hold`` below 2.0 (nothing levered opens) or ``free``.

    A ratio that is not a number closes nothing by itself and opens nothing.
    """
    if ratio < 0.50:
        return "close"
    return "free" if ratio >= 2.0 else "hold"


def _volatility(view: Projected, own: AssetClass) -> float:
    """Return the annual volatility of what is held, at its weights now; NaN below 20 days or where nothing is."""
    values = view.values()
    held = [name for name, value in values.items() if math.isfinite(value) and value != 0.0]
    returns = view.daily_returns(held) if held else None
    if returns is None or returns.shape[1] < _LEAST:
        return math.nan
    window = np.nan_to_num(np.asarray(returns, dtype=np.float64)[:, -_WINDOW:])
    moves = np.array([values[name] for name in held]) / number(view.account.equity) @ window
    year = _CRYPTO_YEAR if own is AssetClass.CRYPTO else _YEAR
    return float(np.std(moves, ddof=1)) * math.sqrt(year)


@dataclass(frozen=True, slots=True)
class LeverageCap:
    """Limits the value of a class to leverage times equity; the Asian session halves forex, weekends unlever crypto.

    RISK-20 goes by the fact ``portfolio_volatility`` (annual), without it by the last 60 daily returns of what is held;
    where neither is known the user's setting and the class maximum hold.
    """

    limits: BookLimits
    name: str = "RISK-20 leverage"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the leverage of the class leaves."""
        own = asset_class_of(order.instrument)
        most, why = class_leverage(self.limits, own), list[str]()
        if most > _LEAST_SAFE[own]:
            volatility = view.fact("portfolio_volatility")
            if math.isnan(volatility):
                volatility = _volatility(view, own)
            safe = math.inf if math.isnan(volatility) else safe_leverage(own, volatility=volatility)
            if safe < most:
                most, why = safe, [f"the portfolio's volatility is {volatility:.0%}"]
        if own is AssetClass.FOREX and is_asian_forex(view.now):
            most *= 0.5
            why.append("half in the Asian session (SIZE-10)")
        if own is AssetClass.CRYPTO and (view.now // _DAY_NS - _FIRST_SATURDAY) % 7 < 2:
            most = min(most, 1.0)
            why.append("none above 1 at the weekend (EXIT-08)")
        used = class_value(view, own)
        room = most * (1.0 + 1e-9) * number(view.account.equity) - used
        if not math.isfinite(room):
            room = math.nan
        if number(order.quantity) * view.price(order.instrument) <= room:
            return allow(self.name, order)
        text = "; ".join([f"leverage of {own.value} is limited to {most:g}", *why])
        return shrink_to_money(self.name, order, view, room, text=text)
