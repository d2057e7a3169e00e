"""Outputs of scanners, models and risk figures that enter other models (section 8.18).

Each is a number per instrument and bar that its producer hands over; out-of-sample by the producer's promise.
"""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.given import known
from foresail.features.formulas.market import correlation_with

__all__ = ["QUANTILE_HORIZONS", "declared"]

_STOCK = (AssetClass.STOCK,)
QUANTILE_HORIZONS = (1, 5, 20)  # bars


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name, text in (
        ("momentum_score", "score of the momentum scanner, 0 to 1"),
        ("percent_change", "change since the previous close as the scanner saw it, a fraction"),
        ("scanner_rsi", "RSI as the scanner saw it, 0 to 1"),
        ("scanner_rvol", "volume so far over the usual one by then, as the scanner saw it"),
        ("scanner_trend", "trend as the scanner saw it, -1, 0, 1"),
    ):
        aliases = {"percent_change": ("percentChange",), "scanner_trend": ("trend",)}.get(name, ())
        yield declare(name, known(name), text, "FEAT-371", group="scanner", type_="model", aliases=aliases,
                       classes=_STOCK)  # fmt: skip
    for frame in ("1m", "5m", "30m", "1h", "6h", "1d"):
        yield declare(f"pred_{frame}", known(f"pred_{frame}"), f"predicted return over the next {frame}", "FEAT-372",
                       group="model", type_="model", classes=_STOCK)  # fmt: skip
    for name, text in (
        ("forecast_volatility", "forecast deviation of the one-bar log return"),
        ("var_95", "loss that one bar exceeds in 5 of 100 cases, a fraction"),
        ("cvar_95", "mean loss beyond var_95, a fraction"),
        ("risk_beta", "beta of the risk model"),
        ("tail_dependence", "chance of a joint extreme loss with the market"),
        ("volatility_percentile", "place of forecast volatility in its history, 0 to 1"),
    ):
        yield declare(name, known(name), text, "FEAT-373", group="risk", type_="model")
    for name, index in (("correlation_spy", "sp500"), ("correlation_qqq", "nasdaq")):
        yield declare(name, correlation_with(index, 30), f"correlation of log returns with {index}, 30 bars",
                       "FEAT-373", group="risk", type_="percentage", parameters=(30,))  # fmt: skip
    for horizon in QUANTILE_HORIZONS:
        for level in (10, 50, 90):
            name = f"tft_p{level}_{horizon}"
            yield declare(name, known(name), f"quantile {level / 100} of the log return over {horizon} bars",
                           "FEAT-374", group="model", type_="model", parameters=(horizon,), classes=_STOCK)  # fmt: skip
