"""Moments, memory, spreads, the filtered trend and regimes against SciPy, statsmodels, pandas and plain twins."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.context import FeatureContext
from foresail.features.declared import levels, regime, statistical
from foresail.features.live import LiveDriver

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
N, T = 3, 420
SPECS = [*statistical.declared(), *regime.declared(), *levels.declared()]
NAMES = [spec.name for spec in SPECS if not any(i.startswith("calendar:") for i in spec.inputs)]
GIVENS = tuple(sorted({i[6:] for spec in SPECS for i in spec.inputs if i.startswith("given:")}))
REFERENCES = ("btc", "sp500", "vix")


def bars(seed: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    close = 80.0 * np.exp(np.cumsum(rng.standard_t(4, (N, T)) * 0.012, axis=1))
    opening = close * np.exp(rng.normal(0, 0.006, (N, T)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.005, (N, T))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.005, (N, T))))
    volume = np.round(np.exp(rng.normal(10, 0.5, (N, T))))
    empty = np.full((N, T), np.nan)
    values = np.stack([opening, high, low, close, volume, empty, np.ones((N, T)), np.ones((N, T)), empty], axis=2)
    start = np.arange(T, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i:03d}" for i in range(N))
    return Panel(values, np.ones((N, T), bool), start, start + DAY, start + DAY, FIELDS, names, "1d", "24/7")


def context_of(panel: Panel) -> FeatureContext:
    rng = np.random.default_rng(9)
    reference = 18.0 * np.exp(np.cumsum(rng.normal(0, 0.03, (3, T)), axis=1))
    context = FeatureContext.of(panel, reference_names=REFERENCES, reference=reference)
    given = rng.normal(0.0, 1.0, (N, T, len(GIVENS)))
    # A true pair: the other leg follows the first with a stationary difference.
    away = np.zeros((N, T))
    for t in range(1, T):
        away[:, t] = 0.6 * away[:, t - 1] + rng.normal(0, 0.01, N)
    given[:, :, GIVENS.index("pair_close")] = 5.0 * np.exp(0.7 * np.log(panel.field("close")) + away)
    return replace(context, given_names=GIVENS, given=given)


PANEL = bars()
CONTEXT = context_of(PANEL)
CLOSE = PANEL.field("close")
RETURNS = np.diff(np.log(CLOSE), axis=1, prepend=np.nan)


@pytest.fixture(scope="module")
def features() -> Panel:
    return compute(PANEL, NAMES, CONTEXT)


def windows(function, values: np.ndarray, window: int) -> np.ndarray:
    out = np.full((N, T), np.nan)
    for i in range(N):
        for t in range(window - 1, T):
            piece = values[i, t - window + 1 : t + 1]
            if np.isfinite(piece).all():
                out[i, t] = function(piece)
    return out


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-9) -> None:
    assert np.array_equal(np.isfinite(ours), np.isfinite(theirs)), "warm-up or absence differs"
    assert np.isfinite(ours).any()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def test_moments_equal_scipy(features):
    agree(features.field("rolling_skew_20"), windows(lambda x: stats.skew(x, bias=False), RETURNS, 20))
    for window in (20, 60):
        twin = windows(lambda x: stats.kurtosis(x, bias=False), RETURNS, window)
        agree(features.field(f"rolling_kurt_{window}"), twin)


def test_means_deviations_and_scores_equal_pandas(features):
    rolled = pd.DataFrame(CLOSE.T).rolling(20)
    mean, deviation = rolled.mean().to_numpy().T, rolled.std().to_numpy().T
    agree(features.field("rolling_mean_20"), mean)
    agree(features.field("rolling_std_20"), deviation)
    agree(features.field("zscore_20"), (CLOSE - mean) / deviation)


@pytest.mark.parametrize("window", [20, 60])
@pytest.mark.parametrize("lag", [1, 5])
def test_autocorrelations_equal_pandas(features, lag, window):
    twin = windows(lambda x: pd.Series(x).autocorr(lag), RETURNS, window)
    agree(features.field(f"autocorr_{lag}_{window}"), twin)


def test_correlations_equal_numpy(features):
    market = np.where(np.arange(T) > 0, RETURNS.mean(axis=0), np.nan)
    index = np.diff(np.log(CONTEXT.reference[1]), prepend=np.nan)
    for name, other in (("rolling_corr_60", market), ("rolling_corr_60_sp500", index)):
        twin = np.full((N, T), np.nan)
        for i in range(N):
            for t in range(60, T):
                twin[i, t] = np.corrcoef(RETURNS[i, t - 59 : t + 1], other[t - 59 : t + 1])[0, 1]
        agree(features.field(name), twin)


def leg(name: str, i: int) -> np.ndarray:
    if name == "pair":
        return np.log(CONTEXT.given[i, :, GIVENS.index("pair_close")])
    return np.log(CONTEXT.reference[REFERENCES.index(name)])


@pytest.mark.parametrize("name", ["pair", "sp500"])
def test_spread_is_the_last_residual_of_least_squares(features, name):
    twin = np.full((3, N, T), np.nan)
    for i in range(N):
        y, x = np.log(CLOSE[i]), leg(name, i)
        for t in range(60, T):
            a, b = y[t - 60 : t + 1], x[t - 60 : t + 1]
            design = np.column_stack([b, np.ones(61)])
            beta = np.linalg.lstsq(design, a, rcond=None)[0]
            rest = a - design @ beta
            twin[:, i, t] = rest[-1] / rest.std(ddof=1), rest[-1], beta[0]
    for ours, theirs in zip((f"spread_zscore_60_{name}", f"spread_60_{name}", f"hedge_ratio_60_{name}"), twin,
                            strict=True):  # fmt: skip
        agree(features.field(ours), theirs)


def held(value, first: int, every: int = 21) -> np.ndarray:
    """Return what a test made anew every so many bars shows."""
    out = np.full((N, T), np.nan)
    for i in range(N):
        for t in range(first, T, every):
            out[i, t : t + every] = value(i, t)
    return out


def test_unit_root_p_value_equals_statsmodels(features):
    from statsmodels.tsa.stattools import adfuller

    def value(i: int, t: int) -> float:
        levels_of = np.log(CLOSE[i, t - 250 : t + 1])
        return float(adfuller(levels_of, maxlag=1, autolag=None, regression="c", result_object=False)[1])

    agree(features.field("adf_pvalue_250"), held(value, 250), 1e-8)


@pytest.mark.parametrize("name", ["pair", "sp500", "btc"])
def test_cointegration_p_value_equals_statsmodels(features, name):
    from statsmodels.tsa.stattools import coint

    def value(i: int, t: int) -> float:
        piece = slice(t - 250, t + 1)
        return float(coint(np.log(CLOSE[i, piece]), leg(name, i)[piece], trend="c", maxlag=1, autolag=None)[1])

    agree(features.field(f"adf_pvalue_250_{name}"), held(value, 250), 1e-8)


def test_a_true_pair_passes_and_an_unrelated_one_does_not(features):
    assert np.nanmedian(features.field("adf_pvalue_250_pair")) < 0.01
    assert np.nanmedian(features.field("adf_pvalue_250_sp500")) > 0.05


def hurst_twin(x: np.ndarray) -> float:
    sizes = [8, 16, 32, 64, 128]
    ours, usual = [], []
    for n in sizes:
        blocks = x.reshape(-1, n)
        path = np.cumsum(blocks - blocks.mean(axis=1, keepdims=True), axis=1)
        width = np.maximum(path.max(axis=1), 0.0) - np.minimum(path.min(axis=1), 0.0)
        ours.append(np.log((width / blocks.std(axis=1)).mean()))
        k = np.arange(1, n)
        gammas = math.gamma((n - 1) / 2) / (math.sqrt(math.pi) * math.gamma(n / 2))
        usual.append(math.log(gammas * np.sqrt((n - k) / k).sum()))
    return 0.5 + float(np.polyfit(np.log(sizes), np.array(ours) - np.array(usual), 1)[0])


def test_hurst_equals_its_twin_and_is_a_half_for_a_random_walk(features):
    ours = features.field("hurst_128")
    agree(ours, windows(hurst_twin, RETURNS, 128), 1e-8)
    rng = np.random.default_rng(4)
    walks = [hurst_twin(rng.normal(size=128)) for _ in range(400)]
    assert abs(np.mean(walks) - 0.5) < 0.03  # standard error 0.006


def kalman_twin(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Six ordinary filters on log prices, exact diffuse start after two values, the likeliest one shown."""
    step, reads = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0])
    paths, costs = [], []
    for slope_noise in (1e-4, 1e-2):
        for level_noise in (0.1, 1.0, 10.0):
            state = np.array([x[1], x[1] - x[0]])
            cover = np.array([[1.0, 1.0], [1.0, 2.0 + level_noise + slope_noise]])
            squares = logs = weight = 0.0
            path, cost = [state], [0.0]
            for value in x[2:]:
                state = step @ state
                cover = step @ cover @ step.T + np.diag([level_noise, slope_noise])
                variance = reads @ cover @ reads + 1.0
                error = value - state[0]
                gain = cover @ reads / variance
                state = state + gain * error
                cover = cover - np.outer(gain, reads @ cover)
                squares = 0.995 * squares + error**2 / variance
                logs = 0.995 * logs + math.log(variance)
                weight = 0.995 * weight + 1.0
                path.append(state)
                cost.append(weight * math.log(squares) + logs)
            paths.append(path)
            costs.append(cost)
    best = np.argmin(np.array(costs), axis=0)
    chosen = np.array(paths)[best, np.arange(len(best))]
    return np.exp(chosen[:, 0]), chosen[:, 1]


