"""Coefficients when almost all is noise: ridge by cross-validation, and empirical Bayes under a mixture prior.

A cross-section of returns has an R-squared of a fraction of a percent. Least squares then adds the noise of every
feature to the signal of the few that matter; ridge shrinks both alike. The mixture prior learns from all features
together how many of them carry anything: coefficients that stand out keep their size, the rest go towards zero, and
many small effects are kept as such.

Algorithm of ``mixture_coefficients`` (coordinate ascent, after "mr.ash"):
1. noise of a coefficient from sums of scores by block of time, which counts overlapping labels and clustering;
2. prior: normal with mean 0 and one of eleven standard deviations, the first being 0; weights start equal;
3. each coefficient becomes its posterior mean given the others; then the weights become the mean posterior; repeat.

References
----------
[Kim2022] multiple regression with adaptive shrinkage; [Hoerl1970] ridge.
"""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.forecasting.design import GramBlocks

__all__ = ["mixture_coefficients", "ridge_coefficients"]

_GRID = np.concatenate([[0.0], np.geomspace(0.3, 10.0, 10)])  # prior deviations, in standard errors
_PRIOR_COUNT = 0.2  # pseudo-coefficients of every component
_NULL_COUNT = 3.0  # and of the component "nothing": without evidence, nothing is believed
_SWEEPS = 200
_PRECISION = 1e-6  # standardised units
_POOLED_FREEDOM = 5.0  # degrees of freedom lent by all features to each feature's noise
_STRENGTHS = np.geomspace(0.003, 300.0, 16)  # ridge, in units of a standardised feature's mean square
_DECIMALS = 10  # below it lies rounding of the linear solver


def _solve(xx: FloatArray, xy: FloatArray, strength: float, rows: float) -> FloatArray:
    return np.asarray(np.linalg.solve(xx + strength * rows * np.eye(len(xx)), xy), dtype=np.float64)


def ridge_coefficients(gram: GramBlocks) -> tuple[FloatArray, FloatArray]:
    """Return (P, C) ridge coefficients and the (C,) strengths chosen by leaving out one block of time at a time."""
    xx, xy, rows = gram.xx.sum(axis=0), gram.xy.sum(axis=0), float(gram.rows.sum())
    p, c = xy.shape
    if p == 0:
        return np.zeros((0, c)), np.zeros(c)
    loss = np.zeros((len(_STRENGTHS), c))
    for b in range(len(gram.rows)):
        rest, rest_y, n = xx - gram.xx[b], xy - gram.xy[b], rows - float(gram.rows[b])
        for s, strength in enumerate(_STRENGTHS):
            beta = _solve(rest, rest_y, float(strength), max(n, 1.0))
            loss[s] += (beta * (gram.xx[b] @ beta)).sum(axis=0) - 2 * (beta * gram.xy[b]).sum(axis=0)
    chosen: FloatArray = np.asarray(_STRENGTHS[np.argmin(np.round(loss, _DECIMALS), axis=0)], dtype=np.float64)
    beta = np.column_stack([_solve(xx, xy[:, j], float(chosen[j]), rows) for j in range(c)])
    return np.asarray(np.round(beta, _DECIMALS) + 0.0, dtype=np.float64), chosen


def mixture_coefficients(gram: GramBlocks) -> FloatArray:
    """Return (P, C) posterior means of the coefficients of each label."""
    xx, xy, rows = gram.xx.sum(axis=0), gram.xy.sum(axis=0), float(gram.rows.sum())
    out = np.zeros(xy.shape)
    live = np.flatnonzero(np.diag(xx) > 1e-6 * max(rows, 1.0))
    if len(live) == 0:
        return out
    grid = np.ix_(live, live)
    for j in range(xy.shape[1]):
        blocks = (gram.xx[:, live[:, None], live[None, :]], gram.xy[:, live, j])
        start = _solve(xx[grid], xy[live, j], 1e-2, rows)
        left = max(float(gram.yy[:, j].sum() - xy[live, j] @ start) / max(rows, 1.0), 1e-12)
        noise = _noise(blocks, np.diag(xx)[live], start, left)
        out[live, j] = _posterior(xx[grid], xy[live, j], start, noise)
    return np.asarray(np.round(out, _DECIMALS) + 0.0, dtype=np.float64)


def _noise(
    blocks: tuple[FloatArray, FloatArray], diagonal: FloatArray, beta: FloatArray, residual: float
) -> FloatArray:
    """Return (P,) variance of each coordinate's estimate, inflated for dependence in time, never deflated."""
    scores = blocks[1] - blocks[0] @ beta  # (B, P)
    b = len(scores)
    own = (scores**2).sum(axis=0) * b / max(b - 1, 1) / (diagonal * residual)
    pooled = float(np.median(own))
    freedom = b - 1.0
    inflation = np.maximum(1.0, (_POOLED_FREEDOM * pooled + freedom * own) / (_POOLED_FREEDOM + freedom))
    return np.asarray(residual * inflation / diagonal, dtype=np.float64)


def _posterior(xx: FloatArray, xy: FloatArray, start: FloatArray, noise: FloatArray) -> FloatArray:
    diagonal = np.diag(xx)
    prior = _GRID**2 * float(np.median(noise))
    total = prior + noise[:, None]
    keep, half, constant = prior / total, -0.5 / total, -0.5 * np.log(total)
    counts = np.full(len(prior), _PRIOR_COUNT)
    counts[0] = _NULL_COUNT
    weights = np.full(len(prior), 1.0 / len(prior))
    beta = start.copy()
    fitted = xx @ beta
    for _ in range(_SWEEPS):
        log_weights, taken, moved = np.log(weights), np.zeros(len(prior)), 0.0
        for j in range(len(beta)):
            estimate = (xy[j] - fitted[j]) / diagonal[j] + beta[j]
            likelihood = half[j] * estimate * estimate + constant[j] + log_weights
            share = np.exp(likelihood - likelihood.max())
            share /= share.sum()
            taken += share
            step = float((share * keep[j]).sum() * estimate - beta[j])
            if step != 0.0:
                beta[j] += step
                fitted += xx[:, j] * step
                moved = max(moved, abs(step))
        weights = (taken + counts) / (taken + counts).sum()
        if moved < _PRECISION:
            break
    return beta
