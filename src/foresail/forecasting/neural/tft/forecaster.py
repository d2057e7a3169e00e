"""The Temporal Fusion Transformer as a forecaster (MODEL-01 to 05)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from foresail.core.arrays import FloatArray, IntArray
from foresail.domain.panel import Panel
from foresail.forecasting.neural.calendar import KNOWN
from foresail.forecasting.neural.fitted import NetworkShape
from foresail.forecasting.neural.forecaster import NetworkForecaster
from foresail.forecasting.neural.tft.explanation import Seen, TftExplanation, explanation_of
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftOutput, TftSettings
from foresail.forecasting.neural.threads import fixed_threads

__all__ = ["TftForecaster"]


class TftForecaster(NetworkForecaster):
    """Quantiles of several steps ahead, with selection weights and attention; see the module of the network."""

    kind: ClassVar[str] = "tft"
    way_points: ClassVar[int] = 4  # without kinks few are enough
    tuned: ClassVar[tuple[str, ...]] = ("after_attention", "positionwise", "after_positionwise", "head")

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

    def weights_of(self, features: Panel, rows: IntArray, groups: Mapping[str, str]) -> TftExplanation:
        """Return selection weights and attention of some forecasts.

        Parameters
        ----------
        rows : (R, 2) instrument and time, at least one
        groups : feature -> its group

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        """
        fitted = self._needed("explain")
        network = copy.deepcopy(fitted.network).double().eval()
        parts: list[Seen] = []
        with torch.inference_mode(), fixed_threads(self.settings.threads):
            for _, segments in self._windows_of(features, rows):
                told: TftOutput = network(segments)
                parts.append(
                    Seen(
                        told.past_weights.numpy(),
                        told.future_weights.numpy(),
                        told.static_weights.numpy(),
                        told.attention[:, 0].numpy(),
                        segments.present.numpy() > 0.5,
                    )
                )
        return explanation_of(
            rows,
            Seen.joined(parts),
            names=(fitted.inputs.names, KNOWN, fitted.inputs.statics),
            groups=groups,
            horizons=self.spec.horizons,
        )
