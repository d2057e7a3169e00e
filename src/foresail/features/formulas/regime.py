"""Which kind of market it is: numbered states (RGM-01 to 03)."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, VOLUME, VOLUME_CLOCK, Cross, Ref, node, rolling
from foresail.features.formulas.common import mean
from foresail.features.formulas.cross import reference
from foresail.features.formulas.volatility import volatility

__all__ = ["liquidity_regime", "market_regime", "trend_regime", "volatility_place", "volatility_regime"]


def volatility_regime(now: int, history: int, factor: float) -> Ref:
    """1 where volatility is above ``factor`` times that of its history, else 0."""
    return node("exceeds", volatility(now), volatility(history), real=factor).out


def volatility_place(now: int, history: int) -> Ref:
    """Share of the ``history - 1`` earlier volatilities that are below the present one, ties count half."""
    return rolling("share_below", volatility(now), history).out


def trend_regime(window: int, lag: int) -> Ref:
    """2 and -2 strong, 1 and -1 weak up and down, 0 sideways: close, its mean, and the mean ``lag`` bars ago."""
    middle = mean(CLOSE, window)
    before = node("lag", middle, window=lag, needs=lag + 1, history=lag).out
    return node("trend_state", CLOSE, middle, before).out


def liquidity_regime(window: int, factor: float) -> Ref:
    """1 where volume is above ``factor`` times its mean, else 0."""
    return node("exceeds", VOLUME, mean(VOLUME, window, VOLUME_CLOCK), clock=VOLUME_CLOCK, real=factor).out


def market_regime(name: str) -> Cross:
    """0 complacent below 15, 1 normal below 20, 2 elevated fear below 30, 3 panic, by the level of a fear index."""
    low, middle, high = (node("reaches", CLOSE, real=edge).out for edge in (15.0, 20.0, 30.0))
    two = node("combine", low, middle, real=1.0).out
    return reference(name, node("combine", two, high, real=1.0).out)
