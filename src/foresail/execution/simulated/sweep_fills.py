"""Fills of the compiled sweep: what one run is told and remembers, how it enters and leaves, trailing stops.

The state of a run, its log and its rules are plain arrays; the columns are named here. ``sweep_signals`` decides when.

A trailing stop keeps a fixed distance from the best price since the entry, which it knows one step late: the open is
tested against the best before it and counts from then on; inside the bar the level of the open holds; highest and
lowest count for the next bar. So a bar never pulls its own stop along before it is tested: the worse of two answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from foresail.core.arrays import FloatArray, IntArray

__all__ = [
    "CAPITAL",
    "COUNTS",
    "C_AGE",
    "C_LEAVES",
    "C_SINCE",
    "C_TRADES",
    "FEE",
    "FEE_BOTTOM",
    "FEE_TOP",
    "FLOAT_WIDTH",
    "FRACTION",
    "HOLD",
    "INT_WIDTH",
    "IS_GRID",
    "IS_SAME_CLOSE",
    "LIFE",
    "L_ENTRY",
    "L_EXIT",
    "L_REASON",
    "L_WIDTH",
    "MAKER",
    "MAKER_BOTTOM",
    "MAKER_TOP",
    "MINOR",
    "R_OPEN",
    "R_SIGNAL",
    "R_STOP",
    "R_TARGET",
    "R_TIME",
    "SLIP",
    "STATE",
    "STOP_SHARE",
    "S_BEST",
    "S_CASH",
    "S_HELD",
    "S_HIGH",
    "S_LOW",
    "S_TRAIL",
    "S_WANTED",
    "S_WANTED_HIGH",
    "S_WANTED_LOW",
    "S_WANTED_TRAIL",
    "TARGET_SHARE",
    "TRAIL",
    "UNITS",
    "UNIT_VALUE",
    "V_BOUGHT",
    "V_FEES",
    "V_SOLD",
    "V_UNITS",
    "V_WIDTH",
    "Run",
    "adverse",
    "enter",
    "follow_bar",
    "follow_open",
    "inlined",
    "leave",
    "released",
]

# What one run is told, float64: stop and target as shares of the close (0 = none), fees and slippage as shares of
# value, units of an order or the share of equity it takes (0 = the units), capital, money per tick and lot, minor unit,
# distance of a trailing stop as a share of the close (0 = none).
FLOAT_WIDTH = 11
STOP_SHARE, TARGET_SHARE, FEE, MAKER, SLIP, UNITS, FRACTION, CAPITAL, UNIT_VALUE, MINOR, TRAIL = range(FLOAT_WIDTH)
# and int64: bars after which a position leaves, bars that an order waits (0 = no bound), two switches, fee and maker
# fee in minor units per (tick x lot) as fractions.
INT_WIDTH = 8
HOLD, LIFE, IS_SAME_CLOSE, IS_GRID, FEE_TOP, FEE_BOTTOM, MAKER_TOP, MAKER_BOTTOM = range(INT_WIDTH)


# The log: (L_WIDTH, M) int64 and (V_WIDTH, M) float64. An open position has no exit: -1, NaN, reason 0.
L_WIDTH = 3
L_ENTRY, L_EXIT, L_REASON = range(L_WIDTH)
V_WIDTH = 4
V_BOUGHT, V_SOLD, V_UNITS, V_FEES = range(V_WIDTH)  # price of entry, price of exit, signed units, fees of both
R_OPEN, R_SIGNAL, R_STOP, R_TARGET, R_TIME = range(5)

# State: position, its levels, cash; what waits for the next open; trailing distance and best price.
STATE = 10
S_HELD, S_LOW, S_HIGH, S_CASH, S_WANTED, S_WANTED_LOW, S_WANTED_HIGH, S_TRAIL, S_BEST, S_WANTED_TRAIL = range(STATE)
COUNTS = 4
C_SINCE, C_LEAVES, C_AGE, C_TRADES = range(COUNTS)

Run = tuple[FloatArray, IntArray, FloatArray, IntArray, IntArray, FloatArray]  # rule, switches, a room
_Function = TypeVar("_Function", bound=Callable[..., Any])


# Without reference counts: nothing here makes an array, and counting at every look into the state took most of the
# time. No fast-math, so that results do not depend on how the compiler orders operations.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def released(function: _Function) -> _Function:
    """Compile a whole sweep, kept on disk, which lets other threads run beside it."""
    return cast("_Function", njit(cache=True, **_OPTIONS)(function))


def inlined(function: _Function) -> _Function:
    """Compile a part of a sweep into its callers."""
    return cast("_Function", njit(forceinline=True, **_OPTIONS)(function))


@inlined
def _fee(run: Run, units: float, price: float, maker: int) -> float:
    """Return the fee of a fill, money; on the grid exact, half to even."""
    rule, switch = run[0], run[1]
    value = abs(units) * price
    if switch[IS_GRID] == 0:
        return float(value * (rule[MAKER] if maker == 1 else rule[FEE]))
    top, bottom = (switch[MAKER_TOP], switch[MAKER_BOTTOM]) if maker == 1 else (switch[FEE_TOP], switch[FEE_BOTTOM])
    if value * top > 4e18:  # beyond what an integer of 64 bits can count
        return float(np.rint(value * top / bottom) * rule[MINOR])
    whole = int(value) * top
    count, rest = whole // bottom, 2 * (whole % bottom)
    if rest > bottom or (rest == bottom and count % 2 == 1):
        count += 1
    return float(count * rule[MINOR])


@inlined
def adverse(run: Run, reference: float, sign: float) -> float:
    """Return the price after slippage."""
    slip = run[0][SLIP]
    if run[1][IS_GRID] == 0:
        return float(reference * (1.0 + sign * slip))
    return float(max(reference + sign * np.rint(reference * slip), 1.0))


@inlined
def _tighten(run: Run) -> None:
    """Pull the level of a trailing stop along, never away from the market."""
    state = run[2]
    if state[S_HELD] > 0.0:
        state[S_LOW] = max(state[S_LOW], state[S_BEST] - state[S_TRAIL], float(run[1][IS_GRID]))
    else:
        state[S_HIGH] = min(state[S_HIGH], state[S_BEST] + state[S_TRAIL])


@inlined
def _follow(run: Run, price: float) -> None:
    state = run[2]
    best = state[S_BEST]
    state[S_BEST] = max(best, price) if state[S_HELD] > 0.0 else min(best, price)
    _tighten(run)


@inlined
def follow_open(run: Run, opened: float) -> None:
    """Let a trailing stop see an open: what is met there is left to the bar, a due exit becomes its exit."""
    state, count = run[2], run[3]
    if run[0][TRAIL] <= 0.0 or state[S_HELD] == 0.0 or np.isnan(opened):
        return
    if opened <= state[S_LOW] or opened >= state[S_HIGH]:
        if count[C_LEAVES] != 0:
            count[C_LEAVES] = R_STOP
        return
    _follow(run, opened)


@inlined
def follow_bar(run: Run, high: float, low: float) -> None:
    """Let a trailing stop see a bar that it lived through: its best price counts for the next one."""
    state = run[2]
    if run[0][TRAIL] > 0.0 and state[S_HELD] != 0.0 and high >= low:  # a bar without a price is passed by
        _follow(run, high if state[S_HELD] > 0.0 else low)


@inlined
def enter(run: Run, t: int, price: float) -> None:
    """Open the wanted position at a price."""
    state, count = run[2], run[3]
    units = state[S_WANTED]
    fee = _fee(run, units, price, 0)
    n = count[C_TRADES]
    run[4][L_ENTRY, n], run[4][L_EXIT, n], run[4][L_REASON, n] = t, -1, R_OPEN
    run[5][V_BOUGHT, n], run[5][V_SOLD, n], run[5][V_UNITS, n], run[5][V_FEES, n] = price, np.nan, units, fee
    state[S_HELD], state[S_LOW], state[S_HIGH] = units, state[S_WANTED_LOW], state[S_WANTED_HIGH]
    if run[0][TRAIL] > 0.0:
        state[S_TRAIL], state[S_BEST] = state[S_WANTED_TRAIL], price
        _tighten(run)
    state[S_CASH] -= units * price * run[0][UNIT_VALUE] + fee
    state[S_WANTED] = 0.0
    count[C_SINCE] = t


@inlined
def leave(run: Run, t: int, price: float, reason: int, maker: int) -> None:
    """Close the position at a price."""
    state, count = run[2], run[3]
    units = state[S_HELD]
    fee = _fee(run, units, price, maker)
    n = count[C_TRADES]
    run[4][L_EXIT, n], run[4][L_REASON, n] = t, reason
    run[5][V_SOLD, n] = price
    run[5][V_FEES, n] += fee
    state[S_CASH] += units * price * run[0][UNIT_VALUE] - fee
    state[S_HELD] = 0.0
    count[C_TRADES] = n + 1
