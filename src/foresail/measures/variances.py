"""QLIKE: the loss of variance forecasts that a noisy proxy of the true variance does not mislead.

Squared error of variances is not comparable across instruments and is ruled by a few wild days; QLIKE is neither.

References: [Patton2011] in docs/REFERENCES.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.errors import DataError
from foresail.measures._checks import mean_or_nan, paired_values

__all__ = ["qlike"]


def qlike(variance: ArrayLike, forecast: ArrayLike) -> float:
    """Return the mean of ``v / f - ln(v / f) - 1``, which ranks variance forecasts right even on a noisy proxy.

    Parameters
    ----------
    variance : realised, > 0
    forecast : > 0, same shape and unit

    Raises
    ------
    DataError
        If a value is not above 0.
    """
    outcome, predicted = paired_values(variance, forecast)
    if outcome.size and not (outcome.min() > 0.0 and predicted.min() > 0.0):
        raise DataError("QLIKE needs variances above 0", hint="leave out bars on which nothing traded")
    ratio = outcome / predicted
    return mean_or_nan(ratio - np.log(ratio) - 1.0)
