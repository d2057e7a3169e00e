"""Our own variance forecast: HAR means, leverage and GJR-GARCH in one equation that minimises QLIKE itself.

1. Variances of each instrument are divided by their mean in the past, so that instruments share one equation.
2. The inputs are logarithms of trailing means over 1, 5, 22 and 66 rows; falls and moves of the last row, of 5 and of
   22 rows, in units of the monthly volatility; and the logarithm of the variance that GJR-GARCH with skewed t expects.
3. ``log f = x b`` is fitted by minimising the mean of ``v / f + log f`` (the quasi-likelihood, whose loss is QLIKE) by
   Newton steps; rows lose half of their weight in 500 rows, coefficients are shrunk. No correction on the way back from
   logarithms is needed: the fit makes the weighted mean of ``v / f`` one.

Everything was chosen on data to 2009 (docs/guide/volatility-models.md).

References
----------
[Patton2011], [Corsi2009], [GlostenJagannathanRunkle1993] in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.forecasting.econometric.garch import GarchSettings
from foresail.forecasting.econometric.har import mean_ahead, trailing_mean
from foresail.forecasting.econometric.recursion import ewma_filter
from foresail.forecasting.econometric.variance import Garch, History, VarianceModel, enough_history, filled_means

__all__ = ["CombinationSettings", "VarianceCombination", "minimise_qlike"]

_SPANS = (1, 5, 22, 66)
_FEWEST_ROWS = 250
_MOST = 25.0  # a log forecast stays within this distance of the long-run mean


@dataclass(frozen=True, slots=True)
class CombinationSettings:
    """How the equation is fitted.

    Attributes
    ----------
    half_life : rows in which the weight of a row halves
    ridge : strength on standardised inputs, per unit of weight
    """

    half_life: float = 500.0
    ridge: float = 0.03


def minimise_qlike(design: FloatArray, outcome: FloatArray, weights: FloatArray, ridge: float) -> FloatArray:
    """Return (1 + F,) coefficients b minimising ``sum w (v exp(-x b) + x b) + ridge sum(w) |b_std|^2 / 2``.

    Parameters
    ----------
    design : (R, F), finite
    outcome : (R,), > 0
    weights : (R,), >= 0

    Notes
    -----
    Convex; Newton steps with halving, until the loss changes by less than 1e-12 of itself.
    """
    centre, width = design.mean(axis=0), design.std(axis=0)
    width = np.where(width > 1e-12, width, 1.0)
    z = np.column_stack([np.ones(len(design)), (design - centre) / width])
    w = weights / weights.sum()
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 0.0

    def loss(b: FloatArray) -> float:
        level = z @ b
        return float(w @ (outcome * np.exp(-level) + level) + 0.5 * penalty @ b**2)

    b = np.zeros(z.shape[1])
    b[0] = np.log(w @ outcome)
    value = loss(b)
    for _ in range(100):
        ratio = outcome * np.exp(-(z @ b))
        slope = z.T @ (w * (1.0 - ratio)) + penalty * b
        curve = (z * (w * ratio)[:, None]).T @ z + np.diag(penalty + 1e-10)
        step = np.linalg.solve(curve, slope)
        size, moved = 1.0, loss(b - step)
        while not moved <= value and size > 1e-6:
            size /= 2
            moved = loss(b - size * step)
        b = b - size * step if moved <= value else b
        gain, value = value - moved, min(moved, value)
        if not gain > 1e-12 * max(abs(value), 1.0):
            break
    beta = b[1:] / width
    return np.round(np.concatenate([[b[0] - float(centre @ beta)], beta]), 12)


class VarianceCombination(VarianceModel):
    """See the module."""

    def __init__(self, settings: CombinationSettings | None = None) -> None:
        self.settings = CombinationSettings() if settings is None else settings
        self._garch = Garch(GarchSettings(leverage=True, distribution="skew_t"))
        self._level = np.empty(0)
        self._beta = np.empty((0, 0))  # (H, 1 + F); no rows: exponential smoothing stands in

    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Fit GJR-GARCH per instrument, then one equation per horizon over all instruments."""
        self.horizons = horizons
        notes = self._garch.fit(past)
        known = np.isfinite(past.variance)
        total = np.where(known, past.variance, 0.0).sum(axis=1)
        self._level = np.where(total > 0, total / np.maximum(known.sum(axis=1), 1), 1.0)
        design, complete = self._design(past)
        usable = complete & np.isfinite(design).all(axis=-1) & enough_history(past.returns)[:, None]
        end = past.variance.shape[1]
        age = np.broadcast_to(end - np.arange(end), past.variance.shape)
        found = []
        for horizon in horizons:
            goal = mean_ahead(past.variance, horizon) / self._level[:, None]
            use = usable & (goal > 0)
            if int(use.sum()) < _FEWEST_ROWS:
                self._beta = np.empty((0, 0))
                return (*notes, f"{int(use.sum())} complete rows: exponential smoothing stands in for the combination")
            weights = 0.5 ** (age[use] / self.settings.half_life)
            found.append(minimise_qlike(design[use], goal[use], weights, self.settings.ridge))
        self._beta = np.array(found)
        return notes

    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H); exponential smoothing where an input is missing."""
        n = len(history.variance)
        stand_in = ewma_filter(history.variance, np.full(n, 0.94), np.full(n, np.nan))
        out = np.repeat(stand_in[..., None], len(self.horizons), axis=2)
        if not len(self._beta):
            return out
        design, _ = self._design(history)
        for j, beta in enumerate(self._beta):
            value = np.full(history.variance.shape, beta[0])
            for p in range(design.shape[2]):  # in fixed order, so that a row does not depend on the others
                value += design[:, :, p] * beta[1 + p]
            value = np.exp(np.clip(value, -_MOST, _MOST)) * self._level[:, None]
            out[:, :, j] = np.where(np.isfinite(value), value, out[:, :, j])
        return out

    def content(self) -> dict[str, Any]:
        """Return levels, equations and the parameters of GJR-GARCH."""
        return {"level": self._level, "beta": self._beta, "garch": self._garch.content()}

    def restore(self, content: dict[str, Any]) -> None:
        """Take back what ``content`` gave."""
        self._level = np.array(content["level"], dtype=np.float64)
        beta = np.array(content["beta"], dtype=np.float64)
        self._beta = beta if beta.ndim == 2 else np.empty((0, 0))
        self._garch.restore(content["garch"])

    def _design(self, history: History) -> tuple[FloatArray, BoolArray]:
        variance = history.variance / self._level[:, None]
        means, complete = filled_means(variance, _SPANS)
        root = np.sqrt(self._level)[:, None]
        r = np.where(np.isfinite(history.returns), history.returns / root, 0.0)
        deviation = np.sqrt(means[2])
        week = trailing_mean(r, 5) * np.sqrt(5.0) / deviation
        month = trailing_mean(r, 22) * np.sqrt(22.0) / deviation
        day = r / deviation
        expected = self._garch.forecast(history)[:, :, 0] / self._level[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = [np.log(m) for m in means]
            garch = np.log(expected)
        falls = [np.minimum(x, 0.0) for x in (day, week, month)]
        return np.stack([*logs, falls[0], np.abs(day), falls[1], falls[2], week, month, garch], axis=-1), complete
