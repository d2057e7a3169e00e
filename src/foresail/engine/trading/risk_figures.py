"""What an account risks as it stands (RISK-14 to RISK-17, RISK-22): value at risk, shortfall, leverage, margin.

Historical figures weigh the daily returns of what is held with its weights of now; the ten-day figure draws from the
normal law of the same returns with a fixed seed. Fractions of equity, losses positive, NaN where nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.limits import BookLimits, TradingLimits
from foresail.engine.trading.parts import TradingMarket
from foresail.engine.trading.reductions import position_values
from foresail.measures.value_at_risk import expected_shortfall, simulated_value_at_risk, value_at_risk
from foresail.risk.rules.leverage import margin_ratio
from foresail.risk.rules.margin import margin_of

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["LEVELS", "RiskFigures", "account_risk", "held_returns", "margin_now", "values_at_risk"]

LEVELS = (0.95, 0.99)  # RISK-18
_LEAST_DAYS = 20  # of history behind a value at risk
_SEED = 15  # of the simulation (RISK-15): the same account tells the same figure


@dataclass(frozen=True, slots=True)
class RiskFigures:
    """An account's risk, fractions of equity.

    Attributes
    ----------
    equity : account currency
    leverage : sum of absolute position values
    margin_used : margin in use
    value_at_risk, shortfall : of one day, by level; the latter is CVaR, the mean loss beyond the first
    ten_days : value at risk of ten days by simulation, by level
    names : instrument -> (value at risk, shortfall) of one day at 95 %, fractions of the position's own value
    days : daily returns behind them
    """

    equity: float
    leverage: float
    margin_used: float
    value_at_risk: dict[float, float]
    shortfall: dict[float, float]
    ten_days: dict[float, float]
    names: dict[InstrumentId, tuple[float, float]]
    days: int


def held_returns(
    market: TradingMarket, values: Mapping[InstrumentId, float], days: int
) -> tuple[list[InstrumentId], FloatArray] | None:
    """Return the names that are held, sorted, and their (N, T) daily returns, 0 where missing; None where too few.

    Parameters
    ----------
    days : longest window
    """
    names, history = sorted(values), getattr(market, "daily_returns", None)
    found = None if history is None or not names else history(names)
    if found is None:
        return None
    window = np.asarray(found, dtype=np.float64)[:, -days:]
    if window.shape[1] < _LEAST_DAYS:
        return None
    return names, np.where(np.isfinite(window), window, 0.0)


def values_at_risk(
    market: TradingMarket, values: Mapping[InstrumentId, float], equity: float, days: int
) -> dict[float, float]:
    """Return the historical value at risk of one day by level (RISK-14, RISK-18); empty where it is not known."""
    found = held_returns(market, values, days) if equity > 0.0 else None
    if found is None:
        return {}
    names, window = found
    moves = np.array([values[name] for name in names]) / equity @ window
    return {level: value_at_risk(moves, level=level) for level in LEVELS}


def margin_now(values: Mapping[InstrumentId, float], equity: float, cash: float, limits: TradingLimits) -> float:
    """Return equity over the margin in use (RISK-21); infinite where none is used."""
    return margin_ratio(equity, _margin(values, cash, limits.book))


def account_risk(core: TradingCore) -> RiskFigures | None:
    """Return the figures of an account as it stands, None where no limits hold or it is worth nothing."""
    limits, market = core.parts.limits, core.parts.market
    equity = float(core.books.equity(rates=market.rates()))
    if limits is None or not equity > 0.0:
        return None
    values = position_values(core, core.books.positions())
    leverage = math.fsum(abs(value) for value in values.values()) / equity
    used = _margin(values, float(core.books.cash), limits.book) / equity
    found = held_returns(market, values, limits.book.value_at_risk_days)
    if found is None:
        return RiskFigures(equity, leverage, used, {}, {}, {}, {}, 0)
    names, window = found
    weights = np.array([values[name] for name in names]) / equity
    moves = weights @ window
    own = np.sign(weights)[:, None] * window
    return RiskFigures(
        equity,
        leverage,
        used,
        {level: value_at_risk(moves, level=level) for level in LEVELS},
        {level: expected_shortfall(moves, level=level) for level in LEVELS},
        {level: simulated_value_at_risk(window, weights, seed=_SEED, level=level) for level in LEVELS},
        {name: (value_at_risk(row), expected_shortfall(row)) for name, row in zip(names, own, strict=True)},
        window.shape[1],
    )


def _margin(values: Mapping[InstrumentId, float], cash: float, book: BookLimits) -> float:
    held = ((name, math.copysign(1.0, value), abs(value)) for name, value in values.items())
    return margin_of(held, cash, book)
