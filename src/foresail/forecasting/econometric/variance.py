"""Variance models with one small interface: fit on a past window, then forecast every row with fixed parameters.

``forecast`` gives, for every row and horizon, the mean variance of the next ``h`` rows as far as it is known at the
row. Smoothing models say the same for all horizons, GARCH has a closed form, regressions are fitted for each horizon.
Every instrument has its own parameters unless a model says otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import ConfigError, DataError
from foresail.forecasting.econometric.distributions import Distribution
from foresail.forecasting.econometric.garch import EWMA_DECAY, GarchFit, GarchSettings, ewma_stand_in, fit_garch
from foresail.forecasting.econometric.har import (
    HAR_LAGS,
    HarFit,
    fit_ols,
    leverage_terms,
    mean_ahead,
    trailing_mean,
)
from foresail.forecasting.econometric.recursion import ewma_filter, garch_filter

__all__ = [
    "LEAST_HISTORY",
    "Ewma",
    "Garch",
    "Har",
    "HarSettings",
    "History",
    "Rolling",
    "VarianceModel",
    "enough_history",
    "filled_means",
]

LEAST_HISTORY = 250  # known returns below which exponential smoothing stands in for a fitted model
_DECAYS = np.round(np.arange(0.80, 0.995, 0.01), 2)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What variance models see of N instruments; row t holds what is known at t.

    Attributes
    ----------
    returns : (N, T) log returns, NaN = missing
    variance : (N, T) variance of each row, > 0, NaN = missing: realised, from ranges, or the squared return
    quarticity : (N, T) or None, for the term of HARQ
    """

    returns: FloatArray
    variance: FloatArray
    quarticity: FloatArray | None = None

    def until(self, end: int) -> History:
        """Return the rows before ``end``."""
        q = self.quarticity
        return History(self.returns[:, :end], self.variance[:, :end], None if q is None else q[:, :end])


