"""Fine-tuning of a network: its last layers learn on for some instruments (MODEL-05; ``forecasting.sectors``).

1. Everything but the last gated layers and the head is frozen; the few epochs run at a tenth of the rate.
2. What gains nothing on the validation rows is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from foresail.core.arrays import IntArray
from foresail.core.errors import ConfigError
from foresail.forecasting.neural.recipe import pinball_loss
from foresail.forecasting.neural.settings import NetworkSettings
from foresail.forecasting.neural.training import Recipe
from foresail.forecasting.neural.windows import WindowSource

__all__ = ["beats", "frozen_but", "tuning_recipe"]

_RATE = 0.1  # of the rate of the first training
_EPOCHS = 5
_SEGMENTS = 64


def tuning_recipe(settings: NetworkSettings) -> Recipe:
    """Return the recipe of fine-tuning: at most five epochs at a tenth of the rate."""
    return replace(settings, epochs=min(_EPOCHS, settings.epochs)).recipe(_RATE)


@contextmanager
def frozen_but(network: nn.Module, parts: Sequence[str]) -> Iterator[None]:
    """Let only some parts of a network be trained, and all of them again afterwards.

    Parameters
    ----------
    parts : names of submodules

    Raises
    ------
    ConfigError
        If the network has no such part.
    """
    for part in parts:
        if not any(name.startswith(f"{part}.") for name, _ in network.named_parameters()):
            raise ConfigError(f"the network has no part {part} to fine-tune")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(name.startswith(f"{part}.") for part in parts))
    try:
        yield
    finally:
        network.requires_grad_()


def beats(
    network: nn.Module, other: nn.Module, source: WindowSource, rows: IntArray, levels: tuple[float, ...]
) -> bool:
    """Return whether a network has a lower pinball loss over some rows than another.

    Parameters
    ----------
    network, other : give ``quantiles`` at the horizons of the labels
    rows : (R, 2)
    """
    told = torch.tensor(levels, dtype=torch.float32)
    losses, count = [0.0, 0.0], 0.0
    with torch.no_grad():
        for batch in source.batches(rows, _SEGMENTS, None):
            weight = float(batch.weights.sum())
            if weight == 0.0:
                continue
            count += weight
            for i, one in enumerate((network, other)):
                loss = pinball_loss(one.eval()(batch.segments).quantiles, batch.targets, told, batch.weights)
                losses[i] += float(loss) * weight
    return count > 0.0 and math.isfinite(losses[0]) and losses[0] < losses[1]
