"""The main job: bars in, verdict out. ``perform`` does the work for run, demo and verify alike."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from foresail import __version__
from foresail.core.canonical import hash_value
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import DataError
from foresail.domain.calendars import bars_per_year
from foresail.domain.instruments import AssetClass
from foresail.domain.runs import VerdictWord
from foresail.engine.cache import FoldCache
from foresail.engine.pipeline import drop_late_fields, run_pipeline, select_instruments
from foresail.engine.settings import PipelineSettings
from foresail.engine.walkforward import RunOptions
from foresail.evaluation.assess import Comparison, assess, compare
from foresail.evaluation.canaries import run_canaries
from foresail.evaluation.honesty import collect
from foresail.evaluation.registry import Lineage, Trial, TrialCount, TrialRegistry
from foresail.evaluation.self_calibration import PanelOutcome
from foresail.measures.honesty import sharpe_sample
from foresail.measures.returns import simple_returns
from foresail.protocols import Progress, Strategy
from foresail.reporting.html import render_report
from foresail.reporting.model import LeakFinding
from foresail.reporting.summary import text_summary
from foresail.service.feature_names import named_sets
from foresail.service.finished import Finished, deciding
from foresail.service.horizon_settings import preset_told
from foresail.service.loading import Loaded, load_reading, parse_until
from foresail.service.outcome import Outcome
from foresail.service.plugins import Plugin, fuzz, load_plugin, to_strategy
from foresail.service.reading import Reading
from foresail.service.report_baselines import check_beside
from foresail.service.report_input import report_input
from foresail.service.report_model import model_document
from foresail.service.results import metrics, tables
from foresail.service.runfolder import RunWriter, code_hash
from foresail.service.settings import WORKSPACE_FILE, Overrides, default_settings, read_settings
from foresail.service.workspace import find_workspace

__all__ = [
    "CACHE_FOLDER",
    "Job",
    "RunRequest",
    "exit_code_of",
    "market_of",
    "perform",
    "record_of",
    "run_job",
    "settings_for",
    "summary_document",
    "write_run",
]

CACHE_FOLDER = ".foresail-cache"
_FUZZ_NAMES, _FUZZ_BARS = 20, 1_000  # of the user's own data, on which a plug-in is fuzzed before use


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What ``foresail run`` was asked to do; None = not said."""

    bars: str
    out: Path | None = None
    seed: int | None = None
    until: str | None = None
    config: Path | None = None
    plugin: Path | None = None
    timezone: str | None = None
    names: int | None = None
    capital: str | None = None
    forecaster: str | None = None
    selection: str | None = None
    without: tuple[str, ...] | None = None
    horizons: str | None = None
    beside: str | None = None
    force: bool = False
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One main job, resolved.

    Attributes
    ----------
    registry : where trials are counted; None when ``trials`` is given (verify)
    cache : finished folds; None = compute everything
    """

    title: str
    command: str
    loaded: Loaded
    settings: PipelineSettings
    out: Path
    record: dict[str, Any]
    plugin: Plugin | None = None
    registry: TrialRegistry | None = None
    trials: TrialCount | None = None
    cache: FoldCache | None = None
    panels: tuple[PanelOutcome, ...] | None = None
    leak: LeakFinding | None = None
    next_steps: tuple[tuple[str, str], ...] = ()


def market_of(loaded: Loaded) -> tuple[AssetClass, str]:
    """Return asset class and frame of a market, by which spans are read."""
    return loaded.data.bar_set.asset_class, loaded.data.bars.frame


def settings_for(loaded: Loaded, config: Path | None, overrides: Overrides) -> PipelineSettings:
    """Return the settings of a run on a market; a short history is met with shorter training."""
    bars = loaded.data.bars
    year = bars_per_year(bars.calendar, bars.frame)
    market = market_of(loaded)
    base = replace(default_settings(bars.frame, year, market[0]), currency=loaded.data.bar_set.currency)
    walk = base.walk_forward
    length = bars.shape[1]
    if length < walk.minimum_train_bars + walk.refit_bars:
        least, refit = round(year), max(1, round(year / 4))
        shorter = {
            "minimum_train_bars": min(least, walk.minimum_train_bars),
            "refit_bars": min(refit, walk.refit_bars),
        }
        base = replace(base, walk_forward=replace(walk, **shorter))
    settings = read_settings(base, config, overrides, market)
    settings = replace(settings, features=named_sets(settings.features, bars.frame))
    needed = settings.walk_forward.minimum_train_bars + 2 * settings.decision_horizon
    if length < needed:
        raise DataError(
            f"set {loaded.data.bar_set.name}: {length} bars, at least {needed} are needed to judge anything",
            hint="give a longer history, or lower minimum_train under [walk_forward] in the settings file",
        )
    return settings


def record_of(command: str, loaded: Loaded, settings: PipelineSettings, plugin: Plugin | None) -> dict[str, Any]:
    """Return the content of run.json: all that decides the result."""
    plugins = [] if plugin is None else [{"id": plugin.id, "sha256": plugin.source_hash}]
    return {
        "command": command,
        "inputs": loaded.inputs,
        "code": code_hash(),
        "settings": asdict(settings),
        "seed": settings.seed,
        "plugins": plugins,
        "format": 1,
    }


def _fuzzed(plugin: Plugin, loaded: Loaded, seed: int) -> Strategy:
    """Return a plug-in as a strategy after a hunt for leaks on a part of the user's own data."""
    data = loaded.data
    rows = range(min(_FUZZ_NAMES, data.bars.shape[0]))
    part = select_instruments(data, list(rows)).bars
    fuzz(plugin, part.cut(max(0, part.shape[1] - _FUZZ_BARS), part.shape[1]), seed=seed)
    return to_strategy(plugin, frame=data.bars.frame)


