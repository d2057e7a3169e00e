"""How much training a given validation loss costs: shared windows, plain ones, pytorch-forecasting.

    python -m benchmarks.until_loss --data FILE --out FOLDER [--only NAME ...] [--seconds 30] [--picture FILE]
        [--table]

Daily bars of the most liquid names of a file; the quantiles of the next five daily returns; 24 inputs from prices and
8 of the calendar, standardised on the training years. All networks have width 32, learn with AdamW at one rate from
batches of 256 forecast origins and are judged by the same loss on the same validation windows. Counted is processor
time of training alone, on one thread; it ends after ``--seconds`` of it. Each entrant's curve is kept in the folder,
so that a run goes on where it was stopped; without ``--only`` missing curves are made, then the table is printed;
``--table`` prints that of the curves that are there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from foresail.forecasting.neural.recipe import pinball_loss
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftSettings
from foresail.forecasting.neural.windows import WindowInputs, WindowSettings, WindowSource
from foresail.service.bench_peers import Shape, forecasting_model, forecasting_set, quiet

WIDTH, RATE, BATCH, HORIZON, CONTEXT, NAMES = 32, 1e-3, 256, 5, 60, 20
ENTRANTS = {f"K={k}, stride {s}": (k, s) for k, s in ((4, 1), (8, 1), (16, 1), (8, 2), (8, 5), (4, 5), (16, 5))}
PLAIN, PEER = "plain (K=1)", "pytorch-forecasting"


class Market:
    """Inputs, labels and folds of the names, (N, T, ...)."""

    def __init__(self, path: Path) -> None:
        table = pd.read_parquet(path)
        wide = {
            name: table.pivot(index="ts", columns="symbol", values=name) for name in ("high", "low", "close", "volume")
        }
        full = wide["close"].notna().mean() > 0.99
        turnover = (wide["close"] * wide["volume"]).median()[full].sort_values(ascending=False)
        self.names = list(turnover.index[:NAMES])
        high, low, close, volume = (wide[k][self.names].ffill() for k in ("high", "low", "close", "volume"))
        returns = np.log(close).diff()
        parts = [np.log(close).diff(k) / np.sqrt(k) for k in (1, 2, 5, 10, 20, 60)]
        parts += [np.log(returns.rolling(k).std() + 1e-6) for k in (5, 10, 20, 60, 120)]
        parts += [np.log((np.log(high / low)).rolling(k).mean() + 1e-6) for k in (1, 5, 20)]
        parts += [returns.abs().rolling(k).max() for k in (5, 20)]
        parts += [np.log(volume + 1).diff(k) for k in (1, 5, 20)]
        parts += [close / close.rolling(k).max() - 1 for k in (20, 120)]
        market = returns.mean(axis=1)
        parts += [returns.rolling(k).skew() for k in (20, 60)]
        parts += [returns * 0 + 1.0 * np.log(market.rolling(20).std()).to_numpy()[:, None]]
        self.times = len(close)
        self.train_end, start = int(0.7 * self.times), 130
        inputs = np.stack([p.to_numpy() for p in parts], axis=-1).transpose(1, 0, 2)
        seen = inputs[:, start : self.train_end]
        inputs = (inputs - np.nanmean(seen, axis=(0, 1))) / (np.nanstd(seen, axis=(0, 1)) + 1e-9)
        self.observed = np.nan_to_num(np.clip(inputs, -5, 5), posinf=0.0, neginf=0.0).astype(np.float32)
        r = returns.to_numpy().T
        r = np.nan_to_num(r / np.nanstd(r[:, start : self.train_end]))
        self.returns = r
        self.labels = np.full((NAMES, self.times, HORIZON, 1), np.nan)
        for h in range(HORIZON):
            self.labels[:, : self.times - h - 1, h, 0] = r[:, h + 1 :]
        days = pd.to_datetime(close.index).append(pd.bdate_range(close.index[-1], periods=HORIZON + 1)[1:])
        turns = [(days.day_of_week, 5), (days.day, 31), (days.month, 12), (days.day_of_year, 365)]
        waves = [f(2 * np.pi * np.asarray(v) / p) for v, p in turns for f in (np.sin, np.cos)]
        self.known = np.stack(waves, axis=-1)
        origins = np.arange(start + CONTEXT, self.train_end - HORIZON)
        self.train = np.stack([a.ravel() for a in np.meshgrid(np.arange(NAMES), origins, indexing="ij")], axis=1)
        later = np.arange(self.train_end + CONTEXT, int(0.9 * self.times), 5)
        self.validation = np.stack([a.ravel() for a in np.meshgrid(np.arange(NAMES), later, indexing="ij")], axis=1)
        self.shape = Shape(self.observed.shape[2], self.known.shape[1], (NAMES + 1,))

    def source(self, windows: int, stride: int) -> WindowSource:
        inputs = WindowInputs(
            self.observed, self.known, np.ones((NAMES, self.times), dtype=np.bool_), np.arange(NAMES)[:, None] + 1
        )
        return WindowSource(WindowSettings(CONTEXT, HORIZON, windows, stride), inputs, self.labels)


def curve(
    steps: Iterator[Any], loss: Any, validate: Any, network: Any, seconds: float, every: float
) -> list[list[float]]:
    """Return (processor seconds, forecast origins, validation loss) while training."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-5)
    spent, origins, found, due = 0.0, 0, [], 0.0
    while spent < seconds:
        if spent >= due:
            found.append([spent, origins, validate()])
            print(f"  {spent:7.1f} s {origins:8d} origins  loss {found[-1][2]:.5f}", flush=True)
            due = spent + every * (1.0 if spent > 6 * every else 0.5)
        network.train()
        began = time.process_time()
        batch = next(steps)
        optimiser.zero_grad(set_to_none=True)
        value, count = loss(batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        spent, origins = spent + time.process_time() - began, origins + count
    found.append([spent, origins, validate()])
    return found


def ours(market: Market, windows: int, stride: int, seconds: float) -> list[list[float]]:
    torch.manual_seed(0)
    shape = market.shape
    network = TemporalFusionTransformer(
        TftSettings(shape.observed, shape.known, shape.categories, 1, 7, CONTEXT, HORIZON, WIDTH, 4, dropout=0.1)
    )
    source, single, levels = market.source(windows, stride), market.source(1, 1), torch.tensor(shape.levels)
    rng = np.random.default_rng(0)

    def batches() -> Iterator[Any]:
        for _ in itertools.count():
            yield from source.batches(market.train, BATCH // windows, rng)

    def loss(batch: Any) -> tuple[Any, int]:
        held = int((batch.weights.sum(dim=(2, 3)) > 0).sum())
        return pinball_loss(network(batch.segments).quantiles, batch.targets, levels, batch.weights), held

    def validate() -> float:
        network.eval()
        total, count = 0.0, 0.0
        with torch.no_grad():
            for batch in single.batches(market.validation, 512, None):
                weight = float(batch.weights.sum())
                told = network(batch.segments).quantiles
                total += weight * float(pinball_loss(told, batch.targets, levels, batch.weights))
                count += weight
        return total / count

    return curve(batches(), loss, validate, network, seconds, seconds / 40)


def peer(market: Market, seconds: float) -> list[list[float]]:
    torch.manual_seed(0)
    shape = market.shape
    observed, known = [f"o{i}" for i in range(shape.observed)], [f"k{i}" for i in range(shape.known)]
    n, t = NAMES, market.times
    frame = pd.DataFrame(market.observed.reshape(n * t, -1), columns=observed)
    frame[known] = np.tile(market.known[:t], (n, 1))
    frame["step"], frame["group"] = np.tile(np.arange(t), n), np.repeat(np.arange(n), t).astype(str)
    frame["s0"], frame["label"] = frame["group"], market.returns.ravel()
    first, last = int(market.train[:, 1].min()), int(market.train[:, 1].max())
    inside = frame[(frame.step > first - CONTEXT) & (frame.step <= last + HORIZON)]
    train = forecasting_set(shape, inside.reset_index(drop=True), observed, known)
    network, one = forecasting_model(shape, train, WIDTH, RATE)
    begins, ends = int(market.validation[:, 1].min()), int(market.validation[:, 1].max())
    later = frame[(frame.step > begins - CONTEXT) & (frame.step <= ends + HORIZON)]
    held = forecasting_set(shape, later.reset_index(drop=True), observed, known)
    with quiet():
        place = np.asarray(held.decoded_index["time_idx_first_prediction"]) - 1
    wanted = np.flatnonzero((place - begins) % 5 == 0)
    chosen = torch.utils.data.Subset(held, wanted.tolist())
    loader = torch.utils.data.DataLoader(chosen, batch_size=512, collate_fn=held._collate_fn)  # noqa: SLF001 a subset of it
    levels = torch.tensor(shape.levels)

    def batches() -> Iterator[Any]:
        for _ in itertools.count():
            yield from train.to_dataloader(train=True, batch_size=BATCH, num_workers=0)

    def loss(batch: Any) -> tuple[Any, int]:
        return one(*batch), len(batch[1][0])

    def validate() -> float:
        network.eval()
        total, count = 0.0, 0
        with torch.no_grad(), quiet():
            for x, y in loader:
                told, actual = network(x)["prediction"], y[0]
                total += len(actual) * float(pinball_loss(told, actual, levels, torch.ones_like(actual)))
                count += len(actual)
        assert count == len(market.validation), (count, len(market.validation))
        return total / count

    return curve(batches(), loss, validate, network, seconds, seconds / 25)


def reached(points: list[list[float]], level: float) -> float | None:
    return next((spent for spent, _, loss in points if loss <= level), None)


def picture(curves: dict[str, list[list[float]]]) -> str:
    """Return the curves as SVG, processor seconds on a logarithmic axis."""
    wide, high, left, top = 760, 420, 60, 20
    colours = ("#1f5fa8", "#4f9bd9", "#2a8f5b", "#7dbb42", "#8a5fc0", "#c05f9b", "#d08a1d", "#777777", "#c0392b")
    points = [p for c in curves.values() for p in c if p[0] > 0]
    x0, x1 = np.log10(min(p[0] for p in points)), np.log10(max(p[0] for p in points))
    low, top_loss = min(p[2] for p in points), float(np.quantile([p[2] for p in points], 0.95))

    def at(spent: float, loss: float) -> str:
        x = left + (np.log10(spent) - x0) / (x1 - x0) * (wide - left - 190)
        y = top + (min(loss, top_loss) - top_loss) / (low - top_loss) * (high - top - 50)
        return f"{x:.1f},{y:.1f}"

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">'
    ]
    out.append(f'<rect width="{wide}" height="{high}" fill="white"/>')
    for power in range(int(np.ceil(x0)), int(np.floor(x1)) + 1):
        x = at(10.0**power, low).split(",")[0]
        out.append(f'<line x1="{x}" x2="{x}" y1="{top}" y2="{high - 50}" stroke="#ddd"/>')
        out.append(f'<text x="{x}" y="{high - 34}" text-anchor="middle">{10**power:g} s</text>')
    for level in np.linspace(low, top_loss, 5):
        y = at(10**x0, level).split(",")[1]
        out.append(f'<text x="{left - 6}" y="{y}" text-anchor="end">{level:.3f}</text>')
    for (name, curve_), colour in zip(sorted(curves.items()), itertools.cycle(colours)):
        path = " ".join(at(p[0], p[2]) for p in curve_ if p[0] > 0)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        y = top + 16 * (sorted(curves).index(name) + 1)
        out.append(f'<text x="{wide - 180}" y="{y}" fill="{colour}">{name}</text>')
    out.append(
        f'<text x="{left}" y="{high - 12}">across: processor seconds of training, a logarithmic scale; '
        "up: validation loss, lower is better</text>"
    )
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seconds", type=float, default=30.0, help="of processor, for our entrants; the peer has 5 x")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--table", action="store_true", help="of the curves that are there; nothing is trained")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    market = Market(given.data)
    jobs: dict[str, Any] = {name: partial(ours, market, k, s, given.seconds) for name, (k, s) in ENTRANTS.items()}
    jobs[PLAIN] = partial(ours, market, 1, 1, 3 * given.seconds)
    jobs[PEER] = partial(peer, market, 5 * given.seconds)
    for name in () if given.table else given.only or jobs:
        path = given.out / f"{name.replace(' ', '_')}.json"
        if not path.is_file():
            print(name, flush=True)
            path.write_text(json.dumps(jobs[name]()), encoding="utf-8")
    if given.only and not given.table:
        return
    paths = {name: given.out / f"{name.replace(' ', '_')}.json" for name in jobs}
    curves = {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}
    best = {name: min(p[2] for p in c) for name, c in curves.items()}
    level = max(best.values())
    print(f"loss {level:.5f}, the best of the worst; processor seconds until it is reached")
    times = {name: reached(c, level) for name, c in curves.items()}
    for name, c in curves.items():
        rate, gain = c[-1][1] / c[-1][0], times.get(PEER, np.nan) / times[name]
        print(f"{name:<22} best {best[name]:.5f}  {times[name]:8.1f} s  {gain:6.1f} x  {rate:7.0f} origins/s")
    if given.picture:
        given.picture.write_text(picture(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
