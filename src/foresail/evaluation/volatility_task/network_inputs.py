"""What a network is given on the volatility task: what HAR-log-X sees, the calendar and the index.

1. A step has the trailing means of HAR-log-X as differences of neighbours, its two terms of the return and its two
   means over indices. A window holds 252 rows, so the longest mean at every one of C steps is over 253 - C of them.
2. Inputs are scaled by mean and deviation of the training rows.
3. Known ahead: weekday, days since the last session, place in the month and in the year.
4. The label may be told as a distance from the mean of the last three short means of its window ("centred").
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.evaluation.volatility_task.task import ENCODER, HORIZON, LabelledWindows
from foresail.forecasting.econometric.har import leverage_terms

__all__ = ["Stitched", "calendar_inputs", "centre_of", "step_inputs", "stitched"]

_SHORT = (1, 5, 22, 66)
_CENTRE = 3  # means that make the centre of a window: over 1, 5 and 22 rows
_WEEKDAYS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Stitched:
    """Windows that overlap, as the series they were cut from.

    Attributes
    ----------
    past : (B, T, 4) of ``PAST``, NaN behind a series' end
    calendar : (B, T + 5, 5) of ``CALENDAR``, the last row repeated
    present : (B, T)
    labels : (B, T, 5), NaN where there is no origin
    index : (B,)
    rows : (O, 2) series and time of each origin, in the order of the windows
    """

    past: FloatArray
    calendar: IntArray
    present: BoolArray
    labels: FloatArray
    index: IntArray
    rows: IntArray


def stitched(windows: LabelledWindows) -> Stitched:
    """Return the series that hold some windows."""
    origins = windows.origins
    index, first, count = np.unique(origins.index, return_index=True, return_counts=True)
    length = ENCODER - 1 + int(count.max())
    past = np.full((len(index), length, 4), np.nan)
    calendar = np.zeros((len(index), length + HORIZON, 5), dtype=np.int64)
    labels = np.full((len(index), length, HORIZON), np.nan)
    present = np.zeros((len(index), length), dtype=bool)
    rows = np.empty((len(origins), 2), dtype=np.int64)
    for place, (start, size) in enumerate(zip(first.tolist(), count.tolist(), strict=True)):
        steps = np.unique(np.r_[np.arange(0, size, ENCODER), size - 1])
        given = windows.batch(start + steps)
        for k, step in enumerate(steps.tolist()):
            past[place, step : step + ENCODER] = given.past[k]
            calendar[place, step : step + ENCODER + HORIZON] = given.calendar[k]
        end = ENCODER - 1 + size
        calendar[place, end + HORIZON :] = calendar[place, end + HORIZON - 1]
        present[place, :end] = True
        labels[place, ENCODER - 1 : end] = windows.labels[start : start + size]
        rows[start : start + size, 0] = place
        rows[start : start + size, 1] = np.arange(ENCODER - 1, end)
    return Stitched(past, calendar, present, labels, index, rows)


def _trailing(values: FloatArray, span: int, last: int) -> FloatArray:
    """Return (B, last) means of ``span`` columns up to each of the last columns, NaN where there are fewer."""
    part = values[:, max(0, values.shape[1] - last - span + 1) :]
    out = np.full((len(values), last), np.nan)
    if part.shape[1] >= span:
        means = np.lib.stride_tricks.sliding_window_view(part, span, axis=1).mean(axis=-1)
        out[:, last - means.shape[1] :] = means
    return out


def step_inputs(past: FloatArray, context_length: int, last: int | None = None) -> FloatArray:
    """Return (B, last, 9) unscaled inputs of the last steps from (B, T, 4) of ``PAST``; NaN where rows are missing.

    Parameters
    ----------
    last : steps; None = all
    """
    steps = past.shape[1] if last is None else last
    means = [_trailing(past[..., 0], span, steps) for span in (*_SHORT, ENCODER + 1 - context_length)]
    apart = [short - longer for short, longer in pairwise(means)]
    own = past[:, past.shape[1] - steps :]
    cross = [own[..., place] - means[1] for place in (2, 3)]
    return np.stack([*apart, means[-1], *leverage_terms(own[..., 1]), *cross], axis=-1)


def centre_of(past: FloatArray, last: int | None = None) -> FloatArray:
    """Return (B, last) mean of the 1-, 5- and 22-row means at the last steps, None = all."""
    steps = past.shape[1] if last is None else last
    centre: FloatArray = np.mean([_trailing(past[..., 0], span, steps) for span in _SHORT[:_CENTRE]], axis=0)
    return centre


def calendar_inputs(calendar: IntArray) -> FloatArray:
    """Return (B, T, 9): weekday one of five, log of days since the row before, place in the month and in the year."""
    day, weekday, month_day, week = (calendar[..., k] for k in range(4))
    gap = np.ones(day.shape)
    gap[:, 1:] = np.clip(np.diff(day, axis=1), 1, None)
    turn = 2.0 * np.pi * week / 52.0
    own = [(weekday == k).astype(np.float64) for k in range(_WEEKDAYS)]
    return np.stack([*own, np.log(gap), month_day / 31.0 - 0.5, np.sin(turn), np.cos(turn)], axis=-1)
