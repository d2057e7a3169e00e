"""Rows that a model may be fitted on: no window or label across a gap of more than five bars, and what a row counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.engine import walkforward
from foresail.engine.folds import Fold
from foresail.engine.pipeline import prepare
from foresail.engine.row_rules import WEIGHTS, GapAges, labels_whole, weights_of_rows, windows_whole
from foresail.engine.settings import InputSettings, MarketData, PipelineSettings
from foresail.engine.training_sets import ForecastInputs, of_windows, training_set, usable_rows
from foresail.engine.walkforward import walk_forward

DAY = 86_400_000_000_000


def present(*gaps: tuple[int, int], length: int = 40) -> np.ndarray:
    out = np.ones((1, length), dtype=np.bool_)
    for first, last in gaps:
        out[0, first:last] = False
    return out


def test_windows_and_labels_stop_at_a_gap_of_more_than_five_bars() -> None:
    six = present((10, 16))
    # Of windows of four bars, those at 16 to 18 reach into the gap, not beyond it: what they lack is not there at all.
    assert np.flatnonzero(~windows_whole(six, 4)[0]).tolist() == []
    assert np.flatnonzero(~windows_whole(six, 10)[0]).tolist() == [16, 17, 18]
    assert np.flatnonzero(~labels_whole(six, 8)[0]).tolist() == list(range(8, 16))
    five = present((10, 15))
    assert windows_whole(five, 40).all()
    assert labels_whole(five, 40).all()


def test_before_a_listing_and_after_its_end_is_no_gap() -> None:
    late = present((0, 12), (30, 40))
    assert windows_whole(late, 40).all()
    assert labels_whole(late, 40).all()


def test_a_plain_twin_agrees_on_random_markets() -> None:
    random = np.random.default_rng(4)
    bars = random.random((3, 120)) < np.repeat(random.random((3, 12)), 10, axis=1)
    windows, labels = windows_whole(bars, 15), labels_whole(bars, 9)
    for i, own in enumerate(bars):
        seen = np.flatnonzero(own).tolist()
        gaps = [(a, b) for a, b in pairwise(seen) if b - a > 6]
        for t in seen:
            assert windows[i, t] == (not any(a >= t - 14 and b <= t for a, b in gaps)), (i, t)
            assert labels[i, t] == (not any(a >= t and b <= t + 9 for a, b in gaps)), (i, t)


def test_ages_of_gaps_kept_bar_by_bar_are_those_of_the_whole_history() -> None:
    random = np.random.default_rng(5)
    bars = random.random((6, 150)) < np.repeat(random.random((6, 15)) ** 3, 10, axis=1)
    bars[0] = False
    bars[1, :90] = False
    ages = GapAges.of(bars[:, :1])
    seen = set()
    for t in range(1, 150):
        ages, fresh = ages.after(bars[:, t]), GapAges.of(bars[:, : t + 1])
        np.testing.assert_array_equal(ages.since_bar, fresh.since_bar)
        np.testing.assert_array_equal(ages.since_gap, fresh.since_gap)
        for context in (1, 7, 15, 40):
            np.testing.assert_array_equal(ages.whole(context), windows_whole(bars[:, : t + 1], context)[:, -1])
            seen |= {(context, bool(one)) for one in ages.whole(context)}
    assert {(15, True), (15, False), (40, True), (40, False)} <= seen


def test_a_run_forecasts_no_window_across_a_gap(
    small_market: MarketData, small_settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = small_market.bars
    values, there = bars.values.copy(), bars.present.copy()
    at = bars.shape[1] - 60
    values[2, at : at + 8], there[2, at : at + 8] = np.nan, False
    ready = prepare(replace(small_market, bars=replace(bars, values=values, present=there)), small_settings)

    def forecast_at() -> set[int]:
        block = walk_forward(ready.features, ready.targets, ready.scale, small_settings).block
        return set(block.position[np.isfinite(block.values[2, :, 0, 0, 0])].tolist())

    every = forecast_at()
    monkeypatch.setattr(walkforward, "context_of", lambda _: 30)
    left = every - forecast_at()
    assert left == {t for t in every if at + 8 <= t < at - 1 + 30}
    assert left


def test_training_rows_keep_off_gaps(small_market: MarketData, small_settings: PipelineSettings) -> None:
    settings = replace(small_settings, horizons=(12,), decision_horizon=12)
    bars = small_market.bars
    values, there = bars.values.copy(), bars.present.copy()
    values[2, 100:108], there[2, 100:108] = np.nan, False
    ready = prepare(replace(small_market, bars=replace(bars, values=values, present=there)), settings)
    inputs = ForecastInputs(
        ready.features, ready.targets, ready.scale, usable_rows(ready.features, ready.targets, ready.scale)
    )
    assert not inputs.usable[2, 96:100].any()  # their labels end behind the gap
    assert inputs.usable[2, 80:88].any()
    seen = of_windows(inputs, 30)
    own = np.flatnonzero(inputs.usable[2] & ~seen.usable[2])
    assert len(own)
    assert own.min() >= 108
    assert own.max() == 99 + 29
    assert of_windows(inputs, 1) is inputs
    assert (seen.usable[3] == inputs.usable[3]).all()


def test_a_row_of_a_year_ago_counts_half() -> None:
    end = np.array([0, 365.25 * DAY, 730.5 * DAY], dtype=np.int64)
    rows = np.array([[0, 0], [0, 1], [0, 2]])
    weights = weights_of_rows(rows, "recency", end=end, horizon=1)
    np.testing.assert_allclose(weights / weights[2], [0.25, 0.5, 1.0])
    assert weights.mean() == pytest.approx(1.0)


def test_a_label_that_overlaps_others_counts_less() -> None:
    rows = np.array([[0, 0], [0, 1], [0, 10], [1, 0]])
    weights = weights_of_rows(rows, "uniqueness", end=np.arange(20) * DAY, horizon=2)
    # Labels of rows 0 and 1 share one bar of two: (1 + 1/2) / 2; the others share none, nor do instruments.
    np.testing.assert_allclose(weights, np.array([0.75, 0.75, 1.0, 1.0]) / 0.875)


def test_without_a_method_all_rows_count_the_same() -> None:
    rows = np.array([[0, 0], [0, 1]])
    assert weights_of_rows(rows, "none", end=np.arange(3) * DAY, horizon=1).tolist() == [1.0, 1.0]
    assert "none" in WEIGHTS
    with pytest.raises(UnknownNameError, match="recent"):
        weights_of_rows(rows, "recent", end=np.arange(3) * DAY, horizon=1)


def test_weights_reach_the_models_of_a_run(small_market: MarketData, small_settings: PipelineSettings) -> None:
    ready = prepare(small_market, small_settings)
    inputs = ForecastInputs(
        ready.features, ready.targets, ready.scale, usable_rows(ready.features, ready.targets, ready.scale)
    )
    told = training_set(inputs, Fold(0, 0, 200, 240, 280, 400), row_weights="recency+uniqueness").weights
    assert told[0] < told[-1]
    weighted = replace(small_settings, inputs=InputSettings(row_weights="recency"))
    plain, other = (walk_forward(ready.features, ready.targets, ready.scale, one) for one in (small_settings, weighted))
    assert not np.array_equal(plain.block.values, other.block.values, equal_nan=True)
