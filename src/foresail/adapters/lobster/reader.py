"""A pair of LOBSTER files to one stream of book events.

The message file tells only events inside the requested number of levels. When a level empties, the next one comes into
view without a message; when a better one appears, the deepest goes out of view. The book file shows both, so the reader
adds a ``VIEW`` row for what came into view or left it, and counts separately what no message explains.

Format: https://lobsterdata.com/info/DataStructure.php. Times are seconds after midnight in New York.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.clock import NS_PER_S, to_ns
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.books import BookKind, BookStream

__all__ = ["LobsterDay", "LobsterReport", "read_lobster"]

_TICK = 0.01
_UNITS = 100  # prices are in 1/10,000 of a dollar, a tick is a cent
_NAME = re.compile(
    r"(?P<ticker>[A-Z.]+)_(?P<day>\d{4}-\d{2}-\d{2})_(?P<start>\d+)_(?P<end>\d+)_message_(?P<levels>\d+)"
)
_SUBMIT, _CANCEL, _DELETE, _VISIBLE, _HIDDEN, _CROSS, _HALT = range(1, 8)
_KINDS = {
    _SUBMIT: BookKind.ADD,
    _CANCEL: BookKind.REDUCE,
    _DELETE: BookKind.DELETE,
    _VISIBLE: BookKind.EXECUTE,
    _HIDDEN: BookKind.TRADE,
    _CROSS: BookKind.TRADE,
}


@dataclass(frozen=True, slots=True)
class LobsterReport:
    """What the two files say of one another.

    Attributes
    ----------
    messages : lines
    explained : lines after the first whose book follows from the line before and the message alone
    revealed : levels that came into view at the deep end
    hidden_from_view : levels that left it there
    contradictions : lines where a level in view changed otherwise than the message says; the book file counts
    halts : lines of type 7
    """

    messages: int
    explained: int
    revealed: int
    hidden_from_view: int
    contradictions: int
    halts: int


@dataclass(frozen=True, slots=True, eq=False)
class LobsterDay:
    """One instrument and day.

    Attributes
    ----------
    book : (R, 2, L, 2) ticks and sizes of the book file, bids first, best first; size 0 = no level
    """

    stream: BookStream
    report: LobsterReport
    book: IntArray


def read_lobster(message: Path, orderbook: Path, instrument: InstrumentId) -> LobsterDay:
    """Return the events of a pair of files.

    Parameters
    ----------
    message, orderbook : plain or gzip; the name of the message file tells day and levels

    Raises
    ------
    DataError
        If the name is of another form, or the files do not belong together.

    Notes
    -----
    Timing: the exchange's own clock; ``available_at`` is the event time, so add a delay before trading on it.
    """
    name = _NAME.match(message.name)
    if name is None:
        raise DataError(
            f"{message.name}: expected TICKER_YYYY-MM-DD_START_END_message_LEVELS.csv",
            hint="keep the names that LOBSTER gave the files",
        )
    levels = int(name["levels"])
    lines, raw = _table(message), _table(orderbook)
    if lines.shape[1] != 6 or raw.shape != (len(lines), 4 * levels):
        raise DataError(
            f"{orderbook.name}: expected {len(lines)} lines of {4 * levels} columns beside {lines.shape[1]} of 6, "
            f"received {raw.shape[0]} of {raw.shape[1]}",
            hint="give the message and the orderbook file of one day",
        )
    book = _book(raw.astype(np.int64), levels, orderbook.name)
    midnight = to_ns(datetime.fromisoformat(name["day"]).replace(tzinfo=ZoneInfo("America/New_York")))
    time = midnight + np.rint(lines[:, 0] * NS_PER_S).astype(np.int64)
    changes = _changes(lines, book)
    stream = _stream(lines, time, changes, (instrument, levels))
    return LobsterDay(stream, changes.report, book)


def _table(path: Path) -> FloatArray:
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path, read_options=csv.ReadOptions(autogenerate_column_names=True))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    try:
        return np.column_stack([column.cast(pa.float64()).to_numpy() for column in table.columns])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{path.name}: expected numbers only: {error}") from error


def _book(raw: IntArray, levels: int, name: str) -> IntArray:
    """Return (R, 2, L, 2); the dummies of unoccupied levels become price 0, size 0."""
    parts = raw.reshape(len(raw), levels, 2, 2)[:, :, ::-1, :].transpose(0, 2, 1, 3).copy()
    empty = parts[..., 1] == 0
    parts[empty] = 0
    if np.any(parts[..., 0] % _UNITS):
        row = int(np.flatnonzero(np.any(parts[..., 0] % _UNITS, axis=(1, 2)))[0]) + 1
        raise DataError(f"{name}: a price in line {row} is no multiple of a cent", row=row)
    parts[..., 0] //= _UNITS
    return np.ascontiguousarray(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """VIEW rows that go with messages: line, row of the side, price, size."""

    line: IntArray
    side: IntArray
    price: IntArray
    size: IntArray
    report: LobsterReport


def _changes(lines: FloatArray, book: IntArray) -> _Changes:
    """Compare each book with the one that the line before and the message give."""
    kind = lines[:, 1].astype(np.int64)
    price, size = (lines[:, 4] / _UNITS).astype(np.int64), lines[:, 3].astype(np.int64)
    row = np.where(lines[:, 5] > 0, 0, 1)
    step = np.where(kind == _SUBMIT, size, np.where(np.isin(kind, (_CANCEL, _DELETE, _VISIBLE)), -size, 0))
    found = [_snapshot(book[0])]
    odd = np.zeros(len(lines), dtype=np.bool_)
    plain = np.ones(len(lines), dtype=np.bool_)
    revealed = gone = 0
    for s in range(2):
        here = (row == s) & (step != 0)
        came, left, wrong = _side(book[:, s], np.where(here, price, 0), np.where(here, step, 0), s)
        found += [came.rows(s), left.rows(s)]
        revealed += len(came.line) - int(wrong.sum())
        gone += len(left.line)
        odd |= wrong
        plain[came.line] = False
        plain[left.line] = False
    table = np.concatenate(found)
    table = table[np.argsort(table[:, 0], kind="stable")]
    halts = int(np.sum(kind == _HALT))
    report = LobsterReport(len(lines), int(plain[1:].sum()), max(revealed, 0), gone, int(odd.sum()), halts)
    return _Changes(table[:, 0], table[:, 1], table[:, 2], table[:, 3], report)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    line: IntArray
    price: IntArray
    size: IntArray

    def rows(self, side: int) -> IntArray:
        return np.column_stack([self.line, np.full_like(self.line, side), self.price, self.size])


def _snapshot(book: IntArray) -> IntArray:
    """Return the levels of the first line as rows."""
    side, level = np.nonzero(book[:, :, 1])
    return np.column_stack([np.zeros_like(side), side, book[side, level, 0], book[side, level, 1]])


def _side(book: IntArray, price: IntArray, step: IntArray, side: int) -> tuple[_Found, _Found, BoolArray]:
    """Return what one side needs besides the messages, (R, L, 2): levels to set, levels to drop, contradicted lines.

    The message makes the level at its price hold ``step`` lots more.
    """
    before, after = book[:-1], book[1:]
    p0, q0, p1, q1 = before[..., 0], before[..., 1], after[..., 0], after[..., 1]
    p, d = price[1:, None], step[1:, None]
    # What the message predicts at each level of the line before, and at each level that is seen after it.
    told = np.where(p1 == p, d, 0)
    same = (p1[:, :, None] == p0[:, None, :]) & (q0[:, None, :] > 0)
    predicted = np.where(same, q0[:, None, :], 0).sum(axis=2) + told
    known = same.any(axis=2) | (told > 0)
    came_line, came_level = np.nonzero((q1 > 0) & ((predicted != q1) | ~known))
    came = _Found(came_line + 1, p1[came_line, came_level], q1[came_line, came_level])
    expected = np.maximum(q0 + np.where(p0 == p, d, 0), 0)
    stays = ((p0[:, :, None] == p1[:, None, :]) & (q1[:, None, :] > 0)).any(axis=2)
    left_line, left_level = np.nonzero((q0 > 0) & (expected > 0) & ~stays)
    left = _Found(left_line + 1, p0[left_line, left_level], np.zeros_like(left_line))
    fresh = (d[:, 0] > 0) & ~(p0 == p).any(axis=1) & ~(p1 == p).any(axis=1)  # an order beyond what is in view
    beyond = np.flatnonzero(fresh)
    left = _Found(
        np.concatenate([left.line, beyond + 1]),
        np.concatenate([left.price, p[beyond, 0]]),
        np.concatenate([left.size, np.zeros_like(beyond)]),
    )
    return came, left, _contradicted(book, came, left, side)


def _contradicted(book: IntArray, came: _Found, left: _Found, side: int) -> BoolArray:
    """Return the lines at which a level in view of both lines changed without a message."""
    sign = 1 if side == 0 else -1
    occupied = book[..., 1] > 0
    keys = np.where(occupied, sign * book[..., 0], np.iinfo(np.int64).max)
    full = occupied.all(axis=1)
    worst = np.where(full, keys.min(axis=1), np.iinfo(np.int64).min)  # an unfilled side shows everything
    wrong = np.zeros(len(book), dtype=np.bool_)
    if len(came.line):  # it was in view before, so it should have been there
        wrong[came.line[sign * came.price >= worst[came.line - 1]]] = True
    if len(left.line):
        wrong[left.line[sign * left.price >= worst[left.line]]] = True
    return wrong


def _stream(lines: FloatArray, time: IntArray, changes: _Changes, which: tuple[InstrumentId, int]) -> BookStream:
    """Weave messages and level rows: per line the message, then its levels; line 0 is the snapshot."""
    kind_of = np.zeros(8, dtype=np.int8)
    for told, meaning in _KINDS.items():
        kind_of[told] = meaning
    code = lines[:, 1].astype(np.int64)
    unknown = np.flatnonzero((code < 1) | (code > _HALT))
    if len(unknown):
        i = int(unknown[0])
        raise DataError(f"event type {code[i]} in line {i + 1}: expected 1 to 7", row=i + 1, column="type")
    price = (lines[:, 4] / _UNITS).astype(np.int64)
    kind = kind_of[code]
    halted = code == _HALT
    kind[halted] = np.where(lines[halted, 4] == 1, BookKind.VALID, BookKind.INVALID)
    side = lines[:, 5].astype(np.int8)
    side[np.isin(code, (_HIDDEN, _CROSS))] *= -1  # the side of a print is that of the aggressor
    kind[0] = BookKind.CLEAR
    count, more = len(lines), len(changes.line)
    line = np.concatenate([np.arange(count), changes.line])
    order = np.argsort(line, kind="stable")

    def woven(message: NDArray[np.integer], level: NDArray[np.integer]) -> NDArray[np.integer]:
        return np.concatenate([message, level])[order]

    line = line[order]
    at = time[line]
    return BookStream(
        instrument=which[0],
        tick=_TICK,
        lot=1.0,
        event_time=at,
        available_at=at,
        kind=woven(kind, np.full(more, BookKind.VIEW)).astype(np.int8),
        side=woven(side, np.where(changes.side == 0, 1, -1)).astype(np.int8),
        price=woven(price, changes.price).astype(np.int64),
        size=woven(lines[:, 3].astype(np.int64), changes.size).astype(np.int64),
        order=woven(lines[:, 2].astype(np.int64), np.zeros(more, dtype=np.int64)).astype(np.int64),
        sequence=line + 1,
        closes=np.append(line[1:] != line[:-1], np.ones(1, dtype=np.bool_)),
        levels=which[1],
    )
