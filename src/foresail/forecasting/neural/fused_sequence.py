"""From selected steps to enriched ones, for serving: recurrent part, gated skip and enrichment in one pass.

Thirty-two instruments go from the first step of their windows to the last. At each step their rows pass through all
three parts while they are in the processor's first cache; operation by operation, every row would be written to memory
and read back five times. What a step's input adds to the gates is given, since it never changes. Same function, same
parameters, as the network's layers, within rounding.
"""

# ruff: noqa: FBT003 - compiled functions take everything by position
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from foresail.forecasting.neural.blocks import GatedResidual, GatedSkip
from foresail.forecasting.neural.fused_kernels import (
    TILE,
    Rows,
    elu_rows,
    exponential,
    jit_fast,
    normalise_rows,
    product,
)
from foresail.forecasting.neural.fused_recurrent import activate

__all__ = ["Layers", "Steps", "enriched_steps"]

_ONE, _TWO = np.float32(1.0), np.float32(2.0)


class _Arrays(NamedTuple):
    """The parameters as the compiled pass reads them: columns of weights are outputs."""

    encoder: Rows  # (d, 4 d) of the state before
    decoder: Rows
    skip: Rows  # (d, 2 d) of the gate, and so below
    skip_bias: Rows
    skip_gain: Rows
    skip_shift: Rows
    hidden: Rows  # (d, d) of the enrichment's first layer
    gate: Rows
    gate_bias: Rows
    gain: Rows
    shift: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What a pass reads: N instruments, a window of C steps and H steps ahead.

    Attributes
    ----------
    past, past_gates : (N, L, d) selected steps and (N, L, 4 d) what they and the biases add to the encoder's gates
    first, length : the window is ``length`` steps from ``first`` on
    ahead, ahead_gates : (N, H, d) and (N, H, 4 d) of the steps to come and the decoder's gates
    hidden, cell : (N, d) state before the window
    context : (N, d) what the static context and the bias add to the enrichment's first layer
    """

    past: Tensor
    past_gates: Tensor
    first: int
    length: int
    ahead: Tensor
    ahead_gates: Tensor
    hidden: Tensor
    cell: Tensor
    context: Tensor


class Layers:
    """The parameters of recurrent part (one layer), gated skip and enrichment, read once.

    Parameters
    ----------
    encoder, decoder : of one layer
    """

    def __init__(self, encoder: nn.LSTM, decoder: nn.LSTM, skip: GatedSkip, enrichment: GatedResidual) -> None:
        weight, bias = enrichment.merged()
        given = (
            encoder.all_weights[0][1].t(), decoder.all_weights[0][1].t(),
            skip.glu.weight.t(), skip.glu.bias, skip.norm.weight, skip.norm.bias,
            enrichment.first.weight.t(), weight.t(), bias, enrichment.norm.weight, enrichment.norm.bias,
        )  # fmt: skip
        self.arrays = _Arrays(*(np.ascontiguousarray(x.detach().numpy()) for x in given))


def enriched_steps(steps: Steps, layers: Layers) -> tuple[Tensor, Tensor]:
    """Return enriched steps (N, C + H, d), and those ahead as they were before enrichment, (N, H, d)."""
    n, h, d = steps.ahead.shape
    out, recurrent = torch.empty(n, steps.length + h, d), torch.empty(n, h, d)
    read = (steps.past, steps.past_gates, steps.ahead, steps.ahead_gates, steps.hidden, steps.cell, steps.context)
    arrays = tuple(x.numpy() for x in read)
    for begin in range(0, n, TILE):
        span = (steps.first, begin, min(begin + TILE, n))
        _pass(arrays, layers.arrays, span, recurrent.numpy(), out.numpy())
    return out, recurrent


@jit_fast
def _pass(read: tuple[Rows, ...], layers: _Arrays, span: tuple[int, int, int], recurrent: Rows, out: Rows) -> None:
    """Take the instruments of a tile through all steps."""
    past, past_gates, ahead, ahead_gates, first_hidden, first_cell, context = read
    first, begin, end = span
    n, d, h = end - begin, out.shape[2], ahead.shape[1]
    c = out.shape[1] - h
    hidden, cell = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32)
    sums, both = np.zeros((TILE, 4 * d), np.float32), np.zeros((TILE, 2 * d), np.float32)
    z, t, rate = np.zeros((TILE, d), np.float32), np.zeros((TILE, d), np.float32), np.zeros(TILE, np.float32)
    hidden[:n] = first_hidden[begin:end]
    cell[:n] = first_cell[begin:end]
    for k in range(c + h):
        is_past = k < c
        place = first + k if is_past else k - c
        by_state = layers.encoder if is_past else layers.decoder
        product(hidden.ctypes.data, d, 1, by_state.ctypes.data, 4 * d, sums.ctypes.data, TILE, 4 * d, d, False)
        for i in range(n):
            add = past_gates[begin + i, place] if is_past else ahead_gates[begin + i, place]
            step = past[begin + i, place] if is_past else ahead[begin + i, place]
            _advance(sums[i], add, cell[i], hidden[i])
            row = z[i]
            for j in range(d):
                row[j] = step[j]
        product(hidden.ctypes.data, d, 1, layers.skip.ctypes.data, 2 * d, both.ctypes.data, TILE, 2 * d, d, False)
        normalise_rows(both, layers.skip_bias, z, n, rate)
        _stretch(z, n, layers.skip_gain, layers.skip_shift)
        product(z.ctypes.data, d, 1, layers.hidden.ctypes.data, d, t.ctypes.data, TILE, d, d, False)
        for i in range(n):
            row, add = t[i], context[begin + i]
            for j in range(d):
                row[j] += add[j]
            if not is_past:
                recurrent[begin + i, place] = z[i]
        elu_rows(t, n)
        product(t.ctypes.data, d, 1, layers.gate.ctypes.data, 2 * d, both.ctypes.data, TILE, 2 * d, d, False)
        normalise_rows(both, layers.gate_bias, z, n, rate)
        _stretch(z, n, layers.gain, layers.shift)
        for i in range(n):
            row, told = z[i], out[begin + i, k]
            for j in range(d):
                told[j] = row[j]


@jit_fast
def _advance(row: Rows, add: Rows, cell: Rows, hidden: Rows) -> None:
    """Take the state of one instrument a step on; ``row`` has the products with the state before."""
    d = cell.shape[0]
    activate(row, add, d)
    enter, keep, new, leave = row[:d], row[d : 2 * d], row[2 * d : 3 * d], row[3 * d :]
    for j in range(d):
        cell[j] = keep[j] * cell[j] + enter[j] * new[j]
    for j in range(d):
        hidden[j] = (_TWO / (_ONE + exponential(-_TWO * cell[j])) - _ONE) * leave[j]


@jit_fast
def _stretch(tile: Rows, n: int, gain: Rows, shift: Rows) -> None:
    for i in range(n):
        row = tile[i]
        for j in range(gain.shape[0]):
            row[j] = row[j] * gain[j] + shift[j]
