"""LSTM and GRU as quantile networks: the last state of a window, a small head, every quantile at once.

1. A step's inputs are what is observed, the calendar and the presence mark. At an absent bar the state stays as it is.
2. The top layer's last state is joined with the embedded static categories, then 64, ReLU, dropout, 32, ReLU, dropout,
   quantiles. Dropout acts between layers and in the head.
3. The steps ahead are not looked at: these networks forecast from the past alone.

Windows begin at different steps, so nothing of the recurrent part can be shared between the windows of a segment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.forecasting.neural.slices import present_first, window_slices
from foresail.forecasting.neural.tft.network import Segments

__all__ = ["CELLS", "RecurrentNetwork", "RecurrentOutput", "RecurrentSettings"]

CELLS = ("gru", "lstm")
_EMBEDDING = 8  # numbers a static category
_HEAD = (64, 32)


@dataclass(frozen=True, slots=True)
class RecurrentSettings:
    """Shape of the network.

    Attributes
    ----------
    observed : inputs known up to now only
    known : inputs of the calendar
    categories : sizes of the static categories, none allowed; code 0 is unknown
    targets, levels : K and Q
    context_length, horizon : C bars back, H steps ahead
    width, layers : of the recurrent part
    dropout : share of hidden values set to zero in training
    cell : lstm or gru
    """

    observed: int
    known: int
    categories: tuple[int, ...] = ()
    targets: int = 1
    levels: int = 7
    context_length: int = 60
    horizon: int = 5
    width: int = 100
    layers: int = 2
    dropout: float = 0.2
    cell: str = "lstm"

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise UnknownNameError("cell", self.cell, CELLS)
        if self.observed < 1 or self.known < 0 or min(self.width, self.layers, self.context_length, self.horizon) < 1:
            raise ConfigError(
                "the network needs an observed input, and a width, depth, context and horizon of 1 or more"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"expected 0 <= dropout < 1, received {self.dropout}")


@dataclass(frozen=True, slots=True)
class RecurrentOutput:
    """What the network says.

    Attributes
    ----------
    quantiles : (S, K, H, targets, levels) standardised; levels are not sorted yet
    """

    quantiles: Tensor


class RecurrentNetwork(nn.Module):
    """See the module."""

    def __init__(self, settings: RecurrentSettings) -> None:
        super().__init__()
        self.settings = settings
        inputs = settings.observed + settings.known + 1
        between = settings.dropout if settings.layers > 1 else 0.0
        layer = nn.LSTM if settings.cell == "lstm" else nn.GRU
        self.recurrent = layer(inputs, settings.width, settings.layers, batch_first=True, dropout=between)
        self.embeddings = nn.ModuleList(nn.Embedding(size, _EMBEDDING) for size in settings.categories)
        joined = settings.width + _EMBEDDING * len(settings.categories)
        self.head = nn.Sequential(
            nn.Linear(joined, _HEAD[0]),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(_HEAD[0], _HEAD[1]),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(_HEAD[1], settings.horizon * settings.targets * settings.levels),
        )

    def forward(self, segments: Segments) -> RecurrentOutput:
        """Return the quantiles of every window."""
        shape = self.settings
        past = segments.observed.shape[1]
        steps = torch.cat([segments.observed, segments.known[:, :past], segments.present.unsqueeze(-1)], dim=-1)
        windows = window_slices(steps, shape.context_length, segments.stride)
        seen = segments.present.unfold(1, shape.context_length, segments.stride)
        s, k = windows.shape[:2]
        last = self._last_state(windows.flatten(0, 1), seen.flatten(0, 1))
        codes = segments.static.repeat_interleave(k, 0)
        embedded = [table(codes[:, j]) for j, table in enumerate(self.embeddings)]
        told = self.head(torch.cat([last, *embedded], dim=1))
        return RecurrentOutput(told.reshape(s, k, shape.horizon, shape.targets, shape.levels))

    def _last_state(self, steps: Tensor, seen: Tensor) -> Tensor:
        """Return (B, width), the top layer's state behind the last present step; 0 where there is none."""
        ordered, count = present_first(steps, seen)
        states, _ = self.recurrent(ordered)
        place = (count - 1).clamp_min(0)
        last: Tensor = states[torch.arange(len(states), device=states.device), place]
        return last * (count > 0).unsqueeze(-1)
