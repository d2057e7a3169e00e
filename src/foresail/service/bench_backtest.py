"""Speed of backtests: the compiled sweep against vectorbt, its scaling, and the event engine with a plain strategy.

Both sides get the same random data, drawn anew for every round, and run in turn in one process; ratios are taken round
by round, of processor time, so that a busy machine harms both alike; wall time stands beside. vectorbt is a tool of
the bench, no part of an installation: where it is absent its rows say how to install it. Every row says what the
figure is for, and where a peer does more a bar, what.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.clock import SystemClock
from foresail.core.errors import ConfigError
from foresail.core.seeds import generator
from foresail.engine.sweep import simulate, sweep
from foresail.engine.sweep_inputs import Signals, SweepBars, SweepRule, TradeLog
from foresail.engine.sweep_weights import WeightRule, simulate_weights
from foresail.service.bench_events import event_rows
from foresail.service.outcome import Outcome

__all__ = ["BenchBacktestRequest", "bench_backtest"]

_CLOCK = SystemClock()
_STOP, _TARGET, _FEE, _SLIPPAGE = 0.005, 0.01, 0.001, 0.0005
_CAPITAL = 1e6
_LOT_LIKE = 1e-6  # so small that whole lots are the fractions
_PEER = "pip install vectorbt"
_MORE_SIGNALS = (
    "vectorbt keeps cash, debt and free cash, can pyramid, trail a stop and take size, price and fees of each bar from "
    "arrays, writes a record for each order and wraps arrays in pandas; neither side checks bars here"
)
_MORE_WEIGHTS = "vectorbt keeps debt and free cash, can log and reject every order, and writes 56 bytes an order"


@dataclass(frozen=True, slots=True)
class BenchBacktestRequest:
    """What to measure.

    Attributes
    ----------
    bars : minute bars of the single instrument
    instruments, days : size of the portfolio
    sweep_bars : bars of the sweep of 1,000 parameters
    event_bars, orders : of the event engine
    repetitions : rounds; each draws new data
    """

    bars: int = 1_000_000
    instruments: int = 500
    days: int = 2520
    sweep_bars: int = 100_000
    event_bars: int = 100_000
    orders: int = 5_000
    repetitions: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in BenchBacktestRequest.__dataclass_fields__:
            least = 0 if name == "seed" else 1 if name in ("instruments", "repetitions") else 10
            if getattr(self, name) < least:
                raise ConfigError(f"expected {name} >= {least}, received {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds of processor and of wall."""

    worked: float
    passed: float


def bench_backtest(request: BenchBacktestRequest) -> Outcome:
    """Measure sweeps and the event engine, and judge them against their targets.

    Returns
    -------
    Outcome with one row per figure: name, value, unit, target, met, note; exit code 0 whatever the figures are
    """
    peer = _peer()
    rows: list[dict[str, Any]] = []
    for part in (_signals, _weights):
        rows += part(request, peer)
    rows += _scaling(request)
    rows += [_row(*one) for one in event_rows(request.event_bars, request.orders, request.seed)]
    document = {
        "benchmark": "backtest",
        "rows": rows,
        "missed": [row["name"] for row in rows if row["met"] is False],
        "settings": {name: getattr(request, name) for name in BenchBacktestRequest.__dataclass_fields__},
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "system": platform.system(),
            "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        },
        "versions": {name: _version(name) for name in ("numpy", "numba", "vectorbt")},
    }
    lines = [f"{'figure':<58}{'value':>12} {'unit':<10}{'target':>10}  met"]
    lines += [f"{r['name']:<58}{_number(r['value']):>12} {r['unit']:<10}{r['target']:>10}  {_word(r)}" for r in rows]
    lines += ["", *(f"{row['name']}: {row['note']}" for row in rows if row["note"])]
    return Outcome(document, lines)


def _row(name: str, value: float | None, unit: str, target: float | None = None, note: str = "") -> dict[str, Any]:
    met = None if target is None or value is None else value >= target
    shown = "" if target is None else f">= {target:g}"
    return {"name": name, "value": value, "unit": unit, "target": shown, "met": met, "note": note}


def _number(value: float | None) -> str:
    return "skipped" if value is None else f"{value:.4g}"


