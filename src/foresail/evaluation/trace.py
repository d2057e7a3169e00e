"""Watch a user's file run, line by line, and find the first line whose values depend on bars after a time.

1. ``record`` runs a function under ``sys.settrace``, looking only into the user's file. After each line it takes
   fingerprints of local values that are new or changed; of a table or array along the bars' time axis only the rows
   up to the time count. A result without a time axis (a mean, a number) is fingerprinted whole.
2. ``origin`` lays the recordings of a clean and a perturbed run side by side. Starting at the returned value it goes
   back through the lines whose differing values were read, into functions and lambdas of the file where they were
   called, until a line differs although nothing that it read does: that line let the future in.

Where rows of a table of samples were altered, tables are fingerprinted row by row: as many rows may differ as were
altered, one more is a spread. Fitted objects are fingerprinted by what they hold.

Lines that run many times (loops) are watched for their first passes only; values without a time axis are ignored
there, since later passes may rightly differ.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from foresail.core.clock import from_ns
from foresail.evaluation.leak_causes import reads, statement_at, stores
from foresail.evaluation.leak_frames import KNOWN_FROM

__all__ = ["Origin", "Recording", "Scope", "origin", "record"]

_Key = tuple[bool, Any]  # has a time axis, fingerprint: anything that can be compared

_PASSES = 30  # how often one line (or one function's call) is watched
_SPARE_ROWS = 260  # arrays up to so many rows shorter than the bars still count as time series
_FEW_ROWS = 32  # shorter arrays are results, not tables of samples
_BYTES = 400_000_000  # fingerprinted at most in one recording, to bound its time


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows count: the first ``rows`` of ``total`` bars, the last of them ending at ``until`` (ns UTC).

    With ``altered`` set the rows are samples instead, of which so many were altered, wherever they stand.
    """

    rows: int
    total: int
    until: int
    altered: int | None = None
    ignored: str = ""  # column of the samples that counts for nothing while it stands in its own table


class _Rows:
    """Fingerprint of a table row by row; equal while no more rows differ than were altered."""

    __slots__ = ("allowed", "hashes")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: np.ndarray[Any, Any], allowed: int) -> None:
        self.hashes = [hash(row.tobytes()) for row in np.ascontiguousarray(values)]
        self.allowed = allowed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Rows) or len(self.hashes) != len(other.hashes):
            return False
        return sum(a != b for a, b in zip(self.hashes, other.hashes, strict=True)) <= self.allowed


@dataclass(slots=True)
class _Step:
    line: int
    call: int  # number of the call (frame) in which the line ran
    changed: dict[str, _Key]  # name -> (has a time axis, fingerprint)
    is_return: bool = False


