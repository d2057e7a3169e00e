"""Row scope: steps over all instruments at one instant.

A row step reads one column of a bar's values (N,) and writes another, or one number for the whole market. Absent
values take no part. Sums run in ascending order of instrument, so a result does not depend on threads.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

import numpy as np

from foresail.features.kernels._layout import step

__all__ = ["ROW_ARGS", "market_deviation", "market_mean", "rank", "sector_residual"]

ROW_ARGS = 4  # op, input (column or series), output (column or series), 1 where the output is a column
_RADIX = 256


@step
def _sort(keys: Any, order: Any, spare: Any, spare_order: Any, counts: Any, m: int) -> None:
    """Sort the first ``m`` keys (int64 bits, sign last) and carry ``order`` along: 8 stable passes of 8 bits."""
    for digit in range(8):
        shift = digit * 8
        flip = 128 if digit == 7 else 0  # the top digit is signed
        counts[:] = 0
        for j in range(m):
            counts[((keys[j] >> shift) & 255) ^ flip] += 1
        start = 0
        for r in range(_RADIX):
            here = counts[r]
            counts[r] = start
            start += here
        for j in range(m):
            r = ((keys[j] >> shift) & 255) ^ flip
            spare[counts[r]] = keys[j]
            spare_order[counts[r]] = order[j]
            counts[r] += 1
        keys[:m] = spare[:m]
        order[:m] = spare_order[:m]


@step
def rank(values: Any, out: Any, keys: Any, order: Any, spare: Any, spare_order: Any, counts: Any) -> None:
    """Set ``out`` to the mean rank of each value among the present ones, 0 lowest, 1 highest; ties share a rank.

    Fewer than two values have no rank. ``keys`` ... ``counts`` are work space, int64 of N (``counts`` 256).
    """
    m = 0
    numbers = keys.view(np.float64)
    for i in range(values.shape[0]):
        out[i] = math.nan
        if values[i] == values[i]:
            numbers[m] = values[i] + 0.0  # -0.0 becomes 0.0
            order[m] = i
            m += 1
    if m < 2:
        return
    for j in range(m):
        # Bits of negative floats descend as the number ascends: flip all but the sign.
        keys[j] = keys[j] ^ 0x7FFFFFFFFFFFFFFF if keys[j] < 0 else keys[j]
    _sort(keys, order, spare, spare_order, counts, m)
    first = 0
    while first < m:
        last = first
        while last + 1 < m and keys[last + 1] == keys[first]:
            last += 1
        for j in range(first, last + 1):
            out[order[j]] = 0.5 * (first + last) / (m - 1.0)
        first = last + 1


@step
def market_mean(values: Any) -> float:
    """Return the mean of the present values, NaN for fewer than two."""
    total = 0.0
    m = 0
    for x in values:
        if x == x:  # noqa: PLR0124 not NaN
            total += x
            m += 1
    return total / m if m > 1 else math.nan


@step
def market_deviation(values: Any) -> float:
    """Return the sample standard deviation of the present values, NaN for fewer than two."""
    mean = market_mean(values)
    total = 0.0
    m = 0
    for x in values:
        if x == x:  # noqa: PLR0124 not NaN
            total += (x - mean) * (x - mean)
            m += 1
    return math.sqrt(total / (m - 1.0)) if m > 1 else math.nan


@step
def sector_residual(values: Any, out: Any, codes: Any, totals: Any, members: Any) -> None:
    """Set ``out`` to each value minus the mean of its sector (itself included); NaN in a sector of one."""
    totals[:] = 0.0
    members[:] = 0
    for i in range(values.shape[0]):
        if values[i] == values[i] and codes[i] >= 0:
            totals[codes[i]] += values[i]
            members[codes[i]] += 1
    for i in range(values.shape[0]):
        if codes[i] >= 0 and members[codes[i]] > 1:
            out[i] = values[i] - totals[codes[i]] / members[codes[i]]
        else:
            out[i] = math.nan