def _word(row: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "-"}[row["met"]]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _peer() -> Any:
    try:
        return importlib.import_module("vectorbt")
    except ImportError:
        return None


def _timed(action: Callable[[], object], times: int = 3) -> _Time:
    """Return the best of some runs, with the collection of garbage done before."""
    gc.collect()
    found = []
    for _ in range(times):
        began, worked = _CLOCK.monotonic_s(), time.process_time()
        action()
        found.append(_Time(time.process_time() - worked, _CLOCK.monotonic_s() - began))
    return min(found, key=lambda one: one.worked)


def _median(values: list[float]) -> float:
    return float(np.median(values))


# -- one instrument, signals given ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Minutes:
    """Columns of one instrument and signals on both sides."""

    columns: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    flags: tuple[BoolArray, BoolArray, BoolArray, BoolArray]

    def run(self, bars: SweepBars, fill: str) -> TradeLog:
        """Return the trades on bars that were checked before."""
        return simulate(
            bars, Signals(*self.flags), SweepRule(stop=_STOP, target=_TARGET, fee=_FEE, units=1.0, fill=fill)
        )

    def checked(self) -> TradeLog:
        """Return the trades from raw columns, which are checked and widened first."""
        return self.run(SweepBars.of_columns(*self.columns), "same_close")

    def theirs(self, peer: Any) -> Any:
        """Return vectorbt's portfolio."""
        opened, high, low, close = self.columns
        return peer.Portfolio.from_signals(
            close, *self.flags, open=opened, high=high, low=low, sl_stop=_STOP, tp_stop=_TARGET, fees=_FEE,
            size=1.0, init_cash=1e9,
        )  # fmt: skip


def _minutes(rng: np.random.Generator, bars: int) -> _Minutes:
    """Return a random walk of minutes with small gaps, and random signals: an entry a hundred bars on each side."""
    close = 100.0 * np.exp(np.cumsum(0.0005 * rng.standard_normal(bars)))
    opened = np.append(close[0], close[:-1]) * np.exp(0.0001 * rng.standard_normal(bars))
    high = np.maximum(opened, close) * np.exp(0.0003 * np.abs(rng.standard_normal(bars)))
    low = np.minimum(opened, close) * np.exp(-0.0003 * np.abs(rng.standard_normal(bars)))
    first, second, third, fourth = (rng.random(bars) < share for share in (0.01, 0.005, 0.01, 0.005))
    return _Minutes((opened, high, low, close), (first, second, third, fourth))


def _signals(request: BenchBacktestRequest, peer: Any) -> list[dict[str, Any]]:
    ours: list[_Time] = []
    house: list[_Time] = []
    ready: list[_Time] = []
    theirs: list[_Time] = []
    data = _minutes(generator(request.seed, "bench backtest", 0), 1000)
    data.checked()  # compiled before anything is timed
    for repetition in range(request.repetitions):
        data = _minutes(generator(request.seed, "bench backtest", repetition + 1), request.bars)
        if peer is not None:
            if repetition == 0:
                data.theirs(peer)
            theirs.append(_timed(partial(data.theirs, peer)))
        bars = SweepBars.of_columns(*data.columns)
        ready.append(_timed(partial(data.run, bars, "same_close")))
        house.append(_timed(partial(data.run, bars, "next_open")))
        ours.append(_timed(data.checked))
    size = f"{request.bars:,} bars"
    rows = [
        _row(f"signals, {size}", request.bars / _worked(ready) / 1e6, "M bars/s"),
        _row("signals, at the next open (the rule of the house)", request.bars / _worked(house) / 1e6, "M bars/s"),
        _row("signals, bars checked besides", request.bars / _worked(ours) / 1e6, "M bars/s"),
    ]
    name = "signals, vectorbt from_signals / ours"
    if peer is None:
        return [*rows, _row(name, None, "x", 15.0, f"skipped: {_PEER}")]
    ratio, wall = _ratios(ready, theirs)
    checked, _ = _ratios(ours, theirs)
    equal, count = _equal_trades(data, peer)
    return [
        *rows,
        _row("signals, vectorbt from_signals", request.bars / _worked(theirs) / 1e6, "M bars/s"),
        _row(name, ratio, "x", 15.0, _MORE_SIGNALS),
        _row(f"{name}, wall", wall, "x"),
        _row(f"{name}, bars checked besides", checked, "x"),
        _row("signals, trades of vectorbt", count, ""),
        _row("signals, share of them equal in bars, prices, fees", equal, "", 0.9999),
    ]


