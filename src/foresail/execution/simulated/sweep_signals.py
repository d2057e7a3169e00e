"""The compiled sweep over given signals: one instrument, one position at a time, a log of trades and nothing else.

It keeps the rules of the venue's bar (``matching``) for the orders that a sweep knows: market orders, and the stop and
target that hang on a position. An order decided at the close of bar t fills at the next open; then

1. at the open: what is due leaves first, what is wanted enters next;
2. at the open, the attached stop (open at or beyond it), else the attached target (open strictly beyond it);
3. inside the bar the stop, at its level; else the target, only where price trades through it; a trailing stop is
   tested by what was known before, and follows then (``sweep_fills``);
4. at the close the signals decide again.

Stop and target are fractions of the close of the decision, as an order carries them. On a grid (``GRID``) prices are
whole ticks and quantities whole lots, held in float64, which counts exactly to 2^53; fees are rounded to the minor
unit with integers. Off the grid nothing is rounded. With ``SAME_CLOSE`` an order fills at the close of its own bar,
and a bar in which a stop or target was met takes no order: what vectorbt does, for comparison.

Bars without a price are NaN: every comparison with them is false, so they pass by themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.execution.simulated.columns import SOURCE
from foresail.execution.simulated.scanning import (
    LOOK,
    LOOK_WISHES,
    place_of_wish,
    place_out_of_long,
    place_out_of_short,
)
from foresail.execution.simulated.sweep_fills import (
    C_AGE,
    C_LEAVES,
    C_SINCE,
    C_TRADES,
    CAPITAL,
    COUNTS,
    FRACTION,
    HOLD,
    IS_GRID,
    IS_SAME_CLOSE,
    L_ENTRY,
    L_EXIT,
    L_WIDTH,
    LIFE,
    R_SIGNAL,
    R_STOP,
    R_TARGET,
    R_TIME,
    S_CASH,
    S_HELD,
    S_HIGH,
    S_LOW,
    S_WANTED,
    S_WANTED_HIGH,
    S_WANTED_LOW,
    S_WANTED_TRAIL,
    STATE,
    STOP_SHARE,
    TARGET_SHARE,
    TRAIL,
    UNIT_VALUE,
    UNITS,
    V_BOUGHT,
    V_FEES,
    V_SOLD,
    V_UNITS,
    V_WIDTH,
    Run,
    adverse,
    enter,
    follow_bar,
    follow_open,
    inlined,
    leave,
    released,
)

__all__ = [
    "M_WIDTH",
    "Bars",
    "Signals",
    "are_plain",
    "distance_at",
    "levels_at",
    "simulate_signals",
    "summarise_many",
    "units_at",
]

# Figures of a run: trades closed, winners, net profit, fees, largest fall of closed equity (money), bars held.
M_WIDTH = 6

# What is wanted at a bar, one byte: an entry and an exit of one side, or two entries, at once cancel out.
_UP, _LEAVE_UP, _DOWN, _LEAVE_DOWN = 1, 2, 4, 8
_ENTRIES, _NOT_LONG, _NOT_SHORT = _UP | _DOWN, _LEAVE_UP | _DOWN, _LEAVE_DOWN | _UP

_Bytes = NDArray[np.uint8]
Bars = tuple[FloatArray, FloatArray, FloatArray, FloatArray]  # open, highest, lowest, close, (T,) each
Signals = tuple[BoolArray, BoolArray, BoolArray, BoolArray]  # long entry, long exit, short entry, short exit, (T,)
_Room = tuple[FloatArray, IntArray, IntArray, FloatArray]  # state, counts, log, log


@inlined
def _at_open(run: Run, t: int, opened: float) -> None:
    """Step 1: fill what was decided before."""
    state, count = run[2], run[3]
    if count[C_LEAVES] != 0:
        if state[S_HELD] != 0.0:
            leave(run, t, adverse(run, opened, -1.0 if state[S_HELD] > 0.0 else 1.0), count[C_LEAVES], 0)
        count[C_LEAVES] = 0
    if state[S_WANTED] != 0.0:
        enter(run, t, adverse(run, opened, 1.0 if state[S_WANTED] > 0.0 else -1.0))
    count[C_AGE] = 0


@inlined
def _stopped(run: Run, bars: Bars, t: int) -> bool:
    """Steps 2 and 3: leave by stop or target where the bar reaches one; return whether it did."""
    state = run[2]
    low, high = state[S_LOW], state[S_HIGH]
    is_long = state[S_HELD] > 0.0
    falls, rises = bars[2][t] < low, bars[1][t] > high
    if is_long:
        falls |= bars[2][t] == low  # a stop is met by a touch
    else:
        rises |= bars[1][t] == high
    if not (falls | rises):
        return False  # without a look at the open, which is far away in memory
    opened = bars[0][t]
    if is_long:
        if opened > high:
            leave(run, t, max(adverse(run, opened, -1.0), high), R_TARGET, 0)
        elif falls:
            leave(run, t, adverse(run, min(opened, low), -1.0), R_STOP, 0)
        else:
            leave(run, t, high, R_TARGET, 1)
    elif opened < low:
        leave(run, t, min(adverse(run, opened, 1.0), low), R_TARGET, 0)
    elif rises:
        leave(run, t, adverse(run, max(opened, high), 1.0), R_STOP, 0)
    else:
        leave(run, t, low, R_TARGET, 1)
    return True


def levels_at(close: float, shares: tuple[float, float], side: float, is_grid: int) -> tuple[float, float]:
    """Return the level below and the level above of an order decided at a close, 0 and infinity for none.

    Parameters
    ----------
    close : in ticks on a grid
    shares : distance of stop and target from the close, fractions, 0 = none
    side : 1.0 buys, -1.0 sells short
    is_grid : 1 = levels are whole ticks, at least one away from the close
    """
    below, above = shares if side > 0.0 else (shares[1], shares[0])
    low = close * (1.0 - below) if below > 0.0 else 0.0
    high = close * (1.0 + above) if above > 0.0 else np.inf
    if is_grid == 1 and below > 0.0:
        low = max(1.0, min(np.rint(low), close - 1.0))
    if is_grid == 1 and above > 0.0:
        high = max(np.rint(high), close + 1.0)
    return low, high


def distance_at(close: float, share: float, is_grid: int) -> float:
    """Return how far a trailing stop keeps from the best price, by the close of the decision; 0 for none."""
    if share <= 0.0:
        return 0.0
    return float(max(np.rint(close * share), 1.0)) if is_grid == 1 else close * share


def units_at(equity: float, share: float, value: float, is_grid: int) -> float:
    """Return the units that a share of equity buys at a value per unit; on a grid whole lots."""
    units = share * equity / value
    if is_grid == 1:
        units = np.floor(units + 1e-9)  # a whole number of lots that lost its last bit stays whole
    return max(units, 0.0)


_levels = inlined(levels_at)
_distance = inlined(distance_at)
_units = inlined(units_at)


@inlined
def _size(run: Run, close: float) -> float:
    """Return the units of an order decided at a close."""
    rule, state = run[0], run[2]
    if rule[FRACTION] == 0.0:
        return float(rule[UNITS])
    value = close * rule[UNIT_VALUE]
    return _units(state[S_CASH] + state[S_HELD] * value, rule[FRACTION], value, run[1][IS_GRID])


@inlined
def _decide(run: Run, bars: Bars, wishes: _Bytes, t: int) -> None:
    """Step 4: what the signals of bar t ask for."""
    state, count, switch, wish = run[2], run[3], run[1], wishes[t]
    close, held = bars[3][t], state[S_HELD]
    if np.isnan(close):
        return
    if (held > 0.0 and wish & _NOT_LONG) or (held < 0.0 and wish & _NOT_SHORT):
        count[C_LEAVES] = R_SIGNAL
    elif held != 0.0 and switch[HOLD] > 0 and t - count[C_SINCE] + 1 >= switch[HOLD]:
        count[C_LEAVES] = R_TIME
    side = 1.0 if wish & _UP and held <= 0.0 else -1.0 if wish & _DOWN and held >= 0.0 else 0.0
    if side != 0.0:
        shares = (run[0][STOP_SHARE], run[0][TARGET_SHARE])
        state[S_WANTED] = side * _size(run, close)
        state[S_WANTED_LOW], state[S_WANTED_HIGH] = _levels(close, shares, side, switch[IS_GRID])
        state[S_WANTED_TRAIL] = _distance(close, run[0][TRAIL], switch[IS_GRID])
    count[C_AGE] = 0


@inlined
def _next_entry(bars: Bars, wishes: _Bytes, t: int) -> int:
    """Return the first bar from t on at which something is to be entered."""
    prices, last = (bars[1], bars[2]), len(wishes)
    while t + LOOK_WISHES <= last:
        n = place_of_wish(prices, wishes, t, _ENTRIES)
        t += n
        if n < LOOK_WISHES:
            return t
    while t < last and wishes[t] & _ENTRIES == 0:
        t += 1
    return t


@inlined
def _next_exit(bars: Bars, wishes: _Bytes, t: int, last: int, state: FloatArray) -> int:
    """Return the first bar from t on, before ``last``, that meets a level of the position or at which it is left."""
    low, high, is_long = state[S_LOW], state[S_HIGH], state[S_HELD] > 0.0
    top, bottom = bars[1], bars[2]
    while t + LOOK <= last:
        if is_long:
            n = place_out_of_long((top, bottom), wishes, t, (low, high, _NOT_LONG))
        else:
            n = place_out_of_short((top, bottom), wishes, t, (low, high, _NOT_SHORT))
        t += n
        if n < LOOK:
            return t
    if is_long:
        while t < last and not ((bottom[t] <= low) | (top[t] > high) | (wishes[t] & _NOT_LONG != 0)):
            t += 1
        return t
    while t < last and not ((top[t] >= high) | (bottom[t] < low) | (wishes[t] & _NOT_SHORT != 0)):
        t += 1
    return t


@inlined
def _quiet(run: Run, bars: Bars, wishes: _Bytes, t: int) -> int:
    """Return the first bar from t on at which anything can happen: where a run spends its time."""
    state, last = run[2], len(bars[3])
    if state[S_HELD] == 0.0:
        return int(_next_entry(bars, wishes, t))
    if run[0][TRAIL] > 0.0:
        return t  # every bar may pull the stop along
    if run[1][HOLD] > 0:
        last = min(last, max(t, run[3][C_SINCE] + run[1][HOLD] - 1))
    return int(_next_exit(bars, wishes, t, last, state))


@inlined
def _waits(run: Run) -> bool:
    waits: bool = run[2][S_WANTED] != 0.0 or run[3][C_LEAVES] != 0
    return waits


@inlined
def _pass(bars: Bars, wishes: _Bytes, run: Run) -> int:
    """Go through all bars; return the number of trades, an open one included."""
    state, count, switch = run[2], run[3], run[1]
    t, last = 0, len(bars[3])
    while t < last:
        if not _waits(run):
            t = _quiet(run, bars, wishes, t)
            if t >= last:
                break
            follow_open(run, bars[0][t])
        elif np.isnan(bars[3][t]):
            count[C_AGE] += 1
            if switch[LIFE] > 0 and count[C_AGE] >= switch[LIFE]:
                state[S_WANTED], count[C_LEAVES] = 0.0, 0
            t += 1
            continue
        else:
            follow_open(run, bars[0][t])
            _at_open(run, t, bars[0][t])
        met = state[S_HELD] != 0.0 and _stopped(run, bars, t)
        follow_bar(run, bars[1][t], bars[2][t])
        if switch[IS_SAME_CLOSE] == 0:
            _decide(run, bars, wishes, t)
        elif not met:
            _decide(run, bars, wishes, t)
            _at_open(run, t, bars[3][t])
        t += 1
    return int(count[C_TRADES]) + (1 if state[S_HELD] != 0.0 else 0)


@inlined
def _reset(run: Run) -> None:
    """Stand before the first bar: no position, all capital in cash."""
    run[2][:] = 0.0
    run[3][:] = 0
    run[2][S_CASH] = run[0][CAPITAL]


@inlined
def _figures(run: Run, n: int, out: FloatArray) -> None:
    """Write the figures of a run over its closed trades."""
    log, values = run[4], run[5]
    out[:] = 0.0
    peak, worst = 0.0, 0.0
    for k in range(n):
        if log[L_EXIT, k] < 0:
            continue
        move = values[V_UNITS, k] * (values[V_SOLD, k] - values[V_BOUGHT, k]) * run[0][UNIT_VALUE]
        net = move - values[V_FEES, k]
        out[0] += 1.0
        out[1] += 1.0 if net > 0.0 else 0.0
        out[2] += net
        out[3] += values[V_FEES, k]
        out[5] += log[L_EXIT, k] - log[L_ENTRY, k]
        peak = max(peak, out[2])
        worst = max(worst, peak - out[2])
    out[4] = worst


def _bound(source: int) -> tuple[Callable[..., int], Callable[..., None], Callable[..., bool], Callable[..., None]]:
    """Return sweeps, check of bars and packing of signals, bound to the sources that they were compiled from."""

    @released
    def one(bars: Bars, wishes: _Bytes, run: Run) -> int:
        _ = source
        _reset(run)
        return _pass(bars, wishes, run)

    @released
    def many(bars: Bars, wishes: _Bytes, rules: tuple[FloatArray, IntArray], room: _Room, figures: FloatArray) -> None:
        _ = source
        for p in range(rules[0].shape[0]):
            run = (rules[0][p], rules[1][p], room[0], room[1], room[2], room[3])
            _reset(run)
            _figures(run, _pass(bars, wishes, run), figures[p])

    @released
    def plain(bars: Bars) -> bool:
        _ = source
        opens, highs, lows, closes = bars
        odd = 0
        for t in range(len(closes)):
            high, low = highs[t], lows[t]
            odd += not (
                (high >= opens[t])
                & (high >= closes[t])
                & (low <= opens[t])
                & (low <= closes[t])
                & (low > 0.0)
                & (high < np.inf)
            )
        return odd == 0

    @released
    def pack(signals: Signals, wishes: _Bytes) -> None:
        _ = source
        enter_long, leave_long, enter_short, leave_short = signals
        for t in range(len(wishes)):
            up, down = enter_long[t] & ~leave_long[t], enter_short[t] & ~leave_short[t]
            both = up & down
            up, down = up & ~both, down & ~both
            leave_up, leave_down = leave_long[t] & ~enter_long[t], leave_short[t] & ~enter_short[t]
            wishes[t] = np.uint8(up) | np.uint8(leave_up) << 1 | np.uint8(down) << 2 | np.uint8(leave_down) << 3

    return one, many, plain, pack


_ONE, _MANY, _PLAIN, _PACK = _bound(SOURCE)


def are_plain(bars: Bars) -> bool:
    """Return whether every bar is there, finite and positive, with open and close between low and high."""
    return bool(_PLAIN(bars))


def _packed(signals: Signals) -> tuple[_Bytes, _Room]:
    """Return what is wanted at each bar, and a state and a log with room for a trade for each bar with an entry."""
    trades = int(np.count_nonzero(signals[0]) + np.count_nonzero(signals[2])) + 1  # no fewer than there can be
    wishes = np.empty(len(signals[0]), dtype=np.uint8)
    _PACK(signals, wishes)
    log, values = np.empty((L_WIDTH, trades), dtype=np.int64), np.empty((V_WIDTH, trades))
    return wishes, (np.zeros(STATE), np.zeros(COUNTS, dtype=np.int64), log, values)


def simulate_signals(bars: Bars, signals: Signals, rules: tuple[FloatArray, IntArray]) -> tuple[IntArray, FloatArray]:
    """Return the log of one run, oldest trade first, the open one last.

    Parameters
    ----------
    bars : open, high, low and close, (T,) each, in ticks on a grid; NaN in all four where there is no bar
    signals : long entry, long exit, short entry, short exit, (T,) bool each, decided at the close of their bar
    rules : (FLOAT_WIDTH,) and (INT_WIDTH,)

    Returns
    -------
    (L_WIDTH, M) int64 and (V_WIDTH, M) float64
    """
    wishes, room = _packed(signals)
    n = _ONE(bars, wishes, (*rules, *room))
    return room[2][:, :n], room[3][:, :n]


def summarise_many(bars: Bars, signals: Signals, rules: tuple[FloatArray, IntArray], figures: FloatArray) -> None:
    """Run P rules over the same signals and write the figures of each, (P, M_WIDTH); lets other threads run.

    Parameters
    ----------
    rules : (P, FLOAT_WIDTH) and (P, INT_WIDTH)
    """
    wishes, room = _packed(signals)
    _MANY(bars, wishes, rules, room, figures)
