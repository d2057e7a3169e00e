"""Each stored forecast scored once, when its horizon ends, and how each model has done lately (EVAL-09, OPS-10).

1. Forecasts of days that are not settled are read from ``forecasts/<place>/<day>.jsonl``; what is scored stands under
   the same key in ``forecasts/<place>/scores/<day>.jsonl``. Both files are appended whole, so a kill loses nothing and
   nothing is scored twice.
2. The score is that of the first outcome that was known: quantile loss, whether P10 to P90 held, whether the sign was
   right, log loss of the classes. Where an instrument has no bar when the horizon ends, a few bars are waited for, then
   the line says so; so it does where nothing can be looked up any more, since its set or its own bar has gone.
3. A day is settled when nothing of it waits. It is opened again when forecasts of it came late, as from a slow vendor.
4. The newest 100 scores of a model and horizon go through ``evaluation.monitoring``; its limits are those of RETR-02.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.clock import format_ns, to_ns
from foresail.core.errors import UserError
from foresail.evaluation.monitoring import MonitoringRules, Resolved, monitor_forecasts
from foresail.evaluation.registry_file import RecordFile
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.records import CLASS_SIGNALS
from foresail.service.models_folder import RECORD, read_document
from foresail.service.models_registry import ModelRegistry
from foresail.service.serving_outcomes import Outcome, OutcomeWindow

__all__ = ["ForecastScores", "score_lines"]

_RECENT = MonitoringRules().recent
_PATIENCE = 5  # rows after the end of a horizon in which a bar may still come
_GONE = 20  # rows after it in which another process may still serve an instrument that none of these sets has
_DAYS = 90  # settled days that are looked at for late forecasts, and files that a restart reads for the newest 100
_LOWEST = 1e-12  # probability below which a class is not believed to be impossible
_SETTLED = "settled.json"

_Key = tuple[str, str, str, int]


@dataclass(slots=True)
class _Day:
    """Forecasts of a day, and which of them are scored."""

    records: RecordFile
    scores: RecordFile
    waiting: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    done: set[_Key] = field(default_factory=set)

    def refresh(self) -> list[dict[str, Any]]:
        """Read what is new in both files and return the new scores."""
        told, scored = self.records.read(), self.scores.read()
        if told is not None:
            if told.from_start:
                self.waiting.clear()
            for _, record in told.records:
                if not record["stale"]:
                    self.waiting[_key(record)] = record
        fresh = [] if scored is None else [record for _, record in scored.records if _key(record) not in self.done]
        self.done |= {_key(record) for record in fresh}
        if told is not None or fresh:
            self.waiting = {key: record for key, record in self.waiting.items() if key not in self.done}
        return fresh


@dataclass(frozen=True, slots=True)
class _Model:
    """What a model's forecasts are held against: its classes, and its loss on the part that it had never seen."""

    rule: ClassRule
    loss: Mapping[int, float]


class _Ended:
    """Says of which forecasts the horizon has ended; all of one bar and horizon are looked up together."""

    def __init__(self, window: OutcomeWindow) -> None:
        self._window = window
        self._known: dict[tuple[str, int], bool] = {}

    def __call__(self, record: Mapping[str, Any]) -> bool:
        key = record["as_of"], int(record["horizon"])
        if key not in self._known:
            self._known[key] = self._window.has_ended(_instant(key[0]), key[1])
        return self._known[key]


class _Lost:
    """Says which forecasts none of the windows of a round can score any more.

    Parameters
    ----------
    complete : whether these are the windows of all sets that are served
    """

    def __init__(self, windows: Sequence[OutcomeWindow], *, complete: bool) -> None:
        self._windows, self._complete = windows, complete
        self._names = [window.places().keys() for window in windows]
        self._known: dict[tuple[str, int], tuple[set[int], bool]] = {}

    def __call__(self, record: Mapping[str, Any]) -> bool:
        key = record["as_of"], int(record["horizon"])
        if key not in self._known:
            self._known[key] = self._looked_up(_instant(key[0]), key[1])
        passed, is_gone = self._known[key]
        if not passed:
            return False
        own = [i for i, names in enumerate(self._names) if record["instrument"] in names]
        return passed.issuperset(own) if own else is_gone

    def _looked_up(self, as_of: int, horizon: int) -> tuple[set[int], bool]:
        """Return the windows in which the horizon has long ended, and whether it has in those of other instruments."""
        later = [window.rows_after(as_of) for window in self._windows]
        passed = {i for i, rows in enumerate(later) if rows > horizon + _PATIENCE}
        if self._complete:
            return passed, min(later) > horizon + _GONE
        return passed, all(rows == len(one.end) for rows, one in zip(later, self._windows, strict=True))


