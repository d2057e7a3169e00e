"""What a training may be asked: files, options, horizons, symbols, one model a ticker; the same from Python."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.service.trained_ridge import LAST_DAY, PANEL, REQUEST, entry, predict, quiet, train

import foresail
from foresail.cli.main import app
from foresail.core.errors import (
    ConfigError,
    ModelError,
    UnknownNameError,
    UserError,
)
from foresail.service import training_job
from foresail.service.models_registry import ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.training_request import (
    TrainRequest,
    horizons_of,
    parse_options,
    with_config,
    with_static_features,
)
from foresail.service.training_tickers import train_tickers
from foresail.testing.builders import bar_set, fixed_clock

pytestmark = pytest.mark.usefixtures("same_code")


def test_files_and_options_are_read_typed(tmp_path):
    file = tmp_path / "train.toml"
    file.write_text(
        'version = 1\n[train]\ndata = "mine"\nhorizons = [1, 5]\nseed = 3\n[options]\nwidth = 64\nrate = 0.002\n'
    )
    found = with_config(TrainRequest(config=file, seed=4, options={"width": "32"}))
    assert (found.data, found.horizons, found.seed, found.options) == ("mine", "1,5", 4, {"width": "32", "rate": 0.002})
    for text, error in (
        ("version = 2", "expected version = 1"),
        ("version = 1\n[nope]\n", "key of a training file"),
        ("version = 1\n[train]\nfoo = 1", r"key in \[train\]"),
        ("version = 1\n[train]\nseed = 'a'", "expected a whole number"),
        ("version = 1\n[train]\ndata = 1", "expected text"),
        ("version = ", "cannot be read as TOML"),
    ):
        file.write_text(text)
        with pytest.raises(UserError, match=error):
            with_config(TrainRequest(config=file))
    with pytest.raises(ConfigError, match="cannot be read"):
        with_config(TrainRequest(config=tmp_path / "absent.toml"))
    assert parse_options(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(ConfigError, match="--option"):
            parse_options(wrong)


def test_horizons_default_to_those_of_the_frame():
    stock = bar_set(PANEL).asset_class
    assert horizons_of(None, stock, "1d") == (1, 5)
    assert horizons_of("1w, 1d", stock, "1d") == (1, 5)
    assert horizons_of("4h,1d,1w", stock, "1h") == (4, 7, 35)


@pytest.mark.parametrize("name", ["train", "predict"])
def test_the_functions_have_the_options_of_the_commands(name):
    command = next(c for c in app.registered_commands if c.name == name).callback
    assert command is not None
    told = set(inspect.signature(command).parameters) - {"as_json", "as_csv", "option", "bars", "data"}
    known = set(inspect.signature(getattr(foresail, name)).parameters) - {"progress", "options", "data", "bars"}
    assert known == told  # of bars the first argument, whatever it is called


def test_the_same_from_python(workspace):
    model = foresail.train(
        "mine", forecaster="ridge", features=["log_return_1", "rsi_14"], horizons=[1], targets=["close"]
    )
    assert model.is_new
    assert str(model).startswith("registered stock_1d_ridge_v2")
    assert model.card.is_file()
    assert [one["horizon"] for one in model.metrics["scores"]] == [1]
    told = foresail.predict("mine", model=model.name, at=LAST_DAY, symbols=[str(PANEL.instruments[0])])
    frame = told.frame()
    assert frame["horizon"].tolist() == [1]
    assert frame["q0.1"].iloc[0] < frame["q0.9"].iloc[0]
    assert "1d" in str(told)
    assert [one["model"] for one in foresail.models()] == ["stock_1d_ridge_v1", "stock_1d_ridge_v2"]


def test_a_model_of_some_symbols_learns_from_them_alone(workspace):
    chosen = [str(PANEL.instruments[i]) for i in (1, 4)]
    record = train(symbols=",".join(chosen))["record"]
    assert record["instruments"] == chosen
    assert record["name"] == "stock_1d_ridge_v2"
    assert record["splits"][0]["rows"] < 0.4 * entry(workspace).record()["splits"][0]["rows"]
    assert len(predict(model="stock_1d_ridge_v2")["forecasts"]) == 12  # it may forecast the others
    with pytest.raises(UnknownNameError, match="symbol of these bars"):
        train(symbols="NOPE")


def test_each_ticker_has_a_model_of_its_own_by_one_command(workspace, monkeypatch):
    """FCST-16, TRAIN-31: its own key, scaler and rows; one that cannot be trained does not stop the others."""
    real = training_job._spec
    monkeypatch.setattr(training_job, "_spec", lambda *args: replace(real(*args), minimum_rows=100))
    chosen = [str(PANEL.instruments[i]) for i in (0, 3)]
    asked = replace(REQUEST, symbols=",".join(chosen), per_ticker=True)
    told = train_tickers(asked, progress=quiet, clock=fixed_clock())
    tickers = {str(one.id): one.symbol.lower() for one in bar_set(PANEL).instruments}
    names = [f"stock_1d_ridge_only_{tickers[one]}_v1" for one in chosen]
    assert [one["model"] for one in told.document["models"]] == names
    scalers = [(workspace / "models" / name / "scaler.json").read_bytes() for name in names]
    assert scalers[0] != scalers[1]
    for name, one in zip(names, chosen, strict=True):
        assert entry(workspace, name).record()["instruments"] == [one]
        assert [row["instrument"] for row in predict(model=name)["forecasts"]] == [one, one]
    assert len(predict(model=names[0], symbols=(chosen[1],))["forecasts"]) == 2
    registry = ModelRegistry(workspace)
    registry.promote(names[0])
    with pytest.raises(UserError, match="has no champion"):
        predict(model="")  # it answers only where it is named
    assert registry.find(names[0].removesuffix("_v1")).name == names[0]
    registry.promote("stock_1d_ridge_v1")
    assert predict(model="")["model"] == "stock_1d_ridge_v1"
    again = train_tickers(asked, progress=quiet, clock=fixed_clock())
    assert [one["registered"] for one in again.document["models"]] == [False, False]
    model = foresail.train(
        "mine", forecaster="ridge", features=["log_return_1", "rsi_14"], symbols=[chosen[0]], per_ticker=True
    )
    assert model.name == names[0].replace("_v1", "_v2")
    with pytest.raises(ConfigError, match="learns from one instrument, received 2"):
        train(symbols=asked.symbols, per_ticker=True)
    with pytest.raises(ConfigError, match="trains afresh"):
        train_tickers(replace(asked, sector="energy"), progress=quiet)


def test_a_ticker_that_cannot_be_trained_is_told(workspace, monkeypatch):
    bad, good = (str(PANEL.instruments[i]) for i in (0, 3))
    asked = replace(REQUEST, symbols=f"{bad},{good}", per_ticker=True)
    with pytest.raises(ModelError, match="250 needed"):  # neither has enough rows
        train_tickers(asked, progress=quiet, clock=fixed_clock())

    def one_fails(request: TrainRequest, **_: Any) -> Outcome:
        if request.symbols == bad:
            raise ModelError("3 training rows, 250 needed")
        return Outcome({"model": "m"}, ["done"])

    monkeypatch.setattr("foresail.service.training_tickers.train_model", one_fails)
    told = train_tickers(asked, progress=quiet, clock=fixed_clock())
    assert told.document["refused"] == [{"instrument": bad, "reason": "3 training rows, 250 needed"}]
    assert told.lines[-1] == "1 of 2 tickers have a model of their own"


def test_a_static_sector_brings_the_feature_that_it_is_read_from():
    asked = TrainRequest(features="spine", options={"statics": "sector"})
    assert with_static_features(asked).features == "spine,sector"
    for features in ("sector", "spine, sector"):
        assert with_static_features(replace(asked, features=features)).features == features
    assert with_static_features(replace(asked, options={})).features == "spine"
