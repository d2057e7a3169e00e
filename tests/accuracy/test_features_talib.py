"""Every feature of the default set against TA-Lib where it has the indicator, pandas, SciPy or NumPy elsewhere.

Tolerances are absolute on values of order one. Running sums and recursions agree with TA-Lib to about 1e-12.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import talib
from scipy import stats

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.declared.sets import SETS

DAY = 86_400_000_000_000
N, T = 12, 700
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
SECTORS = ["a", "a", "a", "b", "b", "c", "d", "d", "d", "d", "b", "a"]


def bars() -> Panel:
    rng = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(4, (N, T)) * 0.01, axis=1))
    opening = close * np.exp(rng.normal(0, 0.003, (N, T)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, (N, T))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, (N, T))))
    volume = np.round(np.exp(rng.normal(12, 1, (N, T))))
    factor = np.exp(np.cumsum((rng.random((N, T)) < 0.01) * 0.01, axis=1))
    factor /= factor[:, :1]
    empty = np.full((N, T), np.nan)
    values = np.stack([opening, high, low, close, volume, empty, np.ones((N, T)), factor, empty], axis=2)
    start = np.arange(T, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i:03d}" for i in range(N))
    return Panel(values, np.ones((N, T), bool), start, start + DAY, start + DAY, FIELDS, names, "1d", "24/7")


PANEL = bars()
FACTOR = PANEL.field("total_factor")
OP, H, L, C = (PANEL.field(k) * FACTOR for k in ("open", "high", "low", "close"))
V = PANEL.field("volume")
VIX = 20.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, T)))
R = np.diff(np.log(C), axis=1, prepend=np.nan)
REFERENCES = np.stack([VIX, VIX * 2, VIX + 5, VIX**0.5])


@pytest.fixture(scope="module")
def features() -> Panel:
    context = FeatureContext.of(
        PANEL, sectors=SECTORS, reference_names=["vix", "sp500", "nasdaq", "oil"], reference=REFERENCES
    )
    return compute(PANEL, list(SETS["spine"]), context)


def each(function, *arrays: np.ndarray) -> np.ndarray:
    return np.stack([function(*(np.ascontiguousarray(a[i]) for a in arrays)) for i in range(N)])


def roll(a: np.ndarray, window: int):
    return pd.DataFrame(a.T).rolling(window)


def log_lag(lag: int, skip: int = 0) -> np.ndarray:
    out = np.full((N, T), np.nan)
    out[:, lag:] = np.log(C[:, lag - skip : T - skip] / C[:, : T - lag])
    return out


def ema(window: int) -> np.ndarray:
    return each(lambda c: talib.EMA(c, window), C)


def signal_of(line: np.ndarray) -> np.ndarray:
    out = np.full_like(line, np.nan)
    for i in range(N):
        first = int(np.flatnonzero(np.isfinite(line[i]))[0])
        out[i, first:] = talib.EMA(np.ascontiguousarray(line[i, first:]), 9)
    return out


def percent_b(c: np.ndarray) -> np.ndarray:
    high, _, low = talib.BBANDS(c, 20, 2.0, 2.0)
    return (c - low) / (high - low)


def obv_ratio(c: np.ndarray, v: np.ndarray) -> np.ndarray:
    obv = talib.OBV(c, v)
    out = np.full(T, np.nan)
    out[20:] = (obv[20:] - obv[:-20]) / (np.asarray(pd.Series(v).rolling(20).sum())[20:])
    return out


def drawdown(c: np.ndarray) -> np.ndarray:
    out = np.full(T, np.nan)
    for t in range(59, T):
        w = c[t - 59 : t + 1]
        out[t] = (w / np.maximum.accumulate(w) - 1.0).min()
    return out


def z_of(a: np.ndarray, window: int) -> np.ndarray:
    return (a - roll(a, window).mean().to_numpy().T) / roll(a, window).std().to_numpy().T


def market_beta() -> np.ndarray:
    market = R.mean(axis=0)
    out = np.full((N, T), np.nan)
    for t in range(60, T):
        x = market[t - 59 : t + 1]
        for i in range(N):
            out[i, t] = stats.linregress(x, R[i, t - 59 : t + 1]).slope
    return out


def ranks(a: np.ndarray) -> np.ndarray:
    out = np.full_like(a, np.nan)
    for t in range(T):
        if np.isfinite(a[:, t]).all():
            out[:, t] = (stats.rankdata(a[:, t]) - 1.0) / (N - 1.0)
    return out


def sector_gap(a: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(a)
    codes = np.array(SECTORS)
    out = a - frame.groupby(codes).transform("mean").to_numpy()
    out[codes == "c"] = np.nan  # a sector of one says nothing
    return out


def tile(a: np.ndarray) -> np.ndarray:
    return np.broadcast_to(a, (N, T))


def series_change(a: np.ndarray, lag: int) -> np.ndarray:
    out = np.full(T, np.nan)
    out[lag:] = np.log(a[lag:] / a[:-lag])
    return tile(out)


def amihud() -> np.ndarray:
    illiquidity = np.abs(R) / (C * V)
    return illiquidity / roll(illiquidity, 60).mean().to_numpy().T


def gap() -> np.ndarray:
    out = np.full((N, T), np.nan)
    out[:, 1:] = np.log(OP[:, 1:] / C[:, :-1])
    return out


def weekday() -> np.ndarray:
    return 2.0 * np.pi * pd.DatetimeIndex((PANEL.start + DAY // 2).view("datetime64[ns]")).day_of_week.to_numpy() / 7.0


def volatility(window: int) -> np.ndarray:
    return roll(R, window).std().to_numpy().T


def volume_ratio() -> np.ndarray:
    return V / each(lambda v: talib.SMA(v, 20), V)


def rsi(window: int) -> np.ndarray:
    return each(lambda c: talib.RSI(c, window), C) / 100.0


def macd_histogram() -> np.ndarray:
    line = ema(12) - ema(26)
    return (line - signal_of(line)) / C


ORACLES = {
    **{f"log_return_{k}": (lambda k=k: log_lag(k)) for k in (1, 2, 5, 10, 20, 60, 120, 250)},
    "momentum_12_1": lambda: log_lag(252, 21),
    **{f"price_to_sma_{k}": (lambda k=k: C / each(lambda c: talib.SMA(c, k), C) - 1.0) for k in (20, 50, 200)},
    "ema_ratio_12_26": lambda: ema(12) / ema(26) - 1.0,
    "macd_12_26": lambda: (ema(12) - ema(26)) / C,
    "macd_histogram_12_26_9": macd_histogram,
    "high_distance_250": lambda: np.log(C / each(lambda c: talib.MAX(c, 250), C)),
    "rsi_14": lambda: rsi(14),
    "rsi_5": lambda: rsi(5),
    "stoch_k_14_3": lambda: each(lambda h, lo, c: talib.STOCH(h, lo, c, 14, 3, 0, 1, 0)[0], H, L, C) / 100.0,
    "williams_r_14": lambda: each(lambda h, lo, c: talib.WILLR(h, lo, c, 14), H, L, C) / 100.0,
    "bb_place_20_2": lambda: each(percent_b, C),
    "atr_pct_14": lambda: each(lambda h, lo, c: talib.ATR(h, lo, c, 14), H, L, C) / C,
    **{f"volatility_{k}": (lambda k=k: volatility(k)) for k in (5, 20, 60)},
    "volatility_ratio_5_60": lambda: np.log(volatility(5) / volatility(60)),
    "downside_volatility_60": lambda: np.sqrt(roll(np.minimum(R, 0.0) ** 2, 60).mean().to_numpy().T),
    "skew_60": lambda: roll(R, 60).skew().to_numpy().T,
    "max_drawdown_60": lambda: each(drawdown, C),
    "overnight_gap": gap,
    "intraday_range": lambda: np.log(H / L),
    "relative_position": lambda: (C - L) / (H - L),
    "volume_ratio_20": volume_ratio,
    "log_volume_zscore_20": lambda: z_of(np.log(V), 20),
    "obv_ratio_20": lambda: each(obv_ratio, C, V),
    "mfi_14": lambda: each(lambda h, lo, c, v: talib.MFI(h, lo, c, v, 14), H, L, C, V) / 100.0,
    "amihud_ratio_60": amihud,
    **{f"rank_log_return_{k}": (lambda k=k: ranks(log_lag(k))) for k in (1, 5, 20, 120)},
    "rank_volatility_20": lambda: ranks(volatility(20)),
    "rank_rsi_14": lambda: ranks(rsi(14)),
    "rank_volume_ratio_20": lambda: ranks(volume_ratio()),
    "sector_relative_5": lambda: sector_gap(log_lag(5)),
    "sector_relative_20": lambda: sector_gap(log_lag(20)),
    "market_return_5": lambda: tile(log_lag(5).mean(axis=0)),
    "market_return_20": lambda: tile(log_lag(20).mean(axis=0)),
    "market_dispersion_5": lambda: tile(log_lag(5).std(axis=0, ddof=1)),
    "beta_60": market_beta,
    "vix_zscore_250": lambda: z_of(tile(VIX), 250),
    "vix_change_1": lambda: series_change(REFERENCES[0], 1),
    "vix_change_5": lambda: series_change(REFERENCES[0], 5),
    "sp500_change_5": lambda: series_change(REFERENCES[1], 5),
    "sp500_change_20": lambda: series_change(REFERENCES[1], 20),
    "nasdaq_change_5": lambda: series_change(REFERENCES[2], 5),
    "nasdaq_change_20": lambda: series_change(REFERENCES[2], 20),
    "oil_change_20": lambda: series_change(REFERENCES[3], 20),
    "day_sin": lambda: tile(np.sin(weekday())),
    "day_cos": lambda: tile(np.cos(weekday())),
    "hour_sin": lambda: np.zeros((N, T)),
    "hour_cos": lambda: np.ones((N, T)),
}
# The one-pass moments of the oracles themselves carry this much rounding; everything else is held to 1e-10.
TOLERANCE = {"skew_60": 1e-8, "bb_place_20_2": 1e-8, "vix_zscore_250": 1e-8, "volatility_ratio_5_60": 1e-8}


def test_every_feature_has_an_oracle():
    assert set(ORACLES) == set(SETS["spine"])


@pytest.mark.parametrize("name", list(SETS["spine"]))
def test_feature_equals_its_oracle_and_warms_up_with_it(features: Panel, name: str):
    ours = features.field(name)
    theirs = ORACLES[name]()
    assert np.array_equal(np.isfinite(ours), np.isfinite(theirs)), "warm-up or absence differs"
    assert np.nanmax(np.abs(ours - theirs)) < TOLERANCE.get(name, 1e-10)


def test_warm_up_of_the_catalogue_is_the_first_value(features: Panel):
    for name in SETS["spine"]:
        spec = CATALOGUE[name]
        finite = np.isfinite(features.field(name)[0])
        assert int(np.argmax(finite)) == max(spec.warm_up - 1, 0), name