def _ratios(ours: list[_Time], theirs: list[_Time]) -> tuple[float, float]:
    """Return the medians of the rounds' ratios: of processor time, of wall time."""
    pairs = list(zip(ours, theirs, strict=True))
    return _median([b.worked / a.worked for a, b in pairs]), _median([b.passed / a.passed for a, b in pairs])


def _worked(times: list[_Time]) -> float:
    return _median([one.worked for one in times])


def _equal_trades(data: _Minutes, peer: Any) -> tuple[float, float]:
    """Return the share of trades that both sides have alike, and how many vectorbt has."""
    log = data.checked()
    records = data.theirs(peer).exit_trades.values
    done = int((log.exit_bar >= 0).sum())
    records = records[records["status"] == 1]
    if done != len(records):
        return 0.0, float(len(records))
    pairs = (
        (log.entry_bar, "entry_idx"),
        (log.exit_bar, "exit_idx"),
        (log.entry_price, "entry_price"),
        (log.exit_price, "exit_price"),
        (log.fees, "entry_fees"),
    )
    equal = np.ones(done, dtype=np.bool_)
    for mine, column in pairs:
        other = records[column] + records["exit_fees"] if column == "entry_fees" else records[column]
        equal &= np.isclose(mine[:done], other, rtol=1e-12, atol=0.0)
    return float(equal.mean()), float(len(records))


# -- many instruments, target weights ---------------------------------------------------------------------------------


def _weights(request: BenchBacktestRequest, peer: Any) -> list[dict[str, Any]]:
    ours: list[_Time] = []
    lots: list[_Time] = []
    theirs: list[_Time] = []
    whole: list[_Time] = []
    their_whole: list[_Time] = []
    rule = WeightRule(_CAPITAL, _FEE, _SLIPPAGE, "same_close")
    fine = WeightRule(_CAPITAL, _FEE, _SLIPPAGE, "same_close", tick=_LOT_LIKE, lot=_LOT_LIKE, minor_unit=1e-9)
    apart = traded_apart = 0.0
    for repetition in range(request.repetitions + 1):  # the first compiles
        rng = generator(request.seed, "bench portfolio", repetition)
        close, weights = _long_short(rng, request)
        if peer is not None:
            theirs.append(_timed(partial(_from_orders, peer, close, weights)))
        ours.append(_timed(partial(simulate_weights, close.T, weights.T, rule)))
        lots.append(_timed(partial(simulate_weights, close.T, weights.T, fine)))
        run, exact = simulate_weights(close.T, weights.T, rule), simulate_weights(close.T, weights.T, fine)
        traded_apart = max(traded_apart, float(np.abs(run.equity / exact.equity - 1.0).max()))
        if peer is not None:
            longs = np.abs(weights)
            whole.append(_timed(partial(simulate_weights, close.T, longs.T, rule)))
            their_whole.append(_timed(partial(_from_orders, peer, close, longs)))
            equity = np.asarray(_from_orders(peer, close, weights).value()).ravel()
            apart = max(apart, float(np.abs(run.equity / equity - 1.0).max()))
    cells = request.instruments * request.days
    size = f"{request.instruments} x {request.days}"
    name = "weights, vectorbt from_orders / ours"
    rows = [
        _row(f"weights, {size}, long and short", _worked(ours[1:]) * 1e3, "ms"),
        _row("weights, cells", cells / _worked(ours[1:]) / 1e6, "M/s"),
        _row("weights, on ticks and lots", _worked(lots[1:]) * 1e3, "ms"),
        _row("weights, lots of 1e-6: largest difference of equity", traded_apart, "relative"),
    ]
    if peer is None:
        return [*rows, _row(name, None, "x", 25.0, f"skipped: {_PEER}")]
    ratio, wall = _ratios(ours[1:], theirs[1:])
    long_ratio, _ = _ratios(whole[1:], their_whole[1:])
    same = _row("weights, largest difference of equity to vectorbt", apart, "relative")
    same |= {"target": "<= 1e-12", "met": apart <= 1e-12}
    return [
        *rows,
        _row("weights, vectorbt from_orders", _worked(theirs[1:]) * 1e3, "ms"),
        _row(name, ratio, "x", 25.0, _MORE_WEIGHTS),
        _row(f"{name}, wall", wall, "x"),
        _row(f"{name}, long only, all cash in use", long_ratio, "x"),
        same,
    ]


