"""``foresail train``, ``foresail predict`` and ``foresail models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute
from foresail.cli.reading import Extended, Frame, Pair, Series, reading_asked

__all__ = ["models_app", "predict_command", "train_command"]

models_app = typer.Typer(
    no_args_is_help=True, help="Registered models: list, show, verify, promote.", rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
_Zone = Annotated[str | None, typer.Option("--timezone", help="Zone of times that carry none.")]
_Data = Annotated[
    str, typer.Option("--bars", help="Parquet or CSV file, described folder, imported name, or embedded:us20.")
]
_Name = Annotated[str, typer.Argument(help="A model, or class_frame_model for its champion.")]
_Note = Annotated[str, typer.Option("--note", help="Why, for the journal.")]


def train_command(
    *,
    data: _Data = "",
    forecaster: Annotated[
        str, typer.Option("--forecaster", help="ridge, quantile_trees, tft ...; quantile_trees if none.")
    ] = "",
    features: Annotated[
        str, typer.Option("--features", help="A set, or names and sets separated by commas; spine if none.")
    ] = "",
    horizons: Annotated[
        str | None, typer.Option("--horizons", help="Bars or spans, separated by commas: 1,5 or 4h,1d,1w.")
    ] = None,
    targets: Annotated[str | None, typer.Option("--targets", help="Of close, high, low; all the bars have.")] = None,
    context: Annotated[
        int | None, typer.Option("--context", min=1, help="Bars back that a forecast of a network sees.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="key=value of the forecaster; may be repeated.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with [train] and [options].")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="YYYY-MM-DD: use nothing available after the end of that day, UTC.")
    ] = None,
    timezone: _Zone = None,
    names: Annotated[
        int | None, typer.Option("--names", min=1, help="Only the first so many instruments, by id.")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option("--symbols", help="Learn from these ids or tickers alone; all if none.")
    ] = None,
    per_ticker: Annotated[bool, typer.Option("--per-ticker", help="A model for each ticker, named after it.")] = False,
    sector: Annotated[
        str | None, typer.Option("--sector", help="Fine-tune --base for these sectors; all: each.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="The model that is fine-tuned.")] = None,
    neutral_band: Annotated[
        float | None,
        typer.Option("--neutral-band", min=0.0, help="Neutral within so many standard deviations; 0.5 if none."),
    ] = None,
    fixed_threshold: Annotated[
        float | None, typer.Option("--fixed-threshold", min=0.0, help="Neutral within this move instead: 0.01 = 1 %.")
    ] = None,
    round_trip_cost: Annotated[
        float | None, typer.Option("--round-trip-cost", min=0.0, help="Neutral is never narrower; that of the class.")
    ] = None,
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    select: Annotated[
        str | None, typer.Option("--select", help="How features are chosen: default, forest, f_test, none ...")
    ] = None,
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Features that a selection keeps; 50.")] = None,
    without: Annotated[
        str | None, typer.Option("--without", help="Groups of features left out whole: sentiment,order_flow.")
    ] = None,
    normalise: Annotated[
        str | None, typer.Option("--normalise", help="Scale each instrument by its own numbers: standard or min_max.")
    ] = None,
    row_weights: Annotated[
        str | None, typer.Option("--row-weights", help="Rows count by recency, uniqueness or recency+uniqueness.")
    ] = None,
    beside: Annotated[
        str | None, typer.Option("--beside", help="Forecasters fitted on the same rows to compare with: lstm,gru.")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="After scoring, fit once more on all bars and register that.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Train a forecaster, score it once on the newest fifth, and register it."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.training import train_model
        from foresail.service.training_request import TrainRequest, parse_options, with_config
        from foresail.service.training_tickers import train_tickers

        request = TrainRequest(
            data=data,
            forecaster=forecaster,
            features=features,
            horizons=horizons,
            targets=targets,
            context=context,
            options=parse_options(option or []),
            seed=seed,
            until=until,
            timezone=timezone,
            names=names,
            symbols=symbols,
            per_ticker=per_ticker,
            sector=sector,
            base=base,
            neutral_band=neutral_band,
            fixed_threshold=fixed_threshold,
            round_trip_cost=round_trip_cost,
            beside=beside,
            select=select,
            keep=keep,
            without=without,
            normalise=normalise,
            row_weights=row_weights,
            refit=refit,
            reading=reading_asked(frame=frame, extended=extended, series=series, pair=pair, models=config is None),
            config=config,
        )
        progress, asked = Progress(), with_config(request)
        work_on = train_tickers if asked.per_ticker else train_model
        outcome = work_on(asked, progress=progress, note=progress.note)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


def predict_command(
    *,
    data: _Data = "",
    model: Annotated[
        str,
        typer.Option("--model", help="A model, or class_frame_model; the champion if none; a,b is a panel."),
    ] = "",
    weights: Annotated[str, typer.Option("--weights", help="Of the models of a panel: 0.6,0.4; equal if none.")] = "",
    symbols: Annotated[str, typer.Option("--symbols", help="Ids or tickers, separated by commas; all if none.")] = "",
    at: Annotated[str | None, typer.Option("--at", help="YYYY-MM-DD: stand at the end of that day, UTC.")] = None,
    calibration: Annotated[
        str,
        typer.Option("--calibration", help="stored: by calibration rows; online, adaptive: by outcomes since; none."),
    ] = "stored",
    timezone: _Zone = None,
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    explain: Annotated[bool, typer.Option("--explain", help="Tell the leading features of each forecast.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    as_json: _Json = False,
) -> None:
    """Forecast with a registered model; nothing is forecast from stale or incomplete inputs."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.predicting import PredictRequest, predict_with
        from foresail.service.predicting_panel import parse_weights

        request = PredictRequest(
            model=model,
            data=data,
            weights=parse_weights(weights),
            symbols=tuple(one.strip() for one in symbols.split(",") if one.strip()),
            at=at,
            timezone=timezone,
            calibration=calibration,
            explain=explain,
            as_csv=as_csv,
            reading=reading_asked(frame=frame, extended=extended, series=series, pair=pair, models=True),
        )
        outcome = predict_with(request, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("list")
def _list(*, as_json: _Json = False) -> None:
    """List the models of the workspace."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import list_models

        outcome = list_models()
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("show")
def _show(name: _Name, *, as_json: _Json = False) -> None:
    """Show what a model is, was trained on and scored."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import show_model

        outcome = show_model(name)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("verify")
def _verify(
    name: Annotated[str | None, typer.Argument(help="A model; all of them if none.")] = None, *, as_json: _Json = False
) -> None:
    """Check that models are what was registered, and forecast as they did."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import verify_models

        outcome = verify_models(name)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("promote")
def _promote(name: _Name, *, note: _Note = "", as_json: _Json = False) -> None:
    """Make a model the champion of its class, frame and model."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import promote_model

        outcome = promote_model(name, note=note)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("retire")
def _retire(name: _Name, *, note: _Note = "", as_json: _Json = False) -> None:
    """Take a model out of use; it stays on disk."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import retire_model

        outcome = retire_model(name, note=note)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@models_app.command("remove")
def _remove(name: _Name, *, as_json: _Json = False) -> None:
    """Delete a model that is not the champion."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.models import remove_model

        outcome = remove_model(name)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
