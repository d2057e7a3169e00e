"""Facts reach the features of a run: joined when available, named among the absent where nobody gave them."""

from __future__ import annotations

import numpy as np

from foresail.domain.bars import BarSet
from foresail.domain.facts import fact_table
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.panel import Panel
from foresail.engine.pipeline import prepare
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.features.givens import VIX_LIMIT_NS

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")


def test_facts_and_limits_reach_the_features_of_a_run():
    t, ids = 80, ("stock.US.AAA", "stock.US.BBB")
    values = np.full((2, t, len(FIELDS)), np.nan)
    walk = 50.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, (2, t)), axis=1))
    values[:, :, :4], values[:, :, 4], values[:, :, 7] = walk[:, :, None], 1000.0, 1.0
    start = np.arange(t, dtype=np.int64) * DAY
    panel = Panel(values, np.ones((2, t), bool), start, start + DAY, start + DAY, FIELDS, ids, "1d", "24/7")
    names = tuple(Instrument(i, i[-3:], AssetClass.STOCK, sector="energy") for i in ids)
    bar_set = BarSet(
        "t", AssetClass.STOCK, "1d", "24/7", PriceBasis.RAW, "point_in_time", "USD", 0.0, False, False, names
    )
    day = np.array([10 * DAY], dtype=np.int64)
    facts = {"reports": fact_table([ids[0]], day, {"roe": np.array([0.2])}, available_at=day + 5 * DAY)}
    vix = (np.array([DAY, 2 * DAY], dtype=np.int64), np.array([15.0, 16.0]))
    data = MarketData(panel, bar_set, {"vix": vix}, np.full(2, t), facts=facts)
    ready = prepare(data, PipelineSettings(features=("roe", "vix_level", "market_cap")))
    assert ready.features.fields == ("roe", "vix_level")
    assert "FUND-01" in ready.absent["market_cap"]
    roe = ready.features.field("roe")
    assert np.isnan(roe[0, :14]).all()
    assert (roe[0, 14:] == 0.2).all()
    assert np.isnan(roe[1]).all()
    level = ready.shown.field("vix_level")[0]
    last = 1 + VIX_LIMIT_NS // DAY
    np.testing.assert_array_equal(level[: last + 1], [15.0] + [16.0] * last)
    assert np.isnan(level[last + 1 :]).all()
