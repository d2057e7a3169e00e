"""Features of several time frames, live: one row at a time, bit for bit what ``frames.compute_frames`` gives.

Rows of the bar under way are kept; when a row closes it, the same aggregation makes the coarse bar and the frame's own
driver takes it. ``snapshot``, ``restore``, ``replay`` and ``enlist`` do what they do in ``live``, the bars under way
included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.domain.bins import assign_bins
from foresail.domain.calendars import frame_ns
from foresail.domain.panel import Panel
from foresail.features.coarse import coarsen
from foresail.features.context import ContextRow, FeatureContext, calendar_flags
from foresail.features.frame_syntax import DIRECTION
from foresail.features.frames import FrameSettings, frame_request, higher_frames, with_directions
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


_NOTHING = ContextRow(np.empty(0), np.empty(0))  # of a row under way: only the row that closes a bar is asked


class _FrameState:
    """The bar under way of one frame, its driver, and what each instrument last closed."""

    def __init__(self, driver: LiveDriver, frame: str) -> None:
        self.driver = driver
        self.frame = frame
        self.rows: list[FrameBar] = []
        self.stop = -1
        self.newest = np.full((len(driver.instruments), len(driver.names)), np.nan)

    def arrays(self, fields: int) -> dict[str, np.ndarray]:
        """Return the bar under way and what was last closed."""
        n, rows = len(self.newest), self.rows
        return {
            "stop": np.array([self.stop], dtype=np.int64),
            "newest": self.newest.copy(),
            "values": np.array([row.values for row in rows], dtype=np.float64).reshape(-1, n, fields),
            "present": np.array([row.present for row in rows], dtype=np.bool_).reshape(-1, n),
            "times": np.array([(r.start, r.end, r.available_at) for r in rows], dtype=np.int64).reshape(-1, 3),
        }

    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to such arrays."""
        self.stop, self.newest = int(arrays["stop"][0]), arrays["newest"].copy()
        parts = zip(arrays["values"], arrays["present"], arrays["times"], strict=True)
        self.rows = [
            FrameBar(v.copy(), p.copy(), int(times[0]), int(times[1]), int(times[2]), _NOTHING) for v, p, times in parts
        ]

    def enlist(self, target: np.ndarray, instruments: Sequence[InstrumentId], context: FeatureContext) -> None:
        """Take in new instruments, absent so far; ``target`` = the new rows of those already there."""
        self.driver.enlist(instruments, context)
        count = len(instruments)
        newest = np.full((count, self.newest.shape[1]), np.nan)
        newest[target] = self.newest
        self.newest = newest
        for i, row in enumerate(self.rows):
            values, present = np.full((count, row.values.shape[1]), np.nan), np.zeros(count, dtype=np.bool_)
            values[target], present[target] = row.values, row.present
            self.rows[i] = replace(row, values=values, present=present)


