"""How often outcomes fell below the value at risk of 95 % that a forecast implies (EVAL-05, RISK-18).

The 5 % quantile is read off the curve, straight between the levels beside it. Instruments are tested one by one and at
one-bar horizons only: breaches of several names on one day, or of overlapping horizons, are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.forecast import ForecastBlock
from foresail.measures.exceedances import conditional_coverage, kupiec_test

__all__ = ["VAR_LEVEL", "Exceedances", "exceedances", "value_at_risk"]

VAR_LEVEL = 0.05
_FEWEST = 100  # forecasts of an instrument below which it is not tested by itself
_DOUBT = 0.05


@dataclass(frozen=True, slots=True)
class Exceedances:
    """Outcomes below the value at risk.

    Attributes
    ----------
    level : promised share
    breaches : outcomes below; ``share`` of all known ones, NaN where there are none
    tested : instruments with enough one-bar forecasts
    kupiec, christoffersen : of these, with a wrong number, or a wrong number or rhythm of breaches at 5 %
    """

    level: float
    breaches: int
    share: float
    tested: int
    kupiec: int
    christoffersen: int


def value_at_risk(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Return (...) the 5 % quantile, straight between its neighbours; NaN where the levels do not reach it.

    Parameters
    ----------
    quantiles : (..., Q)
    """
    upper = int(np.searchsorted(np.asarray(levels), VAR_LEVEL))
    if upper == len(levels) or (upper == 0 and levels[0] != VAR_LEVEL):
        return np.full(quantiles.shape[:-1], np.nan)
    if levels[upper] == VAR_LEVEL:
        return np.asarray(quantiles[..., upper])
    share = (VAR_LEVEL - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
    low, high = quantiles[..., upper - 1], quantiles[..., upper]
    return np.asarray(low + share * (high - low))


def exceedances(block: ForecastBlock, actual: FloatArray, known: BoolArray, at: tuple[int, int]) -> Exceedances:
    """Return the breaches of one target and horizon.

    Parameters
    ----------
    actual : (N, P) log return
    known : (N, P) where forecast and outcome exist
    at : positions of target and horizon
    """
    line = value_at_risk(block.values[:, :, at[0], at[1]], block.levels)
    use = known & np.isfinite(line)
    hits = np.zeros(use.shape, dtype=np.bool_)
    hits[use] = actual[use] < line[use]
    count = int(use.sum())
    tested = kupiec = christoffersen = 0
    for own, series in zip(use, hits, strict=True) if block.horizons[at[1]] == 1 else ():
        if own.sum() < _FEWEST:
            continue
        told = series[own]
        tested += 1
        kupiec += int(kupiec_test(len(told), int(told.sum()), level=VAR_LEVEL).p_value < _DOUBT)
        christoffersen += int(conditional_coverage(told.astype(np.float64), level=VAR_LEVEL).p_value < _DOUBT)
    share = float(hits.sum() / count) if count else float("nan")
    return Exceedances(VAR_LEVEL, int(hits.sum()), share, tested, kupiec, christoffersen)
