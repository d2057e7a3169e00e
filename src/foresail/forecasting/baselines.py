"""Forecasts that know almost nothing: what any model has to beat (BASE-01, 02, 05, 07).

All follow the protocol of real forecasters and are calibrated like them. Those that need the last bar's return read it
from the feature ``log_return_1``; a row of the past never depends on later rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import CapabilityError
from foresail.core.seeds import derive_seed
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of
from foresail.forecasting.location import Location
from foresail.forecasting.residual import ResidualForecaster
from foresail.forecasting.rows import Sample

__all__ = [
    "RETURN_FEATURE",
    "AlwaysNeutral",
    "Drift",
    "HarVolatility",
    "LastDirection",
    "NoChange",
    "RandomHalf",
]

RETURN_FEATURE = "log_return_1"
_STEP = 0.1  # standardised units: how far a baseline that only has a direction moves its centre
_HAR_SPANS = (1, 5, 22)  # bars
_LEAST_RATIO, _MOST_RATIO = 0.05, 20.0  # bounds of predicted variance over the scale's


def _without_drift(location: Location, unit: FloatArray) -> FloatArray:
    """Return (R, K, H): 0 for the close, the usual level for other targets."""
    return np.asarray(np.broadcast_to(location.level, (len(unit), *location.level.shape)), dtype=np.float64).copy()


class NoChange(ResidualForecaster):
    """The mean return is 0 (BASE-05)."""

    kind = "no_change"

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H)."""
        del features, rows
        return _without_drift(location, unit)


class AlwaysNeutral(NoChange):
    """Neither up nor down (BASE-01): no change, with quantiles of the close symmetric around 0."""

    kind = "always_neutral"

    def settle(self, multipliers: FloatArray) -> FloatArray:
        """Return the multipliers of the close made symmetric, where the levels are."""
        out = multipliers.copy()
        levels = np.asarray(self._spec.levels)
        if "close" in self._spec.targets and bool(np.allclose(levels + levels[::-1], 1.0)):
            k = self._spec.targets.index("close")
            out[k] = (out[k] - out[k, :, ::-1]) / 2
        return out


class Drift(ResidualForecaster):
    """The mean return of the training rows goes on (BASE-05)."""

    kind = "drift"

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H)."""
        del features, rows
        return location.base(unit)


class RandomHalf(ResidualForecaster):
    """Up or down with probability one half (BASE-02), a function of seed, instrument and time alone."""

    kind = "random_half"

    def __init__(self, spec: ForecasterSpec) -> None:
        super().__init__(spec)
        self._seed = 0

    def learn(self, data: TrainingSet, train: Sample, rows: IntArray, seed: int) -> tuple[str, ...]:
        """Keep the seed."""
        del data, train, rows
        self._seed = seed
        return ()

    def extra(self) -> dict[str, Any]:
        """Return the seed."""
        return {"seed": self._seed}

    def restore(self, extra: dict[str, Any]) -> None:
        """Take back the seed."""
        self._seed = int(extra["seed"])

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H)."""
        keys = np.array([derive_seed(self._seed, name) for name in features.instruments], dtype=np.uint64)
        sign = _coin(keys[rows[:, 0]], features.end[rows[:, 1]].astype(np.uint64))
        return _towards(_without_drift(location, unit), sign, location)


