"""``foresail bench``: benchmarks with a fixed protocol, a table, and the hash of every forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute

__all__ = ["bench_app"]

bench_app = typer.Typer(no_args_is_help=True, help="Benchmarks with a fixed protocol.", rich_markup_mode=None)


@bench_app.callback()
def _group() -> None:
    """Benchmarks with a fixed protocol."""


@bench_app.command("volatility")
def _volatility(
    *,
    data: Annotated[Path, typer.Option("--data", help="Parquet or CSV with ts, symbol, r (percent), rv (percent²).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for results.json, table.csv, report.html, forecasts.")],
    entrants: Annotated[str | None, typer.Option("--entrants", help="Comma-separated names; left out: all.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Choose the network's settings anew, by twelve trials on 2016-17 only.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")] = 0,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Fits that the network is the mean of; left out: 3, on a GPU 5."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="That networks are trained on: cpu, cuda or auto.")] = "cpu",
    release: Annotated[
        str, typer.Option("--release", help="Name under which a look at the test years is recorded.")
    ] = "baselines",
    another_look: Annotated[
        bool, typer.Option("--another-look", help="Look at the test years again with other forecasts; it is counted.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Forecast the realised variance of 31 indices five days ahead, and compare the baselines."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.volatility import VolatilityRequest, bench_volatility

        names = None if entrants is None else tuple(name.strip() for name in entrants.split(",") if name.strip())
        request = VolatilityRequest(
            data=data,
            out=out,
            entrants=names,
            tune=tune,
            seed=seed,
            seeds=seeds,
            device=device,
            release=release,
            another_look=another_look,
            force=force,
        )
        outcome = bench_volatility(request, progress=Progress())
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@bench_app.command("features")
def _features(
    *,
    instruments: Annotated[int, typer.Option("--instruments", min=1, help="Instruments of the panel.")] = 1453,
    bars: Annotated[int, typer.Option("--bars", min=2, help="Bars of each instrument.")] = 2520,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Rounds; each draws new data.")] = 3,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of the batch job.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random bars.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Time the feature engine in batch and live against TA-Lib, and its peak memory."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.bench_features import BenchFeaturesRequest, bench_features

        request = BenchFeaturesRequest(
            instruments=instruments, bars=bars, repetitions=repetitions, threads=threads, seed=seed
        )
        outcome = bench_features(request)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@bench_app.command("backtest")
def _backtest(
    *,
    bars: Annotated[int, typer.Option("--bars", min=10, help="Minute bars of the single instrument.")] = 1_000_000,
    instruments: Annotated[int, typer.Option("--instruments", min=1, help="Instruments of the portfolio.")] = 500,
    days: Annotated[int, typer.Option("--days", min=10, help="Bars of the portfolio.")] = 2520,
    sweep_bars: Annotated[
        int, typer.Option("--sweep-bars", min=10, help="Bars of the sweep of 1,000 parameters.")
    ] = 100_000,
    event_bars: Annotated[int, typer.Option("--event-bars", min=10, help="Bars of the event engine.")] = 100_000,
    orders: Annotated[int, typer.Option("--orders", min=10, help="Orders of the event engine.")] = 5_000,
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Rounds; each draws new data.")] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random data.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Time the compiled sweep against vectorbt, its scaling, and the event engine."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.bench_backtest import BenchBacktestRequest, bench_backtest

        request = BenchBacktestRequest(
            bars=bars,
            instruments=instruments,
            days=days,
            sweep_bars=sweep_bars,
            event_bars=event_bars,
            orders=orders,
            repetitions=repetitions,
            seed=seed,
        )
        outcome = bench_backtest(request)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@bench_app.command("forecasting")
def _forecasting(
    *,
    widths: Annotated[str, typer.Option("--widths", help="Comma-separated widths of the networks.")] = "32,64,128",
    repetitions: Annotated[int, typer.Option("--repetitions", min=1, help="Rounds of a comparison.")] = 3,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of PyTorch in training and loading.")] = 1,
    instruments: Annotated[int, typer.Option("--instruments", min=2, help="That are served and loaded from.")] = 500,
    quick: Annotated[bool, typer.Option("--quick", help="Width 32, one round, 50 instruments.")] = False,
    device: Annotated[
        str, typer.Option("--device", help="Of training and serving: cpu, cuda or auto. Peers stay on the CPU.")
    ] = "cpu",
    wide: Annotated[
        bool, typer.Option("--wide", help="Serve width 256 with 8 heads without an accelerator, too.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random data.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Time our Temporal Fusion Transformer against pytorch-forecasting's and neuralforecast's."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.bench_forecasting import BenchForecastingRequest, bench_forecasting, widths_of

        request = (
            BenchForecastingRequest((32,), 1, threads, 50, seed, device, wide)
            if quick
            else BenchForecastingRequest(widths_of(widths), repetitions, threads, instruments, seed, device, wide)
        )
        outcome = bench_forecasting(request)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
