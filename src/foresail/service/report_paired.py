"""The forecaster beside its baselines, row by row: losses and paired tests for a run."""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.forecast import ForecastBlock
from foresail.evaluation.paired import PairedSettings, PairedTest, compare_losses
from foresail.service.report_scores import overlap

__all__ = ["paired_on", "pinball_rows"]


def pinball_rows(block: ForecastBlock, realised: FloatArray, step: int) -> FloatArray:
    """Return the mean pinball loss over the levels of each forecast of the close, (N, P); NaN where unknown.

    Parameters
    ----------
    realised : (N, P, K, H), see ``report_scores.outcomes``
    step : position of the horizon
    """
    levels = np.array(block.levels)
    gap = realised[:, :, 0, step, None] - block.values[:, :, 0, step]
    loss: FloatArray = np.maximum(levels * gap, (levels - 1.0) * gap).mean(axis=-1)
    return loss


def paired_on(
    block: ForecastBlock, ours: FloatArray, theirs: FloatArray, step: int, *, name: str, seed: int
) -> PairedTest | None:
    """Return the paired test of two forecasts on the rows that both have; None where there are none.

    Parameters
    ----------
    ours, theirs : (N, P), see ``pinball_rows``
    """
    known: BoolArray = np.asarray(np.isfinite(ours) & np.isfinite(theirs))
    if not known.any():
        return None
    row, time = np.nonzero(known)
    horizon = block.horizons[step]
    settings = PairedSettings(overlap=overlap(block, horizon), seed=seed)
    issued = block.issued_at[time]
    return compare_losses(ours[row, time], theirs[row, time], issued, name=name, horizon=horizon, settings=settings)
