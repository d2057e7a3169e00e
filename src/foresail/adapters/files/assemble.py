"""Parsed rows to a ``BarTable``: instruments, spans, knowledge, corporate actions, order.

Rows end up sorted by (instrument, end, available_at, file, row). Revisions, if a set has them, become further prints of
the same bar with a later ``available_at``; they are never put in the place of the first print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from foresail.adapters.files.actions import ActionColumns, Prints, Revised, from_adjusted_close, from_events
from foresail.adapters.files.description import SetDescription
from foresail.adapters.files.instruments import instruments_of
from foresail.adapters.files.spans import Known, known_at, spans
from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S, format_ns
from foresail.core.errors import DataError
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import frame_ns
from foresail.domain.instruments import Instrument, PriceBasis
from foresail.domain.quality import QuarantinedRow

__all__ = ["FileRows", "assemble"]

_CLOCK_CHANGE = 3600 * NS_PER_S
_COARSE_RUN = 20  # so many steps in a row, each a whole day: the file holds daily bars there
_STORED = ("open", "high", "low", "close", "volume", "spread")


@dataclass(frozen=True, slots=True, eq=False)
class FileRows:
    """Rows of all files side by side, as parsed.

    Attributes
    ----------
    symbol : Arrow dictionary array
    time : (R,) ns UTC as the file says (see ``SetDescription.time``)
    known : (R,) ns UTC of the column ``known_at``, or None
    file, row : (R,) number of the file, 1-based row
    numbers : by role, (R,) float64
    """

    symbol: Any
    time: TimeArray
    known: TimeArray | None
    file: IntArray
    row: IntArray
    numbers: dict[str, FloatArray]

    def take(self, index: Any) -> FileRows:
        """Return some rows."""
        return FileRows(
            self.symbol.take(pa.array(index)),
            self.time[index],
            None if self.known is None else self.known[index],
            self.file[index],
            self.row[index],
            {name: values[index] for name, values in self.numbers.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    """Rows with instrument number, span and knowledge, sorted."""

    code: IntArray
    start: TimeArray
    end: TimeArray
    available: TimeArray
    known: Known | None
    rows: FileRows


@dataclass(frozen=True, slots=True, eq=False)
class _Codes:
    """Instruments in order, and the number of each symbol."""

    instruments: tuple[Instrument, ...]
    of_symbol: dict[str, int]


def assemble(
    rows: FileRows,
    later: FileRows | None,
    description: SetDescription,
    *,
    files: list[str],
    quarantined: list[QuarantinedRow],
    notes: list[str],
) -> tuple[BarTable, BarSet]:
    """Return the bars and the resolved set; appends to ``quarantined`` and ``notes``.

    Raises
    ------
    DataError
        If fewer than two bar ends remain, or the bars are plainly not of the stated frame.
    """
    present = np.unique(np.asarray(rows.symbol.indices))
    symbols = [str(rows.symbol.dictionary[int(i)].as_py()) for i in present]
    instruments, places = instruments_of(symbols, description)
    codes = _Codes(instruments, dict(zip(symbols, places, strict=True)))
    first = _locate(rows, codes, description, files, quarantined)
    ends = np.unique(first.end)
    if len(ends) < 2:
        raise DataError(
            f"{', '.join(files)}: {len(ends)} bar end in all, at least two are needed",
            file=files[0],
            rule="DATA-51",
            hint="import a longer history",
        )
    _refuse_coarse(first, description, files)
    second = None if later is None else _locate(_of_known(later, codes), codes, description, files, quarantined)
    actions = _actions(first, second, description, notes)
    bars = _to_table(first, second, actions, codes, files)
    return bars, _bar_set(first, description, instruments, files, notes)


def _of_known(later: FileRows, codes: _Codes) -> FileRows:
    known = np.array([str(s) in codes.of_symbol for s in later.symbol.dictionary.to_pylist()], dtype=np.bool_)
    return later.take(np.flatnonzero(known[np.asarray(later.symbol.indices)]))


def _locate(
    rows: FileRows, codes: _Codes, description: SetDescription, files: list[str], quarantined: list[QuarantinedRow]
) -> _Located:
    bars = spans(rows.time, description)
    off = np.flatnonzero(~bars.good)
    for position in off.tolist():
        day = format_ns(int(rows.time[position]))
        reason = f"{day} is no session of calendar {description.calendar}"
        original = ",".join(
            [str(rows.symbol[position].as_py()), day, *(str(v[position]) for v in rows.numbers.values())]
        )
        quarantined.append(
            QuarantinedRow(files[rows.file[position]], int(rows.row[position]), "time", "DATA-54", reason, original)
        )
    lookup = np.array([codes.of_symbol.get(str(s), -1) for s in rows.symbol.dictionary.to_pylist()], dtype=np.int64)
    code = lookup[np.asarray(rows.symbol.indices)]
    known = known_at(rows.known, bars, description)
    available = bars.end + round(description.grace_s * NS_PER_S) if known is None else known.available
    order = np.lexsort((rows.row, rows.file, available, bars.end, code))
    order = order[bars.good[order]] if len(off) else order
    if known is not None:
        known = Known(known.available[order], known.published[order], known.by_date)
    return _Located(code[order], bars.start[order], bars.end[order], available[order], known, rows.take(order))


def _refuse_coarse(bars: _Located, description: SetDescription, files: list[str]) -> None:
    """Refuse a file of intraday bars that has a stretch of daily ones: their spans would be wrong."""
    if frame_ns(description.frame) >= NS_PER_DAY or len(bars.end) <= _COARSE_RUN:
        return
    step = np.diff(bars.end)
    off = np.minimum(step % NS_PER_DAY, -step % NS_PER_DAY)  # a clock change moves local days by an hour
    daily = (np.diff(bars.code) == 0) & (step >= NS_PER_DAY - _CLOCK_CHANGE) & (off <= _CLOCK_CHANGE)
    run = np.convolve(daily, np.ones(_COARSE_RUN, dtype=np.int64), mode="valid")
    found = np.flatnonzero(run == _COARSE_RUN)
    if len(found) == 0:
        return
    place = int(found[0])
    last = int(found[-1]) + _COARSE_RUN
    until = format_ns(int(bars.start[min(last + 1, len(bars.start) - 1)]))
    row = int(bars.rows.row[place])
    raise DataError(
        f"{files[bars.rows.file[place]]}, row {row}: expected {description.frame} bars, received bars that are whole "
        f"days apart, from {format_ns(int(bars.start[place]))} to {until}",
        file=files[bars.rows.file[place]],
        row=row,
        column="time",
        rule="DATA-51",
        hint=f'leave them out with from = "{until[:10]}" under [quirks], or import them as frame = "1d"',
    )


def _actions(first: _Located, second: _Located | None, description: SetDescription, notes: list[str]) -> ActionColumns:
    numbers = first.rows.numbers
    n = len(first.end)
    none = ActionColumns(np.zeros(n), np.ones(n), np.ones(n))
    basis = description.price_basis
    close = np.where(_one_a_bar(first), numbers["close"], np.nan)
    adjusted = numbers.get("adj_close")
    events = [name for name in ("dividend", "split") if name in numbers]
    if basis in (PriceBasis.TOTAL_RETURN, PriceBasis.UNKNOWN):
        if adjusted is not None or events:
            notes.append(f"payments and splits are not booked: price basis {basis.value}")
        return none
    if events:
        cash = numbers.get("dividend", np.zeros(n))
        split = numbers.get("split", np.ones(n)) if basis is PriceBasis.RAW else np.ones(n)
        return from_events(Prints(first.code, close, close), cash, split)
    if adjusted is None or not np.isfinite(adjusted).any():
        return none
    published = None if first.known is None else first.known.published
    prints = Prints(first.code, close, adjusted, published)
    actions = from_adjusted_close(prints, basis, None if second is None else _revised(first, second))
    if actions.falls:
        notes.append(f"{actions.falls} bars whose adjusted close falls against the close: no payment booked there")
    return actions


def _one_a_bar(bars: _Located) -> Any:
    """True on the first row of each (instrument, end)."""
    same = (np.diff(bars.code) == 0) & (np.diff(bars.end) == 0)
    return np.r_[True, ~same]


def _positions(first: _Located, second: _Located) -> tuple[IntArray, IntArray]:
    """Return for each later print its row in ``first``, and which later prints have one."""
    n = len(first.end)
    order = np.lexsort(
        (np.r_[np.zeros(n), np.ones(len(second.end))], np.r_[first.end, second.end], np.r_[first.code, second.code])
    )
    is_first = order < n
    last = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), -1))
    query = np.flatnonzero(~is_first)
    later = order[query] - n
    host = order[np.maximum(last[query], 0)]
    hit = (last[query] >= 0) & (first.end[np.minimum(host, n - 1)] == second.end[later])
    hit &= first.code[np.minimum(host, n - 1)] == second.code[later]
    position = np.full(len(second.end), -1, dtype=np.int64)
    position[later[hit]] = host[hit]
    return position, np.flatnonzero(position >= 0)


def _revised(first: _Located, second: _Located) -> Revised:
    position, kept = _positions(first, second)
    published = second.available if second.known is None else second.known.published
    numbers = second.rows.numbers
    adjusted = numbers.get("adj_close", numbers["close"])
    usable = kept[(numbers["close"][kept] > 0) & (adjusted[kept] > 0)]
    order = usable[np.lexsort((published[usable], position[usable]))]
    return Revised(position[order], published[order], numbers["close"][order], adjusted[order])


def _to_table(
    first: _Located, second: _Located | None, actions: ActionColumns, codes: _Codes, files: list[str]
) -> BarTable:
    columns: dict[str, Any] = {
        "code": first.code,
        "start": first.start,
        "end": first.end,
        "available_at": first.available,
        "dividend": actions.dividend,
        "split": actions.split,
        "total_factor": actions.total_factor,
        "file": first.rows.file,
        "row": first.rows.row,
    }
    columns |= {name: first.rows.numbers[name] for name in _STORED if name in first.rows.numbers}
    if second is not None:
        columns = _with_later_prints(columns, first, second)
    names = pa.array([str(instrument.id) for instrument in codes.instruments])
    code = pa.array(columns.pop("code").astype(np.int32))
    columns["instrument"] = pa.DictionaryArray.from_arrays(code, names).cast(pa.string())
    columns["file"] = pa.DictionaryArray.from_arrays(pa.array(columns["file"].astype(np.int32)), pa.array(files)).cast(
        pa.string()
    )
    return bar_table(columns)


def _with_later_prints(columns: dict[str, Any], first: _Located, second: _Located) -> dict[str, Any]:
    position, kept = _positions(first, second)
    host = position[kept]
    extra = {
        "code": second.code[kept],
        "start": second.start[kept],
        "end": second.end[kept],
        "available_at": np.maximum(second.available[kept], first.available[host] + 1),
        "file": second.rows.file[kept],
        "row": second.rows.row[kept],
    }
    for name in ("dividend", "split", "total_factor"):
        extra[name] = columns[name][host]
    for name in _STORED:
        if name in columns:
            values = second.rows.numbers.get(name)
            extra[name] = np.full(len(kept), np.nan) if values is None else values[kept]
    joined = {name: np.concatenate([columns[name], extra[name]]) for name in columns}
    order = np.lexsort((joined["row"], joined["file"], joined["available_at"], joined["end"], joined["code"]))
    return {name: values[order] for name, values in joined.items()}


def _bar_set(
    first: _Located,
    description: SetDescription,
    instruments: tuple[Instrument, ...],
    files: list[str],
    notes: list[str],
) -> BarSet:
    numbers = first.rows.numbers
    ranges = [name for name in ("open", "high", "low") if name in numbers and np.isfinite(numbers[name]).any()]
    by_date = first.known is not None and first.known.by_date
    if by_date:
        notes.append("bars are known by date: usable a second after the next session's open")
    return BarSet(
        name=description.name,
        asset_class=description.asset_class,
        frame=description.frame,
        calendar=description.calendar,
        price_basis=description.price_basis,
        universe_basis=description.universe,
        currency=description.currency,
        grace_s=description.grace_s,
        known_by_date=by_date,
        close_only=not ranges,
        instruments=instruments,
        source=", ".join(files),
    )
