"""The demo: the main job, offline, on real market data that ships inside installed packages.

It tells what no other tool tells: the strategy next to 1/N of the same names (which were chosen afterwards, so they
cannot be judged), a self-calibration panel, and a leaky strategy that is refused.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from foresail.core.clock import format_ns
from foresail.engine.cache import FoldCache
from foresail.engine.settings import PipelineSettings
from foresail.evaluation.leaks import hunt, naive_sharpe
from foresail.evaluation.registry import TrialRegistry
from foresail.protocols import Progress
from foresail.reporting.model import LeakFinding
from foresail.service.demo_panels import demo_panels
from foresail.service.loading import EMBEDDED, Loaded, load_bars
from foresail.service.outcome import Outcome
from foresail.service.run import CACHE_FOLDER, Job, exit_code_of, record_of, settings_for, summary_document, write_run
from foresail.service.settings import Overrides
from foresail.service.workspace import find_workspace

__all__ = ["demo_extras", "run_demo"]

_DEMO_REFIT_BARS = 504  # every two years, so that the demo ends within a minute
_EXAMPLE = Path("examples/leaky.py")  # there in a clone, not in an installed package


def _leak(loaded: Loaded, seed: int) -> LeakFinding | None:
    """Return where the leaky example looks ahead, on the demo's own bars, and what a naive backtest would have said."""
    with resources.as_file(resources.files("foresail.service").joinpath("templates/leaky.py.txt")) as path:
        report = hunt(path, loaded.data.bars, seed=seed)
        if not report.leaks:
            return None
        first = report.leaks[0]
        return LeakFinding(
            file="examples/leaky.py",
            line=first.line,
            column=first.column,
            time=format_ns(first.time),
            text=f"`{first.source_line}`: {first.cause}",
            sharpe=naive_sharpe(path, loaded.data.bars),
        )


def demo_extras(settings: PipelineSettings, progress: Progress) -> dict[str, Any]:
    """Return the parts of a job that only the demo has: the self-calibration panel and the leak."""
    loaded = load_bars(EMBEDDED, workspace=Path())
    return {"panels": demo_panels(settings.seed, progress), "leak": _leak(loaded, settings.seed)}


def run_demo(*, out: Path | None, seed: int | None, force: bool, progress: Progress) -> Outcome:
    """Run the demo into ``runs/demo`` or ``out``."""
    workspace = find_workspace()
    target = out or Path("runs/demo")
    loaded = load_bars(EMBEDDED, workspace=workspace)
    settings = settings_for(loaded, None, Overrides(seed=seed))
    settings = replace(settings, walk_forward=replace(settings.walk_forward, refit_bars=_DEMO_REFIT_BARS))
    record = record_of("demo", loaded, settings, None)
    job = Job(
        title="Foresail demo",
        command="foresail demo" + ("" if seed is None else f" --seed {seed}"),
        loaded=loaded,
        settings=settings,
        out=target,
        record=record,
        registry=TrialRegistry(workspace / "trials.jsonl", runs=workspace / "runs"),
        cache=FoldCache(workspace / CACHE_FOLDER, record["code"]),
        next_steps=(
            ("foresail run --bars PATH", "the same on your own bars"),
            ("foresail new strategy my_idea", "a strategy of your own in 15 lines"),
            *((("foresail leaks examples/leaky.py", "see a leak found by line"),) if _EXAMPLE.is_file() else ()),
            (f"foresail verify {target}", "repeat this run from its record"),
        ),
        **demo_extras(settings, progress),
    )
    finished, lines = write_run(job, force=force, progress=progress)
    return Outcome(summary_document(finished), lines, exit_code_of(finished))
