"""The bench of networks: every row has its figure, an absent peer says how to be had."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.errors import CapabilityError, ConfigError  # noqa: E402
from foresail.service import bench_forecasting as bench  # noqa: E402
from foresail.service import bench_serving  # noqa: E402
from foresail.service.bench_timing import Watch  # noqa: E402


def test_all_rows_have_figures_and_absent_peers_say_how_to_install_them(monkeypatch):
    for module in (bench, bench_serving):
        monkeypatch.setattr(module, "installed", lambda module: False)
    before = torch.get_num_threads()
    request = bench.BenchForecastingRequest(widths=(16,), repetitions=1, instruments=3)
    outcome = bench.bench_forecasting(request)
    assert torch.get_num_threads() == before
    rows = {row["name"]: row for row in outcome.document["rows"]}
    wide = rows.pop("serving 3, width 256, 8 heads")
    assert (wide["value"], wide["target"], wide["met"]) == (None, "< 50", None)
    assert wide["note"].startswith("needs an accelerator")
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
    assert len(outcome.lines) == len(rows) + 2  # a head, and the wide network


@pytest.mark.parametrize("widths", [(), (24,), (0,)])
def test_widths_that_the_compiled_form_cannot_take_are_refused(widths):
    with pytest.raises(ConfigError, match="multiples of 16"):
        bench.BenchForecastingRequest(widths=widths)


def test_a_list_of_widths_is_read_and_nonsense_refused():
    assert bench.widths_of("32, 64") == (32, 64)
    for text in ("", "32,x"):
        with pytest.raises(ConfigError, match="widths"):
            bench.widths_of(text)


def test_the_wide_network_is_served_on_a_processor_when_asked_to(monkeypatch):
    assert (bench_serving._WIDE, bench_serving._WIDE_HEADS) == (256, 8)
    monkeypatch.setattr(bench_serving, "_WIDE", 32)  # weights of width 256 take seconds to draw
    rows = bench_serving._wide_rows(bench_serving.Serving(2, 1, 0, Watch(), wide=True))
    figures = {row["name"].removeprefix("serving 2, width 32, 8 heads, "): row for row in rows}
    assert list(figures) == ["incremental", "whole windows", "incremental - whole"]
    assert figures["incremental"]["met"] is None  # the target is an accelerator's
    assert figures["incremental"]["value"] > 0.0
    assert figures["incremental - whole"]["met"]


def test_a_device_that_is_not_there_is_refused_before_anything_is_timed(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(bench, "_training", never)
    with pytest.raises(ConfigError, match="expected cpu, cuda or auto"):
        bench.bench_forecasting(bench.BenchForecastingRequest(device="meta"))
    if not torch.cuda.is_available():
        with pytest.raises(CapabilityError, match="cuda was asked for"):
            bench.bench_forecasting(bench.BenchForecastingRequest(device="cuda"))