def test_filtered_trend_equals_ordinary_filters(features):
    for i in range(N):
        level, slope = kalman_twin(np.log(CLOSE[i]))
        np.testing.assert_allclose(features.field("kalman_level")[i, 60:], level[59:], rtol=1e-9)
        np.testing.assert_allclose(features.field("kalman_slope")[i, 60:], slope[59:], rtol=1e-8, atol=1e-12)
        assert np.isnan(features.field("kalman_slope")[i, :60]).all()


def test_regimes_equal_their_definitions(features):
    frame = pd.DataFrame(RETURNS.T)
    fast, slow = frame.rolling(20).std().to_numpy().T, frame.rolling(252).std().to_numpy().T
    agree(features.field("volatility_regime"), np.where(np.isnan(slow), np.nan, fast > 1.5 * slow))
    rank = pd.DataFrame(fast.T).rolling(252).rank().to_numpy().T
    agree(features.field("vol_percentile_252"), (rank - 1.0) / 251.0)
    volume = PANEL.field("volume")
    usual = pd.DataFrame(volume.T).rolling(20).mean().to_numpy().T
    agree(features.field("liquidity_regime"), np.where(np.isnan(usual), np.nan, volume > 1.2 * usual))
    middle = pd.DataFrame(CLOSE.T).rolling(50).mean().to_numpy().T
    before = pd.DataFrame(middle.T).shift(20).to_numpy().T
    side = np.sign(CLOSE - middle)
    state = side * (1.0 + (np.sign(middle - before) == side))
    agree(features.field("trend_regime"), np.where(np.isnan(before), np.nan, state))
    vix = CONTEXT.reference[2]
    fear = np.digitize(vix, [15.0, 20.0, 30.0]).astype(float)
    agree(features.field("market_regime"), np.broadcast_to(fear, (N, T)))