def enough_history(returns: FloatArray, least: int = LEAST_HISTORY) -> BoolArray:
    """Return (N,) whether an instrument has enough known returns that differ for parameters of its own."""
    known = np.isfinite(returns)
    moved = np.where(known, np.abs(np.where(known, returns, 0.0)), 0.0) > 0
    enough: BoolArray = (known.sum(axis=1) >= least) & (moved.sum(axis=1) >= least // 2)
    return enough


class VarianceModel(ABC):
    """Fit on past rows, forecast any row.

    Attributes
    ----------
    horizons : rows ahead, those of the fit
    """

    horizons: tuple[int, ...] = (1,)

    @abstractmethod
    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Learn from all rows given; return notes about everything that did not go as planned."""

    @abstractmethod
    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H) mean variance of the next ``h`` rows, known at each row; NaN where nothing is known."""

    def distributions(self) -> tuple[Distribution | None, ...] | None:
        """Return the standardised distribution of each instrument, None where there is none."""
        return None

    def content(self) -> dict[str, Any]:
        """Return what was fitted, as JSON."""
        return {}

    def restore(self, content: dict[str, Any]) -> None:
        """Take back what ``content`` gave."""
        del content


@dataclass(eq=False)
class Rolling(VarianceModel):
    """The mean variance of the last rows; one row is the naive forecast that repeats the last value."""

    span: int = 22

    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Learn nothing."""
        del past
        self.horizons = horizons
        return ()

    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H), the same for all horizons."""
        mean = trailing_mean(history.variance, self.span, least=1)
        return np.repeat(mean[..., None], len(self.horizons), axis=2)


@dataclass(eq=False)
class Ewma(VarianceModel):
    """Exponentially weighted mean of the variance, ``f[t] = decay f[t-1] + (1 - decay) v[t]``.

    Attributes
    ----------
    decay : 0.94 of RiskMetrics; None = the one of 0.80 to 0.99 with the lowest QLIKE in the past, per instrument
    """

    decay: float | None = EWMA_DECAY
    found: FloatArray = field(default_factory=lambda: np.empty(0))

    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Choose the decay where it is not given."""
        self.horizons = horizons
        n = len(past.variance)
        self.found = np.full(n, EWMA_DECAY if self.decay is None else self.decay)
        if self.decay is None:
            loss = np.array([self._loss(past.variance, np.full(n, d)) for d in _DECAYS])
            known = np.isfinite(loss).all(axis=0)
            self.found[known] = _DECAYS[np.argmin(loss[:, known], axis=0)]
        return ()

    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H), the same for all horizons."""
        value = ewma_filter(history.variance, self.found, np.full(len(history.variance), np.nan))
        return np.repeat(value[..., None], len(self.horizons), axis=2)

    def content(self) -> dict[str, Any]:
        """Return decays."""
        return {"decay": self.found}

    def restore(self, content: dict[str, Any]) -> None:
        """Take back the decays."""
        self.found = np.array(content["decay"], dtype=np.float64)

    @staticmethod
    def _loss(variance: FloatArray, decay: FloatArray) -> FloatArray:
        """Return (N,) QLIKE without its constant, from row 22 on."""
        f = ewma_filter(variance, decay, np.full(len(decay), np.nan))[:, 21:-1]
        v = variance[:, 22:]
        use = np.isfinite(v) & (f > 0)
        safe = np.where(use, f, 1.0)
        total = np.where(use, v / safe + np.log(safe), 0.0).sum(axis=1)
        count = use.sum(axis=1)
        return np.asarray(np.where(count >= 66, total / np.maximum(count, 1), np.nan), dtype=np.float64)


def filled_means(variance: FloatArray, spans: tuple[int, ...]) -> tuple[list[FloatArray], BoolArray]:
    """Return trailing means and the rows on which all of them rest on nearly complete windows.

    A mean whose window holds no known value takes that of the next longer span, so that a gap of a few rows leaves a
    forecast; such rows are not fitted on.

    Returns
    -------
    (N, T) per span, and (N, T): windows that began after the first known value and lack at most a fifth
    """
    means = [trailing_mean(variance, span, least=1) for span in spans]
    for shorter in range(len(spans) - 2, -1, -1):
        gap = ~np.isfinite(means[shorter])
        means[shorter] = np.where(gap, means[shorter + 1], means[shorter])
    known = np.isfinite(variance)
    age = np.cumsum(np.cumsum(known, axis=1) > 0, axis=1)
    complete = known & (age >= max(spans))
    for span in spans:
        complete &= np.isfinite(trailing_mean(variance, span, least=int(np.ceil(0.8 * span))))
    return means, complete


@dataclass(frozen=True, slots=True)
class HarSettings:
    """Which heterogeneous autoregression.

    Attributes
    ----------
    lags : rows of the trailing means; HAR-X takes 1, 5, 22, 66, 252
    log : in logarithms of the trailing means, multiplied by ``exp(residual variance / 2)`` on the way back
    leverage : adds ``min(r, 0)`` and ``|r|`` (HAR-X), in units of the monthly volatility where ``log``
    quarticity : adds the daily variance times the root of quarticity (HARQ), which needs ``History.quarticity``
    insanity : a forecast outside what the training rows ever saw becomes their mean
    """

    lags: tuple[int, ...] = HAR_LAGS
    log: bool = False
    leverage: bool = False
    quarticity: bool = False
    insanity: bool = True


class Har(VarianceModel):
    """Heterogeneous autoregression of each instrument, one equation per horizon."""

    def __init__(self, settings: HarSettings | None = None) -> None:
        self.settings = HarSettings() if settings is None else settings
        self._beta = np.empty((0, 0, 0))  # (N, H, 1 + F); NaN = exponential smoothing stands in
        self._bounds = np.empty((0, 0, 3))  # (N, H): lowest, highest, mean of the training rows
        self._shift = np.empty((0, 0))  # (N, H): half the residual variance where in logarithms

    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Fit by least squares, instrument by instrument; too short a history is left to exponential smoothing."""
        self.horizons = horizons
        design, complete = self._design(past)
        n, h, f = len(design), len(horizons), design.shape[2]
        self._beta, self._bounds = np.full((n, h, 1 + f), np.nan), np.full((n, h, 3), np.nan)
        self._shift = np.zeros((n, h))
        short = 0
        enough = enough_history(past.returns)
        for j, horizon in enumerate(horizons):
            goal = mean_ahead(past.variance, horizon)
            for i in range(n):
                fit = self._equation(design[i], goal[i], complete[i]) if enough[i] else None
                if fit is None:
                    short += j == 0
                    continue
                self._beta[i, j] = fit.intercept, *fit.beta
                known = goal[i][np.isfinite(goal[i])]
                self._bounds[i, j] = known.min(), known.max(), known.mean()
                self._shift[i, j] = fit.residual_variance / 2 if self.settings.log else 0.0
        self._beta, self._shift = np.round(self._beta, 12), np.round(self._shift, 12)
        return (_short_note(short, n),) if short else ()

    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H)."""
        design, _ = self._design(history)
        stand_in = ewma_filter(history.variance, np.full(len(design), EWMA_DECAY), np.full(len(design), np.nan))
        out = np.empty((*history.variance.shape, len(self.horizons)))
        for j in range(len(self.horizons)):
            value = np.repeat(self._beta[:, j, :1], design.shape[1], axis=1)
            for p in range(design.shape[2]):  # in fixed order, so that a row does not depend on the others
                value += design[:, :, p] * self._beta[:, j, 1 + p, None]
            if self.settings.log:
                value = np.exp(value + self._shift[:, j, None])
            if self.settings.insanity:
                low, high, mean = (self._bounds[:, j, b, None] for b in range(3))
                value = np.where((value < low) | (value > high), mean, value)
            out[:, :, j] = np.where(value > 0, value, stand_in)
        return out

    def content(self) -> dict[str, Any]:
        """Return equations and bounds."""
        return {"beta": self._beta, "bounds": self._bounds, "shift": self._shift}

    def restore(self, content: dict[str, Any]) -> None:
        """Take back the equations."""
        self._beta, self._bounds, self._shift = (
            np.array(content[k], dtype=np.float64) for k in ("beta", "bounds", "shift")
        )

    def _equation(self, design: FloatArray, goal: FloatArray, complete: BoolArray) -> HarFit | None:
        target = np.log(np.where(goal > 0, goal, np.nan)) if self.settings.log else goal
        try:
            return fit_ols(design[None], target[None], rows=complete[None])
        except DataError:
            return None  # counted and noted by the caller

    def _design(self, history: History) -> tuple[FloatArray, BoolArray]:
        s = self.settings
        means, complete = filled_means(history.variance, s.lags)
        extras: list[FloatArray] = []
        if s.leverage:
            r = np.where(np.isfinite(history.returns), history.returns, 0.0)
            if s.log:
                deviation = np.sqrt(trailing_mean(history.variance, 22, least=1))
                r = np.where(deviation > 0, r / np.where(deviation > 0, deviation, 1.0), 0.0)
            extras += leverage_terms(r)
        if s.quarticity:
            if history.quarticity is None:
                raise ConfigError("HARQ needs the quarticity of each row, received none", hint="use HAR or log-HAR")
            extras.append(means[0] * np.sqrt(history.quarticity))
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [np.log(m) for m in means] if s.log else means
        return np.stack([*columns, *extras], axis=-1), complete


class Garch(VarianceModel):
    """GARCH(1,1) or GJR of each instrument's returns, restarted from its last parameters.

    Parameters
    ----------
    settings : leverage, distribution, mean, start
    to_proxy : whether forecasts are multiplied by the mean ratio of ``History.variance`` to them in the past, which
        makes them forecasts of that measure rather than of squared returns
    """

    def __init__(self, settings: GarchSettings | None = None, *, to_proxy: bool = False) -> None:
        self.settings = GarchSettings() if settings is None else settings
        self.to_proxy = to_proxy
        self.fits: tuple[GarchFit, ...] = ()
        self._factor = np.empty(0)

    def fit(self, past: History, horizons: tuple[int, ...] = (1,)) -> tuple[str, ...]:
        """Fit by maximum likelihood; a failure keeps the last parameters or exponential smoothing, with a note."""
        self.horizons = horizons
        n = len(past.returns)
        before = self.fits if len(self.fits) == n else (None,) * n
        enough = enough_history(past.returns)
        self.fits = tuple(
            fit_garch(past.returns[i], self.settings, previous=before[i])
            if enough[i]
            else ewma_stand_in(past.returns[i], "short history")
            for i in range(n)
        )
        short = int(n - enough.sum())
        notes = [_short_note(short, n)] if short else []
        failed = [i for i in range(n) if enough[i] and not self.fits[i].converged]
        notes += [f"instrument {i}: {self.fits[i].note}" for i in failed[:5]]
        if len(failed) > 5:
            notes.append(f"{len(failed)} of {n} instruments were not refitted; five are named")
        self._factor = np.ones(n)
        if self.to_proxy:
            ratio = past.variance[:, 1:] / self._one_ahead(past.returns)[:, :-1]
            known = np.isfinite(ratio)
            count = known.sum(axis=1)
            mean = np.where(known, ratio, 0.0).sum(axis=1) / np.maximum(count, 1)
            self._factor = np.where(count > 0, mean, 1.0)
        return tuple(notes)

    def forecast(self, history: History) -> FloatArray:
        """Return (N, T, H), the closed form ``m + (h1 - m) (1 - p^h) / (h (1 - p))`` around the long-run mean m."""
        first = self._one_ahead(history.returns)
        out = np.empty((*first.shape, len(self.horizons)))
        for i, fit in enumerate(self.fits):
            for j, horizon in enumerate(self.horizons):
                power = fit.persistence ** np.arange(horizon)
                own = float(power.mean())
                drift = fit.omega * float(np.arange(horizon - 1, 0, -1) @ power[:-1]) / horizon if horizon > 1 else 0.0
                out[i, :, j] = self._factor[i] * (drift + own * first[i])
        return out

    def distributions(self) -> tuple[Distribution | None, ...]:
        """Return the fitted distributions, None for a stand-in."""
        return tuple(f.distribution if f.converged else None for f in self.fits)

    def content(self) -> dict[str, Any]:
        """Return parameters."""
        rows = [[f.mu, f.omega, f.alpha, f.gamma, f.beta, f.start] for f in self.fits]
        shapes = [
            [f.distribution.name, f.distribution.freedom if np.isfinite(f.distribution.freedom) else 0.0,
             f.distribution.skew] for f in self.fits
        ]  # fmt: skip
        return {
            "parameters": rows,
            "shapes": shapes,
            "factor": self._factor,
            "converged": [f.converged for f in self.fits],
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take back the parameters."""
        self._factor = np.array(content["factor"], dtype=np.float64)
        fits = []
        for row, (name, freedom, skew), good in zip(
            content["parameters"], content["shapes"], content["converged"], strict=True
        ):
            mu, omega, alpha, gamma, beta, start = (float("nan") if v is None else float(v) for v in row)
            shape = Distribution(name, float(freedom) if freedom else float("inf"), float(skew))
            fits.append(GarchFit(mu, omega, alpha, gamma, beta, shape, start, float("nan"), bool(good)))
        self.fits = tuple(fits)

    def _one_ahead(self, returns: FloatArray) -> FloatArray:
        parameters = np.array([f.parameters() for f in self.fits])
        start = np.array([f.start for f in self.fits])
        out: FloatArray = garch_filter(returns, parameters, np.where(np.isfinite(start), start, 0.0))
        return out


def _short_note(short: int, n: int) -> str:
    return (
        f"{short} of {n} instruments have fewer than {LEAST_HISTORY} usable returns: exponential smoothing "
        f"{EWMA_DECAY} stands in"
    )
