"""Means whose observations are days: names of one day move together and are never counted as independent.

1. ``mean_over_days`` takes one number a day (an information coefficient, a share of right signs, a mean loss) and
   gives its mean with an interval: days independent, or dependent from day to day (cosine or Bartlett variance).
2. ``cross_section_means`` makes such numbers from a value per name and day, skipping and counting thin days.
3. ``clustered_mean`` weighs rows, not days: the mean of all rows with an interval clustered by day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.domain.runs import Interval
from foresail.measures._checks import check_level, finite_series
from foresail.measures.bootstrap import day_clustered_standard_error
from foresail.measures.long_run import automatic_lags, automatic_terms, bartlett_variance, cosine_variance

__all__ = [
    "MINIMUM_DAYS",
    "CrossSection",
    "DayMean",
    "Dependence",
    "clustered_mean",
    "cross_section_means",
    "mean_over_days",
]

MINIMUM_DAYS = 10  # fewer days leave an interval that says nothing
Dependence = Literal["independent", "cosine", "bartlett"]


@dataclass(frozen=True, slots=True)
class DayMean:
    """A mean over days.

    Attributes
    ----------
    interval : mean with its interval, unit of the daily numbers
    standard_error : of the mean
    degrees_of_freedom : of the t law behind the interval
    days, skipped : that entered, and that were NaN
    """

    interval: Interval
    standard_error: float
    degrees_of_freedom: float
    days: int
    skipped: int


@dataclass(frozen=True, slots=True, eq=False)
class CrossSection:
    """One number a day.

    Attributes
    ----------
    daily : (T,), mean over the names of the day; NaN on skipped days
    days, skipped : days that entered, and days left out for too few names; a day without any name is neither
    """

    daily: FloatArray
    days: int
    skipped: int


def cross_section_means(values: ArrayLike, *, minimum_names: int = 1) -> CrossSection:
    """Return the mean over names of each day.

    Parameters
    ----------
    values : (N, T); NaN = missing
    minimum_names : days with fewer known names are skipped and counted

    Raises
    ------
    DataError
        If the array is not (N, T), a value is infinite, or ``minimum_names`` is below 1.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or minimum_names < 1:
        raise DataError(
            f"expected a (names, days) array and at least 1 name a day, received {table.shape} and {minimum_names}"
        )
    if np.isinf(table).any():
        raise DataError("expected numbers or NaN, received an infinite value", hint="NaN says that a value is missing")
    known = ~np.isnan(table)
    names = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    daily = np.divide(total, names, out=np.full(table.shape[1], np.nan), where=names >= minimum_names)
    used = int((names >= minimum_names).sum())
    return CrossSection(daily, used, int((names > 0).sum()) - used)


def mean_over_days(daily: ArrayLike, *, level: float = 0.95, dependence: Dependence = "independent") -> DayMean:
    """Return the mean of daily numbers with its interval.

    Parameters
    ----------
    daily : (T,), one number a day in time order; NaN days are skipped and counted
    level : of the interval
    dependence : from day to day. "independent" is the t interval; "cosine" and "bartlett" allow for autocorrelation
        (labels that span several days), the first with t(B), the second with t(T - 1), which is too narrow on short
        records

    Raises
    ------
    DataError
        If fewer than ten days are known, a value is infinite or the level is not inside (0, 1).
    UnknownNameError
        If ``dependence`` is none of the three.
    """
    check_level(level)
    given = np.asarray(daily, dtype=np.float64)
    if given.ndim != 1:
        raise DataError(f"daily: expected one series, received an array of shape {given.shape}")
    series = finite_series(given[~np.isnan(given)], name="days with a value", minimum=MINIMUM_DAYS)
    n = len(series)
    freedom = float(n - 1)
    if dependence == "independent":
        variance = float(series.var(ddof=1))
    elif dependence == "bartlett":
        variance = bartlett_variance(series, lags=automatic_lags(n)) * n / (n - 1)
    elif dependence == "cosine":
        terms = automatic_terms(n)
        variance, freedom = cosine_variance(series, terms=terms), float(terms)
    else:
        raise UnknownNameError("dependence", dependence, ("independent", "cosine", "bartlett"))
    error = math.sqrt(variance / n)
    return DayMean(_reach(float(series.mean()), error, freedom, level), error, freedom, n, len(given) - n)


def clustered_mean(values: ArrayLike, days: ArrayLike, *, level: float = 0.95) -> DayMean:
    """Return the mean of all rows with an interval clustered by day: days with more rows weigh more.

    Parameters
    ----------
    values : (M,), finite
    days : (M,), day of each value, any integers; rows of one day may be dependent, days not
    level : of the interval

    Raises
    ------
    DataError
        If the lengths differ, a value is not finite, or there are fewer than ten days.
    """
    check_level(level)
    series, day = finite_series(values, name="values", minimum=2), np.asarray(days)
    count = len(np.unique(day))
    if count < MINIMUM_DAYS:
        raise DataError(f"expected values of at least {MINIMUM_DAYS} days, received {count}", hint="give more days")
    error = day_clustered_standard_error(series, day)
    return DayMean(_reach(float(series.mean()), error, count - 1.0, level), error, count - 1.0, count, 0)


def _reach(centre: float, error: float, freedom: float, level: float) -> Interval:
    reach = float(stdtrit(freedom, 0.5 + level / 2.0)) * error
    return Interval(centre, centre - reach, centre + reach)
