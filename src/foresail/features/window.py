"""The slow door: a user's NumPy function of an instrument's last W bars as a feature.

The function gets the last W bars that exist, oldest first, and nothing else: the engine hands over a copy of exactly
those rows, so it cannot look ahead. It runs in Python once per instrument and bar.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.panel import Panel

__all__ = ["WindowFeature", "WindowRing", "append_features", "compute_windows"]


@dataclass(frozen=True, slots=True)
class WindowFeature:
    """One feature from a plain function.

    Attributes
    ----------
    name : must differ from catalogue names in use
    window : W bars
    function : receives {field: (W,) float64, oldest first, absent numbers NaN} and returns one number
    inputs : bar fields; open, high, low and close come forward-adjusted
    """

    name: str
    window: int
    function: Callable[[dict[str, FloatArray]], float]
    inputs: tuple[str, ...] = ("close",)

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ConfigError(f"feature {self.name!r}: expected a window of at least one bar, received {self.window}")


class WindowRing:
    """The last W bars of each of N instruments, and the function applied to them.

    Parameters
    ----------
    feature : what to compute
    instruments : N
    """

    def __init__(self, feature: WindowFeature, instruments: int) -> None:
        self.feature = feature
        self._rows: list[deque[FloatArray]] = [deque(maxlen=feature.window) for _ in range(instruments)]

    def update(self, rows: FloatArray, present: BoolArray) -> FloatArray:
        """Take one bar, (N, inputs) and (N,), and return the feature (N,).

        NaN until W bars exist, where there is no bar and where the function returns no finite number.
        """
        out = np.full(len(self._rows), np.nan)
        for i in np.flatnonzero(present):
            ring = self._rows[i]
            ring.append(rows[i].copy())
            if len(ring) == self.feature.window:
                block = np.array(ring)
                given = {name: block[:, j].copy() for j, name in enumerate(self.feature.inputs)}
                value = float(self.feature.function(given))
                out[i] = value if np.isfinite(value) else np.nan
        return out

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return the rings as (N, W, inputs) with NaN rows before the first bar, and their lengths."""
        w, k = self.feature.window, len(self.feature.inputs)
        rows = np.full((len(self._rows), w, k), np.nan)
        for i, ring in enumerate(self._rows):
            if ring:
                rows[i, w - len(ring) :] = np.array(ring)
        return {"rows": rows, "lengths": np.array([len(ring) for ring in self._rows], dtype=np.int64)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go back to a snapshot of the same feature and instruments."""
        w = self.feature.window
        for i, ring in enumerate(self._rows):
            ring.clear()
            ring.extend(row.copy() for row in arrays["rows"][i, w - int(arrays["lengths"][i]) :])


def compute_windows(panel: Panel, features: Sequence[WindowFeature]) -> Panel:
    """Return user features of a panel of bars, walking time and showing each function only what it may see.

    Raises
    ------
    UnknownNameError
        If an input is no field of the panel.
    """
    n, t, _ = panel.shape
    out = np.full((n, t, len(features)), np.nan)
    for j, feature in enumerate(features):
        columns = np.stack([_column(panel, name) for name in feature.inputs], axis=2)
        ring = WindowRing(feature, n)
        for step in range(t):
            out[:, step, j] = ring.update(columns[:, step], panel.present[:, step])
    return replace(panel, values=out, present=panel.present.copy(), fields=tuple(feature.name for feature in features))


def _column(panel: Panel, name: str) -> FloatArray:
    """Return a field, prices forward-adjusted by the factor of their own bar."""
    if name not in panel.fields:
        raise UnknownNameError("field", name, panel.fields)
    column = panel.field(name)
    if name in {"open", "high", "low", "close"} and "total_factor" in panel.fields:
        factor = panel.field("total_factor")
        return column * np.where(np.isfinite(factor), factor, 1.0)
    return column


def append_features(first: Panel, second: Panel) -> Panel:
    """Return one panel with the columns of both; the axes must be the same.

    Raises
    ------
    ConfigError
        If a name appears in both, or the axes differ.
    """
    twice = sorted({*first.fields} & {*second.fields})
    if twice or first.instruments != second.instruments or not np.array_equal(first.end, second.end):
        raise ConfigError(f"cannot join features: repeated names {twice or 'none'}, or different axes")
    return Panel(
        values=np.concatenate([first.values, second.values], axis=2),
        present=first.present,
        start=first.start,
        end=first.end,
        available_at=first.available_at,
        fields=(*first.fields, *second.fields),
        instruments=first.instruments,
        frame=first.frame,
        calendar=first.calendar,
    )
