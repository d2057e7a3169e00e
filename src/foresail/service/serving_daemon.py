"""``foresail forecasts``: registered models that forecast at regular times until they are told to stop (SERVE-04).

1. At each time all instruments of every data set are forecast in one batch by the champion of its class and frame, or
   by a model that was named for them, from what is known then. A new bar is taken in by itself; after a correction, a
   listing or a change of model everything is computed anew, and the status says so (``serving_sets``).
2. A model is checked when it is loaded (SERVE-06), and loaded again when another one is to answer. A model or a data
   set that cannot be used is refused by name; the others go on.
3. Each forecast is scored when its horizon ends, and the log says what each model decided (EVAL-09, OPS-10).
4. ``forecasts/`` holds the records, ``status.json`` (what screens show) and the lock of the one process.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.clock import NS_PER_S, Clock, SystemClock, format_ns, to_ns
from foresail.core.errors import ConfigError, ForesailError, IntegrityError, UnknownNameError, UserError
from foresail.domain.bars import BarSet
from foresail.domain.calendars import frame_ns
from foresail.service.accounts import is_running
from foresail.service.feature_health import health_line
from foresail.service.models_folder import read_document
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelEntry, ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.predicting_online import CALIBRATIONS
from foresail.service.serving_bars import BarFeed
from foresail.service.serving_live import LiveMarket, Telling
from foresail.service.serving_outcomes import OutcomeWindow
from foresail.service.serving_paired import Pairs, paired_lines
from foresail.service.serving_records import DecisionLog, ForecastRecords
from foresail.service.serving_scores import ForecastScores, score_lines
from foresail.service.serving_sets import PATHS, ServedSet
from foresail.service.workspace import find_workspace

__all__ = ["ServeRequest", "serving_status", "start_serving", "stop_serving"]

_STAGES = ("champion", "candidate")
_NAP_S = 0.1
_MINUTE_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What ``foresail forecasts start`` was asked.

    Attributes
    ----------
    data : sets, as for ``foresail predict``
    models : names, or class_frame_model for its champion; a class and frame without one is answered by its champion
    challengers : models that forecast beside the one that answers for their class and frame, and are compared with it
    stage : "candidate" lets the newest candidate answer where there is no champion
    every : "5m", "30s", "1h"; empty = 5 minutes where bars are shorter than an hour, else 30 (JOB-07)
    once : one round, then end
    calibration : of ``predicting_online.CALIBRATIONS``
    explain : new records tell reasons, and of a network similar days and weights
    """

    data: tuple[str, ...]
    models: tuple[str, ...] = ()
    stage: str = "champion"
    every: str = ""
    timezone: str | None = None
    once: bool = False
    challengers: tuple[str, ...] = ()
    calibration: str = "stored"
    explain: bool = False


