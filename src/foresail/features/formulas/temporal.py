"""Direction of a frame and the agreement of several (MTF-01, MTF-02)."""

from __future__ import annotations

from foresail.features.expressions import CLOSE, Ref, given, node
from foresail.features.formulas.common import average, divide, subtract

__all__ = ["agreement", "direction"]


def direction(fast: int, slow: int) -> Ref:
    """Sign of EMA(fast) - EMA(slow): -1, 0 or 1."""
    apart = subtract(average(CLOSE, fast, "ema"), average(CLOSE, slow, "ema"))
    return divide(apart, node("magnitude", apart).out, 0.0)


def agreement() -> Ref:
    """Sum of the directions of a style's frames; the frames feed them in (``features.frames``)."""
    first, second, third = (given(f"mtf_direction_{i}") for i in (1, 2, 3))
    both = node("combine", first, second, real=1.0).out
    return node("on_bar", node("combine", both, third, real=1.0).out).out
