"""Market, cross-asset and crypto rows against NumPy, by hand, and on real series where the shared data are there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.context import FeatureContext

DAY = 86_400_000_000_000
SHARED = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data"))


def panel_of(close, kind="stock.US."):
    n, t = close.shape
    start = np.arange(t, dtype=np.int64) * DAY
    ids = tuple(f"{kind}N{i}" for i in range(n))
    values = close[:, :, None].copy()
    return Panel(values, np.isfinite(close), start, start + DAY, start + DAY, ("close",), ids, "1d", "24/7")


def walk(seed, n, t, start=100.0):
    return start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, (n, t)), axis=1))


def values_of(names, close, reference=None, given=None):
    panel = panel_of(close)
    keys, given_keys = tuple(reference or {}), tuple(given or {})
    context = FeatureContext.of(
        panel, reference_names=keys, reference=np.array([reference[k] for k in keys]) if keys else None
    )
    if given_keys:
        rows = [np.broadcast_to(given[k], close.shape) for k in given_keys]
        context = replace(context, given_names=given_keys, given=np.stack(rows, axis=2).astype(float))
    out = compute(panel, names, context)
    return {name: out.field(name) for name in names}


def corr(a, b, window):
    out = np.full(len(a), np.nan)
    for t in range(window, len(a)):
        out[t] = np.corrcoef(a[t - window + 1 : t + 1], b[t - window + 1 : t + 1])[0, 1]
    return out


def returns(x):
    return np.concatenate([[np.nan], np.diff(np.log(x))])


def test_correlations_equal_numpy_and_know_the_sign_of_the_yen():
    names = ("btc", "sp500", "gold", "usd_jpy", "vix", "aud_usd", "eth")
    ref = dict(zip(names, walk(1, 7, 300), strict=True))
    close = walk(2, 2, 300)
    out = values_of(
        ["btc_spy_corr_30d", "gold_jpy_corr", "vix_spy_corr", "market_correlation", "btc_leads_eth"], close, ref
    )
    r = {k: returns(v) for k, v in ref.items()}
    np.testing.assert_allclose(out["btc_spy_corr_30d"][0], corr(r["btc"], r["sp500"], 30), rtol=1e-9)
    np.testing.assert_allclose(out["gold_jpy_corr"][1], corr(r["gold"], -r["usd_jpy"], 30), rtol=1e-9)
    moves = np.concatenate([[np.nan], np.diff(ref["vix"])])
    np.testing.assert_allclose(out["vix_spy_corr"][0], corr(moves, r["sp500"], 20), rtol=1e-9)
    np.testing.assert_allclose(out["market_correlation"][1], corr(returns(close[1]), r["sp500"], 60), rtol=1e-9)
    lagged = np.concatenate([[np.nan], r["btc"][:-1]])
    expected = corr(r["eth"], lagged, 60)
    np.testing.assert_allclose(out["btc_leads_eth"][0, 61:], expected[61:], rtol=1e-9)
    assert np.isnan(out["btc_leads_eth"][:, :61]).all()


def test_a_leader_that_is_followed_a_bar_later_has_correlation_one():
    btc = walk(3, 1, 150)[0]
    eth = np.concatenate([[50.0], 50.0 * btc[:-1] / btc[0]])
    out = values_of(["btc_leads_eth"], walk(4, 1, 150), {"btc": btc, "eth": eth})["btc_leads_eth"][0]
    np.testing.assert_allclose(out[62:], 1.0, atol=1e-9)
    flat = values_of(["btc_leads_eth"], walk(4, 1, 150), {"btc": np.full(150, 7.0), "eth": eth})["btc_leads_eth"]
    assert np.isnan(flat).all()


def test_gauges_and_strength_by_hand():
    ref = {k: np.array([100.0, 110.0]) for k in ("sp500", "btc", "gold", "vix")}
    ref |= {"aud_usd": np.array([1.0, 0.98]), "usd_jpy": np.array([100.0, 80.0]), "usd_chf": np.array([1.0, 1.25])}
    ref |= dict.fromkeys(("day_of_vix", "time_of_sp500"), np.array([1.0, 2.0]))
    out = values_of(["risk_on_score", "risk_off_score", "vix_change", "vix_level", "spy_return"], walk(5, 1, 2), ref)
    assert out["risk_on_score"][0, 1] == pytest.approx((0.1 + 0.1 - 0.02) / 3)
    assert out["risk_off_score"][0, 1] == pytest.approx((0.1 + 0.25 - 0.2) / 3)
    assert (out["vix_change"][0, 1], out["vix_level"][0, 1]) == (10.0, 110.0)
    assert out["spy_return"][0, 1] == pytest.approx(0.1)
    close, index, fund = walk(6, 1, 40), walk(7, 1, 40)[0], walk(8, 1, 40)
    names = ["relative_strength_spy", "relative_strength_spy_ratio", "relative_strength_sector", "sector_performance"]
    out = values_of(names, close, {"sp500": index}, {"sector_close": fund, "day_of_sector": np.arange(40.0)})
    own, market, sector = close[0, 39] / close[0, 19] - 1, index[39] / index[19] - 1, fund[0, 39] / fund[0, 19] - 1
    assert out[names[0]][0, 39] == pytest.approx(own - market, rel=1e-9)
    assert out[names[1]][0, 39] == pytest.approx(own / market, rel=1e-9)
    assert out[names[2]][0, 39] == pytest.approx(own - sector, rel=1e-9)
    assert out[names[3]][0, 39] == pytest.approx(fund[0, 39] / fund[0, 38] - 1, rel=1e-9)


def test_alarms_means_and_places_in_a_history():
    t = 300
    rng = np.random.default_rng(9)
    inflow = np.full(t, 100.0)
    inflow[200] = 215.0  # twice the mean of its window, which holds the value itself: 2 * 103.83 = 207.67
    inflow[250] = 205.0
    spread = {"binance_price": np.full(t, 100.3), "coinbase_price": np.full(t, 100.0)}
    vol = rng.normal(0.3, 0.05, t)
    given = {"exchange_inflow": inflow, "active_addresses": np.arange(t), "implied_volatility": vol, **spread}
    out = values_of(
        ["exchange_inflow_alarm", "active_addresses_7d_ma", "arbitrage_opportunity", "implied_volatility"],
        walk(10, 1, t), given=given,
    )  # fmt: skip
    assert out["exchange_inflow_alarm"][0, [199, 200, 201, 250]].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert np.isnan(out["exchange_inflow_alarm"][0, 28])
    assert out["active_addresses_7d_ma"][0, 10] == 7.0
    assert out["arbitrage_opportunity"][0, 3] == 1.0
    window = vol[300 - 252 : 299]
    assert out["implied_volatility"][0, 299] == pytest.approx(np.mean(window < vol[299]), rel=1e-12)


@pytest.mark.data
def test_real_vix_falls_when_the_market_rises():
    vix_file, spy_file = SHARED / "vix_daily" / "vix.parquet", SHARED / "us_etf_daily" / "spy_1993_2025.parquet"
    if not (vix_file.exists() and spy_file.exists()):
        pytest.skip(f"no shared data under {SHARED}: set FORESAIL_DATA")
    import pandas as pd

    both = pd.merge(pd.read_parquet(vix_file), pd.read_parquet(spy_file), on="ts", suffixes=("_v", "_s"))
    vix, spy = both["close_v"].to_numpy(float).copy(), both["close_s"].to_numpy(float).copy()
    assert len(vix) > 5000
    out = values_of(["vix_spy_corr", "market_correlation"], spy[None, :], {"vix": vix, "sp500": spy})
    found = out["vix_spy_corr"][0]
    twin = corr(np.concatenate([[np.nan], np.diff(vix)]), returns(spy), 20)
    np.testing.assert_allclose(found[21:], twin[21:], rtol=1e-8, atol=1e-10)
    assert np.nanmedian(found) < -0.6
    np.testing.assert_allclose(out["market_correlation"][0, 61:], 1.0, atol=1e-9)
