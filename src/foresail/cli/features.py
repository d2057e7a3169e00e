"""``foresail features``: compute, list, explain, plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute
from foresail.cli.reading import Extended, Frame, Pair, Series, reading_asked

__all__ = ["features_app"]

features_app = typer.Typer(
    no_args_is_help=True, help="Compute features of any bars, and see what they are.", rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
_Bars = Annotated[
    str,
    typer.Option("--bars", help="Parquet or CSV file, described folder, or imported name; the demo's sample if none."),
]
_Form = Annotated[str, typer.Option("--form", help="display: as defined; model: free of units.")]
_Until = Annotated[
    str | None, typer.Option("--until", help="YYYY-MM-DD: use nothing available after the end of that day, UTC.")
]
_Zone = Annotated[str | None, typer.Option("--timezone", help="Zone of times that carry none.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace an existing file once the new one is complete.")]
_Style = Annotated[str, typer.Option("--style", help="Frames that mtf_agreement adds up: intraday, swing or position.")]
_Set = Annotated[
    str, typer.Option("--set", help="Sets, names, NAME@FRAME, preset:NAME or default, separated by commas.")
]
_SAMPLE = "embedded:us20"


@features_app.command("compute")
def _compute(
    *,
    bars: _Bars = _SAMPLE,
    wanted: _Set = "spine",
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")] = Path("features.parquet"),
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    form: _Form = "display",
    style: _Style = "intraday",
    until: _Until = None,
    timezone: _Zone = None,
    names: Annotated[
        int | None, typer.Option("--names", min=1, help="Only the first so many instruments, by id.")
    ] = None,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Compute features of bars and write them to a Parquet file."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.features import FeatureRequest, compute_features

        reading = reading_asked(extended=extended, series=series, pair=pair)
        request = FeatureRequest(wanted, bars, frame, form, until, timezone, names, reading, style)
        outcome = compute_features(request, out=out, force=force, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@features_app.command("list")
def _list(
    *,
    group: Annotated[str | None, typer.Option("--group", help="Only this group: trend, volatility ...")] = None,
    asset_class: Annotated[str | None, typer.Option("--class", help="Only those of stock, crypto or forex.")] = None,
    of_set: Annotated[str | None, typer.Option("--set", help="Only the members of a set.")] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="Instead: presets, levels and bands by class, sets by use, frames.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """List the features of the catalogue."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.feature_catalogue import list_features
        from foresail.service.feature_presets import list_presets

        outcome = list_presets() if presets else list_features(group=group, asset_class=asset_class, of_set=of_set)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@features_app.command("explain")
def _explain(
    name: Annotated[str, typer.Argument(help="A feature or an alias of one.")],
    *,
    bars: _Bars = _SAMPLE,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Its value for this instrument: AAPL, BTC.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Leave out the values.")] = False,
    as_json: _Json = False,
) -> None:
    """Tell what a feature is, how it is computed, and its last values on some bars."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.feature_catalogue import explain_feature

        outcome = explain_feature(name, values=not bare, bars=bars, symbol=symbol, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@features_app.command("plot")
def _plot(
    name: Annotated[str, typer.Argument(help="A feature or an alias of one.")],
    symbol: Annotated[str, typer.Argument(help="An instrument id, or its last part: AAPL, BTC.")],
    *,
    bars: _Bars = _SAMPLE,
    out: Annotated[Path | None, typer.Option("--out", help="SVG or HTML file; NAME-SYMBOL.html if none.")] = None,
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    form: _Form = "display",
    style: _Style = "intraday",
    until: _Until = None,
    timezone: _Zone = None,
    last: Annotated[int, typer.Option("--last", min=2, help="Show so many of the newest bars.")] = 500,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Draw a feature under the price, with its warm-up and what is missing."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.feature_plot import plot_feature
        from foresail.service.features import FeatureRequest

        reading = reading_asked(extended=extended, series=series, pair=pair)
        request = FeatureRequest(name, bars, frame, form, until, timezone, None, reading, style)
        outcome = plot_feature(request, symbol, out=out, last=last, force=force, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
