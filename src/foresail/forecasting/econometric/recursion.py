"""The compiled inner loops of the variance models: recursions, likelihood and its gradient. Plain arrays in and out.

The recursion is that of GJR-GARCH(1,1), of which GARCH is the case ``gamma = 0``::

    e[t] = r[t] - mu
    h[t+1] = omega + alpha e[t]^2 + gamma e[t]^2 [e[t] < 0] + beta h[t]

with ``e^2`` and ``h`` before the first row equal to a starting value (half of it below zero). Where a return is missing
its square counts as expected: ``h[t+1] = omega + (alpha + gamma / 2 + beta) h[t]``. Below, ``up = alpha`` and
``down = alpha + gamma`` are the weights of squares above and below zero.

References
----------
[GlostenJagannathanRunkle1993], [Hansen1994] in docs/REFERENCES.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from foresail.core.arrays import FloatArray

__all__ = ["NORMAL", "SKEW_T", "STUDENT", "ewma_filter", "garch_filter", "garch_loss", "shape_loss"]

NORMAL, STUDENT, SKEW_T = 0, 1, 2  # codes of the distributions
_LEAST = 1e-12  # variance in units of the sample's: keeps logarithms finite far from the optimum

_MANY = 1e100  # a product of terms is turned into its logarithm beyond this

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    """Compile a function; no fast-math, so that results do not depend on how the compiler orders operations."""
    return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))


@_compiled
def garch_filter(returns: FloatArray, parameters: FloatArray, start: FloatArray) -> FloatArray:
    """Return (N, T) variance of the next row, known at each row.

    Parameters
    ----------
    returns : (N, T) log returns, NaN = missing
    parameters : (N, 5): mu, omega, alpha, gamma, beta, in units of the returns
    start : (N,) variance before the first known return of each instrument

    Notes
    -----
    NaN before the first known return.
    """
    n, t = returns.shape
    out = np.full((n, t), np.nan)
    for i in range(n):
        mu, omega, alpha, gamma, beta = parameters[i]
        h = omega + (alpha + 0.5 * gamma + beta) * start[i]
        begun = False
        for j in range(t):
            e = returns[i, j] - mu
            if np.isfinite(e):
                begun = True
                weight = alpha + gamma if e < 0.0 else alpha
                h = omega + weight * e * e + beta * h
            elif begun:
                h = omega + (alpha + 0.5 * gamma + beta) * h
            if begun:
                out[i, j] = h
    return out


@_compiled
def ewma_filter(squares: FloatArray, decay: FloatArray, start: FloatArray) -> FloatArray:
    """Return (N, T) exponentially weighted means of non-negative values, known at each row.

    Parameters
    ----------
    squares : (N, T), NaN = missing, which leaves the mean unchanged
    decay : (N,) weight of the mean so far
    start : (N,) mean before the first value; NaN = the first value itself
    """
    n, t = squares.shape
    out = np.full((n, t), np.nan)
    for i in range(n):
        value = start[i]
        begun = False
        for j in range(t):
            square = squares[i, j]
            if np.isfinite(square):
                begun = True
                value = decay[i] * value + (1.0 - decay[i]) * square if np.isfinite(value) else square
            if begun:
                out[i, j] = value
    return out


@_compiled
def _skew_constants(nu: float, skew: float) -> tuple[float, float, float]:
    """Return a, b and log c of the density of Hansen."""
    log_c = math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))
    a = 4.0 * skew * math.exp(log_c) * (nu - 2.0) / (nu - 1.0)
    b = math.sqrt(1.0 + 3.0 * skew * skew - a * a)
    return a, b, log_c


@_compiled
def shape_loss(z: FloatArray, kind: int, nu: float, skew: float) -> float:
    """Return minus the log density of standardised residuals (T,), NaN skipped."""
    total = 0.0
    if kind == NORMAL:
        for x in z:
            if np.isfinite(x):
                total += 0.5 * (math.log(2.0 * math.pi) + x * x)
        return total
    a, b, log_c = _skew_constants(nu, skew)
    constant = log_c + math.log(b)
    left, right = 1.0 / ((1.0 - skew) ** 2 * (nu - 2.0)), 1.0 / ((1.0 + skew) ** 2 * (nu - 2.0))
    product = 1.0  # one logarithm for many rows
    for x in z:
        if np.isfinite(x):
            y = b * x + a
            product *= 1.0 + y * y * (left if y < 0.0 else right)
            if product > _MANY:
                total += 0.5 * (nu + 1.0) * math.log(product)
                product = 1.0
            total -= constant
    return total + 0.5 * (nu + 1.0) * math.log(product)


@_compiled
def _mean_square(returns: FloatArray, mu: float) -> tuple[float, float]:
    """Return the mean of ``(r - mu)^2`` over known returns and its slope in mu."""
    total, drift, count = 0.0, 0.0, 0
    for r in returns:
        if np.isfinite(r):
            total += (r - mu) ** 2
            drift += r - mu
            count += 1
    return total / count, -2.0 * drift / count


@_compiled
def _pull(z: float, nu: float, constants: tuple[float, float, float, float]) -> float:
    """Return the slope of minus the log density of Hansen in the standardised residual."""
    a, b, left, right = constants
    y = b * z + a
    s = y * (left if y < 0.0 else right)
    return float((nu + 1.0) * b * s / (1.0 + y * s))


@_compiled
def _advance(d: FloatArray, theta: FloatArray, e: float, h: float) -> float:
    """Return the next variance and move its slopes (5,) along; ``e`` is NaN where the return is missing."""
    omega, up, down, beta = theta[1], theta[2], theta[3], theta[4]
    known = np.isfinite(e)
    square, weight = h, 0.5 * (up + down)
    if known:
        square, weight = e * e, down if e < 0.0 else up
    for p in range(5):
        d[p] *= beta if known else weight + beta
    if known:
        d[0] -= 2.0 * weight * e
        d[3 if e < 0.0 else 2] += square
    else:
        d[2] += 0.5 * h
        d[3] += 0.5 * h
    d[1] += 1.0
    d[4] += h
    return float(omega + weight * square + beta * h)


@_compiled
def garch_loss(returns: FloatArray, theta: FloatArray, shape: FloatArray, slope: FloatArray, z: FloatArray) -> float:
    """Return minus the log likelihood of a series; fill in its gradient and the standardised residuals.

    Parameters
    ----------
    returns : (T,), NaN = missing
    theta : (5,): mu, omega, up, down, beta
    shape : (4,): code of the distribution, degrees of freedom, skew, and the variance before the first row; the last
        is NaN for the mean square of ``returns - mu``
    slope : (5,), receives the gradient in theta
    z : (T,), receives the residuals
    """
    mu, omega, up, down, beta = theta
    start, d_start = shape[3], 0.0
    if np.isnan(start):
        start, d_start = _mean_square(returns, mu)
    persistence = 0.5 * (up + down) + beta
    h = omega + persistence * start
    d = np.array([persistence * d_start, 1.0, 0.5 * start, 0.5 * start, start])
    heavy, nu, skew = shape[0] != NORMAL, shape[1], shape[2]
    constants = (0.0, 1.0, 1.0, 1.0)
    if heavy:
        a, b, _ = _skew_constants(nu, skew)
        constants = (a, b, 1.0 / ((1.0 - skew) ** 2 * (nu - 2.0)), 1.0 / ((1.0 + skew) ** 2 * (nu - 2.0)))
    slope[:] = 0.0
    loss, product = 0.0, 1.0  # one logarithm for many rows
    for t in range(len(returns)):
        h = max(h, _LEAST)
        inverse = 1.0 / h
        root = math.sqrt(inverse)
        e = returns[t] - mu
        z[t] = e * root
        if np.isfinite(e):
            pull = _pull(z[t], nu, constants) if heavy else z[t]
            product *= h
            if product > _MANY or product < 1.0 / _MANY:
                loss += 0.5 * math.log(product)
                product = 1.0
            push = 0.5 * (1.0 - pull * z[t]) * inverse
            for p in range(5):  # no array expression: it would allocate
                slope[p] += push * d[p]
            slope[0] -= pull * root
        h = _advance(d, theta, e, h)
    return loss + 0.5 * math.log(product) + shape_loss(z, int(shape[0]), shape[1], shape[2])
