"""What a trained network consists of, besides the class that knows how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foresail.core.arrays import FloatArray
from foresail.core.errors import NonFiniteOutputError
from foresail.forecasting.curve import finish
from foresail.forecasting.neural.inputs import InputMap
from foresail.forecasting.neural.settings import NetworkSettings

__all__ = ["AtHorizons", "FittedNetwork", "NetworkShape"]


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a network is built for.

    Attributes
    ----------
    observed, known, categories : numbers of inputs and sizes of the static categories
    targets, levels : K and Q
    horizon : the longest, bars
    settings : the rest
    """

    observed: int
    known: int
    categories: tuple[int, ...]
    targets: int
    levels: int
    horizon: int
    settings: NetworkSettings


@dataclass(frozen=True, slots=True, eq=False)
class FittedNetwork:
    """A network with what stands before and behind it.

    Attributes
    ----------
    inputs : how a panel becomes inputs
    correction : (K, H, Q) standardised, added to the quantiles
    usable : targets that had labels
    history : of the training, an element an epoch
    """

    inputs: InputMap
    network: nn.Module
    correction: FloatArray
    usable: tuple[bool, ...]
    history: dict[str, list[float]]

    def settle(self, standardised: FloatArray, unit: FloatArray, targets: Sequence[str]) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles as they leave the room; NaN where the unit is missing.

        Parameters
        ----------
        standardised : (R, K, H, Q) what the network said, not yet sorted
        unit : (R, 1, H, 1) log return of one standardised unit

        Raises
        ------
        NonFiniteOutputError
            If a row with a unit has no finite forecast.
        """
        curves = (standardised + self.correction) * unit
        if not np.isfinite(curves[np.isfinite(unit[:, 0, 0, 0])]).all():
            raise NonFiniteOutputError("a network gave a forecast that is not finite")
        curves[:, [k for k, known in enumerate(self.usable) if not known]] = np.nan
        return finish(curves, targets)


class _Told:
    """Output of a network at the horizons asked for."""

    def __init__(self, quantiles: Tensor, whole: Any) -> None:
        self.quantiles, self.whole = quantiles, whole


class AtHorizons(nn.Module):
    """A network of which only some steps ahead are asked."""

    def __init__(self, network: nn.Module, horizons: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("steps", torch.tensor([h - 1 for h in horizons]), persistent=False)

    def forward(self, segments: Any) -> _Told:
        """Return quantiles (S, K, H', targets, levels)."""
        whole = self.network(segments)
        return _Told(whole.quantiles.index_select(2, self.steps), whole)
