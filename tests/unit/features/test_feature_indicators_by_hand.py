"""Indicators on straight lines, where each has a closed form that pencil and paper give.

Closes rise by 1 a bar; the high is 1 above, the low 1 below, the open 0.5 below; volume rises by 10 a bar. An average
of w values of a line lags it by (w - 1) / 2, simple or exponential alike, so the MACD of 12 and 26 bars is 7. Twenty
consecutive numbers have a population variance of 399 / 12 and a sample variance of 35.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.context import FeatureContext

HOUR = 3_600_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
T = 301
SPREAD20, SPREAD10 = math.sqrt(399 / 12), math.sqrt(99 / 12)


def line(first: float, step: float, first_volume: float, volume_step: float, hours: int = 24, t: int = T) -> Panel:
    close = first + step * np.arange(t)
    volume = first_volume + volume_step * np.arange(t)
    empty, ones = np.full(t, np.nan), np.ones(t)
    columns = [close - 0.5 * step, close + 1, close - 1, close, volume, empty, ones, ones, empty]
    start = np.arange(t, dtype=np.int64) * hours * HOUR
    end = start + hours * HOUR
    present = np.ones((1, t), bool)
    return Panel(np.stack(columns, axis=1)[None], present, start, end, end, FIELDS, ("crypto.X",), "1d", "24/7")


RISING, FALLING = line(100, 1, 1000, 10), line(500, -1, 5000, -10)
QUIET = line(100, 1, 5000, -10)


def last(name: str, panel: Panel) -> float:
    return float(compute(panel, [name], FeatureContext.of(panel)).values[0, -1, 0])


BY_HAND = {  # at the close of 400 on a volume of 4000
    "open": 399.5, "high": 401.0, "low": 399.0, "close": 400.0, "volume": 4000.0,
    "return_1": 1 / 399, "return_5": 5 / 395, "return_20": 20 / 380, "return_60": 60 / 340,
    "log_return": math.log(400 / 399), "price_momentum": 9.5 / 390.5, "price_velocity": 1.0, "price_acceleration": 0.0,
    "relative_position": 0.5, "gap_percent": 0.5 / 399, "gap_direction": 1.0, "momentum_12_1": math.log(379 / 148),
    "sma_10": 395.5, "sma_20": 390.5, "sma_50": 375.5, "sma_200": 300.5,
    "ema_9": 396.0, "ema_10": 395.5, "ema_12": 394.5, "ema_26": 387.5, "ema_50": 375.5, "ema_200": 300.5,
    "macd": 7.0, "macd_signal": 7.0, "macd_histogram": 0.0, "macd_5_13_1": 4.0, "macd_3_10_1": 3.5,
    "macd_5_13_8": 0.0, "macd_5_15_9": 0.0, "macd_8_17_9": 0.0, "macd_momentum": 0.0,
    "plus_di": 0.5, "minus_di": 0.0, "adx_14": 1.0, "ema_stack": 1.0,
    "price_to_sma_20": 9.5 / 390.5, "price_to_sma_50": 24.5 / 375.5, "price_to_sma_200": 99.5 / 300.5,
    **{f"rsi_{w}": 1.0 for w in (5, 6, 7, 8, 9, 10, 14)}, "rsi_ema": 1.0, "rsi_divergence": 0.0,
    "stoch_k": 14 / 15, "stoch_d": 14 / 15, "williams_r": -1 / 15, "roc_10": 10 / 390, "roc_12": 12 / 388,
    "cci_20": 9.5 / (0.015 * 5.0),
    "bb_upper": 390.5 + 2 * SPREAD20, "bb_middle": 390.5, "bb_lower": 390.5 - 2 * SPREAD20,
    "bb25_upper": 390.5 + 2.5 * SPREAD20, "bb25_lower": 390.5 - 2.5 * SPREAD20, "bb25_width": 5 * SPREAD20 / 390.5,
    "bb10_upper": 395.5 + 2 * SPREAD10, "bb10_lower": 395.5 - 2 * SPREAD10, "bb10_width": 4 * SPREAD10 / 395.5,
    "bb_width": 4 * SPREAD20 / 390.5, "price_vs_bb": 9.5 / (2 * SPREAD20), "price_vs_bb25": 9.5 / (2.5 * SPREAD20),
    "atr_14": 2.0, "atr_pct": 2 / 400, "std_dev_20": math.sqrt(35), "atr_compression": 1.0,
    "keltner_upper": 394.5, "keltner_middle": 390.5, "keltner_lower": 386.5,
    "obv": 1000 * 300 + 10 * 300 * 301 / 2, "obv_slope": 1.0, "volume_roc": 100 / 3900, "cmf_20": 0.0, "mfi_14": 1.0,
    "volume_ratio": 4000 / 3905, "volume_avg": 3905.0, "volume_24h": 4000.0, "volume_spike": 0.0,
    "volume_price_divergence": 0.0,
}  # fmt: skip
FALLEN = {  # at the close of 200 on a volume of 2000
    "price_velocity": -1.0, "gap_direction": -1.0, "macd": -7.0, "macd_signal": -7.0, "plus_di": 0.0, "minus_di": 0.5,
    "adx_14": 1.0, "ema_stack": -1.0, "rsi_14": 0.0, "rsi_ema": 0.0, "stoch_k": 1 / 15, "stoch_d": 1 / 15,
    "williams_r": -14 / 15, "cci_20": -9.5 / (0.015 * 5.0), "bb_middle": 209.5, "price_vs_bb": -9.5 / (2 * SPREAD20),
    "atr_14": 2.0, "keltner_lower": 205.5, "obv": -(5000 * 300 - 10 * 300 * 301 / 2), "obv_slope": -1.0, "mfi_14": 0.0,
    "volume_roc": -100 / 2100, "volume_price_divergence": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("name", list(BY_HAND))
def test_a_rising_line(name):
    assert last(name, RISING) == pytest.approx(BY_HAND[name], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("name", list(FALLEN))
def test_a_falling_line(name):
    assert last(name, FALLING) == pytest.approx(FALLEN[name], rel=1e-9, abs=1e-10)


def test_a_rise_on_falling_volume_is_a_warning():
    assert last("volume_price_divergence", QUIET) == -1.0


@pytest.mark.parametrize(("hours", "bars"), [(1, 24), (4, 6), (6, 4), (24, 1)])
def test_a_day_of_volume_is_that_of_24_hours_whatever_the_frame(hours, bars):
    panel = line(100, 1, 1000, 10, hours, 60)
    got = compute(panel, ["volume_24h"], FeatureContext.of(panel)).values[0, :, 0]
    volume = panel.values[0, :, 4]
    assert np.isnan(got[: bars - 1]).all()
    assert got[bars - 1 :].tolist() == [float(volume[t - bars + 1 : t + 1].sum()) for t in range(bars - 1, 60)]


def test_a_day_of_volume_leaves_out_hours_without_a_bar_and_has_no_meaning_for_weeks():
    panel = line(100, 1, 1000, 10, 1, 60)
    panel.values[0, 40:50], panel.present[0, 40:50] = np.nan, False
    got = compute(panel, ["volume_24h"], FeatureContext.of(panel)).values[0, :, 0]
    assert np.isnan(got[40:50]).all()
    assert got[55] == np.nansum(panel.values[0, 32:56, 4])
    weeks = line(100, 1, 1000, 10, 168, 60)
    assert np.isnan(compute(weeks, ["volume_24h"], FeatureContext.of(weeks)).values).all()
