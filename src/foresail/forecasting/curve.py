"""The quantile curve: what one row of quantiles says as a distribution, and how rows are made consistent (FCST-09, 13).

Between two levels probability is interpolated linearly; beyond the outermost levels the tails are exponential, with the
slope of the outermost segment on a logarithmic scale. The mean of such a curve is a fixed linear combination of its
quantiles, so it can be moved exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError

__all__ = [
    "ROUNDING",
    "check_levels",
    "cumulative_probability",
    "curve_variance",
    "finish",
    "make_consistent",
    "mean_weights",
]

ROUNDING = 6  # decimals of a log return on leaving the room (architecture, section 3)


def check_levels(levels: Sequence[float]) -> FloatArray:
    """Return quantile levels as an array (Q,).

    Raises
    ------
    ConfigError
        Unless they ascend strictly inside (0, 1).
    """
    p = np.asarray(levels, dtype=np.float64)
    if p.ndim != 1 or len(p) == 0 or not bool(np.all((p > 0) & (p < 1))) or bool(np.any(np.diff(p) <= 0)):
        raise ConfigError(f"expected quantile levels that ascend between 0 and 1, received {tuple(levels)!r}")
    return p


def mean_weights(levels: Sequence[float]) -> FloatArray:
    """Return (Q,) weights, summing to 1, whose product with the quantiles is the mean of the curve.

    The piece between two levels contributes its mid-point; the exponential tail below the lowest level ``p1`` has the
    mean ``q1 - b`` with ``b = (q2 - q1) / log(p2 / p1)``, and likewise above.
    """
    p = check_levels(levels)
    if len(p) == 1:
        return np.ones(1)
    w = np.zeros(len(p))
    step = np.diff(p)
    w[:-1] += step / 2
    w[1:] += step / 2
    low = p[0] / np.log(p[1] / p[0])
    high = (1 - p[-1]) / np.log((1 - p[-2]) / (1 - p[-1]))
    w[0] += p[0] + low
    w[1] -= low
    w[-1] += 1 - p[-1] + high
    w[-2] -= high
    return w


def curve_variance(values: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return (...) the variance of each curve, log return squared; 0 where there is one level.

    A piece between two levels contributes ``(a^2 + a b + b^2) / 3``, an exponential tail of mean ``m`` and width ``b``
    ``m^2 + b^2``, each times its probability, with values counted from the mean of the curve.

    Parameters
    ----------
    values : (..., Q) ascending; NaN gives NaN
    levels : Q
    """
    p = check_levels(levels)
    if len(p) == 1:
        return np.where(np.isnan(values[..., 0]), np.nan, 0.0)
    q = values - (values @ mean_weights(levels))[..., None]
    low = (q[..., 1] - q[..., 0]) / np.log(p[1] / p[0])
    high = (q[..., -1] - q[..., -2]) / np.log((1 - p[-2]) / (1 - p[-1]))
    a, b = q[..., :-1], q[..., 1:]
    inside = ((a * a + a * b + b * b) / 3 * np.diff(p)).sum(axis=-1)
    below = p[0] * ((q[..., 0] - low) ** 2 + low**2)
    above = (1 - p[-1]) * ((q[..., -1] + high) ** 2 + high**2)
    return np.asarray(inside + below + above, dtype=np.float64)


def cumulative_probability(values: FloatArray, levels: Sequence[float], x: float | FloatArray) -> FloatArray:
    """Return P(return <= x), counting half of a point mass that sits exactly on ``x``.

    Parameters
    ----------
    values : (..., Q) ascending log-return quantiles; NaN gives NaN
    levels : Q
    x : scalar, or of the shape of ``values`` without its last axis; log return

    Returns
    -------
    (...), in [0, 1]
    """
    p = check_levels(levels)
    point = np.broadcast_to(np.asarray(x, dtype=np.float64), values.shape[:-1])
    if len(p) == 1:
        only = np.where(point < values[..., 0], 0.0, np.where(point > values[..., 0], 1.0, p[0]))
        return np.where(np.isnan(values[..., 0]), np.nan, only)
    total = np.zeros(values.shape[:-1])
    for strict in (True, False):
        total += _one_sided(values, p, point, strict=strict)
    total /= 2
    total[np.isnan(values).any(axis=-1)] = np.nan
    return total


def _one_sided(values: FloatArray, p: FloatArray, x: FloatArray, *, strict: bool) -> FloatArray:
    """Return P(return < x) where ``strict``, else P(return <= x)."""
    reached = values < x[..., None] if strict else values <= x[..., None]
    out = np.zeros(x.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slope = (values[..., 1] - values[..., 0]) / np.log(p[1] / p[0])
        below = p[0] * np.exp((x - values[..., 0]) / slope)
        out = np.where(reached[..., 0], 0.0, np.where(slope > 0, below, 0.0))
        for j in range(len(p) - 1):
            width = values[..., j + 1] - values[..., j]
            inside = reached[..., j] & ~reached[..., j + 1]
            out = np.where(inside, p[j] + (p[j + 1] - p[j]) * np.clip((x - values[..., j]) / width, 0, 1), out)
        slope = (values[..., -1] - values[..., -2]) / np.log((1 - p[-2]) / (1 - p[-1]))
        above = 1 - (1 - p[-1]) * np.exp(-(x - values[..., -1]) / slope)
        out = np.where(reached[..., -1], np.where(slope > 0, above, 1.0), out)
    return np.asarray(out, dtype=np.float64)


def make_consistent(values: FloatArray, targets: Sequence[str]) -> FloatArray:
    """Return quantiles sorted along the last axis, with low <= close <= high level by level; close itself is kept.

    Parameters
    ----------
    values : (..., K, H, Q)
    targets : names of K
    """
    out = np.sort(values, axis=-1)
    if "close" not in targets:
        return out
    close = out[..., targets.index("close"), :, :]
    for name, bound in (("high", np.maximum), ("low", np.minimum)):
        if name in targets:
            k = targets.index(name)
            known = np.isfinite(out[..., k, :, :]) & np.isfinite(close)
            out[..., k, :, :] = np.where(known, bound(out[..., k, :, :], close), out[..., k, :, :])
    return out


def finish(values: FloatArray, targets: Sequence[str]) -> FloatArray:
    """Return quantiles as they leave the room: rounded to 1e-6, sorted, low <= close <= high."""
    return make_consistent(np.round(values, ROUNDING) + 0.0, targets)
