"""Swing levels, their tests, candles and the opening range: plain twins, TA-Lib and hand-made bars."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.context import FeatureContext

DAY = 86_400_000_000_000
MINUTE = 60_000_000_000
FIELDS = ("open", "high", "low", "close")


def panel_of(bars: np.ndarray, start: np.ndarray | None = None, step: int = DAY, calendar: str = "24/7") -> Panel:
    """Return a panel of one instrument from (T, 4) bars."""
    t = len(bars)
    begin = np.arange(t, dtype=np.int64) * DAY if start is None else start
    end = begin + step
    frame = "1d" if step == DAY else "5m"
    return Panel(bars[None].copy(), np.isfinite(bars[None, :, 3]), begin, end, end, FIELDS, ("stock.US.A",), frame,
                 calendar)  # fmt: skip


def random_bars(t: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.01, t)))
    opening = np.concatenate([[50.0], close[:-1]]) * np.exp(rng.normal(0, 0.002, t))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, t)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, t)))
    return np.round(np.column_stack([opening, high, low, close]), 2)


def values(panel: Panel, *names: str) -> np.ndarray:
    return compute(panel, list(names), FeatureContext.of(panel)).values[0]


def pivots(high: np.ndarray, side: int = 5) -> np.ndarray:
    out = np.full(len(high), np.nan)
    for t in range(len(high)):
        if t:
            out[t] = out[t - 1]
        m = t - side
        if m >= side and high[m] > high[m - side : m].max() and high[m] >= high[m + 1 : t + 1].max():
            out[t] = high[m]
    return out


def test_levels_are_the_last_confirmed_swings():
    bars = random_bars(500, 1)
    out = values(panel_of(bars), "support", "resistance")
    np.testing.assert_array_equal(out[:, 1], pivots(bars[:, 1]))
    np.testing.assert_array_equal(out[:, 0], -pivots(-bars[:, 2]))


def test_a_swing_is_known_five_bars_later_and_not_before():
    high = np.array([10.0, 11, 12, 13, 14, 20, 14, 13, 12, 11, 10, 9])
    out = values(panel_of(np.column_stack([high - 0.5, high, high - 1, high - 0.5])), "resistance")[:, 0]
    assert np.isnan(out[:10]).all()
    assert out[10:].tolist() == [20.0, 20.0]


def touches(bars: np.ndarray, sign: float) -> np.ndarray:
    high, low, close = bars[:, 1], bars[:, 2], bars[:, 3]
    level = pivots(high) if sign > 0 else -pivots(-low)
    atr = talib.ATR(high.copy(), low.copy(), close.copy(), 14)
    extreme = high if sign > 0 else low
    out = np.full(len(bars), np.nan)
    tests, touching, broken, last = 0.0, False, False, np.nan
    for t in range(len(bars)):
        if np.isnan(level[t]) or np.isnan(atr[t]):
            continue
        m = t - 5
        swing = m >= 5 and (sign * extreme[m] > (sign * extreme[m - 5 : m]).max()) and (
            sign * extreme[m] >= (sign * extreme[m + 1 : t + 1]).max()
        )  # fmt: skip
        before = level[t - 1]
        if swing:
            moved = np.inf if np.isnan(before) else abs(level[t] - before) / atr[t]
            if moved > 0.25 or (moved > 0.0 and broken):
                tests, broken = 1.0, False
        beyond = sign * (close[t] - level[t]) / atr[t] > 0.25
        near = sign * (extreme[t] - level[t]) / atr[t] >= -0.25 and not beyond
        if near and not touching and not broken and tests > 0.0:
            tests += 1.0
        touching = near
        if beyond:
            broken, tests = True, 0.0
        last = tests
        out[t] = last
    return out


@pytest.mark.parametrize("seed", [2, 3])
def test_touches_are_counted_as_the_twin_counts_them(seed):
    bars = random_bars(900, seed)
    out = values(panel_of(bars), "support_tests", "resistance_tests", "level_tests")
    twin = np.column_stack([touches(bars, -1.0), touches(bars, 1.0)])
    np.testing.assert_array_equal(out[:, :2], twin)
    np.testing.assert_array_equal(out[:, 2], np.fmax(twin[:, 0], twin[:, 1]))
    assert np.nanmax(out) >= 3.0


def test_engulfing_equals_talib():
    bars = random_bars(3000, 5)
    ours = values(panel_of(bars), "engulfing")[:, 0]
    theirs = np.sign(talib.CDLENGULFING(*(bars[:, j].copy() for j in range(4))))
    body, before = np.abs(bars[2:, 3] - bars[2:, 0]), np.abs(bars[1:-1, 3] - bars[1:-1, 0])
    assert np.abs(theirs).sum() > 50
    np.testing.assert_array_equal(ours[2:][body > before], theirs[2:][body > before])


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((10.0, 10.2, 8.0, 10.1), 1.0),  # long lower shadow
        ((10.0, 12.0, 9.9, 9.9), -1.0),  # long upper shadow
        ((10.0, 10.1, 8.9, 9.1), 0.0),  # a body
        ((10.0, 11.1, 8.0, 11.0), 1.0),  # two bodies exactly
        ((10.0, 11.1, 8.1, 11.0), 0.0),  # a little less
        ((10.0, 11.0, 9.0, 10.0), 0.0),  # shadows of equal length
    ],
)
def test_pin_bars_by_hand(bar, expected):
    out = values(panel_of(np.array([[9.0, 11.0, 9.0, 11.0], bar])), "pin_bar", "candle_pattern")
    assert out[1].tolist() == [expected, expected]


def test_engulfing_goes_before_the_pin_bar():
    out = values(panel_of(np.array([[10.0, 10.1, 9.4, 9.5], [9.4, 14.0, 9.4, 10.2]])), "pin_bar", "candle_pattern")
    assert out[1].tolist() == [-1.0, 1.0]


def test_opening_range_is_known_after_fifteen_minutes_of_each_session():
    monday = 1_704_724_200 * 1_000_000_000  # 8 January 2024, 09:30 in New York
    start = np.concatenate([monday + np.arange(6) * 5 * MINUTE, monday + DAY + np.arange(2, 6) * 5 * MINUTE])
    high = np.array([11.0, 13, 12, 15, 9, 9, 20, 30, 30, 30])
    bars = np.column_stack([high - 1, high, high - 2, high - 1])
    out = values(panel_of(bars, start, 5 * MINUTE, "XNYS"), "opening_range_high", "opening_range_low")
    nan = np.nan
    np.testing.assert_array_equal(out[:, 0], [nan, nan, nan, 13, 13, 13, nan, 20, 20, 20])
    np.testing.assert_array_equal(out[:, 1], [nan, nan, nan, 9, 9, 9, nan, 18, 18, 18])
