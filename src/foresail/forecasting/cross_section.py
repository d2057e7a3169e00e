"""The common part of a cross-section of forecasts: set to its own past mean, because it is not known.

A pooled model sees N names but only one market. What its features say about all names at once rests on as many
independent observations as there are periods, not on N times as many, so day-to-day swings of the mean forecast are
noise that would turn a ranking strategy into a market timer. Differences between names stay as they are.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray

__all__ = ["LEAST_NAMES", "centre_cross_section"]

LEAST_NAMES = 10  # below it the common part is as well known as a single name's


def centre_cross_section(values: FloatArray, middle: int) -> FloatArray:
    """Return forecasts whose mean over names at each time is the mean of all past times.

    Parameters
    ----------
    values : (N, P, K, H, Q) log return, times ascending, NaN where no forecast was made; the close is target 0
    middle : position of the median among the Q levels

    Notes
    -----
    Timing: the mean at a time uses that time and earlier ones only.
    """
    median = values[:, :, 0, :, middle]  # (N, P, H)
    known = np.isfinite(median)
    count = known.sum(axis=0)
    common = np.where(known, median, 0.0).sum(axis=0) / np.maximum(count, 1)  # (P, H)
    told = count[:, :1] >= LEAST_NAMES
    seen = np.cumsum(np.where(told, 1.0, 0.0), axis=0)
    past = np.cumsum(np.where(told, common, 0.0), axis=0) / np.maximum(seen, 1.0)
    shift = np.where(told, past - common, 0.0)
    centred: FloatArray = values + shift[None, :, None, :, None]
    return centred
