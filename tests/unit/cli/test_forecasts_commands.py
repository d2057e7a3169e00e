"""``foresail forecasts`` keeps the contract of all commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, small_panel

PANEL = small_panel(4, 400)
FEATURES = "log_return_1,log_return_5,rsi_14,volatility_20"


def test_round_trip(foresail, tmp_path):
    done = foresail("forecasts", "status", "--json")
    assert done.code == 2
    assert "foresail forecasts start" in json.loads(done.out)["hint"]
    assert foresail("forecasts", "start").code == 2
    done = foresail("forecasts", "start", "--bars", "mine", "--json")
    assert done.code == 3
    assert "refused" in json.loads(done.out)["last"]["sets"][0]

    EmbeddedStore(tmp_path / "store").append(
        bar_table(PANEL), bar_set(PANEL, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    assert foresail("train", "--bars", "mine", "--forecaster", "ridge", "--features", FEATURES).code == 0
    done = foresail("forecasts", "start", "--bars", "mine", "--once", "--json")
    assert "has no champion" in json.loads(done.out)["last"]["sets"][0]["refused"]
    done = foresail("forecasts", "start", "--bars", "mine", "--stage", "candidate", "--once", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["last"]["sets"][0]
    assert told["model"] == "stock_1d_ridge_v1"
    assert told["stale"] == told["rows"] == told["written"]  # the bars are of 2001
    assert "new records" in done.err

    done = foresail("forecasts", "status")
    assert done.code == 0
    assert "not running" in done.out
    assert "stale" in done.out
    assert foresail("forecasts", "stop", "--json").code == 2
    assert foresail("forecasts", "start", "--bars", "mine", "--every", "soon").code == 2
