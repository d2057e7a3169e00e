"""What is traded, and on which side."""

from __future__ import annotations

import math

from foresail.features.expressions import CLOSE, FLOW, HIGH, LOW, TRADED, VOLUME, VOLUME_CLOCK, Ref, clock_where, node
from foresail.features.formulas.common import divide, mean, mean_and_deviation, share_of_sum, subtract
from foresail.features.formulas.price import log_return

__all__ = ["amihud_ratio", "log_volume_zscore", "money_flow", "obv_ratio", "volume_ratio"]


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
