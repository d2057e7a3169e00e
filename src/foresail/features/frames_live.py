"""Features of several time frames, live: one row at a time, bit for bit what ``frames.compute_frames`` gives.

Rows of the bar under way are kept; when a row closes it, the same aggregation makes the coarse bar and the frame's own
driver takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.bins import assign_bins
from foresail.domain.calendars import frame_ns
from foresail.domain.panel import Panel
from foresail.features.coarse import coarsen
from foresail.features.context import ContextRow, FeatureContext, calendar_flags
from foresail.features.frames import DIRECTION, FrameSettings, frame_request, higher_frames, with_directions
from foresail.features.live import LiveDriver
from foresail.features.session_flags import NUMBERS

__all__ = ["FrameBar", "FrameLiveDriver"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameBar:
    """One row of bars for ``FrameLiveDriver``.

    Attributes
    ----------
    values : (N, F) in the order of the driver's fields
    present : (N,)
    start, end, available_at : ns UTC
    context : reference and given values of the row; calendar numbers in the order of ``NUMBERS`` or of the context
    """

    values: FloatArray
    present: BoolArray
    start: int
    end: int
    available_at: int
    context: ContextRow


class _FrameState:
    """The bar under way of one frame, its driver, and what each instrument last closed."""

    def __init__(self, driver: LiveDriver, frame: str) -> None:
        self.driver = driver
        self.frame = frame
        self.rows: list[FrameBar] = []
        self.stop = -1
        self.newest = np.full((len(driver.instruments), len(driver.names)), np.nan)


class FrameLiveDriver:
    """Features of several frames for the newest row, bit for bit those of ``compute_frames``.

    Parameters
    ----------
    panel : a panel of the same instruments, fields, frame and calendar; its times and values are not used
    names, context, settings : as in ``compute_frames``
    """

    def __init__(
        self, panel: Panel, names: Sequence[str], context: FeatureContext, settings: FrameSettings | None = None
    ) -> None:
        self._settings = settings or FrameSettings()
        self._shape = panel.cut(0, 0)
        self._request = frame_request(names, panel.frame, self._settings)
        self._context = context
        self.names = self._request.columns
        coarse = replace(context, calendar=np.empty((0, 0)), calendar_names=tuple(NUMBERS))
        self._frames = tuple(
            _FrameState(LiveDriver(panel.instruments, self._request.features(f), coarse, panel.fields), f)
            for f in higher_frames(self._request, panel.frame)
        )
        self._base: LiveDriver | None = None
        if self._request.frames.get(None):
            given = with_directions(
                replace(context, given=np.empty((len(panel.instruments), 0, len(context.given_names)))),
                self._request.directions,
                {f: np.empty((len(panel.instruments), 0)) for f in self._request.directions},
                (len(panel.instruments), 0),
            )
            self._base = LiveDriver(panel.instruments, self._request.features(None), given, panel.fields)
        own = [f for f in self._request.directions if frame_ns(f) == frame_ns(panel.frame)]
        self._own = LiveDriver(panel.instruments, [DIRECTION], context, panel.fields) if own else None

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """The rows of every update."""
        return self._shape.instruments

    def update(self, bar: FrameBar) -> FloatArray:
        """Take one row and return its (N, names) features; rows come in the order of their ends."""
        out = np.full((len(self.instruments), len(self.names)), np.nan)
        directions: dict[str, FloatArray] = {}
        for state in self._frames:
            self._advance(state, bar)
            for i, name in self._request.frames.get(state.frame, ()):
                out[:, i] = state.newest[:, state.driver.names.index(name)]
            if state.frame in self._request.directions:
                directions[state.frame] = state.newest[:, [state.driver.names.index(DIRECTION)]]
        if self._own is not None:
            own = next(f for f in self._request.directions if f not in directions)
            directions[own] = self._own.update(bar.values, bar.present, bar.context)
        if self._base is not None:
            row = bar.context
            if self._request.directions:
                given = row.given.reshape(len(self.instruments), 1, -1)
                n = len(self.instruments)
                context = replace(self._context, given=given)
                context = with_directions(context, self._request.directions, directions, (n, 1))
                row = replace(row, given=context.given[:, 0])
            base = self._base.update(bar.values, bar.present, row)
            for i, name in self._request.frames[None]:
                out[:, i] = base[:, self._base.names.index(name)]
        out[~bar.present] = np.nan
        return out

    def _advance(self, state: _FrameState, bar: FrameBar) -> None:
        """Add a row to the bar under way, and close it where this row ends it."""
        own = self._shape
        if bar.start >= state.stop:
            span = np.array([bar.start]), np.array([bar.end])
            bins = assign_bins(*span, own.calendar, own.frame, state.frame, extended=self._settings.extended)
            if bins.end[0] <= bins.start[0]:
                return
            state.rows, state.stop = [], int(bins.end[0])
        if bar.end > state.stop:
            return
        state.rows.append(bar)
        if bar.end != state.stop:
            return
        rows = state.rows
        fine = replace(
            own,
            values=np.ascontiguousarray(np.stack([r.values for r in rows], axis=1)),
            present=np.ascontiguousarray(np.stack([r.present for r in rows], axis=1)),
            start=np.array([r.start for r in rows]),
            end=np.array([r.end for r in rows]),
            available_at=np.array([r.available_at for r in rows]),
        )
        coarse = coarsen(fine, state.frame, extended=self._settings.extended).panel
        numbers = calendar_flags(coarse.start, coarse.end, coarse.calendar, tuple(NUMBERS))[:, 0]
        row = replace(bar.context, calendar=numbers)
        values = state.driver.update(coarse.values[:, 0], coarse.present[:, 0], row)
        here = coarse.present[:, 0]
        state.newest[here] = values[here]
        state.rows, state.stop = [], -1
