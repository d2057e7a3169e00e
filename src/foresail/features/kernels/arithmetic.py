"""Steps without memory: a row from one, two or three rows of the same bar. NaN in, NaN out."""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import LANES, OUT, A, B, C, step

__all__ = ["add", "combine", "divide", "fall_squared", "log_of", "logarithm", "magnitude", "multiply", "place", "root"]


@step
def combine(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A + ``real`` * B."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    for lane in range(LANES):
        out[lane] = a[lane] + real * b[lane]


@step
def add(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A + ``real``."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        out[lane] = a[lane] + real


@step
def multiply(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A * B."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    for lane in range(LANES):
        out[lane] = a[lane] * b[lane]


@step
def divide(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A / B; ``real`` where B is zero (NaN for absent)."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        y = b[lane]
        quotient = x / y
        out[lane] = real if (x == x) & (y == 0.0) else quotient  # noqa: PLR0124 x is not NaN


@step
def place(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = (A - B) / (C - B), where a value stands between bounds B and C; ``real`` where the bounds meet."""
    a = work[args[A]]
    bottom = work[args[B]]
    top = work[args[C]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        low = bottom[lane]
        width = top[lane] - low
        where = (x - low) / width
        out[lane] = real if (x == x) & (width == 0.0) else where  # noqa: PLR0124 x is not NaN


@step
def log_of(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = ln(A / B)."""
    a = work[args[A]]
    b = work[args[B]]
    out = work[args[OUT]]
    for lane in range(LANES):
        ratio = a[lane] / b[lane]
        out[lane] = math.log(ratio) if ratio > 0.0 else math.nan


@step
def logarithm(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = ln(A)."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        out[lane] = math.log(x) if x > 0.0 else math.nan


@step
def magnitude(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = |A|."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        out[lane] = abs(a[lane])


@step
def fall_squared(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = min(A, 0) squared."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        square = x * x
        out[lane] = 0.0 if x > 0.0 else square


@step
def root(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = square root of A; rounding below zero counts as zero."""
    a = work[args[A]]
    out = work[args[OUT]]
    for lane in range(LANES):
        x = a[lane]
        kept = 0.0 if x < 0.0 else x
        out[lane] = math.sqrt(kept)
