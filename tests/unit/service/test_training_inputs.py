"""What a training reads: chosen on its training part alone, groups switched off, sparse ones left out with a note."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.seeds import generator
from foresail.engine.settings import MarketData
from foresail.features.declared.sets import FEATURE_SETS as SETS_OF
from foresail.service.training_data import Ready, forecast_inputs, plan_parts
from foresail.service.training_inputs import asked_names, chosen_inputs, selection_lines, set_ids
from foresail.service.training_request import TrainRequest

POOL = ("log_return_1", "log_return_2", "return_5", "log_return_20", "rsi_14", "rsi_5", "volatility_20")
REQUEST = TrainRequest(features=",".join(POOL), select="f_test", keep=3)


@pytest.fixture(scope="module")
def ready(small_market: MarketData) -> Ready:
    return plan_parts(forecast_inputs(small_market, POOL, (1, 5), ("close",)), {})


def test_a_selection_is_fitted_on_the_training_part_and_its_stability_told(ready: Ready) -> None:
    chosen, told = chosen_inputs(ready, REQUEST, 7)
    assert chosen.inputs.features.fields == chosen.training.features.fields == told["chosen"]
    assert len(told["chosen"]) == 3
    assert (told["method"], told["k"], told["from"], told["folds"]) == ("f_test", 3, 7, 4)
    assert set(told["share"]) == set(POOL)
    np.testing.assert_array_equal(chosen.training.train_rows, ready.training.train_rows)
    lines = selection_lines(told)
    assert lines[0].startswith("Selection 'f_test' kept 3 of 7 features on the training part; of 4 growing parts")


def test_what_comes_after_the_training_part_changes_no_choice(ready: Ready) -> None:
    border = ready.fold.validation_from
    random = generator(2, "later")
    values, labels = ready.inputs.features.values.copy(), ready.inputs.targets.values.copy()
    values[:, border:] = random.normal(size=values[:, border:].shape)
    late = (ready.inputs.targets.label_end >= border)[None, :, None, :] & np.isfinite(labels)
    labels[late] = random.normal(size=int(late.sum()))
    inputs = replace(
        ready.inputs,
        features=replace(ready.inputs.features, values=values),
        targets=replace(ready.inputs.targets, values=labels),
    )
    assert chosen_inputs(plan_parts(inputs, {}), REQUEST, 7)[1] == chosen_inputs(ready, REQUEST, 7)[1]


def test_sets_that_are_fixed_stay_whole(ready: Ready) -> None:
    same, told = chosen_inputs(ready, TrainRequest(features=",".join(POOL)), 7)
    assert same is ready
    assert told == {}
    assert selection_lines(None) == selection_lines({}) == []


def test_a_feature_that_few_training_rows_know_is_left_out(ready: Ready) -> None:
    values = ready.inputs.features.values.copy()
    values[:, ::4, 2] = np.nan
    inputs = replace(ready.inputs, features=replace(ready.inputs.features, values=values))
    seen, told = chosen_inputs(plan_parts(inputs, {}), TrainRequest(features=",".join(POOL)), 7)
    assert seen.inputs.features.fields == (*POOL[:2], *POOL[3:])
    assert seen.training.features.fields == seen.inputs.features.fields
    assert selection_lines(told) == list(told["notes"])
    assert "return_5 is missing in 2" in told["notes"][0]
    values[:] = np.where(np.arange(values.shape[1])[None, :, None] % 4 == 0, np.nan, values)
    inputs = replace(inputs, features=replace(inputs.features, values=values), usable=ready.inputs.usable)
    with pytest.raises(DataError, match="each of 7 features"):  # of a young ticker, say: --per-ticker goes on
        chosen_inputs(plan_parts(inputs, {}), TrainRequest(features=",".join(POOL)), 7)


@pytest.mark.parametrize(
    ("without", "left"), [("momentum", 5), ("momentum, volatility", 4), (None, 7), ("sentiment,order_flow", 7)]
)
def test_groups_are_switched_off_whole(without: Any, left: int) -> None:
    assert len(asked_names(replace(REQUEST, without=without), POOL)) == left


def test_sets_are_kept_with_their_version() -> None:
    assert set_ids(TrainRequest(features="core20, rsi_14,multi"), "1d") == [SETS_OF["core20"].id, SETS_OF["multi"].id]
    assert set_ids(TrainRequest(features="default:funnel"), "5m") == [SETS_OF["scan100"].id]


def test_unknown_groups_and_methods_are_refused(ready: Ready) -> None:
    with pytest.raises(UnknownNameError, match="mood"):
        asked_names(replace(REQUEST, without="mood"), POOL)
    with pytest.raises(ConfigError, match="leaves no feature"):
        asked_names(replace(REQUEST, without="momentum"), ("rsi_14",))
    with pytest.raises(UnknownNameError, match="lasso"):
        chosen_inputs(ready, replace(REQUEST, select="lasso"), 7)


def test_the_default_of_hours_keeps_its_fixed_set_and_selects_from_the_rest(ready: Ready) -> None:
    hourly = replace(ready, inputs=replace(ready.inputs, features=replace(ready.inputs.features, frame="1h")))
    chosen, told = chosen_inputs(hourly, TrainRequest(features="default", keep=2), 7)
    kept = set(chosen.inputs.features.fields)
    assert "rsi_14" in kept  # of core20
    assert told["method"] == "default"
    assert "rsi_14" not in told["share"]
    assert len(kept & set(told["share"])) == 2
