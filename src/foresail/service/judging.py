"""Judging what was made elsewhere: results in a file, or a feature or strategy that may look ahead."""

from __future__ import annotations

import math
from pathlib import Path

from foresail.core.clock import format_ns
from foresail.core.errors import UserError
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


def judge_results(file: Path, *, trials: int, settings: JudgeSettings | None = None) -> Outcome:
    """Return the verdict on returns or trades in a file."""
    report = judge_file(_existing(file, "a CSV of returns, equity or trades"), trials=trials, settings=settings)
    performance = report.performance
    lines = [
        f"verdict: {report.verdict.word.value}",
        *(f"  - {reason}" for reason in report.verdict.reasons),
        f"{report.kind}: {report.rows} rows, {report.bars} bars from {report.first} to {report.last}; {report.trials} trials",
        f"Sharpe ratio {_shown(performance.sharpe_ratio)} a year, deepest drawdown {_shown(performance.max_drawdown.depth * 100, 1)} %",
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
    lines = [report.text, *(str(leak) for leak in report.leaks)]
    return Outcome(document, lines, 4 if report.leaks else 0)
