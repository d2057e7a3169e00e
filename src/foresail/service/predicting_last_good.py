"""The last good forecast beside a row that forecasts nothing (FCST-19): what was said while inputs were complete.

It is made anew at the instrument's own last complete bar, by the same model, and only where the model has not learned
from what came after it. It is told as the past that it is: it has no signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.clock import format_ns
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.row_rules import context_of, windows_whole
from foresail.engine.training_sets import ForecastInputs
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.curve import finish
from foresail.forecasting.rows import scale_unit
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_stale import ENOUGH

__all__ = ["good_forecasts", "good_rows", "last_good"]


def last_good(
    model: LoadedModel, inputs: ForecastInputs, bars: Panel, chosen: list[int]
) -> dict[tuple[InstrumentId, int], dict[str, Any]]:
    """Return (instrument, horizon) -> its last good forecast; those that never had one are left out.

    Parameters
    ----------
    bars : of the same instruments and times as ``inputs``
    chosen : instruments whose newest row forecasts nothing
    """
    whole = windows_whole(inputs.features.present, context_of(model.forecaster))
    rows = good_rows(model, inputs.features, inputs.scale, chosen, whole)
    if not len(rows):
        return {}
    i, t = rows.T
    raw = model.forecaster.predict(inputs.features, rows, inputs.scale)
    names = [bars.instruments[k] for k in i.tolist()]
    return good_forecasts(model, names, raw, inputs.scale[i, t], close=bars.field("close")[i, t], end=bars.end[t])


def good_rows(
    model: LoadedModel, features: Panel, scale: FloatArray, chosen: Sequence[int], whole: BoolArray
) -> IntArray:
    """Return (R, 2) instruments with their last complete bars; those that never had one are left out.

    Parameters
    ----------
    scale : (N, T)
    whole : (N, T) whether no gap lies within what the model sees there
    """
    enough = np.isfinite(features.values).mean(axis=2) >= ENOUGH
    good = features.present & np.isfinite(scale) & enough & whole
    good &= features.end >= model.usable_from
    found = [(i, np.flatnonzero(good[i])[-1]) for i in chosen if good[i].any()]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def good_forecasts(
    model: LoadedModel,
    names: Sequence[InstrumentId],
    raw: FloatArray,
    scale: FloatArray,
    *,
    close: FloatArray,
    end: IntArray,
) -> dict[tuple[InstrumentId, int], dict[str, Any]]:
    """Return (instrument, horizon) -> what a forecaster said at a bar of each of R instruments.

    Parameters
    ----------
    raw : (R, K, H, Q)
    scale, close : (R,) of those bars
    end : (R,) ns UTC
    """
    spec = model.spec
    if "close" not in spec.targets or not len(names):
        return {}
    every = np.column_stack([np.arange(len(raw)), np.zeros(len(raw))]).astype(np.int64)
    values = finish(model.shift.apply(raw, scale_unit(scale[:, None], every, spec.horizons)), spec.targets)
    curves: FloatArray = values[:, spec.targets.index("close")]
    found = {}
    for name, by_horizon, price, at in zip(names, curves, close.tolist(), end.tolist(), strict=True):
        for horizon, curve in zip(spec.horizons, by_horizon, strict=True):
            if not np.isfinite(curve).all():
                continue
            low, middle, high = (float(price * np.exp(np.interp(p, spec.levels, curve))) for p in (0.1, 0.5, 0.9))
            found[name, horizon] = {
                "as_of": format_ns(at),
                "predicted_return": float(expected_return(curve[None, :], spec.levels)[0]),
                "predicted_price": middle,
                "price_low": low,
                "price_high": high,
            }
    return found
