"""What a run is compared with beside its baselines: chosen by name, on the same rows, refused before bars are read."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import CapabilityError, LookAheadError, ModelError, UnknownNameError, UserError
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.paired import BETTER
from foresail.evaluation.registry import TrialRegistry
from foresail.forecasting.trees.random_forest import RandomForest
from foresail.reporting.summary import text_summary
from foresail.service import report_forecaster, verify
from foresail.service.finished import Finished
from foresail.service.report_baselines import LeftOut, _compared, baseline_scores
from foresail.service.report_calibration import calibration_block
from foresail.service.report_figures import figures
from foresail.service.report_forecaster import _acceptance, forecaster_block
from foresail.service.report_input import report_input
from foresail.service.report_overfitting import _variant
from foresail.service.report_scores import outcomes
from foresail.service.results import metrics
from foresail.service.run import Job, RunRequest, _command, _count_trial, perform, record_of
from foresail.service.settings import Overrides, default_settings, read_settings

BASE = default_settings("1d", 252.0)


def compared(result: PipelineResult) -> dict[str, object]:
    rows, _ = baseline_scores(result, outcomes(result))
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


def test_what_needs_a_feature_that_the_run_lacks_is_refused_before_the_work(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(finished.result.settings, features=("rsi_14", "volatility_20"), beside=("drift", "garch"))
    assert read_settings(settings, None, Overrides()) == settings  # the names alone do not tell
    monkeypatch.setattr("foresail.service.run.run_pipeline", lambda *a, **k: pytest.fail("the work was begun"))
    job = Job("", "", finished.loaded, settings, tmp_path / "run", {**finished.record, "settings": asdict(settings)})
    with pytest.raises(CapabilityError, match="garch needs the feature log_return_1"):
        perform(job, lambda *_: None)


def test_what_cannot_be_fitted_is_left_out_and_named(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*_: object, **__: object) -> None:
        raise ModelError("the loss was not finite twice", hint="a lower rate")

    monkeypatch.setattr(RandomForest, "fit", diverged)
    ours = replace(finished, result=of(finished, beside=("random_forest",)))
    told = "random forest is left out of the comparison: the loss was not finite twice"
    assert figures(ours).left_out == (LeftOut("random_forest", told, chosen=True),)
    assert figures(ours).baselines[0].score == figures(finished).baselines[0].score
    shown = report_input(ours)
    assert told in shown.calibration.notes
    said = " ".join(" ".join(text_summary(shown)).split())
    assert f"Compared: {told}" in said
    assert metrics(ours)["baselines_left_out"] == [told]
    assert "baselines_left_out" not in metrics(finished)


def test_a_look_ahead_beside_is_no_note(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object, **__: object) -> None:
        raise LookAheadError("tomorrow was read")

    monkeypatch.setattr(RandomForest, "fit", looked)
    with pytest.raises(LookAheadError):
        compared(of(finished, beside=("random_forest",)))


def test_what_stands_beside_has_no_part_in_the_acceptance(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    real = report_forecaster.paired_on

    def paired(*given: object, name: str, seed: int) -> object:
        found = real(*given, name=name, seed=seed)  # type: ignore[arg-type]
        return None if found is None else replace(found, word="cannot tell" if name == "random forest" else BETTER)

    monkeypatch.setattr(report_forecaster, "paired_on", paired)
    ours = replace(
        finished, result=of(finished, beside=("random_forest", "drift"), forecaster_options=(("trees", 10),))
    )
    shown = figures(ours)
    assert {one.key for one in shown.baselines if one.chosen} == {"random_forest"}  # drift is a baseline anyway
    assert _acceptance(ours, shown) == _acceptance(finished, figures(finished))
    gone = LeftOut("drift", "drift is left out of the comparison: it failed", chosen=False)
    without = _acceptance(ours, replace(shown, left_out=(gone,)))
    assert not without.accepted
    assert without.checks[-1].text == gone.text
    assert _acceptance(ours, replace(shown, left_out=(replace(gone, chosen=True),))) == _acceptance(ours, shown)


def test_a_baseline_named_beside_a_network_stays_what_it_was(finished: Finished) -> None:
    asked = of(finished, forecaster="tft", forecaster_options=(), beside=("ridge",))
    plain = replace(asked, settings=replace(asked.settings, beside=()))
    assert [(one.key, one.chosen, replace(one.settings, beside=())) for one in _compared(asked)] == [
        (one.key, False, one.settings) for one in _compared(plain)
    ]


def test_what_stands_beside_makes_no_further_trial(finished: Finished, tmp_path: Path) -> None:
    counts, variants = [], set()
    for chosen in ((), ("lstm",), ("lstm", "ridge")):
        settings = replace(finished.result.settings, beside=chosen)
        record = {**finished.record, "settings": json.loads(canonical_bytes(asdict(settings)))}
        place = tmp_path / "run"
        registry = TrialRegistry(tmp_path / "trials.jsonl")
        job = Job("", "", finished.loaded, settings, place, record, registry=registry)
        counts.append(_count_trial(job, finished.comparison).n)
        variants.add(_variant(record))
    assert counts == [1, 1, 1]
    assert len(variants) == 1  # nor a variant of which one was picked


def test_fewer_forecasts_are_told_and_the_model_is_scored_on_them(finished: Finished) -> None:
    shown = figures(finished)
    result = finished.result
    step = result.walk.block.horizons.index(5)
    at = next(i for i, one in enumerate(shown.baselines) if one.key == "drift" and one.score.horizon == 5)
    drift = shown.baselines[at]
    all_rows = int(np.isfinite(drift.loss).sum())
    loss = drift.loss.copy()
    loss[:, : loss.shape[1] // 2] = np.nan
    count = int(np.isfinite(loss).sum())
    assert 0 < count < all_rows
    few = replace(drift, key="tft", name="tft", loss=loss, score=replace(drift.score, forecasts=count, losses=(0.0,)))
    block = calibration_block(finished, replace(shown, baselines=(*shown.baselines, few)))
    rows = {(one.name, one.horizon): one for one in block.baselines}
    assert (f"tft ({count:,} forecasts)", 5) in rows
    ours = report_forecaster.pinball_rows(result.walk.block, outcomes(result), step)
    again = rows[f"ridge ({count:,} forecasts)", 5]
    assert again.pinball == pytest.approx(float(ours[np.isfinite(loss)].mean()))
    assert again.is_model
    assert again.pinball != rows["ridge", 5].pinball
    assert any(f"{all_rows:,} over 5 bars" in note for note in block.notes)
    assert [one for one in block.baselines if "forecasts)" not in one.name] == list(
        calibration_block(finished, shown).baselines
    )
    plain = calibration_block(finished, shown)
    assert not any("forecast fewer rows" in note for note in plain.notes)


def test_the_hurdle_is_sought_on_the_rows_that_all_have(finished: Finished) -> None:
    shown = figures(finished)
    usual = forecaster_block(finished, shown).hurdle
    at = next(one for one in shown.baselines if one.key == "drift" and one.score.horizon == 5)
    easy = at.loss <= np.nanquantile(at.loss, 0.3)  # it forecasts on easy rows only, and worse than any there
    few = replace(
        at,
        key="tft",
        name="tft",
        loss=np.where(easy, at.loss * 1.5, np.nan),
        score=replace(at.score, forecasts=int(easy.sum()), losses=(0.0,)),
    )
    block = forecaster_block(finished, replace(shown, baselines=(*shown.baselines, few)))
    assert block.hurdle != "tft"
    assert (
        usual
        == min(
            (one for one in shown.baselines if one.score.horizon == 5), key=lambda one: (one.score.pinball, one.key)
        ).name
    )


def test_a_forecaster_is_not_compared_with_itself_under_its_other_name(finished: Finished) -> None:
    found = compared(of(finished, forecaster="ewma", beside=("ewma_volatility", "har")))
    assert "ewma_volatility" not in found
    assert {"har", "har_volatility"} <= set(found)
