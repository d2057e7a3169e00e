"""Trial registry: how many things were tried on the same data before one of them looked good.

1. A trial is a distinct (settings, code, data lineage). Lineage is universe, frame, target and an overlapping
   evaluation window: one more bar, or a few names more or fewer, is no fresh start.
2. Trials are lines of ``trials.jsonl``, appended under a lock with fsync. Universes are written once and named by hash.
3. An identical re-run adds nothing; the same trial on a grown window is written again and counted once.
4. Candidates that were compared inside a trial count as well.
5. What is lost is said: a torn last line is cut and noted, a missing file beside existing runs is noted, and both
   notes stay in the file.
6. Sealed hold-outs and the looks at them (``evaluation.holdout``) are lines of the same file. Every look after the
   first counts as a trial of all data that share the hold-out's names, whatever the window: it was chosen after
   seeing it.

Sharpe ratios stored here are those of the judged series: the net difference to 1/N of the same names, per bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foresail.core.canonical import hash_value
from foresail.evaluation.registry_file import RecordFile
from foresail.measures.honesty import SharpeSample

__all__ = ["Lineage", "Trial", "TrialCount", "TrialRegistry"]

_SAME_UNIVERSE = 0.5  # share of the smaller universe's names that two lineages must have in common
_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Lineage:
    """The data that a trial was judged on.

    Attributes
    ----------
    universe : instrument ids; order does not matter
    frame : "1d", "1h", ...
    target : what was predicted and judged, for example "close"; whatever the horizon
    start, end : ns UTC, evaluation window ``[start, end)``
    """

    universe: tuple[str, ...]
    frame: str
    target: str
    start: int
    end: int

    def overlaps(self, other: Lineage) -> bool:
        """Return whether both stand on the same data: frame and target equal, windows and universes overlap."""
        return self.start < other.end and other.start < self.end and self.shares_data(other)

    def shares_data(self, other: Lineage) -> bool:
        """Return whether frame and target are equal and universes overlap, whatever the windows."""
        if (self.frame, self.target) != (other.frame, other.target):
            return False
        mine, theirs = set(self.universe), set(other.universe)
        return len(mine & theirs) >= _SAME_UNIVERSE * min(len(mine), len(theirs))


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried, with how it did.

    Attributes
    ----------
    settings_hash, code_hash : 64 hexadecimal digits, from the run record
    sample : per-bar Sharpe ratio of the judged series, with length and moments
    bars_per_year : annualisation factor of that series
    inner_candidates : alternatives compared inside the trial, the chosen one not counted
    registered_at : ISO text from the caller's clock; for readers, not compared
    """

    settings_hash: str
    code_hash: str
    lineage: Lineage
    sample: SharpeSample
    bars_per_year: float
    inner_candidates: int = 0
    run_id: str = ""
    registered_at: str = ""

    @property
    def annualised_sharpe(self) -> float:
        """Sharpe ratio of the judged series a year."""
        return self.sample.sharpe * float(np.sqrt(self.bars_per_year))

    def same_as(self, other: Trial) -> bool:
        """Return whether both are one trial: settings and code equal, on overlapping data."""
        mine, theirs = (self.settings_hash, self.code_hash), (other.settings_hash, other.code_hash)
        return mine == theirs and self.lineage.overlaps(other.lineage)


@dataclass(frozen=True, slots=True)
class TrialCount:
    """How many trials a lineage has seen.

    Attributes
    ----------
    n : trials, inner candidates and looks at hold-outs after the first, at least 1
    variance_of_sharpes : of the per-bar Sharpe ratios on record; None below two
    sharpes : per-bar Sharpe ratios on record, oldest first
    is_complete : false when trials are known to be lost, so that ``n`` is a lower bound
    notes : plain sentences on what is missing
    """

    n: int
    variance_of_sharpes: float | None = None
    sharpes: tuple[float, ...] = ()
    is_complete: bool = True
    notes: tuple[str, ...] = ()


class _Row(NamedTuple):
    """One trial as counted."""

    order: int
    key: tuple[str, str]
    lineage: Lineage
    sharpe: float
    inner: int


