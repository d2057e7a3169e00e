"""The centre of a forecast: a drift common to all names and a linear part in standardised units.

The drift of the close is a log return per horizon, the same for every name: were it in units of volatility, a rising
market would rank the most volatile names first. Targets other than the close have their level in units of volatility.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.artefacts import array_of
from foresail.forecasting.design import GramBlocks, Scaler, gram_blocks
from foresail.forecasting.rows import Sample
from foresail.forecasting.shrinkage import mixture_coefficients, ridge_coefficients

__all__ = ["Location", "drift_of"]

_DRIFT_CAP = 0.1  # standardised units: the drift never claims a Sharpe ratio above 0.1 per horizon


def drift_of(sample: Sample, k: int, horizons: Sequence[int]) -> FloatArray:
    """Return (H,) mean log return of a target, shrunk towards 0 by its own uncertainty.

    With ``t`` the mean over days divided by its standard error (days of one horizon count once), the mean is multiplied
    by ``max(0, 1 - 1 / t^2)``.
    """
    first = np.flatnonzero(np.concatenate([[True], sample.times[1:] != sample.times[:-1]]))
    count = np.diff(np.concatenate([first, [len(sample)]]))
    days = np.add.reduceat(sample.y[:, k] * sample.unit[:, 0], first, axis=0) / count[:, None]
    if len(days) < 3:
        return np.zeros(days.shape[1])
    mean = days.mean(axis=0)
    error = days.std(axis=0, ddof=1) * np.sqrt(np.asarray(horizons) / len(days))
    keep = np.maximum(0.0, 1.0 - (error / np.where(mean == 0, 1.0, mean)) ** 2)
    return np.asarray(np.round(np.where(mean == 0, 0.0, mean * keep), 10), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """A fitted centre.

    Attributes
    ----------
    scaler : of the features
    offset : (P,) column means of the design
    beta : (P, K, H) standardised
    drift : (K, H) log return, for the close
    level : (K, H) standardised, for other targets; NaN where a target is not available
    is_close : (K,)
    """

    scaler: Scaler
    offset: FloatArray
    beta: FloatArray
    drift: FloatArray
    level: FloatArray
    is_close: tuple[bool, ...]

    @classmethod
    def fit(cls, sample: Sample, spec: ForecasterSpec, *, method: str) -> tuple[Location, tuple[str, ...]]:
        """Return the centre of training rows and notes; ``method`` is ridge, mixture or none."""
        k, h = sample.y.shape[1:]
        use = np.flatnonzero(np.isfinite(sample.y[:1]).all(axis=(0, 2)))
        scaler = Scaler.fit(sample.x)
        width = sample.x.shape[1] + len(scaler.marked)
        notes: tuple[str, ...] = ()
        beta, offset = np.zeros((width, k, h)), np.zeros(width)
        if method != "none":
            flat = sample.y[:, use].reshape(len(sample), -1)
            gram = gram_blocks(scaler, sample.x, flat, sample.times, sample.weights)
            found, notes = _coefficients(gram, method)
            beta[:, use] = found.reshape(width, len(use), h)
            offset[sample.x.shape[1] :] = [float((~np.isfinite(sample.x[:, j])).mean()) for j in scaler.marked]
        level, drift = np.zeros((k, h)), np.zeros((k, h))
        is_close = tuple(name == "close" for name in spec.targets)
        for i in range(k):
            if i not in use:
                level[i] = np.nan
            elif is_close[i]:
                drift[i] = drift_of(sample, i, spec.horizons)
            else:
                level[i] = np.round(sample.y[:, i].mean(axis=0), 10)
        return cls(scaler, offset, beta, drift, level, is_close), notes

    def linear(self, x: FloatArray) -> FloatArray:
        """Return (R, K, H), the part that depends on features; each row by itself, whatever the others are."""
        out = np.zeros((len(x), *self.beta.shape[1:]))
        active = np.flatnonzero(np.abs(self.beta).sum(axis=(1, 2)) > 0)
        if len(active):
            z = self.scaler.columns(x)
            for p in active:
                out += (z[:, p] - self.offset[p])[:, None, None] * self.beta[p]
        return out

    def parts(self, x: FloatArray, at: tuple[int, int]) -> FloatArray:
        """Return (R, F), what each feature adds to the linear part; a mark of missing values counts for its feature.

        Parameters
        ----------
        x : (R, F)
        at : positions of target and horizon
        """
        out = np.zeros((len(x), x.shape[1]))
        beta = self.beta[:, at[0], at[1]]
        active = np.flatnonzero(beta)
        if len(active):
            z = self.scaler.columns(x)
            owner = [*range(x.shape[1]), *self.scaler.marked]
            for p in active.tolist():
                out[:, owner[p]] += (z[:, p] - self.offset[p]) * beta[p]
        return out

    def base(self, unit: FloatArray) -> FloatArray:
        """Return (R, K, H), the part that does not depend on features; ``unit`` is (R, 1, H)."""
        drift = np.clip(self.drift / unit, -_DRIFT_CAP, _DRIFT_CAP)
        return np.asarray(self.level + drift, dtype=np.float64)

    def importance(self, names: Sequence[str]) -> FloatArray:
        """Return (F,) shares of the squared coefficients of the close, 0 if there are none."""
        k = self.is_close.index(True) if True in self.is_close else 0
        squares = (self.beta[:, k] ** 2).sum(axis=1)
        share = squares[: len(names)].copy()
        for m, j in enumerate(self.scaler.marked):
            share[j] += squares[len(names) + m]
        total = float(share.sum())
        return np.asarray(share / total if total > 0 else share, dtype=np.float64)

    def content(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "mean": self.scaler.mean,
            "deviation": self.scaler.deviation,
            "marked": self.scaler.marked,
            "offset": self.offset,
            "beta": self.beta,
            "drift": self.drift,
            "level": self.level,
            "is_close": self.is_close,
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> Location:
        """Return what ``content`` took apart."""
        scaler = Scaler(
            array_of(content["mean"]), array_of(content["deviation"]), tuple(int(j) for j in content["marked"])
        )
        k, h = len(content["drift"]), len(content["drift"][0])
        return cls(
            scaler,
            array_of(content["offset"]),
            array_of(content["beta"]).reshape(-1, k, h),
            array_of(content["drift"]),
            array_of(content["level"]),
            tuple(bool(c) for c in content["is_close"]),
        )


def _coefficients(gram: GramBlocks, method: str) -> tuple[FloatArray, tuple[str, ...]]:
    if method == "ridge":
        beta, strength = ridge_coefficients(gram)
        return beta, ("ridge strength " + ", ".join(f"{s:.3g}" for s in strength),)
    beta = mixture_coefficients(gram)
    return beta, (f"linear centre: size {float(np.sqrt((beta**2).sum(axis=0)).max(initial=0.0)):.3f}",)
