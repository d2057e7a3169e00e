"""How good the variance of a volatility model is on its test part: QLIKE against squared returns (EVAL-05).

The variance is that of the curve, what a reader of the forecast gets; the squared return of the horizon stands for what
came. It is a noisy measure, so the number says little by itself: it is told beside that of no change, whose curve has
the volatility scale by which labels are divided. Rows on which the price stood still have no logarithm and are left
out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.forecasting.curve import curve_variance
from foresail.measures.variances import qlike

__all__ = ["variance_figures"]


def variance_figures(
    told: FloatArray, yardstick: FloatArray, actual: FloatArray, levels: tuple[float, ...]
) -> dict[str, Any] | None:
    """Return QLIKE of two forecasts of the close at one horizon, on the rows that both have; None where there are none.

    Parameters
    ----------
    told, yardstick : (..., Q) log-return quantiles
    actual : (...) log return that came; NaN = not known
    """
    own, other, outcome = curve_variance(told, levels), curve_variance(yardstick, levels), actual**2
    known = np.isfinite(own) & np.isfinite(other) & np.isfinite(outcome) & (own > 0.0) & (other > 0.0)
    moved = known & (outcome > 0.0)
    if not moved.any():
        return None
    came = outcome[moved]
    return {
        "rows": int(moved.sum()),
        "unmoved": int((known & ~moved).sum()),
        "qlike": qlike(came, own[moved]),
        "no_change_qlike": qlike(came, other[moved]),
        "realised_over_forecast": float(outcome[known].mean() / own[known].mean()),  # a price that stood still counts
    }
