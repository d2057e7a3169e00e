"""Oscillators (section 8.3)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.momentum import (
    cci,
    rsi,
    rsi_divergence,
    rsi_mean,
    stochastic,
    stochastic_signal,
    williams,
)
from foresail.features.formulas.price import change
from foresail.features.formulas.volatility import bollinger_place

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("rsi_14", rsi(14), "relative strength index, 0 to 1: above 0.7 overbought, below 0.3 oversold",
                   "FEAT-141", group="momentum", aliases=("RSI", "rsi"), parameters=(14,), critical=True,
                   display_factor=100.0)  # fmt: skip
    yield declare("rsi_5", rsi(5), "fast relative strength index, 0 to 1", "FEAT-142",
                   group="momentum", parameters=(5,), display_factor=100.0)  # fmt: skip
    yield declare("stoch_k_14_3", stochastic(14, 3), "slow stochastic %K, 0 to 1", "FEAT-145",
                   group="momentum", aliases=("stoch_k",), parameters=(14, 3), display_factor=100.0)  # fmt: skip
    yield declare("williams_r_14", williams(14), "Williams %R, -1 to 0", "FEAT-147",
                   group="momentum", aliases=("williams_r",), parameters=(14,), display_factor=100.0)  # fmt: skip
    yield declare("bb_place_20_2", bollinger_place(20, 2.0), "place of the close between the Bollinger bands",
                   "FEAT-165", group="volatility", aliases=("percent_b",), parameters=(20, 2))  # fmt: skip
    for w in (6, 7, 8, 9, 10):
        yield declare(f"rsi_{w}", rsi(w), "relative strength index, 0 to 1", "FEAT-143" if w == 9 else "FEAT-142",
                       group="momentum", parameters=(w,), display_factor=100.0)  # fmt: skip
    yield declare("rsi_ema", rsi_mean(14, 9), "exponential mean of rsi_14 over 9 bars, 0 to 1", "FEAT-144",
                   group="momentum", aliases=("rsi_ema_14_9",), parameters=(14, 9), display_factor=100.0)  # fmt: skip
    yield declare("stoch_d", stochastic_signal(14, 3, 3), "mean of slow %K over 3 bars, 0 to 1", "FEAT-145",
                   group="momentum", aliases=("stoch_d_14_3_3",), parameters=(14, 3, 3),
                   display_factor=100.0)  # fmt: skip
    for lag in (10, 12):
        yield declare(f"roc_{lag}", change(lag), f"rate of change over {lag} bars, fraction", "FEAT-146",
                       group="momentum", type_="percentage", parameters=(lag,), display_factor=100.0)  # fmt: skip
    yield declare("cci_20", cci(20), "distance of the typical price from its mean in mean deviations", "FEAT-148",
                   group="momentum", aliases=("cci",), parameters=(20,))  # fmt: skip
    yield declare("rsi_divergence", rsi_divergence(14, 20), "-1 at a new high that the index does not share, "
                   "1 at such a low, else 0", "FEAT-149", group="momentum", parameters=(14, 20))  # fmt: skip
