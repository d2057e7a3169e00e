"""What a bar is worth against its session: anchored prices, ranges of other sessions, the same hour of earlier days."""

from __future__ import annotations

import math

from foresail.features.expressions import (
    CLOSE,
    FLOW,
    HIGH,
    LOW,
    OPEN,
    PRICE,
    RANGE,
    VOLUME,
    VOLUME_CLOCK,
    Clock,
    Cross,
    Ref,
    Series,
    clock_where,
    given,
    node,
)
from foresail.features.formulas.common import divide, mean_and_deviation, minus_one, subtract
from foresail.features.formulas.cross import broadcast, series_row
from foresail.features.formulas.price import log_return

__all__ = [
    "asian_extreme",
    "asian_range",
    "band_place",
    "hour_average",
    "hour_volatility",
    "in_pips",
    "london_gain",
    "overnight_change",
    "relative_volume",
    "session_band",
    "session_band_distance",
    "session_band_width",
    "session_vwap",
    "vwap_deviation",
    "vwap_zscore",
    "weekend_low_distance",
]

_HOURS, _MARKS = 24, 288


def _number(name: str) -> Ref:
    """A calendar number as an input of a lane step."""
    return series_row(Series("calendar", None, name))


def _window(op: str, value: Ref, name: str, clock: Clock, *, states: int = 3, real: float = 0.0) -> Ref:
    return node(op, value, _number(name), clock=clock, states=states, real=real).out


def session_vwap() -> Ref:
    """Sum of typical price times volume over sum of volume since the session began; absent before any volume."""
    both = node("combine", HIGH, LOW, clock=FLOW, real=1.0).out
    three = node("combine", both, CLOSE, clock=FLOW, real=1.0).out
    money = _window("window_sum", node("multiply", three, VOLUME, clock=FLOW).out, "session_number", FLOW)
    volume = _window("window_sum", VOLUME, "session_number", FLOW)
    third = node("divide", money, node("combine", volume, volume, real=2.0).out, real=math.nan, clock=FLOW)
    return third.out


def vwap_deviation() -> Ref:
    """Close / vwap - 1."""
    return minus_one(divide(CLOSE, session_vwap()))


def vwap_zscore() -> Ref:
    """Close / vwap - 1 in sample deviations of that distance in the session so far; 0 where nothing varies."""
    distance = vwap_deviation()
    clock = clock_where(FLOW, distance)
    spread = _window("window_std", distance, "session_number", clock, states=4)
    return divide(distance, spread, 0.0)


def relative_volume(sessions: int) -> Ref:
    """Volume of the session so far over its mean at the same five-minute mark of earlier sessions."""
    total = _window("window_sum", VOLUME, "session_number", VOLUME_CLOCK)
    at_mark = _window_at_mark(total)
    usual = node("mark_mean", total, _number("five_minute_mark"), _number("session_number"), clock=VOLUME_CLOCK,
                 window=sessions, needs=sessions + 1, states=6 + _MARKS * (sessions + 1))  # fmt: skip
    return divide(at_mark, usual.out)


def _window_at_mark(total: Ref) -> Ref:
    """The total at the last five-minute mark: what the usual total of that mark is compared with."""
    return _window("window_edge", total, "five_minute_mark", VOLUME_CLOCK)


def hour_average(value: Ref, sessions: int, clock: Clock) -> Ref:
    """Mean of a value in the same hour of the last sessions."""
    return node("hour_mean", value, _number("hour"), _number("session_number"), clock=clock, window=sessions,
                needs=sessions + 1, states=6 + _HOURS * (sessions + 1)).out  # fmt: skip


def hour_volatility(sessions: int) -> Ref:
    """Root of the mean squared one-bar log return in the same hour of the last sessions."""
    change = log_return(1)
    clock = clock_where(PRICE, change)
    return node("root", hour_average(node("multiply", change, change, clock=clock).out, sessions, clock)).out


def asian_extreme(sign: float) -> Ref:
    """Highest high (sign 1) or lowest low (-1) from 22:00 UTC to the London open, so far while it lasts."""
    return _window("window_extreme", HIGH if sign > 0 else LOW, "asian_window", RANGE, real=sign)


def asian_range() -> Ref:
    """Asian high - Asian low, price units."""
    return subtract(asian_extreme(1.0), asian_extreme(-1.0))


def in_pips(value: Ref) -> Ref:
    """A price difference over the instrument's pip (FEAT-28)."""
    return divide(value, given("pip_size"))


def london_gain() -> Ref:
    """Close - open of London's day, price units; held after London closes."""
    opening = _window("window_edge", OPEN, "london_window", RANGE, real=1.0)
    return subtract(_window("window_edge", CLOSE, "london_window", RANGE), opening)


def weekend_low_distance() -> Ref:
    """Close / lowest low of the newest Saturday and Sunday - 1."""
    return minus_one(divide(CLOSE, _window("window_extreme", LOW, "weekend_window", RANGE, real=-1.0)))


def overnight_change(name: str) -> Cross:
    """Change of a futures series since its last value in a regular session; 0 within one."""
    before = _window("window_edge", CLOSE, "regular_window", PRICE)
    return broadcast(Series("reference", minus_one(divide(CLOSE, before)), name))


def _session_bands(window: int) -> tuple[Ref, Ref]:
    """Return middle and half width of bands as wide as the forex session asks for (IND-04)."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=False)
    return middle, node("multiply", deviation, _number("forex_band_width")).out


def band_place(window: int) -> Ref:
    """(close - lower) / (upper - lower) of the bands of the forex session; 0.5 where flat."""
    middle, half = _session_bands(window)
    return node("place", CLOSE, subtract(middle, half), node("combine", middle, half, real=1.0).out, real=0.5).out


def session_band(window: int, sign: float) -> Ref:
    """Upper (sign 1) or lower (-1) band of the forex session, price units."""
    middle, half = _session_bands(window)
    return node("combine", middle, half, real=sign).out


def session_band_width(window: int) -> Ref:
    """(upper - lower) / middle of the bands of the forex session."""
    middle, half = _session_bands(window)
    return divide(node("scaled", half, real=2.0).out, middle)


def session_band_distance(window: int) -> Ref:
    """(close - middle) / (upper - middle) of the bands of the forex session; 0 where nothing moved."""
    middle, half = _session_bands(window)
    return divide(subtract(CLOSE, middle), half, 0.0)
