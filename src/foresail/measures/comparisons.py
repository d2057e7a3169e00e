"""Is one forecast more accurate than another: the Diebold-Mariano test on losses, one value a date.

Never pool names that move together as if they were independent: give the mean loss of each date.

References: [DieboldMariano1995], [HarveyLeybourneNewbold1997], [LazarusLewisStockWatson2018] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures._checks import finite_series, same_length
from foresail.measures.long_run import automatic_terms, bartlett_variance, cosine_variance, truncated_variance

__all__ = ["TestResult", "diebold_mariano"]


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test statistic with its p-value; both NaN where the test is not defined."""

    __test__ = False  # pytest collects classes by this name

    statistic: float
    p_value: float


def diebold_mariano(
    loss: ArrayLike, other: ArrayLike, *, horizon: int = 1, variance: Literal["truncated", "cosine"] = "truncated"
) -> TestResult:
    """Return the two-sided test that two forecasts have the same expected loss; negative = the first is better.

    Parameters
    ----------
    loss, other : (T,), loss of each forecast at each date, finite
    horizon : h, bars ahead: forecasts overlap by h - 1 bars
    variance : "truncated" counts autocovariances to lag h - 1, which is all that right forecasts h bars ahead have,
        with Harvey's small-sample factor; "cosine" also holds where losses stay dependent for longer (volatile times
        come in spells), and asks more of the data

    Returns
    -------
    statistic and p-value from Student's t: T - 1 degrees of freedom, or as many as cosine terms; NaN where the two
    losses differ by a constant

    Raises
    ------
    DataError
        If the lengths differ, a value is not finite, or the horizon is not below the number of dates.
    UnknownNameError
        If ``variance`` is neither.

    Notes
    -----
    Where the sum of autocovariances is not positive, Bartlett weights take the place of equal ones (Harvey, Leybourne
    and Newbold). The cosine estimate has ``0.4 T^(2/3)`` terms.
    """
    first, second = finite_series(loss, name="loss", minimum=2), finite_series(other, name="other loss", minimum=2)
    same_length(first, second, names=("loss", "other loss"))
    n = len(first)
    if not 1 <= horizon < n:
        raise DataError(f"expected a horizon between 1 and {n - 1}, received {horizon}")
    difference = first - second
    freedom, factor = n - 1, 1.0
    if variance == "truncated":
        long_run = truncated_variance(difference, lags=horizon - 1)
        if long_run <= 0.0:
            long_run = bartlett_variance(difference, lags=horizon - 1)
        factor = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    elif variance == "cosine":
        freedom = automatic_terms(n)
        long_run = cosine_variance(difference, terms=freedom)
    else:
        raise UnknownNameError("variance", variance, ("truncated", "cosine"))
    if long_run <= 1e-28 * float(np.max(difference**2)):
        return TestResult(float("nan"), float("nan"))
    statistic = factor * float(difference.mean()) / math.sqrt(long_run / n)
    return TestResult(statistic, float(2.0 * stdtr(freedom, -abs(statistic))))
