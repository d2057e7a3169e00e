"""Serving: one new bar of all instruments costs one selection a name, not one for each bar of its window.

What the network makes of a past step depends on that step and the static context only, so it is kept; so is what it
makes of the steps ahead, which only move on. The recurrent part, attention and head are made anew: the window's start
moves. The answer equals the network's on whole windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foresail.core.errors import DataError
from foresail.forecasting.neural.tft.network import Segments, StaticContext, TemporalFusionTransformer

__all__ = ["Served", "TftServer", "whole_windows"]


@dataclass(frozen=True, slots=True)
class Served:
    """What the network says of one bar.

    Attributes
    ----------
    quantiles : (N, H, targets, levels) standardised
    ready : (N,) whether a whole context of bars has been seen
    past_weights : (N, V) selection weights of the newest step
    attention : (N, H, C + H)
    """

    quantiles: Tensor
    ready: Tensor
    past_weights: Tensor
    attention: Tensor


class TftServer:
    """The network with its memory of a set of instruments.

    Parameters
    ----------
    network : in evaluation mode
    static : (N, categories) codes
    """

    def __init__(self, network: TemporalFusionTransformer, static: Tensor) -> None:
        shape = network.settings
        self._network = network.eval()
        self._length, self._horizon = shape.context_length, shape.horizon
        n = static.shape[0]
        with torch.inference_mode():
            self._static: StaticContext = network.static_context(static)
            self._past = torch.zeros(n, 2 * self._length, shape.width)
            self._seen = torch.zeros(n, 2 * self._length)
            self._ahead = torch.zeros(n, self._horizon, shape.width)
        self._known: Tensor | None = None
        self._end = self._length  # behind the newest step; what lies before the first bar is absent
        self._bars = 0

    def warm(self, observed: Tensor, known: Tensor, present: Tensor) -> None:
        """Take in the bars before the first update, oldest first.

        Parameters
        ----------
        observed : (N, T, V) scaled
        known : (T, W)
        present : (N, T)
        """
        for t in range(max(0, observed.shape[1] - self._length), observed.shape[1]):
            with torch.inference_mode():
                self._push(observed[:, t], known[t], present[:, t])

    def update(self, observed: Tensor, known: Tensor, present: Tensor, ahead: Tensor) -> Served:
        """Take in one bar and return its forecasts.

        Parameters
        ----------
        observed : (N, V) scaled, no missing value
        known : (W,) of this bar
        present : (N,) 1.0 where there is a bar
        ahead : (H, W) of the steps to come

        Raises
        ------
        DataError
            If a value is missing or infinite, or the shapes are not those of the network.
        """
        self._check(observed, known, ahead)
        with torch.inference_mode():
            weights = self._push(observed, known, present)
            self._look_ahead(ahead)
            window = self._past[:, self._end - self._length : self._end].unsqueeze(1)
            seen = self._seen[:, self._end - self._length : self._end].unsqueeze(1)
            told, attention = self._network.temporal(window, self._ahead.unsqueeze(1), seen, self._static)
        ready = torch.full((observed.shape[0],), self._bars >= self._length)
        return Served(told[:, 0], ready, weights, attention[:, 0])

    def _push(self, observed: Tensor, known: Tensor, present: Tensor) -> Tensor:
        """Select the newest step and keep it."""
        if self._end == 2 * self._length:
            for held in (self._past, self._seen):
                held[:, : self._length] = held[:, self._length :].clone()
            self._end = self._length
        rows = known.expand(observed.shape[0], -1).unsqueeze(1)
        chosen, weights = self._network.select_past(
            observed.unsqueeze(1), rows, present.unsqueeze(1), self._static.selection
        )
        self._past[:, self._end] = chosen[:, 0]
        self._seen[:, self._end] = present
        self._end += 1
        self._bars += 1
        return weights[:, 0]

    def _look_ahead(self, ahead: Tensor) -> None:
        """Select the steps to come; those that were seen one bar ago only move on."""
        before, n = self._known, self._past.shape[0]
        moves_on = before is not None and torch.equal(before[1:], ahead[:-1])
        new = ahead[-1:] if moves_on else ahead
        chosen, _ = self._network.select_future(new.expand(n, *new.shape), self._static.selection)
        self._ahead = torch.cat([self._ahead[:, 1:], chosen], dim=1) if moves_on else chosen
        self._known = ahead.clone()

    def _check(self, observed: Tensor, known: Tensor, ahead: Tensor) -> None:
        shape = self._network.settings
        wanted = ((self._past.shape[0], shape.observed), (shape.known,), (self._horizon, shape.known))
        given = (tuple(observed.shape), tuple(known.shape), tuple(ahead.shape))
        if given != wanted:
            raise DataError(f"expected inputs of shapes {wanted}, received {given}")
        if not all(bool(torch.isfinite(x).all()) for x in (observed, known, ahead)):
            raise DataError("an input of the network is missing or infinite", hint="fill holes before serving")


def whole_windows(network: TemporalFusionTransformer, segments: Segments) -> Tensor:
    """Return (S, K, H, targets, levels) of whole segments: history inference, each step selected once."""
    network.eval()
    with torch.inference_mode():
        told: Tensor = network(segments).quantiles
    return told
