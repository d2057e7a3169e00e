"""Tests of whole distributions and of their tails: PIT, and value at risk with expected shortfall.

The tests of uniformity hold for forecasts made without the outcomes they are tested on; parameters that were fitted
to the same outcomes make them pass too often. Value at risk and expected shortfall are given as positive losses; a
breach is a return below ``-value_at_risk``.

References: [DieboldGuntherTay1998] (PIT), [MarsagliaMarsaglia2004] (Anderson-Darling), [AcerbiSzekely2014] (Z1, Z2),
[PattonZiegelChen2019] (FZ0) in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.measures._checks import finite_series, same_length
from foresail.measures.comparisons import TestResult

__all__ = [
    "ShortfallTest",
    "acerbi_szekely_z1",
    "acerbi_szekely_z2",
    "anderson_darling_test",
    "fz0_loss",
    "pit_from_quantiles",
    "shortfall_test",
    "uniformity_test",
]

_FEWEST = 8  # probabilities below which the law of the Anderson-Darling statistic is not known well


def pit_from_quantiles(actual: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Return the probability that each forecast gave to values up to its outcome, linear between quantiles.

    Parameters
    ----------
    actual : (M,)
    quantiles : (M, Q), ascending along Q
    levels : Q, ascending, in (0, 1)

    Returns
    -------
    (M,) in [lowest level, highest level]: outcomes beyond the outer quantiles are held there, as the forecast says no
    more about them

    Raises
    ------
    DataError
        If the shapes do not fit.
    """
    outcome, table = finite_series(actual, name="actual"), np.asarray(quantiles, dtype=np.float64)
    if table.shape != (len(outcome), len(levels)):
        raise DataError(f"expected quantiles of shape {(len(outcome), len(levels))}, received {table.shape}")
    tau = np.asarray(levels, dtype=np.float64)
    return np.array([np.interp(value, row, tau) for value, row in zip(outcome, table, strict=True)])


def uniformity_test(probabilities: ArrayLike) -> TestResult:
    """Return the Kolmogorov-Smirnov test that probability integral transforms are uniform on [0, 1].

    Parameters
    ----------
    probabilities : (M,) in [0, 1], independent

    Raises
    ------
    DataError
        If a value is not finite or lies outside [0, 1].
    """
    from scipy.stats import kstwo  # slow to import, and wanted by few callers

    series = np.sort(finite_series(probabilities, name="probabilities"))
    if series[0] < 0.0 or series[-1] > 1.0:
        raise DataError(f"expected probabilities in [0, 1], received {series[0]:g} to {series[-1]:g}")
    n = len(series)
    steps = np.arange(1, n + 1) / n
    distance = float(max(np.max(steps - series), np.max(series - steps + 1.0 / n)))
    return TestResult(distance, float(kstwo.sf(distance, n)))


def anderson_darling_test(probabilities: ArrayLike) -> TestResult:
    """Return the Anderson-Darling test of uniformity, which looks at the tails harder than Kolmogorov-Smirnov does.

    Parameters
    ----------
    probabilities : (M,) strictly inside (0, 1), independent

    Raises
    ------
    DataError
        If there are fewer than eight, a value is not finite, or one lies at 0 or 1 or outside.

    Notes
    -----
    ``A2 = -n - 1/n sum (2i - 1) (ln u_i + ln(1 - u_(n+1-i)))``; the p-value is that of [MarsagliaMarsaglia2004] for
    known parameters, right to about 1e-5 in the middle and 1e-4 in the tail.
    """
    series = np.sort(finite_series(probabilities, name="probabilities", minimum=_FEWEST))
    if not (series[0] > 0.0 and series[-1] < 1.0):
        raise DataError(
            f"expected probabilities strictly inside (0, 1), received {series[0]:g} to {series[-1]:g}",
            hint="a forecast that gave no probability to what came fails without a test",
        )
    n = len(series)
    odd = 2.0 * np.arange(1, n + 1) - 1.0
    statistic = float(-n - np.mean(odd * (np.log(series) + np.log1p(-series[::-1]))))
    return TestResult(statistic, 1.0 - _anderson_darling_law(n, statistic))


def _anderson_darling_law(n: int, z: float) -> float:
    """Return P(A2 < z): the limit law with its correction for n values."""
    if z < 2.0:
        slope = _polynomial(z, (2.00012, 0.247105, -0.0649821, 0.0347962, -0.0116720, 0.00168691))
        limit = float(np.exp(-1.2337141 / z) / np.sqrt(z) * slope)
    else:
        limit = float(np.exp(-np.exp(_polynomial(z, (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)))))
    if limit > 0.8:
        error = _polynomial(limit, (-130.2137, 745.2337, -1705.091, 1950.646, -1116.360, 255.7844)) / n
        return min(1.0, limit + error)
    knee = 0.01265 + 0.1757 / n
    if limit < knee:
        t = limit / knee
        return limit + float(np.sqrt(t)) * (1.0 - t) * (49.0 * t - 102.0) * (0.0037 / n**2 + 0.00078 / n + 0.00006) / n
    t = (limit - knee) / (0.8 - knee)
    bend = _polynomial(t, (-0.00022633, 6.54034, -14.6538, 14.458, -8.259, 1.91864))
    return limit + bend * (0.04213 + 0.01365 / n) / n


def _polynomial(x: float, coefficients: tuple[float, ...]) -> float:
    return float(np.polynomial.polynomial.polyval(x, np.array(coefficients)))


