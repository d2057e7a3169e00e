"""What is read off a quantile curve: expected return, confidence, buckets, class probabilities, prediction records.

All of it is a function of the calibrated quantiles alone (``curve`` says how they become a distribution); nothing is
rescaled to please a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import UserError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import Forecast
from foresail.domain.instruments import AssetClass
from foresail.forecasting.curve import cumulative_probability, mean_weights

__all__ = [
    "BUCKETS",
    "BUCKET_EDGES",
    "PredictionRecord",
    "bucket_probabilities",
    "class_probabilities",
    "confidence",
    "expected_return",
    "prediction_records",
    "probability_up",
]

BUCKETS = ("prob_down_5percent", "prob_down_2percent", "prob_flat", "prob_up_2percent", "prob_up_5percent")
BUCKET_EDGES = (-0.035, -0.01, 0.01, 0.035)  # simple returns, mid-points between the named moves (FCST-13)
_NEUTRAL_BAND = 0.5  # k of FCST-07: neutral within k standard deviations of the horizon


def expected_return(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return the mean of each quantile curve, log return.

    Parameters
    ----------
    values : (..., Q); NaN gives NaN
    levels : Q
    """
    # A sum of products in fixed order: the result of a row does not depend on how many rows are asked for.
    w = mean_weights(levels)
    total = np.zeros(values.shape[:-1])
    for q in range(len(w)):
        total += w[q] * values[..., q]
    return total


def probability_up(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return P(return > 0) of each curve; half of a point mass at zero counts as up."""
    return 1.0 - cumulative_probability(values, levels, 0.0)


def confidence(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return the probability that the move has the predicted sign, in [0.5, 1] (FCST-12).

    The predicted sign is that of the expected return. Where the mean and the bulk of the curve disagree (a skewed curve
    around zero), the curve supports neither direction and the confidence is 0.5.

    Parameters
    ----------
    values : (..., Q) calibrated log-return quantiles; NaN gives NaN
    levels : Q
    """
    up = probability_up(values, levels)
    agree = np.where(expected_return(values, levels) >= 0, up, 1.0 - up)
    return np.maximum(agree, 0.5)


def bucket_probabilities(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return (..., 5) probabilities of the moves in ``BUCKETS``, exclusive and summing to 1 (FCST-13)."""
    edges = [cumulative_probability(values, levels, float(np.log1p(e))) for e in BUCKET_EDGES]
    zero, one = np.zeros(values.shape[:-1]), np.ones(values.shape[:-1])
    return np.diff(np.stack([zero, *edges, one], axis=-1), axis=-1)


def class_probabilities(
    values: FloatArray, levels: Sequence[float], deviation: FloatArray, *, floor: float = 0.0
) -> FloatArray:
    """Return (..., 3) probabilities of down, neutral, up (order of FCST-06, thresholds of FCST-07).

    Parameters
    ----------
    values : (..., Q)
    levels : Q
    deviation : (...) standard deviation of the log return over the horizon; neutral lies within half of it
    floor : smallest threshold, the round-trip cost as a fraction
    """
    threshold = np.maximum(_NEUTRAL_BAND * deviation, floor)
    down = cumulative_probability(values, levels, -threshold)
    up = 1.0 - cumulative_probability(values, levels, threshold)
    return np.stack([down, 1.0 - down - up, up], axis=-1)


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


def prediction_records(
    forecast: Forecast,
    asset_class: AssetClass,
    frame: str,
    *,
    prices: FloatArray,
    scale: FloatArray,
    as_of: Sequence[tuple[int, bool]],
) -> tuple[PredictionRecord, ...]:
    """Return one record per instrument and horizon that has a forecast.

    Parameters
    ----------
    prices : (N,) last close
    scale : (N,) volatility of the one-bar log return
    as_of : per instrument, the end of the last bar used (ns UTC) and whether it is stale (FCST-19)

    Raises
    ------
    UserError
        If the forecast has no close.
    """
    if "close" not in forecast.targets:
        raise UserError(f"a prediction record needs a forecast of the close, received {forecast.targets}")
    values = forecast.values[:, forecast.targets.index("close")]  # (N, H, Q)
    mean = expected_return(values, forecast.levels)
    sure = confidence(values, forecast.levels)
    deviation = scale[:, None] * np.sqrt(np.asarray(forecast.horizons, dtype=np.float64))
    classes = class_probabilities(values, forecast.levels, deviation)
    median = int(np.argmin(np.abs(np.asarray(forecast.levels) - 0.5)))

    def level(name: str, i: int, h: int) -> float:
        if name not in forecast.targets:
            return float("nan")
        return float(prices[i] * np.exp(forecast.values[i, forecast.targets.index(name), h, median]))

    records = []
    for i, instrument in enumerate(forecast.instruments):
        for h, horizon in enumerate(forecast.horizons):
            if not np.isfinite(values[i, h]).all():
                continue
            records.append(
                PredictionRecord(
                    ticker=instrument,
                    asset_class=asset_class,
                    frame=frame,
                    horizon=horizon,
                    prediction_time=forecast.issued_at,
                    as_of=as_of[i][0],
                    stale=as_of[i][1],
                    current_price=float(prices[i]),
                    predicted_return=float(mean[i, h]),
                    confidence_score=float(sure[i, h]),
                    quantiles=tuple(zip(forecast.levels, map(float, values[i, h]), strict=True)),
                    class_probabilities=(float(classes[i, h, 0]), float(classes[i, h, 1]), float(classes[i, h, 2])),
                    predicted_high=level("high", i, h),
                    predicted_low=level("low", i, h),
                    model_version=forecast.model,
                    features_hash=forecast.features_hash,
                )
            )
    return tuple(records)
