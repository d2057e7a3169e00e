"""What every forecaster of the registry must keep, whatever it is made of."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import ModelError, NotFittedError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.confidence import confidence, expected_return
from foresail.forecasting.registry import FORECASTERS, forecaster_class
from foresail.testing.planted import PlantedSettings, planted_market

NAMES = sorted(FORECASTERS)
LEARNERS = ("quantile_trees", "random_forest", "ridge")
TARGETS = ("close", "high", "low")
MARKET = planted_market(PlantedSettings(names=12, bars=330, noise=3, skill=0.3, targets=TARGETS), seed=3)
END = 280


def spec_of(name, market=MARKET):
    return ForecasterSpec(
        name, "1", market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS
    )


def forecaster(name, spec):
    """An unfitted forecaster; networks are small here, as what they must keep does not depend on their size."""
    kind = forecaster_class(name)
    if not hasattr(kind, "settings_type"):
        return kind(spec)
    return kind(spec, kind.settings_type(context_length=16, width=16, heads=2, epochs=3))


_FITTED = {}


def fitted(name):
    if name not in _FITTED:
        model = forecaster(name, spec_of(name))
        report = model.fit(MARKET.training_set(END), seed=11)
        _FITTED[name] = (model, report)
    return _FITTED[name]


def predicted(name, market=MARKET):
    return fitted(name)[0].predict(market.features, market.rows(END, END + 40), market.scale)


@pytest.mark.parametrize("name", NAMES)
def test_shape_order_and_rounding(name):
    q = predicted(name)
    assert q.shape == (12 * 40, 3, 2, 7)
    assert np.isfinite(q).all()
    assert (np.diff(q, axis=-1) >= 0).all()
    close, high, low = q[:, 0], q[:, 1], q[:, 2]
    assert (low <= close).all()
    assert (close <= high).all()
    assert np.array_equal(q, np.round(q, 6))


@pytest.mark.parametrize("name", NAMES)
def test_report_tells_model_and_counts(name):
    report = fitted(name)[1]
    assert report.model.startswith(f"{name}@1-")
    assert report.train_rows > 1000
    assert report.calibration_rows > 100
    shares = [share for _, share in report.importance]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0) or not shares


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_forecast(name):
    again = forecaster(name, spec_of(name))
    report = again.fit(MARKET.training_set(END), seed=11)
    assert report.model == fitted(name)[1].model
    rows = MARKET.rows(END, END + 40)
    assert np.array_equal(again.predict(MARKET.features, rows, MARKET.scale), predicted(name))


@pytest.mark.parametrize("name", NAMES)
def test_saved_model_forecasts_alike(name, tmp_path):
    fitted(name)[0].save(tmp_path / "model")
    loaded = forecaster_class(name).load(tmp_path / "model")
    q = loaded.predict(MARKET.features, MARKET.rows(END, END + 40), MARKET.scale)
    assert np.array_equal(q, predicted(name))
    assert loaded.spec == spec_of(name)
    assert not [p for p in (tmp_path / "model").iterdir() if p.suffix not in {".json", ".txt", ".safetensors"}]


@pytest.mark.parametrize("name", NAMES)
def test_future_rows_change_no_forecast(name):
    cut = END + 15
    values, scale = MARKET.features.values.copy(), MARKET.scale.copy()
    values[:, cut:] = 99.0
    scale[:, cut:] *= 7
    q = fitted(name)[0].predict(replace(MARKET.features, values=values), MARKET.rows(END, cut), scale)
    assert np.array_equal(q, predicted(name)[: len(q)])


@pytest.mark.parametrize("name", NAMES)
def test_rows_after_the_training_window_change_no_fit(name):
    values, labels, scale = MARKET.features.values.copy(), MARKET.targets.values.copy(), MARKET.scale.copy()
    values[:, END:], labels[:, END:], scale[:, END:] = 5.0, 0.5, 1.0
    data = MARKET.training_set(END)
    data = replace(
        data,
        features=replace(MARKET.features, values=values),
        targets=replace(MARKET.targets, values=labels),
        scale=scale,
    )
    assert forecaster(name, spec_of(name)).fit(data, seed=11).model == fitted(name)[1].model


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_forecast_alike_alone_and_in_company(name):
    rows = MARKET.rows(END, END + 40)
    some = rows[7::29]
    alone = np.concatenate([fitted(name)[0].predict(MARKET.features, r[None], MARKET.scale) for r in some])
    assert np.array_equal(alone, predicted(name)[7::29])


@pytest.mark.parametrize("name", NAMES)
def test_missing_features_are_tolerated_and_missing_scale_gives_nothing(name):
    values, scale = MARKET.features.values.copy(), MARKET.scale.copy()
    values[::2, END : END + 40, ::2] = np.nan
    scale[3, END + 4] = np.nan
    rows = MARKET.rows(END, END + 40)
    q = fitted(name)[0].predict(replace(MARKET.features, values=values), rows, scale)
    lost = (rows[:, 0] == 3) & (rows[:, 1] == END + 4)
    assert np.isnan(q[lost]).all()
    assert np.isfinite(q[~lost]).all()


@pytest.mark.parametrize("name", NAMES)
def test_fit_tolerates_missing_features(name):
    values = MARKET.features.values.copy()
    values[:, :, 0] = np.nan
    values[::3, 50:90, 1] = np.nan
    features = replace(MARKET.features, values=values)
    model = forecaster(name, spec_of(name))
    model.fit(replace(MARKET.training_set(END), features=features), seed=11)
    assert np.isfinite(model.predict(features, MARKET.rows(END, END + 5), MARKET.scale)).all()


@pytest.mark.parametrize("name", NAMES)
def test_forecast_scales_with_volatility(name):
    """A market with all returns doubled is forecast with all quantiles doubled."""
    double = replace(
        MARKET.training_set(END),
        targets=replace(MARKET.targets, values=MARKET.targets.values * 2),
        scale=MARKET.scale * 2,
        features=_doubled(MARKET.features),
    )
    model = forecaster(name, spec_of(name))
    model.fit(double, seed=11)
    q = model.predict(double.features, MARKET.rows(END, END + 10), MARKET.scale * 2)
    assert np.allclose(q, 2 * predicted(name)[: len(q)], atol=3e-6)


def _doubled(features):
    values = features.values.copy()
    values[:, :, features.index("log_return_1")] *= 2
    return replace(features, values=values)


@pytest.mark.parametrize("name", NAMES)
def test_too_few_rows_are_refused_with_the_reason(name):
    data = MARKET.training_set(END)
    few = replace(data, train_rows=data.train_rows[:200], weights=np.ones(200))
    with pytest.raises(ModelError, match=r"200 training rows.*250.*TRAIN-06"):
        forecaster(name, spec_of(name)).fit(few, seed=1)


@pytest.mark.parametrize("name", NAMES)
def test_unfitted_model_refuses(name, tmp_path):
    model = forecaster(name, spec_of(name))
    with pytest.raises(NotFittedError):
        model.predict(MARKET.features, MARKET.rows(0, 1), MARKET.scale)
    with pytest.raises(NotFittedError):
        model.save(tmp_path)
    with pytest.raises(ModelError, match=r"model\.json"):
        forecaster_class(name).load(tmp_path / "nothing")


@pytest.mark.parametrize("name", NAMES)
def test_unavailable_target_is_not_forecast(name):
    values = MARKET.targets.values.copy()
    values[:, :, 1:] = np.nan
    data = replace(MARKET.training_set(END), targets=replace(MARKET.targets, values=values))
    model = forecaster(name, spec_of(name))
    model.fit(data, seed=11)
    q = model.predict(MARKET.features, MARKET.rows(END, END + 5), MARKET.scale)
    assert np.isfinite(q[:, 0]).all()
    assert np.isnan(q[:, 1:]).all()


def skill(name, market, end, bars):
    model = forecaster(name, spec_of(name, market))
    model.fit(market.training_set(end), seed=5)
    q = model.predict(market.features, market.rows(end, end + bars), market.scale)
    mean = expected_return(q[:, 0, -1], QUANTILE_LEVELS).reshape(bars, -1)
    label = market.targets.values[:, end : end + bars, 0, -1].T
    rank = [
        np.corrcoef(np.argsort(np.argsort(m)), np.argsort(np.argsort(y)))[0, 1]
        for m, y in zip(mean, label, strict=True)
    ]
    return float(np.mean(rank)), float(np.std(rank) / np.sqrt(bars / 5))


@pytest.mark.parametrize("name", LEARNERS)
def test_planted_signal_is_found(name):
    market = planted_market(PlantedSettings(names=30, bars=700, noise=6, skill=0.12), seed=8)
    found, _ = skill(name, market, 480, 200)
    assert found > (0.05 if name == "random_forest" else 0.09)  # the plain comparison is not expected to do as well


@pytest.mark.parametrize("name", LEARNERS)
def test_scrambled_labels_give_no_skill(name):
    market = planted_market(PlantedSettings(names=30, bars=700, noise=6, skill=0.12), seed=8)
    values = market.targets.values.copy()
    g = np.random.default_rng(1)
    for t in range(480):
        values[:, t] = values[g.permutation(30), t]
    found, error = skill(name, replace(market, targets=replace(market.targets, values=values)), 480, 200)
    assert abs(found) < 2.5 * error


@pytest.mark.parametrize("name", NAMES)
def test_confidence_of_every_forecast_is_a_probability(name):
    sure = confidence(predicted(name), QUANTILE_LEVELS)
    assert ((sure >= 0.5) & (sure <= 1.0)).all()


_SCRIPT = """
import numpy as np, hashlib
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.registry import FORECASTERS, forecaster_class
from foresail.testing.planted import PlantedSettings, planted_market
m = planted_market(PlantedSettings(names=10, bars=300, noise=3, skill=0.3), seed=3)
for name in sorted(FORECASTERS):
    shape = (m.features.fields, m.targets.names, m.targets.horizons, QUANTILE_LEVELS)
    kind, spec = forecaster_class(name), ForecasterSpec(name, "1", *shape)
    network = hasattr(kind, "settings_type")
    f = kind(spec, kind.settings_type(context_length=16, width=16, heads=2, epochs=3)) if network else kind(spec)
    report = f.fit(m.training_set(250), seed=4)
    q = f.predict(m.features, m.rows(250, 290), m.scale)
    print(report.model, hashlib.sha256(q.tobytes()).hexdigest())
"""


def test_two_processes_agree_whatever_hash_seed_threads_and_zone():
    def out(hash_seed, threads, zone):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads, "TZ": zone}
        env["OPENBLAS_NUM_THREADS"] = threads
        done = subprocess.run([sys.executable, "-c", _SCRIPT], env=env, capture_output=True, text=True, check=True)
        return done.stdout

    first = out("0", "1", "UTC")
    assert first.count("\n") == len(NAMES)
    assert first == out("12345", "4", "Asia/Tokyo")
