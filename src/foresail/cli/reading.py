"""Options that every command with bars shares: the frame, extended hours, series beside the bars, pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from foresail.service.reading import Reading

__all__ = ["Extended", "Frame", "Pair", "Series", "reading_asked"]

Frame = Annotated[str | None, typer.Option("--frame", help="Coarsen the bars first: 15m, 1h, 4h, 1d, 1w ...")]
Extended = Annotated[
    bool, typer.Option("--extended", help="Keep bars from 04:00 to 20:00 New York; 6h bars of stocks need them.")
]
Series = Annotated[
    list[str] | None,
    typer.Option("--series", help="Set of series beside the bars: imported name or description; may be repeated."),
]
Pair = Annotated[
    list[str] | None, typer.Option("--pair", help="A=B: B is the second leg of A; may be repeated; also [pairs].")
]


def reading_asked(
    *,
    frame: str | None = None,
    extended: bool = False,
    series: list[str] | None = None,
    pair: list[str] | None = None,
    models: bool = False,
) -> Reading:
    """Return how the bars of a command are to be read, see ``service.reading.asked_reading``."""
    from foresail.service.reading import asked_reading

    return asked_reading(frame, series or (), pair or (), extended=extended, models=models)
