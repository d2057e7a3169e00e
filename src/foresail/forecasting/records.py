"""Forecasts as they are stored and shown (FCST-11): one plain row for each instrument and horizon.

A row without a forecast says why: nothing is forecast from stale or incomplete inputs (FCST-19).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import format_ns
from foresail.forecasting.confidence import BUCKETS, bucket_probabilities
from foresail.forecasting.prediction import PredictionRecord

__all__ = ["CLASS_SIGNALS", "RECORD_COLUMNS", "forecast_row", "stale_row"]

CLASS_SIGNALS = ("SELL", "HOLD", "BUY")  # order of FCST-06

# name -> meaning; times are ISO text in UTC, prices in quote currency, returns are log returns of the close
RECORD_COLUMNS: dict[str, str] = {
    "instrument": "permanent id",
    "ticker": "what the data set calls it",
    "asset_class": "stock, crypto or forex",
    "frame": "of the bars",
    "horizon": "bars ahead",
    "horizon_name": "the same as a span; sessions for stocks (FCST-15)",
    "prediction_time": "when the forecast was asked for",
    "as_of": "end of the last bar that was used",
    "stale": "true: inputs were stale or incomplete and nothing is forecast",
    "reason": "why nothing is forecast",
    "current_price": "close of that bar, as stored",
    "predicted_return": "mean of the curve",
    "predicted_price": "median of the curve as a price",
    "price_low": "P10 of the curve as a price",
    "price_high": "P90 of the curve as a price",
    "predicted_high": "median of the highest price on the way",
    "predicted_low": "median of the lowest price on the way",
    "confidence_score": "probability of the predicted sign (FCST-12)",
    "signal": "the most probable class",
    "prob_down": "FCST-07",
    "prob_neutral": "FCST-07",
    "prob_up": "FCST-07",
    **dict.fromkeys(BUCKETS, "FCST-13; the five sum to 1"),
    "quantiles": "level -> log return",
    "reasons": "leading features with what they add to the mean, where they were asked for (XPL-03)",
    "similar": "of a network, where they were asked for: the most similar days before it, and what followed (XPL-03)",
    "inside": "of a tft, where it was asked for: selection weights, and attention over the past (XPL-02)",
    "breakdown": "of several models: what each says, its vote and its weight (FCST-14)",
    "last_good": "of a stale row: the last forecast from complete inputs, without a signal (FCST-19)",
    "model_version": "name in the registry and version of what was fitted",
    "features_hash": "of schema version, ordered names and the input row (FEAT-16)",
}


def forecast_row(
    record: PredictionRecord, *, ticker: str, name: str, buckets: FloatArray | None = None
) -> dict[str, Any]:
    """Return a prediction as a row of ``RECORD_COLUMNS``.

    Parameters
    ----------
    ticker : what the data set calls the instrument
    name : of the horizon
    buckets : (5,) what ``bucket_probabilities`` says of the curve, where many were asked at once; None = asked here
    """
    levels = tuple(level for level, _ in record.quantiles)
    curve = np.array([value for _, value in record.quantiles])
    shares = bucket_probabilities(curve[None, :], levels)[0] if buckets is None else buckets
    middle = int(np.argmin(np.abs(np.array(levels) - 0.5)))
    down, neutral, up = record.class_probabilities
    row = _head(record, ticker=ticker, name=name) | {
        "stale": False,
        "reason": "",
        "predicted_return": record.predicted_return,
        "predicted_price": record.current_price * float(np.exp(curve[middle])),
        "price_low": _price(record, levels, 0.1),
        "price_high": _price(record, levels, 0.9),
        "predicted_high": record.predicted_high,
        "predicted_low": record.predicted_low,
        "confidence_score": record.confidence_score,
        "signal": CLASS_SIGNALS[int(np.argmax(record.class_probabilities))],
        "prob_down": down,
        "prob_neutral": neutral,
        "prob_up": up,
        **dict(zip(BUCKETS, map(float, shares), strict=True)),
        "quantiles": {f"{level:g}": value for level, value in record.quantiles},
        "reasons": None,
        "similar": None,
        "inside": None,
        "breakdown": None,
        "last_good": None,
    }
    return {column: row[column] for column in RECORD_COLUMNS}


def stale_row(record: PredictionRecord, *, ticker: str, name: str, reason: str) -> dict[str, Any]:
    """Return a row that forecasts nothing, with the last known price and why (FCST-19); see ``forecast_row``."""
    row = _head(record, ticker=ticker, name=name) | {"stale": True, "reason": reason}
    return {column: row.get(column) for column in RECORD_COLUMNS}


def _price(record: PredictionRecord, levels: tuple[float, ...], level: float) -> float:
    """Return a quantile of the close as a price, straight between its levels."""
    return record.current_price * float(np.exp(np.interp(level, levels, [value for _, value in record.quantiles])))


def _head(record: PredictionRecord, *, ticker: str, name: str) -> dict[str, Any]:
    return {
        "instrument": str(record.ticker),
        "ticker": ticker,
        "asset_class": record.asset_class.value,
        "frame": record.frame,
        "horizon": record.horizon,
        "horizon_name": name,
        "prediction_time": format_ns(record.prediction_time),
        "as_of": format_ns(record.as_of),
        "current_price": record.current_price,
        "model_version": record.model_version,
        "features_hash": record.features_hash,
    }
