"""How far a distribution has moved from the one a model was trained on.

References
----------
[Siddiqi2006] population stability index: below 0.1 stable, above 0.2 moved.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError

__all__ = ["population_stability_index"]

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
