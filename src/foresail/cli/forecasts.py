"""``foresail forecasts``: registered models that forecast at regular times."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute

__all__ = ["forecasts_app"]

forecasts_app = typer.Typer(
    no_args_is_help=True, help="Forecasts at regular times: start, status, stop.", rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]


@forecasts_app.command("start")
def _start(
    *,
    data: Annotated[
        list[str] | None, typer.Option("--bars", help="File, described folder or imported name; may be repeated.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model, or class_frame_model, for its class and frame; may be repeated."),
    ] = None,
    challenger: Annotated[
        list[str] | None,
        typer.Option("--challenger", help="A model that forecasts beside it and is compared; may be repeated."),
    ] = None,
    stage: Annotated[
        str, typer.Option("--stage", help="champion; candidate: the newest one where there is no champion.")
    ] = "champion",
    every: Annotated[
        str, typer.Option("--every", help="30s, 5m, 1h ...; if none, 5m for bars under an hour, else 30m.")
    ] = "",
    calibration: Annotated[
        str,
        typer.Option("--calibration", help="stored: by calibration rows; online, adaptive: by outcomes since; none."),
    ] = "stored",
    explain: Annotated[
        bool, typer.Option("--explain", help="New records tell reasons; of a network similar days and weights, too.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="One round, then end.")] = False,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Zone of times that carry none.")] = None,
    as_json: _Json = False,
) -> None:
    """Forecast here at regular times until SIGTERM; a restart repeats no forecast."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.serving_daemon import ServeRequest, start_serving

        request = ServeRequest(
            tuple(data or ()),
            tuple(model or ()),
            stage=stage,
            every=every,
            timezone=timezone,
            once=once,
            challengers=tuple(challenger or ()),
            calibration=calibration,
            explain=explain,
        )
        outcome = start_serving(request, note=Progress().note)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@forecasts_app.command("status")
def _status(*, as_json: _Json = False) -> None:
    """Say what was forecast last, what is stale or refused, and whether it runs."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.serving_daemon import serving_status

        outcome = serving_status()
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@forecasts_app.command("stop")
def _stop(*, as_json: _Json = False) -> None:
    """End the process after the batch in hand."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.serving_daemon import stop_serving

        outcome = stop_serving()
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
