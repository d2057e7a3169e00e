"""Serving: one new bar of all instruments costs one selection a name, not one for each bar of its window.

What the network makes of a past step depends on that step and the static context only, so it is kept; so is what it
makes of the steps ahead, which only move on. The recurrent part, attention and head are made anew: the window's start
moves. The answer equals the network's on whole windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from foresail.core.errors import DataError
from foresail.forecasting.neural.fused import perform, usable
from foresail.forecasting.neural.fused_sequence import Layers, Steps, enriched_steps
from foresail.forecasting.neural.tft.network import Segments, StaticContext, TemporalFusionTransformer
from foresail.forecasting.neural.threads import fixed_threads

__all__ = ["Served", "TftServer", "whole_windows"]

_PIECE = 128  # instruments at most
_LEAST = 16  # instruments; fewer do not fill a tile of the compiled pass


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

    Instruments are served in pieces whose tensors stay in a core's cache. A piece is worked on by one thread, as many
    pieces at a time as PyTorch has threads: threads inside every operation would wait for one another hundreds of times
    a bar. Pieces do not depend on the number of threads, so neither do answers. An accelerator takes all instruments as
    one piece.

    Parameters
    ----------
    network : in evaluation mode; memory lies on its device, inputs and answers on the CPU
    static : (N, categories) codes
    """

    def __init__(self, network: TemporalFusionTransformer, static: Tensor) -> None:
        self._settings = network.settings
        self._bars, self._instruments = 0, static.shape[0]
        network.eval()
        self._device = network.head.weight.device
        count = -(-self._instruments // _PIECE) if self._device.type == "cpu" else 1
        self._size = -(-self._instruments // count)
        self._pieces = [_Piece(network, part) for part in self._cut(static.to(self._device))]
        self._ahead: Tensor | None = None  # what was last known ahead, on the CPU

    def warm(self, observed: Tensor, known: Tensor, present: Tensor) -> None:
        """Take in the bars before the first update, oldest first.

        Parameters
        ----------
        observed : (N, T, V) scaled
        known : (T, W)
        present : (N, T)
        """
        bars = observed.shape[1]
        first = max(0, bars - self._settings.context_length)
        self._bars += bars - first
        observed, known, present = self._near(observed, known, present)
        parts = zip(self._pieces, self._cut(observed), self._cut(present), strict=True)
        self._each([partial(piece.warm, own, known, there, first) for piece, own, there in parts])

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
        self._bars += 1
        moves_on = self._ahead is not None and torch.equal(self._ahead[1:], ahead[:-1])
        self._ahead = ahead.clone()
        observed, known, present, ahead = self._near(observed, known, present, ahead)
        parts = zip(self._pieces, self._cut(observed), self._cut(present), strict=True)
        self._each([partial(piece.update, own, known, there, ahead, moves_on=moves_on) for piece, own, there in parts])
        answers = [torch.cat(column).cpu() for column in zip(*(piece.answer for piece in self._pieces), strict=True)]
        ready = torch.full((self._instruments,), self._bars >= self._settings.context_length)
        return Served(answers[0], ready, answers[1], answers[2])

    def _near(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return tensors on the network's device."""
        return given if self._device.type == "cpu" else tuple(one.to(self._device) for one in given)

    def _cut(self, rows: Tensor) -> list[Tensor]:
        """Return the rows of each piece."""
        return [rows[i : i + self._size] for i in range(0, self._instruments, self._size)]

    def _each(self, jobs: list[Callable[[], None]]) -> None:
        """Do the work of all pieces, with one thread inside each."""
        threads = torch.get_num_threads()
        with fixed_threads(1):
            perform(jobs, threads)

    def _check(self, observed: Tensor, known: Tensor, ahead: Tensor) -> None:
        shape = self._settings
        wanted = ((self._instruments, shape.observed), (shape.known,), (shape.horizon, shape.known))
        given = (tuple(observed.shape), tuple(known.shape), tuple(ahead.shape))
        if given != wanted:
            raise DataError(f"expected inputs of shapes {wanted}, received {given}")
        if not all(bool(torch.isfinite(x).all()) for x in (observed, known, ahead)):
            raise DataError("an input of the network is missing or infinite", hint="fill holes before serving")


class _Piece:
    """Some instruments with their memory; all work on them is done by one thread at a time."""

    def __init__(self, network: TemporalFusionTransformer, static: Tensor) -> None:
        shape = network.settings
        self._network = network
        self._length, self._horizon = shape.context_length, shape.horizon
        n = static.shape[0]
        with torch.inference_mode():
            self._static: StaticContext = network.static_context(static)
            place = static.device
            self._past = torch.zeros(n, 2 * self._length, shape.width, device=place)
            self._seen = torch.zeros(n, 2 * self._length, device=place)
            self._ahead = torch.zeros(n, self._horizon, shape.width, device=place)
            self._sequence = _Sequence(network, self._past, self._static) if _is_compiled(network, n) else None
        self._held = [self._past, self._seen, *([] if self._sequence is None else [self._sequence.gates])]
        self._end = self._length  # behind the newest step; what lies before the first bar is absent
        self.answer: tuple[Tensor, Tensor, Tensor]  # quantiles, selection weights, attention

    def warm(self, observed: Tensor, known: Tensor, present: Tensor, first: int) -> None:
        """Take in bars from the first on."""
        with torch.inference_mode(), fixed_threads(1):
            for t in range(first, observed.shape[1]):
                self._push(observed[:, t], known[t], present[:, t])

    def update(self, observed: Tensor, known: Tensor, present: Tensor, ahead: Tensor, *, moves_on: bool) -> None:
        """Take in one bar and keep the answer; ``moves_on``: all but the last step ahead was ahead one bar ago."""
        with torch.inference_mode(), fixed_threads(1):  # a helper has a number of its own
            weights = self._push(observed, known, present)
            self._look_ahead(ahead, moves_on=moves_on)
            seen = self._seen[:, self._end - self._length : self._end]
            if self._sequence is not None:
                steps = self._sequence.enriched(self._end - self._length, self._length, self._ahead)
                told, attention = self._network.answer(*steps, seen)
            else:
                window = self._past[:, self._end - self._length : self._end].unsqueeze(1)
                every = self._network.temporal(window, self._ahead.unsqueeze(1), seen.unsqueeze(1), self._static)
                told, attention = (x[:, 0] for x in every)
        self.answer = told, weights, attention

    def _push(self, observed: Tensor, known: Tensor, present: Tensor) -> Tensor:
        """Select the newest step and keep it."""
        if self._end == 2 * self._length:
            for held in self._held:
                held[:, : self._length] = held[:, self._length :].clone()
            self._end = self._length
        rows = known.expand(observed.shape[0], -1).unsqueeze(1)
        chosen, weights = self._network.select_past(
            observed.unsqueeze(1), rows, present.unsqueeze(1), self._static.selection
        )
        self._past[:, self._end] = chosen[:, 0]
        self._seen[:, self._end] = present
        if self._sequence is not None:
            self._sequence.take(self._end, chosen[:, 0])
        self._end += 1
        return weights[:, 0]

    def _look_ahead(self, ahead: Tensor, *, moves_on: bool) -> None:
        """Select the steps to come; those that were seen one bar ago only move on."""
        new = ahead[-1:] if moves_on else ahead
        chosen, _ = self._network.select_future(new.expand(len(self._past), *new.shape), self._static.selection)
        self._ahead = torch.cat([self._ahead[:, 1:], chosen], dim=1) if moves_on else chosen


class _Sequence:
    """The compiled pass over the steps of a piece, and what each step adds to the gates."""

    def __init__(self, network: TemporalFusionTransformer, past: Tensor, static: StaticContext) -> None:
        encoder, decoder, enrichment = network.encoder, network.decoder, network.enrichment
        self._layers = Layers(encoder, decoder, network.after_recurrent, enrichment)
        self._past, self._static = past, static
        self._by_past, self._by_ahead = _by_input(encoder), _by_input(decoder)
        with_static: nn.Linear = enrichment.get_submodule("context")  # type: ignore[assignment]
        self._context = functional.linear(static.enrichment, with_static.weight, enrichment.first.bias)
        self.gates = functional.linear(past, *self._by_past)

    def take(self, place: int, chosen: Tensor) -> None:
        """Keep what a selected step (N, d) adds to the gates."""
        self.gates[:, place] = functional.linear(chosen, *self._by_past)

    def enriched(self, first: int, length: int, ahead: Tensor) -> tuple[Tensor, Tensor]:
        """Return enriched steps (N, C + H, d) and those ahead before enrichment (N, H, d)."""
        steps = Steps(
            self._past, self.gates, first, length, ahead.contiguous(), functional.linear(ahead, *self._by_ahead),
            self._static.hidden, self._static.cell, self._context,
        )  # fmt: skip
        return enriched_steps(steps, self._layers)


def _by_input(layer: nn.LSTM) -> tuple[Tensor, Tensor]:
    """Return weight and bias of what an input adds to the gates."""
    by_input, _, *biases = layer.all_weights[0]
    return by_input, biases[0] + biases[1]


def _is_compiled(network: TemporalFusionTransformer, rows: int) -> bool:
    """Return whether the compiled pass may stand in for the network's layers."""
    shape = network.settings
    fits = shape.layers == 1 and rows >= _LEAST
    return fits and usable(rows * shape.context_length, shape.width, 0.0, network.head.weight)


def whole_windows(network: TemporalFusionTransformer, segments: Segments) -> Tensor:
    """Return (S, K, H, targets, levels) of whole segments: history inference, each step selected once."""
    network.eval()
    with torch.inference_mode():
        told: Tensor = network(segments).quantiles
    return told
