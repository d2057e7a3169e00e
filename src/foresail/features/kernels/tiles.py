"""Tiles of eight by eight numbers: turn rows of lanes into rows of outputs, and write past the caches.

The loops hold a row of lanes per output; a matrix wants a row of outputs per lane. One tile takes eight loads, 24
shuffles and eight stores instead of 64 of each. ``stream`` writes a cache line that nothing will read soon, without
reading it first. Numba has no words for either, so they are written for its compiler as vectors of eight; on a machine
with shorter vectors it splits them.
"""

# ruff: noqa: PLR0917 a word of the compiler takes numbers, no objects

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

__all__ = ["TILE", "fence", "stream", "turn"]

TILE = 8
_VECTOR = ir.VectorType(ir.DoubleType(), TILE)
_INFINITE = float("inf")


def _word(generator: Any) -> Any:
    """Return what Numba calls an intrinsic: a function that writes the instructions of a call."""
    return intrinsic(generator)


def _at(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _VECTOR.as_pointer())


def _offset(builder: Any, base: Any, stride: Any, steps: int) -> Any:
    return builder.add(base, builder.mul(stride, ir.Constant(stride.type, steps)))


def _swap(builder: Any, x: Any, y: Any, width: int) -> tuple[Any, Any]:
    """Exchange the upper halves of groups of ``width`` in x with the lower ones in y."""
    low = [TILE + k - width if k & width else k for k in range(TILE)]
    high = [TILE + k if k & width else k + width for k in range(TILE)]
    masks = [ir.Constant(ir.VectorType(ir.IntType(32), TILE), mask) for mask in (low, high)]
    return builder.shuffle_vector(x, y, masks[0]), builder.shuffle_vector(x, y, masks[1])


@_word
def turn(typing_context: Any, source: Any, rows: Any, pitch: Any, target: Any, stride: Any) -> Any:
    """Write eight lanes of eight rows as eight outputs of eight lanes; what is infinite becomes NaN.

    Parameters
    ----------
    source : address of the first lane of row 0; pitch : bytes from a row to the next
    rows : address of eight row numbers
    target : address of the first output of the first lane; stride : bytes from a lane to the next
    """
    signature = types.void(types.intp, types.intp, types.intp, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        source, rows, pitch, target, stride = arguments
        most = ir.Constant(_VECTOR, [_INFINITE] * TILE)
        least = ir.Constant(_VECTOR, [-_INFINITE] * TILE)
        absent = ir.Constant(_VECTOR, [float("nan")] * TILE)
        tile = []
        for k in range(TILE):
            place = builder.inttoptr(_offset(builder, rows, ir.Constant(rows.type, 8), k), pitch.type.as_pointer())
            row = builder.load(place, align=8)
            x = builder.load(_at(builder, builder.add(source, builder.mul(row, pitch))), align=8)
            finite = builder.and_(builder.fcmp_ordered("<", x, most), builder.fcmp_ordered(">", x, least))
            tile.append(builder.select(finite, x, absent))
        for width in (1, 2, 4):
            for k in range(TILE):
                if not k & width:
                    tile[k], tile[k + width] = _swap(builder, tile[k], tile[k + width], width)
        for k in range(TILE):
            builder.store(tile[k], _at(builder, _offset(builder, target, stride, k)), align=8)

    return signature, generate


@_word
def stream(typing_context: Any, source: Any, target: Any) -> Any:
    """Copy 64 bytes to an address on a cache line, past the caches."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        line = builder.load(_at(builder, arguments[0]), align=8)
        stored = builder.store(line, _at(builder, arguments[1]), align=64)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))

    return types.void(types.intp, types.intp), generate


@_word
def fence(typing_context: Any) -> Any:
    """Wait until all that was streamed is in memory for every thread to see."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        builder.fence("seq_cst")

    return types.void(), generate
