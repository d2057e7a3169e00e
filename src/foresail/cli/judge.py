"""``foresail judge``: the verdict on results or forecasts made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import execute

__all__ = ["judge_command"]


def judge_command(
    file: Annotated[
        Path,
        typer.Argument(help="Returns, equity, variants or trades (CSV, freqtrade JSON), or forecasts (CSV, Parquet)."),
    ],
    *,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, help="Results: how many variants were tried, this one included."),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="auto; returns, equity, variants, backtesting, vectorbt or freqtrade; quantiles, classes, variance or "
            "point.",
        ),
    ] = "auto",
    out: Annotated[Path | None, typer.Option("--out", help="Folder for report.html and metrics.json.")] = None,
    costs: Annotated[
        str, typer.Option("--costs", help="Whether the returns hold costs: included, none or unknown.")
    ] = "unknown",
    bars_per_year: Annotated[
        float | None, typer.Option("--bars-per-year", help="For example 252; left out: measured from the dates.")
    ] = None,
    universe: Annotated[
        str, typer.Option("--universe", help="How the names were chosen: point_in_time, hindsight or unknown.")
    ] = "unknown",
    price_basis: Annotated[
        str, typer.Option("--price-basis", help="raw, split_adjusted, total_return or unknown.")
    ] = "unknown",
    zero_is_fair: Annotated[
        bool, typer.Option("--zero-is-fair", help="0 is the right comparator, as for a market-neutral strategy.")
    ] = False,
    stop: Annotated[
        float | None, typer.Option("--stop", help="Trades: distance of the stop from the entry, with --target.")
    ] = None,
    target_distance: Annotated[
        float | None, typer.Option("--target", help="Trades: distance of the target from the entry, with --stop.")
    ] = None,
    crossing: Annotated[
        str, typer.Option("--crossing", help="Forecasts: crossing quantiles are a reason to refuse, or to sort.")
    ] = "refuse",
    column: Annotated[
        str, typer.Option("--forecast-of", help="Forecasts: which one, where the table has a column 'target'.")
    ] = "close",
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing report.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Give the verdict on results or forecasts made elsewhere."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.evaluation.judge import JudgeSettings
        from foresail.service.judging import JudgeRequest, judge_any

        settings = JudgeSettings(
            bars_per_year=bars_per_year,
            universe_basis=universe,
            price_basis=price_basis,
            zero_is_fair=zero_is_fair,
            seed=0 if seed is None else seed,
            costs=costs,
            stop=stop,
            target=target_distance,
        )
        request = JudgeRequest(
            file=file,
            trials=trials,
            kind=kind,
            out=out,
            force=force,
            settings=settings,
            crossing=crossing,
            target=column,
        )
        outcome = judge_any(request)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
