"""What moved a forecast: leading features with sign, similar days, weights of a network (XPL-02, XPL-03).

They tell how a model reads, not causes (XPL-04).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.clock import format_ns
from foresail.core.errors import CapabilityError
from foresail.core.ids import InstrumentId
from foresail.engine.inspecting import Selection, SimilarDay, nearest_days, selection_of
from foresail.engine.training_sets import ForecastInputs
from foresail.protocols import ExplainingForecaster
from foresail.service.models_loading import LoadedModel

__all__ = ["leading_reasons", "looked_into"]

_LEADING = 5
_Key = tuple[InstrumentId, int]
_Near = Mapping[int, Sequence[tuple[SimilarDay, ...]]]


def leading_reasons(
    model: LoadedModel, inputs: ForecastInputs, ready: IntArray, last: int
) -> dict[_Key, list[dict[str, Any]]]:
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
            hint="leave --explain out, or use ridge, quantile_trees or a network",
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


def looked_into(
    model: LoadedModel, inputs: ForecastInputs, ready: IntArray, last: int, *, near: _Near | None = None
) -> dict[_Key, dict[str, Any]]:
    """Return (instrument, horizon) -> what a network shows of its forecast beside the reasons; empty of other models.

    ``similar`` are the nearest days before it whose outcome was known, with what followed; ``inside``, of a tft, its
    selection weights and its attention over the past bars.

    Parameters
    ----------
    ready : (M,) instruments that are forecast
    last : time position of the forecasts
    near : horizon -> the similar days of each, where they are known; None = they are found among the usable rows
    """
    asked = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
    features, targets = inputs.features, inputs.targets
    if near is None:
        time, instrument = np.nonzero(inputs.usable[:, :last].T)
        rows = np.column_stack([instrument, time]).astype(np.int64)
        near = nearest_days(model.forecaster, features, targets, rows, asked)
    found: dict[_Key, dict[str, Any]] = {}
    for m, i in enumerate(ready.tolist()):
        chosen = selection_of(model.forecaster, features, asked[m : m + 1])
        for horizon in model.spec.horizons:
            told: dict[str, Any] = {}
            if near:
                told["similar"] = [_day(one) for one in near[horizon][m]]
            if chosen is not None:
                told["inside"] = _inside(chosen, horizon)
            if told:
                found[features.instruments[i], horizon] = told
    return found


def _day(one: SimilarDay) -> dict[str, Any]:
    return {
        "instrument": one.instrument,
        "day": format_ns(one.ended_at)[:10],
        "distance": one.distance,
        "followed": one.followed,
    }


def _inside(chosen: Selection, horizon: int) -> dict[str, Any]:
    """Return the weights of one forecast: shares of groups and inputs, the largest first, and attention by bar."""
    attention = next((one for one in chosen.attention if one.horizon == horizon), None)
    return {
        "groups": [{"name": name, "share": share} for name, share in chosen.groups],
        "inputs": [{"name": name, "share": share} for name, share in chosen.variables[:_LEADING]],
        "attention": None if attention is None else list(attention.past),
        "attention_ahead": None if attention is None else attention.ahead,
    }
