"""FEAT-29: pegged coins serve correlations only, in history and live, and stand in no rank."""

import numpy as np

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.context import FeatureContext
from foresail.features.live import LiveDriver
from foresail.features.stablecoins import is_stablecoin

DAY = 86_400_000_000_000
NAMES = ["log_return_5", "rank_log_return_20", "rolling_corr_60", "rsi_14"]
COINS = ("crypto.BINANCE.BTC-USDT", "crypto.BINANCE.ETH-USDT", "crypto.BINANCE.SOL-USDT", "crypto.BINANCE.USDC-USDT")


def market(names=COINS) -> Panel:
    rng = np.random.default_rng(2)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (4, 150)), axis=1))[: len(names)]
    empty, ones = np.full(close.shape, np.nan), np.ones(close.shape)
    fields = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
    values = np.stack([close, close, close, close, ones, empty, ones, ones, empty], axis=2)
    end = (np.arange(150, dtype=np.int64) + 1) * DAY
    return Panel(values, np.ones(close.shape, bool), end - DAY, end, end, fields, names, "1d", "24/7")


def test_which_coins_are_pegged():
    pegged = [is_stablecoin(n) for n in ("crypto.BINANCE.USDT-USD", "crypto.COINBASE.DAI-USD~2", "crypto.BTC-USDT")]
    assert pegged == [True, True, False]
    assert not is_stablecoin("stock.US.DAI")
    assert not is_stablecoin("fx.EUR-USD")


def test_a_pegged_coin_has_correlations_and_nothing_else():
    panel = market()
    out = compute(panel, NAMES, FeatureContext.of(panel))
    assert np.isnan(out.values[3, :, [0, 1, 3]]).all()
    assert np.isfinite(out.values[3, 100:, 2]).all()
    assert np.isfinite(out.values[:3, 100:]).all()


def test_it_stands_in_no_rank_of_others():
    panel, without = market(), market(COINS[:3])
    a = compute(panel, ["rank_log_return_20"], FeatureContext.of(panel)).values[:3]
    b = compute(without, ["rank_log_return_20"], FeatureContext.of(without)).values
    np.testing.assert_array_equal(a, b)


def test_live_equals_history():
    panel = market()
    context = FeatureContext.of(panel)
    out = compute(panel, NAMES, context).values
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    for t in range(150):
        row = driver.update(panel.values[:, t], panel.present[:, t], context.row(t))
        np.testing.assert_array_equal(row, out[:, t])
