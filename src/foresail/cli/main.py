"""The ``foresail`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from foresail import __version__
from foresail.cli.bench import bench_app
from foresail.cli.contract import Progress, execute, leave_interrupted, refuse_usage
from foresail.cli.feature_health import health_command
from foresail.cli.features import features_app
from foresail.cli.forecasts import forecasts_app
from foresail.cli.holdout import holdout_app
from foresail.cli.judge import judge_command
from foresail.cli.ledger import ledger_app, rebuild_command
from foresail.cli.limits import limits_command
from foresail.cli.models import models_app, predict_command, train_command
from foresail.cli.reading import Extended, Frame, Pair, Series, reading_asked
from foresail.cli.trade import backtest_command, kill_command, paper_app, parity_command

__all__ = ["app", "main"]

app = typer.Typer(
    name="foresail",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Foresail: calibrated forecasts, honest backtests. Not financial advice; past performance guarantees nothing.",
)
_new_app = typer.Typer(no_args_is_help=True, help="Write a starting point for a plug-in.", rich_markup_mode=None)
app.add_typer(_new_app, name="new")
app.add_typer(bench_app, name="bench")
app.add_typer(features_app, name="features")
app.add_typer(holdout_app, name="holdout")
app.command("judge")(judge_command)
app.add_typer(paper_app, name="paper")
app.add_typer(ledger_app, name="ledger")
app.add_typer(models_app, name="models")
app.add_typer(forecasts_app, name="forecasts")
app.command("train")(train_command)
app.command("predict")(predict_command)
app.command("rebuild")(rebuild_command)
app.command("backtest")(backtest_command)
app.command("kill")(kill_command)
features_app.command("health")(health_command)
app.command("limits")(limits_command)
app.command("parity")(parity_command)

# The command-line library keeps its errors in a private package; a public one of them leads to their common parent.
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
_Out = Annotated[Path | None, typer.Option("--out", help="Run folder to write; an existing one needs --force.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace an existing run folder once the new one is complete.")]
_Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of everything random.")]
_Until = Annotated[
    str | None, typer.Option("--until", help="YYYY-MM-DD: use nothing available after the end of that day, UTC.")
]
_Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML, version = 1).")]
_Plugin = Annotated[Path | None, typer.Option("--plugin", help="A strategy file, fuzzed for leaks before use.")]
_Zone = Annotated[
    str | None, typer.Option("--timezone", help="Zone of times that carry none, for example America/New_York.")
]


def _version(value: bool) -> None:  # noqa: FBT001 typer's callback form
    if value:
        typer.echo(f"foresail {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Common options."""
    _ = version


def _leave(outcome: Any) -> tuple[Any, list[str], int]:
    return outcome.document, outcome.lines, outcome.exit_code


@app.command("demo")
def _demo(out: _Out = None, seed: _Seed = None, *, force: _Force = False, as_json: _Json = False) -> None:
    """Run the main job offline on real market data that ships inside installed packages."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.demo import run_demo

        return _leave(run_demo(out=out, seed=seed, force=force, progress=Progress()))

    execute(work, as_json=as_json)


@app.command("run")
def _run(
    *,
    bars: Annotated[
        str, typer.Option("--bars", help="Parquet or CSV file, folder with foresail-set.toml, or an imported name.")
    ],
    out: _Out = None,
    seed: _Seed = None,
    until: _Until = None,
    config: _Config = None,
    plugin: _Plugin = None,
    timezone: _Zone = None,
    names: Annotated[
        int | None, typer.Option("--names", min=2, help="Only the first so many instruments, by id.")
    ] = None,
    capital: Annotated[str | None, typer.Option("--capital", help="For example '100000 USD'.")] = None,
    forecaster: Annotated[
        str | None, typer.Option("--forecaster", help="How returns are forecast, for example tft.")
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", help="How each fold chooses features: default, forest, f_test, none ...")
    ] = None,
    without: Annotated[
        str | None, typer.Option("--without", help="Groups of features left out whole: sentiment,order_flow.")
    ] = None,
    horizons: Annotated[
        str | None, typer.Option("--horizons", help="Bars or spans that are forecast: 1,5 or 4h,1d,1w.")
    ] = None,
    beside: Annotated[
        str | None, typer.Option("--beside", help="Forecasters that the report compares with on the same rows: lstm.")
    ] = None,
    frame: Frame = None,
    extended: Extended = False,
    series: Series = None,
    pair: Pair = None,
    force: _Force = False,
    as_json: _Json = False,
) -> None:
    """Forecast, decide, backtest with costs, and judge."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.run import RunRequest, run_job

        request = RunRequest(
            bars=bars,
            out=out,
            seed=seed,
            until=until,
            config=config,
            plugin=plugin,
            timezone=timezone,
            names=names,
            capital=capital,
            forecaster=forecaster,
            selection=select,
            without=None if without is None else tuple(one.strip() for one in without.split(",") if one.strip()),
            horizons=horizons,
            beside=beside,
            force=force,
            reading=reading_asked(frame=frame, extended=extended, series=series, pair=pair, models=True),
        )
        return _leave(run_job(request, progress=Progress()))

    execute(work, as_json=as_json)