def _long_short(rng: np.random.Generator, request: BenchBacktestRequest) -> tuple[FloatArray, FloatArray]:
    """Return closes and weights (T, N): every day a twentieth of each side's weight moves on; gross 1, net 0."""
    shape = request.days, request.instruments
    close = 50.0 * np.exp(np.cumsum(0.0002 + 0.02 * rng.standard_normal(shape), axis=0))
    scores = np.cumsum(rng.standard_normal((request.days + 20, request.instruments)), axis=0)
    scores = scores[20:] - scores[:-20]
    scores -= scores.mean(axis=1, keepdims=True)
    return close, scores / np.abs(scores).sum(axis=1, keepdims=True)


def _from_orders(peer: Any, close: FloatArray, weights: FloatArray) -> Any:
    return peer.Portfolio.from_orders(
        close, size=weights, size_type="targetpercent", group_by=True, cash_sharing=True, call_seq="auto",
        fees=_FEE, slippage=_SLIPPAGE, init_cash=_CAPITAL,
    )  # fmt: skip


# -- a thousand parameters --------------------------------------------------------------------------------------------


def _crossings(close: FloatArray) -> Callable[..., Signals]:
    """Return the signals of crossings of two means, long above, short below; sums serve all combinations."""
    sums = np.concatenate(([0.0], np.cumsum(close)))

    def cross(bars: SweepBars, *, fast: int, slow: int) -> Signals:
        above = np.zeros(len(bars), dtype=np.bool_)
        quick = (sums[slow:] - sums[slow - fast : -fast]) / fast
        above[slow - 1 :] = quick > (sums[slow:] - sums[:-slow]) / slow
        turned = np.zeros(len(bars), dtype=np.bool_)
        turned[slow:] = above[slow:] != above[slow - 1 : -1]
        return Signals(long_entry=turned & above, short_entry=turned & ~above)

    return cross


def _scaling(request: BenchBacktestRequest) -> list[dict[str, Any]]:
    """Sweep 1,000 combinations on one thread and on two."""
    data = _minutes(generator(request.seed, "bench sweep"), request.sweep_bars)
    bars = SweepBars.of_columns(*data.columns)
    grid = {
        "fast": range(5, 15),
        "slow": range(20, 120, 10),
        "stop": (0.0, 0.004, 0.006, 0.008, 0.01),
        "target": (0.0, 0.01),
    }
    rule = SweepRule(units=1.0, fee=_FEE)
    cross = _crossings(bars.close)
    sweep(bars, cross, {"fast": (5,), "slow": (20,)}, rule=rule)
    one: list[_Time] = []
    two: list[_Time] = []
    for _ in range(request.repetitions + 1):
        one.append(_timed(lambda: sweep(bars, cross, grid, rule=rule, threads=1), times=1))
        two.append(_timed(lambda: sweep(bars, cross, grid, rule=rule, threads=2), times=1))
    wall = max(a.passed / b.passed for a, b in zip(one, two, strict=True))
    extra = _median([b.worked / a.worked for a, b in zip(one, two, strict=True)])
    name = f"sweep, 1,000 parameters x {request.sweep_bars:,} bars"
    return [
        _row(f"{name}, 1 thread", min(a.passed for a in one), "s"),
        _row(f"{name}, 2 threads", min(b.passed for b in two), "s"),
        _row("sweep, 1 thread / 2 threads, wall, best round", wall, "x", 1.8, "needs two cores that do nothing else"),
        _row("sweep, processor time of 2 threads / of 1", extra, "x"),
        _row("sweep, bars and parameters", 1000 * request.sweep_bars / _worked(one) / 1e6, "M/s"),
    ]
