"""Self-calibration: panels with known truth, the same panels for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foresail.domain.runs import VerdictWord
from foresail.engine.settings import PipelineSettings
from foresail.evaluation.self_calibration import (
    calibration_settings,
    demo_simulation,
    self_calibrate,
    simulated_market_data,
    suite_simulation,
)
from foresail.evaluation.simulated_market import SimulationSettings

SMALL = SimulationSettings(instruments=12, bars=600)


def test_panels_differ_and_repeat(small_settings: PipelineSettings) -> None:
    said: list[tuple[str, int, int]] = []
    first = self_calibrate(SMALL, small_settings, panels=2, seed=5, progress=lambda *news: said.append(news))
    again = self_calibrate(SMALL, small_settings, panels=1, seed=5)
    assert [one.information_coefficient for one in first] == [0.0, 0.0]
    assert first[0].seed != first[1].seed
    assert again == first[:1]
    assert first[0].verdict != first[1].verdict
    assert [news[1:] for news in said] == [(0, 2), (1, 2), (2, 2)]


def test_evidence_is_the_word_of_the_verdict(small_settings: PipelineSettings) -> None:
    (one,) = self_calibrate(SMALL, small_settings, panels=1, seed=5)
    assert not one.is_evidence  # 350 judged bars of noise
    assert replace(one, verdict=replace(one.verdict, word=VerdictWord.EVIDENCE)).is_evidence


def test_other_edges_are_other_panels(small_settings: PipelineSettings) -> None:
    edge = replace(SMALL, information_coefficient=0.1)
    seeds = [self_calibrate(one, small_settings, panels=1, seed=5)[0].seed for one in (SMALL, edge)]
    assert seeds[0] != seeds[1]


def test_a_simulated_market_is_complete_input_for_a_run() -> None:
    data = simulated_market_data(SMALL, 1)
    assert (data.blocked_from == 600).all()
    assert {one.id for one in data.bar_set.instruments} == set(data.bars.instruments)
    np.testing.assert_array_equal(data.bars.values, simulated_market_data(SMALL, 1).bars.values)


def test_panels_are_judged_on_the_main_jobs_settings() -> None:
    settings = calibration_settings()
    assert (settings.forecaster, settings.strategy) == (PipelineSettings().forecaster, PipelineSettings().strategy)
    for simulation in (demo_simulation(0.05), suite_simulation(0.05)):
        assert simulation.information_coefficient == 0.05
        assert simulation.bars > settings.walk_forward.minimum_train_bars + settings.walk_forward.refit_bars
