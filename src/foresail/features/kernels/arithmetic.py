"""Spans without memory: a row from one, two or three rows of the same bar. NaN in, NaN out."""

# ruff: noqa: PLR0917 one signature for all spans, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import LANES, OUT, A, B, C, step

__all__ = ["add", "combine", "divide", "fall_squared", "log_of", "logarithm", "magnitude", "multiply", "place", "root"]


@step
def combine(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A + ``real`` * B."""
    a, b, out = args[A], args[B], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            work[out, bar, lane] = work[a, bar, lane] + real * work[b, bar, lane]


@step
def add(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A + ``real``."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            work[out, bar, lane] = work[a, bar, lane] + real


@step
def multiply(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A * B."""
    a, b, out = args[A], args[B], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            work[out, bar, lane] = work[a, bar, lane] * work[b, bar, lane]


@step
def divide(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = A / B; ``real`` where B is zero (NaN for absent)."""
    a, b, out = args[A], args[B], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            y = work[b, bar, lane]
            quotient = x / y
            work[out, bar, lane] = real if (x == x) & (y == 0.0) else quotient  # noqa: PLR0124 x is not NaN


@step
def place(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = (A - B) / (C - B), where a value stands between bounds B and C; ``real`` where the bounds meet."""
    a, bottom, top, out = args[A], args[B], args[C], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            low = work[bottom, bar, lane]
            width = work[top, bar, lane] - low
            where = (x - low) / width
            work[out, bar, lane] = real if (x == x) & (width == 0.0) else where  # noqa: PLR0124 x is not NaN


@step
def log_of(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = ln(A / B)."""
    a, b, out = args[A], args[B], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            ratio = work[a, bar, lane] / work[b, bar, lane]
            work[out, bar, lane] = math.log(ratio) if ratio > 0.0 else math.nan


@step
def logarithm(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = ln(A)."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            work[out, bar, lane] = math.log(x) if x > 0.0 else math.nan


@step
def magnitude(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = |A|."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            work[out, bar, lane] = abs(work[a, bar, lane])


@step
def fall_squared(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = min(A, 0) squared."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            square = x * x
            work[out, bar, lane] = 0.0 if x > 0.0 else square


@step
def root(
    args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any, facts: Any, length: Any, size: Any
) -> None:
    """OUT = square root of A; rounding below zero counts as zero."""
    a, out = args[A], args[OUT]
    for bar in range(length):
        for lane in range(LANES):
            x = work[a, bar, lane]
            kept = 0.0 if x < 0.0 else x
            work[out, bar, lane] = math.sqrt(kept)
