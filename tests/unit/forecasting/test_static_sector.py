"""The sector as a static input: off by default, from the feature, the same live, refused where it cannot be static."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.errors import ConfigError, DataError, UnknownNameError  # noqa: E402
from foresail.domain.forecast import QUANTILE_LEVELS  # noqa: E402
from foresail.domain.training import ForecasterSpec  # noqa: E402
from foresail.forecasting.neural.inputs import InputMap  # noqa: E402
from foresail.forecasting.neural.recurrent_forecaster import GruForecaster  # noqa: E402
from foresail.forecasting.neural.settings import NetworkSettings  # noqa: E402
from foresail.forecasting.neural.tft.forecaster import TftForecaster  # noqa: E402
from foresail.forecasting.neural.tft.live import LiveForecasts  # noqa: E402
from foresail.testing.planted import PlantedSettings, planted_market  # noqa: E402

MARKET = planted_market(PlantedSettings(names=6, bars=330, noise=2, skill=0.3), seed=3)
CODES = np.array([2.0, 2.0, 7.0, 7.0, np.nan, 11.0])
END = 280
SMALL = {"context_length": 8, "width": 8, "heads": 2, "epochs": 2}


def with_sector(codes=CODES):
    panel = MARKET.features
    column = np.repeat(np.asarray(codes)[:, None, None], panel.shape[1], axis=1)
    values = np.ascontiguousarray(np.concatenate([panel.values, column], axis=2))
    return replace(panel, values=values, fields=(*panel.fields, "sector"))


PANEL = with_sector()
SPEC = ForecasterSpec(
    "tft", "1", PANEL.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS, context_length=8
)


def training(panel=PANEL):
    return replace(MARKET.training_set(END), features=panel)


@pytest.fixture(scope="module")
def fitted():
    model = TftForecaster(SPEC, NetworkSettings(**SMALL, statics="sector"))
    return model, model.fit(training(), seed=2)


def test_the_map_knows_sectors_of_the_training():
    plain, told = InputMap.fit(training(), SPEC), InputMap.fit(training(), SPEC, "sector")
    assert (plain.categories, plain.statics) == ((7, 2), ("instrument", "market"))
    assert plain.codes(PANEL).shape == (6, 2)
    assert "sectors" not in plain.content()  # what was saved before reads and writes as it did
    assert (told.categories, told.sectors, told.statics[-1]) == ((7, 2, 4), (2, 7, 11), "sector")
    assert told.codes(PANEL)[:, 2].tolist() == [1, 1, 2, 2, 0, 3]
    again = InputMap.of(told.content())
    assert again.codes(PANEL).tolist() == told.codes(PANEL).tolist()
    assert InputMap.of(plain.content()).sectors is None


def test_a_new_instrument_has_the_sector_that_its_panel_tells():
    told = InputMap.fit(training(), SPEC, "sector")
    names = list(PANEL.instruments)
    new = replace(PANEL, instruments=(*names[:5], type(names[5])("stock.US.NEW")))
    values = new.values.copy()
    values[5, :, -1] = 7.0
    values[0, :, -1] = 11.0  # of one that was learned from, what was learned counts
    codes = told.codes(replace(new, values=values))
    assert (codes[5, 0], codes[5, 2]) == (0, 2)
    assert codes[0, 2] == 1
    values[5, :, -1] = 3.0  # a sector that the training did not have
    assert told.codes(replace(new, values=values))[5, 2] == 0


def test_what_cannot_be_static_is_refused():
    changing = PANEL.values.copy()
    changing[1, 100:, -1] = 7.0
    with pytest.raises(DataError, match="not one number that stays"):
        InputMap.fit(training(replace(PANEL, values=changing)), SPEC, "sector")
    scaled = PANEL.values.copy()
    scaled[:, :, -1] = 0.5
    with pytest.raises(DataError, match="not one number that stays"):
        InputMap.fit(training(replace(PANEL, values=scaled)), SPEC, "sector")
    with pytest.raises(DataError, match="no instrument of the training has a sector"):
        InputMap.fit(training(with_sector(np.full(6, np.nan))), SPEC, "sector")
    with pytest.raises(ConfigError, match="needs the feature sector"):
        InputMap.fit(MARKET.training_set(END), replace(SPEC, features=MARKET.features.fields), "sector")
    with pytest.raises(UnknownNameError, match="sector"):
        NetworkSettings(statics="industry")


def test_it_is_off_by_default_and_warned_of(fitted):
    assert NetworkSettings().statics == "none"
    model, report = fitted
    assert sum("hindsight" in note for note in report.notes) == 1
    assert len(model.fitted.network.embeddings) == 3
    plain = GruForecaster(replace(SPEC, name="gru"), GruForecaster.settings_type(**SMALL))
    assert not [note for note in plain.fit(training(), seed=2).notes if "hindsight" in note]


def test_the_sector_moves_the_forecast_of_a_name_that_was_not_learned_from(fitted):
    model, _ = fitted
    names = list(PANEL.instruments)
    new = replace(PANEL, instruments=(*names[:5], type(names[5])("stock.US.NEW")))
    rows = np.array([[5, t] for t in range(END, END + 10)])
    told = []
    for code in (2.0, 7.0):
        values = new.values.copy()
        values[5, :, -1] = code
        hidden = replace(new, values=values)
        standard = model.fitted.inputs.inputs(hidden, max(SPEC.horizons))
        assert standard.static[5, 2] > 0
        told.append(model.predict(hidden, rows, MARKET.scale))
    assert not np.array_equal(*told)


def test_a_saved_model_and_live_forecasts_say_the_same(fitted, tmp_path):
    model, _ = fitted
    model.save(tmp_path / "model")
    loaded = TftForecaster.load(tmp_path / "model")
    rows = MARKET.rows(END, END + 12)
    told = model.predict(PANEL, rows, MARKET.scale)
    assert np.array_equal(loaded.predict(PANEL, rows, MARKET.scale), told)
    live = LiveForecasts(loaded, PANEL.cut(0, END))
    n = len(PANEL.instruments)
    for t in range(END, END + 12):
        now = live.update(PANEL.cut(t, t + 1), MARKET.scale[:, t])
        assert np.allclose(now, told[(t - END) * n : (t - END + 1) * n], atol=1e-5, equal_nan=True)
    weights = loaded.weights_of(PANEL, rows[:n], dict.fromkeys(PANEL.fields, "all"))
    assert weights.statics == ("instrument", "market", "sector")
