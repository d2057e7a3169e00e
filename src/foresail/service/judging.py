"""Judging what was made elsewhere: returns, trades or forecasts in a file, or code that may look ahead."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresail.core.canonical import write_atomic
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, UnknownNameError, UserError
from foresail.domain.universe import UniverseBasis
from foresail.evaluation.forecast_judge import ForecastJudgeSettings, ForecastReport, judge_forecast_table
from foresail.evaluation.forecast_table import FORECAST_KINDS, TableOptions, looks_like_forecasts
from foresail.evaluation.foreign import KINDS
from foresail.evaluation.judge import JudgeReport, JudgeSettings, judge_file
from foresail.evaluation.leaks import hunt_on_simulated_markets
from foresail.reporting.judged import forecast_page, render_page, returns_page
from foresail.service.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["JudgeRequest", "hunt_leaks", "judge_any", "judge_forecasts", "judge_results"]

_FILES = ("metrics.json", "report.html")


@dataclass(frozen=True, slots=True)
class JudgeRequest:
    """What ``foresail judge`` was asked to do.

    Attributes
    ----------
    trials : variants that were tried before this one was chosen, itself included; None = not said
    kind : form of the file, of results or of forecasts; "auto" to recognise it
    out : folder for report.html and metrics.json; None = only print
    settings : what the file cannot say
    crossing, target : of forecasts, see ``TableOptions``
    """

    file: Path
    trials: int | None = None
    kind: str = "auto"
    out: Path | None = None
    force: bool = False
    settings: JudgeSettings = field(default_factory=JudgeSettings)
    crossing: str = "refuse"
    target: str = "close"


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise UserError(f"{path}: no such file", hint=f"give the path of {what}")
    return path


def _shown(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "undefined"


def judge_any(request: JudgeRequest) -> Outcome:
    """Return the verdict on a file of results or of forecasts, whichever it holds."""
    path = _existing(request.file, "a CSV of returns, equity or trades, or a CSV or Parquet file of forecasts")
    kind = request.kind
    if kind != "auto" and kind not in (*KINDS, *FORECAST_KINDS):
        raise UnknownNameError("kind of result", kind, ("auto", *KINDS, *FORECAST_KINDS))
    if kind in FORECAST_KINDS or (kind == "auto" and _holds_forecasts(path)):
        settings = ForecastJudgeSettings(
            table=TableOptions(kind=kind, crossing=request.crossing, target=request.target),
            universe_basis=request.settings.universe_basis,
            price_basis=request.settings.price_basis,
            seed=request.settings.seed,
        )
        return judge_forecasts(path, settings=settings, out=request.out, force=request.force)
    if request.trials is None:
        raise UserError(
            f"{path}: results need the number of variants that were tried",
            hint="say it with --trials; 1 means that nothing else was ever tried",
        )
    return judge_results(
        path, trials=request.trials, kind=kind, settings=request.settings, out=request.out, force=request.force
    )


def _holds_forecasts(path: Path) -> bool:
    """Return whether the header is that of a table of forecasts."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    try:
        head = path.read_text(encoding="utf-8-sig").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError):
        return False  # the reader of results says what is wrong with it
    return looks_like_forecasts(head.split(max(",;\t", key=head.count)))


def judge_results(
    file: Path,
    *,
    trials: int,
    kind: str = "auto",
    settings: JudgeSettings | None = None,
    out: Path | None = None,
    force: bool = False,
) -> Outcome:
    """Return the verdict on returns or trades in a file.

    Parameters
    ----------
    trials : variants that were tried before this one was chosen, itself included
    kind : form of the file, "auto" to recognise it
    out : folder for report.html and metrics.json
    force : replace them where they exist
    """
    given = None if settings is None else settings.bars_per_year
    if given is not None and not math.isfinite(given):
        raise ConfigError(f"expected a finite number of bars per year, received {given}", hint="for example 252")
    path = _existing(file, "a CSV of returns, equity or trades")
    _check_folder(out, force=force)
    report = judge_file(path, trials=trials, kind=kind, settings=settings)
    page = None if out is None else render_page(returns_page(report))
    written = _write(out, report.to_json(), page)
    return Outcome(report.to_json(), [*_result_lines(report), *written])


