"""The cache of folds: a hit changes nothing, and whatever could change the outcome misses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.engine.cache import FoldCache
from foresail.engine.pipeline import PipelineResult
from foresail.engine.settings import PipelineSettings
from foresail.engine.walkforward import RunOptions, WalkForward, walk_forward
from foresail.forecasting import registry


@pytest.fixture
def cache(tmp_path: Path) -> FoldCache:
    return FoldCache(tmp_path / "folds", "00")


def walk(result: PipelineResult, cache: FoldCache, settings: PipelineSettings | None = None) -> WalkForward:
    ready = result.prepared
    options = RunOptions(cache=cache, explained=True)
    return walk_forward(
        ready.features, ready.targets, ready.scale, result.settings if settings is None else settings, options
    )


def files(cache: FoldCache) -> list[Path]:
    return sorted(cache.folder.glob("*.fold"))


def test_a_hit_gives_equal_results_without_a_fit(
    small_result: PipelineResult, cache: FoldCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = walk(small_result, cache)
    np.testing.assert_array_equal(first.block.values, small_result.walk.block.values)
    real = registry.forecaster
    fits = []

    def counted(name: str, spec: object) -> object:
        made = real(name, spec)  # type: ignore[arg-type]
        monkeypatch.setattr(type(made), "fit", lambda *_, **__: fits.append(name))
        return made

    monkeypatch.setattr(registry, "forecaster", counted)
    second = walk(small_result, cache)
    assert fits == []
    np.testing.assert_array_equal(second.block.values, first.block.values)
    assert second.folds == first.folds
    assert second.contributions == first.contributions


def test_a_damaged_file_is_not_read_but_computed_again(small_result: PipelineResult, cache: FoldCache) -> None:
    first = walk(small_result, cache)
    path = files(cache)[0]
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[-100] ^= 1
    path.write_bytes(bytes(damaged))
    assert cache.read(path.stem) is None
    second = walk(small_result, cache)
    np.testing.assert_array_equal(second.block.values, first.block.values)
    assert path.read_bytes() == whole


def test_other_data_settings_or_code_miss(small_result: PipelineResult, cache: FoldCache) -> None:
    walk(small_result, cache)
    count = len(files(cache))
    assert count == 3
    walk(small_result, cache, replace(small_result.settings, seed=8))
    assert len(files(cache)) == 2 * count
    walk(small_result, FoldCache(cache.folder, "11"))
    assert len(files(cache)) == 3 * count
    ready = small_result.prepared
    values = ready.features.values.copy()
    values[0, 200, 0] += 1e-9
    changed = replace(ready, features=replace(ready.features, values=values))
    walk(replace(small_result, prepared=changed), cache)
    assert len(files(cache)) == 4 * count


@pytest.mark.parametrize("forecaster", ["ewma_volatility", "har_volatility", "random_half"])
def test_what_a_forecaster_reads_between_decisions_decides_too(
    small_result: PipelineResult, cache: FoldCache, forecaster: str
) -> None:
    settings = replace(small_result.settings, forecaster=forecaster)
    walk(small_result, cache, settings)
    features = small_result.prepared.features
    values = features.values.copy()
    values[:, [t for t in range(551, 600) if t % 5], features.index("log_return_1")] *= 3.0
    names = tuple(InstrumentId(f"{name}x") for name in features.instruments)
    for changed in (replace(features, values=values), replace(features, instruments=names)):
        other = replace(small_result, prepared=replace(small_result.prepared, features=changed))
        fresh = walk(other, FoldCache(cache.folder / "other", "00"), settings)
        np.testing.assert_array_equal(walk(other, cache, settings).block.values, fresh.block.values)


def test_a_fold_stored_without_reasons_is_no_hit_for_a_run_that_tells_them(
    small_result: PipelineResult, cache: FoldCache
) -> None:
    ready = small_result.prepared
    settings = replace(small_result.settings, forecaster="quantile_trees")
    walk_forward(ready.features, ready.targets, ready.scale, settings, RunOptions(cache=cache))
    assert walk(small_result, cache, settings).contributions
