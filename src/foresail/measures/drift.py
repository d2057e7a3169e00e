"""How far a distribution has moved from the one a model was trained on.

References
----------
[Siddiqi2006] population stability index: below 0.1 stable, above 0.2 moved.
[Massey1951] Kolmogorov-Smirnov: the largest distance between two distribution functions.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = ["feature_drift", "kolmogorov_smirnov", "population_stability_index"]

_LEAST = 1e-4  # share that an empty bin counts as, so that the logarithm exists


def population_stability_index(reference: FloatArray, recent: FloatArray, *, bins: int = 10) -> float:
    """Return the sum over bins of (recent - reference share) * ln(recent / reference share).

    Parameters
    ----------
    reference, recent : samples, NaN left out
    bins : equally filled by the reference; equal edges are joined, so a discrete feature has fewer

    Returns
    -------
    float
        0 for equal shares; NaN where the recent sample is empty.

    Raises
    ------
    DataError
        If the reference holds fewer numbers than bins.
    """
    old, new = reference[np.isfinite(reference)], recent[np.isfinite(recent)]
    if len(old) < bins:
        raise DataError(f"a stability index of {bins} bins needs {bins} reference values, received {len(old)}")
    if len(new) == 0:
        return float("nan")
    # A value on an edge belongs to the bin on its left, so a discrete value never straddles two.
    edges = np.unique(np.quantile(old, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="lower"))
    expected = np.bincount(np.searchsorted(edges, old, side="left"), minlength=len(edges) + 1) / len(old)
    found = np.bincount(np.searchsorted(edges, new, side="left"), minlength=len(edges) + 1) / len(new)
    expected, found = np.maximum(expected, _LEAST), np.maximum(found, _LEAST)
    return float(np.sum((found - expected) * np.log(found / expected)))


def kolmogorov_smirnov(reference: FloatArray, recent: FloatArray) -> float:
    """Return the largest distance between the distribution functions of two samples, 0 to 1.

    Parameters
    ----------
    reference, recent : samples, NaN left out

    Returns
    -------
    float
        NaN where either is empty. No probability is given: rows of a series are not independent, and the usual one
        would find drift everywhere.
    """
    old, new = np.sort(reference[np.isfinite(reference)]), np.sort(recent[np.isfinite(recent)])
    if len(old) == 0 or len(new) == 0:
        return float("nan")
    at = np.concatenate([old, new])
    below = np.searchsorted(old, at, side="right") / len(old) - np.searchsorted(new, at, side="right") / len(new)
    return float(np.abs(below).max())


def feature_drift(
    names: tuple[str, ...], reference: FloatArray, recent: FloatArray, *, bins: int = 10
) -> dict[str, float]:
    """Return the population stability index of each feature; NaN where a sample is too small to tell.

    Parameters
    ----------
    reference, recent : (rows, F), training rows and newest rows
    """
    found = {}
    for position, name in enumerate(names):
        old, new = reference[:, position], recent[:, position]
        enough = np.isfinite(old).sum() >= bins and np.isfinite(new).sum() >= bins
        found[name] = population_stability_index(old, new, bins=bins) if enough else float("nan")
    return found
