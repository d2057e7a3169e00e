"""What is traded, and on which side."""

from __future__ import annotations

import math

from foresail.features.expressions import (
    CLOSE,
    FLOW,
    HIGH,
    LOW,
    TRADED,
    VOLUME,
    VOLUME_CLOCK,
    Ref,
    Series,
    clock_where,
    node,
)
from foresail.features.formulas.common import (
    before,
    divide,
    mean,
    mean_and_deviation,
    minus_one,
    share_of_sum,
    sign,
    subtract,
)
from foresail.features.formulas.cross import series_row
from foresail.features.formulas.price import log_return

__all__ = [
    "amihud_ratio",
    "chaikin_flow",
    "day_volume",
    "log_volume_zscore",
    "mean_volume",
    "money_flow",
    "obv",
    "obv_ratio",
    "volume_change",
    "volume_divergence",
    "volume_ratio",
    "volume_spike",
]


def volume_ratio(window: int) -> Ref:
    """Volume / mean volume; absent where the mean is 0 (FEAT-39)."""
    return divide(VOLUME, mean(VOLUME, window, VOLUME_CLOCK))


def log_volume_zscore(window: int) -> Ref:
    """(ln volume - mean) / sample deviation over bars with trades; 0 where nothing varies."""
    log_volume = node("logarithm", VOLUME, clock=TRADED).out
    middle, deviation = mean_and_deviation(log_volume, window, sample=True, clock=TRADED)
    return divide(subtract(log_volume, middle), deviation, 0.0)


def obv_ratio(window: int) -> Ref:
    """Change of on-balance volume over the window / volume of the window, -1 to 1."""
    signed = node("signed_volume", CLOSE, VOLUME, clock=VOLUME_CLOCK, needs=2, states=1).out
    return divide(mean(signed, window, VOLUME_CLOCK), mean(VOLUME, window, VOLUME_CLOCK))


def money_flow(window: int) -> Ref:
    """Money flow index, 0 to 1; 0.5 where no money flowed."""
    sides = node("combine", HIGH, LOW, clock=FLOW, real=1.0).out
    three = node("combine", sides, CLOSE, clock=FLOW, real=1.0).out  # three times the typical price: the 3 cancels
    flows = node("flow_up_down", three, VOLUME, clock=FLOW, needs=2, states=1, outputs=2)
    return share_of_sum(mean(Ref(flows, 0), window, FLOW), mean(Ref(flows, 1), window, FLOW), at_zero=0.5)


def amihud_ratio(window: int) -> Ref:
    """|log return| / traded value, over its own mean of the window (bars with trades)."""
    change = log_return(1)
    clock = clock_where(TRADED, change)
    value = node("multiply", CLOSE, VOLUME, clock=clock).out
    illiquidity = node("divide", node("magnitude", change, clock=clock).out, value, clock=clock, real=math.nan).out
    return divide(illiquidity, mean(illiquidity, window, clock))


def obv() -> Ref:
    """On-balance volume: volume of rising bars less that of falling ones, summed from the second bar on."""
    signed = node("signed_volume", CLOSE, VOLUME, clock=VOLUME_CLOCK, needs=2, states=1).out
    return node("running_sum", signed, clock=VOLUME_CLOCK, states=1).out


def mean_volume(window: int) -> Ref:
    """Mean volume."""
    return mean(VOLUME, window, VOLUME_CLOCK)


def day_volume() -> Ref:
    """Volume of the present hour so far and the 23 before it; that of the bar itself where a bar is a day."""
    first, last = (series_row(Series("calendar", None, name)) for name in ("first_hour", "last_hour"))
    return node("day_sum", VOLUME, first, last, clock=VOLUME_CLOCK, states=2 + 2 * 24).out


def volume_change(lag: int) -> Ref:
    """Volume / volume[lag] - 1; absent where nothing was traded then."""
    return minus_one(divide(VOLUME, before(VOLUME, lag, VOLUME_CLOCK), math.nan))


def chaikin_flow(window: int) -> Ref:
    """Chaikin money flow: volume weighted by the place of the close in the range (-1 to 1), over all volume."""
    place = node("place", CLOSE, LOW, HIGH, clock=FLOW, real=0.5).out
    weight = node("add", node("scaled", place, real=2.0).out, real=-1.0).out
    flow = node("multiply", weight, VOLUME, clock=FLOW).out
    return divide(mean(flow, window, FLOW), mean(VOLUME, window, FLOW), math.nan)


def volume_spike(window: int, limit: float) -> Ref:
    """1 where volume exceeds ``limit`` times its mean, else 0."""
    return node("above", volume_ratio(window), real=limit).out


def volume_divergence(window: int) -> Ref:
    """-1 where the price rises on falling volume, 1 where it falls on falling volume, else 0 (slopes)."""
    sides = [
        sign(node("slope", value, clock=VOLUME_CLOCK, window=window, needs=window, history=window).out)
        for value in (CLOSE, VOLUME)
    ]
    falling = node("at_least", node("scaled", sides[1], real=-1.0).out, real=0.0).out
    return node("scaled", node("multiply", sides[0], falling).out, real=-1.0).out
