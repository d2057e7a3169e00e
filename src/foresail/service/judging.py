"""Judging what was made elsewhere: results in a file, or a feature or strategy that may look ahead."""

from __future__ import annotations

import math
from pathlib import Path

from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, UserError
from foresail.evaluation.judge import JudgeSettings, judge_file
from foresail.evaluation.leaks import hunt
from foresail.evaluation.simulated_market import SimulationSettings, simulate
from foresail.service.outcome import Outcome

__all__ = ["hunt_leaks", "judge_results"]

_HUNT_PANEL = SimulationSettings(instruments=20, bars=1_000)


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such file", hint=f"give the path of {what}")
    return path


def _shown(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "undefined"


def judge_results(file: Path, *, trials: int, kind: str = "auto", settings: JudgeSettings | None = None) -> Outcome:
    """Return the verdict on returns or trades in a file.

    Parameters
    ----------
    trials : variants that were tried before this one was chosen, itself included
    kind : form of the file, "auto" to recognise it
    """
    given = None if settings is None else settings.bars_per_year
    if given is not None and not math.isfinite(given):
        raise ConfigError(f"expected a finite number of bars per year, received {given}", hint="for example 252")
    path = _existing(file, "a CSV of returns, equity or trades")
    report = judge_file(path, trials=trials, kind=kind, settings=settings)
    performance = report.performance
    lines = [
        f"verdict: {report.verdict.word.value}",
        *(f"  - {reason}" for reason in report.verdict.reasons),
        f"{report.kind}: {report.rows} rows, {report.bars} bars from {report.first} to {report.last}, "
        f"{report.bars_per_year:g} a year; trials: {report.trials}",
        f"Sharpe ratio {_shown(performance.sharpe_ratio)} a year, "
        f"deepest drawdown {_shown(performance.max_drawdown.depth * 100, 1)} %",
        *(f"note: {note}" for note in report.notes),
    ]
    return Outcome(report.to_json(), lines)


def hunt_leaks(file: Path, *, seed: int) -> Outcome:
    """Return every look-ahead leak that disturbing the future of a simulated market brings to light; exit 4 if any."""
    report = hunt(_existing(file, "a Python file with a feature or strategy"), simulate(_HUNT_PANEL, seed), seed=seed)
    document = {
        "file": str(file),
        "checked_times": len(report.checked_times),
        "leaks": [
            {
                "file": leak.file,
                "line": leak.line,
                "column": leak.column,
                "time": format_ns(leak.time),
                "cause": leak.cause,
                "source_line": leak.source_line,
            }
            for leak in report.leaks
        ],
    }
    if not report.leaks:
        return Outcome(document, [report.text])
    return Outcome(
        document, [*(str(leak) for leak in report.leaks), f"next: mend the line, then: foresail leaks {file}"], 4
    )
