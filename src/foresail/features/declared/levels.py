"""Swing levels, their tests, candles and the opening range (section 8.17)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.levels import (
    candle_pattern,
    engulfing,
    level_tests,
    opening_range,
    pin_bar,
    pivot_level,
    tests_of_level,
)

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name, what, sign in (("support", "low", -1.0), ("resistance", "high", 1.0)):
        yield declare(name, pivot_level(5, sign), f"last swing {what} that 5 bars on each side confirm", "FEAT-361",
                       group="level", type_="price", parameters=(5,), scale="price")  # fmt: skip
        yield declare(f"{name}_tests", tests_of_level(5, sign, 14, 0.25),
                       f"touches of {name} within a quarter of the average true range, unbroken", "FEAT-362",
                       group="level", parameters=(5, 14, 0.25))  # fmt: skip
    yield declare("level_tests", level_tests(5, 14, 0.25),
                   "touches of the more often tested of support and resistance, 3 or more is strong", "FEAT-362",
                   group="level", parameters=(5, 14, 0.25))  # fmt: skip
    yield declare("pin_bar", pin_bar(), "1 bullish, -1 bearish: a shadow of two bodies or more", "FEAT-363",
                   group="pattern", type_="flag", parameters=(2,))  # fmt: skip
    yield declare("engulfing", engulfing(), "1 bullish, -1 bearish: the body covers the opposite one before",
                   "FEAT-363", group="pattern", type_="flag")  # fmt: skip
    yield declare("candle_pattern", candle_pattern(), "1 bullish, -1 bearish: engulfing, else pin bar", "FEAT-363",
                   group="pattern", type_="flag")  # fmt: skip
    for name, value in zip(("opening_range_high", "opening_range_low"), opening_range(15), strict=True):
        yield declare(name, value, f"{name[14:]} of the first 15 minutes of the session", "FEAT-364", group="level",
                       type_="price", classes=(AssetClass.STOCK,), parameters=(15,), scale="price")  # fmt: skip