@app.command("verify")
def _verify(run_folder: Annotated[Path, typer.Argument(help="A finished run.")], *, as_json: _Json = False) -> None:
    """Run again from the record of a run and compare byte by byte."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.verify import verify_run

        return _leave(verify_run(run_folder, progress=Progress()))

    execute(work, as_json=as_json)


@app.command("import")
def _import(
    path: Annotated[Path, typer.Argument(help="File or folder with bars.")],
    name: Annotated[str | None, typer.Option("--name", help="Name under which the set is stored.")] = None,
    timezone: _Zone = None,
    frame: Annotated[str | None, typer.Option("--frame", help="Store bars of this coarser frame: 15m, 1h, 1d.")] = None,
    *,
    extended: Extended = False,
    describe: Annotated[bool, typer.Option("--describe", help="Only print a proposal of foresail-set.toml.")] = False,
    as_json: _Json = False,
) -> None:
    """Check bars and store them with a quality report."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.importing import describe_set, import_set

        outcome = (
            describe_set(path)
            if describe
            else import_set(path, name=name, timezone=timezone, frame=frame, extended=extended)
        )
        return _leave(outcome)

    execute(work, as_json=as_json)


@app.command("fetch")
def _fetch(
    *,
    symbols: Annotated[
        str | None, typer.Option("--symbols", help="Comma-separated US tickers: AAPL,MSFT,BRK.B")
    ] = None,
    universe: Annotated[
        str | None, typer.Option("--universe", help="nasdaq100 or sp500 (today's members: hindsight).")
    ] = None,
    source: Annotated[str, typer.Option("--source", help="The vendor; yahoo is the only one so far.")] = "yahoo",
    since: Annotated[str, typer.Option("--since", help="First day, YYYY-MM-DD.")] = "2015-01-01",
    name: Annotated[str, typer.Option("--name", help="Name of the stored set.")] = "fetched",
    as_json: _Json = False,
) -> None:
    """Fetch daily bars of US stocks and store them (needs a network and the extra 'yahoo')."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.fetching import FetchRequest, fetch_set

        request = FetchRequest(source=source, symbols=symbols, universe=universe, since=since, name=name)
        return _leave(fetch_set(request, progress=Progress()))

    execute(work, as_json=as_json)


@app.command("leaks")
def _leaks(
    file: Annotated[Path, typer.Argument(help="Python file with a feature or strategy.")],
    seed: _Seed = None,
    *,
    as_json: _Json = False,
) -> None:
    """Hunt look-ahead leaks in a feature or strategy file; exit 4 if one is found."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.judging import hunt_leaks

        return _leave(hunt_leaks(file, seed=7 if seed is None else seed))

    execute(work, as_json=as_json)


@_new_app.command("strategy")
def _new_strategy(
    name: Annotated[str, typer.Argument(help="Name of the strategy, lower snake case.")],
    *,
    frame: Annotated[str, typer.Option("--frame", help="Frame of the bars that it will see: 1d, 4h, 1h ...")] = "1d",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file of that name.")] = False,
    as_json: _Json = False,
) -> None:
    """Write NAME.py, a strategy that runs as it is."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.workspace import write_strategy

        return _leave(write_strategy(name, frame=frame, force=force))

    execute(work, as_json=as_json)


@app.command("init")
def _init(
    folder: Annotated[Path, typer.Argument(help="Folder of the workspace.")] = Path(), *, as_json: _Json = False
) -> None:
    """Make a folder a workspace: foresail.toml, store/, runs/."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.workspace import init_workspace

        return _leave(init_workspace(folder))

    execute(work, as_json=as_json)


@app.command("warm")
def _warm(*, as_json: _Json = False) -> None:
    """Compile the kernels now, so that no later command has to."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.workspace import warm_kernels

        return _leave(warm_kernels(progress=Progress()))

    execute(work, as_json=as_json)


@app.command("doctor")
def _doctor(*, as_json: _Json = False) -> None:
    """Say what this installation can do, what is missing and how to get it."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.workspace import examine

        return _leave(examine())

    execute(work, as_json=as_json)


def main() -> None:
    """Run the ``foresail`` command: the one place that turns a wrong command line into the common contract."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = app(standalone_mode=False)
    except _USAGE_ERROR as e:
        e.show()
        refuse_usage(e.format_message(), as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        leave_interrupted(as_json=as_json)
    raise SystemExit(code if isinstance(code, int) else 0)
