"""Speed of the feature engine against TA-Lib: the same indicators, the same data, both sides in turn.

Every repetition draws fresh random prices, since code that branches on data learns a repeated input. Batch figures take
the better of two runs of each repetition, on both sides; figures are medians; ratios are taken repetition by
repetition. TA-Lib and vectorbt are tools of the bench, no part of an installation: where one is absent its rows say so.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foresail.core.clock import SystemClock
from foresail.core.seeds import generator
from foresail.features.batch import compute_many
from foresail.features.catalogue import CATALOGUE, expand
from foresail.features.context import FeatureContext
from foresail.features.declared.sets import SETS
from foresail.features.kernels.build import warm
from foresail.features.live import LiveDriver
from foresail.features.plan import make_plan, nodes_of
from foresail.features.runner import field_positions, fresh_memory, run
from foresail.service.bench_indicators import INDICATORS, plan_of, random_bars, random_panel, talib_matrix
from foresail.service.outcome import Outcome

__all__ = ["BenchFeaturesRequest", "bench_features"]

_CLOCK = SystemClock()
_FIELDS = ("open", "high", "low", "close", "volume")
_TAIL = 250
_MEMORY_LIMIT = 1.25  # peak over input + output


@dataclass(frozen=True, slots=True)
class BenchFeaturesRequest:
    """What to measure.

    Attributes
    ----------
    instruments, bars : size of the panel
    repetitions : of the batch pair; live pairs take ten times as many bars
    threads : of our side; TA-Lib's wrapper runs on one
    """

    instruments: int = 1453
    bars: int = 2520
    repetitions: int = 3
    threads: int = 2
    seed: int = 0


def bench_features(request: BenchFeaturesRequest) -> Outcome:
    """Measure batch, live and six-frame speed and peak memory, and judge them against their targets.

    Returns
    -------
    Outcome with one row per figure: name, value, unit, target, met; exit code 0 whatever the figures are
    """
    warm()
    talib = _talib()
    rows: list[dict[str, Any]] = []
    for part in (_batch, _live, _set_live, _age, _frames, _memory):
        rows += part(request, talib)
    document = {
        "benchmark": "features",
        "rows": rows,
        "missed": [row["name"] for row in rows if row["met"] is False],
        "settings": {name: getattr(request, name) for name in BenchFeaturesRequest.__dataclass_fields__},
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        "versions": {name: _version(name) for name in ("numpy", "numba", "TA-Lib", "vectorbt")},
    }
    lines = [f"{'figure':<44}{'value':>12} {'unit':<8}{'target':>10}  met"]
    lines += [f"{r['name']:<44}{_number(r['value']):>12} {r['unit']:<8}{r['target']:>10}  {_word(r)}" for r in rows]
    return Outcome(document, lines)


def _row(name: str, value: float | None, unit: str, target: str = "", *, met: bool | None = None) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met}


def _number(value: float | None) -> str:
    return "absent" if value is None else f"{value:.4g}"


def _word(row: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "-"}[row["met"]]


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _talib() -> Any:
    try:
        return importlib.import_module("talib")
    except ImportError:
        return None


def _timed(action: Callable[..., object], *args: Any, **settings: Any) -> float:
    began = _CLOCK.monotonic_s()
    action(*args, **settings)
    return _CLOCK.monotonic_s() - began


def _best(action: Callable[[], object]) -> float:
    """Return the better of two runs: a shared machine takes time away now and then, from either side alike."""
    return min(_timed(action), _timed(action))


def _both(action: Callable[[], object]) -> tuple[float, float]:
    """Return wall seconds and processor seconds, each the better of two runs."""
    runs = []
    for _ in range(2):
        spent = time.process_time()
        wall = _timed(action)
        runs.append((wall, time.process_time() - spent))
    return min(wall for wall, _ in runs), min(spent for _, spent in runs)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _nothing(n: int, t: int) -> FeatureContext:
    return FeatureContext(
        np.full(n, -1, dtype=np.int64), calendar=np.empty((0, t)), calendar_names=(), given=np.empty((n, t, 0))
    )


def _batch(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Compare all shared outputs of a whole panel; both sides fill a (N, T, F) float64 matrix."""
    n, t = request.instruments, request.bars
    plan, positions = plan_of(INDICATORS), field_positions(_FIELDS)
    ours: list[tuple[float, float]] = []
    gappy: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for repetition in range(request.repetitions + 1):
        if repetition == 1:
            for kept in (ours, gappy, theirs):
                kept.clear()  # the first round touches fresh memory
        rng = generator(request.seed, "bench features", repetition)
        values = random_bars(rng, n, t)
        here = np.ones((n, t), dtype=np.bool_)
        full = (plan, (positions, values, here), _nothing(n, t))
        ours.append(_both(partial(run, *full, threads=request.threads)))
        if talib is not None:
            theirs.append(_both(partial(talib_matrix, talib, values)))
        holes = rng.random((n, t)) > 0.02
        gaps = (plan, (positions, values, holes), _nothing(n, t))
        gappy.append(_both(partial(run, *gaps, threads=request.threads)))
    count = len(INDICATORS)
    each = 1e9 / (n * t * count)
    wall, spent = (_median([one[side] for one in ours]) for side in (0, 1))
    pairs = list(zip(ours, theirs, strict=True)) if theirs else []
    ratio, effort = (_median([b[side] / a[side] for a, b in pairs]) if pairs else None for side in (0, 1))
    return [
        _row(f"batch, {count} outputs", wall * 1e3, "ms"),
        _row("batch, per output and bar", wall * each, "ns"),
        _row("batch, processor time", spent * 1e3, "ms"),
        _row("batch, 2 % of bars absent at random", _median([one[0] for one in gappy]) * 1e3, "ms"),
        _row("batch, TA-Lib and matrix", _median([one[0] for one in theirs]) * 1e3 if theirs else None, "ms"),
        _row("batch, TA-Lib / ours", ratio, "x", ">= 2", met=None if ratio is None else ratio >= 2.0),
        _row("batch, TA-Lib / ours, processor time", effort, "x"),
        _against_vectorbt(values, wall / count),
    ]