def _tail_inputs(
    returns: ArrayLike, value_at_risk: ArrayLike, shortfall: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    series = finite_series(returns, name="returns")
    var = finite_series(np.broadcast_to(np.asarray(value_at_risk), series.shape), name="value at risk")
    tail = finite_series(np.broadcast_to(np.asarray(shortfall), series.shape), name="expected shortfall")
    same_length(var, tail, names=("value at risk", "expected shortfall"))
    if not np.all((var > 0.0) & (tail >= var)):
        raise DataError("expected losses above 0, with an expected shortfall at or beyond the value at risk")
    return series, var, tail


def acerbi_szekely_z1(returns: ArrayLike, value_at_risk: ArrayLike, shortfall: ArrayLike) -> float:
    """Return ``1 + mean over breaches of r / ES``: below 0 where breaches are deeper than forecast; NaN without any.

    Parameters
    ----------
    returns : (T,), fraction
    value_at_risk, shortfall : (T,) or one number, positive losses
    """
    series, var, tail = _tail_inputs(returns, value_at_risk, shortfall)
    breach = series < -var
    return float(1.0 + np.mean(series[breach] / tail[breach])) if breach.any() else float("nan")


def acerbi_szekely_z2(returns: ArrayLike, value_at_risk: ArrayLike, shortfall: ArrayLike, *, level: float) -> float:
    """Return ``1 + sum over breaches of r / (T level ES)``: below 0 where breaches are too many or too deep.

    Parameters
    ----------
    returns : (T,), fraction
    value_at_risk, shortfall : (T,) or one number, positive losses
    level : share of outcomes in the tail, 0.025 for ES 97.5 %

    Notes
    -----
    0 is expected of a right forecast; about -0.70 is the 5 % critical value for common tails.
    """
    series, var, tail = _tail_inputs(returns, value_at_risk, shortfall)
    breach = series < -var
    return float(1.0 + np.sum(series[breach] / tail[breach]) / (len(series) * level))


def fz0_loss(returns: ArrayLike, value_at_risk: ArrayLike, shortfall: ArrayLike, *, level: float) -> float:
    """Return the mean Fissler-Ziegel loss (FZ0), which ranks pairs of value at risk and expected shortfall.

    Parameters
    ----------
    returns : (T,), fraction
    value_at_risk, shortfall : (T,) or one number, positive losses
    level : share of outcomes in the tail

    Returns
    -------
    lower is better; differences do not depend on the unit of the returns
    """
    series, var, tail = _tail_inputs(returns, value_at_risk, shortfall)
    excess = np.where(series <= -var, -var - series, 0.0)
    return float(np.mean(excess / (level * tail) + var / tail + np.log(tail) - 1.0))


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """The second statistic of Acerbi and Szekely with its simulated law.

    Attributes
    ----------
    statistic : Z2; 0 is expected of a right forecast, less than 0 of one that is too small
    p_value : share of right forecasts, simulated, with a statistic as low
    critical_value : the statistic below which 5 % of right forecasts fall
    """

    statistic: float
    p_value: float
    critical_value: float


def shortfall_test(
    returns: ArrayLike,
    value_at_risk: ArrayLike,
    shortfall: ArrayLike,
    *,
    level: float,
    degrees_of_freedom: float | None,
    draws: int = 5000,
) -> ShortfallTest:
    """Return the one-sided test that expected shortfall is not forecast too small (Acerbi and Szekely's Z2).

    Parameters
    ----------
    returns : (T,), fraction
    value_at_risk, shortfall : (T,) or one number, positive losses
    level : share of outcomes in the tail, 0.025 for ES 97.5 %
    degrees_of_freedom : of the Student law that the forecasts assumed; None = normal. There is no default, since the
        law decides the p-value
    draws : records simulated

    Raises
    ------
    DataError
        If the inputs do not fit, the level is out of range or the law has no expected shortfall.

    Notes
    -----
    Under a law that is scaled from day to day, Z2 depends on the standardised law alone: the number of breaches is
    binomial and their depth is drawn from the tail. The same draws on every machine.
    """
    observed = acerbi_szekely_z2(returns, value_at_risk, shortfall, level=level)
    length = len(np.asarray(returns))
    simulated = _simulated_z2(length, level, degrees_of_freedom, draws)
    p_value = (1.0 + float(np.sum(simulated <= observed))) / (draws + 1.0)
    return ShortfallTest(observed, p_value, float(np.quantile(simulated, 0.05)))


def _simulated_z2(length: int, level: float, freedom: float | None, draws: int) -> FloatArray:
    from scipy.special import ndtri, stdtrit

    if freedom is not None and not freedom > 1.0:
        raise DataError(f"expected more than 1 degree of freedom, received {freedom}: no expected shortfall exists")
    if not 0.0 < level < 0.5 or draws < 100:
        raise DataError(f"expected a level in (0, 0.5) and at least 100 draws, received {level} and {draws}")
    random = generator(0, "shortfall-test")

    def quantile(share: FloatArray) -> FloatArray:
        return np.asarray(ndtri(share) if freedom is None else stdtrit(freedom, share), dtype=np.float64)

    if freedom is None:
        tail = float(np.exp(-0.5 * ndtri(level) ** 2) / np.sqrt(2.0 * np.pi) / level)
    else:
        from scipy.stats import t

        point = float(stdtrit(freedom, level))
        tail = float(t.pdf(point, freedom) / level * (freedom + point * point) / (freedom - 1.0))
    breaches = random.binomial(length, level, size=draws)
    depth = quantile(level * (1.0 - random.random(int(breaches.sum())))) / tail
    record = np.repeat(np.arange(draws), breaches)
    sums = np.bincount(record, weights=depth, minlength=draws)
    result: FloatArray = 1.0 + sums / (length * level)
    return result
