"""Features are chosen inside each fold: nothing after it changes its choice, and the stability is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.core.seeds import generator
from foresail.engine import selecting
from foresail.engine.pipeline import Prepared, prepare
from foresail.engine.settings import InputSettings, MarketData, PipelineSettings
from foresail.engine.training_sets import ForecastInputs, usable_rows
from foresail.engine.walkforward import WalkForward, walk_forward
from foresail.features.declared.sets import SETS
from foresail.features.selection import plan_selection

POOL = ("log_return_1", "log_return_2", "log_return_5", "return_5", "log_return_20", "rsi_14", "rsi_5", "volatility_20")


@pytest.fixture(scope="module")
def settings(small_settings: PipelineSettings) -> PipelineSettings:
    return replace(small_settings, features=POOL, inputs=InputSettings("f_test", keep=3))


@pytest.fixture(scope="module")
def ready(small_market: MarketData, settings: PipelineSettings) -> Prepared:
    return prepare(small_market, settings)


@pytest.fixture(scope="module")
def walk(ready: Prepared, settings: PipelineSettings) -> WalkForward:
    return walk_forward(ready.features, ready.targets, ready.scale, settings)


def test_each_fold_reads_what_it_chose_and_the_report_knows(walk: WalkForward) -> None:
    chosen = [one.selected for one in walk.folds]
    assert all(one is not None and len(one) == 3 for one in chosen)
    assert walk.stability is not None
    assert walk.stability.fields == POOL
    for kept, one in zip(walk.stability.kept, walk.folds, strict=True):
        assert tuple(np.array(POOL)[kept].tolist()) == one.selected
        assert one.report is not None
        assert {name for name, _ in one.report.importance} <= set(one.selected or ())


def test_nothing_after_a_fold_changes_what_it_chose(
    ready: Prepared, settings: PipelineSettings, walk: WalkForward
) -> None:
    border = walk.folds[1].fold.test_from
    random = generator(5, "future")
    features, labels = ready.features.values.copy(), ready.targets.values.copy()
    features[:, border:] = random.normal(size=features[:, border:].shape)
    late = (ready.targets.label_end >= border)[None, :, None, :] & np.isfinite(labels)
    labels = np.where(late, random.normal(size=labels.shape), labels)
    other = walk_forward(
        replace(ready.features, values=features), replace(ready.targets, values=labels), ready.scale, settings
    )
    assert [one.selected for one in other.folds[:2]] == [one.selected for one in walk.folds[:2]]
    same = walk.block.position < border
    np.testing.assert_array_equal(other.block.values[:, same], walk.block.values[:, same])
    assert other.folds[2].selected != walk.folds[2].selected


def test_a_sample_of_rows_decides_where_there_are_many(
    ready: Prepared, settings: PipelineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = selecting.select_over_folds
    monkeypatch.setattr(selecting, "_ROWS", 400)
    monkeypatch.setattr(
        selecting,
        "select_over_folds",
        lambda v, y, folds, c: seen.extend(len(r) for r, _ in folds) or real(v, y, folds, c),
    )
    walk_forward(ready.features, ready.targets, ready.scale, settings)
    assert seen == [400, 400, 400]


def test_multi_is_reduced_and_what_was_named_stays() -> None:
    fields = ("rsi_14", "close", "roc_10", "hurst_128", "bb25_upper")
    assert plan_selection(("core20",), fields, "") is None
    assert plan_selection((), fields, "") is None
    plan = plan_selection(("multi",), fields, "")
    assert plan is not None
    assert (plan.settings.method, plan.settings.k, plan.free) == ("default", 50, fields)
    beside = plan_selection(("core20", "multi", "roc_10"), fields, "")
    assert beside is not None
    assert beside.free == ("hurst_128",)  # the others are of core20, in one variant or another, or named
    asked = plan_selection(("core20",), fields, "forest", k=2)
    assert asked is not None
    assert asked.free == fields
    assert plan_selection(("multi",), fields, "none") is None
    with pytest.raises(UnknownNameError, match="lasso"):
        plan_selection(("multi",), fields, "lasso")
    assert "roc_10" in SETS["multi"]


def test_groups_are_left_out_whole(small_market: MarketData, small_settings: PipelineSettings) -> None:
    settings = replace(small_settings, inputs=InputSettings(without=("volatility",)))
    found = prepare(small_market, settings).features.fields
    assert "volatility_20" in small_settings.features
    assert found == tuple(name for name in small_settings.features if name != "volatility_20")


def test_the_close_is_what_is_explained_wherever_it_stands(
    small_market: MarketData, settings: PipelineSettings
) -> None:
    """``--targets high,close`` learns from the rows, and chooses the features, of ``--targets close,high``."""
    ready = prepare(small_market, replace(settings, targets=("close", "high")))
    names = ready.targets.names
    turned = replace(ready.targets, names=names[::-1], values=ready.targets.values[:, :, ::-1].copy())
    turned.values[:, ::7, 0] = np.nan  # a day without a high has a close
    usable = usable_rows(ready.features, ready.targets, ready.scale)
    np.testing.assert_array_equal(usable_rows(ready.features, turned, ready.scale), usable)
    plan = plan_selection(POOL, POOL, "f_test", k=3)
    assert plan is not None
    rows = [np.argwhere(usable[:, :200])]
    first, second = (
        selecting.choose_features(ForecastInputs(ready.features, one, ready.scale, usable), rows, plan)
        for one in (ready.targets, turned)
    )
    assert first.fields == second.fields
