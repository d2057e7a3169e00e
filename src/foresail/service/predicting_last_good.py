"""The last good forecast beside a row that forecasts nothing (FCST-19): what was said while inputs were complete.

It is made anew at the instrument's own last complete bar, by the same model, and only where the model has not learned
from what came after it. It is told as the past that it is: it has no signal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import format_ns
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.training_sets import ForecastInputs
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.curve import finish
from foresail.forecasting.rows import scale_unit
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_stale import ENOUGH

__all__ = ["last_good"]


def last_good(
    model: LoadedModel, inputs: ForecastInputs, bars: Panel, chosen: list[int]
) -> dict[tuple[InstrumentId, int], dict[str, Any]]:
    """Return (instrument, horizon) -> its last good forecast; those that never had one are left out.

    Parameters
    ----------
    bars : of the same instruments and times as ``inputs``
    chosen : instruments whose newest row forecasts nothing
    """
    spec = model.spec
    if not chosen or "close" not in spec.targets:
        return {}
    enough = np.isfinite(inputs.features.values).mean(axis=2) >= ENOUGH
    good = inputs.features.present & np.isfinite(inputs.scale) & enough
    good &= inputs.features.end >= model.usable_from
    rows = np.array([(i, np.flatnonzero(good[i])[-1]) for i in chosen if good[i].any()], dtype=np.int64).reshape(-1, 2)
    if not len(rows):
        return {}
    raw = model.forecaster.predict(inputs.features, rows, inputs.scale)
    values = finish(model.shift.apply(raw, scale_unit(inputs.scale, rows, spec.horizons)), spec.targets)
    curves: FloatArray = values[:, spec.targets.index("close")]
    found = {}
    for (i, t), by_horizon in zip(rows.tolist(), curves, strict=True):
        price = float(bars.field("close")[i, t])
        for horizon, curve in zip(spec.horizons, by_horizon, strict=True):
            if not np.isfinite(curve).all():
                continue
            low, middle, high = (float(price * np.exp(np.interp(p, spec.levels, curve))) for p in (0.1, 0.5, 0.9))
            found[bars.instruments[i], horizon] = {
                "as_of": format_ns(int(bars.end[t])),
                "predicted_return": float(expected_return(curve[None, :], spec.levels)[0]),
                "predicted_price": middle,
                "price_low": low,
                "price_high": high,
            }
    return found
