"""Does any of many models beat a benchmark, once the search through them is counted?

1. Loss differences (benchmark less model) are resampled by the stationary bootstrap; a draw is a vector of row counts,
   so that all models' means come from one matrix product.
2. White's reality check compares the best mean with the best of the recentred draws.
3. Hansen's test of superior predictive ability (SPA) studentises and does not recentre hopeless models, which would
   only cost power.
4. Romano and Wolf's StepM names the models that are better, at a familywise error.

References: [White2000], [Hansen2005], [RomanoWolf2005] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import DataError
from foresail.measures._checks import finite_series
from foresail.measures.bootstrap import BootstrapSettings, resampled_means

__all__ = ["SuperiorityTest", "reality_check", "superior_models", "superior_predictive_ability"]


@dataclass(frozen=True, slots=True)
class SuperiorityTest:
    """Outcome of a test that no model beats the benchmark.

    Attributes
    ----------
    best : column of the model with the largest statistic
    statistic : of that model; 0 or more for SPA
    p_value : share of draws in which luck does as well
    """

    best: int
    statistic: float
    p_value: float


def reality_check(
    benchmark_loss: ArrayLike, losses: ArrayLike, settings: BootstrapSettings | None = None
) -> SuperiorityTest:
    """Return White's test that no model has a lower expected loss than the benchmark.

    Parameters
    ----------
    benchmark_loss : (T,), finite
    losses : (T, M), finite, on the same dates

    Raises
    ------
    DataError
        If the shapes do not fit or a value is not finite.
    """
    difference = _differences(benchmark_loss, losses)
    mean = difference.mean(axis=0)
    root = math.sqrt(len(difference))
    drawn = root * (resampled_means(difference, settings or BootstrapSettings(), name="superiority") - mean).max(axis=1)
    statistic = root * float(mean.max())
    return SuperiorityTest(int(mean.argmax()), statistic, float(np.mean(drawn >= statistic)))


def superior_predictive_ability(
    benchmark_loss: ArrayLike, losses: ArrayLike, settings: BootstrapSettings | None = None
) -> SuperiorityTest:
    """Return Hansen's studentised test, with its consistent p-value.

    Parameters
    ----------
    benchmark_loss : (T,), finite
    losses : (T, M), finite, on the same dates

    Raises
    ------
    DataError
        If the shapes do not fit or a value is not finite.
    """
    difference = _differences(benchmark_loss, losses)
    drawn = resampled_means(difference, settings or BootstrapSettings(), name="superiority")
    length, mean = len(difference), difference.mean(axis=0)
    spread = _spread(drawn, length)
    hopeless = mean < -spread * math.sqrt(2.0 * math.log(max(math.log(length), 1.0)) / length)
    centre = np.where(hopeless, 0.0, mean)
    scale = math.sqrt(length) / spread
    statistics = mean * scale
    statistic = max(0.0, float(statistics.max()))
    luck = np.maximum(((drawn - centre) * scale).max(axis=1), 0.0)
    return SuperiorityTest(int(statistics.argmax()), statistic, float(np.mean(luck >= statistic)))


def superior_models(
    benchmark_loss: ArrayLike, losses: ArrayLike, settings: BootstrapSettings | None = None
) -> BoolArray:
    """Return which models beat the benchmark, wrong about any of them with probability ``1 - settings.level`` at most.

    Parameters
    ----------
    benchmark_loss : (T,), finite
    losses : (T, M), finite, on the same dates

    Returns
    -------
    (M,) bool

    Raises
    ------
    DataError
        If the shapes do not fit or a value is not finite.
    """
    settings = settings or BootstrapSettings()
    difference = _differences(benchmark_loss, losses)
    drawn, mean = resampled_means(difference, settings, name="superiority"), difference.mean(axis=0)
    spread = _spread(drawn, len(difference))
    statistics, luck = mean / spread, (drawn - mean) / spread
    better = np.zeros(len(mean), dtype=np.bool_)
    while not better.all():
        critical = np.quantile(luck[:, ~better].max(axis=1), settings.level)
        found = ~better & (statistics > critical)
        if not found.any():
            break
        better |= found
    return better


def _differences(benchmark_loss: ArrayLike, losses: ArrayLike) -> FloatArray:
    benchmark = finite_series(benchmark_loss, name="benchmark loss", minimum=4)
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or len(table) != len(benchmark) or not table.shape[1]:
        raise DataError(f"expected losses of shape ({len(benchmark)}, models), received {table.shape}")
    for model in range(table.shape[1]):
        finite_series(table[:, model], name=f"loss of model {model + 1}")
    return benchmark[:, None] - table


def _spread(drawn: FloatArray, length: int) -> FloatArray:
    """Return the long-run deviation of each model's difference; a model equal to the benchmark gets 1, so scores 0."""
    spread: FloatArray = drawn.std(axis=0) * math.sqrt(length)
    return np.where(spread > 1e-300, spread, 1.0)
