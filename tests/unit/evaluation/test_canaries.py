"""Canaries pass on an honest pipeline and fail on pipelines that were broken on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from foresail.domain.panel import Panel
from foresail.domain.runs import CanaryResult
from foresail.engine import pipeline
from foresail.engine.pipeline import PipelineResult
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.evaluation import canaries
from foresail.evaluation.canaries import SAMPLE_NAMES, canary_market, run_canaries
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings


def by_name(found: tuple[CanaryResult, ...]) -> Mapping[str, CanaryResult]:
    return {one.name: one for one in found}


def test_an_honest_pipeline_passes(small_market: MarketData, small_settings: PipelineSettings) -> None:
    found = run_canaries(small_market, small_settings)
    assert [one.name for one in found] == [
        "shuffled labels",
        "perturbed future",
        "one-bar lag",
        "random walk",
        "price scale",
    ]
    assert [one.name for one in found if not one.passed] == []
    assert by_name(found)["random walk"].figures["costs_exact"] is True


def test_features_that_look_ahead_are_caught(
    small_market: MarketData, small_settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.batch.compute

    def leaky(*arguments: Any, **options: Any) -> Panel:
        features = real(*arguments, **options)
        values = features.values.copy()
        values[:, :-1] = features.values[:, 1:]
        return replace(features, values=values)

    monkeypatch.setattr(pipeline.batch, "compute", leaky)
    found = by_name(run_canaries(small_market, small_settings))
    assert not found["perturbed future"].passed
    assert "features" in found["perturbed future"].text


def test_features_in_units_of_price_are_caught(
    small_market: MarketData, small_settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.batch.compute

    def unscaled(bars: Panel, *arguments: Any, **options: Any) -> Panel:
        features = real(bars, *arguments, **options)
        values = features.values.copy()
        values[:, :, 0] = bars.field("close")
        return replace(features, values=values)

    monkeypatch.setattr(pipeline.batch, "compute", unscaled)
    assert not by_name(run_canaries(small_market, small_settings))["price scale"].passed


def test_costs_that_are_not_booked_are_caught(
    small_market: MarketData, small_settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = canaries.run_pipeline

    def forgetful(*arguments: Any, **options: Any) -> PipelineResult:
        result = real(*arguments, **options)
        return replace(
            result, backtest=replace(result.backtest, total_cost=result.backtest.total_cost - Decimal("0.01"))
        )

    monkeypatch.setattr(canaries, "run_pipeline", forgetful)
    walk = by_name(run_canaries(small_market, small_settings))["random walk"]
    assert not walk.passed
    assert "booked" in walk.text


def test_the_sample_is_the_longest_names_and_the_newest_stretch(small_settings: PipelineSettings) -> None:
    data = simulated_market_data(SimulationSettings(instruments=40, bars=1_200, late_listings=0.5), 2)
    sample, lean = canary_market(data, replace(small_settings, horizons=(1, 5)))
    assert len(sample.bars.instruments) <= SAMPLE_NAMES
    assert sample.bars.end[-1] == data.bars.end[-1]
    assert sample.bars.shape[1] < 1_200
    assert lean.horizons == (5,)
    counts = data.bars.present.sum(axis=1)
    left = [counts[i] for i, name in enumerate(data.bars.instruments) if name not in sample.bars.instruments]
    taken = [counts[data.bars.instruments.index(name)] for name in sample.bars.instruments]
    assert min(taken) >= np.sort(left)[::-1][0] or len(taken) < SAMPLE_NAMES


def test_names_without_a_bar_in_the_stretch_leave_it_with_their_records(small_settings: PipelineSettings) -> None:
    data = simulated_market_data(SimulationSettings(instruments=12, bars=1_200), 2)
    present, values = data.bars.present.copy(), data.bars.values.copy()
    present[4, 300:] = False
    values[4, 300:] = np.nan
    blocked = data.blocked_from.copy()
    blocked[7] = 900
    cut = replace(data, bars=replace(data.bars, present=present, values=values), blocked_from=blocked)
    sample, _ = canary_market(cut, small_settings)
    gone, stopped = data.bars.instruments[4], data.bars.instruments[7]
    assert gone not in sample.bars.instruments
    assert len(sample.blocked_from) == len(sample.bar_set.instruments) == 11
    first = 1_200 - sample.bars.shape[1]
    assert sample.blocked_from[sample.bars.instruments.index(stopped)] == 900 - first


def test_a_canary_that_had_too_little_to_fail_says_so(small_settings: PipelineSettings) -> None:
    walk = replace(small_settings.walk_forward, train_bars=150, minimum_train_bars=120, refit_bars=25)
    market = simulated_market_data(SimulationSettings(instruments=1, bars=200, late_listings=0.0, delistings=0.0), 3)
    found = by_name(run_canaries(market, replace(small_settings, walk_forward=walk)))
    assert {name for name, one in found.items() if not one.judged} == {"shuffled labels", "one-bar lag", "random walk"}
    assert all("not judged" in one.text for one in found.values() if not one.judged)


def test_who_exists_later_must_not_matter(
    small_market: MarketData, small_settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.batch.compute

    def leaky(bars: Panel, *rest: Any, **options: Any) -> Panel:
        features = real(bars, *rest, **options)
        values = features.values.copy()
        values[:, :, 0] = np.roll(bars.present, -5, axis=1)  # survivors have a bar five bars later
        return replace(features, values=values)

    monkeypatch.setattr(pipeline.batch, "compute", leaky)
    assert not by_name(run_canaries(small_market, small_settings))["perturbed future"].passed
