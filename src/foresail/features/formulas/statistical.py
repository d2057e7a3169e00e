"""Moments, standard scores, memory of a series, and spreads against another leg."""

from __future__ import annotations

import math
from dataclasses import replace

from foresail.features.expressions import CLOSE, PRICE, Node, Ref, Series, clock_where, given, node, rolling
from foresail.features.formulas.common import divide, mean_and_deviation, rolling_pair, subtract
from foresail.features.formulas.cross import market, series_row
from foresail.features.formulas.price import log_return

__all__ = [
    "adf_price",
    "adf_spread",
    "autocorrelation",
    "correlation_with_market",
    "hurst",
    "kalman",
    "kurtosis",
    "leg",
    "moment_skew",
    "skew",
    "spread",
    "zscore",
]

_FILTERS, _STATES = 6, 7  # of the Kalman trend
_WORK = 9  # rows of work space of the rescaled range, before the window itself


def zscore(window: int) -> Ref:
    """(close - mean) / sample deviation; 0 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=True)
    return divide(subtract(CLOSE, middle), deviation, 0.0)


def skew(window: int) -> Ref:
    """Sample skewness of the one-bar log return."""
    return rolling("rolling_skew", log_return(1), window, states=3).out


def _moments(window: int) -> Node:
    return rolling("rolling_moments", log_return(1), window, outputs=2)


def moment_skew(window: int) -> Ref:
    """Sample skewness of the one-bar log return, moments made anew at each bar."""
    return Ref(_moments(window), 0)


def kurtosis(window: int) -> Ref:
    """Sample excess kurtosis of the one-bar log return."""
    return Ref(_moments(window), 1)


def autocorrelation(lag: int, window: int) -> Ref:
    """Correlation of the one-bar log return with itself ``lag`` bars before, over the pairs within the window."""
    return rolling("autocorrelation", log_return(1), window, extra=lag).out


def correlation_with_market(window: int) -> Ref:
    """Correlation of the one-bar log return with the mean of all instruments."""
    own, all_of_them = log_return(1), series_row(market(log_return(1)))
    clock = clock_where(PRICE, own, all_of_them)
    settings = {"window": window, "needs": window, "history": window, "history_b": window, "states": 5}
    return node("rolling_correlation", own, all_of_them, clock=clock, **settings).out


def _expected_range(size: int) -> float:
    """Return the expected rescaled range of independent normal values (Anis and Lloyd 1976)."""
    total = math.fsum(math.sqrt((size - i) / i) for i in range(1, size))
    ratio = math.exp(math.lgamma((size - 1) / 2.0) - math.lgamma(size / 2.0)) / math.sqrt(math.pi)
    return ratio * total


def hurst(window: int) -> Ref:
    """Hurst exponent of the one-bar log return by the rescaled range of blocks of 8, 16 ... ``window`` bars.

    0.5 plus the slope of ln(mean range / its expectation for independent values) on ln(block size): without that
    correction a random walk shows 0.57 in 128 bars, with it 0.49, standard deviation 0.08 (Anis and Lloyd 1976,
    Biometrika 63; Weron 2002, Physica A 312).
    """
    sizes = [8 << i for i in range(int(math.log2(window)) - 2)]
    logs = [math.log(size) for size in sizes]
    expected = [math.log(_expected_range(size)) for size in sizes]
    middle = math.fsum(logs) / len(logs)
    slope = math.fsum((x - middle) * y for x, y in zip(logs, expected, strict=True))
    slope /= math.fsum((x - middle) ** 2 for x in logs)
    return rolling("hurst", log_return(1), window, outputs=_WORK + window, real=0.5 - slope).out


def adf_price(window: int, every: int) -> Ref:
    """P-value of the augmented Dickey-Fuller test (constant, one lag) on ``window + 1`` log closes."""
    return rolling("adf_price", log_return(1), window, states=1, extra=every).out


def leg(name: str) -> Ref:
    """Return the level of the other leg of a spread: the given number ``pair_close``, else a reference series."""
    if name == "pair":
        return given("pair_close")
    return series_row(Series("reference", CLOSE, name))


def _returns(other: Ref) -> tuple[Ref, Ref]:
    """Return the log returns of the close and the other leg between bars at which both are known."""
    clock = clock_where(PRICE, CLOSE, other)
    own = node("log_change", CLOSE, clock=clock, window=1, needs=2, history=1, extra=-1).out
    return own, node("log_change", other, clock=clock, window=1, needs=2, history=1, extra=-1).out


def adf_spread(name: str, window: int, every: int) -> Ref:
    """P-value of the Engle-Granger test of the log close on the log of another leg, ``window + 1`` levels, one lag."""
    own, other = _returns(leg(name))
    clock = clock_where(PRICE, own, other)
    settings = {"window": window, "needs": window, "history": window, "history_b": window, "states": 1}
    return node("adf_spread", own, other, clock=clock, extra=every, **settings).out


def spread(name: str, window: int) -> tuple[Ref, Ref, Ref]:
    """Return standard score, value and hedge ratio of the least-squares spread of log levels against another leg."""
    own, other = _returns(leg(name))
    pair = rolling_pair("spread_score", own, other, window, clock_where(PRICE, own, other)).node
    scored = replace(pair, states=0, outputs=3)
    return Ref(scored, 0), Ref(scored, 1), Ref(scored, 2)


def kalman(warm_up: int) -> tuple[Ref, Ref]:
    """Return level (price) and slope (log per bar) of the filtered local linear trend of the log close (MODEL-49).

    Filtered only: the values of a bar use nothing after it. Noise ratios are chosen at each bar by the likelihood so
    far among six pairs, so history and live agree without a fit.
    """
    trend = node("kalman_trend", log_return(1), window=warm_up, needs=warm_up, states=_FILTERS * _STATES, outputs=2)
    trend = replace(trend, memory="recursive")
    return node("exponential", CLOSE, Ref(trend, 0)).out, Ref(trend, 1)
