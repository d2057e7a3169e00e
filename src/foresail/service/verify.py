"""Verify: run again from the record of a run and compare what its folder promises, byte by byte."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from foresail.core.errors import DataError, ForesailError
from foresail.engine.settings import InputSettings, PipelineSettings, WalkForwardSettings
from foresail.engine.strategy_choices import choices_of_plain
from foresail.engine.trading_settings import trading_of_plain
from foresail.evaluation.registry import TrialCount
from foresail.protocols import Progress
from foresail.service.demo import demo_extras
from foresail.service.loading import Loaded, load_reading, with_facts
from foresail.service.outcome import Outcome
from foresail.service.plugins import Plugin, load_plugin
from foresail.service.reading import reading_of
from foresail.service.run import Job, record_of, write_run
from foresail.service.runfolder import RunReader, code_hash
from foresail.service.workspace import find_workspace

__all__ = ["verify_run"]

_EXIT_DIFFERS, _EXIT_MISSING = 4, 5


def _settings(stored: dict[str, Any]) -> PipelineSettings:
    """Return settings as they were recorded."""
    values = dict(stored)
    walk = WalkForwardSettings(**values.pop("walk_forward"))
    given = dict(values.pop("inputs", {}))
    values["inputs"] = InputSettings(**{**given, "without": tuple(given.get("without", ()))})
    for name in ("horizons", "features", "targets", "beside"):
        values[name] = tuple(values.get(name, ()))
    values["forecaster_options"] = tuple((key, value) for key, value in values.get("forecaster_options", ()))
    values["trading"] = trading_of_plain(values.get("trading", {}))
    values["strategies"] = choices_of_plain(values.get("strategies", ()))
    values["fees"] = _tuples(values.get("fees", []))
    values["limits"] = tuple((key, _tuples(value)) for key, value in values.get("limits", ()))
    return PipelineSettings(**{**values, "capital": Decimal(values["capital"])}, walk_forward=walk)


def _tuples(value: Any) -> Any:
    """Return a value of JSON with tuples for lists."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def _trials(reader: RunReader) -> TrialCount:
    """Return the count of the run: a repetition is no further trial."""
    count = reader.json("honesty.json")["trial_count"]
    return TrialCount(**{**count, "sharpes": tuple(count["sharpes"]), "notes": tuple(count["notes"])})


def _missing(text: str, what: str) -> Outcome:
    return Outcome({"equal": False, "missing": what, "text": text}, [f"cannot verify: {text}"], _EXIT_MISSING)


def _plugin(record: dict[str, Any], place: str | None) -> Plugin | Outcome | None:
    """Return the plug-in of a record, or what to say where it is gone or has changed."""
    if not record["plugins"]:
        return None
    known = record["plugins"][0]
    path = Path(place or known["id"])
    if not path.is_file():
        return _missing(f"the plug-in {path} is not there", str(path))
    plugin = load_plugin(path)
    if plugin.source_hash != known["sha256"]:
        return _missing(f"the plug-in {path} has changed since the run", str(path))
    return plugin


def _changed_file(folder: Path, error: DataError) -> str | None:
    """Return which file of a finished run its reader refused; None where there is no finished run to compare."""
    file = Path(error.file or folder)
    return file.name if file.parent == folder and file.name != "complete" and (folder / "complete").is_file() else None


def _changed_input(loaded: Loaded, inputs: dict[str, Any]) -> str:
    """Return what of a market is not what a run recorded; empty where all of it is."""
    if loaded.inputs["content"] != inputs["content"]:
        return "bars"
    for kind in ("facts", "series"):
        if loaded.inputs.get(kind, {}) != inputs.get(kind, {}):
            return f"{kind} that stood beside the bars"
    return ""


def verify_run(folder: Path, *, progress: Progress) -> Outcome:
    """Repeat a run and tell whether every promised file has the same bytes; exit 4 if not, 5 if inputs are missing."""
    try:
        reader = RunReader(folder)
    except DataError as e:
        changed = _changed_file(folder, e)
        if changed is None:
            raise
        document = {"run": str(folder), "equal": False, "differing": [changed], "text": e.text}
        return Outcome(document, [f"{folder} is not what the run wrote: {e.text}"], _EXIT_DIFFERS)
    record = reader.json("run.json")
    environment = reader.json("env.json")
    plugin = _plugin(record, environment["plugin"])
    if isinstance(plugin, Outcome):
        return plugin
    inputs, location = record["inputs"], environment["bars"]
    try:
        reading = reading_of(inputs, environment.get("series", ()))
        loaded = load_reading(location, reading, workspace=find_workspace(), until_ns=inputs["until"])
    except ForesailError as e:
        return _missing(str(e), location)
    told = inputs.get("facts", {})
    loaded = with_facts(loaded, {name: table for name, table in loaded.data.facts.items() if name in told})
    changed = _changed_input(loaded, inputs)
    if changed:
        return _missing(f"the {changed} of {location} have changed since the run", location)
    settings = _settings(record["settings"])
    with tempfile.TemporaryDirectory(prefix="foresail-verify-") as place:
        job = Job(
            title="verify",
            command=f"foresail verify {folder}",
            loaded=loaded,
            settings=settings,
            out=Path(place) / "run",
            record=record_of(record["command"], loaded, settings, plugin),
            plugin=plugin,
            trials=_trials(reader),
        )
        if record["command"] == "demo":
            job = replace(job, **demo_extras(settings, progress))
        write_run(job, force=False, progress=progress)
        return _compared(folder, reader, Path(place) / "run", record)


def _compared(folder: Path, old: RunReader, repeated: Path, record: dict[str, Any]) -> Outcome:
    """Return which promised files differ, or are promised by one of the two runs only."""
    new = RunReader(repeated)
    same_code = record["code"] == code_hash()
    differing = [
        name
        for name in sorted(set(old.promised) | set(new.promised))
        if name not in old.promised
        or name not in new.promised
        or (folder / name).read_bytes() != (repeated / name).read_bytes()
    ]
    document = {
        "run": str(folder),
        "equal": not differing,
        "files": sorted(old.promised),
        "differing": differing,
        "same_code": same_code,
    }
    if not differing:
        return Outcome(document, [f"{folder} repeats: {len(old.promised)} files are equal byte by byte"])
    why = "" if same_code else " (the installed code is not the code of the run)"
    return Outcome(document, [f"{folder} differs{why}:", *(f"  {name}" for name in differing)], _EXIT_DIFFERS)