def test_fear_is_cut_at_fifteen_twenty_and_thirty():
    panel = PANEL.cut(0, 6)
    levels_of_fear = np.array([[14.99, 15.0, 19.99, 20.0, 29.99, 30.0]])
    context = FeatureContext.of(panel, reference_names=["vix"], reference=levels_of_fear)
    out = compute(panel, ["market_regime"], context).values[0, :, 0]
    assert out.tolist() == [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]


def test_outputs_of_models_come_from_outside(features):
    for name in ("anomaly_score", "num_regimes", "cyclical_strength", "topology_change", "hmm_state"):
        assert np.array_equal(features.field(name), CONTEXT.given[:, :, GIVENS.index(name)])


def test_aliases_find_the_rows():
    for alias, name in (("hurst", "hurst_128"), ("autocorr_1", "autocorr_1_20"),
                        ("spread_zscore", "spread_zscore_60_pair"),
                        ("adf_pvalue", "adf_pvalue_250_pair"), ("vol_percentile", "vol_percentile_252"),
                        ("rolling_skew", "rolling_skew_20"), ("rolling_kurt", "rolling_kurt_20")):  # fmt: skip
        assert find(alias).name == name


def test_live_equals_history_and_warm_up_is_derived(features):
    driver = LiveDriver(PANEL.instruments, NAMES, CONTEXT, PANEL.fields)
    rows = [driver.update(PANEL.values[:, t], PANEL.present[:, t], CONTEXT.row(t)) for t in range(T)]
    live = np.stack(rows, axis=1)
    same = np.isnan(live) & np.isnan(features.values) | (live.view(np.int64) == features.values.view(np.int64))
    assert same.all()
    for name in NAMES:
        if CATALOGUE[name].group != "level":  # a level waits for its first swing
            finite = np.isfinite(features.field(name)[0])
            assert int(np.argmax(finite)) == CATALOGUE[name].warm_up - 1, name


@pytest.mark.parametrize("name", NAMES)
def test_units_act_as_declared(features, name):
    scaled = PANEL.values.copy()
    scaled[:, :, :4] *= 4.0
    out = compute(replace(PANEL, values=scaled), [name], CONTEXT).values[:, :, 0]
    factor = 1.0 if CATALOGUE[name].scale == "free" else 4.0
    np.testing.assert_allclose(out, factor * features.field(name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("price", [7.0, 1e-50, 1e50])
def test_a_flat_price_has_no_moments_and_no_tests(price):
    values = PANEL.values.copy()
    values[:, :, :4] = price
    out = compute(replace(PANEL, values=values), NAMES, CONTEXT)
    for name in ("rolling_skew_20", "rolling_kurt_20", "autocorr_1_20", "hurst_128", "adf_pvalue_250"):
        assert np.isnan(out.field(name)).all(), name
    assert np.array_equal(out.field("zscore_20")[:, 19:], np.zeros((N, T - 19)))
    assert np.array_equal(out.field("trend_regime")[:, 69:], np.zeros((N, T - 69)))
    assert np.array_equal(out.field("kalman_slope")[:, 60:], np.zeros((N, T - 60)))
    assert not np.isinf(out.values).any()
