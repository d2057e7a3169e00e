"""Sector fine-tuning: the last layers learn on, the rest and every other instrument stay as they are (MODEL-05)."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from foresail.core.errors import ConfigError, DataError, ModelError, NotFittedError  # noqa: E402 behind the check
from foresail.domain.forecast import QUANTILE_LEVELS  # noqa: E402
from foresail.domain.training import ForecasterSpec  # noqa: E402
from foresail.forecasting.neural.finetune import frozen_but, tuning_recipe  # noqa: E402
from foresail.forecasting.neural.settings import NetworkSettings  # noqa: E402
from foresail.forecasting.neural.tft.forecaster import TftForecaster  # noqa: E402
from foresail.forecasting.sectors import fine_tune, load_with_sectors, rows_of  # noqa: E402
from foresail.testing.planted import PlantedSettings, planted_market  # noqa: E402

END = 260
MARKET = planted_market(PlantedSettings(names=8, bars=300, noise=2, skill=0.6), seed=5)
ROWS = MARKET.rows(END, END + 6)
SECTOR = MARKET.features.instruments[:4]
DATA = MARKET.training_set(END)


def spec() -> ForecasterSpec:
    return ForecasterSpec(
        "tft", "1", MARKET.features.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS
    )


def tiny() -> TftForecaster:
    return TftForecaster(
        spec(),
        NetworkSettings(
            width=8, heads=2, epochs=3, context_length=16, minimum_windows=50, threads=1, rate=0.01, dropout=0.0
        ),
    )


@cache
def fitted() -> TftForecaster:
    model = tiny()
    model.fit(DATA, seed=1)
    return model


def weights(model: TftForecaster) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model._needed("test").network.state_dict().items()}


def test_only_the_last_layers_change_and_the_base_does_not() -> None:
    base = fitted()
    before, told = weights(base), base.predict(MARKET.features, ROWS, MARKET.scale)
    tuned = fine_tune(base, DATA, {"technology": SECTOR}, seed=2)
    after = weights(tuned.sectors["technology"])  # type: ignore[arg-type]
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "head" in changed
    assert changed <= set(TftForecaster.tuned)
    assert all(torch.equal(before[name], value) for name, value in weights(base).items())
    assert all(p.requires_grad for p in base._needed("test").network.parameters())
    np.testing.assert_array_equal(base.predict(MARKET.features, ROWS, MARKET.scale), told)
    assert base._needed("test").history["train_loss"] != tuned.sectors["technology"]._needed("t").history["train_loss"]


def test_other_instruments_are_forecast_as_before() -> None:
    base = fitted()
    tuned = fine_tune(base, DATA, {"technology": SECTOR}, seed=2)
    told = base.predict(MARKET.features, ROWS, MARKET.scale)
    own = tuned.predict(MARKET.features, ROWS, MARKET.scale)
    inside = ROWS[:, 0] < 4
    np.testing.assert_array_equal(own[~inside], told[~inside])
    assert (own[inside] != told[inside]).any()
    assert tuned.spec == base.spec
    reasons = tuned.explain(MARKET.features, ROWS, 5)
    np.testing.assert_allclose(reasons[~inside], base.explain(MARKET.features, ROWS[~inside], 5), atol=2e-9)
    empty = tuned.predict(MARKET.features, ROWS[:0], MARKET.scale)
    assert empty.shape == (0, *told.shape[1:])


def test_the_same_seed_gives_the_same_weights_and_it_can_be_saved(tmp_path) -> None:
    first, second = (fine_tune(fitted(), DATA, {"a": SECTOR}, seed=2).sectors["a"] for _ in range(2))
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())  # type: ignore[arg-type]
    first.save(tmp_path / "model")
    loaded = TftForecaster.load(tmp_path / "model")
    told = first.predict(MARKET.features, ROWS, MARKET.scale)
    np.testing.assert_array_equal(loaded.predict(MARKET.features, ROWS, MARKET.scale), told)
    assert not np.array_equal(told, fitted().predict(MARKET.features, ROWS, MARKET.scale))


def test_sectors_are_saved_and_loaded_as_one_forecaster(tmp_path) -> None:
    tuned = fine_tune(fitted(), DATA, {"b": SECTOR[:2], "a": SECTOR[2:]}, seed=2)
    tuned.save(tmp_path / "weights")
    loaded = load_with_sectors(TftForecaster, tmp_path / "weights")
    told = tuned.predict(MARKET.features, ROWS, MARKET.scale)
    np.testing.assert_array_equal(loaded.predict(MARKET.features, ROWS, MARKET.scale), told)
    assert loaded.spec == tuned.spec
    alone = load_with_sectors(TftForecaster, tmp_path / "weights" / "sector_0")
    assert isinstance(alone, TftForecaster)
    (tmp_path / "weights" / "sectors.json").write_text('{"format": 2}')
    with pytest.raises(ModelError, match="expected format 1"):
        load_with_sectors(TftForecaster, tmp_path / "weights")


def test_a_sector_with_too_little_is_left_to_the_base_where_that_is_wanted() -> None:
    notes: list[str] = []
    tuned = fine_tune(fitted(), DATA, {"a": SECTOR[:1], "b": SECTOR[1:]}, seed=2, notes=notes)
    assert [*tuned.sectors] == ["b"]
    assert set(tuned.members.values()) == {"b"}
    assert "a is served by the base" in notes[0]
    with pytest.raises(ModelError, match="none of 1 sectors"):
        fine_tune(fitted(), DATA, {"a": SECTOR[:1]}, seed=2, notes=[])


def test_in_place_it_reports_like_a_fit() -> None:
    model = copy.copy(fitted())
    report = model.fine_tune(rows_of(DATA, SECTOR), seed=2)
    assert report.train_rows < 0.6 * len(DATA.train_rows)
    assert report.model.startswith("tft@1-")


def test_what_gains_nothing_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foresail.forecasting.neural.forecaster.beats", lambda *_: False)
    model = copy.copy(fitted())
    report = model.fine_tune(rows_of(DATA, SECTOR), seed=2)
    assert any("gained nothing" in note for note in report.notes)
    assert all(torch.equal(value, weights(model)[name]) for name, value in weights(fitted()).items())


def test_a_tenth_of_the_rate_and_few_epochs() -> None:
    recipe = tuning_recipe(NetworkSettings(rate=0.01, epochs=20))
    assert recipe.rates.base == pytest.approx(0.001)
    assert recipe.epochs == 5
    assert tuning_recipe(NetworkSettings(epochs=2)).epochs == 2


def test_wrong_sectors_are_refused() -> None:
    with pytest.raises(ConfigError, match="two sectors"):
        fine_tune(fitted(), DATA, {"a": SECTOR, "b": SECTOR[:1]}, seed=2)
    with pytest.raises(DataError, match="none of the 1 instruments"):
        fine_tune(fitted(), DATA, {"a": ["stock.US.NONE"]}, seed=2)  # type: ignore[list-item]
    with pytest.raises(ModelError, match="TRAIN-06"):
        fine_tune(fitted(), DATA, {"a": SECTOR[:1]}, seed=2)
    with pytest.raises(NotFittedError):
        tiny().fine_tune(DATA, seed=1)
    with pytest.raises(ConfigError, match="no part tail"), frozen_but(torch.nn.Linear(1, 1), ("tail",)):
        pass
