"""Normalised inputs: learned on training rows, kept with the weights, found again by the id of the instrument."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, NotFittedError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec
from foresail.engine.folds import Fold
from foresail.engine.inspecting import nearest_days, selection_of
from foresail.engine.normalised import NORMALISERS, Normalised, normalised, with_normaliser
from foresail.engine.pipeline import Prepared, prepare
from foresail.engine.settings import InputSettings, MarketData, PipelineSettings
from foresail.engine.training_sets import ForecastInputs, training_set, usable_rows
from foresail.engine.walkforward import RunOptions, walk_forward
from foresail.forecasting.registry import forecaster_class
from foresail.forecasting.sectors import SectorNetworks, load_with_sectors
from foresail.protocols import ExplainingForecaster
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_reasons import leading_reasons
from foresail.service.serving_answers import SAME, live_answers
from foresail.service.serving_inside import LiveInside

NAMES = ("log_return_1", "rsi_14", "sma_20", "volatility_20", "hour", "day_sin", "day_of_week", "momentum_12_1")
SMALL = {"width": 8, "epochs": 1, "context_length": 12, "minimum_windows": 1, "stride": 5, "threads": 1}
FOLD = Fold(0, 0, 260, 320, 380, 600)


@pytest.fixture(scope="module")
def settings(small_settings: PipelineSettings) -> PipelineSettings:
    return replace(small_settings, features=NAMES, inputs=InputSettings(normalise="standard"))


@pytest.fixture(scope="module")
def ready(small_market: MarketData, settings: PipelineSettings) -> Prepared:
    return prepare(small_market, settings)


def inputs_of(ready: Prepared) -> ForecastInputs:
    return ForecastInputs(
        ready.features, ready.targets, ready.scale, usable_rows(ready.features, ready.targets, ready.scale)
    )


def spec_of(ready: Prepared, name: str = "ridge") -> ForecasterSpec:
    return ForecasterSpec(name, "1", ready.features.fields, ("close",), (5,), QUANTILE_LEVELS)


@pytest.fixture(scope="module")
def fitted(ready: Prepared) -> Normalised:
    made = normalised(spec_of(ready), "standard", {})
    assert isinstance(made, Normalised)
    made.fit(training_set(inputs_of(ready), FOLD), seed=3)
    return made


ROWS = np.array([(i, t) for t in (400, 450, 500) for i in range(12)], dtype=np.int64)


def test_notes_name_what_is_too_sparse_and_importance_is_of_features(ready: Prepared) -> None:
    made = normalised(spec_of(ready), "standard", {})
    report = made.fit(training_set(inputs_of(ready), FOLD), seed=3)
    assert any("momentum_12_1 is missing in" in note for note in report.notes)
    assert {name for name, _ in report.importance} <= set(ready.features.fields)
    assert made.spec.features == ready.features.fields


def test_nothing_after_the_training_rows_is_learned_from(ready: Prepared, fitted: Normalised) -> None:
    data = training_set(inputs_of(ready), FOLD)
    values = data.features.values.copy()
    last = int(data.train_rows[:, 1].max())
    values[:, last + 1 :] = generator(1, "later").normal(size=values[:, last + 1 :].shape)
    other = normalised(spec_of(ready), "standard", {})
    held = {"validation_rows": data.validation_rows[:0], "calibration_rows": data.calibration_rows[:0]}
    one = normalised(spec_of(ready), "standard", {})
    one.fit(replace(data, **held), seed=3)
    other.fit(replace(data, features=replace(data.features, values=values), **held), seed=3)
    same = [made.predict(ready.features, ROWS, ready.scale) for made in (one, other)]
    np.testing.assert_array_equal(*same)


def test_each_instrument_is_scaled_by_its_own_numbers(ready: Prepared, fitted: Normalised) -> None:
    values = ready.features.values.copy()
    at = ready.features.index("volatility_20")
    values[4, :, at] = 7.0 * values[4, :, at] + 3.0  # another unit, of one name
    panel = replace(ready.features, values=values)
    other = normalised(spec_of(ready), "standard", {})
    other.fit(training_set(inputs_of(replace(ready, features=panel)), FOLD), seed=3)
    np.testing.assert_allclose(
        other.predict(panel, ROWS, ready.scale),
        fitted.predict(ready.features, ROWS, ready.scale),
        rtol=1e-9,
        atol=1e-12,
    )


def test_a_saved_model_finds_its_instruments_by_id(tmp_path: Path, ready: Prepared, fitted: Normalised) -> None:
    fitted.save(tmp_path)
    again = with_normaliser(forecaster_class("ridge").load(tmp_path), tmp_path)
    assert again.spec == fitted.spec
    told = fitted.predict(ready.features, ROWS, ready.scale)
    np.testing.assert_array_equal(again.predict(ready.features, ROWS, ready.scale), told)
    turned = ready.features.select(ready.features.instruments[6:])
    rows = np.array([(i, t) for t in (400, 450, 500) for i in range(6)], dtype=np.int64)
    part = again.predict(turned, rows, ready.scale[6:])
    np.testing.assert_array_equal(part, told.reshape(3, 12, *told.shape[1:])[:, 6:].reshape(part.shape))
    strange = replace(turned, instruments=(InstrumentId("stock.US.NEW"), *turned.instruments[1:]))
    new = again.predict(strange, rows, ready.scale[6:])
    np.testing.assert_array_equal(new.reshape(3, 6, -1)[:, 1:], part.reshape(3, 6, -1)[:, 1:])
    assert not np.array_equal(new[0], part[0])
    assert np.isfinite(new[0]).all()


def test_contributions_are_those_of_features(ready: Prepared, fitted: Normalised) -> None:
    assert isinstance(fitted, ExplainingForecaster)
    shares = fitted.explain(ready.features, ROWS, 5)
    assert shares.shape == (len(ROWS), len(ready.features.fields))
    assert np.abs(shares[:, ready.features.index("rsi_14")]).max() > 0.0
    assert (shares[:, ready.features.index("momentum_12_1")] == 0.0).all()


def test_a_run_normalises_inside_each_fold(ready: Prepared, settings: PipelineSettings) -> None:
    plain = walk_forward(ready.features, ready.targets, ready.scale, replace(settings, inputs=InputSettings()))
    other = walk_forward(ready.features, ready.targets, ready.scale, settings)
    assert np.isfinite(other.block.values).sum() == np.isfinite(plain.block.values).sum() > 0
    assert not np.array_equal(plain.block.values, other.block.values, equal_nan=True)
    report = other.folds[0].report
    assert report is not None
    assert any("left out" in note for note in report.notes)


def test_what_cannot_be_normalised_is_refused(ready: Prepared) -> None:
    assert NORMALISERS == ("none", "standard", "min_max")
    with pytest.raises(UnknownNameError, match="z_score"):
        normalised(spec_of(ready), "z_score", {})
    with pytest.raises(ConfigError, match="own units"):
        normalised(spec_of(ready, "har"), "standard", {})
    with pytest.raises(NotFittedError, match="before a fit"):
        normalised(spec_of(ready), "standard", {}).predict(ready.features, ROWS, ready.scale)
    with pytest.raises(ConfigError, match="with_normaliser"):
        Normalised.load(Path("x"))


def test_a_network_gets_medians_marks_and_codes_and_answers_bar_by_bar(tmp_path: Path, ready: Prepared) -> None:
    pytest.importorskip("torch")
    made = normalised(spec_of(ready, "tft"), "standard", SMALL)
    report = made.fit(training_set(inputs_of(ready), FOLD), seed=3)
    assert {name for name, _ in report.importance} <= set(ready.features.fields)
    made.save(tmp_path)
    again = with_normaliser(forecaster_class("tft").load(tmp_path), tmp_path)
    history = ready.features.cut(0, 500)
    rows = np.array([(i, 499) for i in range(12) if np.isfinite(ready.scale[i, 499])], dtype=np.int64)
    raw = np.full((12, 1, 1, len(QUANTILE_LEVELS)), np.nan)
    raw[rows[:, 0]] = again.predict(history, rows, ready.scale[:, :500])
    np.testing.assert_allclose(raw[rows[:, 0]], made.predict(history, rows, ready.scale[:, :500]), rtol=1e-6)
    live = live_answers(again, history, ready.scale[:, 499], raw)
    assert not isinstance(live, str), live
    assert type(live._live).__name__ == "_Network"  # type: ignore[attr-defined]  # one step a bar, not whole windows
    own = dict.fromkeys(ready.features.instruments[:5], "one")
    both = live_answers(SectorNetworks(again, {"one": made}, own, {}), history, ready.scale[:, 499], raw)
    assert not isinstance(both, str), both
    for t in range(500, 504):
        rows[:, 1] = t
        told = again.predict(ready.features, rows, ready.scale)
        for one in (live, both):
            bar_by_bar = one.tell(ready.features.cut(t, t + 1), ready.scale[:, t])[rows[:, 0]]
            np.testing.assert_allclose(bar_by_bar, told, atol=SAME)


@pytest.fixture(scope="module")
def network(ready: Prepared) -> Any:
    pytest.importorskip("torch")
    made = normalised(spec_of(ready, "tft"), "standard", SMALL)
    made.fit(training_set(inputs_of(ready), FOLD), seed=3)
    return made


def test_a_network_shows_its_inside_by_feature(ready: Prepared, network: Any) -> None:
    assert network.explained_names == network.inner.explained_names == 10
    seen = network.seen(ready.features)
    assert "missing:rsi_14" in seen.fields
    np.testing.assert_array_equal(network.encode(ready.features, ROWS), network.inner.encode(seen, ROWS))
    groups = {"rsi_14": "momentum", "volatility_20": "volatility"}
    told = network.weights_of(ready.features, ROWS, groups)
    assert {"rsi_14", "rsi_14 missing", "bar present"} <= set(told.variables)
    assert not any(name.startswith("missing:") or "=" in name for name in told.variables)
    np.testing.assert_allclose(told.selection.sum(axis=1), 1.0)
    plain = network.inner.weights_of(seen, ROWS, {})
    of = [name for name in plain.variables if name.removesuffix(" missing").removeprefix("missing:") == "rsi_14"]
    mine = sum(plain.selection[:, plain.variables.index(name)] for name in of)
    np.testing.assert_allclose(told.by_group[:, told.groups.index("momentum")], mine)
    chosen = selection_of(network, ready.features, ROWS)
    assert chosen is not None
    assert {"momentum", "volatility"} <= {name for name, _ in chosen.groups}


def test_a_run_with_normalised_inputs_looks_inside_the_network(ready: Prepared, settings: PipelineSettings) -> None:
    pytest.importorskip("torch")
    asked = replace(settings, forecaster="lstm", forecaster_options=tuple(SMALL.items()))
    walk = walk_forward(ready.features, ready.targets, ready.scale, asked, RunOptions(explained=True))
    assert walk.inside is not None
    assert all(one.similar and one.reasons for one in walk.inside.forecasts)
    every = Counter(now for now, _ in walk.contributions)
    assert max(every.values()) == 10


def test_a_network_is_fine_tuned_behind_its_inputs(tmp_path: Path, ready: Prepared, network: Any) -> None:
    before = network.predict(ready.features, ROWS, ready.scale)
    data = training_set(inputs_of(ready), FOLD)
    other = copy.copy(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foresail.forecasting.neural.forecaster.beats", lambda *_: True)
        report = other.fine_tune(data, seed=5)
    assert {name for name, _ in report.importance} <= set(ready.features.fields)
    np.testing.assert_array_equal(network.predict(ready.features, ROWS, ready.scale), before)
    told = other.predict(ready.features, ROWS, ready.scale)
    assert not np.array_equal(told, before)
    own = frozenset(ready.features.instruments[:5])
    both = SectorNetworks(network, {"one": other}, dict.fromkeys(own, "one"), {})
    both.save(tmp_path)
    again = with_normaliser(load_with_sectors(forecaster_class("tft"), tmp_path), tmp_path)
    assert isinstance(again, SectorNetworks)
    mixed = np.where((ROWS[:, 0] < 5)[:, None, None, None], told, before)
    np.testing.assert_array_equal(again.predict(ready.features, ROWS, ready.scale), mixed)


def test_similar_days_of_sectors_are_those_of_the_network_that_serves_the_name(ready: Prepared, network: Any) -> None:
    class Turned:
        """The same states, moved."""

        spec = network.spec

        def encode(self, features: Panel, rows: IntArray) -> FloatArray:
            return network.encode(features, rows)[:, ::2] ** 3

    names = ready.features.instruments
    both = SectorNetworks(network, {"one": Turned()}, dict.fromkeys(names[:5], "one"), {})
    rows, asked = training_set(inputs_of(ready), FOLD).train_rows[::5], ROWS[-12:]
    told = nearest_days(both, ready.features, ready.targets, rows, asked)[5]
    base = nearest_days(network, ready.features, ready.targets, rows, asked)[5]
    own = nearest_days(Turned(), ready.features, ready.targets, rows, asked)[5]  # type: ignore[arg-type]
    assert told == [*own[:5], *base[5:]]
    assert own[:5] != base[:5]
    chosen = selection_of(both, ready.features, asked)
    assert chosen == selection_of(network, ready.features, asked[5:])  # the other weighs nothing


def test_what_is_told_against_a_year_is_not_served_bar_by_bar(ready: Prepared, network: Any) -> None:
    assert network.looks_back == ()
    names = ("rsi_14", "active_addresses", "exchange_inflow")
    own = SimpleNamespace(spec=replace(network.inner.spec, features=("rsi_14", "missing:active_addresses")))
    made = Normalised(own, names, "standard", {})  # type: ignore[arg-type]
    assert made.looks_back == ("active_addresses",)  # the other was too sparse to be seen
    history = ready.features.cut(0, 300)
    raw = np.full((12, 1, 1, len(QUANTILE_LEVELS)), np.nan)
    told = live_answers(made, history, ready.scale[:, 299], raw)
    assert told == "active_addresses are told against the bars of the year before, which one new bar does not hold"


def test_reasons_of_what_is_told_against_a_year_are_those_of_the_history(
    ready: Prepared, small_market: MarketData
) -> None:
    shape = ready.features.present.shape
    walk = 1e5 * np.exp(np.cumsum(generator(3, "addresses").normal(0.0, 0.02, shape), axis=1))
    names = ("log_return_1", "rsi_14", "volatility_20")
    columns = [ready.features.index(name) for name in names]
    values = np.concatenate([ready.features.values[:, :, columns], walk[:, :, None]], axis=2)
    features = replace(ready.features, values=values, fields=(*names, "active_addresses"))
    with_more = replace(ready, features=features)
    made = normalised(spec_of(with_more), "standard", {})
    made.fit(training_set(inputs_of(with_more), FOLD), seed=3)
    assert made.looks_back == ("active_addresses",)  # type: ignore[attr-defined]
    model = LoadedModel(SimpleNamespace(name="mine"), {}, made, None, None, 0)  # type: ignore[arg-type]
    bars = small_market.bars
    assert bars.shape[:2] == shape
    inside = LiveInside(model, bars.cut(0, 500), features.cut(0, 500), ready.scale[:, :500])
    for last in (499, 500):
        if last == 500:
            whole = np.ones(12, dtype=np.bool_)
            inside.after(bars.cut(last, last + 1), features.cut(last, last + 1), ready.scale[:, last], whole)
        asked = np.flatnonzero(features.present[:, last] & np.isfinite(ready.scale[:, last]))
        rows: list[dict[str, Any]] = [
            {"instrument": str(features.instruments[i]), "horizon": 5, "stale": False} for i in asked.tolist()
        ]
        inside.tell(rows)
        told = leading_reasons(model, inputs_of(with_more), asked, last)
        reasons = [one for row in rows for one in row["reasons"]]
        assert reasons == [one for row in rows for one in told[InstrumentId(row["instrument"]), 5]]
        assert any(one["feature"] == "active_addresses" and one["adds"] for one in reasons)