class FrameLiveDriver:
    """Features of several frames for the newest row, bit for bit those of ``compute_frames``.

    Parameters
    ----------
    panel : a panel of the same instruments, fields, frame and calendar; its times and values are not used
    names, context, settings, form : as in ``compute_frames``
    """

    def __init__(
        self,
        panel: Panel,
        names: Sequence[str],
        context: FeatureContext,
        settings: FrameSettings | None = None,
        *,
        form: str = "display",
    ) -> None:
        self._settings = (settings or FrameSettings()).for_rows(panel)
        self._shape = panel.cut(0, 0)
        self._request = frame_request(names, panel.frame, self._settings)
        self._context = context
        self._form = form
        self.names = self._request.columns
        ids, fields = panel.instruments, panel.fields
        coarse = _coarse(context)
        self._frames = tuple(
            _FrameState(LiveDriver(ids, self._request.features(f), coarse, fields, form=form), f)
            for f in higher_frames(self._request, panel.frame)
        )
        self._base: LiveDriver | None = None
        if self._request.frames.get(None):
            own_names = self._request.features(None)
            self._base = LiveDriver(ids, own_names, self._with_agreement(context, len(ids)), fields, form=form)
        own = [f for f in self._request.directions if frame_ns(f) == frame_ns(panel.frame)]
        self._own = LiveDriver(ids, [DIRECTION], context, fields) if own else None

    def _with_agreement(self, context: FeatureContext, n: int) -> FeatureContext:
        """Return the context of the rows' own features: with places for the directions that they may read."""
        directions = {f: np.empty((n, 0)) for f in self._request.directions}
        bare = replace(context, given=np.empty((n, 0, len(context.given_names))))
        return with_directions(bare, self._request.directions, directions, (n, 0))

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

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return a copy of all memory as named arrays, the bars under way included."""
        arrays = {"identity": self._identity()}
        for where, driver in self._drivers():
            arrays |= {f"{where}.{key}": part for key, part in driver.snapshot().items()}
        for i, state in enumerate(self._frames):
            arrays |= {f"bar{i}.{key}": part for key, part in state.arrays(len(self._shape.fields)).items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot of a driver of the same instruments, features, frames and kernels.

        Raises
        ------
        IntegrityError
            If the snapshot belongs to another program.
        """
        if not np.array_equal(arrays.get("identity", np.empty(0)), self._identity()):
            raise IntegrityError(
                "the snapshot was made for other instruments, features or frames than these",
                hint="replay the stored bars instead",
            )
        for where, driver in self._drivers():
            driver.restore(_below(arrays, where))
        for i, state in enumerate(self._frames):
            state.take(_below(arrays, f"bar{i}"))

    def replay(self, arrays: Mapping[str, np.ndarray], panel: Panel, context: FeatureContext) -> FloatArray:
        """Go back to a snapshot and take the rows since then anew, a late or corrected one among them.

        Parameters
        ----------
        arrays : a snapshot taken before the first changed row
        panel : all rows after the snapshot, corrections included, with this driver's instruments and fields
        context : of the panel, with the names of this driver's context

        Returns
        -------
        (N, T, names) features as of the corrected rows; the driver continues after the last one

        Raises
        ------
        IntegrityError
            If the snapshot belongs to another program, or the panel to other instruments or fields.
        """
        own = self._shape
        if tuple(panel.instruments) != tuple(own.instruments) or tuple(panel.fields) != tuple(own.fields):
            raise IntegrityError(
                f"the panel to replay has {len(panel.instruments)} instruments and fields {', '.join(panel.fields)}, "
                f"not those of the driver ({len(own.instruments)} instruments)",
                hint="read the panel with the driver's own instruments and fields",
            )
        self.restore(arrays)
        n, t, _ = panel.shape
        out = np.full((n, t, len(self.names)), np.nan)
        for k in range(t):
            times = int(panel.start[k]), int(panel.end[k]), int(panel.available_at[k])
            out[:, k] = self.update(FrameBar(panel.values[:, k], panel.present[:, k], *times, context.row(k)))
        return out

    def enlist(self, instruments: Sequence[InstrumentId], context: FeatureContext) -> None:
        """Take in new instruments; those already there keep their memory and their values.

        Parameters
        ----------
        instruments : ascending, all that are there and the new ones
        context : as for a new driver of these instruments

        Raises
        ------
        IntegrityError
            If an instrument that is there is missing: a name that no longer trades stays, absent.
        """
        n, places = len(instruments), {name: i for i, name in enumerate(instruments)}
        lost = [name for name in self.instruments if name not in places]
        if lost:
            raise IntegrityError(
                f"{len(lost)} instruments of the driver are missing, the first is {lost[0]}",
                hint="a delisted instrument stays in the list and is absent",
            )
        target = np.array([places[name] for name in self.instruments], dtype=np.int64)
        for state in self._frames:
            state.enlist(target, instruments, _coarse(context))
        if self._base is not None:
            self._base.enlist(instruments, self._with_agreement(context, n))
        if self._own is not None:
            self._own.enlist(instruments, context)
        width = len(self._shape.fields)
        empty = np.empty((n, 0, width)), np.empty((n, 0), dtype=np.bool_)
        self._shape = replace(self._shape, values=empty[0], present=empty[1], instruments=tuple(instruments))
        self._context = context

    def _drivers(self) -> list[tuple[str, LiveDriver]]:
        found = [(f"frame{i}", state.driver) for i, state in enumerate(self._frames)]
        found += [] if self._base is None else [("base", self._base)]
        return found + ([] if self._own is None else [("own", self._own)])

    def _identity(self) -> np.ndarray:
        """Return what a snapshot must agree with, as bytes; kernels and formulas are those of each driver."""
        own = self._shape
        words = [*own.instruments, "", *own.fields, "", *self.names, "", own.frame, own.calendar, self._form]
        words += [self._settings.style, str(self._settings.extended)]
        return np.frombuffer(hashlib.sha256("\0".join(words).encode()).digest(), dtype=np.uint8).copy()


def _coarse(context: FeatureContext) -> FeatureContext:
    """Return the context of a frame's driver, which works out the calendar of its bars itself."""
    return replace(context, calendar=np.empty((0, 0)), calendar_names=tuple(NUMBERS))


def _below(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{where}."): part for key, part in arrays.items() if key.startswith(f"{where}.")}
