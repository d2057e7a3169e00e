"""The forecaster of a run: its own settings in the file, its inside in the report."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.engine.inspecting import Inside, LookedInto, SimilarDay
from foresail.reporting.html import render_report
from foresail.service import verify
from foresail.service.finished import Finished
from foresail.service.report_baselines import BASELINES, LEARNING_BASELINES, baseline_scores
from foresail.service.report_input import report_input
from foresail.service.report_scores import outcomes
from foresail.service.run import record_of
from foresail.service.settings import Overrides, default_settings, read_settings

BASE = default_settings("1d", 252.0)


def read(folder: Path, text: str, **over: str) -> object:
    path = folder / "foresail.toml"
    path.write_text(f"version = 1\n{text}", encoding="utf-8")
    return read_settings(BASE, path, Overrides(**over))  # type: ignore[arg-type]


def test_settings_of_the_forecaster_are_read_sorted_and_checked(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    settings = read(tmp_path, "[forecaster]\nwidth = 16\nepochs = 3\nrate = 0.002\n", forecaster="tft")
    assert settings.forecaster_options == (("epochs", 3), ("rate", 0.002), ("width", 16))  # type: ignore[attr-defined]
    with pytest.raises(UnknownNameError, match="wdth"):
        read(tmp_path, "[forecaster]\nwdth = 16\n", forecaster="tft")
    with pytest.raises(ConfigError, match="epochs"):
        read(tmp_path, "[forecaster]\nepochs = 0\n", forecaster="tft")
    with pytest.raises(ConfigError, match="width"):
        read(tmp_path, '[forecaster]\nwidth = "wide"\n', forecaster="tft")


def test_options_of_a_forecaster_that_has_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no_change"):
        read(tmp_path, "[forecaster]\nwidth = 16\n", forecaster="no_change")
    assert read(tmp_path, "[forecaster]\n") == BASE


def test_baselines_of_a_run_take_no_settings_of_its_forecaster(finished: Finished) -> None:
    settings = replace(finished.result.settings, forecaster_options=(("rounds", 3),))
    result = replace(finished.result, settings=settings)
    assert {one.key for one in baseline_scores(result, outcomes(result))[0]} == {key for key, _ in BASELINES}


def test_a_network_is_compared_with_ridge_and_trees_on_the_same_rows(finished: Finished) -> None:
    """BASE-03: the report of a run with a network has the learning baselines, on its features and its rows."""
    result = replace(finished.result, settings=replace(finished.result.settings, forecaster="lstm"))
    found = {(one.key, one.score.horizon): one for one in baseline_scores(result, outcomes(result))[0]}
    assert {key for key, _ in found} == {key for key, _ in (*BASELINES, *LEARNING_BASELINES)}
    for (key, horizon), one in found.items():
        assert one.score.forecasts == found["no_change", horizon].score.forecasts, key
        assert one.paired is not None
        assert one.paired.rows == one.score.forecasts
    ridge = found["ridge", 5].paired
    assert ridge is not None
    assert ridge.improvement.value == pytest.approx(0.0, abs=0.01)  # the forecasts of this run are ridge's own
    assert found["drift", 5].score.pinball != found["ridge", 5].score.pinball


def test_a_record_gives_the_settings_back(finished: Finished) -> None:
    settings = replace(BASE, forecaster="tft", forecaster_options=(("epochs", 3), ("rate", 0.002)))
    stored = json.loads(canonical_bytes(record_of("run", finished.loaded, settings, None)))["settings"]
    assert verify._settings(stored) == settings
    del stored["forecaster_options"]  # as runs of older releases were recorded
    assert verify._settings(stored) == replace(settings, forecaster_options=())


def test_the_inside_of_a_network_reaches_the_report(finished: Finished) -> None:
    assert report_input(finished).inside is None
    block = finished.result.walk.block
    name, issued = block.instruments[2], int(block.issued_at[-1])
    day = SimilarDay(str(block.instruments[0]), int(block.issued_at[0]), 0.25, math.log(1.02))
    inside = Inside(issued, 5, (LookedInto(str(name), (("rsi_14", 0.001, 55.0),), 0.001, 0.002, (day,)),), None)
    walk = replace(finished.result.walk, inside=inside)
    told = report_input(replace(finished, result=replace(finished.result, walk=walk)))
    assert told.inside is not None
    one = told.inside.forecasts[0]
    curve = np.expm1(block.values[2, -1, 0, block.horizons.index(5)])
    np.testing.assert_allclose(one.quantiles, curve)
    assert curve[0] < one.expected < curve[-1]
    assert one.near[0].followed == pytest.approx(0.02)
    assert 'id="inside"' in render_report(told)
