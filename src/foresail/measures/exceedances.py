"""Does a value-at-risk forecast break as often as it says, and do breaks come alone (EVAL-05)?

1. Kupiec asks whether breaches are as many as promised, Christoffersen whether one makes the next likelier.
2. The chi-squared law of both is a bad guide where few breaches are expected (1 % of 250 days). The exact p-values
   count: the number of breaches is binomial, and, given their number, every placement in time is equally likely
   where they are independent; how many placements have a given statistic is a product of binomial coefficients.
3. The Basel zones count breaches of a 99 % forecast in 250 days.

References: [Kupiec1995], [Christoffersen1998], [ChristoffersenPelletier2004] in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, gammaln, xlog1py, xlogy

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.measures._checks import finite_series, same_length
from foresail.measures.comparisons import TestResult

__all__ = [
    "ExceedanceReport",
    "Law",
    "basel_zone",
    "conditional_coverage",
    "exceedance_report",
    "independence_test",
    "kupiec_test",
]

Law = Literal["asymptotic", "exact"]
_LAWS = ("asymptotic", "exact")
_TIE = 1e-9  # relative gap below which two statistics are one, so that rounding decides no p-value
_NEGLIGIBLE = 1e-14  # probability of a number of breaches below which it is left out of exact sums
_BASEL_DAYS = 250


def kupiec_test(observations: int, breaches: int, *, level: float, law: Law = "asymptotic") -> TestResult:
    """Return the likelihood-ratio test that breaches happen with probability ``level`` (unconditional coverage).

    Parameters
    ----------
    observations : n
    breaches : x <= n
    level : promised share of breaches, for example 0.01
    law : of the p-value: chi-squared with 1 degree of freedom, or the exact binomial law of the statistic

    Raises
    ------
    DataError
        If the numbers do not fit.
    UnknownNameError
        If ``law`` is neither.
    """
    if not (0 <= breaches <= observations and observations > 0 and 0.0 < level < 1.0):
        raise DataError(
            f"expected 0 <= breaches <= observations and a level in (0, 1), received {breaches} of "
            f"{observations} at {level}"
        )
    _check_law(law)
    statistic = float(_number_statistic(observations, np.array([float(breaches)]), level)[0])
    if law == "asymptotic":
        return TestResult(statistic, float(chdtrc(1.0, statistic)))
    possible = np.arange(observations + 1, dtype=np.float64)
    as_far = _number_statistic(observations, possible, level) >= statistic * (1.0 - _TIE)
    return TestResult(statistic, min(1.0, float(np.exp(_log_binomial(observations, possible, level))[as_far].sum())))


def independence_test(hits: ArrayLike, *, law: Law = "asymptotic") -> TestResult:
    """Return Christoffersen's likelihood-ratio test that a breach does not make the next bar's breach likelier.

    Parameters
    ----------
    hits : (T,), 1 where the outcome broke the forecast, else 0
    law : of the p-value: chi-squared with 1 degree of freedom, or exact given the number of breaches

    Raises
    ------
    DataError
        If a value is neither 0 nor 1.
    UnknownNameError
        If ``law`` is neither.
    """
    series = _hits(hits)
    _check_law(law)
    statistic = _placement_statistic(series)
    if law == "asymptotic":
        return TestResult(statistic, float(chdtrc(1.0, statistic)))
    values, weights = _placements(len(series), int(series.sum()))
    return TestResult(statistic, min(1.0, float(weights[values >= statistic * (1.0 - _TIE)].sum())))


def conditional_coverage(hits: ArrayLike, *, level: float, law: Law = "asymptotic") -> TestResult:
    """Return the joint test of number and independence: the sum of both statistics.

    Parameters
    ----------
    hits : (T,), 1 where the outcome broke the forecast, else 0
    level : promised share of breaches
    law : of the p-value: chi-squared with 2 degrees of freedom, or exact for independent breaches at ``level``

    Raises
    ------
    DataError
        If a value is neither 0 nor 1, or the level is out of range.
    UnknownNameError
        If ``law`` is neither.
    """
    series = _hits(hits)
    number = kupiec_test(len(series), int(series.sum()), level=level)
    _check_law(law)
    statistic = number.statistic + _placement_statistic(series)
    if law == "asymptotic":
        return TestResult(statistic, float(chdtrc(2.0, statistic)))
    n = len(series)
    possible = np.arange(n + 1, dtype=np.float64)
    chance = np.exp(_log_binomial(n, possible, level))
    floor = _number_statistic(n, possible, level)
    beyond = 0.0
    for x in np.flatnonzero(chance > _NEGLIGIBLE).tolist():
        values, weights = _placements(n, x)
        beyond += float(chance[x]) * float(weights[floor[x] + values >= statistic * (1.0 - _TIE)].sum())
    return TestResult(statistic, min(1.0, beyond))


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


@dataclass(frozen=True, slots=True)
class ExceedanceReport:
    """How a value-at-risk forecast did.

    Attributes
    ----------
    observations, breaches : T, and returns below ``-value_at_risk``
    expected : breaches that were promised, ``T * level``
    share : breaches / observations
    number, independence, both : Kupiec, Christoffersen, and the two together
    zone : Basel zone of the last 250 days; None where the level is not 1 % or the record is shorter
    """

    observations: int
    breaches: int
    expected: float
    share: float
    number: TestResult
    independence: TestResult
    both: TestResult
    zone: str | None


def exceedance_report(
    returns: ArrayLike, value_at_risk: ArrayLike, *, level: float, law: Law = "exact"
) -> ExceedanceReport:
    """Return number, share and tests of the breaches of a value-at-risk forecast.

    Parameters
    ----------
    returns : (T,), finite, fraction, in time order
    value_at_risk : (T,), positive loss forecast for the same bar
    level : promised share of breaches, 0.05 for a 95 % value at risk
    law : of the p-values

    Raises
    ------
    DataError
        If the lengths differ, a value is not finite or a number is out of range.
    UnknownNameError
        If ``law`` is neither.
    """
    series = finite_series(returns, name="returns", minimum=2)
    limit = finite_series(value_at_risk, name="value at risk", minimum=2)
    same_length(series, limit, names=("returns", "value at risk"))
    hits = (series < -limit).astype(np.float64)
    n, x = len(hits), int(hits.sum())
    recent = level == 0.01 and n >= _BASEL_DAYS
    return ExceedanceReport(
        observations=n,
        breaches=x,
        expected=n * level,
        share=x / n,
        number=kupiec_test(n, x, level=level, law=law),
        independence=independence_test(hits, law=law),
        both=conditional_coverage(hits, level=level, law=law),
        zone=basel_zone(int(hits[-_BASEL_DAYS:].sum())) if recent else None,
    )


def _check_law(law: str) -> None:
    if law not in _LAWS:
        raise UnknownNameError("law", law, _LAWS)


def _hits(hits: ArrayLike) -> FloatArray:
    series = finite_series(hits, name="hits", minimum=2)
    if not np.isin(series, (0.0, 1.0)).all():
        raise DataError("expected hits of 0 and 1 only")
    return series


def _number_statistic(n: int, x: FloatArray, level: float) -> FloatArray:
    """Return Kupiec's statistic of each number of breaches."""
    promised = xlog1py(n - x, -level) + xlogy(x, level)
    found = xlogy(n - x, 1.0 - x / n) + xlogy(x, x / n)
    statistic: FloatArray = np.maximum(0.0, 2.0 * (found - promised))
    return statistic


