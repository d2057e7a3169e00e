"""``foresail features health``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute
from foresail.cli.reading import Extended, Frame, Pair, Series, reading_asked

__all__ = ["health_command"]


def health_command(
    *,
    bars: Annotated[
        str, typer.Option("--bars", help="Parquet or CSV file, described folder, imported name, or embedded:us20.")
    ] = "",
    model: Annotated[
        str, typer.Option("--model", help="A model, or class_frame_model; the champion of the bars if none.")
    ] = "",
    at: Annotated[str | None, typer.Option("--at", help="YYYY-MM-DD: stand at the end of that day, UTC.")] = None,
    last: Annotated[int, typer.Option("--last", min=20, help="Newest bars that are compared.")] = 250,
    names: Annotated[int | None, typer.Option("--names", min=1, help="Only the first so many, by id.")] = None,
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Zone of times that carry none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Tell whether the features of a model are fresh, whole and like those of its training; exit code 4 if not."""

    def work() -> tuple[Any, list[str], int]:
        from dataclasses import replace

        from foresail.service.feature_health import HealthRequest, features_health

        asked = reading_asked(frame=frame, extended=extended, series=series, pair=pair)
        reading = replace(asked, timezone=timezone, names=names)
        request = HealthRequest(model=model, bars=bars, at=at, last=last, reading=reading)
        outcome = features_health(request, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
