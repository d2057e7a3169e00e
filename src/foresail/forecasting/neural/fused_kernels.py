"""Gated blocks as compiled loops over tiles of rows that stay in the processor's first caches.

A gated residual network makes some ten passes over its hidden values; as single tensor operations they wait for memory.
Here a tile of 32 rows passes through all of them before the next tile is touched: activation, dropout, product, gate,
normalisation, forward or backward. Nothing but the inputs is kept between the two: the backward pass makes the hidden
values again, and the dropout mask, which is a hash of the place in the matrix and a key.

The product is a micro-kernel in vector code: a block of 8 x 32 sums is held in registers while one loop runs over the
shared axis. Widths are multiples of 16. Functions here take plain arrays and hold no interpreter lock.

Floating-point sums may be reordered within a row (they are vector sums), never between rows or threads, and NaN stays
NaN, so that training sees a loss that is no number.
"""

# ruff: noqa: FBT001, FBT003, PLR0917 - compiled functions take everything by position
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic as jit_intrinsic
from numpy.typing import NDArray

__all__ = [
    "LANES",
    "TILE",
    "Rows",
    "elu_rows",
    "exponential",
    "gated_backward",
    "gated_forward",
    "jit_fast",
    "mix_backward",
    "mix_forward",
    "normalise_rows",
    "product",
]

Rows = NDArray[np.float32]
LANES = 16  # numbers in a vector; the compiler splits it where the processor's are shorter
TILE = 32  # rows
_WIDE = "avx512f" in binding.get_host_cpu_features()  # 32 registers of 16 numbers; without, 16 of 8
_ROWS, _VECTORS = (8, 2) if _WIDE else (4, 1)

_FLAGS = {"reassoc", "contract", "nsz", "arcp"}  # none assumes that values are finite


def jit_fast(function: Callable[..., None]) -> Any:
    """Compile a function of this folder's loops; it may reorder sums."""
    return njit(cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)(function)


def _jit_inlined(function: Callable[..., Any]) -> Any:
    return njit(nogil=True, error_model="numpy", fastmath=_FLAGS, forceinline=True)(function)


# -- the product ------------------------------------------------------------------------------------------------------


