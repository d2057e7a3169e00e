"""A forecast reads the second legs and series of the training, or says that it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from foresail.core.clock import from_ns, to_ns
from foresail.core.errors import ModelError
from foresail.forecasting.linear import Ridge
from foresail.service.feature_health import HealthRequest, features_health
from foresail.service.loading import load_reading
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.reading import Reading
from foresail.service.serving_daemon import ServeRequest, start_serving
from foresail.service.serving_live import LiveMarket
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock, small_panel

PANEL = small_panel(4, 400)
A, B, C, D = map(str, PANEL.instruments)
LEGS = ((A, B), (B, A), (C, D), (D, C))
DAY = from_ns(int(PANEL.end[-1])).date().isoformat()
NAME = "stock_1d_ridge_v1"


def quiet(*_: object) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that compares A with B."""
    place = tmp_path_factory.mktemp("legs")
    EmbeddedStore(place / "store").append(
        bar_table(PANEL), bar_set(PANEL, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        configure(place)
        asked = TrainRequest(data="mine", forecaster="ridge", features="log_return_1,rsi_14,spread_zscore")
        train_model(replace(asked, reading=Reading(pairs=LEGS)), progress=quiet, clock=fixed_clock())
        yield place


def configure(place: Path, *legs: tuple[str, str]) -> None:
    lines = [f'"{one}" = "{other}"' for one, other in legs]
    (place / "foresail.toml").write_text("\n".join(["version = 1", "[pairs]", *lines, ""]))


def predict(**reading: Any) -> dict[str, Any]:
    asked = PredictRequest(model=NAME, data="mine", at=DAY, reading=Reading(**reading))
    return predict_with(asked, progress=quiet, clock=fixed_clock()).document


def model() -> LoadedModel:
    return load_model(ModelRegistry(Path()).find(NAME))


def test_another_second_leg_is_refused_with_both_named(workspace: Path) -> None:
    configure(workspace)
    assert predict(pairs=LEGS)["stale"] < 4
    with pytest.raises(ModelError, match=f"with {B} as the second leg of {A}, these bars have nothing") as caught:
        predict()
    assert f"--pair {A}={B}" in str(caught.value.hint)
    configure(workspace, (A, C), *LEGS[1:])
    with pytest.raises(ModelError, match=f"these bars have {C}"):
        predict()
    configure(workspace, *LEGS)
    assert predict()["stale"] < 4
    found = model()
    fewer = replace(found, record={**found.record, "data": {**found.record["data"], "pairs": LEGS[:3]}})
    loaded = load_reading("mine", Reading(), workspace=workspace, clock=fixed_clock())
    with pytest.raises(ModelError, match=f"nothing as the second leg of {D}") as caught:
        fewer.check_legs(loaded.data)
    assert f"give no line of {D}" in str(caught.value.hint)


def test_the_process_refuses_it_too(workspace: Path) -> None:
    clock = fixed_clock()
    asked = ServeRequest(data=("mine",), models=(NAME,), once=True)
    configure(workspace, (A, C), *LEGS[1:])
    (told,) = start_serving(asked, note=quiet, clock=clock).document["last"]["sets"]
    assert f"these bars have {C}" in told["refused"]
    configure(workspace, *LEGS)
    (told,) = start_serving(asked, note=quiet, clock=clock).document["last"]["sets"]
    assert "refused" not in told
    assert told["notes"] == []


def test_health_and_fine_tuning_refuse_it_too(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(workspace, (A, C), *LEGS[1:])
    asked = HealthRequest(model=NAME, bars="mine", at=DAY)
    with pytest.raises(ModelError, match=f"these bars have {C}"):
        features_health(asked, progress=quiet, clock=fixed_clock())
    monkeypatch.setattr(Ridge, "fine_tune", Ridge.fit, raising=False)
    with pytest.raises(ModelError, match=f"these bars have {C}"):
        train_model(TrainRequest(data="mine", sector="all", base=NAME), progress=quiet, clock=fixed_clock())
    configure(workspace, *LEGS)
    assert features_health(asked, progress=quiet, clock=fixed_clock()).document["model"] == NAME


def test_a_model_that_reads_no_leg_takes_any(workspace: Path) -> None:
    found = model()
    loaded = load_reading("mine", Reading(pairs=((A, C), *LEGS[1:])), workspace=workspace, clock=fixed_clock())
    with pytest.raises(ModelError, match="second leg"):
        found.check_legs(loaded.data)
    none = replace(found, forecaster=_Reads(found, ("rsi_14",)))
    none.check_legs(loaded.data)
    new = replace(found, record={**found.record, "instruments": [B, C]})
    new.check_legs(loaded.data)  # it never saw A, with whatever leg


def test_other_series_are_told_to_models_that_read_one(workspace: Path) -> None:
    configure(workspace, *LEGS)
    found = model()
    loaded = load_reading("mine", Reading(), workspace=workspace, clock=fixed_clock())
    beside = replace(loaded, inputs={**loaded.inputs, "series": {"gauges": "0"}})
    assert found.notes_on(beside) == ()
    reads = replace(found, forecaster=_Reads(found, ("vix_zscore_250",)))
    assert reads.notes_on(loaded) == ()
    assert reads.notes_on(beside) == (f"{NAME} was trained beside the sets of series none; these bars have gauges",)
    told = LiveMarket(found, beside)
    assert told.notes == ()
    assert told.rows(to_ns(fixed_clock().now()))


class _Reads:
    """A forecaster of other features."""

    def __init__(self, base: LoadedModel, features: tuple[str, ...]) -> None:
        self.spec = replace(base.spec, features=features)
