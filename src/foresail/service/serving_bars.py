"""A stored set as it grows: whole once, then only the bars that were stored since.

1. Parts of a set never change (``store.embedded``), so what was read stays read. New parts are turned into rows by the
   function that makes the whole panel.
2. Where the new rows would not be those of the whole panel, this says why, and the caller reads the set whole: a late
   or corrected bar, a listing, a bar that is stored and not known yet, a store made anew.
3. Bars outside the sessions are no rows, however many are stored. What went ex on one of them stands on the next row,
   which only the whole panel knows.
4. Bars of a file have no parts; they are read whole each time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from foresail.core.arrays import BoolArray
from foresail.core.clock import Clock, format_ns
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.calendars import EXTENDED_FRAME, inside_sessions
from foresail.domain.panel import Panel
from foresail.evaluation.holdout import refuse_sealed
from foresail.evaluation.registry import Lineage, TrialRegistry
from foresail.service.loading import EMBEDDED, Loaded, load_bars
from foresail.store.embedded import EmbeddedStore
from foresail.store.manifest import SetEntry
from foresail.store.ordering import Columns, sorted_columns
from foresail.store.panels import to_panel

__all__ = ["BarFeed"]

_MOVED = "a payment or split stands on a bar outside the sessions"
_UNKNOWN = "a bar is stored that is not known yet or came too late for its row"


class BarFeed:
    """The bars of one ``--bars``.

    Parameters
    ----------
    data : as for ``foresail predict``
    timezone : of times in files that carry none
    """

    def __init__(self, data: str, workspace: Path, clock: Clock, timezone: str | None = None) -> None:
        self._data, self._workspace, self._clock, self._timezone = data, workspace, clock, timezone
        self._is_stored = data != EMBEDDED and not Path(data).exists()
        self._store = EmbeddedStore(workspace / "store")
        self._trials = TrialRegistry(workspace / "trials.jsonl")
        self._read: SetEntry | None = None  # of the store, when the bars were read last
        self._instruments: tuple[InstrumentId, ...] = ()
        self._first = self._end = self._available = 0  # ns UTC
        self._hidden = ""  # why a stored bar that is not shown may change the next row

    def whole(self, now: int) -> Loaded:
        """Return the market as it is known at an instant, ns UTC; errors are those of ``load_bars``."""
        self._read = None
        known = [one.name for one in self._store.sets()] if self._is_stored else []
        entry = self._store.entry(self._data) if self._data in known else None
        loaded = load_bars(
            self._data, workspace=self._workspace, until_ns=now, timezone=self._timezone, clock=self._clock
        )
        bars = loaded.data.bars
        self._instruments = bars.instruments
        self._first, self._end, self._available = int(bars.end[0]), int(bars.end[-1]), int(bars.available_at[-1])
        self._hidden = "" if entry is None else self._hides(entry, bars)
        self._read = entry
        return loaded

    def newer(self, now: int) -> Panel | str:
        """Return the rows (N, T, F) that came since the last read, perhaps none; or why the set must be read whole.

        Raises
        ------
        UserError
            If a new bar lies in a hold-out that nobody has opened.
        DataError
            If the store is damaged.
        """
        if not self._is_stored:
            return "bars of a file are read whole"
        if self._read is None:
            return "the set was not read before"
        entry, held = self._store.entry(self._data), self._read
        reason = self._apart(entry, held, now)
        rows = reason or self._rows(entry, len(held.parts), now)
        if isinstance(rows, str):
            return rows
        if rows.shape[1]:
            limit = int(rows.available_at[-1]) + 1
            refuse_sealed(self._trials, Lineage(tuple(self._instruments), rows.frame, "close", self._first, limit))
            self._end, self._available = int(rows.end[-1]), limit - 1
        self._read = entry
        return rows

    def _rows(self, entry: SetEntry, first: int, now: int) -> Panel | str:
        """Return the rows of the parts from ``first`` on, or why they are not those of the whole panel."""
        prints = self._store.read_parts(self._data, first)
        columns = sorted_columns(prints)
        inside = _inside(columns, entry.bar_set)
        is_moved, count = bool((_eventful(columns) & ~inside).any()), int(inside.sum())
        if is_moved or count == 0:
            return _MOVED if is_moved else self._placed(None, entry.bar_set)
        earliest = int(columns.end[inside].min())
        if earliest <= self._end:
            return f"a bar that ended {format_ns(earliest)} came late or was corrected"
        try:
            rows = to_panel(prints, entry.bar_set, known_at_ns=now)
        except DataError:  # none is known yet; the whole read tells what is
            return _UNKNOWN
        if int(rows.present.sum()) != count or int(rows.available_at[0]) < self._available:
            return _UNKNOWN
        if not set(rows.instruments) <= set(self._instruments):
            return "an instrument was listed"
        return self._placed(rows, entry.bar_set)

    def _placed(self, rows: Panel | None, bar_set: BarSet) -> Panel:
        """Return rows in the places of all instruments."""
        if rows is None:
            none = np.empty(0, dtype=np.int64)
            n = len(self._instruments)
            shape = np.empty((n, 0, 0)), np.empty((n, 0), dtype=np.bool_)
            return Panel(*shape, none, none, none, (), self._instruments, bar_set.frame, bar_set.calendar)
        place = {name: i for i, name in enumerate(self._instruments)}
        own = [place[name] for name in rows.instruments]
        values = np.full((len(place), *rows.values.shape[1:]), np.nan)
        present = np.zeros(values.shape[:2], dtype=np.bool_)
        values[own], present[own] = rows.values, rows.present
        return replace(rows, values=values, present=present, instruments=self._instruments)

    def _apart(self, entry: SetEntry, held: SetEntry, now: int) -> str:
        """Return why what was read is no beginning of what is stored, empty where it is one."""
        if entry.parts[: len(held.parts)] != held.parts:
            return "the store was made anew"
        if {one.id for one in entry.bar_set.instruments} != {one.id for one in held.bar_set.instruments}:
            return "an instrument was listed"
        if entry.bar_set != held.bar_set:
            return "the description of the set changed"
        is_ahead = any(one.recorded_at > now for one in entry.parts[len(held.parts) :])
        return _UNKNOWN if is_ahead else self._hidden

    def _hides(self, entry: SetEntry, bars: Panel) -> str:
        """Return why a bar that an instrument has in the store and not in the panel may change the next row."""
        latest = self._store.latest_bars()
        names, sets, ends = (latest.column(name).to_pylist() for name in ("instrument", "set", "end"))
        last = bars.shape[1] - 1 - np.argmax(bars.present[:, ::-1], axis=1)
        own = {str(name): int(bars.end[t]) for name, t in zip(bars.instruments, last.tolist(), strict=True)}
        stored = zip(names, sets, ends, strict=True)
        apart = {name: own.get(name, -1) for name, mine, end in stored if mine == self._data and own.get(name) != end}
        if not apart:
            return ""
        first = [part.last_end > min(apart.values()) for part in entry.parts].index(True)
        columns = sorted_columns(self._store.read_parts(self._data, first))
        never = np.iinfo(np.int64).max
        newer = columns.end > np.array([apart.get(name, never) for name in columns.names], dtype=np.int64)[columns.code]
        inside = _inside(columns, entry.bar_set)
        if (newer & inside).any():
            return _UNKNOWN
        return _MOVED if (newer & _eventful(columns)).any() else ""


def _inside(columns: Columns, bar_set: BarSet) -> BoolArray:
    """Return which prints a panel may show: those that end in a session."""
    return inside_sessions(bar_set.calendar, columns.end, extended=bar_set.frame == EXTENDED_FRAME)


def _eventful(columns: Columns) -> BoolArray:
    """Return which prints carry a payment or split."""
    dividend, split = (columns.values(name) for name in ("dividend", "split"))
    found: BoolArray = (np.nan_to_num(dividend) != 0.0) | (np.nan_to_num(split, nan=1.0) != 1.0)
    return found
