"""LSTM and GRU as forecasters (MODEL-10, MODEL-11): the networks that a transformer has to beat (BASE-09)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from foresail.forecasting.neural.fitted import NetworkShape
from foresail.forecasting.neural.forecaster import NetworkForecaster
from foresail.forecasting.neural.recurrent import RecurrentNetwork, RecurrentSettings
from foresail.forecasting.neural.settings import NetworkSettings

__all__ = ["GruForecaster", "LstmForecaster", "RecurrentNetworkSettings"]


@dataclass(frozen=True, slots=True)
class RecurrentNetworkSettings(NetworkSettings):
    """Settings of the recurrent networks, with two layers (TRAIN-27)."""

    layers: int = 2
    dropout: float = 0.2


class LstmForecaster(NetworkForecaster):
    """Quantiles from the last state of an LSTM over the context."""

    kind: ClassVar[str] = "lstm"
    settings_type: ClassVar[type[NetworkSettings]] = RecurrentNetworkSettings

    def build(self, shape: NetworkShape) -> nn.Module:
        """Return a network with fresh weights."""
        chosen = shape.settings
        return RecurrentNetwork(
            RecurrentSettings(
                observed=shape.observed,
                known=shape.known,
                categories=shape.categories,
                targets=shape.targets,
                levels=shape.levels,
                context_length=chosen.context_length,
                horizon=shape.horizon,
                width=chosen.width,
                layers=chosen.layers,
                dropout=chosen.dropout,
                cell=self.kind,
            )
        )


class GruForecaster(LstmForecaster):
    """Quantiles from the last state of a GRU over the context."""

    kind: ClassVar[str] = "gru"
