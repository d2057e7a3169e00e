"""The as-of view hands out the past and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import LookAheadError, UnknownNameError
from foresail.engine.pipeline import PipelineResult
from foresail.engine.view import AsOfView
from foresail.testing.builders import flat_account


@pytest.fixture
def view(small_result: PipelineResult) -> AsOfView:
    block = small_result.walk.block
    return AsOfView(
        position=int(block.position[3]),
        cause="decision",
        whole_bars=small_result.data.bars,
        whole_features=small_result.prepared.features,
        block=block,
        index=3,
        reference={"vix": np.arange(600.0)},
        holdings=flat_account(),
    )


@pytest.mark.parametrize("n", [0, -1, -5])
def test_asking_for_bars_that_have_not_closed_raises(view: AsOfView, n: int) -> None:
    with pytest.raises(LookAheadError, match="not closed"):
        view.bars("1d", n)


def test_the_newest_bar_is_the_one_just_closed(view: AsOfView) -> None:
    last = view.bars("1d", 4)
    whole = view.whole_bars
    assert last.end.tolist() == whole.end[view.position - 3 : view.position + 1].tolist()
    assert view.now == whole.available_at[view.position]
    assert view.bars("1d", 10_000).shape[1] == view.position + 1


def test_what_is_handed_out_cannot_change_the_run(view: AsOfView) -> None:
    forecast = view.forecast()
    assert forecast is not None
    before = view.block.values.copy() if view.block is not None else None
    forecast.values[:] = 0.0
    assert view.block is not None
    np.testing.assert_array_equal(view.block.values, before)


def test_features_and_facts_are_those_of_the_decision(view: AsOfView) -> None:
    row = view.features()
    assert row.shape[1] == 1
    np.testing.assert_array_equal(row.values[:, 0], view.whole_features.values[:, view.position])
    assert view.facts("vix") == view.position
    assert math.isnan(view.facts("nothing"))


def test_a_blocked_or_absent_name_is_not_offered(view: AsOfView) -> None:
    first = view.instruments[0]
    assert first not in replace(view, blocked=frozenset({first})).instruments
    present = view.whole_bars.present.copy()
    present[view.whole_bars.instruments.index(first), view.position] = False
    assert first not in replace(view, whole_bars=replace(view.whole_bars, present=present)).instruments


def test_there_is_no_forecast_without_a_model_and_no_other_frame(view: AsOfView) -> None:
    assert replace(view, index=-1).forecast() is None
    assert view.block is not None
    unfitted = replace(view.block, model=("",) * len(view.block.model))
    assert replace(view, block=unfitted).forecast() is None
    with pytest.raises(UnknownNameError):
        view.bars("1h", 3)
