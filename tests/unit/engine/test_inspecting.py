"""The newest decision of a network, looked into: who is told of, what is kept, and that the cache gives it back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.arrays import FloatArray, IntArray
from foresail.domain.panel import Panel
from foresail.engine.cache import FoldCache
from foresail.engine.inspecting import Inside, Issued, look_inside
from foresail.engine.pipeline import PipelineResult
from foresail.engine.settings import WalkForwardSettings
from foresail.engine.walkforward import RunOptions, WalkForward, walk_forward
from foresail.forecasting.curve import mean_weights
from foresail.testing.planted import PlantedSettings, planted_market

MARKET = planted_market(PlantedSettings(names=7, bars=120, noise=2), seed=1)
DATA = MARKET.training_set(90)
ROWS = MARKET.rows(95, 97)


class Plain:
    """Says what moves its forecasts; its state is the first feature."""

    spec = SimpleNamespace(horizons=(1, 5), levels=(0.1, 0.5, 0.9))

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        del horizon
        return np.nan_to_num(features.values[rows[:, 0], rows[:, 1]]) * np.array([1.0, 0.0, -2.0, 0.5])

    def encode(self, features: Panel, rows: IntArray) -> FloatArray:
        return np.nan_to_num(features.values[rows[:, 0], rows[:, 1], :1])


def looked(forecaster: object, rows: IntArray = ROWS) -> Inside | None:
    predicted = np.zeros((len(rows), 1, 2, 3))
    predicted[:, 0, 1, 1] = rows[:, 0] % 4  # 3 first, then 2 and 6, then 1 and 5
    return look_inside(
        forecaster,  # type: ignore[arg-type]
        MARKET.features,
        DATA,
        Issued(rows, predicted, MARKET.scale, 5),
    )


def test_the_best_ranked_of_the_newest_decision_are_told() -> None:
    told = looked(Plain())
    assert told is not None
    names = MARKET.features.instruments
    assert [one.instrument for one in told.forecasts] == [str(names[i]) for i in (3, 2, 6, 1, 5)]
    assert told.issued_at == MARKET.features.available_at[96]
    assert told.selection is None
    fields = MARKET.features.fields
    for row, one in zip((3, 2, 6, 1, 5), told.forecasts, strict=True):
        assert {name for name, _, _ in one.reasons} <= {fields[0], fields[2], fields[3]}  # nothing that moved nothing
        sizes = [abs(share) for _, share, _ in one.reasons]
        assert sizes == sorted(sizes, reverse=True)
        shares = {name: share for name, share, _ in one.reasons}
        unit = MARKET.scale[row, 96] * np.sqrt(5)
        assert one.features == pytest.approx(sum(shares.values()))
        assert one.whole == pytest.approx((row % 4) * mean_weights((0.1, 0.5, 0.9))[1])
        assert shares.get(fields[0], 0.0) == pytest.approx(MARKET.features.values[row, 96, 0] * unit)


def test_similar_days_are_of_training_and_tell_what_followed() -> None:
    told = looked(Plain())
    assert told is not None
    at = {int(time): t for t, time in enumerate(MARKET.features.available_at)}
    names = {str(name): i for i, name in enumerate(MARKET.features.instruments)}
    trained = {(int(i), int(t)) for i, t in DATA.train_rows}
    for one in told.forecasts:
        assert len(one.similar) == 5
        assert [day.distance for day in one.similar] == sorted(day.distance for day in one.similar)
        for day in one.similar:
            row, time = names[day.instrument], at[day.ended_at]
            assert (row, time) in trained
            assert day.followed == MARKET.targets.values[row, time, 0, 1]


def test_who_cannot_say_gives_nothing() -> None:
    assert looked(SimpleNamespace(spec=Plain.spec)) is None
    assert looked(SimpleNamespace(spec=Plain.spec, explain=lambda *_: None)) is None
    assert looked(Plain(), ROWS[:0]) is None


def test_a_network_in_a_run_is_looked_into_once_and_kept(small_result: PipelineResult, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = (
        ("context_length", 10),
        ("epochs", 1),
        ("heads", 2),
        ("minimum_windows", 50),
        ("threads", 1),
        ("width", 8),
    )
    walk_forward_settings = WalkForwardSettings(train_bars=500, minimum_train_bars=500, refit_bars=100)
    settings = replace(
        small_result.settings, forecaster="tft", forecaster_options=options, walk_forward=walk_forward_settings
    )
    ready = small_result.prepared

    def walk() -> WalkForward:
        run = RunOptions(cache=FoldCache(tmp_path, "00"), explained=True)
        return walk_forward(ready.features, ready.targets, ready.scale, settings, run)

    first = walk()
    inside = first.inside
    assert inside is not None
    assert inside.issued_at == first.block.issued_at[-1]
    assert len(inside.forecasts) == 5
    chosen = inside.selection
    assert chosen is not None
    assert {"calendar", "presence", "momentum"} <= {name for name, _ in chosen.groups}
    assert sum(share for _, share in chosen.groups) == pytest.approx(1.0)
    assert 5 <= chosen.names <= 12
    for one in chosen.attention:
        assert len(one.past) == 10
        assert sum(one.past) + one.ahead == pytest.approx(1.0)
    assert Inside.of(json.loads(json.dumps(inside.to_json()))) == inside
    assert walk().inside == inside  # from the cache
    assert first.contributions


def test_other_forecasters_show_nothing(small_result: PipelineResult) -> None:
    assert small_result.walk.inside is None
