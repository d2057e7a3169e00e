"""The as-of view hands out the past and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import LookAheadError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.engine.pipeline import PipelineResult
from foresail.engine.view import AsOfView, WholeRun
from foresail.testing.builders import flat_account


@pytest.fixture
def parts(small_result: PipelineResult) -> dict[str, Any]:
    block = small_result.walk.block
    return {
        "position": int(block.position[3]),
        "cause": "decision",
        "whole_bars": small_result.data.bars,
        "whole_features": small_result.prepared.features,
        "block": block,
        "index": 3,
        "reference": {"vix": np.arange(600.0)},
        "holdings": flat_account(),
    }


def made(parts: dict[str, Any]) -> AsOfView:
    """Return a view of the parts."""
    rest = {name: parts[name] for name in ("position", "cause", "index", "holdings", "blocked") if name in parts}
    run = WholeRun(parts["whole_bars"], parts["whole_features"], parts["block"], parts["reference"])
    return AsOfView(run, **rest)


@pytest.fixture
def view(parts: dict[str, Any]) -> AsOfView:
    return made(parts)


@pytest.mark.parametrize("n", [0, -1, -5])
def test_asking_for_bars_that_have_not_closed_raises(view: AsOfView, n: int) -> None:
    with pytest.raises(LookAheadError, match="not closed"):
        view.bars("1d", n)


def test_the_newest_bar_is_the_one_just_closed(view: AsOfView, parts: dict[str, Any]) -> None:
    last = view.bars("1d", 4)
    whole = parts["whole_bars"]
    assert last.end.tolist() == whole.end[view.position - 3 : view.position + 1].tolist()
    assert view.now == whole.available_at[view.position]
    assert view.bars("1d", 10_000).shape[1] == view.position + 1


def test_what_is_handed_out_cannot_change_the_run(view: AsOfView, parts: dict[str, Any]) -> None:
    forecast = view.forecast()
    assert forecast is not None
    before = parts["block"].values.copy()
    forecast.values[:] = 0.0
    np.testing.assert_array_equal(parts["block"].values, before)


@pytest.mark.parametrize("names", [1, 12])
def test_what_is_handed_out_leads_back_to_nothing(parts: dict[str, Any], names: int) -> None:
    """A view of an array keeps the whole array as its base: only copies may leave, also of a single instrument."""
    whole = parts["whole_bars"]
    kept = whole.select(whole.instruments[:names])
    features = replace(parts["whole_features"].select(kept.instruments))
    view = made({**parts, "whole_bars": kept, "whole_features": features})
    for panel in (view.bars("1d", 10_000), view.features()):
        for array in (panel.values, panel.present, panel.start, panel.end, panel.available_at):
            assert array.base is None
            assert not any(
                np.shares_memory(array, part) for part in (kept.values, kept.present, kept.end, features.values)
            )


@pytest.mark.parametrize("name", ["run", "whole_bars", "whole_features", "block", "reference"])
def test_the_whole_run_is_no_attribute(view: AsOfView, name: str) -> None:
    with pytest.raises(LookAheadError, match=f"view.{name} is the whole run"):
        getattr(view, name)
    assert not hasattr(view, "__dict__")


def test_an_unknown_attribute_is_told_what_there_is(view: AsOfView) -> None:
    with pytest.raises(AttributeError, match=r"no 'prices'; it has now"):
        view.prices  # noqa: B018 the access is the test


def test_no_public_attribute_holds_a_panel_or_series_of_the_run(view: AsOfView) -> None:
    public = {name: getattr(view, name) for name in dir(view) if not name.startswith("_")}
    kept = [name for name, value in public.items() if isinstance(value, Panel | np.ndarray | dict)]
    assert kept == []


def test_features_and_facts_are_those_of_the_decision(view: AsOfView, parts: dict[str, Any]) -> None:
    row = view.features()
    assert row.shape[1] == 1
    np.testing.assert_array_equal(row.values[:, 0], parts["whole_features"].values[:, view.position])
    assert view.facts("vix") == view.position
    assert math.isnan(view.facts("nothing"))


def test_a_blocked_or_absent_name_is_not_offered(view: AsOfView, parts: dict[str, Any]) -> None:
    first = view.instruments[0]
    assert first not in made({**parts, "blocked": frozenset({first})}).instruments
    whole = parts["whole_bars"]
    present = whole.present.copy()
    present[whole.instruments.index(first), view.position] = False
    assert first not in made({**parts, "whole_bars": replace(whole, present=present)}).instruments


def test_there_is_no_forecast_without_a_model_and_no_other_frame(view: AsOfView, parts: dict[str, Any]) -> None:
    block = parts["block"]
    assert made({**parts, "index": -1}).forecast() is None
    unfitted = replace(block, model=("",) * len(block.model))
    assert made({**parts, "block": unfitted}).forecast() is None
    with pytest.raises(UnknownNameError):
        view.bars("1h", 3)
