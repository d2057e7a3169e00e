"""GARCH(1,1) and GJR-GARCH by maximum likelihood: fit, filter forward with fixed parameters, variance path.

1. Returns are divided by their standard deviation, so that the optimiser sees the same numbers in any unit.
2. The parameters are written so that every point is admissible: ``alpha / 2``, ``(alpha + gamma) / 2``, ``beta`` and
   what is missing to one are the shares of a softmax (``alpha``, ``beta`` and the rest without leverage).
3. The start is the last fit, or the best of a small grid with the variance targeted on the sample's.
4. The likelihood and its gradient are compiled (``recursion``), the steps are those of L-BFGS.
5. A fit that does not converge, or whose shocks never die out, is not used: the previous parameters are kept or, where
   there are none, exponential smoothing stands in, and a note says so (MODEL-50).

References
----------
[Bollerslev1986], [GlostenJagannathanRunkle1993], [Hansen1994]; checked on the data of [BollerslevGhysels1996] against
the figures of [FiorentiniCalzolariPanattoni1996], all in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.forecasting.econometric.distributions import Distribution, distribution_code
from foresail.forecasting.econometric.recursion import NORMAL, SKEW_T, garch_filter, garch_loss, shape_loss

__all__ = ["EWMA_DECAY", "GarchFit", "GarchSettings", "ewma_stand_in", "fit_garch", "garch_path"]

EWMA_DECAY = 0.94  # of RiskMetrics (MODEL-50, BASE-07)
_FEWEST = 100  # known returns
_FREEDOM_FLOOR, _FREEDOM_RANGE = 2.05, 300.0
_LONGEST = 0.99999  # persistence from which shocks count as permanent
_STEP = 1e-5  # of the central differences in the two shape parameters
_EXPONENT = 12.0  # bound of every transformed parameter


@dataclass(frozen=True, slots=True)
class GarchSettings:
    """What is fitted.

    Attributes
    ----------
    leverage : whether falls weigh more (GJR)
    distribution : normal, t or skew_t
    mean : whether a constant mean is fitted; otherwise it is 0
    start : variance before the first row: "sample" (mean square) or "smoothed" (0.94 over the first 75 rows, as arch)
    """

    leverage: bool = False
    distribution: str = "normal"
    mean: bool = True
    start: str = "sample"


@dataclass(frozen=True, slots=True)
class GarchFit:
    """Fitted parameters in units of the returns given.

    Attributes
    ----------
    start : variance before the first row
    loglikelihood : of the fitted rows; NaN for a stand-in
    converged : whether these are the parameters of this fit rather than kept or stand-in ones
    note : why not, else empty
    """

    mu: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    distribution: Distribution
    start: float
    loglikelihood: float
    converged: bool = True
    note: str = ""

    @property
    def persistence(self) -> float:
        """Share of a shock to the variance that is left one row later."""
        return self.alpha + self.gamma / 2 + self.beta

    def parameters(self) -> FloatArray:
        """Return (5,): mu, omega, alpha, gamma, beta."""
        return np.array([self.mu, self.omega, self.alpha, self.gamma, self.beta])

    def filter(self, returns: FloatArray) -> FloatArray:
        """Return (T,) variance of the next row, known at each row of returns (T,)."""
        out: FloatArray = garch_filter(returns[None], self.parameters()[None], np.array([self.start]))[0]
        return out

    def path(self, variance: FloatArray, horizon: int) -> FloatArray:
        """Return (..., horizon) expected variances of the next rows, given that of the first of them."""
        return garch_path(variance, self.omega, self.persistence, horizon)


def garch_path(variance: FloatArray, omega: float, persistence: float, horizon: int) -> FloatArray:
    """Return (..., horizon): ``h[k] = omega (1 + p + ... + p^(k-1)) + p^k h[0]``, in closed form."""
    power = persistence ** np.arange(horizon)
    summed = np.concatenate([[0.0], np.cumsum(power)[:-1]])
    return np.asarray(omega * summed + power * np.asarray(variance)[..., None], dtype=np.float64)


def ewma_stand_in(returns: FloatArray, note: str, *, decay: float = EWMA_DECAY) -> GarchFit:
    """Return exponential smoothing of squared returns in the form of a fit: mu and omega 0, weights summing to 1."""
    known = returns[np.isfinite(returns)]
    start = float(np.mean(known**2)) if len(known) else float("nan")
    return GarchFit(0.0, 0.0, 1 - decay, 0.0, decay, Distribution(), start, float("nan"), converged=False, note=note)


class _Likelihood:
    """Minus the log likelihood per row as a function of free numbers, with its gradient."""

    def __init__(self, returns: FloatArray, settings: GarchSettings, start: float) -> None:
        self.returns, self.start = returns, start
        self.kind = distribution_code(settings.distribution)
        self.leverage, self.mean = settings.leverage, settings.mean
        self.rows = int(np.isfinite(returns).sum())
        self._z = np.empty(len(returns))
        self._slope = np.empty(5)
        self.shares = 3 if settings.leverage else 2

    def theta(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (5,) mu, omega, up, down, beta; (2,) shape; and the shares that were made on the way."""
        mu = x[0] if self.mean else 0.0
        free = x[2 : 2 + self.shares]
        top = max(0.0, float(free.max()))
        weight = np.exp(free - top)
        share = weight / (weight.sum() + np.exp(-top))
        if self.leverage:
            up, down, beta = 2 * share[0], 2 * share[1], share[2]
        else:
            up = down = share[0]
            beta = share[1]
        rest = x[2 + self.shares :]
        nu, skew = 1e9, 0.0
        if self.kind != NORMAL:
            nu = _FREEDOM_FLOOR + _FREEDOM_RANGE / (1 + np.exp(-rest[0]))
        if self.kind == SKEW_T:
            skew = np.tanh(rest[1])
        return np.array([mu, np.exp(x[1]), up, down, beta]), np.array([nu, skew]), share

    def free(self, theta: FloatArray, shape: FloatArray) -> FloatArray:
        """Return the free numbers of parameters; the inverse of ``theta``."""
        mu, omega, up, down, beta = theta
        share = np.array([up / 2, down / 2, beta]) if self.leverage else np.array([(up + down) / 2, beta])
        share = np.maximum(share, 1e-6)
        slack = max(1.0 - float(share.sum()), 1e-5)
        x = [mu, np.log(max(omega, 1e-10)), *np.log(share / slack)]
        if self.kind != NORMAL:
            part = np.clip((shape[0] - _FREEDOM_FLOOR) / _FREEDOM_RANGE, 1e-5, 1 - 1e-5)
            x.append(np.log(part / (1 - part)))
        if self.kind == SKEW_T:
            x.append(np.arctanh(np.clip(shape[1], -0.95, 0.95)))
        return np.clip(np.array(x, dtype=np.float64), -_EXPONENT, _EXPONENT)

    def __call__(self, x: FloatArray) -> tuple[float, FloatArray]:
        theta, shape, share = self.theta(x)
        loss = garch_loss(self.returns, theta, np.array([self.kind, *shape, self.start]), self._slope, self._z)
        g = self._slope
        out = np.zeros_like(x)
        out[0] = g[0] if self.mean else 0.0
        out[1] = g[1] * theta[1]
        pull = np.array([2 * g[2], 2 * g[3], g[4]]) if self.leverage else np.array([g[2] + g[3], g[4]])
        out[2 : 2 + self.shares] = share * (pull - float(pull @ share))
        self._shape_slope(x, out)
        return loss / self.rows, out / self.rows

    def normal(self, x: FloatArray) -> float:
        """Return the loss were the distribution normal: cheap, and good enough to compare starting points."""
        theta, _, _ = self.theta(x)
        at = np.array([NORMAL, 0.0, 0.0, self.start])
        return garch_loss(self.returns, theta, at, self._slope, self._z)

    def _shape_slope(self, x: FloatArray, out: FloatArray) -> None:
        """Fill in the slopes of the shape parameters; the residuals do not depend on them."""
        for p in range(2 + self.shares, len(x)):
            side = []
            for step in (_STEP, -_STEP):
                moved = x.copy()
                moved[p] += step
                _, shape, _ = self.theta(moved)
                side.append(shape_loss(self._z, self.kind, shape[0], shape[1]))
            out[p] = (side[0] - side[1]) / (2 * _STEP)


