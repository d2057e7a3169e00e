"""Averages and what stands on them (section 8.2)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.trend import ema_ratio, high_distance, macd, macd_histogram, price_to_sma

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for w in (20, 50, 200):
        yield declare(
            f"price_to_sma_{w}",
            price_to_sma(w),
            f"close above its mean of {w} bars, fraction",
            "FEAT-130",
            group="trend",
            aliases=("price_momentum",) if w == 20 else (),
            parameters=(w,),
        )
    yield declare("ema_ratio_12_26", ema_ratio(12, 26), "fast over slow exponential mean, minus 1", "FEAT-122",
                   group="trend", parameters=(12, 26))  # fmt: skip
    yield declare("macd_12_26", macd(12, 26), "MACD line over close", "FEAT-123",
                   group="trend", aliases=("macd", "MACD"), parameters=(12, 26))  # fmt: skip
    yield declare("macd_histogram_12_26_9", macd_histogram(12, 26, 9), "MACD minus its signal line, over close",
                   "FEAT-123", group="trend", aliases=("macd_histogram",), parameters=(12, 26, 9))  # fmt: skip
    yield declare("high_distance_250", high_distance(250), "log distance below the highest close of 250 bars",
                   "FEAT-111", group="trend", parameters=(250,))  # fmt: skip
