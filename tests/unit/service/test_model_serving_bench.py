"""The bench of single forecasts: every kind of model has its rows, and what misses its limit is told."""

from __future__ import annotations

import pytest
from benchmarks import model_serving as bench

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")


def test_recurrent_networks_are_timed_as_they_are_served_and_held_to_their_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "_BARS", 320)
    assert {"lstm", "gru", "tft"} <= set(bench.MODELS)
    rows = bench.measured(["ridge", "lstm"], [3], 2, 2)
    assert [(row["table"], row["model"]) for row in rows] == [
        (table, model) for model in ("ridge", "lstm") for table in ("forecast", "round", "anew")
    ]
    assert all(row["cpu_ms_median"] > 0.0 for row in rows)
    slow = [{**row, "cpu_ms_median": 20.0, "cpu_ms_p99": 60.0} for row in rows]
    told = bench.missed(slow)
    assert [text.split(":")[0] for text in told] == ["ridge", "ridge", "lstm"]  # a network has no 5 ms to keep
    assert not bench.missed([{**row, "cpu_ms_median": 1.0, "cpu_ms_p99": 40.0} for row in rows])
