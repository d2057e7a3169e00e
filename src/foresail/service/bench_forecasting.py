"""Speed of our Temporal Fusion Transformer against the two that users would take instead: training, serving, loading.

All sides see equal inputs (64 reals of which 8 are known ahead, 3 statics, context 60, horizon 5, 7 quantiles, 4
heads), run in one process, in turn; ratios are taken round by round and are of processor time, so that other work on
the machine harms no side; wall time stands beside. A training step is forward, loss and backward of 256 forecast
origins. A peer that is absent has a line that says how to install it.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foresail.core.clock import SystemClock
from foresail.core.errors import ConfigError
from foresail.core.seeds import generator
from foresail.service.bench_peers import Shape, forecasting_frame, forecasting_model, installed, neural_step, quiet
from foresail.service.outcome import Outcome

__all__ = ["BenchForecastingRequest", "bench_forecasting", "widths_of"]

_CLOCK = SystemClock()
_BATCH, _WINDOWS = 256, 8
_SERVING_THREADS = 2  # the target is one of two cores
_SERVED_BATCH, _WITHIN_MS, _UPDATES = 20, 50.0, 100  # SERVE-02, SERVE-03, and how many bars its 99 % is read off
_TRAINING = {"pytorch-forecasting": 10.0, "neuralforecast": 30.0}
_PEERS = {"pytorch-forecasting": "pytorch_forecasting", "neuralforecast": "neuralforecast"}
_HOW = "pip install --target peers --no-deps {} (and what it asks for, without torch); PYTHONPATH=peers"


@dataclass(frozen=True, slots=True)
class BenchForecastingRequest:
    """What to measure.

    Attributes
    ----------
    widths : of the networks
    repetitions : rounds of a comparison
    threads : of PyTorch, on all sides; serving always has two
    instruments : that are served and loaded from
    """

    widths: tuple[int, ...] = (32, 64, 128)
    repetitions: int = 3
    threads: int = 1
    instruments: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.widths or any(width % 16 or width < 16 for width in self.widths):
            raise ConfigError(f"expected widths that are multiples of 16, received {self.widths}")
        for name in ("repetitions", "threads", "instruments"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} >= 1, received {getattr(self, name)}")


def widths_of(text: str) -> tuple[int, ...]:
    """Return the widths of a comma-separated list.

    Examples
    --------
    >>> widths_of("32, 64")
    (32, 64)
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdigit() for part in parts):
        raise ConfigError(f"expected widths as numbers between commas, received {text!r}")
    return tuple(int(part) for part in parts)


@dataclass(frozen=True, slots=True)
class _Time:
    """Seconds of processor and of wall."""

    worked: float
    passed: float


