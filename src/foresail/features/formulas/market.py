"""An instrument against its market and its sector.

The market is the reference series ``sp500`` (the index, or a fund on it), the sector the given number ``sector_close``
(the close of the fund of the instrument's sector).
"""

from __future__ import annotations

from foresail.features.expressions import CLOSE, PRICE, Cross, Ref, Series, clock_where, given, node
from foresail.features.formulas.common import divide, minus_one, subtract
from foresail.features.formulas.cross import rank, series_row
from foresail.features.formulas.given import growth, known
from foresail.features.formulas.price import log_return

__all__ = [
    "correlation",
    "correlation_with",
    "factor_rank",
    "relative_strength",
    "relative_strength_ratio",
    "sector_strength",
    "simple_return",
]


def simple_return(lag: int) -> Ref:
    """Close / close ``lag`` bars ago - 1."""
    return minus_one(divide(CLOSE, node("lag", CLOSE, window=lag, needs=lag + 1, history=lag).out))


def correlation(first: Ref, second: Ref, window: int) -> Ref:
    """Correlation over the last ``window`` bars at which both are known."""
    clock = clock_where(PRICE, first, second)
    settings = {"window": window, "needs": window, "history": window, "history_b": window, "states": 5}
    return node("rolling_correlation", first, second, clock=clock, **settings).out


def correlation_with(name: str, window: int) -> Ref:
    """Correlation of one-bar log returns with those of a reference series."""
    return correlation(log_return(1), series_row(Series("reference", log_return(1), name)), window)


def relative_strength(name: str, lag: int) -> Ref:
    """Own return minus that of a reference series."""
    return subtract(simple_return(lag), series_row(Series("reference", simple_return(lag), name)))


def relative_strength_ratio(name: str, lag: int) -> Ref:
    """Own return over that of a reference series; it explodes near zero (FC-10)."""
    return divide(simple_return(lag), series_row(Series("reference", simple_return(lag), name)))


def sector_strength(lag: int) -> Ref:
    """Own return minus that of the sector."""
    return subtract(simple_return(lag), growth(given("sector_close"), lag))


def factor_rank(name: str, sign: float = 1.0) -> Cross:
    """Rank of a given number among all instruments, 0 to 1; sign -1 turns it round."""
    return rank(node("scaled", known(name), real=sign).out)