def _against_vectorbt(values: np.ndarray, ours: float) -> dict[str, Any]:
    """Compare seconds an output with vectorbt's own indicators (compiled by Numba, one DataFrame a field)."""
    name, target = "batch, vectorbt / ours, per output", ">= 10"
    try:
        vectorbt = importlib.import_module("vectorbt")
    except ImportError:
        return _row(name, None, "x", target)
    import pandas as pd

    high, low, close, volume = (pd.DataFrame(np.ascontiguousarray(values[:, :, j].T)) for j in (1, 2, 3, 4))
    calls: list[tuple[int, Callable[[], object]]] = [
        (1, lambda: vectorbt.MA.run(close, 20).ma),
        (1, lambda: vectorbt.MSTD.run(close, 20).mstd),
        (3, lambda: vectorbt.BBANDS.run(close, 20).upper),
        (1, lambda: vectorbt.RSI.run(close, 14).rsi),
        (2, lambda: vectorbt.STOCH.run(high, low, close, 14).percent_d),
        (2, lambda: vectorbt.MACD.run(close, 12, 26, 9).signal),
        (2, lambda: vectorbt.ATR.run(high, low, close, 14).atr),
        (1, lambda: vectorbt.OBV.run(close, volume).obv),
    ]
    for _, call in calls:
        call()  # compiles
    theirs = sum(_best(call) for _, call in calls) / sum(outputs for outputs, _ in calls)
    ratio = theirs / ours
    return _row(name, ratio, "x", target, met=ratio >= 10.0)


def _hundred() -> list[tuple[str, Any, Any]]:
    """Return 100 recursive and rolling outputs: the shared ones and more windows of the same."""
    from foresail.service.bench_indicators import more_windows

    return [*INDICATORS, *more_windows(100 - len(INDICATORS))]


