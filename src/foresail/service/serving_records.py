"""Forecasts kept on disk: ``forecasts/<class>_<frame>/<day>.jsonl``, appended whole, each once.

A line is a row of ``forecasting.records.RECORD_COLUMNS``; the day is that of ``as_of``, UTC, so that a repetition can
only stand in one file. For each model, instrument, ``as_of`` and horizon there is at most one forecast, the first, and
at most one notice that nothing is forecast because inputs are stale. Later corrections of a bar change neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foresail.core.errors import UserError
from foresail.evaluation.registry_file import RecordFile
from foresail.service.models_folder import read_document

__all__ = ["DecisionLog", "ForecastRecords", "last_served"]

_Key = tuple[str, str, str, int, bool]


@dataclass(slots=True)
class _Day:
    """What a file holds; only what is new in it is read again."""

    file: RecordFile
    keys: set[_Key] = field(default_factory=set)

    def refresh(self) -> None:
        fresh = self.file.read()
        if fresh is not None:
            known = set() if fresh.from_start else self.keys
            self.keys = known | {_key(record) for _, record in fresh.records}


class ForecastRecords:
    """The forecasts of a workspace, for the one process that holds the lock of their folder.

    Parameters
    ----------
    folder : made by the first write
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._days: dict[Path, _Day] = {}

    def append(self, place: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write the rows that are not there yet, and flush them to the disk.

        Parameters
        ----------
        place : class and frame, for example "stock_1d"

        Returns
        -------
        How many were written.

        Raises
        ------
        DataError
            If a file holds something else than records.
        UserError
            If a file cannot be written; what a kill or a full disk tore is cut by the next write.
        """
        by_day: dict[Path, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_day.setdefault(self._path(place, row), []).append(row)
        kept = {path: day for path, day in self._days.items() if path in by_day or path.parent.name != place}
        self._days = kept  # days that are over need not stay in memory
        return sum(self._append(path, by_day[path]) for path in sorted(by_day))

    def fresh(self, place: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return the rows that are not there yet, which ``append`` would write.

        Raises
        ------
        DataError
            As ``append``.
        """
        days: dict[Path, _Day] = {}
        for path in sorted({self._path(place, row) for row in rows}):
            days[path] = self._days.setdefault(path, _Day(RecordFile(path)))
            days[path].refresh()
        return [row for row in rows if _key(row) not in days[self._path(place, row)].keys]

    def _path(self, place: str, row: Mapping[str, Any]) -> Path:
        return self._folder / place / f"{row['as_of'][:10]}.jsonl"

    def _append(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> int:
        day = self._days.setdefault(path, _Day(RecordFile(path)))
        day.refresh()
        if all(_key(row) in day.keys for row in rows):
            return 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            day.file.cut_torn()
            day.refresh()
            fresh = {_key(row): row for row in rows if _key(row) not in day.keys}
            day.file.append(list(fresh.values()))
        except OSError as e:
            raise UserError(
                f"{path}: forecasts cannot be written: {e.strerror or e}",
                hint=_FULL,
            ) from e
        return len(fresh)


class DecisionLog:
    """What each deployed model decided: ``forecasts/<class>_<frame>/decisions/<day>.jsonl`` (OPS-10).

    A line for each round that wrote forecasts: how many names each class got, by horizon, how sure the model was, and
    how long it took. The day is that of the round, UTC.

    Parameters
    ----------
    folder : that of the forecasts
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, place: str, told: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a line.

        Parameters
        ----------
        told : what the round says of the set
        rows : its forecasts

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        by_horizon: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if not row["stale"]:
                by_horizon.setdefault(str(row["horizon"]), []).append(row)
        at = str(rows[0]["prediction_time"])
        line = {
            "at": at,
            **{
                name: told[name] for name in ("data", "model", "stage", "as_of", "path", "taken_ms", "written", "stale")
            },
            "votes": {h: dict(sorted(Counter(one["signal"] for one in own).items())) for h, own in by_horizon.items()},
            "confidence": {h: sum(one["confidence_score"] for one in own) / len(own) for h, own in by_horizon.items()},
        }
        file = RecordFile(self._folder / place / "decisions" / f"{at[:10]}.jsonl")
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.cut_torn()
            file.append([line])
        except OSError as e:
            raise UserError(f"{file.path}: decisions cannot be written: {e.strerror or e}", hint=_FULL) from e


def last_served(folder: Path, model: str) -> list[dict[str, Any]]:
    """Return the sets that a model forecast in the last round of ``foresail forecasts``, and how its features were.

    Parameters
    ----------
    folder : that of the forecasts
    """
    path = folder / "status.json"
    if not path.is_file():
        return []
    sets = (read_document(path).get("last") or {}).get("sets", ())
    told = [one for each in sets for one in (each, *each.get("beside", ()))]
    return [{"data": one["data"], "health": one["health"]} for one in told if one["model"] == model and "health" in one]


_FULL = "check that the folder is writable and the disk is not full, then start again"


def _key(row: Mapping[str, Any]) -> _Key:
    return row["model_version"], row["instrument"], row["as_of"], int(row["horizon"]), bool(row["stale"])
