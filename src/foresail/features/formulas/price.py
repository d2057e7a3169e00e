"""Returns and places within a bar."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, FULL, HIGH, LOW, OPEN, RANGE, Ref, node
from foresail.features.formulas.common import before, divide, minus_one, scaled, subtract

__all__ = [
    "acceleration",
    "change",
    "close_place",
    "gap",
    "log_return",
    "momentum",
    "range_share",
    "velocity",
]


def log_return(lag: int, skip: int = -1) -> Ref:
    """ln(close[skip bars ago] / close[lag bars ago]); skip -1 = the present close."""
    return node("log_change", CLOSE, window=lag, needs=lag + 1, history=lag, extra=skip).out


def momentum() -> Ref:
    """Twelve months without the last one: 252 to 21 bars ago."""
    return log_return(252, 21)


def gap() -> Ref:
    """ln(open / close of the bar before)."""
    return node("log_of", OPEN, node("lag", CLOSE, window=1, needs=2, history=1).out, clock=FULL).out


def range_share() -> Ref:
    """ln(high / low)."""
    return node("log_of", HIGH, LOW, clock=RANGE).out


def close_place() -> Ref:
    """(close - low) / (high - low), 0.5 where they meet (FEAT-39)."""
    return node("place", CLOSE, LOW, HIGH, clock=RANGE, real=0.5).out


def change(lag: int) -> Ref:
    """Close / close[lag] - 1."""
    return minus_one(divide(CLOSE, before(CLOSE, lag)))


def velocity(lag: int) -> Ref:
    """(close - close[lag]) / lag, price units a bar."""
    return scaled(subtract(CLOSE, before(CLOSE, lag)), 1.0 / lag)


def acceleration(lag: int) -> Ref:
    """Velocity less the velocity of the bar before."""
    now = velocity(lag)
    return subtract(now, before(now, 1))