class TrialRegistry:
    """The trials of one workspace, in a file of JSON lines.

    Parameters
    ----------
    path : ``trials.jsonl``; made by the first registration
    runs : folder of finished runs; when it holds some and the registry is missing, the registry was lost
    """

    def __init__(self, path: Path, *, runs: Path | None = None) -> None:
        self._path = path
        self._runs = runs
        self._file = RecordFile(path)
        self._reset()

    def _reset(self) -> None:
        self._groups: dict[tuple[str, str, str], list[_Row]] = {}
        self._known: set[tuple[str | int, ...]] = set()
        self._lineages: dict[tuple[str, str, str, int, int], Lineage] = {}
        self._universes: dict[str, tuple[str, ...]] = {}
        self._notes: list[str] = []
        self._torn: list[str] = []
        self._lost = 0
        self._rows = 0
        self._holdout: list[dict[str, Any]] = []

    def register(self, trial: Trial) -> int:
        """Write a trial unless it is on record, and return the number of trials of its lineage, itself included.

        Raises
        ------
        DataError
            If the file holds a line that is no record (the last one excepted: it is cut).
        """
        with self.writing() as append:
            if _identity(trial) not in self._known:
                append(*self._records(trial))
        return self.count(trial.lineage).n

    @contextmanager
    def writing(self) -> Iterator[Callable[..., None]]:
        """Hold the file for one change: what the registry says is up to date, and records can be appended.

        Yields
        ------
        function that appends records; they are read back when the change is over
        """
        with self._file.locked():
            notes = self._repair()
            if notes:
                self._file.append(notes)
            self._read()

            def append(*records: dict[str, Any]) -> None:
                if records:
                    self._file.append(records)

            yield append
            self._read()

    def count(self, lineage: Lineage) -> TrialCount:
        """Return the trials on data that overlaps ``lineage``; 1 when there are none yet (the one being judged)."""
        self._read()
        distinct = self._distinct(lineage)
        sharpes = tuple(row.sharpe for row in distinct if np.isfinite(row.sharpe))
        again, told = self._looks_again(lineage)
        return TrialCount(
            n=max(1, sum(1 + row.inner for row in distinct) + self._lost) + again,
            variance_of_sharpes=float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else None,
            sharpes=sharpes,
            is_complete=not self._lost,
            notes=(*self._notes, *self._torn, *told),
        )

    def holdout_records(self) -> tuple[dict[str, Any], ...]:
        """Return the records of seals, looks and their scores, oldest first."""
        self._read()
        return tuple(self._holdout)

    def holds_seals(self) -> bool:
        """Return whether anything was ever sealed, without reading every trial."""
        return self._path.is_file() and b'"kind": "seal"' in self._path.read_bytes()

    def _distinct(self, lineage: Lineage) -> list[_Row]:
        """Return the newest row of each trial whose data overlap, in the order in which the trials came."""
        matching: list[_Row] = []
        for rows in self._groups.values():
            if rows[0].lineage.shares_data(lineage):  # one universe, frame and target a group
                matching += [r for r in rows if r.lineage.start < lineage.end and lineage.start < r.lineage.end]
        distinct: list[_Row] = []
        places: dict[tuple[str, str], list[int]] = {}
        for row in sorted(matching, key=lambda one: one.order):
            known = places.setdefault(row.key, [])
            place = next((i for i in known if distinct[i].lineage.overlaps(row.lineage)), None)
            if place is None:
                known.append(len(distinct))
                distinct.append(row)
            else:
                distinct[place] = row
        return distinct

    def _looks_again(self, lineage: Lineage) -> tuple[int, list[str]]:
        """Return how many looks after the first the hold-outs of these data have seen, with a sentence on each."""
        total, told = 0, []
        for seal in self._holdout:
            if seal["kind"] != "seal" or not self._seal_lineage(seal).shares_data(lineage):
                continue
            looks = sum(one["kind"] == "look" and one["seal"] == seal["name"] for one in self._holdout)
            if looks > 1:
                total += looks - 1
                told.append(
                    f"the hold-out {seal['name']} has been looked at {looks} times: {looks - 1} of them count as trials"
                )
        return total, told

    def _seal_lineage(self, seal: dict[str, Any]) -> Lineage:
        return Lineage(tuple(seal["universe"]), seal["frame"], seal["target"], int(seal["start"]), int(seal["end"]))

    def _runs_found(self) -> int:
        if self._runs is None or not self._runs.is_dir():
            return 0
        return sum(1 for folder in self._runs.iterdir() if (folder / "complete").is_file())

    def _read(self) -> None:
        """Take in what the file holds since the last look."""
        fresh = self._file.read()
        if fresh is None:
            return
        if fresh.from_start:
            self._reset()
        self._torn = [_torn_note(self._path, fresh.torn)] if fresh.torn else []
        for number, record in fresh.records:
            try:
                self._take(record)
            except (ValueError, KeyError, TypeError) as e:
                raise self._file.error(number, str(record)) from e
        if not self._path.exists():
            self._lost = self._runs_found()
            self._notes = [_lost_note(self._path, self._lost)] if self._lost else []

    def _take(self, record: dict[str, Any]) -> None:
        kind = record["kind"]
        if kind == "universe":
            self._universes[record["id"]] = tuple(record["instruments"])
        elif kind == "trial":
            group = (record["universe"], record["frame"], record["target"])
            start, end = int(record["start"]), int(record["end"])
            window = (*group, start, end)
            lineage = self._lineages.get(window)
            if lineage is None:
                lineage = self._lineages[window] = Lineage(self._universes[group[0]], *group[1:], start, end)
            key = (record["settings"], record["code"])
            row = _Row(self._rows, key, lineage, _number(record["sharpe"]), int(record["inner_candidates"]))
            self._groups.setdefault(group, []).append(row)
            self._known.add((*key, *window))
            self._rows += 1
        elif kind == "note":
            self._notes.append(record["text"])
            self._lost += int(record.get("lost_runs", 0))
        elif kind in {"seal", "look", "score"}:
            if kind == "seal":
                self._seal_lineage(record)
            self._holdout.append(record)

    def _repair(self) -> list[dict[str, Any]]:
        """Cut a torn last line, and return the notes that must stay in the file."""
        if not self._path.exists():
            lost = self._runs_found()
            return [{"kind": "note", "text": _lost_note(self._path, lost), "lost_runs": lost}] if lost else []
        cut = self._file.cut_torn()
        return [{"kind": "note", "text": _torn_note(self._path, cut)}] if cut else []

    def _records(self, trial: Trial) -> list[dict[str, Any]]:
        sample, lineage = trial.sample, trial.lineage
        universe = _universe_id(lineage)
        records: list[dict[str, Any]] = []
        if universe not in self._universes:
            records.append({"kind": "universe", "id": universe, "instruments": sorted(set(lineage.universe))})
        records.append(
            {
                "kind": "trial",
                "settings": trial.settings_hash,
                "code": trial.code_hash,
                "universe": universe,
                "frame": lineage.frame,
                "target": lineage.target,
                "start": lineage.start,
                "end": lineage.end,
                "sharpe": sample.sharpe,
                "annualised_sharpe": trial.annualised_sharpe,
                "observations": sample.observations,
                "skew": sample.skew,
                "kurtosis": sample.kurtosis,
                "bars_per_year": trial.bars_per_year,
                "inner_candidates": trial.inner_candidates,
                "run": trial.run_id,
                "registered_at": trial.registered_at,
            }
        )
        return records


def _universe_id(lineage: Lineage) -> str:
    return hash_value(tuple(sorted(set(lineage.universe))))[:_ID_LENGTH]


def _identity(trial: Trial) -> tuple[str | int, ...]:
    """Return what makes two registrations one line: one trial on one window of one universe."""
    line = trial.lineage
    window = (_universe_id(line), line.frame, line.target, line.start, line.end)
    return (trial.settings_hash, trial.code_hash, *window)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _lost_note(path: Path, runs: int) -> str:
    return (
        f"the trial registry {path.name} was missing while {runs} finished run{'s' if runs > 1 else ''} existed: "
        "earlier trials are lost, and each of those runs is counted as one"
    )


def _torn_note(path: Path, size: int) -> str:
    return f"the last line of {path.name} was torn by an interrupted write: {size} bytes were cut"
