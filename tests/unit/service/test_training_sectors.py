"""One registered model with last layers of its own for several sectors: trained, loaded, served live (MODEL-05)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.clock import SimulatedClock, from_ns, to_ns
from foresail.core.errors import ConfigError, DataError, ModelError
from foresail.forecasting.sectors import SectorNetworks
from foresail.service.loading import load_bars
from foresail.service.models_folder import SECTOR_FOLDER
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.predicting import PredictRequest, forecast_market
from foresail.service.serving_bars import BarFeed
from foresail.service.serving_sets import ServedSet
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, small_panel

PANEL = small_panel(6, 380)
FIRST = 350
SET = bar_set(PANEL, name="mine")
SECTORS = sorted({one.sector for one in SET.instruments})
TINY = {"width": 8, "heads": 2, "epochs": 2, "context_length": 20, "minimum_windows": 50, "stride": 5, "threads": 1}


def quiet(*_: object) -> None:
    """Say nothing."""


def clock(bar: int = FIRST - 1) -> SimulatedClock:
    return SimulatedClock(from_ns(int(PANEL.end[bar])) + timedelta(minutes=2))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a transformer, and the same with the first two of three sectors."""
    place = tmp_path_factory.mktemp("sectors")
    (place / "foresail.toml").write_text("version = 1\n")
    EmbeddedStore(place / "store").append(bar_table(PANEL.cut(0, FIRST)), SET, recorded_at=clock().now())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        patch.setattr("foresail.forecasting.neural.forecaster.beats", lambda *_: True)
        asked = TrainRequest(
            data="mine",
            forecaster="tft",
            features="log_return_1,rsi_14,volatility_20",
            horizons="1,5",
            options=TINY,
            until=clock().now().date().isoformat(),
        )
        train_model(asked, progress=quiet, clock=clock())
        train(",".join(SECTORS[:2]))
    return place


def train(sector: str, **changes: Any) -> dict[str, Any]:
    until = clock().now().date().isoformat()
    asked = TrainRequest(data="mine", sector=sector, base="stock_1d_tft_v1", until=until)
    return train_model(replace(asked, **changes), progress=quiet, clock=clock()).document


@pytest.fixture(autouse=True)
def _here(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)


def model_of(name: str) -> LoadedModel:
    return load_model(ModelRegistry(Path()).find(name))


def raw(model: LoadedModel) -> np.ndarray:
    """Return what the forecaster says at the last bar that is stored."""
    loaded = load_bars("mine", workspace=Path(), until_ns=to_ns(clock().now()), clock=clock())
    shown = forecast_market(model, loaded, PredictRequest(calibration="none"), now=to_ns(clock().now()))
    return np.array([[*row["quantiles"].values()] for row in shown]).reshape(6, 2, -1)


def test_each_name_is_forecast_by_its_sector_and_the_rest_by_the_base(workspace):
    base, both = model_of("stock_1d_tft_v1"), model_of("stock_1d_tft_sectors_v1")
    assert isinstance(both.forecaster, SectorNetworks)
    assert [*both.forecaster.sectors] == SECTORS[:2]
    by_id = {one.id: one.sector for one in SET.instruments}
    outside = np.array([by_id[name] == SECTORS[2] for name in PANEL.instruments])
    told, alone = raw(both), raw(base)
    np.testing.assert_array_equal(told[outside], alone[outside])
    for sector in SECTORS[:2]:
        own = np.array([by_id[name] == sector for name in PANEL.instruments])
        assert own.any()
        assert (told[own] != alone[own]).any()
        head = replace(both, forecaster=both.forecaster.sectors[sector])
        np.testing.assert_array_equal(told[own], raw(head)[own])
    assert {path.name for path in (both.entry.path / "weights").iterdir() if path.is_dir()} == {
        f"{SECTOR_FOLDER}0",
        f"{SECTOR_FOLDER}1",
    }
    record = both.entry.record()
    assert record["sector"] == ",".join(SECTORS[:2])
    assert len(record["instruments"]) == 6
    assert record["model_version"] != base.entry.record()["model_version"]


