"""``foresail holdout``: data that nobody has seen, opened through one counted call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import execute

__all__ = ["holdout_app"]

holdout_app = typer.Typer(
    no_args_is_help=True, help="Seal data that nobody shall see, and open them once, counted.", rich_markup_mode=None
)
_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]


@holdout_app.command("seal")
def _seal(
    name: Annotated[str, typer.Argument(help="Name of the hold-out.")],
    *,
    data: Annotated[str, typer.Option("--data", help="Bars (path or imported name), or a table of labels.")],
    vault: Annotated[Path, typer.Option("--vault", help="Folder for the labels, outside workspace and repository.")],
    last: Annotated[float | None, typer.Option("--last", help="Share of the time axis, for example 0.2.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="First day, YYYY-MM-DD.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last day, YYYY-MM-DD; left out: to the end.")] = None,
    horizons: Annotated[str, typer.Option("--horizons", help="Bars ahead, of labels made from bars.")] = "1,5",
    frame: Annotated[str, typer.Option("--frame", help="Frame, of a table of labels.")] = "1d",
    target: Annotated[str, typer.Option("--target", help="What is predicted, of a table of labels.")] = "close",
    as_json: _Json = False,
) -> None:
    """Put the labels of a period into a vault; runs no longer read past its start."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.core.errors import ConfigError
        from foresail.service.holdout import SealRequest, seal_data

        parts = [part.strip() for part in horizons.split(",")]
        if not all(part.isdigit() for part in parts):
            raise ConfigError(f"--horizons: expected numbers such as 1,5, received {horizons!r}")
        request = SealRequest(
            data=data,
            name=name,
            vault=vault,
            last=last,
            since=since,
            until=until,
            horizons=tuple(int(part) for part in parts),
            frame=frame,
            target=target,
        )
        outcome = seal_data(request)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@holdout_app.command("open")
def _open(
    name: Annotated[str, typer.Argument(help="Name of the hold-out.")],
    *,
    release: Annotated[str, typer.Option("--release", help="Name of the finished model; it may look once.")],
    predictions: Annotated[Path, typer.Option("--predictions", help="CSV or Parquet of forecasts, without outcomes.")],
    settings: Annotated[Path | None, typer.Option("--settings", help="File whose hash is recorded.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for predictions and manifest.")] = None,
    another_look: Annotated[
        bool, typer.Option("--another-look", help="Look again with other predictions; it is counted.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Score predictions; the look is on record before the labels are joined."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.holdout import OpenRequest, open_holdout

        outcome = open_holdout(
            OpenRequest(
                name=name,
                release=release,
                predictions=predictions,
                settings=settings,
                another_look=another_look,
                out=out,
            )
        )
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@holdout_app.command("looks")
def _looks(*, as_json: _Json = False) -> None:
    """List the hold-outs of this workspace and who has looked."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.holdout import list_looks

        outcome = list_looks()
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
