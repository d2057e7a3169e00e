"""How much a record could show: the smallest effect that a test would find, and the length that an effect needs.

A figure that misses significance means little without the effect that the record could have shown. All tests here
are one-sided with 5 % error and 80 % power unless told otherwise, and count independent observations: of names that
move together, count days.

The conversion table links four ways of telling the same skill under a Gaussian law, one instrument, always in the
market: share of right signs p, correlation of forecast and return ``sin(pi (p - 1/2))``, its square, and the Sharpe
ratio of trading the sign, ``a / sqrt(1 - a^2)`` with ``a = sqrt(2 / pi) * correlation``, annualised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtri

from foresail.core.errors import DataError

__all__ = [
    "SkillConversion",
    "calls_needed",
    "convert_hit_rate",
    "skill_table",
    "smallest_detectable_hit_rate",
    "smallest_detectable_mean",
    "smallest_detectable_sharpe",
]


def _quantiles(level: float, power: float) -> tuple[float, float]:
    if not (0.5 < level < 1.0 and 0.5 <= power < 1.0):
        raise DataError(f"expected a level in (0.5, 1) and a power in [0.5, 1), received {level} and {power}")
    return float(ndtri(level)), float(ndtri(power))


def smallest_detectable_mean(standard_error: float, *, level: float = 0.95, power: float = 0.80) -> float:
    """Return the mean that a record of this standard error would show to be above 0 most of the time.

    Parameters
    ----------
    standard_error : of the mean, as it was estimated (clustered, HAC), any unit
    level : confidence of the one-sided test
    power : how often a mean of the answer's size passes it

    Returns
    -------
    unit of ``standard_error``: ``(z_level + z_power) * standard_error``

    Raises
    ------
    DataError
        If the standard error is not a number >= 0, or level or power are out of range.
    """
    if not 0.0 <= standard_error < math.inf:
        raise DataError(f"expected a standard error >= 0, received {standard_error}")
    return sum(_quantiles(level, power)) * standard_error


def smallest_detectable_sharpe(
    observations: int, *, bars_per_year: float, level: float = 0.95, power: float = 0.80
) -> float:
    """Return the annualised Sharpe ratio that a record of this length would show to be above 0 most of the time.

    Parameters
    ----------
    observations : T >= 2
    level : confidence of the one-sided test
    power : how often a strategy of the answer's Sharpe ratio passes it

    Raises
    ------
    DataError
        If there are fewer than two observations, or level or power are out of range.
    """
    if observations < 2:
        raise DataError(f"expected at least 2 observations, received {observations}", hint="give a longer record")
    return sum(_quantiles(level, power)) * math.sqrt(bars_per_year / (observations - 1))


def calls_needed(hit_rate: float, *, base: float = 0.5, level: float = 0.95, power: float = 0.80) -> int:
    """Return how many independent calls tell a share of right signs from the base rate.

    Parameters
    ----------
    hit_rate : true share of right signs, above ``base``
    base : share that needs no skill
    level : confidence of the one-sided test
    power : how often such a record passes it

    Raises
    ------
    DataError
        If not ``0 < base < hit_rate < 1``, or level or power are out of range.

    Notes
    -----
    ``n = ((z_level sqrt(b (1 - b)) + z_power sqrt(p (1 - p))) / (p - b))^2``, rounded up.
    """
    if not 0.0 < base < hit_rate < 1.0:
        raise DataError(f"expected 0 < base < hit rate < 1, received base {base} and hit rate {hit_rate}")
    sure, strong = _quantiles(level, power)
    root = sure * math.sqrt(base * (1.0 - base)) + strong * math.sqrt(hit_rate * (1.0 - hit_rate))
    return math.ceil((root / (hit_rate - base)) ** 2)


def smallest_detectable_hit_rate(calls: int, *, base: float = 0.5, level: float = 0.95, power: float = 0.80) -> float:
    """Return the share of right signs that this many independent calls would tell from the base rate.

    Parameters
    ----------
    calls : n >= 1, independent
    base : share that needs no skill
    level, power : as in ``calls_needed``, whose inverse this is

    Returns
    -------
    in (base, 1]; 1 where even a perfect record of that length is no proof

    Raises
    ------
    DataError
        If there is no call or a number is out of range.
    """
    if calls < 1 or not 0.0 < base < 1.0:
        raise DataError(f"expected at least 1 call and a base rate in (0, 1), received {calls} and {base}")
    sure, strong = _quantiles(level, power)
    low, high = base, 1.0
    for _ in range(100):  # halving: 2^-100 of the range is below any rounding
        middle = (low + high) / 2.0
        needed = sure * math.sqrt(base * (1.0 - base)) + strong * math.sqrt(middle * (1.0 - middle))
        if (middle - base) * math.sqrt(calls) < needed:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True, slots=True)
class SkillConversion:
    """One skill, told in four ways, with the independent calls that would show it.

    Attributes
    ----------
    correlation : of forecast and next return
    r_squared : share of variance explained
    sharpe : annualised, of trading the sign of one instrument, before costs
    calls : see ``calls_needed`` (base 50 %)
    """

    hit_rate: float
    correlation: float
    r_squared: float
    sharpe: float
    calls: int


def convert_hit_rate(hit_rate: float, *, bars_per_year: float = 252.0) -> SkillConversion:
    """Return what a share of right signs means as correlation, R squared and Sharpe ratio (Gaussian law, no drift).

    Parameters
    ----------
    hit_rate : in (0.5, 1)
    bars_per_year : annualisation factor of the Sharpe ratio

    Raises
    ------
    DataError
        If the hit rate or the factor is out of range.
    """
    if not (0.5 < hit_rate < 1.0 and bars_per_year > 0.0):
        raise DataError(f"expected a hit rate in (0.5, 1) and bars per year > 0, got {hit_rate} and {bars_per_year}")
    correlation = math.sin(math.pi * (hit_rate - 0.5))
    gain = math.sqrt(2.0 / math.pi) * correlation
    sharpe = gain / math.sqrt(1.0 - gain * gain) * math.sqrt(bars_per_year)
    return SkillConversion(hit_rate, correlation, correlation**2, sharpe, calls_needed(hit_rate))


def skill_table(hit_rates: Sequence[float] = (0.52, 0.53, 0.55, 0.65, 0.70, 0.76)) -> tuple[SkillConversion, ...]:
    """Return the conversion of each hit rate, daily bars."""
    return tuple(convert_hit_rate(rate) for rate in hit_rates)