class LastDirection(ResidualForecaster):
    """The last bar's direction goes on (BASE-05)."""

    kind = "last_direction"

    def __init__(self, spec: ForecasterSpec) -> None:
        super().__init__(spec)
        _require_returns(spec)

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H); no direction where the last return is missing."""
        last = features.field(RETURN_FEATURE)[rows[:, 0], rows[:, 1]]
        return _towards(_without_drift(location, unit), np.nan_to_num(np.sign(last)), location)


class HarVolatility(NoChange):
    """No change, with the spread of a heterogeneous autoregression on squares of 1, 5 and 22 bars (BASE-07).

    ``(label / (scale * sqrt(h)))^2 = a + b1 m1 + b5 m5 + b22 m22``, with ``m`` the mean square of the last bars over
    ``scale^2``; least squares on the training rows, squares capped at 25.

    References
    ----------
    [Corsi2009]
    """

    kind = "har_volatility"

    def __init__(self, spec: ForecasterSpec) -> None:
        super().__init__(spec)
        _require_returns(spec)
        self._beta: FloatArray = np.empty(0)

    def learn(self, data: TrainingSet, train: Sample, rows: IntArray, seed: int) -> tuple[str, ...]:
        """Fit the regression for each horizon."""
        del seed
        k = self._spec.targets.index("close") if "close" in self._spec.targets else 0
        inputs = self._inputs(data.features, rows, train.unit)
        squares = np.minimum(train.y[:, k] ** 2, 25.0)
        self._beta = np.round(np.linalg.lstsq(inputs, squares, rcond=None)[0], 9)
        return ()

    def spread(self, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H)."""
        inputs = self._inputs(features, rows, unit)
        ratio = np.zeros((len(rows), unit.shape[2]))
        for p in range(inputs.shape[1]):  # in fixed order, so that a row does not depend on the others
            ratio += inputs[:, p, None] * self._beta[p]
        return _spread_of(ratio, len(self._spec.targets))

    def extra(self) -> dict[str, Any]:
        """Return the coefficients, (1 + 3, H)."""
        return {"beta": self._beta}

    def restore(self, extra: dict[str, Any]) -> None:
        """Take back the coefficients."""
        self._beta = array_of(extra["beta"])

    def _inputs(self, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        scale = _scale_of(unit, self._spec.horizons)
        columns = [np.ones(len(rows))]
        for span in _HAR_SPANS:
            mean = _mean_squares(features.field(RETURN_FEATURE), rows, span) / scale**2
            columns.append(np.where(np.isfinite(mean), np.minimum(mean, 25.0), 1.0))
        return np.column_stack(columns)


def _require_returns(spec: ForecasterSpec) -> None:
    if RETURN_FEATURE not in spec.features:
        raise CapabilityError(
            f"{spec.name} needs the feature {RETURN_FEATURE}, not among the {len(spec.features)} features given",
            hint=f"add {RETURN_FEATURE} to the features of the run",
        )


def _scale_of(unit: FloatArray, horizons: tuple[int, ...]) -> FloatArray:
    scale: FloatArray = unit[:, 0, 0] / np.sqrt(float(horizons[0]))
    return scale


def _towards(centre: FloatArray, sign: FloatArray, location: Location) -> FloatArray:
    """Move the centre of the close one step in the direction of each row's sign."""
    for k, is_close in enumerate(location.is_close):
        if is_close:
            centre[:, k] += _STEP * sign[:, None]
    return centre


def _spread_of(ratio: FloatArray, targets: int) -> FloatArray:
    """Return (R, K, H) spreads from variance ratios (R, H); 1 where unknown."""
    known = np.clip(np.where(np.isfinite(ratio), ratio, 1.0), _LEAST_RATIO, _MOST_RATIO)
    return np.repeat(np.sqrt(known)[:, None, :], targets, axis=1)


def _coin(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> FloatArray:
    """Return -1 or 1 from two integers per row, by the finaliser of splitmix64."""
    with np.errstate(over="ignore"):
        z = a * np.uint64(0x9E3779B97F4A7C15) + b
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return np.where(z & np.uint64(1), 1.0, -1.0)


def _mean_squares(returns: FloatArray, rows: IntArray, span: int) -> FloatArray:
    """Return (R,) mean squares of the last ``span`` bars, NaN where none is known; summed afresh for each row."""
    total, count = np.zeros(len(rows)), np.zeros(len(rows))
    for back in range(span):
        t = rows[:, 1] - back
        value = np.where(t >= 0, returns[rows[:, 0], np.maximum(t, 0)], np.nan)
        known = np.isfinite(value)
        total += np.where(known, value, 0.0) ** 2
        count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
