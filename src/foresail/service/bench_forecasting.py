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
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from foresail.core.errors import ConfigError
from foresail.core.seeds import generator
from foresail.service.bench_peers import HOW, Shape, forecasting_frame, forecasting_model, installed, neural_step, quiet
from foresail.service.bench_serving import Serving, network_of, serving_rows
from foresail.service.bench_timing import Watch, median, ratio, row
from foresail.service.outcome import Outcome

__all__ = ["BenchForecastingRequest", "bench_forecasting", "widths_of"]

_BATCH, _WINDOWS = 256, 8
_SERVING_THREADS = 2  # the target is one of two cores
_TRAINING = {"pytorch-forecasting": 10.0, "neuralforecast": 30.0}
_PEERS = {"pytorch-forecasting": "pytorch_forecasting", "neuralforecast": "neuralforecast"}


@dataclass(frozen=True, slots=True)
class BenchForecastingRequest:
    """What to measure.

    Attributes
    ----------
    widths : of the networks
    repetitions : rounds of a comparison
    threads : of PyTorch, on all sides; serving always has two
    instruments : that are served and loaded from
    device : of training and serving: cpu, cuda or auto; the peers take part on the CPU only
    wide : whether width 256 with 8 heads is served whatever the device; without it an accelerator only does
    """

    widths: tuple[int, ...] = (32, 64, 128)
    repetitions: int = 3
    threads: int = 1
    instruments: int = 500
    seed: int = 0
    device: str = "cpu"
    wide: bool = False

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


def bench_forecasting(request: BenchForecastingRequest) -> Outcome:
    """Measure training, serving and loading, and judge them against their targets.

    Returns
    -------
    Outcome with one row per figure: name, value, unit, target, met, note; exit code 0 whatever the figures are

    Raises
    ------
    CapabilityError
        If a device is asked for that is not there.
    """
    import torch

    from foresail.forecasting.neural.precision import device_of

    device = device_of(request.device)  # refused before anything is timed
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"expected cpu, cuda or auto as device, received {request.device!r}")
    watch, before = Watch(str(device)), torch.get_num_threads()
    torch.set_num_threads(request.threads)
    rows: list[dict[str, Any]] = []
    try:
        with watch.exact():
            for width in request.widths:
                rows += _training(request, width, watch)
            rows += _loading(request)
            torch.set_num_threads(_SERVING_THREADS)
            serving = Serving(request.instruments, request.repetitions, request.seed, watch, wide=request.wide)
            rows += serving_rows(serving)
    finally:
        torch.set_num_threads(before)
    document = {
        "benchmark": "forecasting",
        "rows": rows,
        "missed": [one["name"] for one in rows if one["met"] is False],
        "settings": {name: getattr(request, name) for name in BenchForecastingRequest.__dataclass_fields__},
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "system": platform.system(),
            "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
            "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        },
        "versions": {name: _version(name) for name in ("torch", "numba", "numpy", *_PEERS)},
    }
    lines = [f"{'figure':<62}{'value':>11} {'unit':<12}{'target':>8}  met"]
    lines += [f"{r['name']:<62}{_number(r['value']):>11} {r['unit']:<12}{r['target']:>8}  {_word(r)}" for r in rows]
    return Outcome(document, lines)


def _number(value: float | None) -> str:
    return "absent" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _word(row: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "-"}[row["met"]] + (f"  {row['note']}" if row["note"] else "")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


# -- training ---------------------------------------------------------------------------------------------------------


def _step(network: Any, shape: Shape, windows: int, device: str, *, fused: bool) -> Callable[[], None]:
    """Return forward, loss and backward of 256 origins, ``windows`` a segment."""
    import torch

    from foresail.forecasting.neural.fused import tensor_form
    from foresail.forecasting.neural.recipe import pinball_loss
    from foresail.forecasting.neural.tft.network import Segments

    g = torch.Generator().manual_seed(0)
    count, past = _BATCH // windows, shape.context_length + windows - 1
    segments = Segments(
        torch.randn(count, past, shape.observed, generator=g).to(device),
        torch.randn(count, past + shape.horizon, shape.known, generator=g).to(device),
        torch.ones(count, past, device=device),
        torch.stack([torch.randint(size, (count,), generator=g) for size in shape.categories], dim=1).to(device),
        1,
    )
    wanted = torch.randn(count, windows, shape.horizon, 1, generator=g).to(device)
    levels, weights = torch.tensor(shape.levels, device=device), torch.ones_like(wanted)

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


