"""Tests on forecasts: is one more accurate than another, and does a value-at-risk forecast break as often as it says.

1. Diebold-Mariano compares two series of losses, one value a date: never pool correlated names as if independent.
2. Kupiec asks whether breaches are as many as promised, Christoffersen whether they come alone.
3. The Basel zones count breaches of a 99 % forecast in 250 days.

References: [DieboldMariano1995], [HarveyLeybourneNewbold1997], [Kupiec1995], [Christoffersen1998] in
docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, stdtr, xlogy

from foresail.core.errors import DataError
from foresail.measures._checks import finite_series, same_length

__all__ = [
    "TestResult",
    "basel_zone",
    "conditional_coverage",
    "diebold_mariano",
    "independence_test",
    "kupiec_test",
]


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test statistic with its p-value; both NaN where the test is not defined."""

    __test__ = False  # pytest collects classes by this name

    statistic: float
    p_value: float


def diebold_mariano(loss: ArrayLike, other: ArrayLike, *, horizon: int = 1) -> TestResult:
    """Return the two-sided test that two forecasts have the same expected loss; negative = the first is better.

    Parameters
    ----------
    loss, other : (T,), loss of each forecast at each date, finite
    horizon : h, bars ahead: forecasts overlap by h - 1 bars

    Returns
    -------
    statistic with Harvey's small-sample factor, p-value from Student's t with T - 1 degrees of freedom; NaN where the
    two losses differ by a constant

    Raises
    ------
    DataError
        If the lengths differ, a value is not finite, or the horizon is not below the number of dates.

    Notes
    -----
    Variance: autocovariances to lag h - 1 with equal weights; where that sum is not positive, Bartlett weights.
    """
    first, second = finite_series(loss, name="loss", minimum=2), finite_series(other, name="other loss", minimum=2)
    same_length(first, second, names=("loss", "other loss"))
    n = len(first)
    if not 1 <= horizon < n:
        raise DataError(f"expected a horizon between 1 and {n - 1}, received {horizon}")
    difference = first - second
    deviation = difference - difference.mean()
    covariance = np.array([deviation[lag:] @ deviation[: n - lag] for lag in range(horizon)]) / n
    variance = float(covariance[0] + 2.0 * covariance[1:].sum())
    if variance <= 0.0:
        variance = float(covariance[0] + 2.0 * ((1.0 - np.arange(1, horizon) / horizon) * covariance[1:]).sum())
    if variance <= 1e-28 * float(np.max(difference**2)):
        return TestResult(float("nan"), float("nan"))
    harvey = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = harvey * float(difference.mean()) / math.sqrt(variance / n)
    return TestResult(statistic, float(2.0 * stdtr(n - 1, -abs(statistic))))


def kupiec_test(observations: int, breaches: int, *, level: float) -> TestResult:
    """Return the likelihood-ratio test that breaches happen with probability ``level`` (unconditional coverage).

    Parameters
    ----------
    observations : n
    breaches : x <= n
    level : promised share of breaches, for example 0.01

    Raises
    ------
    DataError
        If the numbers do not fit.
    """
    if not (0 <= breaches <= observations and observations > 0 and 0.0 < level < 1.0):
        raise DataError(
            f"expected 0 <= breaches <= observations and a level in (0, 1), received {breaches} of "
            f"{observations} at {level}"
        )
    n, x = float(observations), float(breaches)
    promised = xlogy(n - x, 1.0 - level) + xlogy(x, level)
    found = xlogy(n - x, 1.0 - x / n) + xlogy(x, x / n)
    statistic = max(0.0, float(2.0 * (found - promised)))
    return TestResult(statistic, float(chdtrc(1.0, statistic)))


def independence_test(hits: ArrayLike) -> TestResult:
    """Return Christoffersen's likelihood-ratio test that a breach does not make the next bar's breach likelier.

    Parameters
    ----------
    hits : (T,), 1 where the outcome broke the forecast, else 0

    Raises
    ------
    DataError
        If a value is neither 0 nor 1.
    """
    series = finite_series(hits, name="hits", minimum=2)
    if not np.isin(series, (0.0, 1.0)).all():
        raise DataError("expected hits of 0 and 1 only")
    before, after = series[:-1], series[1:]
    n00, n01 = float(np.sum((before == 0) & (after == 0))), float(np.sum((before == 0) & (after == 1)))
    n10, n11 = float(np.sum((before == 1) & (after == 0))), float(np.sum((before == 1) & (after == 1)))
    total = (n01 + n11) / (n00 + n01 + n10 + n11)
    calm = n01 / (n00 + n01) if n00 + n01 else 0.0
    struck = n11 / (n10 + n11) if n10 + n11 else 0.0
    together = xlogy(n00 + n10, 1.0 - total) + xlogy(n01 + n11, total)
    apart = xlogy(n00, 1.0 - calm) + xlogy(n01, calm) + xlogy(n10, 1.0 - struck) + xlogy(n11, struck)
    statistic = max(0.0, float(2.0 * (apart - together)))
    return TestResult(statistic, float(chdtrc(1.0, statistic)))


def conditional_coverage(hits: ArrayLike, *, level: float) -> TestResult:
    """Return the joint test of number and independence: the sum of both statistics, chi-squared with 2 degrees."""
    series = finite_series(hits, name="hits", minimum=2)
    number = kupiec_test(len(series), int(series.sum()), level=level)
    statistic = number.statistic + independence_test(series).statistic
    return TestResult(statistic, float(chdtrc(2.0, statistic)))


def basel_zone(breaches: int) -> str:
    """Return green (0 to 4), yellow (5 to 9) or red for breaches of a 99 % value at risk in 250 days.

    Raises
    ------
    DataError
        If the number is negative.
    """
    if breaches < 0:
        raise DataError(f"expected a number of breaches, received {breaches}")
    if breaches <= 4:
        return "green"
    return "yellow" if breaches <= 9 else "red"
