"""Moments, memory, spreads and the filtered trend (section 8.6, FEAT-129)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.expressions import CLOSE
from foresail.features.formulas.common import mean_and_deviation
from foresail.features.formulas.given import known
from foresail.features.formulas.market import correlation_with
from foresail.features.formulas.statistical import (
    adf_price,
    adf_spread,
    autocorrelation,
    correlation_with_market,
    hurst,
    kalman,
    kurtosis,
    moment_skew,
    spread,
    zscore,
)

__all__ = ["declared"]

_LEGS = {"pair": "the other leg of its pair", "sp500": "the S&P 500", "btc": "bitcoin"}
_MONTH = 21  # bars between two tests for a unit root


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield from _moments()
    yield from _spreads()
    yield declare("hurst_128", hurst(128), "Hurst exponent by rescaled range, above 0.5 trending", "FEAT-208",
                   group="statistical", aliases=("hurst",), parameters=(128,))  # fmt: skip
    level, slope = kalman(60)
    yield declare("kalman_level", level, "level of a filtered local linear trend of the log close, as a price",
                   "FEAT-129", group="trend", type_="price", parameters=(60,), scale="price")  # fmt: skip
    yield declare("kalman_slope", slope, "slope of a filtered local linear trend of the log close, per bar",
                   "FEAT-129", group="trend", parameters=(60,))  # fmt: skip
    for name, text, source in (
        ("anomaly_score", "isolation score of the market's features, high is unusual", "FEAT-209"),
        ("num_regimes", "components of the cloud of past returns", "FEAT-210"),
        ("cyclical_strength", "strength of loops in the cloud of past returns", "FEAT-210"),
        ("topology_change", "change of the number of components", "FEAT-210"),
    ):
        yield declare(name, known(name), text, source, group="statistical", type_="model")


def _moments() -> Iterable[FeatureSpec]:
    middle, deviation = mean_and_deviation(CLOSE, 20, sample=True)
    yield declare("zscore_20", zscore(20), "close in sample deviations from its mean of 20 bars", "FEAT-201",
                   group="statistical", parameters=(20,))  # fmt: skip
    yield declare("rolling_mean_20", middle, "mean close of 20 bars", "FEAT-202", group="statistical", type_="price",
                   parameters=(20,), scale="price")  # fmt: skip
    yield declare("rolling_std_20", deviation, "sample deviation of the close over 20 bars", "FEAT-202",
                   group="statistical", parameters=(20,), scale="price_change")  # fmt: skip
    yield declare("rolling_skew_20", moment_skew(20), "sample skewness of the log return over 20 bars", "FEAT-203",
                   group="statistical", aliases=("rolling_skew",), parameters=(20,))  # fmt: skip
    for window in (20, 60):
        yield declare(f"rolling_kurt_{window}", kurtosis(window),
                       f"sample excess kurtosis of the log return over {window} bars", "FEAT-203",
                       group="statistical", aliases=("rolling_kurt",) if window == 20 else (),
                       parameters=(window,))  # fmt: skip
    for window in (20, 60):
        for lag in (1, 5):
            yield declare(f"autocorr_{lag}_{window}", autocorrelation(lag, window),
                           f"correlation of the log return with that {lag} bars before, over {window} bars",
                           "FEAT-204", group="statistical", aliases=(f"autocorr_{lag}",) if window == 20 else (),
                           parameters=(lag, window))  # fmt: skip
    yield declare("rolling_corr_60", correlation_with_market(60),
                   "correlation of the log return with the mean of all instruments, 60 bars", "FEAT-205",
                   group="statistical", type_="percentage", parameters=(60,))  # fmt: skip
    for name in ("sp500", "btc"):
        yield declare(f"rolling_corr_60_{name}", correlation_with(name, 60),
                       f"correlation of the log return with that of {_LEGS[name]}, 60 bars", "FEAT-205",
                       group="statistical", type_="percentage", parameters=(60,))  # fmt: skip


def _spreads() -> Iterable[FeatureSpec]:
    for name, text in _LEGS.items():
        pair = name == "pair"
        score, value, ratio = spread(name, 60)
        yield declare(f"spread_zscore_60_{name}", score, f"hedged log spread to {text} in deviations, 60 bars",
                       "FEAT-207", group="statistical", aliases=("spread_zscore",) if pair else (),
                       parameters=(60,))  # fmt: skip
        yield declare(f"spread_60_{name}", value, f"hedged log spread to {text} less its mean of 60 bars", "FEAT-207",
                       group="statistical", parameters=(60,))  # fmt: skip
        yield declare(f"hedge_ratio_60_{name}", ratio, f"least-squares slope of the log close on that of {text}",
                       "FEAT-207", group="statistical", parameters=(60,))  # fmt: skip
        yield declare(f"adf_pvalue_250_{name}", adf_spread(name, 250, _MONTH),
                       f"p-value of the cointegration test with {text}, 250 returns, tested every {_MONTH} bars",
                       "FEAT-206", group="statistical", aliases=("adf_pvalue",) if pair else (),
                       parameters=(250, _MONTH))  # fmt: skip
    yield declare("adf_pvalue_250", adf_price(250, _MONTH),
                   f"p-value of the unit-root test of the log close, 250 returns, tested every {_MONTH} bars",
                   "FEAT-206", group="statistical", parameters=(250, _MONTH))  # fmt: skip
