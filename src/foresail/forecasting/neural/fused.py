"""Gated blocks of a network as one step of the gradient tape each, computed by compiled loops on the processor.

``fused_mix`` and ``fused_gate`` give what the tensor operations of ``RealSelection`` and of the gated blocks give,
within rounding; dropout draws its masks from a hash whose keys come from PyTorch's generator, so a seed fixes them and
a resumed run repeats them. Results do not depend on the number of threads. Where ``usable`` says no (an accelerator,
another type than float32, a width that is no multiple of 16) the blocks take their tensor form.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foresail.forecasting.neural.fused_kernels import (
    LANES,
    TILE,
    gated_backward,
    gated_forward,
    mix_backward,
    mix_forward,
)

__all__ = ["fused_gate", "fused_mix", "perform", "tensor_form", "usable"]

_BLOCKS = 8  # of rows with sums of their own, whatever the number of threads
_LEAST_ROWS = TILE  # below, a call costs more than it saves
_enabled = True


@contextmanager
def tensor_form() -> Iterator[None]:
    """Use tensor operations only, for comparisons."""
    global _enabled  # noqa: PLW0603 a switch of the process
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def usable(rows: int, width: int, dropout: float, *tensors: Tensor) -> bool:
    """Return whether the compiled form may stand in for the tensor form."""
    fits = _enabled and rows >= _LEAST_ROWS and width % LANES == 0 and dropout < 1.0
    return fits and all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)


def fused_mix(parts: tuple[Tensor, ...], dropout: float) -> Tensor:
    """Return (R, d): the weighted sum of the variables' gated residual networks, without their shifts.

    Parameters
    ----------
    parts : x (R, V), weights (R, V), slope and start (V, 2, d) of the hidden values and of the embedding, merged
        weights (V, d, 2 d), their bias (V, 2 d), gain (V, d)
    dropout : share of hidden values set to zero
    """
    told: Tensor = _Mix.apply(dropout, *parts)  # type: ignore[no-untyped-call]
    return told


def fused_gate(parts: tuple[Tensor, ...], dropout: float, *, elu: bool) -> Tensor:
    """Return (R, d): ``LayerNorm(skip + GLU(dropout(f(x)) merged + bias))``.

    Parameters
    ----------
    parts : x (R, d), skip (R, d), merged (d, 2 d), bias (2 d), gain (d), shift (d)
    elu : whether f is the ELU or nothing
    """
    told: Tensor = _Gate.apply(dropout, elu, *parts)  # type: ignore[no-untyped-call]
    return told


def _mask(dropout: float, keys: int) -> tuple[np.ndarray, np.uint32, np.float32]:
    """Return keys, the least hash that is kept, and the factor of what is kept."""
    if dropout == 0.0:
        return np.zeros(keys, dtype=np.uint32), np.uint32(0), np.float32(1.0)
    drawn = torch.randint(1 << 32, (keys,), dtype=torch.int64).numpy().astype(np.uint32)
    return drawn, np.uint32(max(1, round(dropout * 2**32))), np.float32(1.0 / (1.0 - dropout))


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dropout: float, *parts: Tensor) -> Tensor:
        held = tuple(part.contiguous() for part in parts)
        mask = _mask(dropout, held[0].shape[1])
        arrays = [part.detach().numpy() for part in held]
        out = torch.empty(held[0].shape[0], held[6].shape[1])
        told, rows = out.numpy(), out.shape[0]
        each = TILE * max(1, -(-rows // (TILE * 4 * torch.get_num_threads())))
        jobs = [partial(mix_forward, *arrays, *mask, r, min(r + each, rows), told) for r in range(0, rows, each)]
        perform(jobs)
        ctx.save_for_backward(*held)
        ctx.mask = mask
        return out

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        held: tuple[Tensor, ...] = ctx.saved_tensors
        x, weights, lines, embeds, merged, bias, gain = (part.detach().numpy() for part in held)
        turned = np.ascontiguousarray(merged.transpose(0, 2, 1))
        given = above[0].contiguous().numpy()
        asked = bool(ctx.needs_input_grad[1])
        shape = weights.shape[::-1]
        slopes = [torch.zeros(shape if asked else (0, 0)), torch.empty(shape)]
        slopes += [torch.zeros_like(part) for part in held[2:]]
        outs = [slope.numpy() for slope in slopes]
        values = (x, weights, lines, embeds, merged, turned, bias, gain, *ctx.mask)
        perform([partial(mix_backward, *values, v, given, *outs) for v in range(x.shape[1])])
        return (None, slopes[0].t() if asked else None, slopes[1].t(), *slopes[2:])


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dropout: float, elu: bool, *parts: Tensor) -> Tensor:  # noqa: FBT001 the tape's signature
        held = tuple(part.contiguous() for part in parts)
        keys, least, scale = _mask(dropout, 1)
        ctx.mask = (keys[0], least, scale, elu)
        arrays = [part.detach().numpy() for part in held]
        out = torch.empty_like(held[1])
        told = out.numpy()
        perform([partial(gated_forward, *arrays, *ctx.mask, *span, told) for span in _spans(out.shape[0])])
        ctx.save_for_backward(*held)
        return out

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        held: tuple[Tensor, ...] = ctx.saved_tensors
        x, skip, merged, bias, gain, _ = (part.detach().numpy() for part in held)
        turned = np.ascontiguousarray(merged.T)
        given = above[0].contiguous().numpy()
        to_x, to_skip = torch.empty_like(held[0]), torch.empty_like(held[1])
        spans = _spans(x.shape[0])
        sums = [torch.zeros(len(spans), *part.shape) for part in held[2:]]
        rows = (to_x.numpy(), to_skip.numpy())
        values = (x, skip, merged, turned, bias, gain, *ctx.mask)
        jobs = [
            partial(gated_backward, *values, *span, given, *rows, *(part[i].numpy() for part in sums))
            for i, span in enumerate(spans)
        ]
        perform(jobs)
        return (None, None, to_x, to_skip, *(part.sum(dim=0) for part in sums))


def _spans(rows: int) -> list[tuple[int, int]]:
    each = TILE * max(1, -(-rows // (TILE * _BLOCKS)))
    return [(r, min(r + each, rows)) for r in range(0, rows, each)]


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Return the threads beside the caller's; they stay, since a step asks for them many times."""
    return ThreadPoolExecutor(max_workers=count, thread_name_prefix="foresail-fused")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not live on in a child


def perform(jobs: Sequence[Callable[[], None]], threads: int | None = None) -> None:
    """Run independent jobs on as many threads as PyTorch uses, or as given; they should hold no interpreter lock."""
    threads = torch.get_num_threads() if threads is None else threads
    waiting = iter(jobs)

    def work() -> None:
        for job in waiting:  # one list iterator, shared: each job is taken once
            job()

    helpers = min(threads, len(jobs)) - 1
    running = [_helpers(threads - 1).submit(work) for _ in range(helpers)]
    work()
    for helper in running:
        helper.result()
