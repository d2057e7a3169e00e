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
    for lane in range(LANES):
        work[args[OUT], lane] = work[args[A], lane] + real * work[args[B], lane]


@step
def add(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A + ``real``."""
    for lane in range(LANES):
        work[args[OUT], lane] = work[args[A], lane] + real


@step
def multiply(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A * B."""
    for lane in range(LANES):
        work[args[OUT], lane] = work[args[A], lane] * work[args[B], lane]


@step
def divide(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = A / B; ``real`` where B is zero (NaN for absent)."""
    for lane in range(LANES):
        a = work[args[A], lane]
        b = work[args[B], lane]
        known = a == a and b == 0.0  # noqa: PLR0124 a is not NaN
        work[args[OUT], lane] = real if known else a / b


@step
def place(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = (A - B) / (C - B), where a value stands between bounds B and C; ``real`` where the bounds meet."""
    for lane in range(LANES):
        a = work[args[A], lane]
        low = work[args[B], lane]
        width = work[args[C], lane] - low
        known = a == a and width == 0.0  # noqa: PLR0124 a is not NaN
        work[args[OUT], lane] = real if known else (a - low) / width


@step
def log_of(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = ln(A / B)."""
    for lane in range(LANES):
        ratio = work[args[A], lane] / work[args[B], lane]
        work[args[OUT], lane] = math.log(ratio) if ratio > 0.0 else math.nan


@step
def logarithm(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = ln(A)."""
    for lane in range(LANES):
        a = work[args[A], lane]
        work[args[OUT], lane] = math.log(a) if a > 0.0 else math.nan


@step
def magnitude(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = |A|."""
    for lane in range(LANES):
        work[args[OUT], lane] = abs(work[args[A], lane])


@step
def fall_squared(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = min(A, 0) squared."""
    for lane in range(LANES):
        a = work[args[A], lane]
        work[args[OUT], lane] = 0.0 if a > 0.0 else a * a


@step
def root(args: Any, real: Any, work: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = square root of A; rounding below zero counts as zero."""
    for lane in range(LANES):
        a = work[args[A], lane]
        work[args[OUT], lane] = 0.0 if a < 0.0 else math.sqrt(a)