def test_the_same_sectors_in_another_order_are_the_same_training():
    again = train(",".join(SECTORS[1::-1]))
    assert (again["registered"], again["model"]) == (False, "stock_1d_tft_sectors_v1")


def test_sectors_are_served_bar_by_bar_as_predict_says(tmp_path):
    now = clock()
    served, model = ServedSet(BarFeed("mine", Path(), now)), model_of("stock_1d_tft_sectors_v1")
    assert served.advance(to_ns(now.now()), lambda _: model).path == "whole"
    for bar in range(FIRST, FIRST + 3):
        now.advance_to(clock(bar).now())
        EmbeddedStore(Path("store")).append(bar_table(PANEL.cut(bar, bar + 1)), SET, recorded_at=now.now())
        market = served.advance(to_ns(now.now()), lambda _: model)
        assert (market.path, market.why) == ("live", "")
        loaded = load_bars("mine", workspace=Path(), until_ns=to_ns(now.now()), clock=now)
        told = forecast_market(model, loaded, PredictRequest(), now=to_ns(now.now()))
        for row, other in zip(market.market.rows(to_ns(now.now())), told, strict=True):
            assert row["features_hash"] == other["features_hash"]
            for level, value in row["quantiles"].items():
                assert abs(value - other["quantiles"][level]) < 1e-5


def test_a_normalised_transformer_is_tuned_for_a_sector_and_explained(workspace, tmp_path, monkeypatch):
    shutil.copytree(workspace, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    at = clock()
    monkeypatch.setattr("foresail.forecasting.neural.forecaster.beats", lambda *_: True)
    until = clock().now().date().isoformat()
    asked = TrainRequest("mine", "tft", "log_return_1,rsi_14,volatility_20,sma_20@1w", horizons="1,5", options=TINY)
    train_model(replace(asked, normalise="standard", until=until), progress=quiet, clock=clock())
    made = train(SECTORS[0], base="stock_1d_tft_v2")["model"]
    model = model_of(made)
    assert model.record["normalise"] == "standard"
    assert isinstance(model.forecaster, SectorNetworks)
    assert {type(one).__name__ for one in (model.forecaster.base, *model.forecaster.sectors.values())} == {
        "_Transformer"
    }
    loaded = load_bars("mine", workspace=Path(), until_ns=to_ns(at.now()), clock=at)
    told = forecast_market(model, loaded, PredictRequest(explain=True), now=to_ns(at.now()))
    for row in told:
        assert len(row["similar"]) == 5
        assert row["reasons"]
        names = {one["name"] for one in row["inside"]["groups"]}
        assert "other" not in names  # the feature of weeks has the group of that of days
        assert sum(row["inside"]["attention"]) + row["inside"]["attention_ahead"] == pytest.approx(1.0)
    by_id = {one.id: one.sector for one in SET.instruments}
    alone = forecast_market(model_of("stock_1d_tft_v2"), loaded, PredictRequest(explain=True), now=to_ns(at.now()))
    for row, base in zip(told, alone, strict=True):
        assert (row["similar"] == base["similar"]) == (by_id[row["instrument"]] != SECTORS[0])


def test_all_takes_every_sector(monkeypatch):
    calls: list[list[str]] = []
    real = SectorNetworks.version
    monkeypatch.setattr(SectorNetworks, "version", lambda self: calls.append([*self.sectors]) or real(self))
    document = train("all", seed=3)
    assert calls == [SECTORS]
    assert document["model"] == "stock_1d_tft_sectors_v2"
    assert set(document["record"]["sectors"]) == set(SECTORS)


def test_what_is_no_sector_is_refused():
    with pytest.raises(DataError, match="of the sector nowhere"):
        train(f"{SECTORS[0]},nowhere")
    with pytest.raises(ConfigError, match="name it: --base"):
        train("all", base=None)


def test_a_folder_that_is_no_sector_has_no_place_in_a_model(workspace):
    extra = workspace / "models/stock_1d_tft_sectors_v1/weights/sector_x"
    extra.mkdir()
    with pytest.raises(ModelError, match="a model has no folder"):
        model_of("stock_1d_tft_sectors_v1")
    extra.rmdir()
