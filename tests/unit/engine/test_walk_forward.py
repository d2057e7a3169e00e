"""Walk-forward: nothing after a fold's border reaches its model, and forecasts stand on their own past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.seeds import generator
from foresail.domain.training import FitReport, ForecasterSpec, Targets, TrainingSet
from foresail.engine.pipeline import PipelineResult, prepare, run_pipeline, select_instruments
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import walk_forward
from foresail.forecasting import registry
from foresail.forecasting.cross_section import LEAST_NAMES, centre_cross_section
from foresail.protocols import Forecaster


def scrambled(labels: Targets, border: int) -> Targets:
    """Return labels in which all that ends after a time position is noise."""
    values = labels.values.copy()
    late = (labels.label_end > border)[None, :, None, :]
    noise = generator(1, "noise").normal(0.0, 1.0, values.shape)
    return replace(labels, values=np.where(late & np.isfinite(values), noise, values))


def test_labels_after_the_border_never_enter(small_result: PipelineResult) -> None:
    ready, settings = small_result.prepared, small_result.settings
    border = small_result.walk.folds[1].fold.test_from
    altered = walk_forward(ready.features, scrambled(ready.targets, border), ready.scale, settings)
    block = small_result.walk.block
    # The intervals of a later decision may rest on labels known by then, so it is compared up to the border.
    same = block.position <= border
    assert same.sum() > 10
    np.testing.assert_array_equal(altered.block.values[:, same], block.values[:, same])
    earlier = walk_forward(ready.features, scrambled(ready.targets, border - 30), ready.scale, settings)
    assert not np.array_equal(earlier.block.values[:, same], block.values[:, same], equal_nan=True)


def test_a_model_is_given_nothing_that_its_first_decision_could_not_know(
    small_result: PipelineResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainingSet] = []
    real = registry.forecaster

    def spied(name: str, spec: ForecasterSpec) -> Forecaster:
        made = real(name, spec)
        fit = made.fit

        def watched(data: TrainingSet, *, seed: int) -> FitReport:
            seen.append(data)
            return fit(data, seed=seed)

        monkeypatch.setattr(made, "fit", watched, raising=True)
        return made

    monkeypatch.setattr(registry, "forecaster", spied)
    ready = small_result.prepared
    walk = walk_forward(ready.features, ready.targets, ready.scale, small_result.settings)
    assert len(seen) == 3
    for data, one in zip(seen, walk.folds, strict=True):
        border = one.fold.test_from
        assert data.features.shape[1] == data.scale.shape[1] == data.targets.values.shape[1] == border
        late = data.targets.label_end >= border
        assert late.any()
        assert not np.isfinite(data.targets.values[:, late.any(axis=1)]).any()
        for rows, end in (
            (data.train_rows, one.fold.validation_from),
            (data.validation_rows, one.fold.calibration_from),
            (data.calibration_rows, border),
        ):
            assert len(rows) > 0
            assert data.targets.label_end[rows[:, 1]].max() < end


def test_models_serve_their_own_block_only(small_result: PipelineResult) -> None:
    walk = small_result.walk
    assert len({one.model for one in walk.folds}) == len(walk.folds) == 3
    for one in walk.folds:
        inside = (walk.block.position >= one.fold.test_from) & (walk.block.position < one.fold.test_to)
        assert {walk.block.model[i] for i in np.flatnonzero(inside)} == {one.model}
    assert (walk.block.position % small_result.settings.decision_horizon == 0).all()


def test_a_fold_with_too_few_rows_says_so(small_market: MarketData, small_settings: PipelineSettings) -> None:
    few = select_instruments(small_market, [0])
    ready = prepare(few, small_settings)
    walk = walk_forward(ready.features, ready.targets, ready.scale, small_settings)
    assert "TRAIN-06" in walk.folds[0].reason
    assert not np.isfinite(walk.block.values[:, : np.searchsorted(walk.block.position, 400)]).any()


def test_rows_of_a_market_may_come_in_any_order(small_market: MarketData) -> None:
    marked = replace(small_market, blocked_from=np.arange(12))
    chosen = select_instruments(marked, [7, 2])
    assert chosen.bars.instruments == (marked.bars.instruments[2], marked.bars.instruments[7])
    assert chosen.blocked_from.tolist() == [2, 7]
    assert {one.id for one in chosen.bar_set.instruments} == set(chosen.bars.instruments)


def test_a_bar_more_changes_no_earlier_forecast(small_market: MarketData, small_settings: PipelineSettings) -> None:
    short = replace(small_market, bars=small_market.bars.cut(0, 520))
    whole = run_pipeline(small_market, small_settings)
    cut = run_pipeline(short, small_settings)
    count = len(cut.walk.block.position)
    np.testing.assert_array_equal(cut.walk.block.values, whole.walk.block.values[:, :count])
    assert cut.backtest.net.tolist() == whole.backtest.net[:520].tolist()


@pytest.mark.parametrize(("names", "moves"), [(LEAST_NAMES, True), (LEAST_NAMES - 1, False)])
def test_the_common_part_is_its_own_past_mean(names: int, *, moves: bool) -> None:
    values = generator(2, "forecasts").normal(0.0, 1.0, (names, 6, 1, 1, 3))
    centred = centre_cross_section(values, 1)
    if not moves:
        np.testing.assert_array_equal(centred, values)
        return
    common = values[:, :, 0, 0, 1].mean(axis=0)
    expected = np.cumsum(common) / np.arange(1, 7)
    np.testing.assert_allclose(centred[:, :, 0, 0, 1].mean(axis=0), expected, atol=1e-12)
    np.testing.assert_allclose(np.diff(centred, axis=0), np.diff(values, axis=0), atol=1e-12)
    later = values.copy()
    later[:, 4:] += 3.0
    np.testing.assert_array_equal(centre_cross_section(later, 1)[:, :4], centred[:, :4])
