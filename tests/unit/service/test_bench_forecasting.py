"""The bench of networks: every row has its figure, an absent peer says how to be had."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.errors import ConfigError  # noqa: E402
from foresail.service import bench_forecasting as bench  # noqa: E402


def test_all_rows_have_figures_and_absent_peers_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(bench, "installed", lambda module: False)
    before = torch.get_num_threads()
    request = bench.BenchForecastingRequest(widths=(16,), repetitions=1, instruments=3)
    outcome = bench.bench_forecasting(request)
    assert torch.get_num_threads() == before
    rows = {row["name"]: row for row in outcome.document["rows"]}
    absent = [name for name, row in rows.items() if row["value"] is None]
    assert all("PYTHONPATH" in rows[name]["note"] for name in absent)
    assert {name.rsplit(", ", 1)[-1] for name in absent} == {
        "pytorch-forecasting / ours",
        "neuralforecast / ours",
        "one window a segment / pytorch-forecasting",
    }
    assert all(row["value"] >= 0.0 for row in rows.values() if row["value"] is not None)
    assert rows["serving 3, incremental - whole"]["met"]
    batch = rows["serving 20, incremental, 99 % of 100"]
    assert (batch["unit"], batch["target"], batch["met"]) == ("ms", "< 50", batch["value"] < 50.0)
    assert rows["serving 3, incremental, 99 % of 100"]["met"] is None
    for how in ("shared, compiled", "shared, eager", "plain, compiled", "plain, eager"):
        assert rows[f"training, width 16, ours, {how}"]["value"] > 0.0
    assert outcome.exit_code == 0
    assert len(outcome.lines) == len(rows) + 1


@pytest.mark.parametrize("widths", [(), (24,), (0,)])
def test_widths_that_the_compiled_form_cannot_take_are_refused(widths):
    with pytest.raises(ConfigError, match="multiples of 16"):
        bench.BenchForecastingRequest(widths=widths)


def test_a_list_of_widths_is_read_and_nonsense_refused():
    assert bench.widths_of("32, 64") == (32, 64)
    for text in ("", "32,x"):
        with pytest.raises(ConfigError, match="widths"):
            bench.widths_of(text)
