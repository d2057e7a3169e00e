"""A cross-section whose truth is known: features of noise, one of which predicts returns with a planted correlation.

Shocks are heavy-tailed, shared by market and sectors, and volatility clusters: forecasters are tested on it, and
``benchmarks/forecast_power.py`` measures how much of the planted skill they find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.domain.training import Targets, TrainingSet

__all__ = ["PlantedMarket", "PlantedSettings", "planted_market"]

_WARM_UP = 60
_MEMORY = (0.0, 0.5, 0.9, 0.97, 0.99)  # of the noise features in turn


@dataclass(frozen=True, slots=True)
class PlantedSettings:
    """What is planted.

    Attributes
    ----------
    skill : correlation of the signal with the standardised return over ``signal_bars``
    noise : number of features that mean nothing
    form : "linear" in the first feature, "step" beyond 1.2 deviations, "dense" in the first ten features
    """

    names: int = 20
    bars: int = 400
    skill: float = 0.05
    noise: int = 8
    form: str = "linear"
    signal_bars: int = 5
    horizons: tuple[int, ...] = (1, 5)
    targets: tuple[str, ...] = ("close",)


@dataclass(frozen=True, slots=True, eq=False)
class PlantedMarket:
    """Features (the last is ``log_return_1``), labels, scale, and the (N, T) signal that was planted."""

    features: Panel
    targets: Targets
    scale: FloatArray
    signal: FloatArray

    def rows(self, first: int, last: int) -> IntArray:
        """Return all (instrument, time) rows with ``first <= time < last``, sorted by time."""
        n = len(self.features.instruments)
        time = np.repeat(np.arange(first, max(first, last)), n)
        return np.column_stack([np.tile(np.arange(n), len(time) // n), time]).astype(np.int64)

    def training_set(self, end: int, *, shares: tuple[float, float] = (0.15, 0.15)) -> TrainingSet:
        """Return what a model serving from ``end`` may see, purged by the longest horizon.

        Parameters
        ----------
        shares : of the window, for validation and calibration
        """
        gap = max(self.targets.horizons)
        second = end - int(end * shares[1])
        first = second - int(end * shares[0])
        train = self.rows(0, first - gap)
        return TrainingSet(
            features=self.features,
            targets=self.targets,
            scale=self.scale,
            train_rows=train,
            validation_rows=self.rows(first, second - gap),
            calibration_rows=self.rows(second, end - gap),
            weights=np.ones(len(train)),
        )


def planted_market(settings: PlantedSettings | None = None, *, seed: int = 0) -> PlantedMarket:
    """Return a simulated cross-section.

    Parameters
    ----------
    seed : the same seed gives the same market
    """
    s = PlantedSettings() if settings is None else settings
    total = s.bars + _WARM_UP
    volatility = _volatility(s.names, total, seed)
    x = _features(s, total, seed)
    signal = _signal(x, s.form)
    returns = volatility * _shocks(s.names, total, seed)
    push = s.skill * np.sqrt(s.signal_bars) * volatility * signal / s.signal_bars
    for k in range(1, s.signal_bars + 1):
        returns[:, k:] += push[:, :-k]
    scale = _scale(returns)
    values = np.concatenate([x, returns[:, :, None]], axis=2)[:, _WARM_UP:]
    end = np.arange(1, s.bars + 1, dtype=np.int64) * NS_PER_DAY
    features = Panel(
        values=np.ascontiguousarray(values),
        present=np.ones((s.names, s.bars), dtype=np.bool_),
        start=end - NS_PER_DAY,
        end=end,
        available_at=end,
        fields=(*(f"feature_{i:02d}" for i in range(s.noise + 1)), "log_return_1"),
        instruments=tuple(InstrumentId(f"sim.TEST.N{i:04d}") for i in range(s.names)),
        frame="1d",
        calendar="24/7",
    )
    targets = _targets(s, returns, volatility, seed)
    return PlantedMarket(features, targets, scale[:, _WARM_UP:].copy(), signal[:, _WARM_UP:].copy())


def _volatility(names: int, total: int, seed: int) -> FloatArray:
    g = generator(seed, "volatility")
    common, own = np.zeros(total), np.zeros((names, total))
    for t in range(1, total):
        common[t] = 0.97 * common[t - 1] + 0.1 * g.standard_normal()
        own[:, t] = 0.95 * own[:, t - 1] + 0.12 * g.standard_normal(names)
    level = np.exp(g.normal(np.log(0.015), 0.4, names))
    return np.asarray(level[:, None] * np.exp(common + own), dtype=np.float64)


def _shocks(names: int, total: int, seed: int, *, freedom: float = 5.0) -> FloatArray:
    g = generator(seed, "shocks")
    unit = np.sqrt(freedom / (freedom - 2))
    market, sector = g.standard_t(freedom, total) / unit, g.standard_t(freedom, (8, total)) / unit
    own = g.standard_t(freedom, (names, total)) / unit
    return np.asarray(0.5 * market + 0.3 * sector[np.arange(names) % 8] + np.sqrt(0.66) * own, dtype=np.float64)


def _features(s: PlantedSettings, total: int, seed: int) -> FloatArray:
    """Return (N, T, F) ranks over the names of a day, scaled to variance 1."""
    g = generator(seed, "features")
    out = np.empty((s.names, total, s.noise + 1))
    for f in range(s.noise + 1):
        memory = 0.0 if f == 0 else _MEMORY[f % len(_MEMORY)]
        z = g.standard_normal((s.names, total))
        for t in range(1, total):
            z[:, t] = memory * z[:, t - 1] + np.sqrt(1 - memory**2) * z[:, t]
        out[:, :, f] = z
    rank = out.argsort(axis=0).argsort(axis=0)
    return np.asarray((rank / max(s.names - 1, 1) - 0.5) * np.sqrt(12.0), dtype=np.float64)


def _signal(x: FloatArray, form: str) -> FloatArray:
    first = x[:, :, 0]
    if form == "dense":
        used = min(10, x.shape[2])
        return np.asarray(x[:, :, :used].sum(axis=2) / np.sqrt(used), dtype=np.float64)
    if form == "step":
        step = np.sign(first) * (np.abs(first) > 1.2)
        return np.asarray(step / max(float(step.std()), 1e-12), dtype=np.float64)
    return first.copy()


def _scale(returns: FloatArray) -> FloatArray:
    """Return the exponentially weighted volatility, known at each bar."""
    variance = np.empty_like(returns)
    variance[:, 0] = (returns[:, :20] ** 2).mean(axis=1)  # lies in the warm-up, which is cut off
    for t in range(1, returns.shape[1]):
        variance[:, t] = 0.94 * variance[:, t - 1] + 0.06 * returns[:, t] ** 2
    return np.sqrt(variance)


def _targets(s: PlantedSettings, returns: FloatArray, volatility: FloatArray, seed: int) -> Targets:
    g = generator(seed, "range")
    level = np.cumsum(returns, axis=1)
    reach = {"close": np.zeros_like(level)}
    reach["high"] = 0.6 * volatility * np.abs(g.standard_normal(level.shape))
    reach["low"] = -0.6 * volatility * np.abs(g.standard_normal(level.shape))
    values = np.full((s.names, s.bars, len(s.targets), len(s.horizons)), np.nan)
    for k, name in enumerate(s.targets):
        for j, h in enumerate(s.horizons):
            ahead = level[:, _WARM_UP + h :] + reach[name][:, _WARM_UP + h :]
            values[:, : s.bars - h, k, j] = ahead - level[:, _WARM_UP : level.shape[1] - h]
    label_end = np.arange(s.bars, dtype=np.int64)[:, None] + np.asarray(s.horizons, dtype=np.int64)
    return Targets(values, label_end, s.targets, s.horizons)
