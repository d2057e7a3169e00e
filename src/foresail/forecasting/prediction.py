"""Prediction records (FCST-11): what one forecast says of each instrument and horizon, calibrated.

Expected return and quantiles are the forecaster's; class probabilities and confidence pass through the calibration that
the model carries (EVAL-06).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import UserError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import Forecast
from foresail.domain.instruments import AssetClass
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.confidence import expected_return

__all__ = ["LastBars", "PredictionRecord", "prediction_records"]


@dataclass(frozen=True, slots=True)
class PredictionRecord:
    """One prediction as it is stored and shown (FCST-11). Times ns UTC, prices in quote currency.

    Attributes
    ----------
    horizon : bars
    predicted_return : expected log return of the close
    quantiles : (level, log return) of the close
    class_probabilities : down, neutral, up
    predicted_high, predicted_low : median of the target as a price; NaN where not forecast
    as_of : end of the last bar used; the prediction is ``stale`` if a newer one exists by ``prediction_time``
    """

    ticker: InstrumentId
    asset_class: AssetClass
    frame: str
    horizon: int
    prediction_time: int
    as_of: int
    stale: bool
    current_price: float
    predicted_return: float
    confidence_score: float
    quantiles: tuple[tuple[float, float], ...]
    class_probabilities: tuple[float, float, float]
    predicted_high: float
    predicted_low: float
    model_version: str
    features_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class LastBars:
    """What a forecast stands on, by instrument.

    Attributes
    ----------
    prices : (N,) last close
    scale : (N,) volatility of the one-bar log return
    as_of : per instrument, the end of the last bar used (ns UTC) and whether it is stale (FCST-19)
    """

    asset_class: AssetClass
    frame: str
    prices: FloatArray
    scale: FloatArray
    as_of: Sequence[tuple[int, bool]]


def prediction_records(
    forecast: Forecast, bars: LastBars, calibration: ClassCalibration | None = None
) -> tuple[PredictionRecord, ...]:
    """Return one record per instrument and horizon that has a forecast.

    Parameters
    ----------
    calibration : of class probabilities and confidence; None = as they are read off the curve, k = 0.5

    Raises
    ------
    UserError
        If the forecast has no close.
    """
    if "close" not in forecast.targets:
        raise UserError(f"a prediction record needs a forecast of the close, received {forecast.targets}")
    values = forecast.values[:, forecast.targets.index("close")]  # (N, H, Q)
    how = ClassCalibration.of(None, len(forecast.horizons)) if calibration is None else calibration
    mean = expected_return(values, forecast.levels)
    records = []
    for h, horizon in enumerate(forecast.horizons):
        sure = how.confidence(values[:, h], forecast.levels, h)
        classes = how.class_probabilities(values[:, h], forecast.levels, bars.scale * math.sqrt(horizon), h)
        for i, instrument in enumerate(forecast.instruments):
            if not np.isfinite(values[i, h]).all():
                continue
            down, neutral, up = classes[i].tolist()
            records.append(
                PredictionRecord(
                    ticker=instrument,
                    asset_class=bars.asset_class,
                    frame=bars.frame,
                    horizon=horizon,
                    prediction_time=forecast.issued_at,
                    as_of=bars.as_of[i][0],
                    stale=bars.as_of[i][1],
                    current_price=float(bars.prices[i]),
                    predicted_return=float(mean[i, h]),
                    confidence_score=float(sure[i]),
                    quantiles=tuple(zip(forecast.levels, map(float, values[i, h]), strict=True)),
                    class_probabilities=(down, neutral, up),
                    predicted_high=_level(forecast, "high", (i, h), bars.prices[i]),
                    predicted_low=_level(forecast, "low", (i, h), bars.prices[i]),
                    model_version=forecast.model,
                    features_hash=forecast.features_hash,
                )
            )
    order = {name: i for i, name in enumerate(forecast.instruments)}
    return tuple(sorted(records, key=lambda one: order[one.ticker]))  # stable: horizons keep their order


def _level(forecast: Forecast, name: str, at: tuple[int, int], price: float) -> float:
    """Return the median of a target as a price; NaN where it is not forecast."""
    if name not in forecast.targets:
        return float("nan")
    i, h = at
    median = int(np.argmin(np.abs(np.asarray(forecast.levels) - 0.5)))
    return float(price * np.exp(forecast.values[i, forecast.targets.index(name), h, median]))