class ForecastScores:
    """The scores of one class and frame, for the one process that holds the lock of the folder.

    Parameters
    ----------
    folder : ``forecasts/<class>_<frame>``
    """

    def __init__(self, folder: Path, registry: ModelRegistry) -> None:
        self._folder, self._registry = folder, registry
        self._days: dict[str, _Day] = {}
        self._models: dict[str, _Model | None] = {}
        self._recent: dict[tuple[str, int], dict[_Key, dict[str, Any]]] = {}
        self._is_begun = False
        self._before = ""  # day before which every forecast is scored, but late ones
        self._sizes: dict[str, int] = {}  # settled day -> bytes of its forecasts

    def resolve(self, window: OutcomeWindow) -> int:
        """Score what has come true, and return how many lines were written.

        Raises
        ------
        DataError
            If a file holds something else than records.
        UserError
            If a file cannot be written.
        """
        self._begin()
        written, places = 0, window.places()
        for name in self._unsettled():
            day = self._days.setdefault(name, _Day(*self._files(name)))
            self._remember(day.refresh())
            ended = _Ended(window)
            rows = [row for one in day.waiting.values() if ended(one) and (row := self._score(one, window, places))]
            if rows:
                self._append(day, rows)
                written += len(rows)
        self._settle()
        return written

    def give_up(self, windows: Sequence[OutcomeWindow], *, complete: bool) -> int:
        """Write down which forecasts can never be scored, so that no day waits for them; return how many these are.

        Parameters
        ----------
        windows : of a round, each of which ``resolve`` was given
        complete : whether these are all sets that are served; an instrument that none of them has is gone then

        Raises
        ------
        DataError, UserError
            As ``resolve``.
        """
        lost, nothing = _Lost(windows, complete=complete), float("nan")
        found = Outcome(nothing, nothing, max(int(one.available_at[-1]) for one in windows), 0)
        written = 0
        for _, day in sorted(self._days.items()):
            rows = [_line(one, found, ClassRule()) for one in day.waiting.values() if lost(one)]
            if rows:
                self._append(day, rows)
                written += len(rows)
        self._settle()
        return written

    def recent(self) -> list[dict[str, Any]]:
        """Return how each model has done lately, by model and horizon, as plain data; a figure not known is None."""
        told = [self._figures(key, list(rows.values())) for key, rows in sorted(self._recent.items()) if rows]
        return [one for one in told if one is not None]

    # -- files --------------------------------------------------------------------------------------------------------

    def _files(self, day: str) -> tuple[RecordFile, RecordFile]:
        return RecordFile(self._folder / f"{day}.jsonl"), RecordFile(self._folder / "scores" / f"{day}.jsonl")

    def _begin(self) -> None:
        """Read the newest scores of settled days once; those of the others are read with their forecasts."""
        if self._is_begun:
            return
        self._is_begun = True
        folder = self._folder / "scores"
        self._before, self._sizes = self._settled()
        is_open = {*self._unsettled()}
        old = [path for path in sorted(folder.glob("*.jsonl")) if path.stem < self._before and path.stem not in is_open]
        for path in old[-_DAYS:]:
            fresh = RecordFile(path).read()
            self._remember([record for _, record in fresh.records] if fresh is not None else [])

    def _settled(self) -> tuple[str, dict[str, int]]:
        """Return what was settled; losing the file costs reading, no score."""
        path = self._folder / "scores" / _SETTLED
        told: dict[str, Any] = read_document(path) if path.is_file() else {"before": ""}
        return str(told["before"]), {str(day): int(size) for day, size in told.get("sizes", {}).items()}

    def _unsettled(self) -> list[str]:
        names = sorted(path.stem for path in self._folder.glob("*.jsonl"))
        first = bisect_left(names, self._before)
        late = [
            name
            for i, name in enumerate(names[:first])
            if name in self._days or (i >= first - _DAYS and self._sizes.get(name) != self._size(name))
        ]
        return late + names[first:]

    def _size(self, day: str) -> int:
        path = self._folder / f"{day}.jsonl"
        return path.stat().st_size if path.is_file() else 0

    def _settle(self) -> None:
        """Forget the days that have nothing left to score; the newest stays, since it still grows."""
        names = sorted(self._days)
        if not names:
            return
        waits = [name for name in names[:-1] if name >= self._before and self._days[name].waiting]
        before = max(self._before, (waits or names[-1:])[0])
        done = [name for name in names if name < before and not self._days[name].waiting]
        if not done and before == self._before:
            return
        for name in done:
            self._sizes[name] = self._size(name)
            del self._days[name]
        self._before = before
        self._sizes = dict(sorted(self._sizes.items())[-_DAYS:])
        if (self._folder / "scores").is_dir():
            told = {"before": before, "sizes": self._sizes}
            write_atomic(self._folder / "scores" / _SETTLED, canonical_bytes(told))

    def _append(self, day: _Day, rows: list[dict[str, Any]]) -> None:
        try:
            day.scores.path.parent.mkdir(parents=True, exist_ok=True)
            day.scores.cut_torn()
            self._remember(day.refresh())
            day.scores.append([row for row in rows if _key(row) not in day.done])
        except OSError as e:
            raise UserError(
                f"{day.scores.path}: scores cannot be written: {e.strerror or e}",
                hint="check that the folder is writable and the disk is not full, then start again",
            ) from e
        self._remember(day.refresh())

    # -- figures ------------------------------------------------------------------------------------------------------

    def _score(
        self, record: Mapping[str, Any], window: OutcomeWindow, places: Mapping[str, int]
    ) -> dict[str, Any] | None:
        """Return the line of a forecast whose horizon has ended, None while it has not."""
        row = places.get(record["instrument"])
        if row is None:
            return None
        found = window.outcome(row, _instant(record["as_of"]), int(record["horizon"]))
        if found is None or (math.isnan(found.value) and found.bars_since < _PATIENCE):
            return None
        model = self._model(record["model_version"])
        return _line(record, found, ClassRule() if model is None else model.rule)

    def _model(self, version: str) -> _Model | None:
        """Return what a model's record says, None where it was removed."""
        name = version.partition(" ")[0]
        if name not in self._models:
            entry = next((one for one in self._registry.entries() if one.name == name), None)
            self._models[name] = None if entry is None else _model_of(entry.path)
        return self._models[name]

    def _remember(self, scores: Sequence[dict[str, Any]]) -> None:
        for one in scores:
            if one["outcome"] is None:
                continue
            held = self._recent.setdefault((one["model_version"], int(one["horizon"])), {})
            held[_key(one)] = one
            if len(held) > 4 * _RECENT:
                self._trim(held)

    def _trim(self, held: dict[_Key, dict[str, Any]]) -> None:
        newest = sorted(held.items(), key=lambda item: _order(item[1]))[-_RECENT:]
        held.clear()
        held.update(newest)

    def _figures(self, key: tuple[str, int], rows: list[dict[str, Any]]) -> dict[str, Any] | None:
        rows = sorted(rows, key=_order)[-_RECENT:]
        version, horizon = key
        model = self._model(version)
        reference = None if model is None else model.loss.get(horizon)
        low, high, outcome, loss = (np.array([row[name] for row in rows]) for name in ("p10", "p90", "outcome", "loss"))
        known = np.array([_instant(row["known_at"]) for row in rows], dtype=np.int64)
        rules = MonitoringRules(recent=len(rows))
        report = monitor_forecasts(Resolved(known, low, high, outcome, loss), reference or 1.0, rules=rules)
        signs = [row for row in rows if row["right"] is not None]
        right = _mean([row["right"] for row in signs])
        said = _mean([row["confidence"] for row in signs])
        rulings = [one for one in report.rulings if reference or one.cause != "loss"]
        return {
            "model": version.partition(" ")[0],
            "horizon": horizon,
            "scored": len(rows),
            "to": rows[-1]["as_of"],
            "loss": float(loss.mean()),
            "loss_ratio": float(report.loss_ratio[-1]) if reference else None,
            "coverage": float(report.coverage[-1]),
            "width": float(report.width[-1]),
            "right": right,
            "confidence": said,
            "calibration_gap": None if right is None or said is None else said - right,
            "class_loss": _mean([row["class_loss"] for row in rows if row["class_loss"] is not None]),
            "retrain": [one.text for one in rulings] if len(rows) >= _RECENT else [],
        }


