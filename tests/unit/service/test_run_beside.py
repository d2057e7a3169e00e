"""What a run is compared with beside its baselines: chosen by name, on the same rows, refused before bars are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import UnknownNameError, UserError
from foresail.engine.pipeline import PipelineResult
from foresail.service import verify
from foresail.service.finished import Finished
from foresail.service.report_baselines import baseline_scores
from foresail.service.report_scores import outcomes
from foresail.service.run import RunRequest, _command, record_of
from foresail.service.settings import Overrides, default_settings, read_settings

BASE = default_settings("1d", 252.0)


def compared(result: PipelineResult) -> dict[str, object]:
    rows = baseline_scores(result, outcomes(result))
    return {one.key: one for one in rows if one.score.horizon == 5}


def of(finished: Finished, **changes: object) -> PipelineResult:
    settings = replace(finished.result.settings, **changes)  # type: ignore[arg-type]
    return replace(finished.result, settings=settings)


def test_a_forecaster_beside_is_one_more_row_on_the_same_forecasts(finished: Finished) -> None:
    found = compared(of(finished, beside=("random_forest", "drift"), forecaster_options=(("trees", 10),)))
    plain = compared(of(finished))
    assert set(found) - set(plain) == {"random_forest"}
    one = found["random_forest"]
    assert one.name == "random forest"
    assert one.score.forecasts == plain["no_change"].score.forecasts == one.paired.rows
    assert one.score.pinball != plain["drift"].score.pinball


def test_it_has_the_inputs_and_the_rhythm_of_the_run(finished: Finished) -> None:
    ridge = compared(of(finished, forecaster="quantile_trees", beside=("ridge",)))["ridge"]
    ours = finished.result.walk.block
    assert ridge.paired.improvement.value == pytest.approx(0.0, abs=0.01)  # the run's own forecasts are ridge's
    assert np.isfinite(ridge.loss).sum() == ridge.score.forecasts
    assert ridge.loss.shape == ours.values.shape[:2]


def test_a_network_beside_shares_the_options_it_has(finished: Finished) -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
    small = (("context_length", 8), ("epochs", 1), ("heads", 2), ("stride", 50), ("width", 8))
    few = compared(
        of(finished, forecaster="tft", forecaster_options=(*small, ("minimum_windows", 10**9)), beside=("gru",))
    )
    assert few["gru"].paired is None  # too few windows: said by its absence, nothing is made up
    assert few["gru"].score.forecasts == 0


def test_file_and_command_name_it(tmp_path: Path) -> None:
    path = tmp_path / "foresail.toml"
    path.write_text('version = 1\n[run]\nbeside = ["ridge"]\n')
    assert read_settings(BASE, path, Overrides()).beside == ("ridge",)
    assert read_settings(BASE, path, Overrides(beside=("drift",))).beside == ("drift",)
    assert read_settings(BASE, None, Overrides()).beside == ()
    assert read_settings(BASE, None, Overrides(beside=("garch", "har_x"))).beside == ("garch", "har_x")
    assert "--beside lstm,gru" in _command(RunRequest("mine", beside="lstm,gru"))


def test_what_cannot_stand_beside_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="lstm"):
        read_settings(BASE, None, Overrides(beside=("ltsm",)))
    path = tmp_path / "foresail.toml"
    path.write_text('version = 1\n[run]\nnormalise = "standard"\nbeside = ["drift"]\n')
    with pytest.raises(UserError, match="drift"):
        read_settings(BASE, path, Overrides())


def test_a_record_gives_it_back(finished: Finished) -> None:
    settings = replace(BASE, beside=("lstm", "ridge"))
    stored = json.loads(canonical_bytes(record_of("run", finished.loaded, settings, None)))["settings"]
    assert verify._settings(stored) == settings
    del stored["beside"]  # as runs of older releases were recorded
    assert verify._settings(stored) == replace(settings, beside=())