def _count_trial(job: Job, comparison: Comparison) -> TrialCount:
    """Register this trial and return how many its data have seen."""
    if job.trials is not None or job.registry is None:
        return job.trials if job.trials is not None else TrialCount(n=1)
    bars = job.loaded.data.bars
    lineage = Lineage(
        universe=tuple(bars.instruments),
        frame=bars.frame,
        target="close",  # another horizon on the same bars is one more trial, not fresh data
        start=int(bars.end[comparison.first]),
        end=int(bars.end[-1]),
    )
    trial = Trial(
        settings_hash=hash_value([deciding(job.record["settings"]), job.record["plugins"]]),
        code_hash=job.record["code"],
        lineage=lineage,
        sample=sharpe_sample(simple_returns(comparison.net) - simple_returns(comparison.one_over_n)),
        bars_per_year=bars_per_year(bars.calendar, bars.frame),
        run_id=hash_value(job.record)[:16],
    )
    job.registry.register(trial)
    return job.registry.count(lineage)


def perform(job: Job, progress: Progress) -> Finished:
    """Run the main job and judge it."""
    settings = job.settings
    data, left_out = drop_late_fields(job.loaded.data, settings)
    check_beside(data, settings)
    told = (*left_out, *preset_told(settings, market_of(job.loaded)))
    job = replace(job, loaded=replace(job.loaded, data=data, notes=(*job.loaded.notes, *told)))
    strategy = None if job.plugin is None else _fuzzed(job.plugin, job.loaded, settings.seed)
    options = RunOptions(cache=job.cache, explained=True, progress=progress)
    result = run_pipeline(data, settings, strategy=strategy, options=options)
    canaries = run_canaries(data, settings, strategy=strategy, progress=progress)
    comparison = compare(result, index=job.loaded.index)
    trials = _count_trial(job, comparison)
    verdict = assess(result, comparison, trials=trials, canaries=canaries)
    honesty = collect(
        simple_returns(comparison.net) - simple_returns(comparison.one_over_n),
        bars_per_year=result.backtest.bars_per_year,
        trials=trials,
    )
    return Finished(
        title=job.title,
        out=job.out,
        loaded=job.loaded,
        result=result,
        comparison=comparison,
        canaries=canaries,
        trials=trials,
        honesty=honesty,
        verdict=verdict,
        record=job.record,
        command=job.command,
        panels=job.panels,
        leak=job.leak,
        plugin="" if job.plugin is None else job.plugin.id,
        next_steps=job.next_steps,
    )