def _training(request: BenchForecastingRequest, width: int, watch: Watch) -> list[dict[str, Any]]:
    shape, label = Shape(), f"training, width {width}"
    ours = network_of(shape, width).to(watch.device)
    networks, actions = {"ours": ours}, {}
    best = "ours, shared, compiled"
    for windows, how in ((_WINDOWS, "shared"), (1, "plain")):
        for fused in (True, False):
            name = f"ours, {how}, {'compiled' if fused else 'eager'}"
            if watch.is_accelerator and fused:
                continue  # compiled loops are the processor's
            actions[name] = _step(ours, shape, windows, watch.device, fused=fused)
    if installed("pytorch_forecasting") and not watch.is_accelerator:
        frame = forecasting_frame(shape, generator(request.seed, "bench forecasting", width), 32, 80)
        networks["pytorch-forecasting"], loss = forecasting_model(shape, frame, width)
        x, y = next(iter(frame.to_dataloader(train=True, batch_size=_BATCH, num_workers=0)))
        actions["pytorch-forecasting"] = partial(_backward, networks["pytorch-forecasting"], partial(loss, x, y))
    if installed("neuralforecast") and not watch.is_accelerator:
        networks["neuralforecast"], other = neural_step(shape, width, _BATCH)
        actions["neuralforecast"] = partial(_backward, networks["neuralforecast"], other)
    times = watch.rounds(actions, request.repetitions)
    rows = [
        row(f"{label}, parameters, {name}", float(sum(p.numel() for p in network.parameters())), "")
        for name, network in networks.items()
    ]
    for name, taken in times.items():
        rows.append(row(f"{label}, {name}", _BATCH / median([t.worked for t in taken]), f"origins/{watch.second}"))
        rows.append(row(f"{label}, {name}, wall", _BATCH / median([t.passed for t in taken]), "origins/s"))
    for peer, least in _TRAINING.items():
        name, target = f"{label}, {peer} / ours", f">= {least:g}"
        if peer not in times:
            note = "on the CPU only" if watch.is_accelerator else HOW.format(peer)
            rows.append(row(name, None, "x", target, note=note))
            continue
        value = ratio(times[peer], times[best])
        rows.append(row(name, value, "x", target, met=value >= least))
        rows.append(row(f"{name}, eager", ratio(times[peer], times["ours, shared, eager"]), "x"))
    return rows


# -- loading ----------------------------------------------------------------------------------------------------------


def _loading(request: BenchForecastingRequest) -> list[dict[str, Any]]:
    """Windows a second beside two limits: copying one block of their bytes, and gathering them from where they lie."""
    from foresail.forecasting.neural.windows import WindowInputs, WindowSettings, WindowSource

    shape, rng, n, bars = Shape(), generator(request.seed, "bench loading"), request.instruments, 2520
    inputs = WindowInputs(
        rng.standard_normal((n, bars, shape.observed), dtype=np.float32),
        rng.standard_normal((bars + shape.horizon, shape.known)),
        np.ones((n, bars), dtype=np.bool_),
        np.stack([np.arange(n) % size for size in shape.categories], axis=1),
    )
    labels = rng.standard_normal((n, bars, shape.horizon, 1))
    watch, batches = Watch(), 40  # the processor loads, whatever trains
    actions: dict[str, Callable[[], object]] = {}
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
    actions["bare gather"] = _gather(matrix, rng, (batches, steps, shape.observed + shape.known))
    times = watch.rounds(actions, request.repetitions)
    rows = [
        row(f"loading, {name}", batches * _BATCH / median([t.worked for t in taken]), "windows/cpu s")
        for name, taken in times.items()
    ]
    shared = f"{_WINDOWS} a segment"
    value = ratio(times["memory copy"], times[shared])
    rows.append(row("loading, ours / copying the windows' bytes", value, "x", ">= 0.8", met=value >= 0.8))
    value = ratio(times["bare gather"], times["1 a segment"])
    rows.append(row("loading, ours, one window a segment / bare gather", value, "x", ">= 0.8", met=value >= 0.8))
    value = ratio(times["memory copy"], times["1 a segment"])
    rows.append(row("loading, ours, one window a segment / copying one block", value, "x"))
    rows.append(row("loading, bare gather / copying one block", ratio(times["memory copy"], times["bare gather"]), "x"))
    return rows + _peer_loading(request, shape, batches * _BATCH / median([t.worked for t in times["1 a segment"]]))


def _gather(matrix: Any, rng: np.random.Generator, shape: tuple[int, int, int]) -> Callable[[], None]:
    """Return what copies windows from random rows of a matrix into a kept buffer, and nothing else."""
    import torch

    batches, steps, values = shape
    flat = torch.from_numpy(matrix)
    view = torch.as_strided(flat, (flat.numel() // values - steps + 1, steps * values), (values, 1))
    kept = torch.empty(_BATCH, steps * values)
    places = torch.from_numpy(rng.integers(len(view), size=(batches, _BATCH)))
    return partial(_all, lambda at: torch.index_select(view, 0, at, out=kept), list(places))


def _all(action: Callable[[Any], object], parts: list[Any]) -> None:
    for part in parts:
        action(part)


def _peer_loading(request: BenchForecastingRequest, shape: Shape, rate: float) -> list[dict[str, Any]]:
    name = "loading, ours, one window a segment / pytorch-forecasting"
    if not installed("pytorch_forecasting"):
        return [row(name, None, "x", ">= 60", note=HOW.format("pytorch-forecasting"))]
    frame = forecasting_frame(shape, generator(request.seed, "bench loading", 1), 32, 200)
    batches = iter(frame.to_dataloader(train=True, batch_size=_BATCH, num_workers=0))
    next(batches)
    taken = [Watch().timed(partial(next, batches)).worked for _ in range(4)]
    theirs = _BATCH / median(taken)
    value = rate / theirs
    return [
        row("loading, pytorch-forecasting", theirs, "windows/cpu s"),
        row(name, value, "x", ">= 60", met=value >= 60.0),
    ]
