"""What is read off a quantile curve: expected return, confidence, buckets, class probabilities.

All of it is a function of the calibrated quantiles alone (``curve`` says how they become a distribution); nothing is
rescaled to please a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.curve import cumulative_probability, mean_weights

__all__ = [
    "BUCKETS",
    "BUCKET_EDGES",
    "bucket_probabilities",
    "class_probabilities",
    "confidence",
    "expected_return",
    "probability_up",
]

BUCKETS = ("prob_down_5percent", "prob_down_2percent", "prob_flat", "prob_up_2percent", "prob_up_5percent")
BUCKET_EDGES = (-0.035, -0.01, 0.01, 0.035)  # simple returns, mid-points between the named moves (FCST-13)


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
    values: FloatArray, levels: Sequence[float], deviation: FloatArray, rule: ClassRule
) -> FloatArray:
    """Return (..., 3) probabilities of down, neutral, up (order of FCST-06, thresholds of FCST-07).

    Parameters
    ----------
    values : (..., Q)
    levels : Q
    deviation : (...) standard deviation of the log return over the horizon
    rule : where neutral ends
    """
    threshold = rule.threshold(deviation)
    down = cumulative_probability(values, levels, -threshold)
    up = 1.0 - cumulative_probability(values, levels, threshold)
    return np.stack([down, 1.0 - down - up, up], axis=-1)
