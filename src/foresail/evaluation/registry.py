"""Trial registry: how many things were tried on the same data before one of them looked good.

1. A trial is a distinct (settings, code, data lineage). Lineage is universe, frame, target and an overlapping
   evaluation window: one more bar, or a few names more or fewer, is no fresh start.
2. Trials are lines of ``trials.jsonl``, appended under a lock with fsync. Universes are written once and named by hash.
3. An identical re-run adds nothing; the same trial on a grown window is written again and counted once.
4. Candidates that were compared inside a trial count as well.
5. What is lost is said: a torn last line is cut and noted, a missing file beside existing runs is noted, and both
   notes stay in the file.

Sharpe ratios stored here are those of the judged series: the net difference to 1/N of the same names, per bar.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.canonical import hash_value, plain
from foresail.core.errors import DataError
from foresail.measures.honesty import SharpeSample

try:
    import fcntl
except ImportError:  # Windows has no flock: there, two runs that end in the same instant may both be counted
    fcntl = None  # type: ignore[assignment]

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
        if (self.frame, self.target) != (other.frame, other.target):
            return False
        if not (self.start < other.end and other.start < self.end):
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
    n : trials and inner candidates, at least 1
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
        self._stamp: tuple[int, int] | None = None
        self._trials: list[Trial] = []
        self._universes: dict[str, tuple[str, ...]] = {}
        self._notes: list[str] = []
        self._lost = 0

    def register(self, trial: Trial) -> int:
        """Write a trial unless it is on record, and return the number of trials of its lineage, itself included.

        Raises
        ------
        DataError
            If the file holds a line that is no record (the last one excepted: it is cut).
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._read()
            records = self._repair()
            if not any(_is_identical(trial, known) for known in self._trials):
                records += self._records(trial)
            if records:
                self._append(records)
                self._read()
        return self.count(trial.lineage).n

    def count(self, lineage: Lineage) -> TrialCount:
        """Return the trials on data that overlaps ``lineage``; 1 when there are none yet (the one being judged)."""
        self._read()
        distinct: list[Trial] = []
        for trial in self._trials:
            if not trial.lineage.overlaps(lineage):
                continue
            position = next((i for i, known in enumerate(distinct) if known.same_as(trial)), None)
            if position is None:
                distinct.append(trial)
            else:
                distinct[position] = trial
        sharpes = tuple(t.sample.sharpe for t in distinct if np.isfinite(t.sample.sharpe))
        n = sum(1 + trial.inner_candidates for trial in distinct) + self._lost
        return TrialCount(
            n=max(1, n),
            variance_of_sharpes=float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else None,
            sharpes=sharpes,
            is_complete=not self._lost,
            notes=tuple(self._notes),
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(self._path.name + ".lock")
        with lock.open("a") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _runs_found(self) -> int:
        if self._runs is None or not self._runs.is_dir():
            return 0
        return sum(1 for folder in self._runs.iterdir() if (folder / "complete").is_file())

    def _read(self) -> None:
        """Load the file where it changed since the last look."""
        if not self._path.exists():
            self._trials, self._universes, self._notes, self._lost = [], {}, [], self._runs_found()
            self._stamp = None
            if self._lost:
                self._notes.append(_lost_note(self._path, self._lost))
            return
        status = self._path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if stamp == self._stamp:
            return
        self._trials, self._universes, self._notes, self._lost = [], {}, [], 0
        whole, torn = _split(self._path.read_bytes())
        for number, line in enumerate(whole, start=1):
            self._take(number, line)
        if torn:
            self._notes.append(_torn_note(self._path, len(torn)))
        self._stamp = stamp

    def _take(self, number: int, line: bytes) -> None:
        try:
            record = json.loads(line)
            kind = record["kind"]
            if kind == "universe":
                self._universes[record["id"]] = tuple(record["instruments"])
            elif kind == "trial":
                self._trials.append(_trial(record, self._universes))
            elif kind == "note":
                self._notes.append(record["text"])
                self._lost += int(record.get("lost_runs", 0))
        except (ValueError, KeyError, TypeError) as e:
            raise DataError(
                f"{self._path}: expected a trial record in line {number}, received {line[:60]!r}",
                file=str(self._path),
                row=number,
                hint="restore the file from a copy; deleting it does not reset the count while runs exist",
            ) from e

    def _repair(self) -> list[dict[str, Any]]:
        """Cut a torn last line, and return the notes that must stay in the file."""
        if not self._path.exists():
            lost = self._runs_found()
            return [{"kind": "note", "text": _lost_note(self._path, lost), "lost_runs": lost}] if lost else []
        data = self._path.read_bytes()
        whole, torn = _split(data)
        if not torn:
            if data and not data.endswith(b"\n"):  # whole record, only its newline is missing
                self._write(b"\n")
            return []
        keep = sum(len(line) + 1 for line in whole)
        with self._path.open("r+b") as stream:
            stream.truncate(keep)
            stream.flush()
            os.fsync(stream.fileno())
        return [{"kind": "note", "text": _torn_note(self._path, len(torn))}]

    def _records(self, trial: Trial) -> list[dict[str, Any]]:
        names = tuple(sorted(set(trial.lineage.universe)))
        universe = hash_value(names)[:_ID_LENGTH]
        records: list[dict[str, Any]] = []
        if universe not in self._universes:
            records.append({"kind": "universe", "id": universe, "instruments": names})
        sample, lineage = trial.sample, trial.lineage
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

    def _append(self, records: Sequence[dict[str, Any]]) -> None:
        lines = [json.dumps(plain(record), sort_keys=True, allow_nan=False) + "\n" for record in records]
        self._write("".join(lines).encode())

    def _write(self, data: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = 0
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_identical(trial: Trial, known: Trial) -> bool:
    """Return whether nothing new would be written: one trial on one window."""
    windows = [(t.lineage.start, t.lineage.end, sorted(set(t.lineage.universe))) for t in (trial, known)]
    return windows[0] == windows[1] and trial.same_as(known)


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines and what a crash left of the last one (empty where it is whole)."""
    lines = data.split(b"\n")
    last = lines.pop()
    if last:
        try:
            json.loads(last)
        except ValueError:
            return lines, last
        lines.append(last)
    return lines, b""


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _trial(record: dict[str, Any], universes: dict[str, tuple[str, ...]]) -> Trial:
    lineage = Lineage(
        universes[record["universe"]], record["frame"], record["target"], int(record["start"]), int(record["end"])
    )
    sample = SharpeSample(
        _number(record["sharpe"]), int(record["observations"]), _number(record["skew"]), _number(record["kurtosis"])
    )
    return Trial(
        settings_hash=record["settings"],
        code_hash=record["code"],
        lineage=lineage,
        sample=sample,
        bars_per_year=float(record["bars_per_year"]),
        inner_candidates=int(record["inner_candidates"]),
        run_id=record["run"],
        registered_at=record["registered_at"],
    )


def _lost_note(path: Path, runs: int) -> str:
    return (
        f"the trial registry {path.name} was missing while {runs} finished run{'s' if runs > 1 else ''} existed: "
        "earlier trials are lost, and each of those runs is counted as one"
    )


def _torn_note(path: Path, size: int) -> str:
    return f"the last line of {path.name} was torn by an interrupted write: {size} bytes were cut"
