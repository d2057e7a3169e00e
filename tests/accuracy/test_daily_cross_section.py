"""Networks against a linear forecaster and boosted trees in the daily cross-section of 50 liquid US names.

Made forecasts are kept in ``build/daily_cross_section`` (FORESAIL_BUILD names another folder), so that an interrupted
run goes on. The test holds each entrant to honest bands, not to a win: the table says who won.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from benchmarks.daily_cross_section import FORECASTERS, SEEDED, Protocol, compared

from foresail.service.features import FeatureRequest, load_market

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("FORESAIL_DATA", ROOT / ".." / "shared" / "data"))
PRICES = DATA / "us_stocks_daily_2015_2025" / "dividend_payers_daily.parquet"
BUILD = Path(os.environ.get("FORESAIL_BUILD", ROOT / "build"))


@pytest.mark.accuracy
@pytest.mark.data
@pytest.mark.skipif(not PRICES.is_file(), reason="the US daily prices are not there (FORESAIL_DATA)")
def test_networks_stand_beside_the_baselines_on_the_same_rows() -> None:
    pytest.importorskip("torch")
    _, data = load_market(FeatureRequest(bars=str(PRICES)))
    protocol = Protocol()
    found = compared(data, protocol, BUILD / "daily_cross_section", FORECASTERS)
    table = found["table"]
    assert len(found["instruments"]) == protocol.names
    assert set(table) == set(FORECASTERS)
    for name, row in table.items():
        value, low, high = row["rank_ic"]
        assert low < value < high, name
        # 500 test days of 50 names: an interval narrower than this would not be clustered by day
        assert 0.03 < high - low < 0.2, name
        # a daily cross-section of liquid stocks that shows more than this has a leak
        assert abs(value) < 0.10, name
        assert 0.75 <= row["coverage"] <= 0.85, name
        assert len(row["by_seed"]) == (protocol.seeds if name in SEEDED else 1)
    # one set of names and weeks for all: the comparator does not depend on the forecaster
    assert np.ptp([row["one_nth_yearly"] for row in table.values()]) < 1e-12
