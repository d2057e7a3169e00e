"""Do probabilities mean what they say (EVAL-06): the reliability curve and the expected calibration error.

Bins of equal width show the range of what was said but leave some of them nearly empty; bins of equal mass hold the
same number of forecasts each and make the error less noisy. Both are offered, neither is a hidden default.

References: [NaeiniCooperHauskrecht2015] in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError, UnknownNameError
from foresail.measures._checks import finite_series, same_length

__all__ = ["ReliabilityCurve", "reliability_curve"]


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """What was said and what came, by bin; bins without a forecast are left out.

    Attributes
    ----------
    said : (B,), mean probability that was said
    seen : (B,), share of forecasts that came true
    count : (B,)
    bins : (M,), the bin of each forecast, as a position in the arrays above
    expected_error : mean of ``|seen - said|`` weighted by count (expected calibration error, ECE)
    maximum_error : the largest ``|seen - said|``
    """

    said: FloatArray
    seen: FloatArray
    count: IntArray
    bins: IntArray
    expected_error: float
    maximum_error: float


def reliability_curve(
    probability: ArrayLike, came: ArrayLike, *, bins: int = 10, binning: Literal["width", "mass"]
) -> ReliabilityCurve:
    """Return said against seen in bins of the probability.

    Parameters
    ----------
    probability : (M,) in [0, 1], of the event
    came : (M,), 1 where the event came, else 0
    bins : B >= 1
    binning : "width" cuts [0, 1] in equal parts, "mass" puts equally many forecasts in each; equal probabilities stay
        together, so that masses may differ where probabilities repeat

    Raises
    ------
    DataError
        If the lengths differ, a value is out of range or not finite, or there are none, or fewer than bins of
        equal mass.
    UnknownNameError
        If ``binning`` is neither.
    """
    if bins < 1:
        raise DataError(f"expected at least 1 bin, received {bins}")
    fewest = bins if binning == "mass" else 1
    said, event = finite_series(probability, name="probability", minimum=fewest), finite_series(came, name="came")
    same_length(said, event, names=("probability", "came"))
    if said.min() < 0.0 or said.max() > 1.0:
        raise DataError(f"expected probabilities in [0, 1], received {said.min():g} to {said.max():g}")
    if not np.isin(event, (0.0, 1.0)).all():
        raise DataError("came: expected 0 and 1 only")
    if binning == "width":
        place = np.minimum((said * bins).astype(np.int64), bins - 1)
    elif binning == "mass":
        inner = np.quantile(said, np.arange(1, bins) / bins, method="inverted_cdf")
        place = np.searchsorted(inner, said, side="left")
    else:
        raise UnknownNameError("binning", binning, ("width", "mass"))
    _, place, count = np.unique(place, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=said) / count
    share = np.bincount(place, weights=event) / count
    gap = np.abs(share - mean)
    return ReliabilityCurve(mean, share, count, place, float(gap @ count / len(said)), float(gap.max()))