def bench_forecasting(request: BenchForecastingRequest) -> Outcome:
    """Measure training, serving and loading, and judge them against their targets.

    Returns
    -------
    Outcome with one row per figure: name, value, unit, target, met, note; exit code 0 whatever the figures are
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.threads)
    rows: list[dict[str, Any]] = []
    try:
        for width in request.widths:
            rows += _training(request, width)
        rows += _loading(request)
        torch.set_num_threads(_SERVING_THREADS)
        rows += _serving(request)
    finally:
        torch.set_num_threads(before)
    document = {
        "benchmark": "forecasting",
        "rows": rows,
        "missed": [row["name"] for row in rows if row["met"] is False],
        "settings": {name: getattr(request, name) for name in BenchForecastingRequest.__dataclass_fields__},
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "system": platform.system(),
            "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        },
        "versions": {name: _version(name) for name in ("torch", "numba", "numpy", *_PEERS)},
    }
    lines = [f"{'figure':<62}{'value':>11} {'unit':<12}{'target':>8}  met"]
    lines += [f"{r['name']:<62}{_number(r['value']):>11} {r['unit']:<12}{r['target']:>8}  {_word(r)}" for r in rows]
    return Outcome(document, lines)


def _row(
    name: str, value: float | None, unit: str, target: str = "", *, met: bool | None = None, note: str = ""
) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "target": target, "met": met, "note": note}


def _number(value: float | None) -> str:
    return "absent" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _word(row: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "-"}[row["met"]] + (f"  {row['note']}" if row["note"] else "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _timed(action: Callable[[], object]) -> _Time:
    began, worked = _CLOCK.monotonic_s(), time.process_time()
    action()
    return _Time(time.process_time() - worked, _CLOCK.monotonic_s() - began)


def _rounds(actions: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, list[_Time]]:
    """Run all actions once, then in turn, as often as asked for; a short one thrice a round, the median counts."""
    warm = {name: _timed(action) for name, action in actions.items()}
    warm |= {name: _timed(actions[name]) for name, first in warm.items() if first.passed < 5.0}
    times: dict[str, list[_Time]] = {name: [] for name in actions}
    for _ in range(repetitions):
        for name, action in actions.items():
            runs = sorted((_timed(action) for _ in range(3 if warm[name].passed < 2.0 else 1)), key=lambda t: t.worked)
            times[name].append(runs[len(runs) // 2])
    return times


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _ratio(slow: list[_Time], fast: list[_Time]) -> float:
    return _median([a.worked / b.worked for a, b in zip(slow, fast, strict=True)])


# -- training ---------------------------------------------------------------------------------------------------------


def _network(width: int, shape: Shape) -> Any:
    import torch

    from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftSettings

    torch.manual_seed(0)
    settings = TftSettings(
        shape.observed,
        shape.known,
        shape.categories,
        1,
        len(shape.levels),
        shape.context_length,
        shape.horizon,
        width,
        shape.heads,
        dropout=shape.dropout,
    )
    return TemporalFusionTransformer(settings)


def _step(network: Any, shape: Shape, windows: int, *, fused: bool) -> Callable[[], None]:
    """Return forward, loss and backward of 256 origins, ``windows`` a segment."""
    import torch

    from foresail.forecasting.neural.fused import tensor_form
    from foresail.forecasting.neural.recipe import pinball_loss
    from foresail.forecasting.neural.tft.network import Segments

    g = torch.Generator().manual_seed(0)
    count, past = _BATCH // windows, shape.context_length + windows - 1
    segments = Segments(
        torch.randn(count, past, shape.observed, generator=g),
        torch.randn(count, past + shape.horizon, shape.known, generator=g),
        torch.ones(count, past),
        torch.stack([torch.randint(size, (count,), generator=g) for size in shape.categories], dim=1),
        1,
    )
    wanted = torch.randn(count, windows, shape.horizon, 1, generator=g)
    levels, weights = torch.tensor(shape.levels), torch.ones_like(wanted)

    def step() -> None:
        network.train()
        network.zero_grad(set_to_none=True)
        with nullcontext() if fused else tensor_form():
            pinball_loss(network(segments).quantiles, wanted, levels, weights).backward()  # type: ignore[no-untyped-call]

    return step


def _backward(network: Any, loss: Callable[[], Any]) -> None:
    network.zero_grad(set_to_none=True)
    with quiet():
        loss().backward()


def _training(request: BenchForecastingRequest, width: int) -> list[dict[str, Any]]:
    shape, label = Shape(), f"training, width {width}"
    ours = _network(width, shape)
    networks, actions = {"ours": ours}, {}
    best = "ours, shared, compiled"
    for windows, how in ((_WINDOWS, "shared"), (1, "plain")):
        for fused in (True, False):
            actions[f"ours, {how}, {'compiled' if fused else 'eager'}"] = _step(ours, shape, windows, fused=fused)
    if installed("pytorch_forecasting"):
        frame = forecasting_frame(shape, generator(request.seed, "bench forecasting", width), 32, 80)
        networks["pytorch-forecasting"], loss = forecasting_model(shape, frame, width)
        x, y = next(iter(frame.to_dataloader(train=True, batch_size=_BATCH, num_workers=0)))
        actions["pytorch-forecasting"] = partial(_backward, networks["pytorch-forecasting"], partial(loss, x, y))
    if installed("neuralforecast"):
        networks["neuralforecast"], other = neural_step(shape, width, _BATCH)
        actions["neuralforecast"] = partial(_backward, networks["neuralforecast"], other)
    times = _rounds(actions, request.repetitions)
    rows = [
        _row(f"{label}, parameters, {name}", float(sum(p.numel() for p in network.parameters())), "")
        for name, network in networks.items()
    ]
    for name, taken in times.items():
        rows.append(_row(f"{label}, {name}", _BATCH / _median([t.worked for t in taken]), "origins/cpu s"))
        rows.append(_row(f"{label}, {name}, wall", _BATCH / _median([t.passed for t in taken]), "origins/s"))
    for peer, least in _TRAINING.items():
        name, target = f"{label}, {peer} / ours", f">= {least:g}"
        if peer not in times:
            rows.append(_row(name, None, "x", target, note=_HOW.format(peer)))
            continue
        value = _ratio(times[peer], times[best])
        rows.append(_row(name, value, "x", target, met=value >= least))
        rows.append(_row(f"{name}, eager", _ratio(times[peer], times["ours, shared, eager"]), "x"))
    return rows


# -- serving ----------------------------------------------------------------------------------------------------------


def _serving(request: BenchForecastingRequest) -> list[dict[str, Any]]:
    """One new bar of all instruments, width 64, of a batch and of one."""
    rows = []
    for count in sorted({request.instruments, _SERVED_BATCH, 1}, reverse=True):
        rows += _served(request, count)
    return rows


@dataclass(frozen=True, slots=True)
class _Serving:
    """Our two ways to the same answer, and how far apart their answers are."""

    update: Callable[[], object]
    whole: Callable[[], object]
    apart: float


def _serving_of(shape: Shape, width: int, count: int) -> _Serving:
    """Return a server that has seen its first bars, and the network on whole windows."""
    import torch

    from foresail.forecasting.neural.tft.network import Segments
    from foresail.forecasting.neural.tft.serving import TftServer, whole_windows

    network = _network(width, shape).eval()
    g = torch.Generator().manual_seed(1)
    c, h, bars = shape.context_length, shape.horizon, shape.context_length + 40
    observed = torch.randn(count, bars, shape.observed, generator=g)
    known, present = torch.randn(bars + h, shape.known, generator=g), torch.ones(count, bars)
    static = torch.stack([torch.arange(count) % size for size in shape.categories], dim=1)
    server = TftServer(network, static)
    server.warm(observed[:, :c], known[:c], present[:, :c])
    at = iter(range(c, 10**9))

    def update() -> None:
        t = c + next(at) % 40
        ahead = torch.cat([known, known])[t + 1 : t + 1 + h]
        server.update(observed[:, t], known[t], present[:, t], ahead)

    def whole() -> Any:
        return whole_windows(
            network, Segments(observed[:, :c], known[: c + h].expand(count, -1, -1), present[:, :c], static)
        )

    fresh = TftServer(network, static)
    fresh.warm(observed[:, : c - 1], known[: c - 1], present[:, : c - 1])
    told = fresh.update(observed[:, c - 1], known[c - 1], present[:, c - 1], known[c : c + h]).quantiles
    return _Serving(update, whole, float((told - whole()[:, 0]).abs().max()))


def _served(request: BenchForecastingRequest, count: int) -> list[dict[str, Any]]:
    shape, width, label = Shape(), 64, f"serving {count}"
    serving = _serving_of(shape, width, count)
    actions: dict[str, Callable[[], object]] = {"incremental": serving.update, "whole windows": serving.whole}
    is_batch = count == _SERVED_BATCH and count != request.instruments
    if installed("pytorch_forecasting") and not is_batch:
        actions["pytorch-forecasting"] = _peer_prediction(request, shape, width, count)
    times = _rounds(actions, 3 * request.repetitions)
    limit = 60.0 if count > 1 else 3.0
    taken = _median([t.passed * 1e3 for t in times["incremental"]])
    slowest = float(np.percentile([_timed(serving.update).passed * 1e3 for _ in range(_UPDATES)], 99))
    is_limited = count == _SERVED_BATCH
    rows = [
        _row(f"{label}, incremental", taken, "ms", f"< {limit:g}", met=taken < limit),
        _row(
            f"{label}, incremental, 99 % of {_UPDATES}", slowest, "ms", f"< {_WITHIN_MS:g}" if is_limited else "",
            met=slowest < _WITHIN_MS if is_limited else None,
        ),
    ]  # fmt: skip
    rows += [
        _row(f"{label}, {name}, processor", _median([t.worked for t in ts]) * 1e3, "ms") for name, ts in times.items()
    ]
    rows.append(_row(f"{label}, incremental - whole", serving.apart, "", "<= 1e-5", met=serving.apart <= 1e-5))
    if is_batch:
        return rows
    return [*rows, _against_peer(f"{label}, pytorch-forecasting / ours", times, ">= 40" if count > 1 else "")]


def _against_peer(name: str, times: dict[str, list[_Time]], target: str) -> dict[str, Any]:
    if "pytorch-forecasting" not in times:
        return _row(name, None, "x", target, note=_HOW.format("pytorch-forecasting"))
    value = _ratio(times["pytorch-forecasting"], times["incremental"])
    return _row(name, value, "x", target, met=value >= 40.0 if target else None)


def _peer_prediction(request: BenchForecastingRequest, shape: Shape, width: int, count: int) -> Callable[[], object]:
    import torch

    bars = shape.context_length + shape.horizon
    frame = forecasting_frame(shape, generator(request.seed, "bench serving", count), max(count, 2), bars)
    network, _ = forecasting_model(shape, frame, width)
    network.eval()
    x, _ = next(iter(frame.to_dataloader(train=False, batch_size=count, num_workers=0)))

    def predict() -> None:
        with torch.inference_mode(), quiet():
            network(x)

    return predict


# -- loading ----------------------------------------------------------------------------------------------------------


def _loading(request: BenchForecastingRequest) -> list[dict[str, Any]]:
    from foresail.forecasting.neural.windows import WindowInputs, WindowSettings, WindowSource

    shape, rng, n, bars = Shape(), generator(request.seed, "bench loading"), request.instruments, 2520
    inputs = WindowInputs(
        rng.standard_normal((n, bars, shape.observed), dtype=np.float32),  # type: ignore[arg-type]
        rng.standard_normal((bars + shape.horizon, shape.known)),
        np.ones((n, bars), dtype=np.bool_),
        np.stack([np.arange(n) % size for size in shape.categories], axis=1),
    )
    labels = rng.standard_normal((n, bars, shape.horizon, 1))
    batches, actions = 40, {}
    for windows in (1, _WINDOWS):
        settings = WindowSettings(shape.context_length, shape.horizon, windows)
        source, size = WindowSource(settings, inputs, labels), _BATCH // windows
        starts = np.stack([rng.integers(n, size=batches * size), rng.integers(bars - 100, size=batches * size)], axis=1)
        parts = [starts[i * size : (i + 1) * size] for i in range(batches)]
        actions[f"{windows} a segment"] = partial(_all, source.batch, parts)
    steps = shape.context_length + shape.horizon
    volume = _BATCH * steps * (shape.observed + shape.known)
    matrix = rng.standard_normal(max(4 * volume, n * bars * (shape.observed + shape.known)), dtype=np.float32)
    places = [int(p) for p in rng.integers(matrix.size - volume, size=batches)]
    actions["memory copy"] = partial(_all, lambda p: matrix[p : p + volume].copy(), places)
    times = _rounds(actions, request.repetitions)
    rows = [
        _row(f"loading, {name}", batches * _BATCH / _median([t.worked for t in taken]), "windows/cpu s")
        for name, taken in times.items()
    ]
    shared = f"{_WINDOWS} a segment"
    value = _ratio(times["memory copy"], times[shared])
    rows.append(_row("loading, ours / copying the windows' bytes", value, "x", ">= 0.8", met=value >= 0.8))
    value = _ratio(times["memory copy"], times["1 a segment"])
    rows.append(_row("loading, ours, one window a segment / copying", value, "x"))
    return rows + _peer_loading(request, shape, batches * _BATCH / _median([t.worked for t in times["1 a segment"]]))


def _all(action: Callable[[Any], object], parts: list[Any]) -> None:
    for part in parts:
        action(part)


def _peer_loading(request: BenchForecastingRequest, shape: Shape, rate: float) -> list[dict[str, Any]]:
    name = "loading, ours, one window a segment / pytorch-forecasting"
    if not installed("pytorch_forecasting"):
        return [_row(name, None, "x", ">= 60", note=_HOW.format("pytorch-forecasting"))]
    frame = forecasting_frame(shape, generator(request.seed, "bench loading", 1), 32, 200)
    batches = iter(frame.to_dataloader(train=True, batch_size=_BATCH, num_workers=0))
    next(batches)
    taken = [_timed(partial(next, batches)).worked for _ in range(4)]
    theirs = _BATCH / _median(taken)
    value = rate / theirs
    return [
        _row("loading, pytorch-forecasting", theirs, "windows/cpu s"),
        _row(name, value, "x", ">= 60", met=value >= 60.0),
    ]
