"""Tests of whole distributions and of their tails: PIT, and value at risk with expected shortfall.

Value at risk and expected shortfall are given as positive losses; a breach is a return below ``-value_at_risk``.

References: [DieboldGuntherTay1998] (PIT), [AcerbiSzekely2014] (Z1, Z2), [PattonZiegelChen2019] (FZ0) in
docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.measures._checks import finite_series, same_length
from foresail.measures.comparisons import TestResult

__all__ = ["acerbi_szekely_z1", "acerbi_szekely_z2", "fz0_loss", "pit_from_quantiles", "uniformity_test"]


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
