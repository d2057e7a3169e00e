"""The indicators of price, trend, momentum, volatility and volume against TA-Lib, pandas and plain twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import talib

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.context import FeatureContext
from foresail.features.plan import make_plan
from foresail.features.runner import field_positions, run

DAY = 86_400_000_000_000
N, T = 3, 420
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")


def made(calendar: str = "24/7") -> Panel:
    rng = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(4, (N, T)) * 0.01, axis=1))
    opening = close * np.exp(rng.normal(0, 0.004, (N, T)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, (N, T))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, (N, T))))
    volume = np.round(np.exp(rng.normal(12, 1, (N, T))))
    empty, ones = np.full((N, T), np.nan), np.ones((N, T))
    values = np.stack([opening, high, low, close, volume, empty, ones, ones, empty], axis=2)
    start = np.arange(T, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i}" for i in range(N))
    return Panel(values, np.ones((N, T), bool), start, start + DAY, start + DAY, FIELDS, names, "1d", calendar)


PANEL = made()
O, H, L, C, V = (np.ascontiguousarray(PANEL.values[0, :, j]) for j in range(5))  # noqa: E741
S = pd.Series(C)
TYPICAL = (H + L + C) / 3


def value_of(name: str, panel: Panel = PANEL) -> np.ndarray:
    return compute(panel, [name], FeatureContext.of(panel)).values[0, :, 0]


def macd(fast: int, slow: int, signal: int) -> tuple[np.ndarray, np.ndarray]:
    line = talib.EMA(C, fast) - talib.EMA(C, slow)
    smooth = np.full(T, np.nan)
    smooth[slow - 1 :] = talib.EMA(line[slow - 1 :], signal)
    return line, smooth


def stack() -> np.ndarray:
    e = [C, *(talib.EMA(C, w) for w in (10, 50, 200))]
    up = (e[0] > e[1]) & (e[1] > e[2]) & (e[2] > e[3])
    down = (e[0] < e[1]) & (e[1] < e[2]) & (e[2] < e[3])
    return np.where(np.isnan(e[3]), np.nan, up.astype(float) - down)


def divergence() -> np.ndarray:
    index, out = talib.RSI(C, 14), np.full(T, np.nan)
    for t in range(33, T):
        prices, values = C[t - 19 : t + 1], index[t - 19 : t + 1]
        top = C[t] == prices.max() and index[t] < values.max()
        bottom = C[t] == prices.min() and index[t] > values.min()
        out[t] = float(bottom) - float(top)
    return out


def volume_divergence() -> np.ndarray:
    out, x = np.full(T, np.nan), np.arange(10)
    for t in range(9, T):
        price, volume = (np.polyfit(x, a[t - 9 : t + 1], 1)[0] for a in (C, V))
        out[t] = -np.sign(price) if volume < 0 else 0.0
    return out


def roll(window: int, what: str, **settings: float) -> np.ndarray:
    return getattr(S.rolling(window), what)(**settings).to_numpy()


def keltner(side: float) -> np.ndarray:
    return talib.EMA(C, 20) + side * 2.0 * talib.ATR(H, L, C, 10)


def bands(window: int, width: float) -> tuple[np.ndarray, ...]:
    return talib.BBANDS(C, window, width, width)


def cmf() -> np.ndarray:
    flow = pd.Series((2 * C - H - L) / (H - L) * V)
    return (flow.rolling(20).sum() / pd.Series(V).rolling(20).sum()).to_numpy()


VELOCITY = (S.diff(5) / 5).to_numpy()
ORACLES = {
    "open": lambda: O,
    "high": lambda: H,
    "low": lambda: L,
    "close": lambda: C,
    "volume": lambda: V,
    **{f"return_{k}": (lambda k=k: S.pct_change(k).to_numpy()) for k in (1, 5, 20, 60)},
    "price_velocity": lambda: VELOCITY,
    "price_acceleration": lambda: np.diff(VELOCITY, prepend=np.nan),
    "gap_percent": lambda: np.concatenate([[np.nan], O[1:] / C[:-1] - 1]),
    "gap_direction": lambda: np.concatenate([[np.nan], np.sign(O[1:] - C[:-1])]),
    **{f"sma_{w}": (lambda w=w: talib.SMA(C, w)) for w in (10, 20, 50, 200)},
    **{f"ema_{w}": (lambda w=w: talib.EMA(C, w)) for w in (9, 10, 12, 26, 50, 200)},
    "macd": lambda: macd(12, 26, 9)[0],
    "macd_signal": lambda: macd(12, 26, 9)[1],
    "macd_histogram": lambda: np.subtract(*macd(12, 26, 9)),
    "macd_5_13_1": lambda: macd(5, 13, 1)[0],
    "macd_3_10_1": lambda: macd(3, 10, 1)[0],
    "macd_5_13_8": lambda: np.subtract(*macd(5, 13, 8)),
    "macd_5_15_9": lambda: np.subtract(*macd(5, 15, 9)),
    "macd_8_17_9": lambda: np.subtract(*macd(8, 17, 9)),
    "macd_momentum": lambda: np.diff(macd(12, 26, 9)[0], prepend=np.nan),
    "plus_di": lambda: talib.PLUS_DI(H, L, C, 14) / 100,
    "minus_di": lambda: talib.MINUS_DI(H, L, C, 14) / 100,
    "adx_14": lambda: talib.ADX(H, L, C, 14) / 100,
    "ema_stack": stack,
    **{f"rsi_{w}": (lambda w=w: talib.RSI(C, w) / 100) for w in (6, 7, 8, 9, 10)},
    "rsi_ema": lambda: np.concatenate([np.full(14, np.nan), talib.EMA(talib.RSI(C, 14)[14:], 9)]) / 100,
    "stoch_d": lambda: talib.STOCH(H, L, C, 14, 3, 0, 3, 0)[1] / 100,
    "roc_10": lambda: talib.ROC(C, 10) / 100,
    "roc_12": lambda: talib.ROC(C, 12) / 100,
    "cci_20": lambda: talib.CCI(H, L, C, 20),
    "rsi_divergence": divergence,
    "bb_upper": lambda: bands(20, 2)[0],
    "bb_middle": lambda: bands(20, 2)[1],
    "bb_lower": lambda: bands(20, 2)[2],
    "bb_width": lambda: (bands(20, 2)[0] - bands(20, 2)[2]) / bands(20, 2)[1],
    "bb25_upper": lambda: bands(20, 2.5)[0],
    "bb25_lower": lambda: bands(20, 2.5)[2],
    "bb25_width": lambda: (bands(20, 2.5)[0] - bands(20, 2.5)[2]) / bands(20, 2.5)[1],
    "bb10_upper": lambda: bands(10, 2)[0],
    "bb10_lower": lambda: bands(10, 2)[2],
    "bb10_width": lambda: (bands(10, 2)[0] - bands(10, 2)[2]) / bands(10, 2)[1],
    "price_vs_bb": lambda: (C - bands(20, 2)[1]) / (bands(20, 2)[0] - bands(20, 2)[1]),
    "price_vs_bb25": lambda: (C - bands(20, 2.5)[1]) / (bands(20, 2.5)[0] - bands(20, 2.5)[1]),
    "atr_14": lambda: talib.ATR(H, L, C, 14),
    "std_dev_20": lambda: roll(20, "std"),
    "atr_compression": lambda: talib.ATR(H, L, C, 14) / pd.Series(talib.ATR(H, L, C, 14)).rolling(50).mean().to_numpy(),
    "volatility_30d": lambda: np.log(S).diff().rolling(30).std().to_numpy() * np.sqrt(365),
    "keltner_upper": lambda: keltner(1.0),
    "keltner_middle": lambda: np.where(np.isfinite(talib.ATR(H, L, C, 10)), keltner(0.0), np.nan),
    "keltner_lower": lambda: keltner(-1.0),
    "obv": lambda: np.concatenate([[np.nan], (talib.OBV(C, V) - V[0])[1:]]),
    "volume_roc": lambda: talib.ROC(V, 10) / 100,
    "cmf_20": cmf,
    "volume_avg": lambda: talib.SMA(V, 20),
    "volume_24h": lambda: V,
    "volume_spike": lambda: np.where(np.isnan(talib.SMA(V, 20)), np.nan, talib.SMA(V, 20) * 2 < V),
    "volume_price_divergence": volume_divergence,
}


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_it_equals_its_oracle_from_the_first_value_on(name):
    ours, theirs = value_of(name), np.asarray(ORACLES[name](), dtype=float)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    scale = max(1.0, float(np.nanmax(np.abs(theirs))))
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-9, rtol=1e-9)


def test_the_year_has_252_days_where_trading_stops():
    panel = made("XNYS")
    expected = np.log(S).diff().rolling(30).std().to_numpy() * np.sqrt(252)
    np.testing.assert_allclose(value_of("volatility_30d", panel), expected, atol=1e-12)


def test_three_bars_by_hand():
    panel = made()
    panel.values[0, :4, 3] = [10.0, 11.0, 11.0, 10.5]
    panel.values[0, :4, 1] = [10.5, 11.5, 11.6, 11.2]
    panel.values[0, :4, 2] = [9.5, 10.5, 10.4, 10.0]
    panel.values[0, :4, 4] = [100.0, 50.0, 70.0, 30.0]
    assert value_of("obv", panel)[1:4].tolist() == [50.0, 50.0, 20.0]
    assert value_of("return_1", panel)[1] == pytest.approx(0.1)


def scaled(field: slice, factor: float) -> Panel:
    values = PANEL.values.copy()
    values[:, :, field] *= factor
    return replace(PANEL, values=values)


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_units_of_price_and_volume_move_a_row_as_it_declares_and_no_other(name):
    """Four is a power of two, so even the bits agree; a logarithm of a volume would not, and there is none here."""
    scale, plain = CATALOGUE[name].scale, value_of(name)
    prices = 4.0 if scale in {"price", "price_change"} else 1.0
    volumes = 4.0 if scale == "volume" else 1.0
    assert np.array_equal(value_of(name, scaled(slice(0, 4), 4.0)), prices * plain, equal_nan=True)
    assert np.array_equal(value_of(name, scaled(slice(4, 5), 4.0)), volumes * plain, equal_nan=True)


@pytest.mark.parametrize("name", sorted(n for n in ORACLES if CATALOGUE[n].scale != "free"))
def test_what_a_model_sees_has_no_units(name):
    plan = make_plan([CATALOGUE[name].model_expression])
    seen = []
    for panel in (PANEL, scaled(slice(0, 4), 4.0), scaled(slice(4, 5), 4.0)):
        numbers = [s.name for s in plan.series if s.kind == "calendar"]
        context = FeatureContext.of(panel).complete(panel, numbers)
        bars = (field_positions(panel.fields), panel.values, panel.present)
        seen.append(run(plan, bars, context, threads=1)[:, :, 0])
    assert np.isfinite(seen[0][:, -1]).all()
    assert all(np.array_equal(other, seen[0], equal_nan=True) for other in seen[1:])


def test_a_model_sees_the_change_of_the_balance_of_volume_not_its_sum():
    assert CATALOGUE["obv"].model_expression == CATALOGUE["obv_ratio_20"].expression


@pytest.mark.parametrize(
    "name",
    ["rsi_5", "rsi_9", "rsi_14", "rsi_ema", "stoch_k", "stoch_d", "mfi_14", "adx_14", "plus_di", "minus_di"],
)
def test_an_index_is_a_fraction_inside_and_shown_from_0_to_100(name):
    values = value_of(name)
    assert np.nanmin(values) >= 0.0
    assert np.nanmax(values) <= 1.0
    assert find(name).display_factor == 100.0
