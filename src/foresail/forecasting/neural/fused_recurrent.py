"""A long short-term memory over overlapping windows: what a step's input adds to the gates is computed once a segment.

The gates of a step are the sum of a product with its input and one with the state before. The first depends on the
step alone, so the windows of a segment share it; what is left for each window is the product with the state, made by
compiled loops on tiles of windows whose state stays in the processor's first cache. Same function, same parameters, as
PyTorch's layer; gates in its order: input, forget, cell, output.
"""

# ruff: noqa: FBT003, PLR0917 - compiled functions take everything by position
from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foresail.forecasting.neural.fused import perform, usable
from foresail.forecasting.neural.fused_kernels import TILE, Rows, exponential, jit_fast, product

__all__ = ["activate", "fused_lstm", "lstm_usable"]

_ZERO, _ONE, _TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
_BLOCKS = 8  # of tiles with sums of their own, whatever the number of threads


def lstm_usable(windows: int, gates: Tensor) -> bool:
    """Return whether the compiled form may stand in for PyTorch's layer; ``gates`` (S, P, 4 d)."""
    s, p, wide = gates.shape
    return windows <= TILE and usable(s * p, wide // 4, 0.0, gates)


def fused_lstm(gates: Tensor, recurrent: Tensor, state: tuple[Tensor, Tensor], cut: tuple[int, int, int]) -> Tensor:
    """Return (S K, C + 1, d): the hidden values of each window, and behind them its last cell.

    Parameters
    ----------
    gates : (S, P, 4 d) what inputs and biases add to the gates
    recurrent : (4 d, d) weights of the state before
    state : hidden and cell that the windows of a segment begin with, (S, d) each
    cut : windows of a segment, steps of a window, steps between windows
    """
    told: Tensor = _Lstm.apply(gates, recurrent.t(), *state, cut)  # type: ignore[no-untyped-call]
    return told


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        held, (k, c, stride) = tuple(part.contiguous() for part in given[:4]), given[4]
        s, d = held[2].shape
        keeps = any(ctx.needs_input_grad)
        acts = torch.empty((s * k, c, 6 * d) if keeps else (0, 0, 0))
        out = torch.empty(s * k, c + 1, d)
        arrays = [part.detach().numpy() for part in (*held, out, acts)]
        each = TILE // k
        perform([partial(_forward, *arrays, k, stride, i, min(i + each, s)) for i in range(0, s, each)])
        ctx.save_for_backward(*held, out, acts)
        ctx.cut = (k, stride)
        return out

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        held: tuple[Tensor, ...] = ctx.saved_tensors
        gates, recurrent, hidden, cell = held[:4]
        s, each = hidden.shape[0], TILE // ctx.cut[0]
        span = each * max(1, -(-s // (each * _BLOCKS)))
        blocks = [(i, min(i + span, s)) for i in range(0, s, span)]
        turned = np.ascontiguousarray(recurrent.detach().numpy().T)
        values = [part.detach().numpy() for part in (held[2], held[3], held[4], held[5])]
        to_gates, to_hidden, to_cell = torch.zeros_like(gates), torch.empty_like(hidden), torch.empty_like(cell)
        to_recurrent = torch.zeros(len(blocks), *recurrent.shape)
        outs = (to_gates.numpy(), to_hidden.numpy(), to_cell.numpy())
        given = above[0].contiguous().numpy()
        perform(
            [
                partial(_backward, turned, *values, given, *outs, to_recurrent[i].numpy(), *ctx.cut, each, *block)
                for i, block in enumerate(blocks)
            ]
        )
        return to_gates, to_recurrent.sum(dim=0), to_hidden, to_cell, None


@jit_fast
def activate(row: Rows, add: Rows, d: int) -> None:
    """Turn sums into gates: logistic for input, forget and output, tanh for the cell."""
    for j in range(4 * d):
        row[j] += add[j]
    cell = row[2 * d : 3 * d]
    for j in range(d):
        cell[j] *= _TWO  # tanh x = 2 logistic(2 x) - 1
    for j in range(4 * d):
        row[j] = _ONE / (_ONE + exponential(-row[j]))
    for j in range(d):
        cell[j] = _TWO * cell[j] - _ONE


@jit_fast
def _forward(
    gates: Rows, recurrent: Rows, first: Rows, memory: Rows, out: Rows, acts: Rows,
    k: int, stride: int, begin: int, end: int,
) -> None:  # fmt: skip
    """Run the windows of segments begin to end, at most a tile; acts (S K, C, 6 d) keeps gates, tanh of cell, cell."""
    d, c = first.shape[1], out.shape[1] - 1
    n = (end - begin) * k
    hidden, cell = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32)
    sums = np.zeros((TILE, 4 * d), np.float32)
    for i in range(n):
        hidden[i] = first[begin + i // k]
        cell[i] = memory[begin + i // k]
    for t in range(c):
        product(hidden.ctypes.data, d, 1, recurrent.ctypes.data, 4 * d, sums.ctypes.data, TILE, 4 * d, d, False)
        for i in range(n):
            row = sums[i]
            activate(row, gates[begin + i // k, (i % k) * stride + t], d)
            enter, keep, new, leave = row[:d], row[d : 2 * d], row[2 * d : 3 * d], row[3 * d :]
            held, told = cell[i], hidden[i]
            for j in range(d):
                held[j] = keep[j] * held[j] + enter[j] * new[j]
            for j in range(d):
                told[j] = _TWO / (_ONE + exponential(-_TWO * held[j])) - _ONE
            if acts.size:
                kept = acts[begin * k + i, t]
                kept[: 4 * d] = row
                kept[4 * d : 5 * d] = told
                kept[5 * d :] = held
            for j in range(d):
                told[j] *= leave[j]
            out[begin * k + i, t] = told
    for i in range(n):
        out[begin * k + i, c] = cell[i]


@jit_fast
def _backward(
    turned: Rows, first: Rows, memory: Rows, out: Rows, acts: Rows, given: Rows,
    to_gates: Rows, to_first: Rows, to_memory: Rows, to_recurrent: Rows,
    k: int, stride: int, each: int, begin: int, end: int,
) -> None:  # fmt: skip
    """Write the slopes of segments begin to end; to_recurrent is of these segments alone and starts at 0."""
    for at in range(begin, end, each):
        _backward_tile(
            turned, first, memory, out, acts, given, to_gates, to_first, to_memory, to_recurrent,
            k, stride, at, min(at + each, end),
        )  # fmt: skip


@jit_fast
def _backward_tile(
    turned: Rows, first: Rows, memory: Rows, out: Rows, acts: Rows, given: Rows,
    to_gates: Rows, to_first: Rows, to_memory: Rows, to_recurrent: Rows,
    k: int, stride: int, begin: int, end: int,
) -> None:  # fmt: skip
    d, c = first.shape[1], out.shape[1] - 1
    n, row0 = (end - begin) * k, begin * k
    by_hidden, by_cell = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32)
    before, slopes = np.zeros((TILE, d), np.float32), np.zeros((TILE, 4 * d), np.float32)  # rows from n on stay 0
    for i in range(n):
        by_cell[i] = given[row0 + i, c]
    for t in range(c - 1, -1, -1):
        for i in range(n):
            act, slope, owner = acts[row0 + i, t], slopes[i], begin + i // k
            old = memory[owner] if t == 0 else acts[row0 + i, t - 1, 5 * d :]
            before[i] = first[owner] if t == 0 else out[row0 + i, t - 1]
            _cell_back(act, old, given[row0 + i, t], by_hidden[i], by_cell[i], slope)
            to_row = to_gates[owner, (i % k) * stride + t]
            for j in range(4 * d):
                to_row[j] += slope[j]
        product(before.ctypes.data, 1, d, slopes.ctypes.data, 4 * d, to_recurrent.ctypes.data, d, 4 * d, TILE, True)
        product(slopes.ctypes.data, 4 * d, 1, turned.ctypes.data, d, by_hidden.ctypes.data, TILE, d, 4 * d, False)
    to_first[begin:end] = _ZERO
    to_memory[begin:end] = _ZERO
    for i in range(n):
        hidden, cell = to_first[begin + i // k], to_memory[begin + i // k]
        for j in range(d):
            hidden[j] += by_hidden[i, j]
        for j in range(d):
            cell[j] += by_cell[i, j]


@jit_fast
def _cell_back(act: Rows, old: Rows, above: Rows, by_hidden: Rows, by_cell: Rows, slope: Rows) -> None:
    """From slopes by a step's hidden value and cell to those by its gates' sums (slope) and by the cell before."""
    d = old.shape[0]
    enter, keep, new, leave = act[:d], act[d : 2 * d], act[2 * d : 3 * d], act[3 * d : 4 * d]
    curve = act[4 * d : 5 * d]
    for j in range(d):
        by_hidden[j] += above[j]
    for j in range(d):
        by_cell[j] += by_hidden[j] * leave[j] * (_ONE - curve[j] * curve[j])
    to_enter, to_keep, to_new, to_leave = slope[:d], slope[d : 2 * d], slope[2 * d : 3 * d], slope[3 * d :]
    for j in range(d):
        to_enter[j] = by_cell[j] * new[j] * enter[j] * (_ONE - enter[j])
    for j in range(d):
        to_keep[j] = by_cell[j] * old[j] * keep[j] * (_ONE - keep[j])
    for j in range(d):
        to_new[j] = by_cell[j] * enter[j] * (_ONE - new[j] * new[j])
    for j in range(d):
        to_leave[j] = by_hidden[j] * curve[j] * leave[j] * (_ONE - leave[j])
    for j in range(d):
        by_cell[j] *= keep[j]
