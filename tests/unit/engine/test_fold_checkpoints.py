"""A run that is killed while a network is trained goes on within the fold, and ends with the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.engine.cache import FoldCache
from foresail.engine.settings import InputSettings, PipelineSettings, WalkForwardSettings
from foresail.engine.walkforward import RunOptions, WalkForward, walk_forward
from foresail.protocols import Progress
from foresail.testing.planted import PlantedSettings, planted_market

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

PLANTED = planted_market(PlantedSettings(names=6, bars=240, noise=2, skill=0.3), seed=1)
NAMES = ("return_60", "rsi_14", "atr_pct_14", "adx_14", "amihud_ratio_60")[: len(PLANTED.features.fields)]
MARKET = replace(PLANTED, features=replace(PLANTED.features, fields=NAMES))
EPOCHS = 4
SETTINGS = PipelineSettings(
    horizons=MARKET.targets.horizons,
    decision_horizon=5,
    walk_forward=WalkForwardSettings(train_bars=160, minimum_train_bars=140, refit_bars=50),
    features=MARKET.features.fields,
    inputs=InputSettings(selection="none"),
    forecaster="tft",
    forecaster_options=(
        ("context_length", 8),
        ("epochs", EPOCHS),
        ("minimum_windows", 50),
        ("patience", 9),
        ("threads", 1),
        ("width", 8),
    ),
)


class KilledError(Exception):
    """Stands for a kill between two epochs."""


def walk(cache: FoldCache | None, progress: Progress | None = None, **changes: object) -> WalkForward:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    options = RunOptions(cache=cache, progress=progress)
    return walk_forward(MARKET.features, MARKET.targets, MARKET.scale, settings, options)


@pytest.mark.parametrize("normalise", ["none", "standard"])
def test_a_killed_fold_goes_on_to_the_same_bytes(tmp_path: Path, normalise: str) -> None:
    inputs = replace(SETTINGS.inputs, normalise=normalise)
    whole = walk(FoldCache(tmp_path / "whole", "00"), inputs=inputs)
    told: list[tuple[str, int, int]] = []

    def kill(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if stage == "fold 2 of 2: training" and done == 2:
            raise KilledError

    cache = FoldCache(tmp_path / "folds", "00")
    with pytest.raises(KilledError):
        walk(cache, kill, inputs=inputs)
    assert [one for one in told if "training" in one[0]][:EPOCHS] == [
        ("fold 1 of 2: training", done, EPOCHS) for done in range(1, EPOCHS + 1)
    ]
    assert len(list(cache.folder.glob("*.fold"))) == 1
    assert len(list(cache.folder.glob("*.training/checkpoint.safetensors"))) == 1

    told.clear()
    resumed = walk(cache, lambda *step: told.append(step), inputs=inputs)
    assert [one for one in told if "training" in one[0]] == [
        ("fold 2 of 2: training", done, EPOCHS) for done in (3, 4)
    ]  # neither the first fold nor the first two epochs of the second
    assert resumed.block.values.tobytes() == whole.block.values.tobytes()
    assert resumed.block.model == whole.block.model
    assert resumed.folds == whole.folds
    files = [sorted(p.name for p in (tmp_path / one).iterdir()) for one in ("whole", "folds")]
    assert files[0] == files[1]  # no checkpoint is left
    for name in files[0]:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "folds" / name).read_bytes()


def test_curves_of_every_fold_are_in_its_report_also_from_the_cache(tmp_path: Path) -> None:
    cache = FoldCache(tmp_path, "00")
    for found in (walk(cache), walk(cache)):
        assert len(found.folds) == 2
        for fold in found.folds:
            assert fold.report is not None
            history = fold.report.history
            assert set(history) == {"train_loss", "validation_loss", "gradient_norm", "rate"}
            assert all(len(curve) == EPOCHS for curve in history.values())


def test_without_a_cache_nothing_is_kept_and_nothing_changes(tmp_path: Path) -> None:
    bare, kept = walk(None), walk(FoldCache(tmp_path, "00"))
    np.testing.assert_array_equal(bare.block.values, kept.block.values)
    linear = walk(None, forecaster="ridge", forecaster_options=())
    assert all(fold.report is not None and fold.report.history == {} for fold in linear.folds)
