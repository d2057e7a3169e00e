"""Live forecasts equal those of history, bar for bar, also over absent bars and late listings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.testing.planted import PlantedSettings, planted_market

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.forecasting.neural.settings import NetworkSettings
from foresail.forecasting.neural.tft.forecaster import TftForecaster
from foresail.forecasting.neural.tft.live import LiveForecasts

END, CONTEXT = 160, 12
SETTINGS = NetworkSettings(CONTEXT, width=8, heads=2, epochs=1, threads=1, minimum_windows=50)


@pytest.fixture(scope="module")
def made():
    market = planted_market(PlantedSettings(names=6, bars=200, noise=2, skill=0.3, targets=("close", "high")), seed=1)
    present = market.features.present.copy()
    present[2, 150:170:3] = False
    present[4, :158] = False
    values = np.where(present[..., None], market.features.values, np.nan)
    market = replace(market, features=replace(market.features, values=values, present=present))
    spec = ForecasterSpec(
        "tft", "1", market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS
    )
    model = TftForecaster(spec, SETTINGS)
    model.fit(market.training_set(END), seed=2)
    return model, market


def bar(market, t):
    return market.features.cut(t, t + 1)


def test_live_equals_history(made):
    model, market = made
    live = LiveForecasts(model, market.features.cut(0, END))
    for t in range(END, END + 25):
        found = live.update(bar(market, t), market.scale[:, t])
        rows = np.array([(i, t) for i in range(6) if market.features.present[i, t]])
        expected = model.predict(market.features, rows, market.scale)
        assert np.abs(found[rows[:, 0]] - expected).max() < 2e-6
        absent = [i for i in range(6) if not market.features.present[i, t]]
        assert np.isnan(found[absent]).all()


def test_until_a_whole_context_was_seen_there_is_no_forecast(made):
    model, market = made
    live = LiveForecasts(model, market.features.cut(END - 5, END))
    told = [np.isfinite(live.update(bar(market, t), market.scale[:, t])[0]).all() for t in range(END, END + 10)]
    assert told == [False] * (CONTEXT - 5 - 1) + [True] * (10 - CONTEXT + 5 + 1)


def test_a_bar_out_of_turn_is_refused(made):
    model, market = made
    live = LiveForecasts(model, market.features.cut(0, END))
    with pytest.raises(DataError, match="ends after"):
        live.update(bar(market, END - 1), market.scale[:, END - 1])
    with pytest.raises(DataError, match="6 instruments"):
        live.update(bar(market, END).select(market.features.instruments[:3]), market.scale[:3, END])
    with pytest.raises(DataError, match="at least one bar"):
        LiveForecasts(model, market.features.cut(0, 0))
