"""Variance forecasters beyond the contract suite: sources of quantiles, ranges, short histories, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import CapabilityError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.evaluation.fuzz_causality import fuzz_forecaster
from foresail.forecasting.econometric import garch
from foresail.forecasting.econometric.distributions import Distribution
from foresail.forecasting.econometric.forecasters import (
    EwmaForecaster,
    GarchForecaster,
    HarForecaster,
    VarianceOptions,
    features_history,
)
from foresail.forecasting.registry import forecaster
from foresail.testing.planted import PlantedSettings, planted_market

MARKET = planted_market(PlantedSettings(names=5, bars=600, noise=2), seed=2)
END = 560
ROWS = MARKET.rows(END, END + 20)


def made(kind, options=None, market=MARKET):
    features = market.features.fields
    spec = ForecasterSpec(kind.kind, "1", features, ("close",), market.targets.horizons, QUANTILE_LEVELS)
    return kind(spec, options)


def fitted(kind, options=None, data=None):
    model = made(kind, options)
    report = model.fit(MARKET.training_set(END) if data is None else data, seed=1)
    return model, report


def standardised(q):
    inner = q[:, 0, 0, 5] - q[:, 0, 0, 1]
    return (q[:, 0, 0] / inner[:, None])[inner > 0]


def test_normal_quantiles_have_the_normal_shape():
    model, _ = fitted(GarchForecaster, VarianceOptions("normal", "model"))
    shape = standardised(model.predict(MARKET.features, ROWS, MARKET.scale))
    normal = Distribution().quantiles(QUANTILE_LEVELS)
    assert shape == pytest.approx(np.tile(normal / (normal[5] - normal[1]), (len(shape), 1)), abs=2e-3)


def test_t_quantiles_are_each_instruments_own_and_survive_saving(tmp_path):
    model, _ = fitted(GarchForecaster)
    q = model.predict(MARKET.features, ROWS, MARKET.scale)
    shape = standardised(q)
    assert shape[0, 0] != pytest.approx(shape[1, 0], abs=1e-4)  # two instruments
    assert shape[0, 0] == pytest.approx(shape[5, 0], abs=5e-3)  # the same one a bar later
    model.save(tmp_path)
    again = GarchForecaster.load(tmp_path)
    assert again.options == VarianceOptions("t", "model")
    assert np.array_equal(again.predict(MARKET.features, ROWS, MARKET.scale), q)


@pytest.mark.parametrize(
    "name", ["ewma", "garch", "garch_normal", "gjr", "har", "har_x", "log_har", "variance_combination"]
)
def test_nothing_of_the_future_reaches_a_fit_or_a_forecast(name):
    spec = ForecasterSpec(name, "1", MARKET.features.fields, ("close",), MARKET.targets.horizons, QUANTILE_LEVELS)
    assert fuzz_forecaster(lambda: forecaster(name, spec), MARKET.training_set(END), END, seed=4) == ()


def test_a_stand_in_takes_residual_quantiles(monkeypatch):
    monkeypatch.setattr(garch, "_LONGEST", 0.1)
    model, report = fitted(GarchForecaster)
    assert any("shocks never die out" in note for note in report.notes)
    found = model.multipliers(MARKET.features, ROWS)
    assert np.array_equal(found, np.broadcast_to(model._multipliers, found.shape))


def test_residual_quantiles_are_common_to_all():
    model, _ = fitted(GarchForecaster, VarianceOptions("t", "residual"))
    shape = standardised(model.predict(MARKET.features, ROWS, MARKET.scale))
    assert shape == pytest.approx(np.tile(shape[0], (len(shape), 1)), abs=3e-3)


def test_spread_of_ewma_is_the_recursion():
    model, _ = fitted(EwmaForecaster)
    r = MARKET.features.field("log_return_1")
    value = r[2, 0] ** 2
    for t in range(1, END + 1):
        value = 0.94 * value + 0.06 * r[2, t] ** 2
    row = np.array([[2, END]])
    unit = MARKET.scale[2, END] * np.sqrt(np.array(MARKET.targets.horizons, dtype=float))[None, None]
    assert model.spread(MARKET.features, row, unit)[0, 0, 0] * MARKET.scale[2, END] == pytest.approx(np.sqrt(value))


def test_short_history_is_noted():
    values = MARKET.features.values.copy()
    values[1, :350, -1] = np.nan
    data = replace(MARKET.training_set(END), features=replace(MARKET.features, values=values))
    _, report = fitted(HarForecaster, data=data)
    assert any("1 of 5 instruments have fewer than 250" in note for note in report.notes)


def test_ranges_are_used_where_they_are_given():
    r = MARKET.features.field("log_return_1")
    gap, spread = 0.3 * r, 1.5 * np.abs(r) + 0.01
    fields = (*MARKET.features.fields, "overnight_gap", "intraday_range")
    rich = replace(
        MARKET.features, values=np.concatenate([MARKET.features.values, np.stack([gap, spread], -1)], 2), fields=fields
    )
    found = features_history(rich).variance[1, 50]
    session = r[1, 50] - gap[1, 50]
    assert found == pytest.approx(0.5 * spread[1, 50] ** 2 - (2 * np.log(2) - 1) * session**2 + gap[1, 50] ** 2)


def test_instruments_in_another_order_or_fewer_are_found_by_name():
    model, _ = fitted(GarchForecaster)
    q = model.predict(MARKET.features, ROWS, MARKET.scale)
    some = [3, 1]
    fewer = MARKET.features.select([MARKET.features.instruments[i] for i in some])
    names = list(fewer.instruments)
    place = [MARKET.features.instruments.index(n) for n in names]
    alone = model.predict(fewer, np.array([[0, END], [1, END]]), MARKET.scale[place])
    assert np.array_equal(alone, q[place])


def test_strangers_and_unknown_options_are_refused():
    model, _ = fitted(EwmaForecaster)
    strange = replace(MARKET.features, instruments=(InstrumentId("sim.TEST.OTHER"), *MARKET.features.instruments[1:]))
    with pytest.raises(CapabilityError, match=r"no parameters for sim\.TEST\.OTHER"):
        model.predict(strange, ROWS, MARKET.scale)
    with pytest.raises(UnknownNameError, match="residual"):
        VarianceOptions(quantiles="guess")
    with pytest.raises(CapabilityError, match="log_return_1"):
        EwmaForecaster(ForecasterSpec("ewma", "1", ("a",), ("close",), (1,), QUANTILE_LEVELS))
