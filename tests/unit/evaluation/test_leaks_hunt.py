"""The hunt as a whole: the shipped examples, files that cannot be checked, and what the report carries."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.evaluation.leaks import hunt, naive_sharpe
from foresail.evaluation.simulated_market import SimulationSettings, simulate

EXAMPLES = Path(__file__).parents[3] / "examples"
HEAD = 'import numpy as np\n\napi = 1\nid = "test/case@1"\n\n\n'


@pytest.fixture(scope="module")
def market():
    return simulate(SimulationSettings(instruments=20, bars=2_000), seed=5)


@pytest.fixture(scope="module")
def small(market):
    return market.cut(0, 400)


def written(tmp_path, body):
    path = tmp_path / "case.py"
    path.write_text(HEAD + body)
    return path


def test_leaky_example_is_named_within_ten_seconds(market):
    begun = time.perf_counter()
    report = hunt(EXAMPLES / "leaky.py", market, seed=1)
    assert time.perf_counter() - begun < 10
    (leak,) = report.leaks
    assert leak.column == "close"
    assert "center=True" in leak.source_line
    assert leak.source_line == (EXAMPLES / "leaky.py").read_text().splitlines()[leak.line - 1].strip()
    assert "centred window" in leak.cause
    for part in ("leaky.py", f"line {leak.line}", "close", format_ns(leak.time)):
        assert part in report.text
    assert leak.time in market.end


def test_clean_twin_is_clean_and_ordinary(market):
    report = hunt(EXAMPLES / "clean_twin.py", market, seed=1)
    assert report.leaks == ()
    assert len(report.checked_times) == 5
    assert "no leak" in report.text
    assert naive_sharpe(EXAMPLES / "leaky.py", market) > 4
    assert abs(naive_sharpe(EXAMPLES / "clean_twin.py", market)) < 2


@pytest.mark.parametrize("seed", range(4))
def test_verdict_does_not_hang_on_the_seed(small, seed):
    assert hunt(EXAMPLES / "leaky.py", small, seed=seed).leaks
    assert not hunt(EXAMPLES / "clean_twin.py", small, seed=seed).leaks


def test_same_seed_same_report(small):
    assert hunt(EXAMPLES / "leaky.py", small, seed=3) == hunt(EXAMPLES / "leaky.py", small, seed=3)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_column_is_named(tmp_path, small, column):
    path = written(
        tmp_path, f'def feature(bars):\n    values = bars["{column}"]\n    return values / values.shift(-1)\n'
    )
    report = hunt(path, small, seed=1)
    assert {(leak.column, leak.line) for leak in report.leaks} == {(column, 9)}


def test_two_columns_give_two_leaks_with_their_lines(tmp_path, small):
    body = """def feature(bars):
    price = bars["close"] / bars["close"].shift(-1)
    busy = bars["volume"] / bars["volume"].mean()
    return price * busy
"""
    report = hunt(written(tmp_path, body), small, seed=1)
    assert {(leak.column, leak.line) for leak in report.leaks} == {("close", 8), ("volume", 9)}


def test_values_from_elsewhere_that_are_too_good_are_refused(tmp_path, small):
    close = small.field("close")
    ahead = np.full(close.shape, np.nan)
    ahead[:, :-1] = close[:, 1:] / close[:, :-1] - 1
    np.save(tmp_path / "answers.npy", ahead.T)
    body = f"""def feature(bars):
    known = np.load({str(tmp_path / "answers.npy")!r})
    return known[: len(bars["close"])]
"""
    (leak,) = hunt(written(tmp_path, body), small, seed=1).leaks
    assert leak.column == "next return"
    assert "1.00" in leak.cause


def test_memory_between_calls_does_not_hide_a_leak(tmp_path, small):
    body = """store = {}


def feature(bars):
    if "first" not in store:
        store["first"] = bars["close"].shift(-1) / bars["close"]
    return store["first"]
"""
    assert hunt(written(tmp_path, body), small, seed=1).leaks


def test_unseeded_file_is_refused(tmp_path, small):
    body = 'def feature(bars):\n    return bars["close"] * np.random.default_rng().random()\n'
    with pytest.raises(ConfigError, match=r"line 7.*different values on the same bars"):
        hunt(written(tmp_path, body), small, seed=1)


def test_file_without_values_is_refused(tmp_path, small):
    with pytest.raises(ConfigError, match="no finite value"):
        hunt(written(tmp_path, 'def feature(bars):\n    return bars["close"].rolling(900).mean()\n'), small, seed=1)


def test_file_that_needs_later_bars_to_run_is_refused(tmp_path, small):
    body = 'def feature(bars):\n    return bars["close"] / bars["close"].iloc[350]\n'
    with pytest.raises(ConfigError, match=r"line 8.*IndexError.*not on the bars up to"):
        hunt(written(tmp_path, body), small, seed=1)


def test_missing_field_is_told(tmp_path):
    panel = simulate(SimulationSettings(instruments=3, bars=100, close_only=True), seed=0)
    with pytest.raises(ConfigError, match=r"line 8: .*these bars have no 'open'; they have close, volume"):
        hunt(written(tmp_path, 'def feature(bars):\n    return bars["open"]\n'), panel, seed=1)


def test_short_panel_is_refused(small):
    with pytest.raises(DataError, match="at least 60 bars"):
        hunt(EXAMPLES / "leaky.py", small.cut(0, 30), seed=1)


def test_only_the_last_bar_leaks(tmp_path, small):
    body = """def weights(bars):
    close = bars["close"]
    flat = close.notna() / 20.0
    flat.iloc[-2] = (close.iloc[-1] > close.iloc[-2]) / 10.0
    return flat
"""
    report = hunt(written(tmp_path, body), small, seed=1)
    assert report.leaks
    assert report.leaks[0].line == 10


def test_prices_with_splits_make_no_false_leak(tmp_path, small):
    values = small.values.copy()
    half = small.shape[1] // 2
    for name in ("open", "high", "low", "close"):
        values[:, half:, small.index(name)] /= 2.0
    values[:, half, small.index("split")] = 2.0
    values[:, half:, small.index("total_factor")] *= 2.0
    split = replace(small, values=values)
    body = """def feature(bars):
    returns = bars["close"].pct_change()
    assert returns.abs().max().max() < 0.4, "a split was taken for a crash"
    return returns
"""
    assert hunt(written(tmp_path, body), split, seed=1).leaks == ()
    assert hunt(EXAMPLES / "clean_twin.py", split, seed=1).leaks == ()