class _Daemon:
    """One round after another, until a signal."""

    def __init__(self, request: ServeRequest, workspace: Path, clock: Clock) -> None:
        self._request, self._workspace, self._clock = request, workspace, clock
        self._every = frame_ns(request.every) if request.every else 0  # ns
        self._registry = ModelRegistry(workspace, clock=clock)
        self.folder = workspace / "forecasts"
        self._records, self._decisions = ForecastRecords(self.folder), DecisionLog(self.folder)
        self._sets: dict[tuple[str, str], ServedSet] = {}  # data, name of the challenger or nothing
        self._pairs: dict[str, Pairs] = {}  # class_frame -> scores side by side
        self._scores: dict[str, ForecastScores] = {}  # class_frame -> its scores
        self._windows: dict[str, list[OutcomeWindow]] = {}  # class_frame -> those of the sets of this round
        self._models: dict[str, LoadedModel] = {}  # class_frame -> the model that answers
        self._places: set[str] = set()  # class_frame of the sets that could be read
        self._finest = 0  # frame, ns
        self._is_stopping = False
        self.status: dict[str, Any] = {
            "pid": os.getpid(),
            "started": format_ns(to_ns(clock.now())),
            "rounds": 0,
            "written": 0,
            "last": None,
            "next": None,
        }

    def stop(self, *_signal: Any) -> None:
        """Ask to end after the batch in hand."""
        self._is_stopping = True

    def run(self, note: Callable[[str], None], nap: Callable[[float], None]) -> None:
        """Forecast at each time until stopped."""
        for name in (*self._request.models, *self._request.challengers):
            self._registry.find(name)  # what is unknown is said at once
        self.tell()
        while not self._is_stopping:
            began = to_ns(self._clock.now())
            self._round(began)
            due = None if self._request.once or self.is_useless else self._due()
            self.status["next"] = None if due is None else format_ns(due)
            self.tell()
            note(_told(self.status))
            if self.status["rounds"] == 1:
                for name in self._idle_models():
                    note(f"--model {name}: none of the sets that could be read is of its class and frame")
            if due is None:
                return
            while not self._is_stopping and began <= to_ns(self._clock.now()) < due:
                nap(_NAP_S)

    @property
    def is_useless(self) -> bool:
        """Whether the first round is all there was, and every set was refused in it."""
        return self.status["rounds"] == 1 and all("refused" in one for one in self.status["last"]["sets"])

    def tell(self) -> None:
        """Write the status."""
        try:
            write_atomic(self.folder / "status.json", canonical_bytes(self.status))
        except OSError as e:
            raise UserError(f"{self.folder}: the status cannot be written: {e.strerror or e}") from e

    def _idle_models(self) -> list[str]:
        """Return what was named and has nothing to forecast."""
        return [name for name in self._request.models if not any(_is_of(name, place) for place in self._places)]

    def _due(self) -> int:
        """Return when the next round begins, ns UTC: at whole multiples of the interval, those missed left out."""
        step = self._every or (5 if 0 < self._finest < 60 * _MINUTE_NS else 30) * _MINUTE_NS
        return (to_ns(self._clock.now()) // step + 1) * step

    def _round(self, now: int) -> None:
        since = self._clock.monotonic_s()
        sets: list[dict[str, Any]] = []
        self._windows = {}
        for data in self._request.data:
            if self._is_stopping and sets:
                break
            sets.append(self._serve(data, now))
        is_whole = len(sets) == len(self._request.data) and all("refused" not in one for one in sets)
        given_up = sum(self._scores[one].give_up(w, complete=is_whole) for one, w in sorted(self._windows.items()))
        self.status["rounds"] += 1
        self.status["written"] += sum(one.get("written", 0) for one in sets)
        taken = round(self._clock.monotonic_s() - since, 3)
        self.status["last"] = {"at": format_ns(now), "duration_s": taken, "sets": sets, "given_up": given_up}

    def _serve(self, data: str, now: int) -> dict[str, Any]:
        """Forecast one data set and return what is to be said of it."""
        told: dict[str, Any] = {"data": data, "model": None}

        def model_of(bar_set: BarSet) -> LoadedModel:
            step, place = frame_ns(bar_set.frame), f"{bar_set.asset_class.value}_{bar_set.frame}"
            self._finest = min(self._finest or step, step)
            self._places.add(place)
            entry = self._entry(place)
            told["model"] = entry.name
            return self._loaded(entry)

        since = self._clock.monotonic_s()
        try:
            served = self._set_of(data).advance(now, model_of)
            rows = served.market.rows(now)
        except ForesailError as e:
            return told | {"refused": e.text, "hint": e.hint}
        taken = self._clock.monotonic_s() - since
        place = served.market.place
        notes = self._explained(served.market, rows)
        written = self._records.append(place, rows)
        reasons = Counter(row["reason"] for row in rows if row["stale"])
        told |= {
            "stage": served.market.model.entry.stage,
            "as_of": format_ns(served.market.standing.end),
            "rows": len(rows),
            "written": written,
            "stale": reasons.total(),
            "stale_reason": reasons.most_common(1)[0][0] if reasons else "",
            "notes": [*served.market.notes, *notes],
            "calibration": self._request.calibration,
            "health": _health(served.market, now),
            "path": served.path,
            "why": served.why,
            "taken_ms": round(1e3 * taken, 1),
        }
        if written:
            self._decisions.append(place, told, rows)
        others = [one for one in self._request.challengers if _is_of(one, place)]
        told["beside"] = [self._beside(data, one, now) for one in others]
        known = [self._models[one] for one in others if one in self._models]
        served.market.keep([horizon for one in known for horizon in one.spec.horizons])
        told |= self._scored(place, served.market.outcomes)
        for one in told["beside"]:
            if "version" in one:
                pairs = self._pairs.setdefault(place, Pairs(self.folder / place))
                one["paired"] = pairs.compare(served.market.model.version, one["version"])
        return told

    def _set_of(self, data: str, challenger: str = "") -> ServedSet:
        """Return what is kept of a data set for the model that answers, or for a challenger."""
        key = data, challenger
        if key not in self._sets:
            telling = Telling(self._request.calibration, self._request.explain)
            feed = BarFeed(data, self._workspace, self._clock, self._request.timezone)
            self._sets[key] = ServedSet(feed, telling)
        return self._sets[key]

    def _explained(self, market: LiveMarket, rows: list[dict[str, Any]]) -> list[str]:
        """Tell why of the rows that will be written, where that was asked for; return why nothing can be told."""
        if not self._request.explain:
            return []
        fresh = self._records.fresh(market.place, rows)
        try:
            market.explain(fresh)
        except ForesailError as e:  # a forecast without reasons is a forecast
            return [f"no reasons: {e.text}"]
        return []

    def _beside(self, data: str, name: str, now: int) -> dict[str, Any]:
        """Forecast one data set with a challenger; what is wrong with it stops nobody else."""
        since = self._clock.monotonic_s()
        try:
            entry = self._registry.find(name)
            served = self._set_of(data, name).advance(now, lambda _: self._loaded(entry, name))
            rows = served.market.rows(now)
        except ForesailError as e:
            return {"model": name, "refused": e.text, "hint": e.hint}
        taken = self._clock.monotonic_s() - since
        notes = self._explained(served.market, rows)
        written = self._records.append(served.market.place, rows)
        told: dict[str, Any] = {
            "data": data,
            "model": entry.name,
            "version": served.market.model.version,
            "stage": entry.stage,
            "as_of": format_ns(served.market.standing.end),
            "written": written,
            "stale": sum(1 for row in rows if row["stale"]),
            "notes": [*served.market.notes, *notes],
            "health": _health(served.market, now),
            "path": served.path,
            "why": served.why,
            "taken_ms": round(1e3 * taken, 1),
        }
        if written:
            self._decisions.append(served.market.place, told, rows)
        return told

    def _scored(self, place: str, outcomes: OutcomeWindow) -> dict[str, Any]:
        """Score what has come true, and return how the models of a class and frame have done lately."""
        if place not in self._scores:
            self._scores[place] = ForecastScores(self.folder / place, self._registry)
        self._windows.setdefault(place, []).append(outcomes)
        return {"scored": self._scores[place].resolve(outcomes), "scores": self._scores[place].recent()}

    def _entry(self, place: str) -> ModelEntry:
        """Return which model is to answer for a class and frame at this moment."""
        named = [name for name in self._request.models if _is_of(name, place)]
        if len(named) > 1:
            raise ConfigError(f"--model: {' and '.join(named)} are both of {place}", hint="name one of them")
        if named:
            return self._registry.find(named[0])
        family = [one for one in self._registry.entries() if f"{one.key.asset_class}_{one.key.frame}" == place]
        candidates = [one for one in family if one.stage == "candidate" and not one.key.is_of_one]
        has_champion = any(one.stage == "champion" and not one.key.is_of_one for one in family)
        if self._request.stage == "candidate" and candidates and not has_champion:
            return max(candidates, key=lambda one: (one.since, one.number, one.name))
        return self._registry.find(place)

    def _loaded(self, entry: ModelEntry, challenger: str = "") -> LoadedModel:
        """Return that model, checked when it was loaded."""
        place = challenger or f"{entry.key.asset_class}_{entry.key.frame}"
        held = self._models.get(place)
        if held is None or held.entry != entry:
            held = self._models[place] = load_model(entry)
        return held


def _health(market: LiveMarket, now: int) -> dict[str, Any]:
    """Return how the features of a market are; what cannot be looked at is not well."""
    try:
        return market.health(now)
    except ForesailError as e:
        return {"at": format_ns(now), "well": False, "wrong": [e.text]}


def _is_of(name: str, place: str) -> bool:
    """Return whether a model, or a family of models, is of a class and frame."""
    return name == place or name.startswith(f"{place}_")


@contextmanager
def _alone(daemon: _Daemon) -> Iterator[None]:
    """Hold the lock of the folder, and end cleanly on SIGTERM and SIGINT."""
    try:
        daemon.folder.mkdir(parents=True, exist_ok=True)
        stream = (daemon.folder / ".lock").open("a")
    except OSError as e:
        raise UserError(f"{daemon.folder}: cannot be written: {e.strerror or e}") from e
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise IntegrityError(f"{daemon.folder}: another process forecasts here", hint=_STOP) from e
        before = {one: signal.signal(one, daemon.stop) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


_STOP = "foresail forecasts status, then foresail forecasts stop"


def start_serving(
    request: ServeRequest,
    *,
    note: Callable[[str], None],
    clock: Clock | None = None,
    nap: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Forecast at regular times in this process until SIGTERM or SIGINT; exit 3 where the first round serves no set.

    Parameters
    ----------
    note : told one line after each round
    nap : waits so many seconds

    Raises
    ------
    ConfigError, UnknownNameError
        If the request makes no sense.
    IntegrityError
        If another process forecasts in this workspace.
    UserError
        If the workspace cannot be written.
    """
    if not request.data:
        raise ConfigError("expected bars to forecast from", hint="--bars FILE, or the name of an imported set")
    if request.every:
        try:
            frame_ns(request.every)
        except ConfigError as e:
            raise ConfigError(f"--every: expected an interval such as 30s, 5m or 1h, received {request.every!r}") from e
    if request.stage not in _STAGES:
        raise UnknownNameError("stage", request.stage, _STAGES)
    if request.calibration not in CALIBRATIONS:
        raise UnknownNameError("calibration", request.calibration, CALIBRATIONS)
    daemon = _Daemon(request, find_workspace(), SystemClock() if clock is None else clock)
    with _alone(daemon):
        daemon.run(note, nap)
        daemon.status["next"] = None
        daemon.tell()
    document = {**daemon.status, "running": False}
    return Outcome(document, _lines(document), 3 if daemon.is_useless else 0)


def serving_status() -> Outcome:
    """Return what the process told last, and whether it runs."""
    folder = find_workspace() / "forecasts"
    document = {**_status(folder), "running": is_running(folder)}
    return Outcome(document, _lines(document))


def stop_serving(*, wait_s: float = 60.0, clock: Clock | None = None) -> Outcome:
    """Ask the process to end after the batch in hand, and wait for it.

    Raises
    ------
    UserError
        If none runs, or it does not end in time.
    """
    watch = SystemClock() if clock is None else clock
    folder = find_workspace() / "forecasts"
    if not is_running(folder):
        raise UserError(f"{folder}: no process forecasts here", hint="foresail forecasts start --bars SET")
    os.kill(int(_status(folder)["pid"]), signal.SIGTERM)
    until = watch.monotonic_s() + wait_s
    while watch.monotonic_s() < until:
        if not is_running(folder):
            return Outcome({"stopped": True}, ["forecasts have stopped"])
        time.sleep(_NAP_S)
    raise UserError(f"{folder}: did not stop within {wait_s:.0f} s", hint="its records stay whole if it is killed")


def _status(folder: Path) -> dict[str, Any]:
    path = folder / "status.json"
    if not path.is_file():
        raise UserError(f"{folder}: nothing was forecast here yet", hint="foresail forecasts start --bars SET")
    return read_document(path)


def _told(status: dict[str, Any]) -> str:
    """Return a round in a line."""
    last = status["last"]
    if last is None:
        return "the first round has not ended"
    served = [one for one in last["sets"] if "refused" not in one]
    written, stale = (sum(one[key] for one in served) for key in ("written", "stale"))
    return (
        f"{last['at']}: {written} new records, {stale} stale, {len(last['sets']) - len(served)} of "
        f"{len(last['sets'])} sets refused, {last['duration_s']:.1f} s; next {status['next'] or 'never'}"
    )


def _lines(status: dict[str, Any]) -> list[str]:
    is_up = "running" if status.get("running") else "not running"
    lines = [f"forecasts: {is_up}, {status['rounds']} rounds, {status['written']} records", _told(status)]
    lost = (status["last"] or {}).get("given_up", 0)
    lines += [f"forecasts that can never be scored, since their bars or sets have gone: {lost}"] if lost else []
    for one in (status["last"] or {"sets": []})["sets"]:
        who = f"{one['data']}: {one['model'] or 'no model'}"
        if "refused" in one:
            lines.append(f"{who} REFUSED: {one['refused']}" + (f" ({one['hint']})" if one["hint"] else ""))
            continue
        stale = f", {one['stale']} stale: {one['stale_reason']}" if one["stale"] else ""
        lines.append(f"{who} ({one['stage']}), as of {one['as_of']}, {one['written']} of {one['rows']} rows new{stale}")
        if one.get("path"):  # a status of an earlier version says nothing of it
            why = f" ({one['why']})" if one["why"] else ""
            lines.append(f"  {PATHS[one['path']]} in {one['taken_ms']:.1f} ms{why}")
        lines += [f"  {health_line(one['health'])}"] if one.get("health") else []
        lines += [f"  note: {note}" for note in one.get("notes", ())]
        lines += score_lines(one.get("scores", ()))
        lines += paired_lines(one.get("beside", ()))
    return lines
