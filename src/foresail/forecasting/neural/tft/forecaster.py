"""The Temporal Fusion Transformer as a forecaster (MODEL-01 to 05)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from foresail.core.arrays import FloatArray
from foresail.forecasting.neural.forecaster import NetworkForecaster, NetworkShape
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftOutput, TftSettings

__all__ = ["TftForecaster"]


class TftForecaster(NetworkForecaster):
    """Quantiles of several steps ahead, with selection weights and attention; see the module of the network."""

    kind: ClassVar[str] = "tft"

    def build(self, shape: NetworkShape) -> nn.Module:
        """Return a network with fresh weights."""
        chosen = shape.settings
        return TemporalFusionTransformer(
            TftSettings(
                observed=shape.observed,
                known=shape.known,
                categories=shape.categories,
                targets=shape.targets,
                levels=shape.levels,
                context_length=chosen.context_length,
                horizon=shape.horizon,
                width=chosen.width,
                heads=chosen.heads,
                layers=chosen.layers,
                dropout=chosen.dropout,
            )
        )

    def shares(self, whole: Any) -> FloatArray | None:
        """Return the selection weights of the observed inputs, summed over steps."""
        told: TftOutput = whole
        observed = told.past_weights.shape[-1] - told.future_weights.shape[-1] - 1
        share: FloatArray = told.past_weights[..., :observed].double().sum(dim=(0, 1)).numpy()
        return share
