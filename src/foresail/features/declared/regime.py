"""States of volatility, trend, liquidity and fear (section 8.11, RGM-01 to 03)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import NO_FOREX, FeatureSpec, declare
from foresail.features.formulas.given import known
from foresail.features.formulas.regime import (
    liquidity_regime,
    market_regime,
    trend_regime,
    volatility_place,
    volatility_regime,
)

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("volatility_regime", volatility_regime(20, 252, 1.5),
                   "1 where volatility of 20 bars is above 1.5 times that of 252, else 0", "FEAT-281", group="regime",
                   type_="flag", parameters=(20, 252, 1.5))  # fmt: skip
    yield declare("vol_percentile_252", volatility_place(20, 252),
                   "place of the 20-bar volatility among its last 252 values, 0 to 1", "FEAT-282", group="regime",
                   aliases=("vol_percentile",), parameters=(20, 252), display_factor=100.0)  # fmt: skip
    yield declare("trend_regime", trend_regime(50, 20),
                   "2 strong uptrend, 1 weak, 0 sideways, -1 weak, -2 strong downtrend, by the mean of 50 bars",
                   "FEAT-283", group="regime", type_="category", parameters=(50, 20))  # fmt: skip
    yield declare("liquidity_regime", liquidity_regime(20, 1.2),
                   "1 where volume is above 1.2 times its mean of 20 bars, else 0", "FEAT-284", group="regime",
                   type_="flag", classes=NO_FOREX, parameters=(20, 1.2))  # fmt: skip
    yield declare("market_regime", market_regime("vix"),
                   "0 complacent, 1 normal, 2 elevated fear, 3 panic: VIX below 15, 20, 30 or not", "FEAT-285",
                   group="regime", type_="category", parameters=(15, 20, 30))  # fmt: skip
    for name, text in (
        ("hmm_state", "state of the hidden Markov model, filtered"),
        ("hmm_probability", "probability of that state, filtered"),
    ):
        yield declare(name, known(name), text, "FEAT-286", group="regime", type_="model")
