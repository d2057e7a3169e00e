"""From a finished pipeline to comparators and a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.domain.runs import CanaryResult, VerdictWord
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.assess import assess, compare
from foresail.evaluation.registry import TrialCount
from foresail.measures.returns import simple_returns


def test_every_curve_starts_at_the_capital_and_ends_with_the_run(small_result: PipelineResult) -> None:
    found = compare(small_result, index="index")
    book = small_result.backtest
    length = small_result.data.bars.shape[1] - book.first
    curves = (found.net, found.gross, found.net_2x, found.one_over_n, found.one_over_n_full, found.trend, found.index)
    for curve in curves:
        assert curve is not None
        assert len(curve) == length
        assert curve[0] == pytest.approx(100_000.0)
        assert np.isfinite(curve).all()
    assert found.absent == ()
    assert found.net[-1] == book.net[-1]


def test_one_over_n_stands_at_the_strategys_exposure_and_pays_its_costs(small_result: PipelineResult) -> None:
    found = compare(small_result)
    book = small_result.backtest
    assert found.exposure == pytest.approx(book.exposure[book.first :].mean())
    assert 0.05 < found.exposure < 1.0
    spread = simple_returns(found.one_over_n).std() / simple_returns(found.one_over_n_full).std()
    assert spread == pytest.approx(found.exposure, rel=0.1)
    assert found.one_over_n_2x[-1] < found.one_over_n[-1]
    free = compare(replace(small_result, backtest=replace(book, cost_per_side=0.0)))
    np.testing.assert_array_equal(free.one_over_n_2x, free.one_over_n)
    assert free.one_over_n[-1] > found.one_over_n[-1]


def test_an_index_that_is_missing_or_too_short_is_named(small_result: PipelineResult) -> None:
    assert compare(small_result).absent == (("index", "no index series was given"),)
    times, values = small_result.data.reference["index"]
    late = small_result.backtest.first + 10
    data = replace(small_result.data, reference={"index": (times[late:], values[late:])})
    found = compare(replace(small_result, data=data), index="index")
    assert found.index is None
    assert found.absent == (("index", "index does not cover the judged bars"),)


def test_the_trend_comparator_needs_its_look_back_and_no_future(small_result: PipelineResult) -> None:
    whole = compare(small_result).trend
    bars = small_result.data.bars
    values = bars.values.copy()
    values[:, 501:, bars.index("close")] *= np.linspace(1.0, 2.0, bars.shape[1] - 501)
    altered = replace(small_result, data=replace(small_result.data, bars=replace(bars, values=values)))
    upto = 501 - small_result.backtest.first
    np.testing.assert_array_equal(compare(altered).trend[:upto], whole[:upto])
    assert len(set(whole.tolist())) > 100


def test_a_failed_canary_makes_the_run_invalid(small_result: PipelineResult) -> None:
    found = compare(small_result)
    honest = assess(small_result, found, trials=TrialCount(n=1))
    assert honest.word is not VerdictWord.INVALID
    canary = CanaryResult("price scale", passed=False, text="forecasts change", figures={})
    assert assess(small_result, found, trials=TrialCount(n=1), canaries=(canary,)).word is VerdictWord.INVALID


def test_returns_are_simple_and_per_bar() -> None:
    np.testing.assert_allclose(simple_returns(np.array([100.0, 110.0, 99.0])), [0.1, -0.1])


def test_names_that_nobody_may_trade_leave_no_money_idle_in_one_over_n(small_result: PipelineResult) -> None:
    data = small_result.data
    closed = np.where(np.arange(len(data.blocked_from)) % 2, data.blocked_from, 100)  # every second one, all along
    blocked = compare(replace(small_result, data=replace(data, blocked_from=closed)))
    values = small_result.walk.block.values.copy()
    values[::2] = np.nan
    walk = replace(small_result.walk, block=replace(small_result.walk.block, values=values))
    absent = compare(replace(small_result, walk=walk))
    np.testing.assert_array_equal(blocked.one_over_n_full, absent.one_over_n_full)
    np.testing.assert_array_equal(blocked.trend, absent.trend)
