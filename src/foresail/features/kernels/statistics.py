"""Estimates that are no recursion: rescaled range, unit-root tests, hedged spreads; and the Kalman trend.

All read one-bar log returns and rebuild log levels within the window by adding them up, oldest level zero. So no
level of the price enters, and a change of its unit changes no bit. The p-values are those of MacKinnon (1994),
"Approximate Asymptotic Distribution Functions for Unit-Root and Cointegration Tests", JBES 12(2), 167-176.
"""

# ruff: noqa: PLR0917 one signature for all steps, so that one loop can run any of them

from __future__ import annotations

import math
from typing import Any

from foresail.features.kernels._layout import (
    CLOCK,
    DELAY,
    LANES,
    MASK,
    MASK2,
    OUT,
    RING,
    RING2,
    STATE,
    WINDOW,
    A,
    C,
    bar_step,
    step,
)

__all__ = ["adf_price", "adf_spread", "hurst", "kalman_trend", "spread_score"]

_ROUNDING = 1e-24  # a sum of squares below this share of its parts is rounding
_SMALLEST_BLOCK = 8
_FILTERS = 6  # candidate pairs of noise ratios
_REMEMBERED = 7  # state rows of each
_FADE = 0.995  # discount of the likelihood a bar


@step
def _normal(x: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@step
def _p_value(tau: float, series: int) -> float:
    """Return the p-value of a Dickey-Fuller statistic (with a constant) for 1 or 2 integrated series."""
    single = series == 1
    most = 2.74 if single else 0.92
    least = -18.83 if single else -18.86
    middle = -1.61 if single else -2.62
    near = 2.1659 + tau * (1.4412 + tau * 0.038269) if single else 2.92 + tau * (1.5012 + tau * 0.039796)
    far = 1.7339 + tau * (0.93202 + tau * (-0.12745 - tau * 0.010368))
    far = far if single else 2.1945 + tau * (0.64695 + tau * (-0.29198 - tau * 0.042377))
    inside = _normal(near if tau <= middle else far)
    return 1.0 if tau > most else (0.0 if tau < least else inside)


@step
def _tau(aa: float, ab: float, bb: float, az: float, bz: float, zz: float, freedom: float) -> float:
    """Return the t-value of the first of two regressors from sums of products, NaN where they are dependent."""
    determinant = aa * bb - ab * ab
    slope = (az * bb - bz * ab) / determinant
    other = (bz * aa - az * ab) / determinant
    rest = zz - slope * az - other * bz
    sound = determinant > 1e-12 * aa * bb and rest > 1e-14 * zz
    return slope / math.sqrt(rest / freedom * bb / determinant) if sound else math.nan


@bar_step
def adf_price(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = p-value of an augmented Dickey-Fuller test (constant, one lag) on the WINDOW + 1 levels of returns A.

    Made anew every C bars and held between. State: the last p-value.
    """
    out = work[args[OUT], bar]
    held = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    window = args[WINDOW]
    size = window - 1.0
    for lane in range(LANES):
        k = n[lane] - args[DELAY] - window
        if on[lane] == 1 and k >= 0 and k % args[C] == 0:
            level = 0.0
            mean_a = 0.0
            mean_b = 0.0
            mean_z = 0.0
            for j in range(1, window):
                b = ring[base + ((n[lane] - window + j - 1) & mask), lane]
                level += b
                mean_a += level
                mean_b += b
                mean_z += ring[base + ((n[lane] - window + j) & mask), lane]
            mean_a /= size
            mean_b /= size
            mean_z /= size
            aa = 0.0
            ab = 0.0
            bb = 0.0
            az = 0.0
            bz = 0.0
            zz = 0.0
            level = 0.0
            for j in range(1, window):
                b = ring[base + ((n[lane] - window + j - 1) & mask), lane]
                level += b
                a = level - mean_a
                b -= mean_b
                z = ring[base + ((n[lane] - window + j) & mask), lane] - mean_z
                aa += a * a
                ab += a * b
                bb += b * b
                az += a * z
                bz += b * z
                zz += z * z
            tau = _tau(aa, ab, bb, az, bz, zz, size - 3.0)
            held[lane] = _p_value(tau, 1) if tau == tau else math.nan  # noqa: PLR0124 not NaN
        out[lane] = held[lane] if on[lane] == 1 and k >= 0 else math.nan


@step
def _line(args: Any, n: int, lane: int, ring: Any) -> Any:
    """Return mean of the first and second log level, slope of the first on the second, and both's squares."""
    base = args[RING]
    mask = args[MASK]
    base_b = args[RING2]
    mask_b = args[MASK2]
    window = args[WINDOW]
    y = 0.0
    x = 0.0
    mean_y = 0.0
    mean_x = 0.0
    for j in range(window):
        y += ring[base + ((n - window + j) & mask), lane]
        x += ring[base_b + ((n - window + j) & mask_b), lane]
        mean_y += y
        mean_x += x
    mean_y /= window + 1.0
    mean_x /= window + 1.0
    last_y = y - mean_y
    last_x = x - mean_x
    xx = mean_x * mean_x
    xy = mean_x * mean_y
    yy = mean_y * mean_y
    y = -mean_y
    x = -mean_x
    for j in range(window):
        y += ring[base + ((n - window + j) & mask), lane]
        x += ring[base_b + ((n - window + j) & mask_b), lane]
        xx += x * x
        xy += x * y
        yy += y * y
    hedge = xy / xx if xx > _ROUNDING else math.nan
    return hedge, hedge * mean_x - mean_y, last_y - hedge * last_x, yy - hedge * xy, yy


@bar_step
def adf_spread(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = p-value of the Engle-Granger test on the WINDOW + 1 log levels of returns A and B, one lag.

    The spread is the residual of the first level on the second and a constant; the Dickey-Fuller regression has no
    constant, its p-value is that of two series. Made anew every C bars. State: the last p-value.
    """
    out = work[args[OUT], bar]
    held = state[args[STATE]]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    base = args[RING]
    mask = args[MASK]
    base_b = args[RING2]
    mask_b = args[MASK2]
    window = args[WINDOW]
    for lane in range(LANES):
        k = n[lane] - args[DELAY] - window
        if on[lane] == 1 and k >= 0 and k % args[C] == 0:
            hedge, a, _, _, _ = _line(args, n[lane], lane, ring)
            aa = 0.0
            ab = 0.0
            bb = 0.0
            az = 0.0
            bz = 0.0
            zz = 0.0
            for j in range(1, window):
                b = ring[base + ((n[lane] - window + j - 1) & mask), lane]
                b -= hedge * ring[base_b + ((n[lane] - window + j - 1) & mask_b), lane]
                z = ring[base + ((n[lane] - window + j) & mask), lane]
                z -= hedge * ring[base_b + ((n[lane] - window + j) & mask_b), lane]
                a += b
                aa += a * a
                ab += a * b
                bb += b * b
                az += a * z
                bz += b * z
                zz += z * z
            tau = _tau(aa, ab, bb, az, bz, zz, window - 3.0)
            held[lane] = _p_value(tau, 2) if tau == tau else math.nan  # noqa: PLR0124 not NaN
        out[lane] = held[lane] if on[lane] == 1 and k >= 0 else math.nan


@bar_step
def spread_score(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT .. OUT + 2 = standard score, value and hedge ratio of the spread of the WINDOW + 1 levels of A and B.

    The spread is the first log level less hedge ratio times the second, both from least squares in the window, less
    its mean. The score divides by the sample deviation, 0 where the spread does not vary.
    """
    score = work[args[OUT], bar]
    spread = work[args[OUT] + 1, bar]
    ratio = work[args[OUT] + 2, bar]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    window = args[WINDOW]
    for lane in range(LANES):
        hedge = math.nan
        last = math.nan
        value = math.nan
        if on[lane] == 1 and n[lane] - args[DELAY] >= window:
            hedge, _, last, rest, whole = _line(args, n[lane], lane, ring)
            value = last / math.sqrt(rest / window) if rest > 1e-14 * whole else 0.0
            value = value if hedge == hedge else math.nan  # noqa: PLR0124 not NaN
        score[lane] = value
        spread[lane] = last
        ratio[lane] = hedge


@step
def _block_ranges(work: Any, bar: int, row: int, first: int, window: int, size: int) -> None:
    """Set row + 5 and row + 6 to the sum and number of rescaled ranges of the blocks of one size."""
    total = work[row, bar]
    path = work[row + 1, bar]
    top = work[row + 2, bar]
    bottom = work[row + 3, bar]
    squares = work[row + 4, bar]
    ranges = work[row + 5, bar]
    blocks = work[row + 6, bar]
    for lane in range(LANES):
        ranges[lane] = 0.0
        blocks[lane] = 0.0
    for begin in range(first, first + window, size):
        for lane in range(LANES):
            total[lane] = 0.0
            path[lane] = 0.0
            top[lane] = 0.0
            bottom[lane] = 0.0
            squares[lane] = 0.0
        for j in range(begin, begin + size):
            for lane in range(LANES):
                total[lane] += work[j, bar, lane]
        for lane in range(LANES):
            total[lane] /= size
        for j in range(begin, begin + size):
            for lane in range(LANES):
                apart = work[j, bar, lane] - total[lane]
                path[lane] += apart
                squares[lane] += apart * apart
                top[lane] = path[lane] if path[lane] > top[lane] else top[lane]
                bottom[lane] = path[lane] if path[lane] < bottom[lane] else bottom[lane]
        for lane in range(LANES):
            varies = squares[lane] > _ROUNDING * size * total[lane] * total[lane] and squares[lane] > 0.0
            share = (top[lane] - bottom[lane]) / math.sqrt(squares[lane] / size)
            ranges[lane] += share if varies else 0.0
            blocks[lane] += 1.0 if varies else 0.0


@bar_step
def hurst(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT = slope of ln(mean rescaled range) on ln(block size) plus ``real``, for blocks of 8, 16 ... WINDOW of A.

    Blocks in which nothing varies are left out; a size without any block leaves the feature absent. ``real`` takes
    off what independent values give. OUT + 1 .. OUT + 8 are work space, then WINDOW rows with the values themselves.
    """
    row = args[OUT]
    first = row + 9
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    window = args[WINDOW]
    for j in range(window):
        for lane in range(LANES):
            work[first + j, bar, lane] = ring[args[RING] + ((n[lane] - window + j) & args[MASK]), lane]
    for lane in range(LANES):
        work[row, bar, lane] = 0.0
        work[row + 1, bar, lane] = 0.0
    size = _SMALLEST_BLOCK
    sizes = 0.0
    abscissa = 0.0
    abscissa_squared = 0.0
    while size <= window:
        _block_ranges(work, bar, row + 2, first, window, size)
        x = math.log(float(size))
        sizes += 1.0
        abscissa += x
        abscissa_squared += x * x
        for lane in range(LANES):
            blocks = work[row + 8, bar, lane]
            y = math.log(work[row + 7, bar, lane] / blocks) if blocks > 0.0 else math.nan
            work[row, bar, lane] += x * y
            work[row + 1, bar, lane] += y
        size *= 2
    spread = abscissa_squared - abscissa * abscissa / sizes
    for lane in range(LANES):
        slope = (work[row, bar, lane] - abscissa * work[row + 1, bar, lane] / sizes) / spread
        work[row, bar, lane] = slope + real if on[lane] == 1 and n[lane] - args[DELAY] >= window else math.nan


@bar_step
def kalman_trend(args: Any, real: Any, work: Any, bar: Any, fresh: Any, count: Any, state: Any, ring: Any) -> None:
    """OUT, OUT + 1 = ln(filtered level / close) and slope of a local linear trend of the log price of returns A.

    Six filters run side by side, level noise 0.1, 1 or 10 and slope noise 1e-4 or 1e-2 times that of the observation;
    the one with the largest likelihood so far (observation noise concentrated out, 0.995 discount a bar) speaks.
    State, seven rows each: level less close, slope, variances and covariance, squared errors, log variances.
    """
    a = work[args[A], bar]
    place = work[args[OUT], bar]
    slope = work[args[OUT] + 1, bar]
    on = fresh[args[CLOCK]]
    n = count[args[CLOCK]]
    for lane in range(LANES):
        k = n[lane] - args[DELAY]
        best = math.inf
        best_place = 0.0
        best_slope = 0.0
        level_noise = 0.01
        slope_noise = 1e-4
        if on[lane] == 1 and k > 0:
            weight = (1.0 - _FADE ** (k - 1.0)) / (1.0 - _FADE)
            for f in range(_FILTERS):
                if f == _FILTERS // 2:
                    level_noise = 0.01
                    slope_noise = 1e-2
                level_noise *= 10.0
                s = args[STATE] + _REMEMBERED * f
                if k == 1:
                    state[s, lane] = 0.0
                    state[s + 1, lane] = a[lane]
                    state[s + 2, lane] = 1.0
                    state[s + 3, lane] = 1.0
                    state[s + 4, lane] = 2.0 + level_noise + slope_noise
                    state[s + 5, lane] = 0.0
                    state[s + 6, lane] = 0.0
                else:
                    above = state[s + 2, lane] + 2.0 * state[s + 3, lane] + state[s + 4, lane] + level_noise
                    cross = state[s + 3, lane] + state[s + 4, lane]
                    below = state[s + 4, lane] + slope_noise
                    variance = above + 1.0
                    error = a[lane] - state[s, lane] - state[s + 1, lane]
                    state[s, lane] = -error / variance
                    state[s + 1, lane] += cross / variance * error
                    state[s + 2, lane] = above / variance
                    state[s + 3, lane] = cross / variance
                    state[s + 4, lane] = below - cross * cross / variance
                    state[s + 5, lane] = _FADE * state[s + 5, lane] + error * error / variance
                    state[s + 6, lane] = _FADE * state[s + 6, lane] + math.log(variance)
                squares = state[s + 5, lane]
                cost = weight * math.log(squares) + state[s + 6, lane] if squares > 0.0 else 0.0
                if f == 0 or cost < best:
                    best = cost
                    best_place = state[s, lane]
                    best_slope = state[s + 1, lane]
        ready = on[lane] == 1 and k >= args[WINDOW]
        place[lane] = best_place if ready else math.nan
        slope[lane] = best_slope if ready else math.nan