def _log_binomial(n: int, x: FloatArray, level: float) -> FloatArray:
    ways = _log_choose(float(n), x)
    log: FloatArray = ways + xlog1py(n - x, -level) + xlogy(x, level)
    return log


def _placement_statistic(series: FloatArray) -> float:
    """Return Christoffersen's statistic of the transitions between neighbours."""
    before, after = series[:-1], series[1:]
    n01, n11 = float(np.sum((before == 0) & (after == 1))), float(np.sum((before == 1) & (after == 1)))
    n10 = float(np.sum((before == 1) & (after == 0)))
    n00 = float(len(before)) - n01 - n10 - n11
    return float(_transition_statistic(np.array([n00]), np.array([n01]), np.array([n10]), np.array([n11]))[0])


def _transition_statistic(n00: FloatArray, n01: FloatArray, n10: FloatArray, n11: FloatArray) -> FloatArray:
    calm_bars, struck_bars = n00 + n01, n10 + n11
    total = (n01 + n11) / (calm_bars + struck_bars)
    calm = np.divide(n01, calm_bars, out=np.zeros_like(n01), where=calm_bars > 0)
    struck = np.divide(n11, struck_bars, out=np.zeros_like(n11), where=struck_bars > 0)
    together = xlogy(n00 + n10, 1.0 - total) + xlogy(n01 + n11, total)
    apart = xlogy(n00, 1.0 - calm) + xlogy(n01, calm) + xlogy(n10, 1.0 - struck) + xlogy(n11, struck)
    statistic: FloatArray = np.maximum(0.0, 2.0 * (apart - together))
    return statistic


def _placements(n: int, x: int) -> tuple[FloatArray, FloatArray]:
    """Return the statistics that ``x`` breaches in ``n`` bars can show, with the share of placements of each.

    Notes
    -----
    A placement with r runs of breaches cuts x into r parts in C(x - 1, r - 1) ways, and the m = n - x calm bars into
    g = r - 1 + (calm at the start) + (calm at the end) parts in C(m - 1, g - 1) ways.
    """
    m = n - x
    if x == 0 or m == 0:
        return np.zeros(1), np.ones(1)
    values, logs = [], []
    for first, last in ((0, 0), (0, 1), (1, 0), (1, 1)):  # 1 = a breach on the first bar, on the last bar
        runs = np.arange(1.0, min(x, m + 1) + 1.0)
        gaps = runs - 1.0 + (1 - first) + (1 - last)
        fit = (gaps >= 1.0) & (gaps <= m)
        runs, gaps = runs[fit], gaps[fit]
        n01, n10, n11 = runs - first, runs - last, x - runs
        values.append(_transition_statistic(n - 1.0 - n01 - n10 - n11, n01, n10, n11))
        logs.append(_log_choose(x - 1.0, runs - 1.0) + _log_choose(m - 1.0, gaps - 1.0))
    whole = _log_choose(float(n), np.array([float(x)]))[0]
    return np.concatenate(values), np.exp(np.concatenate(logs) - whole)


def _log_choose(n: float, k: FloatArray) -> FloatArray:
    log: FloatArray = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return log
