"""What trivial forecasters would have said on the rows of a table, from outcomes that were known at each issue time.

An outcome is known from the time that the file gives. Where it gives none, an outcome h bars ahead is taken to be known
h issue times later: exact for one issue time a bar, and too late, never too early, for fewer.

Quantiles: the usual spread around no change, the quantiles of past outcomes, normal quantiles of the exponential
volatility. Points: no change, the mean of the past, the last known outcome. Classes: past frequencies, always neutral,
one third each. Variance: the mean of the past, exponential smoothing, the last known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from foresail.core.arrays import FloatArray, IntArray
from foresail.evaluation.forecast_table import ForecastTable

__all__ = ["TRIVIAL", "baseline_forecasts", "known_times"]

TRIVIAL = {
    "no_change": "no change",
    "past_quantiles": "quantiles of the past",
    "ewma_volatility": "exponential volatility",
    "past_mean": "mean of the past",
    "last_outcome": "last known outcome",
    "base_rate": "past frequencies",
    "always_neutral": "always neutral",
    "one_third": "one third each",
    "ewma_variance": "exponential smoothing",
}
_WINDOW, _FEWEST = 250, 20  # known outcomes that a baseline looks back on, at most and at least
_DECAY = 0.94  # BASE-07


def known_times(table: ForecastTable) -> IntArray:
    """Return when each outcome is taken to be known, (M,) ns UTC; beyond the record the largest integer."""
    if table.known_at is not None:
        return table.known_at
    times = np.unique(table.issued_at)
    place = np.searchsorted(times, table.issued_at) + table.horizon
    never = np.append(times, np.iinfo(np.int64).max)
    found: IntArray = never[np.minimum(place, len(times))]
    return found


def baseline_forecasts(table: ForecastTable) -> dict[str, FloatArray]:
    """Return name -> forecasts of the table's form, (M, ·); NaN where too little was known."""
    makers: dict[str, Any] = {"quantiles": _quantiles, "point": _points, "classes": _classes, "variance": _variances}
    size = (len(table.outcome), table.forecasts[""].shape[1])
    found: dict[str, FloatArray] = {}
    move = table.outcome if table.last is None else np.log(table.outcome / table.last)
    for rows, past, count in _histories(table, move):
        for name, values in makers[table.kind](past, count, table, rows).items():
            found.setdefault(name, np.full(size, np.nan))[rows] = values
    if table.last is not None:  # moves become prices again
        found = {name: table.last[:, None] * np.exp(values) for name, values in found.items()}
    return found


def _histories(table: ForecastTable, outcome: FloatArray) -> Iterator[tuple[IntArray, FloatArray, IntArray]]:
    """Yield for each instrument and horizon its rows, its outcomes as they became known, how many each row knew."""
    known = known_times(table)
    order = np.lexsort((table.issued_at, table.horizon, table.instrument.astype(str)))
    names, steps = table.instrument[order], table.horizon[order]
    border = np.flatnonzero((names[1:] != names[:-1]) | (steps[1:] != steps[:-1])) + 1
    for rows in np.split(order, border):
        by_known = np.argsort(known[rows], kind="stable")
        count = np.searchsorted(known[rows][by_known], table.issued_at[rows], side="right")
        yield rows, outcome[rows][by_known], count.astype(np.int64)


def _by_count(past: FloatArray, count: IntArray, compute: Any, width: int) -> FloatArray:
    """Return ``compute(newest outcomes)`` for each row, computed once per number of outcomes known."""
    result = np.full((len(count), width), np.nan)
    numbers, place = np.unique(count, return_inverse=True)
    full = numbers[numbers >= _WINDOW]
    table = np.full((len(numbers), width), np.nan)
    if len(full):
        windows = np.lib.stride_tricks.sliding_window_view(past, _WINDOW)[full - _WINDOW]
        table[numbers >= _WINDOW] = compute(windows)
    for i in np.flatnonzero((numbers >= _FEWEST) & (numbers < _WINDOW)):
        table[i] = compute(past[None, : numbers[i]])[0]
    result[:] = table[place]
    return result


def _quantiles(past: FloatArray, count: IntArray, table: ForecastTable, rows: IntArray) -> dict[str, FloatArray]:
    del rows
    levels = np.array(table.levels)

    def usual(window: FloatArray) -> FloatArray:
        both = np.concatenate([window, -window], axis=1)
        return np.asarray(np.quantile(both, levels, axis=1).T)

    def seen(window: FloatArray) -> FloatArray:
        return np.asarray(np.quantile(window, levels, axis=1).T)

    spread = np.sqrt(_smoothed(past * past, count))
    return {
        "no_change": _by_count(past, count, usual, len(levels)),
        "past_quantiles": _by_count(past, count, seen, len(levels)),
        "ewma_volatility": spread[:, None] * ndtri(levels),
    }


def _points(past: FloatArray, count: IntArray, table: ForecastTable, rows: IntArray) -> dict[str, FloatArray]:
    del table, rows
    return {
        "no_change": np.zeros((len(count), 1)),
        "past_mean": _by_count(past, count, lambda w: w.mean(axis=1)[:, None], 1),
        "last_outcome": _newest(past, count)[:, None],
    }


def _classes(past: FloatArray, count: IntArray, table: ForecastTable, rows: IntArray) -> dict[str, FloatArray]:
    del table, rows

    def shares(window: FloatArray) -> FloatArray:
        return np.stack([(window == c).mean(axis=1) for c in range(3)], axis=1)

    return {
        "base_rate": _by_count(past, count, shares, 3),
        "always_neutral": np.tile([0.0, 1.0, 0.0], (len(count), 1)),
        "one_third": np.full((len(count), 3), 1.0 / 3.0),
    }


def _variances(past: FloatArray, count: IntArray, table: ForecastTable, rows: IntArray) -> dict[str, FloatArray]:
    del table, rows
    return {
        "past_mean": _by_count(past, count, lambda w: w.mean(axis=1)[:, None], 1),
        "ewma_variance": _smoothed(past, count)[:, None],
        "last_outcome": _newest(past, count)[:, None],
    }


def _newest(past: FloatArray, count: IntArray) -> FloatArray:
    """Return the outcome that became known last, (rows,); NaN before the first."""
    return np.where(count > 0, past[np.maximum(count - 1, 0)], np.nan)


def _smoothed(past: FloatArray, count: IntArray) -> FloatArray:
    """Return the exponentially smoothed value known at each row, begun with the mean of the first twenty."""
    if len(past) < _FEWEST:
        return np.full(len(count), np.nan)
    start = past[:_FEWEST].mean()
    smooth, _ = lfilter([1.0 - _DECAY], [1.0, -_DECAY], past[_FEWEST:], zi=[_DECAY * start])
    levels = np.concatenate([[start], smooth])
    return np.where(count >= _FEWEST, levels[np.maximum(count - _FEWEST, 0)], np.nan)