def fit_garch(
    returns: FloatArray, settings: GarchSettings | None = None, *, previous: GarchFit | None = None
) -> GarchFit:
    """Return the maximum-likelihood fit of one series.

    Parameters
    ----------
    returns : (T,) log returns in any unit, NaN = missing
    previous : an earlier fit of the same series: where the search starts, and what is kept where it fails

    Raises
    ------
    DataError
        If fewer than 100 returns are known or all are equal.
    """
    from scipy.optimize import minimize

    s = GarchSettings() if settings is None else settings
    known = returns[np.isfinite(returns)]
    unit = float(known.std()) if len(known) else 0.0
    if len(known) < _FEWEST or not unit > 0:
        raise DataError(
            f"expected at least {_FEWEST} returns that differ, received {len(known)} with deviation {unit:g}",
            hint="give a longer history, or use exponential smoothing",
        )
    scaled = returns / unit
    start = float("nan") if s.start == "sample" else _smoothed_start(scaled)
    loss = _Likelihood(scaled, s, start)
    x = _beginning(loss, scaled, previous, unit)
    found = minimize(loss, x, jac=True, method="L-BFGS-B", bounds=[(-_EXPONENT, _EXPONENT)] * len(x),
                     options={"maxiter": 300, "ftol": 1e-12, "gtol": 2e-7})  # fmt: skip
    theta, shape, share = loss.theta(found.x)
    reason = ""
    if not np.isfinite(found.fun) or not (found.success or np.abs(found.jac).max() < 1e-3):
        reason = f"the fit did not converge ({str(found.message).lower()})"
    elif float(share.sum()) > _LONGEST:
        reason = f"persistence {float(share.sum()):.6f}: shocks never die out"
    if reason:
        return _instead(returns, previous, reason)
    mu, omega, up, down, beta = (float(v) for v in theta)
    nu = float(shape[0]) if s.distribution != "normal" else float("inf")
    first = float(np.nanmean((scaled - mu) ** 2)) if np.isnan(start) else start
    return GarchFit(
        mu * unit, omega * unit**2, up, down - up, beta, Distribution(s.distribution, nu, float(shape[1])),
        first * unit**2, -float(found.fun) * loss.rows - loss.rows * float(np.log(unit)),
    )  # fmt: skip


