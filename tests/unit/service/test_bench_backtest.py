"""The bench of backtests on tiny sizes: every row is there, peers are optional, wrong sizes are refused."""

import json

import pytest

from foresail.core.errors import ConfigError
from foresail.service import bench_backtest as bench

SMALL = {
    "bars": 3000,
    "instruments": 5,
    "days": 30,
    "sweep_bars": 300,
    "event_bars": 300,
    "orders": 40,
    "repetitions": 1,
}


@pytest.fixture(scope="module")
def outcome():
    return bench.bench_backtest(bench.BenchBacktestRequest(**SMALL))


def test_the_bench_tells_every_figure_and_what_it_is_for(outcome):
    rows = {row["name"]: row for row in outcome.document["rows"]}
    assert rows["signals, 3,000 bars"]["value"] > 0
    assert rows["weights, 5 x 30, long and short"]["value"] > 0
    assert rows["sweep, 1,000 parameters x 300 bars, 2 threads"]["value"] > 0
    assert rows["events, plain Python strategy that rarely trades"]["unit"] == "bars/s"
    assert rows["events, orders through gate, journal on disk, ledger"]["value"] > 0
    assert set(outcome.document["missed"]) == {name for name, row in rows.items() if row["met"] is False}
    assert outcome.exit_code == 0
    json.dumps(outcome.document)


def test_without_vectorbt_its_rows_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(bench, "_peer", lambda: None)
    monkeypatch.setattr(bench, "_scaling", lambda _request: [])
    monkeypatch.setattr(bench, "event_rows", lambda *_sizes: [])
    rows = bench.bench_backtest(bench.BenchBacktestRequest(**SMALL)).document["rows"]
    skipped = [row for row in rows if row["value"] is None]
    assert [row["name"].split(",")[0] for row in skipped] == ["signals", "weights"]
    assert all("pip install vectorbt" in row["note"] for row in skipped)
    assert not any(row["met"] for row in skipped)


def test_sizes_that_measure_nothing_are_refused():
    with pytest.raises(ConfigError, match="repetitions >= 1"):
        bench.BenchBacktestRequest(repetitions=0)
