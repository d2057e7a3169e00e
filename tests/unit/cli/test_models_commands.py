"""``foresail train``, ``predict`` and ``models`` keep the contract of all commands: a round trip on a small set."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from foresail.core.clock import from_ns
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, small_panel

PANEL = small_panel(5, 400)
LAST_DAY = from_ns(int(PANEL.end[-1])).date().isoformat()
FEATURES = "log_return_1,log_return_5,rsi_14,volatility_20"


@pytest.fixture
def market(foresail, tmp_path):
    """Return the caller, in a workspace with the set ``mine``."""
    EmbeddedStore(tmp_path / "store").append(
        bar_table(PANEL), bar_set(PANEL, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    return foresail


def test_round_trip(market, tmp_path):
    done = market(
        "train", "--bars", "mine", "--forecaster", "ridge", "--features", FEATURES, "--horizons", "1d,1w", "--json"
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["model"] == "stock_1d_ridge_v1"
    assert document["record"]["horizons"] == [1, 5]
    assert "training" in done.err
    assert (tmp_path / "models/stock_1d_ridge_v1/card.html").is_file()

    done = market("predict", "--bars", "mine", "--at", LAST_DAY)
    assert done.code == 2
    assert "has no champion" in done.err
    done = market("models", "promote", "stock_1d_ridge_v1", "--note", "first", "--json")
    assert json.loads(done.out)["stage"] == "champion"
    done = market("predict", "--bars", "mine", "--at", LAST_DAY, "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["forecasts"]
    assert len(rows) == 10
    assert not any(row["stale"] for row in rows)

    done = market("predict", "--bars", "mine", "--at", LAST_DAY, "--csv")
    table = list(csv.DictReader(io.StringIO(done.out)))
    assert len(table) == 10
    assert float(table[0]["q0.1"]) == rows[0]["quantiles"]["0.1"]
    assert float(table[0]["confidence_score"]) == rows[0]["confidence_score"]

    done = market("predict", "--bars", "mine", "--at", LAST_DAY)
    assert "P10" in done.out
    assert "(champion)" in done.out

    done = market("models", "list")
    assert "champion" in done.out
    done = market("models", "show", "stock_1d_ridge", "--json")
    assert json.loads(done.out)["record"]["seed"] == 7
    done = market("models", "show", "stock_1d_ridge")
    assert "champion first" in done.out
    assert market("models", "remove", "stock_1d_ridge_v1").code == 2
    assert market("models", "retire", "stock_1d_ridge_v1").code == 0
    assert market("models", "remove", "stock_1d_ridge_v1", "--json").code == 0
    assert json.loads(market("models", "list", "--json").out) == {"models": []}


def test_a_tampered_model_is_told_and_left_alone(market, tmp_path):
    assert market("train", "--bars", "mine", "--forecaster", "ridge", "--features", FEATURES).code == 0
    file = tmp_path / "models/stock_1d_ridge_v1/weights/model.json"
    file.write_text(file.read_text().replace("0.", "1.", 1))
    done = market("predict", "--bars", "mine", "--model", "stock_1d_ridge_v1", "--at", LAST_DAY, "--json")
    assert done.code == 3
    document = json.loads(done.out)
    assert document["error"] == "ModelError"
    assert "expected SHA-256" in document["text"]
    assert market("models", "verify").code == 4
    done = market("models", "promote", "stock_1d_ridge_v1")
    assert done.code == 3
    assert "champion" not in market("models", "list").out


def test_wrong_requests_are_one_line(market):
    done = market("train", "--bars", "mine", "--forecaster", "rigde", "--json")
    assert done.code == 2
    assert "Did you mean 'ridge'" in json.loads(done.out)["text"]
    done = market("train", "--bars", "mine", "--option", "width", "--json")
    assert "key=value" in json.loads(done.out)["text"]
    done = market("models", "show", "nothing", "--json")
    assert done.code == 2
    assert "foresail train" in json.loads(done.out)["hint"]
    done = market("predict", "--bars", "mine", "--at", "soon", "--json")
    assert done.code == 2