def _key(row: Mapping[str, Any]) -> _Key:
    return row["model_version"], row["instrument"], row["as_of"], int(row["horizon"])


def _order(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["known_at"], row["as_of"], row["instrument"]


def _instant(text: str) -> int:
    """Return an instant of a record in ns UTC; midnight is written as the date alone."""
    found = datetime.fromisoformat(text)
    return to_ns(found if found.tzinfo is not None else found.replace(tzinfo=UTC))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _model_of(folder: Path) -> _Model:
    record, calibration = read_document(folder / RECORD), read_document(folder / "calibration.json")
    rule = ClassCalibration.of(calibration.get("classes"), len(record["spec"]["horizons"])).rule
    close = [one for one in record["metrics"]["scores"] if one["target"] == "close" and one["pinball"]]
    return _Model(rule, {int(one["horizon"]): float(one["pinball"]) for one in close})


def _line(record: Mapping[str, Any], found: Outcome, rule: ClassRule) -> dict[str, Any]:
    """Return the score of a forecast as it is stored; without an outcome every figure is None."""
    line: dict[str, Any] = {
        **{name: record[name] for name in ("model_version", "instrument", "as_of", "horizon")},
        "known_at": format_ns(found.known_at),
        "confidence": record["confidence_score"],
        **dict.fromkeys(("outcome", "loss", "p10", "p90", "inside", "right", "class", "class_loss")),
    }
    if math.isnan(found.value):
        return line
    curve = {float(level): float(value) for level, value in record["quantiles"].items()}
    apart = {level: found.value - value for level, value in curve.items()}
    line["outcome"] = found.value
    line["loss"] = sum(max(level * gap, (level - 1.0) * gap) for level, gap in apart.items()) / len(apart)
    line["p10"], line["p90"] = curve[0.1], curve[0.9]
    line["inside"] = curve[0.1] <= found.value <= curve[0.9]
    if found.value != 0.0:  # no sign came true otherwise
        line["right"] = (record["predicted_return"] >= 0.0) == (found.value > 0.0)
    if math.isfinite(found.deviation):
        came = int(rule.classes(np.array([found.value]), np.array([found.deviation]))[0])
        told = (record["prob_down"], record["prob_neutral"], record["prob_up"])
        line["class"] = CLASS_SIGNALS[came]
        line["class_loss"] = -math.log(max(float(told[came]), _LOWEST))
    return line


def score_lines(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how each model has done lately, a line for each horizon."""
    lines = []
    for one in scores:
        ahead = f"{one['horizon']} bar{'s' if one['horizon'] > 1 else ''} ahead"
        parts = [f"  {one['model']}, {ahead}, last {one['scored']}: P10-P90 held {one['coverage']:.0%}"]
        if one["right"] is not None:
            parts.append(f"right sign {one['right']:.0%} (said {one['confidence']:.0%})")
        if one["loss_ratio"] is not None:
            parts.append(f"loss {one['loss_ratio']:.2f} of its test part")
        if one["class_loss"] is not None:
            parts.append(f"class loss {one['class_loss']:.2f}")
        lines.append(", ".join(parts))
        lines += [f"    retrain: {text}" for text in one["retrain"]]
    return lines