def _live(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Compare one new bar of all instruments with TA-Lib on tails of the shared outputs."""
    n, steps = request.instruments, 10 * request.repetitions
    plan, positions = plan_of(_hundred()), field_positions(_FIELDS)
    values = random_bars(generator(request.seed, "bench features", 91), n, _TAIL + 10 + steps)
    memory = fresh_memory(plan, n)
    start = _TAIL + 10
    here = np.ones((n, start), dtype=np.bool_)
    run(plan, (positions, np.ascontiguousarray(values[:, :start]), here), _nothing(n, start), memory=memory)
    one, context = np.ones((n, 1), dtype=np.bool_), _nothing(n, 1)
    ours: list[float] = []
    theirs: list[float] = []
    for i in range(start, start + steps):
        bar = np.ascontiguousarray(values[:, i : i + 1])
        ours.append(_timed(run, plan, (positions, bar, one), context, memory=memory, threads=request.threads))
        if talib is not None and i % 5 == 0:
            tail = np.ascontiguousarray(values[:, i - _TAIL + 1 : i + 1])
            theirs.append(_timed(talib_matrix, talib, tail))
    taken = _median(ours)
    ratio = _median(theirs) / taken if theirs else None
    return [
        _row("live, one bar, 100 features", taken * 1e3, "ms", "< 1", met=taken < 1e-3),
        _row(f"live, TA-Lib on tails, {len(INDICATORS)} outputs", _median(theirs) * 1e3 if theirs else None, "ms"),
        _row("live, TA-Lib / ours", ratio, "x", ">= 200", met=None if ratio is None else ratio >= 200.0),
    ]


def _chosen() -> tuple[str, tuple[str, ...]]:
    """Return the set to measure: scan100, or the default set where the catalogue has no scan100."""
    name = "scan100" if "scan100" in SETS else "spine"
    return name, tuple(spec.name for spec in expand(name))


def _context_of(panel: Any, names: Sequence[str], rng: np.random.Generator) -> FeatureContext:
    """Return a context with random reference and given series for everything that the names read."""
    plan = make_plan([CATALOGUE[name].expression for name in names])
    n, t, _ = panel.shape
    references = sorted({series.name for series in plan.series if series.kind == "reference"})
    walks = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (len(references), t)), axis=1))
    sectors = [f"s{i % 11}" for i in range(n)]
    context = FeatureContext.of(panel, sectors=sectors, reference_names=references, reference=walks)
    series = {node.name for name in names for node in nodes_of(CATALOGUE[name].expression) if node.op == "given"}
    given = rng.normal(size=(n, t, len(series)))
    return FeatureContext(
        context.sector_codes,
        context.reference_names,
        context.reference,
        context.calendar,
        tuple(sorted(series)),
        given,
        context.calendar_names,
    )


def _set_live(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Measure the public live driver on a whole named set."""
    name, names = _chosen()
    rng = generator(request.seed, "bench features", 92)
    steps = 10 * request.repetitions
    panel = random_panel(rng, request.instruments, 20 + steps)
    context = _context_of(panel, names, rng)
    driver = LiveDriver(panel.instruments, names, context, panel.fields, threads=request.threads)
    here = np.ones(request.instruments, dtype=np.bool_)
    taken = []
    for i in range(20 + steps):
        bar, row = np.ascontiguousarray(panel.values[:, i]), context.row(i)
        taken.append(_timed(driver.update, bar, here, row))
    value = _median(taken[20:])
    return [_row(f"live, one bar, {name} ({len(names)})", value * 1e3, "ms", "< 3", met=value < 3e-3)]


def _age(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Measure one bar of 64 instruments after 1,000 and after 100,000 bars."""
    plan, positions = plan_of(_hundred()), field_positions(_FIELDS)
    memory = fresh_memory(plan, 64)
    rng = generator(request.seed, "bench features", 93)

    def feed(times: int) -> None:
        values = random_bars(rng, 64, times)
        run(plan, (positions, values, np.ones((64, times), dtype=np.bool_)), _nothing(64, times), memory=memory)

    def sample() -> float:
        one, context = np.ones((64, 1), dtype=np.bool_), _nothing(64, 1)
        bars = [random_bars(rng, 64, 1) for _ in range(300)]
        return _median([_timed(run, plan, (positions, bar, one), context, memory=memory) for bar in bars])

    feed(1000)
    young = sample()
    for _ in range(99):
        feed(1000)
    old = sample()
    ratio = old / young
    return [_row("live, bar 100,000 / bar 1,000", ratio, "x", "<= 1.1", met=ratio <= 1.1)]


def _frames(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Measure the set on six frames for 50 instruments of 300 bars each, as a scan asks for it."""
    name, names = _chosen()
    taken = []
    for repetition in range(request.repetitions + 1):
        rng = generator(request.seed, "bench features", 94, repetition)
        panels = [random_panel(rng, 50, 300) for _ in range(6)]
        contexts = [_context_of(panel, names, rng) for panel in panels]

        def scan(panels: Any = panels, contexts: Any = contexts) -> None:
            jobs = [(panel, names, context) for panel, context in zip(panels, contexts, strict=True)]
            compute_many(jobs, threads=request.threads)

        taken.append(_timed(scan))
    value = _median(taken[1:])
    return [_row(f"six frames, 50 x 300, {name}", value * 1e3, "ms", "< 150", met=value < 0.15)]


_PEAK = """
import sys
import numpy as np
from foresail.features.kernels.build import warm
from foresail.features.runner import field_positions, run
from foresail.service.bench_features import _FIELDS, _nothing
from foresail.service.bench_indicators import INDICATORS, plan_of
def held(key):  # not ru_maxrss, which a child inherits from its parent
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
n, t, threads = (int(x) for x in sys.argv[1:])
warm()
plan, positions = plan_of(INDICATORS), field_positions(_FIELDS)
before = held("VmRSS")
values, here = np.full((n, t, 5), 100.0), np.ones((n, t), dtype=np.bool_)
out = run(plan, (positions, values, here), _nothing(n, t), threads=threads)
peak = held("VmHWM") - before
sys.stdout.write(str(peak / (values.nbytes + here.nbytes + out.nbytes)))
"""


def _memory(request: BenchFeaturesRequest, talib: Any) -> list[dict[str, Any]]:
    """Measure peak memory of the batch job in a process of its own, above what it used before its input."""
    command = [sys.executable, "-c", _PEAK, *(str(x) for x in (request.instruments, request.bars, request.threads))]
    if not sys.platform.startswith("linux"):
        return [_row("batch, peak memory / (input + output)", None, "x", "<= 1.25")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 this interpreter
    ratio = float(done.stdout)
    return [_row("batch, peak memory / (input + output)", ratio, "x", "<= 1.25", met=ratio <= _MEMORY_LIMIT)]