def _micro_kernel(rows: int, vectors: int, *, adds: bool) -> Any:
    """Return the code of C[rows, 16 vectors] (+)= A B with all sums in registers.

    Its arguments are addresses and strides in elements: a, its strides over rows and over the shared axis; b, its
    stride over the shared axis; c, its stride over rows; the length of the shared axis.
    """

    @jit_intrinsic  # type: ignore[untyped-decorator]
    def kernel(typing: Any, a: Any, ars: Any, aks: Any, b: Any, bs: Any, c: Any, cs: Any, k: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            a_at, a_row, a_step, b_at, b_step, c_at, c_row, length = arguments
            number, whole = ir.FloatType(), ir.IntType(64)
            vector = ir.VectorType(number, LANES)
            a_base, b_base, c_base = (builder.inttoptr(at, number.as_pointer()) for at in (a_at, b_at, c_at))
            fma_type = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, fma_type, f"llvm.fma.v{LANES}f32")

            def vector_at(base: Any, offset: Any, j: int) -> Any:
                place = builder.add(offset, ir.Constant(whole, j * LANES))
                return builder.bitcast(builder.gep(base, [place]), vector.as_pointer())

            def sum_at(i: int, j: int) -> Any:
                return vector_at(c_base, builder.mul(c_row, ir.Constant(whole, i)), j)

            places = [(i, j) for i in range(rows) for j in range(vectors)]
            sums = {place: cgutils.alloca_once(builder, vector) for place in places}
            for place in places:
                first = builder.load(sum_at(*place), align=4) if adds else ir.Constant(vector, [0.0] * LANES)
                builder.store(first, sums[place])
            with cgutils.for_range(builder, length) as loop:
                b_offset, a_offset = builder.mul(loop.index, b_step), builder.mul(loop.index, a_step)
                right = [builder.load(vector_at(b_base, b_offset, j), align=4) for j in range(vectors)]
                for i in range(rows):
                    place = builder.add(a_offset, builder.mul(a_row, ir.Constant(whole, i)))
                    left = _spread(builder, builder.load(builder.gep(a_base, [place])), vector)
                    for j in range(vectors):
                        builder.store(builder.call(fma, [left, right[j], builder.load(sums[i, j])]), sums[i, j])
            for place in places:
                builder.store(builder.load(sums[place]), sum_at(*place), align=4)
            return context.get_dummy_value()

        return types.void(*([types.int64] * 8)), code

    return kernel


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    index = ir.IntType(32)
    nothing = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(nothing, number, ir.Constant(index, 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


_SET, _ADD = (_micro_kernel(_ROWS, _VECTORS, adds=adds) for adds in (False, True))
_SET_ONE, _ADD_ONE = (_micro_kernel(_ROWS, 1, adds=adds) for adds in (False, True))
_ADD_PAIR = _micro_kernel(2, 1, adds=True)
_MR, _NC = _ROWS, _VECTORS * LANES


@jit_fast
def product(a: int, ars: int, aks: int, b: int, bs: int, c: int, m: int, n: int, k: int, adds: bool) -> None:
    """C[m, n] = A[m, k] B[k, n], or add to C; m a multiple of 8, n of 16; C and B are packed rows of n and bs."""
    for j in range(0, n - n % _NC, _NC):
        for i in range(0, m, _MR):
            if adds:
                _ADD(a + 4 * i * ars, ars, aks, b + 4 * j, bs, c + 4 * (i * n + j), n, k)
            else:
                _SET(a + 4 * i * ars, ars, aks, b + 4 * j, bs, c + 4 * (i * n + j), n, k)
    for j in range(n - n % _NC, n, 16):
        for i in range(0, m, _MR):
            if adds:
                _ADD_ONE(a + 4 * i * ars, ars, aks, b + 4 * j, bs, c + 4 * (i * n + j), n, k)
            else:
                _SET_ONE(a + 4 * i * ars, ars, aks, b + 4 * j, bs, c + 4 * (i * n + j), n, k)


@jit_fast
def _pair_sums(left: Rows, tile: Rows, sums: Rows) -> None:
    """Add left.T @ tile, (2, d), to the sums: two weighted sums over the rows of a tile."""
    d = tile.shape[1]
    for j in range(0, d, 16):
        _ADD_PAIR(left.ctypes.data, 1, 2, tile.ctypes.data + 4 * j, d, sums.ctypes.data + 4 * j, d, left.shape[0])


# -- the parts of a block on a tile -----------------------------------------------------------------------------------

_ZERO, _ONE, _HALF, _EPSILON = np.float32(0.0), np.float32(1.0), np.float32(0.5), np.float32(1e-5)
_LEAST, _MOST = np.float32(-87.0), np.float32(88.0)
_LOG2E, _LN2_HIGH, _LN2_LOW = np.float32(1.4426950408889634), np.float32(0.693359375), np.float32(-2.12194440e-4)
_C0, _C1, _C2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_C3, _C4, _C5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_G1, _G2, _G3 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_S16, _S13 = np.uint32(16), np.uint32(13)


@_jit_inlined
def exponential(x: Any) -> Any:
    """e^x within 3e-7 (Cephes' polynomial), in a form that becomes vector code."""
    x = _LEAST if x < _LEAST else x
    x = _MOST if x > _MOST else x
    n = np.floor(x * _LOG2E + _HALF)
    r = x - n * _LN2_HIGH
    r -= n * _LN2_LOW
    p = ((((_C0 * r + _C1) * r + _C2) * r + _C3) * r + _C4) * r + _C5
    power = np.int32(np.int32(np.int32(n) + _BIAS) << _MANTISSA).view(np.float32)
    return (p * (r * r) + r + _ONE) * power


@_jit_inlined
def _hash(place: Any, key: Any) -> Any:
    """A uniform 32-bit number of a place and a key (MurmurHash3's finaliser)."""
    x = np.uint32(np.uint32(place * _G1) ^ key)
    x = np.uint32(x ^ np.uint32(x >> _S16))
    x = np.uint32(x * _G2)
    x = np.uint32(x ^ np.uint32(x >> _S13))
    x = np.uint32(x * _G3)
    return np.uint32(x ^ np.uint32(x >> _S16))


@jit_fast
def _drop(tile: Rows, n: int, first: int, key: Any, least: Any, scale: Any) -> None:
    """Set to zero what the hash of its place says, and scale the rest."""
    d = tile.shape[1]
    for i in range(n):
        row, base = tile[i], np.uint32((first + i) * d)
        for j in range(d):
            kept = _hash(np.uint32(base + np.uint32(j)), key) >= least
            row[j] = row[j] * scale if kept else _ZERO


@jit_fast
def elu_rows(tile: Rows, n: int) -> None:
    """Replace the first n rows by their exponential linear units."""
    d = tile.shape[1]
    for i in range(n):
        row = tile[i]
        for j in range(d):
            z = row[j]
            row[j] = z if z > _ZERO else exponential(z) - _ONE


@jit_fast
def _lines(x: Rows, v: int, r0: int, n: int, slope: Rows, start: Rows, tile: Rows) -> None:
    """Let tile be x slope + start: what a linear layer makes of the embedding of a number."""
    d = tile.shape[1]
    for i in range(n):
        row, value = tile[i], x[r0 + i, v]
        for j in range(d):
            row[j] = value * slope[j] + start[j]


@jit_fast
def normalise_rows(both: Rows, bias: Rows, z: Rows, n: int, scale: Rows) -> None:
    """Normalise z + sigmoid(left) right; left becomes its sigmoid, scale one over the deviation of each row."""
    d = z.shape[1]
    share = np.float32(1.0 / d)
    left_bias, right_bias = bias[:d], bias[d:]
    for i in range(n):
        left, right, row = both[i, :d], both[i, d:], z[i]
        for j in range(d):
            left[j] = _ONE / (_ONE + exponential(-(left[j] + left_bias[j])))
        for j in range(d):
            right[j] += right_bias[j]
        total = _ZERO
        for j in range(d):
            value = row[j] + left[j] * right[j]
            row[j] = value
            total += value
        mean, square = total * share, _ZERO
        for j in range(d):
            value = row[j] - mean
            row[j] = value
            square += value * value
        rate = _ONE / np.sqrt(square * share + _EPSILON)
        scale[i] = rate
        for j in range(d):
            row[j] *= rate


@jit_fast
def _gate_back(both: Rows, z: Rows, t: Rows, n: int, scale: Rows) -> None:
    """From the slope by the normalised rows (t): z becomes the slope by the sum, both the slope by the product."""
    d = z.shape[1]
    share = np.float32(1.0 / d)
    for i in range(n):
        left, right, row, given = both[i, :d], both[i, d:], z[i], t[i]
        flat, along = _ZERO, _ZERO
        for j in range(d):
            flat += given[j]
            along += given[j] * row[j]
        flat, along, rate = flat * share, along * share, scale[i]
        for j in range(d):
            row[j] = rate * (given[j] - flat - row[j] * along)
        for j in range(d):
            by_right = row[j] * left[j]
            left[j] = by_right * right[j] * (_ONE - left[j])
            right[j] = by_right


@jit_fast
def _elu_back(hidden: Rows, slope: Rows, n: int, scale: Any, drops: bool) -> None:
    """Turn the slope by the dropped ELU values into that by what went into the ELU.

    A dropped value is exactly 0. Of a value h / scale below 0 the ELU's slope is 1 + h / scale, so no exponential is
    needed.
    """
    d = hidden.shape[1]
    for i in range(n):
        value, row = hidden[i], slope[i]
        for j in range(d):
            h = value[j]
            rate = scale if h > _ZERO else scale + h
            row[j] *= rate if (h != _ZERO or not drops) else _ZERO


# -- one gated residual network a variable, and their weighted sum ----------------------------------------------------


@jit_fast
def _mix_hidden(x: Rows, v: int, r0: int, n: int, line: Rows, key: Any, least: Any, scale: Any, tile: Rows) -> None:
    _lines(x, v, r0, n, line[0], line[1], tile)
    elu_rows(tile, n)
    if least > 0:
        _drop(tile, n, r0, key, least, scale)


@jit_fast
def mix_forward(
    x: Rows, weights: Rows, lines: Rows, embeds: Rows, merged: Rows, bias: Rows, gain: Rows,
    keys: Any, least: Any, scale: Any, begin: int, end: int, out: Rows,
) -> None:  # fmt: skip
    """Write rows begin to end of the weighted sum of the variables' networks, without their shifts.

    Parameters
    ----------
    x, weights : (R, V)
    lines, embeds : (V, 2, d) slope and start of the hidden values, of the embedding
    merged, bias : (V, d, 2 d) and (V, 2 d)
    gain : (V, d)
    keys : (V,) uint32 of the dropout; least : uint32, values with a smaller hash are dropped; scale : of the others
    out : (R, d)
    """
    d = out.shape[1]
    hidden, both = np.zeros((TILE, d), np.float32), np.zeros((TILE, 2 * d), np.float32)
    z, rate = np.zeros((TILE, d), np.float32), np.zeros(TILE, np.float32)
    for r0 in range(begin, end, TILE):
        n = min(TILE, end - r0)
        out[r0 : r0 + n] = _ZERO
        for v in range(x.shape[1]):
            _mix_hidden(x, v, r0, n, lines[v], keys[v], least, scale, hidden)
            product(hidden.ctypes.data, d, 1, merged[v].ctypes.data, 2 * d, both.ctypes.data, TILE, 2 * d, d, False)
            _lines(x, v, r0, n, embeds[v, 0], embeds[v, 1], z)
            normalise_rows(both, bias[v], z, n, rate)
            own = gain[v]
            for i in range(n):
                row, told, weight = z[i], out[r0 + i], weights[r0 + i, v]
                for j in range(d):
                    told[j] += weight * row[j] * own[j]


@jit_fast
def mix_backward(
    x: Rows, weights: Rows, lines: Rows, embeds: Rows, merged: Rows, turned: Rows, bias: Rows, gain: Rows,
    keys: Any, least: Any, scale: Any, v: int, given: Rows,
    to_x: Rows, to_weights: Rows, to_lines: Rows, to_embeds: Rows, to_merged: Rows, to_bias: Rows, to_gain: Rows,
) -> None:  # fmt: skip
    """Write the slopes of variable v. ``turned`` is ``merged`` with its last axes exchanged; to_x and to_weights are
    (V, R), to_x of no size where nobody asks; the others have the shapes of their values and start at 0.
    """
    r, d = given.shape
    hidden, both = np.zeros((TILE, d), np.float32), np.zeros((TILE, 2 * d), np.float32)
    z, t = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32)
    rate, left = np.zeros(TILE, np.float32), np.zeros((TILE, 2), np.float32)
    own, to_own, by_bias = gain[v], to_gain[v], to_bias[v]
    for r0 in range(0, r, TILE):
        n = min(TILE, r - r0)
        _mix_hidden(x, v, r0, n, lines[v], keys[v], least, scale, hidden)
        product(hidden.ctypes.data, d, 1, merged[v].ctypes.data, 2 * d, both.ctypes.data, TILE, 2 * d, d, False)
        _lines(x, v, r0, n, embeds[v, 0], embeds[v, 1], z)
        normalise_rows(both, bias[v], z, n, rate)
        for i in range(TILE):
            left[i, 0] = x[r0 + i, v] if i < n else _ZERO
            left[i, 1] = _ONE if i < n else _ZERO
        for i in range(n):
            row, above, asked, weight = z[i], given[r0 + i], t[i], weights[r0 + i, v]
            total = _ZERO
            for j in range(d):
                asked[j] = above[j] * own[j]
                total += asked[j] * row[j]
            to_weights[v, r0 + i] = total
            for j in range(d):
                asked[j] *= weight
            for j in range(d):
                to_own[j] += weight * above[j] * row[j]
        _gate_back(both, z, t, n, rate)
        both[n:] = _ZERO
        _pair_sums(left, z, to_embeds[v])
        _add_rows(both, n, by_bias)
        if to_x.size:
            _along(z, n, embeds[v, 0], r0, to_x[v])
        product(hidden.ctypes.data, 1, d, both.ctypes.data, 2 * d, to_merged[v].ctypes.data, d, 2 * d, TILE, True)
        product(both.ctypes.data, 2 * d, 1, turned[v].ctypes.data, d, z.ctypes.data, TILE, d, 2 * d, False)
        _elu_back(hidden, z, n, scale, least > 0)
        _pair_sums(left, z, to_lines[v])
        if to_x.size:
            _along(z, n, lines[v, 0], r0, to_x[v])


@jit_fast
def _add_rows(tile: Rows, n: int, sums: Rows) -> None:
    for i in range(n):
        row = tile[i]
        for j in range(sums.shape[0]):
            sums[j] += row[j]


@jit_fast
def _along(tile: Rows, n: int, direction: Rows, r0: int, sums: Rows) -> None:
    for i in range(n):
        row, total = tile[i], _ZERO
        for j in range(direction.shape[0]):
            total += row[j] * direction[j]
        sums[r0 + i] += total


# -- one gated block of rows ------------------------------------------------------------------------------------------


@jit_fast
def _gated_tile(
    x: Rows, skip: Rows, merged: Rows, bias: Rows, key: Any, least: Any, scale: Any, elu: bool, r0: int, n: int,
    hidden: Rows, both: Rows, z: Rows, rate: Rows,
) -> None:  # fmt: skip
    d = hidden.shape[1]
    hidden[:n] = x[r0 : r0 + n]
    z[:n] = skip[r0 : r0 + n]
    if elu:
        elu_rows(hidden, n)
    if least > 0:
        _drop(hidden, n, r0, key, least, scale)
    product(hidden.ctypes.data, d, 1, merged.ctypes.data, 2 * d, both.ctypes.data, TILE, 2 * d, d, False)
    normalise_rows(both, bias, z, n, rate)


@jit_fast
def gated_forward(
    x: Rows, skip: Rows, merged: Rows, bias: Rows, gain: Rows, shift: Rows,
    key: Any, least: Any, scale: Any, elu: bool, begin: int, end: int, out: Rows,
) -> None:  # fmt: skip
    """Write rows begin to end of gain normalised(skip + gate(dropout(x or ELU(x)) merged + bias)) + shift."""
    d = out.shape[1]
    hidden, both = np.zeros((TILE, d), np.float32), np.zeros((TILE, 2 * d), np.float32)
    z, rate = np.zeros((TILE, d), np.float32), np.zeros(TILE, np.float32)
    for r0 in range(begin, end, TILE):
        n = min(TILE, end - r0)
        _gated_tile(x, skip, merged, bias, key, least, scale, elu, r0, n, hidden, both, z, rate)
        for i in range(n):
            row, told = z[i], out[r0 + i]
            for j in range(d):
                told[j] = gain[j] * row[j] + shift[j]


@jit_fast
def gated_backward(
    x: Rows, skip: Rows, merged: Rows, turned: Rows, bias: Rows, gain: Rows,
    key: Any, least: Any, scale: Any, elu: bool, begin: int, end: int, given: Rows,
    to_x: Rows, to_skip: Rows, to_merged: Rows, to_bias: Rows, to_gain: Rows, to_shift: Rows,
) -> None:  # fmt: skip
    """Write the slopes of rows begin to end; those of the parameters are of these rows alone and start at 0."""
    d = given.shape[1]
    hidden, both = np.zeros((TILE, d), np.float32), np.zeros((TILE, 2 * d), np.float32)
    z, t, rate = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32), np.zeros(TILE, np.float32)
    for r0 in range(begin, end, TILE):
        n = min(TILE, end - r0)
        _gated_tile(x, skip, merged, bias, key, least, scale, elu, r0, n, hidden, both, z, rate)
        for i in range(n):
            row, above, asked = z[i], given[r0 + i], t[i]
            for j in range(d):
                asked[j] = above[j] * gain[j]
            for j in range(d):
                to_gain[j] += above[j] * row[j]
            for j in range(d):
                to_shift[j] += above[j]
        _gate_back(both, z, t, n, rate)
        both[n:] = _ZERO
        to_skip[r0 : r0 + n] = z[:n]
        _add_rows(both, n, to_bias)
        product(hidden.ctypes.data, 1, d, both.ctypes.data, 2 * d, to_merged.ctypes.data, d, 2 * d, TILE, True)
        product(both.ctypes.data, 2 * d, 1, turned.ctypes.data, d, z.ctypes.data, TILE, d, 2 * d, False)
        if elu:
            _elu_back(hidden, z, n, scale, least > 0)
        elif least > 0:
            _drop(z, n, r0, key, least, scale)
        to_x[r0 : r0 + n] = z[:n]
