"""Support, resistance and candles."""

from __future__ import annotations

import math
from dataclasses import replace

from foresail.features.expressions import CLOSE, FULL, HIGH, LOW, OPEN, RANGE, Node, Ref, Series, node
from foresail.features.formulas.common import average, subtract
from foresail.features.formulas.cross import series_row

__all__ = ["candle_pattern", "engulfing", "level_tests", "opening_range", "pin_bar", "pivot_level", "tests_of_level"]


def _pivot(side: int, sign: float) -> Node:
    extreme = HIGH if sign > 0.0 else LOW
    settings = {"window": side, "needs": 2 * side + 1, "history": 2 * side, "states": 1, "outputs": 2}
    return replace(node("pivot", extreme, clock=RANGE, real=sign, **settings), memory="recursive")


def pivot_level(side: int, sign: float) -> Ref:
    """Last confirmed swing high (sign 1) or low (-1): the extreme of ``side`` bars before and after it."""
    return Ref(_pivot(side, sign), 0)


def tests_of_level(side: int, sign: float, window: int, share: float) -> Ref:
    """Touches of a swing level within ``share`` of the average true range, no close beyond that since."""
    true_range = node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out
    usual = average(true_range, window, "wilder", RANGE)
    level, moved = Ref(_pivot(side, sign), 0), Ref(_pivot(side, sign), 1)

    def beyond(price: Ref) -> Ref:
        apart = subtract(price, level) if sign > 0.0 else subtract(level, price)
        return node("divide", apart, usual, clock=RANGE, real=math.nan).out

    shift = node("divide", moved, usual, clock=RANGE, real=math.nan).out
    reach = beyond(HIGH if sign > 0.0 else LOW)
    return replace(
        node("level_tests", reach, beyond(CLOSE), shift, clock=RANGE, real=share, states=3), memory="recursive"
    ).out


def level_tests(side: int, window: int, share: float) -> Ref:
    """The more often tested of support and resistance."""
    below, above = (tests_of_level(side, sign, window, share) for sign in (-1.0, 1.0))
    return node("larger", below, above).out


def _candle() -> Node:
    return node("candle", OPEN, clock=FULL, real=2.0, needs=2, states=2, outputs=2)


def pin_bar() -> Ref:
    """1 bullish, -1 bearish pin bar, else 0: one shadow of two bodies or more, longer than the other."""
    return Ref(_candle(), 0)


def engulfing() -> Ref:
    """1 bullish, -1 bearish engulfing body, else 0."""
    return Ref(_candle(), 1)


def candle_pattern() -> Ref:
    """Engulfing where there is one, else the pin bar."""
    return node("first_of", engulfing(), pin_bar()).out


def opening_range(minutes: int) -> tuple[Ref, Ref]:
    """Highest high and lowest low of the first minutes of the session, known once they are over."""
    since, day = (series_row(Series("calendar", None, name)) for name in ("minutes_from_open", "day_of_month"))
    opening = node("opening_range", HIGH, since, day, clock=RANGE, real=float(minutes), states=4, outputs=2)
    opening = replace(opening, memory="recursive")
    return Ref(opening, 0), Ref(opening, 1)
