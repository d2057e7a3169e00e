"""From a centre and a spread to a whole quantile curve, with the shape of the calibration rows' residuals.

1. A residual is ``label - centre`` in standardised units, divided by the row's upward spread if positive, by its
   downward spread if negative.
2. The multiplier of a level is the finite-sample (conformal) quantile of the calibration residuals.
3. A row's curve is ``multiplier * spread`` on the side of its sign, moved so that its mean is the centre: the centre is
   the forecast of the mean, the residuals give the shape only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.forecasting.curve import check_levels, mean_weights

__all__ = ["conformal_quantiles", "fit_multipliers", "quantile_curves"]

_FEWEST = 20  # residuals below which the normal shape stands in
_NORMAL_AT = np.array([0.001, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.999])
_NORMAL = np.array(
    [-3.0902, -2.3263, -2.0537, -1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449, 2.0537, 2.3263, 3.0902]
)


def conformal_quantiles(sample: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return (Q,) quantiles of a sample on the careful side: order statistics (n + 1) p, rounded outwards."""
    p = check_levels(levels)
    x = np.sort(sample[np.isfinite(sample)])
    n = len(x)
    if n < _FEWEST:
        return np.asarray(np.interp(p, _NORMAL_AT, _NORMAL), dtype=np.float64)
    place = (n + 1) * p
    careful = np.where(p < 0.5, np.floor(place), np.ceil(place))
    rank = np.clip(careful, 1, n).astype(np.int64)
    picked: FloatArray = x[rank - 1]
    return np.where(p == 0.5, np.median(x), picked)


def fit_multipliers(
    labels: FloatArray, centre: FloatArray, down: FloatArray, up: FloatArray, levels: Sequence[float]
) -> FloatArray:
    """Return (K, H, Q) multipliers of the spreads.

    Parameters
    ----------
    labels, centre : (R, K, H) standardised
    down, up : (R, K, H) spreads, > 0, standardised
    """
    k, h = labels.shape[1:]
    residual = labels - centre
    unit = np.where(residual < 0, down, up)
    out = np.empty((k, h, len(levels)))
    for i in range(k):
        for j in range(h):
            out[i, j] = conformal_quantiles(residual[:, i, j] / unit[:, i, j], levels)
    return np.round(out, 10)


def quantile_curves(
    centre: FloatArray, down: FloatArray, up: FloatArray, multipliers: FloatArray, levels: Sequence[float]
) -> FloatArray:
    """Return (R, K, H, Q) standardised quantiles whose mean is ``centre``."""
    curve = np.where(multipliers < 0, multipliers * down[..., None], multipliers * up[..., None])
    mean = np.zeros(centre.shape)
    for q, w in enumerate(mean_weights(levels)):
        mean += w * curve[..., q]
    return curve + (centre - mean)[..., None]
