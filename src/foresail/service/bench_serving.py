"""Serving of our Temporal Fusion Transformer: one new bar of all instruments, of a batch and of one, against a peer.

Also the wide network (width 256, 8 heads), whose target is an accelerator's: a processor serves it when asked to only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.seeds import generator
from foresail.service.bench_peers import HOW, Shape, forecasting_frame, forecasting_model, installed, quiet
from foresail.service.bench_timing import Taken, Watch, median, ratio, row

__all__ = ["Serving", "network_of", "serving_rows"]

_BATCH, _WITHIN_MS, _UPDATES = 20, 50.0, 100  # SERVE-02, SERVE-03, and how many bars its 99 % is read off
_WIDTH, _WIDE, _WIDE_HEADS = 64, 256, 8
_ABSENT = "needs an accelerator: --device cuda (or --wide, on the processor)"


@dataclass(frozen=True, slots=True)
class Serving:
    """What to measure.

    Attributes
    ----------
    instruments, repetitions, seed : as the bench was asked
    watch : of the device that serves
    wide : whether width 256 is served on a processor too
    """

    instruments: int
    repetitions: int
    seed: int
    watch: Watch
    wide: bool = False


@dataclass(frozen=True, slots=True)
class _Ways:
    """Our two ways to the same answer, and how far apart their answers are."""

    update: Callable[[], object]
    whole: Callable[[], object]
    apart: float


def network_of(shape: Shape, width: int) -> Any:
    """Return our network with fresh weights."""
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


def serving_rows(asked: Serving) -> list[dict[str, Any]]:
    """Return the rows of one new bar: width 64 of all, of a batch and of one, and width 256."""
    rows = []
    for count in sorted({asked.instruments, _BATCH, 1}, reverse=True):
        rows += _served(asked, count)
    return rows + _wide_rows(asked)


def _ways(shape: Shape, width: int, count: int, device: str) -> _Ways:
    """Return a server that has seen its first bars, and the network on whole windows."""
    import torch

    from foresail.forecasting.neural.tft.network import Segments
    from foresail.forecasting.neural.tft.serving import TftServer, whole_windows

    network = network_of(shape, width).eval().to(device)
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

    windows = known[: c + h].expand(count, -1, -1)
    segments = Segments(observed[:, :c].to(device), windows.to(device), present[:, :c].to(device), static.to(device))

    def whole() -> Any:
        return whole_windows(network, segments)

    fresh = TftServer(network, static)
    fresh.warm(observed[:, : c - 1], known[: c - 1], present[:, : c - 1])
    told = fresh.update(observed[:, c - 1], known[c - 1], present[:, c - 1], known[c : c + h]).quantiles
    return _Ways(update, whole, float((told - whole()[:, 0].cpu()).abs().max()))


def _served(asked: Serving, count: int) -> list[dict[str, Any]]:
    shape, label, watch = Shape(), f"serving {count}", asked.watch
    ways = _ways(shape, _WIDTH, count, watch.device)
    actions: dict[str, Callable[[], object]] = {"incremental": ways.update, "whole windows": ways.whole}
    has_peer = count != _BATCH or count == asked.instruments
    if has_peer and installed("pytorch_forecasting") and not watch.is_accelerator:
        actions["pytorch-forecasting"] = _peer_prediction(asked, shape, count)
    times = watch.rounds(actions, 3 * asked.repetitions)
    limit = 60.0 if count > 1 else 3.0
    taken = median([t.passed * 1e3 for t in times["incremental"]])
    slowest = float(np.percentile([watch.timed(ways.update).passed * 1e3 for _ in range(_UPDATES)], 99))
    is_limited = count == _BATCH
    rows = [
        row(f"{label}, incremental", taken, "ms", f"< {limit:g}", met=taken < limit),
        row(
            f"{label}, incremental, 99 % of {_UPDATES}", slowest, "ms", f"< {_WITHIN_MS:g}" if is_limited else "",
            met=slowest < _WITHIN_MS if is_limited else None,
        ),
    ]  # fmt: skip
    worked = "device" if watch.is_accelerator else "processor"
    rows += [
        row(f"{label}, {name}, {worked}", median([t.worked for t in ts]) * 1e3, "ms") for name, ts in times.items()
    ]
    rows.append(row(f"{label}, incremental - whole", ways.apart, "", "<= 1e-5", met=ways.apart <= 1e-5))
    if not has_peer:
        return rows
    return [*rows, _against_peer(f"{label}, pytorch-forecasting / ours", times, count, watch)]


def _wide_rows(asked: Serving) -> list[dict[str, Any]]:
    """Return the rows of width 256 with 8 heads; on a processor one that says what it needs, unless it is asked for."""
    label = f"serving {asked.instruments}, width {_WIDE}, {_WIDE_HEADS} heads"
    target, watch = f"< {_WITHIN_MS:g}", asked.watch
    if not watch.is_accelerator and not asked.wide:
        return [row(label, None, "ms", target, note=_ABSENT)]
    ways = _ways(replace(Shape(), heads=_WIDE_HEADS), _WIDE, asked.instruments, watch.device)
    times = watch.rounds({"incremental": ways.update, "whole windows": ways.whole}, 3 * asked.repetitions)
    taken = median([t.passed * 1e3 for t in times["incremental"]])
    met = taken < _WITHIN_MS if watch.is_accelerator else None  # the target is an accelerator's
    return [
        row(f"{label}, incremental", taken, "ms", target, met=met),
        row(f"{label}, whole windows", median([t.passed * 1e3 for t in times["whole windows"]]), "ms"),
        row(f"{label}, incremental - whole", ways.apart, "", "<= 1e-5", met=ways.apart <= 1e-5),
    ]


def _against_peer(name: str, times: dict[str, list[Taken]], count: int, watch: Watch) -> dict[str, Any]:
    target = ">= 40" if count > 1 else ""
    if "pytorch-forecasting" not in times:
        note = "on the CPU only" if watch.is_accelerator else HOW.format("pytorch-forecasting")
        return row(name, None, "x", target, note=note)
    value = ratio(times["pytorch-forecasting"], times["incremental"])
    return row(name, value, "x", target, met=value >= 40.0 if target else None)


def _peer_prediction(asked: Serving, shape: Shape, count: int) -> Callable[[], object]:
    import torch

    bars = shape.context_length + shape.horizon
    frame = forecasting_frame(shape, generator(asked.seed, "bench serving", count), max(count, 2), bars)
    network, _ = forecasting_model(shape, frame, _WIDTH)
    network.eval()
    x, _ = next(iter(frame.to_dataloader(train=False, batch_size=count, num_workers=0)))

    def predict() -> None:
        with torch.inference_mode(), quiet():
            network(x)

    return predict
