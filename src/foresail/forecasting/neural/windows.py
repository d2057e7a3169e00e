"""Windows as slices of one contiguous matrix: no sample is ever built by itself, no worker process is needed.

1. Inputs are padded once, so that every window of every instrument is a slice; what was padded is absent.
2. A *segment* is one instrument's stretch with K windows, ``stride`` bars apart. Drawing a batch is drawing rows and
   starts; the copy is one gather of whole slices.
3. Windows of a segment that are no row of the fold (purged, in the test, without a label) have weight 0.

Given a folder, the padded matrix lies in a file there and is read through a memory map, one instrument at a time when
it is made, so windows that do not fit into memory cost nothing but time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from torch import Tensor

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.forecasting.neural.tft.network import Segments
from foresail.forecasting.neural.window_file import mapped_matrix

__all__ = ["Batch", "ObservedInputs", "WindowInputs", "WindowSettings", "WindowSource"]

_Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How windows are cut.

    Attributes
    ----------
    context_length, horizon : C bars back, H steps ahead
    windows : K of a segment
    stride : bars between the windows of a segment
    """

    context_length: int
    horizon: int
    windows: int = 8
    stride: int = 1

    @property
    def past(self) -> int:
        """Bars that a segment looks at, its last origin included."""
        return self.context_length + (self.windows - 1) * self.stride

    def matrix_bytes(self, shape: tuple[int, ...]) -> int:
        """Return the size of the padded matrix of inputs (N, T, V)."""
        n, t, v = shape
        return 4 * n * (t + self.past - 1) * v


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments with what they should have said.

    Attributes
    ----------
    targets : (S, K, H', targets) standardised labels at the horizons asked for; 0 where there is none
    weights : (S, K, H', targets) weight of each label, 0 where there is none or the window is no row of the fold
    origins : (S, K) time position of each window's last bar
    instruments : (S,)
    """

    segments: Segments
    targets: Tensor
    weights: Tensor
    origins: IntArray
    instruments: IntArray


class ObservedInputs(Protocol):
    """(N, T, V) scaled inputs of which one instrument at a time is asked for: an array, or what makes them then."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Instruments, times, inputs."""
        ...

    def __getitem__(self, i: int, /) -> Any:
        """Return (T, V) of an instrument."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WindowInputs:
    """What windows are cut from.

    Attributes
    ----------
    observed : (N, T, V) scaled; NaN is filled with 0, the centre; infinity is refused
    known : (T + H, W) numbers of the calendar, H bars beyond the panel
    present : (N, T)
    static : (N, S) codes, 0 = unknown
    """

    observed: ObservedInputs
    known: FloatArray
    present: NDArray[np.bool_]
    static: IntArray


class WindowSource:
    """All windows of a panel.

    Parameters
    ----------
    labels : (N, T, H', K) standardised; NaN where there is none. None for prediction
    folder : where the file of the padded inputs is written, see ``window_file``; None = in memory
    """

    def __init__(
        self, settings: WindowSettings, inputs: WindowInputs, labels: FloatArray | None, folder: Path | None = None
    ) -> None:
        observed, known, present, static = inputs.observed, inputs.known, inputs.present, inputs.static
        n, t, _ = observed.shape
        if known.shape[0] != t + settings.horizon:
            raise DataError(f"expected {t + settings.horizon} rows known ahead, received {known.shape[0]}")
        if not np.isfinite(known).all():
            raise DataError("what is known ahead has missing or infinite values")
        self.settings, self.times = settings, t
        front, back = settings.context_length - 1, (settings.windows - 1) * settings.stride
        self._front = front
        self._observed = _padded_inputs(observed, front, back, folder)
        self._present = _padded(present.astype(np.float32)[..., None], front, back)[..., 0]
        ahead = np.concatenate([known[:1].repeat(front, axis=0), known, known[-1:].repeat(back, axis=0)])
        self._known: _Float32 = np.ascontiguousarray(ahead, dtype=np.float32)
        self._static = torch.as_tensor(static, dtype=torch.int64)
        self._labels = None if labels is None else _padded(labels.reshape(n, t, -1), 0, back, missing=np.nan)
        self._label_shape = () if labels is None else labels.shape[2:]
        # one row a start, as it lies in memory: a batch is one gather of unbroken slices
        self._past = _slices(self._observed, settings.past)
        self._seen = _slices(self._present[..., None], settings.past)
        self._ahead = _slices(self._known[None], settings.past + settings.horizon)

    def starts(self, rows: IntArray, offset: int = 0) -> IntArray:
        """Return (S, 2) instrument and first origin of the segments that hold rows of a fold.

        Parameters
        ----------
        rows : (R, 2) instrument and time
        offset : of the first origin, 0 <= offset < K stride; another one in each epoch gives other segments
        """
        reach = self.settings.windows * self.settings.stride
        first = (rows[:, 1] - offset) // reach * reach + offset
        lane = (rows[:, 1] - first) % self.settings.stride == 0
        found = np.unique(np.stack([rows[lane, 0], np.maximum(first[lane], 0)], axis=1), axis=0)
        return found.astype(np.int64)

    def batches(
        self, rows: IntArray, size: int, order: np.random.Generator | None, weights: FloatArray | None = None
    ) -> Iterator[Batch]:
        """Yield all segments of a fold once, in random order or in their own.

        Parameters
        ----------
        rows : (R, 2) instrument and time
        size : segments in a batch
        order : None keeps the order, with every window covered whatever the stride
        weights : (R,) of the rows; None = 1
        """
        allowed = np.zeros((self._observed.shape[0], self._present.shape[1]), dtype=np.float32)
        allowed[rows[:, 0], rows[:, 1]] = 1.0 if weights is None else weights
        reach, stride = self.settings.windows * self.settings.stride, self.settings.stride
        if order is None:
            starts = np.concatenate([self.starts(rows, offset) for offset in range(stride)])
        else:
            starts = self.starts(rows, int(order.integers(reach)))
            starts = starts[order.permutation(len(starts))]
        for begin in range(0, len(starts), size):
            yield self.batch(starts[begin : begin + size], allowed)

    def batch(self, starts: IntArray, allowed: _Float32 | None = None) -> Batch:
        """Return the segments that begin at instruments and first origins, (S, 2).

        Raises
        ------
        DataError
            If a first origin is none of the panel's times.
        """
        rows, first = starts[:, 0], starts[:, 1]
        settings, count = self.settings, len(starts)
        _, bars, values = self._observed.shape
        if count and not 0 <= first.min() <= first.max() <= bars - settings.past:
            raise DataError(f"expected first origins from 0 to {bars - settings.past}, received {first.max()}")
        origins = first[:, None] + np.arange(settings.windows) * settings.stride
        place = rows * bars + first
        segments = Segments(
            torch.from_numpy(self._past[place].reshape(count, settings.past, values)),
            torch.from_numpy(self._ahead[first].reshape(count, settings.past + settings.horizon, self._known.shape[1])),
            torch.from_numpy(self._seen[place]),
            self._static[torch.from_numpy(np.ascontiguousarray(rows))],
            settings.stride,
        )
        targets, weights = self._wanted(rows, origins, allowed)
        return Batch(segments, targets, weights, origins, rows)

    def _wanted(self, rows: IntArray, origins: IntArray, allowed: _Float32 | None) -> tuple[Tensor, Tensor]:
        if self._labels is None:
            return torch.empty(0), torch.empty(0)
        place = (rows[:, None] * self._labels.shape[1] + origins).reshape(-1)
        labels: _Float32 = self._labels.reshape(-1, self._labels.shape[2]).take(place, axis=0)
        known = np.isfinite(labels)
        labels[~known] = 0.0
        weights = known.astype(np.float32)
        if allowed is not None:
            weights *= allowed[rows[:, None], origins].reshape(-1, 1)
        shape = (*origins.shape, *self._label_shape)
        return torch.from_numpy(labels.reshape(shape)), torch.from_numpy(weights.reshape(shape))


def _slices(values: _Float32, length: int) -> _Float32:
    """Return (N T - length + 1, length V): the values of ``length`` steps from each on, a view of (N, T, V)."""
    n, t, v = values.shape
    shape, step = (max(0, n * t - length + 1), length * v), values.itemsize
    found: _Float32 = as_strided(values.reshape(-1), shape, (v * step, step), writeable=False)
    return found


def _padded_inputs(observed: ObservedInputs, front: int, back: int, folder: Path | None) -> _Float32:
    """Return (N, front + T + back, V) float32 inputs, missing ones 0, in memory or in a file that is mapped."""
    n, t, v = observed.shape
    shape = (n, front + t + back, v)
    if folder is not None and 0 not in shape:
        return mapped_matrix(folder, shape, (_padded_lane(observed, i, front, back) for i in range(n)))
    out = np.zeros(shape, dtype=np.float32)
    for i in range(n):
        out[i] = _padded_lane(observed, i, front, back)
    return out


def _padded_lane(observed: ObservedInputs, i: int, front: int, back: int) -> _Float32:
    """Return (front + T + back, V) of one instrument."""
    one = np.asarray(observed[i])
    if np.isinf(one).any():
        j, k = (int(place) for place in np.argwhere(np.isinf(one))[0])
        raise DataError(f"input {k} of instrument {i} is infinite at time {j}", hint="scale and clip inputs before")
    out = np.zeros((front + len(one) + back, one.shape[1]), dtype=np.float32)
    out[front : front + len(one)] = np.where(np.isnan(one), 0.0, one)
    return out


def _padded(values: FloatArray | _Float32, front: int, back: int, missing: float = 0.0) -> _Float32:
    """Return (N, front + T + back, V) float32, contiguous."""
    n, t, v = values.shape
    out = np.full((n, front + t + back, v), missing, dtype=np.float32)
    out[:, front : front + t] = values
    return out
