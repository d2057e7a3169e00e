"""The compiled sweep over target weights: N instruments on one account, one rebalance a bar, sales before purchases.

Each bar: what the account is worth at the close; the units that every weight asks for; sales, which give cash; then
purchases, the smallest first once cash does not suffice for all, so that only the largest is cut. A weight that is NaN
leaves its position alone, an instrument without a price is valued at its last one and not traded.

Two places to fill (``IS_NEXT_OPEN``): at the close that decided, with purchases bound by cash, which is what vectorbt's
``from_orders`` does with target percentages, shared cash and its automatic order of calls; or at the next open, the
rule of the house, where nothing but the order itself bounds what is bought and an order lives for one bar.

On a grid (``IS_GRID``) prices are whole ticks and units whole lots, held in float64, and fees are whole minor units;
what a weight asks for is cut towards zero. Off the grid nothing is rounded but remainders below 1e-9 of a position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from foresail.core.arrays import FloatArray, IntArray
from foresail.execution.simulated.columns import SOURCE

__all__ = [
    "FEE_BOTTOM",
    "FEE_TOP",
    "INT_WIDTH",
    "IS_GRID",
    "IS_NEXT_OPEN",
    "RULE_WIDTH",
    "R_CAPITAL",
    "R_FEE",
    "R_MINOR",
    "R_SLIP",
    "R_UNIT_VALUE",
    "simulate_weights",
]

RULE_WIDTH = 5
R_CAPITAL, R_FEE, R_SLIP, R_UNIT_VALUE, R_MINOR = range(RULE_WIDTH)
INT_WIDTH = 4
IS_GRID, IS_NEXT_OPEN, FEE_TOP, FEE_BOTTOM = range(INT_WIDTH)

_CASH, _FEES = 0, 1  # of the account
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12  # below these two amounts are the same, as vectorbt has it

_Rule = tuple[FloatArray, IntArray]
_Tables = tuple[FloatArray, FloatArray, FloatArray, FloatArray]  # opens, closes, weights, traded units, (T, N) each
# Units held, last prices, account, units wanted, purchases put off, values of purchases.
_State = tuple[FloatArray, FloatArray, FloatArray, FloatArray, IntArray, FloatArray]
_Function = TypeVar("_Function", bound=Callable[..., Any])
# Without reference counts and fast-math, as in ``sweep_signals``.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def _inlined(function: _Function) -> _Function:
    """Compile a part of the sweep into its callers."""
    return cast("_Function", njit(forceinline=True, **_OPTIONS)(function))


@_inlined
def _is_same(a: float, b: float) -> bool:
    return abs(a - b) <= max(_RELATIVE * max(abs(a), abs(b)), _ABSOLUTE)


@_inlined
def _sum(a: float, b: float) -> float:
    """Return a + b, 0 where they are opposite but for rounding."""
    return 0.0 if _is_same(a, -b) else a + b


@_inlined
def _fee(rule: _Rule, value: float) -> float:
    """Return the fee on a value: money, or ticks x lots on a grid, where it is exact and half to even."""
    if rule[1][IS_GRID] == 0:
        return float(value * rule[0][R_FEE])
    top, bottom = rule[1][FEE_TOP], rule[1][FEE_BOTTOM]
    if value * top > 4e18:
        return float(np.rint(value * top / bottom) * rule[0][R_MINOR])
    whole = int(value) * top
    count, rest = whole // bottom, 2 * (whole % bottom)
    if rest > bottom or (rest == bottom and count % 2 == 1):
        count += 1
    return float(count * rule[0][R_MINOR])


@_inlined
def _paid(rule: _Rule, price: float, side: float) -> float:
    """Return the price after slippage."""
    if rule[1][IS_GRID] == 0:
        return float(price * (1.0 + side * rule[0][R_SLIP]))
    return float(max(price + side * np.rint(price * rule[0][R_SLIP]), 1.0))


@_inlined
def _wanted(rule: _Rule, weight: float, worth: float, price: float, held: float) -> float:
    """Return the units to trade for a weight, 0 for none."""
    if np.isnan(weight) or np.isnan(price):
        return 0.0
    if rule[1][IS_GRID] == 1:
        return float(np.trunc(weight * worth / (price * rule[0][R_UNIT_VALUE])) - held)
    units = weight * worth / price - held
    return 0.0 if abs(units) <= _ABSOLUTE else float(units)


@_inlined
def _fill(rule: _Rule, state: _State, i: int, units: float, price: float) -> None:
    """Book units of an instrument at a price after slippage."""
    held, account = state[0], state[2]
    value = abs(units) * price
    fee = _fee(rule, value)
    account[_FEES] += fee
    change = value * rule[0][R_UNIT_VALUE]
    if units < 0.0:
        account[_CASH] += change - fee
    else:
        account[_CASH] = _sum(account[_CASH], -(change + fee))
    held[i] = _sum(held[i], units)


@_inlined
def _cost(rule: _Rule, units: float, price: float) -> float:
    """Return what a purchase takes from cash."""
    return float(units * price * rule[0][R_UNIT_VALUE] + _fee(rule, units * price))


@_inlined
def _afford(rule: _Rule, cash: float, units: float, price: float) -> float:
    """Return how many of some units cash pays for, fee included."""
    cost = _cost(rule, units, price)
    if cost < cash or _is_same(cost, cash):
        return units
    most = cash / (1.0 + rule[0][R_FEE]) / (price * rule[0][R_UNIT_VALUE])
    if rule[1][IS_GRID] == 1:
        most = np.floor(most)
        while most > 0.0 and _cost(rule, most, price) > cash:
            most -= 1.0  # the fee was rounded up
    return float(max(most, 0.0))


@_inlined
def _worth(rule: _Rule, state: _State, closes: FloatArray) -> float:
    """Return what the account is worth at the closes, noting them as last prices."""
    held, last = state[0], state[1]
    worth = 0.0
    for i in range(len(held)):
        last[i] = last[i] if np.isnan(closes[i]) else closes[i]
    for i in range(len(held)):
        worth += held[i] * last[i]
    return float(state[2][_CASH] + worth * rule[0][R_UNIT_VALUE])


@_inlined
def _flows(rule: _Rule, state: _State) -> tuple[float, float]:
    """Return what all that is wanted costs and brings off the grid, before fees."""
    bought, sold = 0.0, 0.0
    for i in range(len(state[3])):
        value = state[3][i] * state[1][i]
        bought += max(value, 0.0)
        sold += max(-value, 0.0)
    return bought * (1.0 + rule[0][R_SLIP]), sold * (1.0 - rule[0][R_SLIP])


@_inlined
def _together(rule: _Rule, state: _State, traded: FloatArray, least: float) -> bool:
    """Fill all at once off the grid, in loops that become vector instructions; False where too little cash is left."""
    held, account, wanted = state[0], state[2], state[3]
    cost, gain = _flows(rule, state)
    share = rule[0][R_FEE]
    left = account[_CASH] + gain * (1.0 - share) - cost * (1.0 + share)
    if left < least:
        return False
    account[_CASH] = left
    account[_FEES] += (cost + gain) * share
    for i in range(len(wanted)):
        after = held[i] + wanted[i]
        traded[i] = wanted[i]
        size = max(_RELATIVE * max(abs(held[i]), abs(wanted[i])), _ABSOLUTE)
        held[i] = 0.0 if abs(after) <= size else after
    return len(traded) > 0


@_inlined
def _largest_last(rule: _Rule, state: _State, tables: _Tables, t: int) -> None:
    """Fill off the grid where cash does not suffice: the largest purchases are put off until the others are paid."""
    closes, traded = tables[1][t], tables[3][t]
    account, wanted, put_off, values = state[2], state[3], state[4], state[5]
    share, slip, count = rule[0][R_FEE], rule[0][R_SLIP], 0
    cost, gain = _flows(rule, state)
    left = account[_CASH] + gain * (1.0 - share) - cost * (1.0 + share)
    for i in range(len(wanted)):
        values[i] = max(wanted[i] * state[1][i], 0.0)
    while left < 0.0:
        i = _largest(state)
        if i < 0:
            break
        left += values[i] * (1.0 + slip) * (1.0 + share)
        put_off[count], values[i] = i, 0.0
        count += 1
    for k in range(count):
        values[put_off[k]], wanted[put_off[k]] = wanted[put_off[k]], 0.0
    _together(rule, state, traded, -np.inf)
    account[_CASH] = max(account[_CASH], 0.0)
    for k in range(count - 1, -1, -1):
        i = put_off[k]
        price = _paid(rule, closes[i], 1.0)
        units = _afford(rule, account[_CASH], values[i], price)
        if units > 0.0:
            traded[i] = units
            _fill(rule, state, i, units, price)


@_inlined
def _largest(state: _State) -> int:
    """Return the purchase of the largest value that was not put off yet, the last of equal ones."""
    best, place = -1.0, -1
    for i in range(len(state[5])):
        if state[5][i] >= best and state[5][i] > 0.0:
            best, place = state[5][i], i
    return place


@_inlined
def _one_by_one(rule: _Rule, state: _State, tables: _Tables, t: int) -> None:
    """Fill sales, then purchases from the smallest value on as far as cash goes, on a grid."""
    closes, traded = tables[1][t], tables[3][t]
    account, wanted, put_off, values = state[2], state[3], state[4], state[5]
    cost, count = 0.0, 0
    for i in range(len(wanted)):
        values[i] = 0.0
        if wanted[i] < 0.0:
            traded[i] = wanted[i]
            _fill(rule, state, i, wanted[i], _paid(rule, closes[i], -1.0))
        elif wanted[i] > 0.0:
            values[i] = wanted[i] * closes[i]
            cost += _cost(rule, wanted[i], _paid(rule, closes[i], 1.0))
    while cost > account[_CASH]:
        i = _largest(state)
        if i < 0:
            break
        values[i] = 0.0
        cost -= _cost(rule, wanted[i], _paid(rule, closes[i], 1.0))
        put_off[count] = i
        count += 1
    for i in range(len(wanted)):
        if values[i] > 0.0:
            traded[i] = wanted[i]
            _fill(rule, state, i, wanted[i], _paid(rule, closes[i], 1.0))
    for k in range(count - 1, -1, -1):
        i = put_off[k]
        price = _paid(rule, closes[i], 1.0)
        traded[i] = _afford(rule, account[_CASH], wanted[i], price)
        if traded[i] > 0.0:
            _fill(rule, state, i, traded[i], price)


@_inlined
def _at_open(rule: _Rule, state: _State, tables: _Tables, t: int) -> None:
    """Fill what the last close wanted at the open, sales first; what cannot fill now is given up."""
    opens, traded, wanted = tables[0][t], tables[3][t], state[3]
    for side in (-1.0, 1.0):
        for i in range(len(wanted)):
            if wanted[i] * side > 0.0 and not np.isnan(opens[i]):
                traded[i] = wanted[i]
                _fill(rule, state, i, wanted[i], _paid(rule, opens[i], side))
    wanted[:] = 0.0


def _bound(source: int) -> Callable[..., None]:
    """Return the sweep bound to the sources that it was compiled from."""

    def run(rule: _Rule, tables: _Tables, state: _State, out: FloatArray) -> None:
        _ = source
        held, account, wanted = state[0], state[2], state[3]
        account[_CASH] = rule[0][R_CAPITAL]
        is_open = rule[1][IS_NEXT_OPEN] == 1
        for t in range(len(out)):
            if is_open:
                _at_open(rule, state, tables, t)
            closes, weights = tables[1][t], tables[2][t]
            worth = _worth(rule, state, closes)
            if worth > 0.0:
                for i in range(len(held)):
                    wanted[i] = _wanted(rule, weights[i], worth, closes[i], held[i])
                if not is_open:
                    if rule[1][IS_GRID] == 1:
                        _one_by_one(rule, state, tables, t)
                    elif not _together(rule, state, tables[3][t], _RELATIVE * account[_CASH]):
                        _largest_last(rule, state, tables, t)
                    worth = _worth(rule, state, closes)
            out[t, 0], out[t, 1] = worth, account[_CASH]

    return cast("Callable[..., None]", njit(cache=True, **_OPTIONS)(run))


_RUN = _bound(SOURCE)


def simulate_weights(
    tables: tuple[FloatArray, FloatArray, FloatArray], rule: _Rule
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Return equity and cash, units traded, units held at the end, and all fees.

    Parameters
    ----------
    tables : opens, closes and weights, (T, N) each, rows contiguous; in ticks on a grid
    rule : (RULE_WIDTH,) and (INT_WIDTH,)

    Returns
    -------
    (T, 2) equity and cash at each close, money; (T, N) signed units traded in each bar; (N,) units; money
    """
    t, n = tables[1].shape
    out, traded = np.zeros((t, 2)), np.zeros((t, n))
    state = (
        np.zeros(n), np.zeros(n), np.zeros(2), np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(n),
    )  # fmt: skip
    _RUN(rule, (*tables, traded), state, out)
    return out, traded, state[0], float(state[2][_FEES])
