"""A preset of a network brings horizons and features where none are named: in training, in runs, told and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.service.trained_ridge import train

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.engine.settings import PipelineSettings
from foresail.features.declared.sets import SETS
from foresail.forecasting.preset_inputs import PRESET_INPUTS
from foresail.service.horizon_settings import in_bars, preset_told
from foresail.service.settings import Overrides, default_settings, read_settings
from foresail.service.training_request import TrainRequest, preset_note, with_preset

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO


def asked(preset: str, **named: str) -> TrainRequest:
    return TrainRequest(data="mine", forecaster="tft", options={"preset": preset}, **named)  # type: ignore[arg-type]


def read(
    folder: Path, run: str, preset: str, market: tuple[AssetClass, str], forecaster: str | None = None
) -> PipelineSettings:
    path = folder / "foresail.toml"
    path.write_text(f'version = 1\n[run]\nforecaster = "tft"\n{run}\n[forecaster]\npreset = "{preset}"\n')
    base = default_settings(market[1], 2000.0, market[0])
    return read_settings(base, path, Overrides(forecaster=forecaster), market)


def test_every_preset_has_a_shape_and_a_set_that_is_there() -> None:
    from foresail.forecasting.neural.settings import PRESETS

    assert sorted(PRESET_INPUTS) == sorted(PRESETS)
    assert {one.features for one in PRESET_INPUTS.values()} <= set(SETS)


def test_the_documented_horizons() -> None:
    hourly, minute = PRESET_INPUTS["hourly"], PRESET_INPUTS["minute"]
    assert in_bars(hourly.horizons, (CRYPTO, "1h")) == (1, 4, 24, 72, 168)  # FCST-03a
    assert in_bars(hourly.horizons, (STOCK, "1h")) == (1, 4, 7, 21, 35)  # FCST-15
    assert in_bars(minute.horizons, (STOCK, "1m")) == (1, 2, 3, 4, 5)  # MODEL-02


def test_a_request_that_names_nothing_takes_both() -> None:
    found, taken = with_preset(asked("minute"), "1m")
    assert (found.horizons, found.features) == ("1,2,3,4,5", "tft64")
    assert taken == {"name": "minute", "frame": "1m", "horizons": "1,2,3,4,5", "features": "tft64"}
    assert preset_note(taken, "1m") == ("preset minute: horizons 1, 2, 3, 4, 5; features tft64, since none were named")


def test_what_a_request_names_stays() -> None:
    found, taken = with_preset(asked("hourly", horizons="4h", features="spine"), "1h")
    assert (found.horizons, found.features) == ("4h", "spine")
    assert preset_note(taken, "1h") == ""
    found, taken = with_preset(asked("hourly", horizons="4h"), "1h")
    assert (found.horizons, found.features, sorted(taken)) == ("4h", "core20", ["features", "frame", "name"])


def test_on_bars_of_another_frame_only_the_shape_is_taken() -> None:
    request = asked("minute")
    found, taken = with_preset(request, "5m")
    assert found == request
    assert "shape and nothing else" in preset_note(taken, "5m")
    assert with_preset(TrainRequest(forecaster="ridge"), "1d")[1] == {}


def test_a_run_takes_them_under_what_it_names(tmp_path: Path) -> None:
    found = read(tmp_path, "", "hourly", (STOCK, "1h"))
    assert (found.horizons, found.decision_horizon, found.features) == ((1, 4, 7, 21, 35), 35, ("core20",))
    found = read(tmp_path, 'decision_horizon = "1d"\nfeatures = ["spine"]', "hourly", (CRYPTO, "1h"))
    assert (found.horizons, found.decision_horizon, found.features) == ((1, 4, 24, 72, 168), 24, ("spine",))
    assert preset_told(found, (CRYPTO, "1h"))[0].startswith("Preset hourly, of which")
    other = read(tmp_path, "", "hourly", (STOCK, "1d"))
    assert (other.horizons, other.features) == ((1, 5), ())
    assert "nothing else" in preset_told(other, (STOCK, "1d"))[0]
    assert preset_told(default_settings("1d", 252.0), (STOCK, "1d")) == ()


def test_an_unknown_preset_of_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="hourly"):
        read(tmp_path, "", "weekly", (STOCK, "1d"))


@pytest.mark.usefixtures("workspace", "same_code")
def test_a_training_by_preset_says_and_keeps_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foresail.service.training.baseline_rows", lambda *args, **words: ({}, ()))  # tested elsewhere
    small = {"preset": "daily", "context_length": "8", "width": "8", "heads": "2", "epochs": "1", "stride": "20"}
    document = train(forecaster="gru", features="", targets="close", options=small)
    record = document["record"]
    assert record["horizons"] == [1, 2, 3, 4, 5]
    assert record["preset"]["features"] == "tft_daily"
    assert {"rsi_14", "macd"} <= set(record["features"]["names"]) < set(SETS["tft_daily"])
    assert record["options"]["width"] == 8
    assert "preset daily: horizons 1, 2, 3, 4, 5; features tft_daily, since none were named" in record["notes"]
