"""Formulas from day to day, whatever the frame: a change since the day before, means and deviations over days.

A day is known by its last value so far, so at the last bar of a day each formula equals its namesake on daily bars.
"""

from __future__ import annotations

import math

from foresail.features.expressions import CLOSE, FULL, OPEN, PRICE, Cross, Ref, Series, clock_where, given, node
from foresail.features.formulas.common import divide, minus_one, sign, subtract
from foresail.features.formulas.cross import broadcast, series_row

__all__ = [
    "annual_day_volatility",
    "day_alarm",
    "day_change",
    "day_growth",
    "day_mean",
    "day_ratio_to_mean",
    "gap_direction",
    "gap_share",
    "numbered_change",
    "numbered_growth",
    "published_change",
    "published_growth",
    "published_move",
]

_KEPT = 4  # numbers that a step over windows keeps beside one for each window


def _calendar(name: str) -> Ref:
    return series_row(Series("calendar", None, name))


def _day() -> Ref:
    """Day of the bar: that of the session of its market."""
    return _calendar("day_number")


def _over(op: str, value: Ref, number: Ref, windows: int, needs: int) -> Ref:
    """Return a step over windows, on the bars at which the value and the number of its window are known."""
    always = value == CLOSE and number.node.series is not None and number.node.series.kind == "calendar"
    clock = PRICE if always else clock_where(PRICE, value, number)
    return node(op, value, number, clock=clock, window=windows, needs=needs, states=_KEPT + windows).out


def _before(value: Ref, number: Ref, windows: int) -> Ref:
    return _over("windows_before", value, number, windows, windows + 1)


def day_change(value: Ref, days: int) -> Ref:
    """Value minus that of some days before."""
    return subtract(value, _before(value, _day(), days))


def day_growth(value: Ref, days: int) -> Ref:
    """Value over that of some days before, minus 1; absent where that was 0."""
    return minus_one(divide(value, _before(value, _day(), days)))


def day_mean(value: Ref, days: int) -> Ref:
    """Mean over days, one value each."""
    return _over("windows_mean", value, _day(), days, days)


def day_ratio_to_mean(value: Ref, days: int) -> Ref:
    """Value over its mean of some days, minus 1."""
    return minus_one(divide(value, day_mean(value, days)))


def day_alarm(value: Ref, days: int, times: float) -> Ref:
    """1 where a value exceeds ``times`` its mean of some days, else 0."""
    return node("exceeds", value, day_mean(value, days), real=times).out


def annual_day_volatility(days: int) -> Ref:
    """Deviation of the log returns of some days, today's up to the bar, times the root of the days in a year."""
    daily = node("log_of", CLOSE, _before(CLOSE, _day(), 1)).out
    deviation = _over("windows_deviation", daily, _day(), days, days)
    return node("multiply", deviation, _calendar("root_days_per_year")).out


def gap_share() -> Ref:
    """Open of the newest session over the close of the one before, minus 1; before an open the price of the bar.

    A session is the regular one of stocks, the week of forex; the gap is held until the next open.
    """
    opened = node("window_edge", OPEN, _calendar("opening_window"), clock=FULL, states=3, real=1.0).out
    early = node("multiply", CLOSE, _calendar("before_open"), clock=FULL).out
    price = node("first_of", early, opened, clock=FULL).out
    return minus_one(node("divide", price, _before(CLOSE, _calendar("gap_window"), 1), clock=FULL, real=math.nan).out)


def gap_direction() -> Ref:
    """1 for a gap up, -1 for a gap down, 0 for none."""
    return sign(gap_share())


def numbered_change(value: Ref, number: str, days: int) -> Ref:
    """Value minus that of some days before, where a given number tells the days."""
    return subtract(value, _before(value, given(number), days))


def numbered_growth(value: Ref, number: str, days: int) -> Ref:
    """Value over that of some days before, minus 1, where a given number tells the days."""
    return minus_one(divide(value, _before(value, given(number), days)))


def published_change(name: str) -> Cross:
    """Change of a reference series since the value of the day before that of its newest publication."""
    return broadcast(Series("reference", subtract(CLOSE, _before(CLOSE, _number(f"day_of_{name}"), 1)), name))


def published_growth(name: str, days: int) -> Cross:
    """Growth of a reference series over days on which it was published."""
    then = _before(CLOSE, _number(f"day_of_{name}"), days)
    return broadcast(Series("reference", minus_one(divide(CLOSE, then)), name))


def published_move(name: str) -> Cross:
    """Growth of a reference series from the publication that an earlier bar saw to its newest one."""
    then = _before(CLOSE, _number(f"time_of_{name}"), 1)
    return broadcast(Series("reference", minus_one(divide(CLOSE, then)), name))


def _number(name: str) -> Ref:
    return series_row(Series("reference", None, name))