def _smoothed_start(scaled: FloatArray) -> float:
    """Return the starting variance of the library arch: squares of the first 75 rows, weights 0.94^t."""
    first = scaled[np.isfinite(scaled)][:75]
    first = first - float(np.nanmean(scaled))
    weight = EWMA_DECAY ** np.arange(len(first))
    return float(weight @ first**2 / weight.sum())


def _beginning(loss: _Likelihood, scaled: FloatArray, previous: GarchFit | None, unit: float) -> FloatArray:
    """Return the free numbers to start from: the previous fit, or the best of a grid with targeted variance."""
    mean = float(np.nanmean(scaled)) if loss.mean else 0.0
    if previous is not None and previous.converged:
        p, d = previous, previous.distribution
        theta = np.array([p.mu / unit, p.omega / unit**2, p.alpha, p.alpha + p.gamma, p.beta])
        return loss.free(theta, np.array([min(d.freedom, 30.0), d.skew]))
    best, least = np.empty(0), np.inf
    for persistence in (0.9, 0.97, 0.99):
        for news in (0.04, 0.08, 0.15):
            up, down = (0.4 * news, 1.6 * news) if loss.leverage else (news, news)
            theta = np.array([mean, 1 - persistence, up, down, persistence - news])
            x = loss.free(theta, np.array([7.0, -0.05]))
            value = loss.normal(x)
            if value < least:
                best, least = x, value
    return best


def _instead(returns: FloatArray, previous: GarchFit | None, reason: str) -> GarchFit:
    if previous is not None and previous.converged:
        return replace(previous, converged=False, note=f"{reason}; the previous parameters are kept")
    return ewma_stand_in(returns, f"{reason}; exponential smoothing {EWMA_DECAY} stands in")