@dataclass(slots=True)
class Recording:
    """Steps of one run in order; ``parents`` maps a call to (calling call, number of steps at that moment)."""

    steps: list[_Step] = field(default_factory=list)
    parents: dict[int, tuple[int, int]] = field(default_factory=dict)
    arguments: dict[int, dict[str, _Key]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """The statement at which two runs first differ, on the way to the result."""

    statement: ast.stmt
    line: int


def record(function: Callable[[], Any], filename: str, scope: Scope) -> Recording:
    """Run a function of no arguments and return what happened in the lines of one file."""
    watcher = _Watcher(filename, scope)
    before = sys.gettrace()
    sys.settrace(watcher.on_call)
    try:
        function()
    finally:
        sys.settrace(before)
    return watcher.recording


def origin(clean: Recording, other: Recording, tree: ast.AST) -> Origin | None:
    """Return where the future came in, None if no recorded line tells."""
    length = 0
    for a, b in zip(clean.steps, other.steps, strict=False):
        if (a.line, a.call, a.is_return) != (b.line, b.call, b.is_return):
            break
        length += 1
    visits = Counter((s.call, s.line) for s in clean.steps[:length])
    differing: list[dict[str, bool]] = []
    for a, b in zip(clean.steps[:length], other.steps[:length], strict=True):
        names = {
            name: timed
            for name, (timed, key) in a.changed.items()
            if b.changed.get(name, (timed, key))[1] != key and (timed or visits[a.call, a.line] == 1)
        }
        differing.append(names)
    return _Search(clean, other, differing, tree).run()


class _Search:
    def __init__(self, clean: Recording, other: Recording, differing: list[dict[str, bool]], tree: ast.AST) -> None:
        self.clean = clean
        self.other = other
        self.differing = differing
        self.tree = tree

    def run(self) -> Origin | None:
        """Go back from the outermost differing return value; without one, take the first differing step."""
        outer = [i for i, names in enumerate(self.differing) if "return" in names]
        if outer:
            return self._back(outer[-1], "return")
        first = next((i for i, names in enumerate(self.differing) if names), None)
        return None if first is None else self._back(first, next(iter(self.differing[first])))

    def _back(self, position: int, name: str) -> Origin | None:
        for _ in range(len(self.differing) + 1):
            statement = self._statement(position, name)
            if statement is None:
                return None
            before = self._cause(position, name, statement)
            if before is None:
                return Origin(statement, self._line(position, statement))
            position, name = before
        return None

    def _line(self, position: int, statement: ast.stmt) -> int:
        line = self.clean.steps[position].line
        return line if statement.lineno <= line <= (statement.end_lineno or line) else statement.lineno

    def _statement(self, position: int, name: str) -> ast.stmt | None:
        """Return the statement behind a step; a change seen when a loop was left happened inside the loop."""
        statement = statement_at(self.tree, self.clean.steps[position].line)
        if isinstance(statement, ast.For | ast.While):
            return next(stores(statement, name), statement)
        return statement

    def _cause(self, position: int, name: str, statement: ast.stmt) -> tuple[int, str] | None:
        """Return the earlier step that brought the difference into this statement, None if it arose here."""
        inner = self._inner_return(position, statement)
        if inner is not None:
            return inner
        call = self.clean.steps[position].call
        wanted = reads(statement) - {"return"}
        for i in range(position - 1, -1, -1):
            if self.clean.steps[i].call == call:
                hit = sorted(wanted & set(self.differing[i]))
                if hit:
                    return i, hit[0]
                # A newer, equal value hides an older, differing one.
                wanted -= set(self.clean.steps[i].changed)
        return self._through_arguments(call, wanted)

    def _inner_return(self, position: int, statement: ast.stmt) -> tuple[int, str] | None:
        """Return a differing return of a function of the file that this statement called."""
        call = self.clean.steps[position].call
        last = statement.end_lineno or statement.lineno
        for i in range(position - 1, -1, -1):
            step = self.clean.steps[i]
            if step.call == call:
                if not statement.lineno <= step.line <= last:
                    break
                continue
            parent = self.clean.parents.get(step.call, (-1, 0))[0]
            if parent == call and step.is_return and self.differing[i].get("return", False):
                return i, "return"
        return None

    def _through_arguments(self, call: int, wanted: set[str]) -> tuple[int, str] | None:
        mine, theirs = self.clean.arguments.get(call, {}), self.other.arguments.get(call, {})
        passed = {n for n in wanted if n in mine and n in theirs and mine[n][1] != theirs[n][1] and mine[n][0]}
        parent, position = self.clean.parents.get(call, (-1, 0))
        if not passed or parent < 0:
            return None
        for i in range(min(position, len(self.differing)) - 1, -1, -1):
            if self.clean.steps[i].call == parent and any(self.differing[i].values()):
                return i, next(n for n, timed in self.differing[i].items() if timed)
        return None


class _Watcher:
    """Trace function that keeps fingerprints; one per recording."""

    def __init__(self, filename: str, scope: Scope) -> None:
        self.filename = filename
        self.scope = scope
        self.recording = Recording()
        self.spent = 0
        self._calls = 0
        self._entered: Counter[Any] = Counter()
        self._passes: Counter[tuple[int, int]] = Counter()
        self._stack: list[tuple[FrameType, int]] = []

    def on_call(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        """Start watching a call into the user's file."""
        code = frame.f_code
        if event != "call" or code.co_filename != self.filename or code.co_name == "<module>":
            return None
        self._entered[code] += 1
        if self._entered[code] > _PASSES:
            return None
        call = self._calls
        self._calls += 1
        while self._stack and not _is_inside(frame, self._stack[-1][0]):
            self._stack.pop()
        parent = self._stack[-1][1] if self._stack else -1
        self._stack.append((frame, call))
        self.recording.parents[call] = (parent, len(self.recording.steps))
        known: dict[str, tuple[Any, _Key | None]] = {}
        self.recording.arguments[call] = self._changes(frame, known)
        return self._local(call, known)

    def _local(self, call: int, known: dict[str, tuple[Any, _Key | None]]) -> Callable[..., Any]:
        last = -1

        def on_line(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            nonlocal last
            if event == "exception":
                return on_line
            if last >= 0:
                self._passes[call, last] += 1
                # Leaving a loop is looked at too: its table is complete now.
                tired = self._passes[call, last] > _PASSES and self._passes[call, frame.f_lineno] >= _PASSES
                if not tired or event == "return":
                    changed = self._changes(frame, known)
                    if event == "return":
                        key = self._fingerprint(argument)
                        changed |= {} if key is None else {"return": key}
                    self.recording.steps.append(_Step(last, call, changed, event == "return"))
            last = frame.f_lineno
            return on_line

        return on_line

    def _changes(self, frame: FrameType, known: dict[str, tuple[Any, _Key | None]]) -> dict[str, _Key]:
        """Return fingerprints of locals that are new, rebound or altered in place since the last look."""
        changed: dict[str, _Key] = {}
        for name, value in frame.f_locals.items():
            old = known.get(name)
            if old is not None and old[0] is value and not _is_mutable(value):
                continue
            key = self._fingerprint(value)
            if key is not None and (old is None or _exact(old[1]) != _exact(key)):
                changed[name] = key
            known[name] = (value, key)  # the reference keeps the identity from being given to another object
        return changed

    def _fingerprint(self, value: Any, depth: int = 0) -> _Key | None:
        """Return (has a time axis, hash), None for what is not watched."""
        if isinstance(value, bool | int | float | str | np.generic):
            return False, hash(repr(value))
        if self.spent > _BYTES:
            return None
        if isinstance(value, np.ndarray):
            return self._array(value)
        if hasattr(value, "get_level_values"):
            return self._labels(value)
        return self._nested(value, depth)

    def _nested(self, value: Any, depth: int) -> _Key | None:
        """Return the fingerprint of a table, a collection, or an object that can be fitted."""
        if hasattr(value, "iloc") and hasattr(value, "index"):
            return self._table(value)
        if isinstance(value, dict | list | tuple):
            return self._collection(value, depth)
        return self._fitted(value, depth) if _is_fitted(value) else None

    def _fitted(self, value: Any, depth: int) -> _Key | None:
        """Return the fingerprint of an object with ``fit``: of what it holds, trees and boosters included."""
        if depth > 4:
            return None
        if hasattr(value, "model_to_string"):
            return False, hash(value.model_to_string())
        state = value.__getstate__() if _is_tree(value) else vars(value)
        return self._collection({k: v for k, v in state.items() if k != "random_state"}, depth)

    def _collection(self, value: Any, depth: int) -> _Key | None:
        items = list(value.values()) if isinstance(value, dict) else list(value)
        if len(items) > 64:
            return self._array(np.asarray(items)) if all(isinstance(v, float | int) for v in items) else None
        deepest = 2 if self.scope.altered is None else 5
        keys = [self._fingerprint(item, depth + 1) for item in items] if depth < deepest else []
        inner = [k for k in keys if k is not None]
        return (any(k[0] for k in inner), tuple(inner)) if inner else None

    def _array(self, values: np.ndarray[Any, Any]) -> _Key | None:
        if self.scope.altered is not None:
            return True, self._by_row(values)
        total, rows = self.scope.total, self.scope.rows
        for axis, length in enumerate(values.shape):
            short = total - length
            if 0 <= short < min(_SPARE_ROWS, total // 2):
                # Row i of a shorter array belongs to bar i or up to ``short`` bars later: the safe common part.
                return True, self._bytes(values.take(range(max(rows - short, 0)), axis=axis))
        return False, self._bytes(values)

    def _table(self, value: Any) -> _Key | None:
        import pandas as pd

        if self.scope.altered is not None:
            if self.scope.ignored in getattr(value, "columns", ()):
                value = value.drop(columns=self.scope.ignored)
            return True, self._by_row(value.to_numpy())
        for axis in (0, 1) if value.ndim == 2 else (0,):
            mask = _until(value.axes[axis], self.scope)
            if mask is not None:
                part = value[mask] if axis == 0 else value.loc[:, mask]
                return True, self._bytes(part.to_numpy())
        if isinstance(value, pd.DataFrame):
            known = _known_part(value, self.scope)
            if known is not None:
                return True, self._bytes(known.to_numpy())
        if isinstance(value, pd.DataFrame | pd.Series):
            return self._array(value.to_numpy())
        return None

    def _labels(self, index: Any) -> _Key:
        mask = _until(index, self.scope)
        return mask is not None, self._bytes(np.asarray(index if mask is None else index[mask], dtype=object))

    def _by_row(self, values: np.ndarray[Any, Any]) -> Any:
        if values.ndim == 0 or len(values) < _FEW_ROWS or values.dtype == object:
            return self._bytes(values)
        self.spent += values.nbytes
        return _Rows(values, 0 if self.scope.altered is None else self.scope.altered)

    def _bytes(self, values: np.ndarray[Any, Any]) -> int:
        self.spent += values.nbytes
        if values.dtype == object:
            return hash(tuple(map(repr, values.ravel()[:10_000].tolist())))
        return hash((values.shape, values.tobytes()))


def _until(index: Any, scope: Scope) -> Any:
    """Return which labels of an index lie at or before the time, None if it holds no times."""
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        for level in range(index.nlevels):
            mask = _until(index.get_level_values(level), scope)
            if mask is not None:
                return mask
        return None
    if isinstance(index, pd.PeriodIndex):
        index = index.end_time
    if not isinstance(index, pd.DatetimeIndex):
        return None
    until = pd.Timestamp(from_ns(scope.until))
    return np.asarray(index <= (until if index.tz is not None else until.tz_localize(None)))


def _known_part(table: Any, scope: Scope) -> Any:
    """Return the rows of a point-in-time table that are known by the time, later instants blanked; None for others."""
    import pandas as pd

    until = pd.Timestamp(from_ns(scope.until))
    for column, later in KNOWN_FROM.values():
        if column in table.columns and isinstance(table[column].dtype, pd.DatetimeTZDtype):
            part = table[table[column] <= until].copy()
            for name in later:
                if name in part:
                    part[name] = part[name].where(part[name] <= until)
            return part.astype(dict.fromkeys(part.select_dtypes("datetimetz"), "int64"))
    return None


def _is_mutable(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | dict) or hasattr(value, "iloc") or _is_fitted(value)


def _exact(key: Any) -> Any:
    """Return a fingerprint in which a single changed row counts, for comparisons inside one run."""
    if isinstance(key, _Rows):
        return tuple(key.hashes)
    return tuple(map(_exact, key)) if isinstance(key, tuple) else key


def _is_fitted(value: Any) -> bool:
    """Return whether an object can be fitted: an estimator, or the trees and boosters inside one."""
    if isinstance(value, type):
        return False
    return (
        (hasattr(value, "fit") and hasattr(value, "__dict__")) or hasattr(value, "model_to_string") or _is_tree(value)
    )


def _is_tree(value: Any) -> bool:
    return type(value).__module__ == "sklearn.tree._tree"


def _is_inside(frame: FrameType, outer: FrameType) -> bool:
    inner: FrameType | None = frame
    while inner is not None:
        if inner is outer:
            return True
        inner = inner.f_back
    return False