def _result_lines(report: JudgeReport) -> list[str]:
    performance, record = report.performance, report.record
    fall = record.drawdown
    between = (
        f" (other orders of the same blocks: {_shown(fall.low * 100, 1)} to {_shown(fall.high * 100, 1)} %)"
        if math.isfinite(fall.low)
        else ""
    )
    lines = [
        f"verdict: {report.verdict.word.value}",
        *(f"  - {reason}" for reason in report.verdict.reasons),
        f"{report.kind}: {report.rows} rows, {report.bars} bars from {report.first} to {report.last}, "
        f"{report.bars_per_year:g} a year; trials: {report.trials}",
        f"Sharpe ratio {_shown(performance.sharpe_ratio)} a year "
        f"[{_shown(record.sharpe.low)}, {_shown(record.sharpe.high)}], adjusted for autocorrelation "
        f"{_shown(record.adjusted_sharpe)}; smallest that this record shows {_shown(record.detectable_sharpe)}",
        f"names chosen {UniverseBasis.told(report.universe_basis)}; prices {report.price_basis.replace('_', ' ')}",
        f"deepest drawdown {_shown(performance.max_drawdown.depth * 100, 1)} %{between}",
    ]
    view = report.trade_view
    if view is not None:
        lines.append(
            f"win rate {_shown(view.win_rate * 100, 1)} %, average win over average loss {_shown(view.payoff_ratio)}; "
            f"without skill {_shown(view.no_skill_win_rate * 100, 1)} % for {view.barriers}"
        )
    told = report.variants
    if told is not None:
        pbo = "" if told.overfitting is None else f"{told.overfitting:.2f} "
        superior = sum(row.beats_comparator for row in told.rows)
        lines.append(f"variants: {len(told.rows)}; probability of overfitting {pbo}({told.overfitting_text})")
        lines.append(
            f"that no variant beats the comparator: p = {told.superior_p_value:.3f} (SPA); StepM finds {superior}"
        )
    return [*lines, *(f"note: {note}" for note in report.notes)]


def judge_forecasts(
    source: Path | pd.DataFrame,
    *,
    settings: ForecastJudgeSettings | None = None,
    out: Path | None = None,
    force: bool = False,
) -> Outcome:
    """Return the verdict on forecasts made elsewhere.

    Parameters
    ----------
    source : CSV, Parquet, or a pandas frame
    out : folder for report.html and metrics.json
    force : replace them where they exist
    """
    if isinstance(source, Path):
        _existing(source, "a CSV or Parquet file of forecasts")
    _check_folder(out, force=force)
    report = judge_forecast_table(source, settings)
    page = None if out is None else render_page(forecast_page(report))
    written = _write(out, report.to_json(), page)
    return Outcome(report.to_json(), [*_forecast_lines(report), *written])


def _forecast_lines(report: ForecastReport) -> list[str]:
    others = f"; others in the file: {', '.join(report.others)}" if report.others else ""
    return [
        f"verdict: {report.line}",
        *(f"  - {reason}" for reason in report.reasons),
        f"{report.kind}: {report.rows:,} rows, {report.instruments:,} instruments, {report.issue_times:,} issue times "
        f"from {report.first[:10]} to {report.last[:10]}; loss: {report.loss}{others}",
        *(f"note: {note}" for note in report.notes),
    ]


def _check_folder(out: Path | None, *, force: bool) -> None:
    """Refuse a folder before anything is computed: one that holds a report, or anything that we did not write."""
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file", hint="choose a folder for --out")
    found: Sequence[str] = sorted(one.name for one in out.iterdir())
    strange = [name for name in found if name not in _FILES]
    if strange:
        raise UserError(f"{out} holds {strange[0]!r}, which no judgement writes", hint="choose another --out")
    if found and not force:
        raise UserError(f"{out} holds a report", hint="choose another --out, or replace it with --force")


def _write(out: Path | None, document: dict[str, Any], page: str | None) -> list[str]:
    if out is None or page is None:
        return []
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True)
    write_atomic(out / "metrics.json", (text + "\n").encode())
    write_atomic(out / "report.html", page.encode())
    return [f"report: {out / 'report.html'}"]


def hunt_leaks(file: Path, *, seed: int) -> Outcome:
    """Return every leak of a file that simulated markets bring to light; exit 4 if any."""
    path = _existing(file, "a Python file with a feature, strategy or experiment")
    report = hunt_on_simulated_markets(path, seed=seed)
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
