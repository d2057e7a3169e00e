"""The compiled inner loops of the variance models: recursions, likelihood and its gradient. Plain arrays in and out.

The recursion is that of GJR-GARCH(1,1), of which GARCH is the case ``gamma = 0``::

    e[t] = r[t] - mu
    h[t+1] = omega + alpha e[t]^2 + gamma e[t]^2 [e[t] < 0] + beta h[t]

with ``e^2`` and ``h`` before the first row equal to a starting value (half of it below zero). Where a return is missing
its square counts as expected: ``h[t+1] = omega + (alpha + gamma / 2 + beta) h[t]``. Below, ``up = alpha`` and
``down = alpha + gamma`` are the weights of squares above and below zero.

References
----------
[Glosten1993], [Hansen1994] in docs/REFERENCES.md.
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
    return cast("_Function", njit(cache=True, nogil=True)(function))


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
    product = 1.0  # one logarithm for many rows
    for x in z:
        if np.isfinite(x):
            y = b * x + a
            s = y / (1.0 - skew) if y < 0.0 else y / (1.0 + skew)
            product *= 1.0 + s * s / (nu - 2.0)
            if product > _MANY:
                total += 0.5 * (nu + 1.0) * math.log(product)
                product = 1.0
            total -= constant
    return total + 0.5 * (nu + 1.0) * math.log(product)


@_compiled
def garch_loss(
    returns: FloatArray, theta: FloatArray, kind: int, shape: FloatArray, start: float, slope: FloatArray, z: FloatArray
) -> float:
    """Return minus the log likelihood of a series, its gradient and the standardised residuals.

    Parameters
    ----------
    returns : (T,), NaN = missing
    theta : (5,): mu, omega, up, down, beta
    kind : NORMAL, STUDENT or SKEW_T
    shape : (2,): degrees of freedom, skew; not used for NORMAL, skew 0 for STUDENT
    start : variance before the first row; NaN = the mean square of ``returns - mu``
    slope : (5,), receives the gradient
    z : (T,), receives the residuals
    """
    mu, omega, up, down, beta = theta
    d = np.zeros(5)  # of the variance
    mean_weight = 0.5 * (up + down)
    first, d_first = start, 0.0
    if np.isnan(start):
        total, drift, count = 0.0, 0.0, 0
        for r in returns:
            if np.isfinite(r):
                total += (r - mu) ** 2
                drift += r - mu
                count += 1
        first, d_first = total / count, -2.0 * drift / count
    h = omega + (mean_weight + beta) * first
    d[0], d[1], d[2], d[3], d[4] = (mean_weight + beta) * d_first, 1.0, 0.5 * first, 0.5 * first, first
    a, b, nu, skew = 0.0, 1.0, shape[0], shape[1]
    if kind != NORMAL:
        a, b, _ = _skew_constants(nu, skew)
    slope[:] = 0.0
    loss, product = 0.0, 1.0  # one logarithm for many rows
    for t in range(len(returns)):
        h = max(h, _LEAST)
        root = math.sqrt(h)
        e = returns[t] - mu
        z[t] = e / root
        if np.isfinite(e):
            pull = z[t]
            if kind != NORMAL:
                y = b * z[t] + a
                side = 1.0 - skew if y < 0.0 else 1.0 + skew
                s = y / side
                pull = (nu + 1.0) * s / (nu - 2.0 + s * s) * b / side
            product *= h
            if product > _MANY or product < 1.0 / _MANY:
                loss += 0.5 * math.log(product)
                product = 1.0
            push = 0.5 * (1.0 - pull * z[t]) / h
            for p in range(5):
                slope[p] += push * d[p]
            slope[0] -= pull / root
            square = e * e
            weight = down if e < 0.0 else up
            for p in range(5):
                d[p] *= beta
            d[0] -= 2.0 * weight * e
            d[1] += 1.0
            d[3 if e < 0.0 else 2] += square
            d[4] += h
            h = omega + weight * square + beta * h
        else:
            for p in range(5):
                d[p] *= mean_weight + beta
            d[1] += 1.0
            d[2] += 0.5 * h
            d[3] += 0.5 * h
            d[4] += h
            h = omega + (mean_weight + beta) * h
    return loss + 0.5 * math.log(product) + shape_loss(z, kind, nu, skew)
