"""Looking into a network: what each input adds to a forecast, and the state that its last layer reads (XPL-02).

*Integrated gradients* walk from the centre of the standardised inputs, 0, to the inputs of a row, and sum the slope of
the forecast on the way: ``x * integral of df/dx(a x) da`` over ``0 <= a <= 1``. The sum over all inputs is the
difference between the forecast and the one from nothing but the calendar, the presence marks and the static categories.
The way is cut at the points of Gauss and Legendre, whose few slopes stand for the whole integral.

References
----------
[Sundararajan2017]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError
from foresail.forecasting.neural.tft.network import Segments

__all__ = ["integrated_gradients", "mean_of", "read_by_head"]

_Read = Callable[[Any], Tensor]


def mean_of(target: int, step: int, weights: FloatArray) -> _Read:
    """Return what reads the mean of the sorted quantile curve from an output, (S,) for one window a segment.

    Parameters
    ----------
    target, step : place of the target, and steps ahead less one
    weights : (Q,), see ``curve.mean_weights``
    """
    factors = torch.from_numpy(np.ascontiguousarray(weights))

    def read(output: Any) -> Tensor:
        curve: Tensor = output.quantiles[:, 0, step, target]
        told: Tensor = torch.sort(curve, dim=-1).values @ factors
        return told

    return read


def integrated_gradients(network: nn.Module, segments: Segments, read: _Read, *, steps: int) -> FloatArray:
    """Return (S, V), what each observed input adds to what is read, summed over the window's steps.

    Parameters
    ----------
    network : in evaluation mode and float64
    segments : one window each, float64
    read : a number (S,) from an output
    steps : points on the way

    Raises
    ------
    ConfigError
        If there is no step.
    """
    if steps < 1:
        raise ConfigError(f"expected steps >= 1, received {steps}")
    places, weights = (torch.from_numpy(one) / 2.0 for one in np.polynomial.legendre.leggauss(steps))
    count = len(segments.observed)
    way = Segments(
        torch.cat([(place + 0.5) * segments.observed for place in places]).detach(),
        segments.known.repeat(steps, 1, 1),
        segments.present.repeat(steps, 1),
        segments.static.repeat(steps, 1),
        segments.stride,
    )
    with torch.enable_grad():
        point = way.observed.requires_grad_()
        slopes = torch.autograd.grad(read(network(way)).sum(), point)[0].reshape(steps, count, *point.shape[1:])
    slope = torch.tensordot(weights, slopes, dims=1)
    added: FloatArray = (slope * segments.observed).sum(dim=1).numpy()
    return added


def read_by_head(network: nn.Module, segments: Segments) -> Tensor:
    """Return (S, K, D), the state that the last layer reads, averaged over the steps ahead.

    Parameters
    ----------
    network : its last layer is ``head``
    """
    caught: list[Tensor] = []
    head: nn.Module = network.get_submodule("head")
    handle = head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    try:
        network(segments)
    finally:
        handle.remove()
    state = caught[-1]
    pooled = state.flatten(1, -2).mean(dim=1) if state.dim() > 2 else state
    return pooled.reshape(segments.static.shape[0], -1, pooled.shape[-1])
