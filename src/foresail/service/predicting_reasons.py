"""What moved a forecast: the leading features of each, with sign (XPL-03). They tell how a model reads, not causes."""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.errors import CapabilityError
from foresail.core.ids import InstrumentId
from foresail.engine.training_sets import ForecastInputs
from foresail.protocols import ExplainingForecaster
from foresail.service.models_loading import LoadedModel

__all__ = ["leading_reasons"]

_LEADING = 5


def leading_reasons(
    model: LoadedModel, inputs: ForecastInputs, ready: IntArray, last: int
) -> dict[tuple[InstrumentId, int], list[dict[str, Any]]]:
    """Return (instrument, horizon) -> its leading features, the largest first.

    Parameters
    ----------
    ready : (M,) instruments that are forecast
    last : time position of the forecasts

    Raises
    ------
    CapabilityError
        If the model cannot say which features moved a forecast.
    """
    forecaster = model.forecaster
    if not isinstance(forecaster, ExplainingForecaster):
        raise CapabilityError(
            f"{model.entry.name} cannot say which features moved a forecast",
            hint="leave --explain out, or use quantile_trees or a network",
        )
    if len(ready) == 0:
        return {}
    rows = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
    found = {}
    for horizon in model.spec.horizons:
        unit = inputs.scale[ready, last] * np.sqrt(horizon)
        shares = forecaster.explain(inputs.features, rows, horizon) * unit[:, None]
        leading = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :_LEADING]
        for m, i in enumerate(ready.tolist()):
            found[inputs.features.instruments[i], horizon] = [
                {
                    "feature": inputs.features.fields[f],
                    "adds": round(float(shares[m, f]), 8),
                    "value": float(inputs.features.values[i, last, f]),
                }
                for f in leading[m].tolist()
            ]
    return found
