"""Averages and what stands on them (section 8.2)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.trend import (
    adx,
    directional_indicator,
    ema,
    ema_ratio,
    ema_stack,
    high_distance,
    macd,
    macd_difference,
    macd_histogram,
    macd_line,
    macd_momentum,
    macd_signal,
    price_to_sma,
    sma,
)

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
            parameters=(w,),
        )
    yield declare("ema_ratio_12_26", ema_ratio(12, 26), "fast over slow exponential mean, minus 1", "FEAT-122",
                   group="trend", parameters=(12, 26))  # fmt: skip
    yield declare("macd_12_26", macd(12, 26), "MACD line over close", "FEAT-123",
                   group="trend", parameters=(12, 26))  # fmt: skip
    yield declare("macd_histogram_12_26_9", macd_histogram(12, 26, 9), "MACD minus its signal line, over close",
                   "FEAT-123", group="trend", parameters=(12, 26, 9))  # fmt: skip
    yield declare("high_distance_250", high_distance(250), "log distance below the highest close of 250 bars",
                   "FEAT-111", group="trend", parameters=(250,))  # fmt: skip
    yield from _averages()
    yield from _macd()
    for name, side in (("plus_di", 0), ("minus_di", 1)):
        yield declare(name, directional_indicator(14, side), f"{'upward' if side == 0 else 'downward'} movement over "
                       "true range, 0 to 1", "FEAT-127", group="trend", aliases=(f"{name}_14",), parameters=(14,),
                       display_factor=100.0)  # fmt: skip
    yield declare("adx_14", adx(14), "strength of the trend whatever its direction, 0 to 1", "FEAT-127", group="trend",
                   aliases=("adx",), parameters=(14,), display_factor=100.0)  # fmt: skip
    yield declare("ema_stack", ema_stack(10, 50, 200), "1 where close and exponential means stand in rising order, "
                   "-1 in falling order, else 0", "FEAT-128", group="trend", parameters=(10, 50, 200))  # fmt: skip


def _averages() -> Iterable[FeatureSpec]:
    for w in (10, 20, 50, 200):
        yield declare(f"sma_{w}", sma(w), f"mean close of {w} bars", "FEAT-121", group="trend", aliases=(f"SMA_{w}",),
                       scale="price", parameters=(w,))  # fmt: skip
    for w in (9, 10, 12, 26, 50, 200):
        yield declare(f"ema_{w}", ema(w), f"exponential mean close of {w} bars", "FEAT-122", group="trend",
                       aliases=(f"EMA_{w}",), scale="price", parameters=(w,))  # fmt: skip


def _macd() -> Iterable[FeatureSpec]:
    yield declare("macd", macd_line(12, 26), "EMA 12 less EMA 26", "FEAT-123", group="trend",
                   aliases=("MACD", "macd_12_26_9", "macd_slow", "macd_slow_12_26_9"), scale="price_change",
                   parameters=(12, 26))  # fmt: skip
    yield declare("macd_signal", macd_signal(12, 26, 9), "EMA 9 of the MACD line", "FEAT-123", group="trend",
                   aliases=("MACD_signal", "macd_signal_12_26_9"), scale="price_change",
                   parameters=(12, 26, 9))  # fmt: skip
    yield declare("macd_histogram", macd_difference(12, 26, 9), "MACD line less its signal", "FEAT-123", group="trend",
                   aliases=("MACD_histogram",), scale="price_change", parameters=(12, 26, 9))  # fmt: skip
    for fast, slow in ((5, 13), (3, 10)):
        yield declare(f"macd_{fast}_{slow}_1", macd_line(fast, slow), "fast line; only its crossings of zero carry "
                       "information", "FEAT-124" if fast == 5 else "FEAT-125", group="trend", scale="price_change",
                       parameters=(fast, slow, 1))  # fmt: skip
    for fast, slow, signal in ((5, 13, 8), (5, 15, 9), (8, 17, 9)):
        yield declare(f"macd_{fast}_{slow}_{signal}", macd_difference(fast, slow, signal), "histogram of an intraday "
                       "preset: line less signal", "FEAT-125", group="trend", scale="price_change",
                       parameters=(fast, slow, signal))  # fmt: skip
    yield declare("macd_momentum", macd_momentum(12, 26), "MACD line less that of the bar before", "FEAT-126",
                   group="trend", scale="price_change", parameters=(12, 26))  # fmt: skip
