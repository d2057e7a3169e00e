"""Oscillators (section 8.3)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.momentum import rsi, stochastic, williams
from foresail.features.formulas.volatility import bollinger_place

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("rsi_14", rsi(14), "relative strength index, 0 to 1: above 0.7 overbought, below 0.3 oversold",
                   "FEAT-141", group="momentum", aliases=("RSI", "rsi"), parameters=(14,), critical=True)  # fmt: skip
    yield declare("rsi_5", rsi(5), "fast relative strength index, 0 to 1", "FEAT-142",
                   group="momentum", parameters=(5,))  # fmt: skip
    yield declare("stoch_k_14_3", stochastic(14, 3), "slow stochastic %K, 0 to 1", "FEAT-145",
                   group="momentum", aliases=("stoch_k",), parameters=(14, 3))  # fmt: skip
    yield declare("williams_r_14", williams(14), "Williams %R, -1 to 0", "FEAT-147",
                   group="momentum", aliases=("williams_r",), parameters=(14,))  # fmt: skip
    yield declare("bb_place_20_2", bollinger_place(20, 2.0), "place of the close between the Bollinger bands",
                   "FEAT-165", group="volatility", aliases=("percent_b",), parameters=(20, 2))  # fmt: skip