def _environment(job: Job, clock: Clock, started_s: float) -> dict[str, Any]:
    packages = ("numpy", "numba", "pandas", "pyarrow", "scipy", "scikit-learn", "lightgbm", "exchange_calendars")
    return {
        "foresail": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: metadata.version(name) for name in packages},
        "bars": job.loaded.location,
        **({"series": list(job.loaded.series_at)} if job.loaded.series_at else {}),
        "plugin": None if job.plugin is None else str(Path(job.plugin.user_file.path).resolve()),
        "finished_at": clock.now().isoformat(),
        "elapsed_s": {"all": round(clock.monotonic_s() - started_s, 1)},
    }


def write_run(job: Job, *, force: bool, progress: Progress, clock: Clock | None = None) -> tuple[Finished, list[str]]:
    """Perform a job and write its folder, whole or not at all; return it with the lines of the last screen."""
    watch = SystemClock() if clock is None else clock
    started = watch.monotonic_s()
    with RunWriter(job.out, force=force, clock=watch) as writer:
        writer.log("started", command=job.command)
        finished = perform(job, progress)
        progress("writing", 0, 1)
        writer.write_json("run.json", job.record)
        writer.write_json("metrics.json", metrics(finished))
        for name, columns in tables(finished).items():
            writer.write_table(name, columns)
        told = report_input(finished)
        writer.write_text("report.html", render_report(told))
        writer.write_json("model.json", model_document(finished))
        document = {**finished.honesty.to_json(), "trial_count": asdict(finished.trials)}
        writer.write_json("honesty.json", document)
        writer.log("finished", verdict=finished.verdict.word.value)
        writer.write_json("env.json", _environment(job, watch, started))
        writer.finish()
        progress("writing", 1, 1)
    return finished, text_summary(told)


def summary_document(finished: Finished) -> dict[str, Any]:
    """Return what ``--json`` prints of a run: the metrics, and where everything lies."""
    return {"run": str(finished.out), "report": str(finished.out / "report.html"), **metrics(finished)}


def exit_code_of(finished: Finished) -> int:
    """Return 4 for an invalid run, 0 for every other verdict."""
    return 4 if finished.verdict.word is VerdictWord.INVALID else 0


def run_job(request: RunRequest, *, progress: Progress, clock: Clock | None = None) -> Outcome:
    """Run the main job on the user's data."""
    workspace = find_workspace()
    plugin = None if request.plugin is None else load_plugin(request.plugin)
    progress("reading bars", 0, 1)
    asked = replace(request.reading, timezone=request.timezone, names=request.names, config=request.config)
    until = parse_until(request.until)
    loaded = load_reading(request.bars, asked, workspace=workspace, until_ns=until, clock=clock)
    progress("reading bars", 1, 1)
    config = request.config
    if config is None and (workspace / WORKSPACE_FILE).is_file():
        config = workspace / WORKSPACE_FILE
    settings = settings_for(
        loaded,
        config,
        Overrides(
            seed=request.seed,
            capital=request.capital,
            forecaster=request.forecaster,
            selection=request.selection,
            without=request.without,
            horizons=None if request.horizons is None else _parts(request.horizons),
            beside=None if request.beside is None else _parts(request.beside),
        ),
    )
    record = record_of("run", loaded, settings, plugin)
    out = request.out or workspace / "runs" / f"{loaded.data.bar_set.name}-{hash_value(record)[:8]}"
    job = Job(
        title=f"Foresail run: {loaded.data.bar_set.name}",
        command=_command(request),
        loaded=loaded,
        settings=settings,
        out=out,
        record=record,
        plugin=plugin,
        registry=TrialRegistry(workspace / "trials.jsonl", runs=workspace / "runs"),
        cache=FoldCache(workspace / CACHE_FOLDER, record["code"]),
        next_steps=((f"foresail verify {out}", "repeat it from its record and compare"),),
    )
    finished, lines = write_run(job, force=request.force, progress=progress, clock=clock)
    return Outcome(summary_document(finished), lines, exit_code_of(finished))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


_WORDS = ("seed", "until", "config", "plugin", "timezone", "names", "capital", "forecaster", "horizons", "beside")


def _command(request: RunRequest) -> str:
    words = ["foresail run --bars", request.bars]
    for name in _WORDS:
        value = getattr(request, name)
        if value is not None:
            words += [f"--{name}", f"'{value}'" if " " in str(value) else str(value)]
    words += [] if request.selection is None else [f"--select {request.selection}"]
    words += [] if request.without is None else [f"--without {','.join(request.without)}"]
    return " ".join(words + request.reading.words())
