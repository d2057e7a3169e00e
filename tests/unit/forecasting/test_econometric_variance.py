"""Variance models: what each says, that none sees the future, and that nothing fails silently."""

from __future__ import annotations

import json

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError
from foresail.forecasting.econometric.combination import VarianceCombination, minimise_qlike
from foresail.forecasting.econometric.garch import GarchSettings
from foresail.forecasting.econometric.refit import walk_variance
from foresail.forecasting.econometric.variance import Ewma, Garch, Har, HarSettings, History, Rolling

MODELS = {
    "naive": lambda: Rolling(1),
    "rolling": lambda: Rolling(22),
    "ewma": Ewma,
    "ewma fitted": lambda: Ewma(None),
    "har": Har,
    "log-HAR": lambda: Har(HarSettings(log=True)),
    "HAR-X": lambda: Har(HarSettings(lags=(1, 5, 22, 66, 252), log=True, leverage=True)),
    "garch": lambda: Garch(to_proxy=True),
    "gjr": lambda: Garch(GarchSettings(leverage=True, distribution="skew_t")),
    "combination": VarianceCombination,
}


def market(n=3, rows=900, seed=5):
    g = np.random.default_rng(seed)
    log_h = np.zeros((n, rows))
    for t in range(1, rows):
        log_h[:, t] = 0.97 * log_h[:, t - 1] + 0.15 * g.standard_normal(n)
    h = 1e-4 * np.exp(log_h)
    returns = np.sqrt(h) * g.standard_normal((n, rows))
    return History(returns, h * g.gamma(5, 0.2, (n, rows))), h


PAST, TRUTH = market()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_rows_use_their_past_only_and_all_horizons_are_positive(name):
    model = MODELS[name]()
    model.fit(PAST.until(700), (1, 5))
    whole = model.forecast(PAST)
    assert whole.shape == (3, 900, 2)
    assert (whole[:, 300:] > 0).all()
    r, v = PAST.returns.copy(), PAST.variance.copy()
    r[:, 800:], v[:, 800:] = 0.4, 9.0
    assert np.array_equal(model.forecast(History(r, v))[:, :800], whole[:, :800], equal_nan=True)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_fitted_models_come_back_from_json(name):
    model = MODELS[name]()
    model.fit(PAST.until(700), (1, 5))
    again = MODELS[name]()
    again.horizons = (1, 5)
    again.restore(json.loads(canonical_bytes(model.content())))
    assert np.array_equal(again.forecast(PAST), model.forecast(PAST), equal_nan=True)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_gaps_and_late_listings_are_forecast_once_known(name):
    r, v = PAST.returns.copy(), PAST.variance.copy()
    r[0, :200] = v[0, :200] = np.nan
    r[1, 500:510] = v[1, 500:510] = np.nan
    model = MODELS[name]()
    model.fit(History(r, v).until(700))
    out = model.forecast(History(r, v))[:, :, 0]
    assert np.isnan(out[0, :200]).all()
    assert np.isfinite(out[0, 300:]).all()
    assert np.isfinite(out[1, 520:]).all()
    if name not in ("naive",):
        assert np.isfinite(out[1, 500:510]).all()


@pytest.mark.parametrize("name", ["har", "garch", "combination"])
def test_a_short_history_is_left_to_smoothing_with_a_note(name):
    r, v = PAST.returns.copy(), PAST.variance.copy()
    r[0, :600] = v[0, :600] = np.nan
    model = MODELS[name]()
    notes = model.fit(History(r, v).until(700))
    assert any("1 of 3 instruments have fewer than 250" in note for note in notes)
    assert np.isfinite(model.forecast(History(r, v))[0, 620:]).all()


def qlike(truth, forecast):
    ratio = truth / forecast
    return float((ratio - np.log(ratio) - 1).mean())


def test_regressions_beat_naive_and_walks_do_not_look_ahead():
    loss = {}
    for name in ("naive", "har", "log-HAR", "combination"):
        forecast, _ = walk_variance(MODELS[name](), PAST, first=600, every=66)
        assert np.isnan(forecast[:, :600]).all()
        loss[name] = qlike(TRUTH[:, 600:], forecast[:, 600:, 0])
        changed = History(PAST.returns.copy(), PAST.variance.copy())
        changed.returns[:, 700:], changed.variance[:, 700:] = 0.1, 1.0
        again, _ = walk_variance(MODELS[name](), changed, first=600, every=66)
        assert np.array_equal(again[:, :701], forecast[:, :701], equal_nan=True)
    assert max(loss["har"], loss["log-HAR"], loss["combination"]) < loss["naive"]


def test_log_har_corrects_for_the_mean_of_a_lognormal():
    model = Har(HarSettings(log=True))
    model.fit(PAST)
    plain = np.log(model.forecast(PAST)[:, 100:, 0])
    assert (model._shift > 0.01).all()
    model._shift[:] = 0
    assert (np.log(model.forecast(PAST)[:, 100:, 0]) < plain).mean() > 0.99


def test_insanity_filter_replaces_what_was_never_seen():
    model = Har(HarSettings())
    model.fit(PAST.until(800))
    wild = PAST.variance.copy()
    wild[:, 850] = 1e3
    assert model.forecast(History(PAST.returns, wild))[:, 850, 0] == pytest.approx(model._bounds[:, 0, 2])


def test_quarticity_is_needed_where_asked_for():
    with pytest.raises(ConfigError, match="quarticity"):
        Har(HarSettings(quarticity=True)).fit(PAST)
    rich = History(PAST.returns, PAST.variance, PAST.variance**2)
    model = Har(HarSettings(quarticity=True))
    model.fit(rich)
    assert np.isfinite(model.forecast(rich)[:, 100:]).all()


def test_garch_horizons_are_the_mean_of_the_path():
    model = Garch()
    model.fit(PAST, (1, 5))
    out, fit = model.forecast(PAST), model.fits[1]
    assert out[1, 400, 1] == pytest.approx(fit.path(out[1, 400, 0], 5).mean())


def test_fitted_decay_finds_the_slow_one():
    g = np.random.default_rng(3)
    flat = History(g.normal(size=(1, 2_000)), g.gamma(2, 0.5, (1, 2_000)))
    model = Ewma(None)
    model.fit(flat)
    assert model.found[0] >= 0.97


def test_quasi_likelihood_is_minimised():
    g = np.random.default_rng(7)
    x = g.normal(size=(4_000, 2))
    y = np.exp(0.2 + x @ np.array([0.5, -0.3])) * g.gamma(2, 0.5, 4_000)
    w = np.ones(4_000)
    b = minimise_qlike(x, y, w, 0.0)
    assert b == pytest.approx([0.2, 0.5, -0.3], abs=0.05)
    ratio = y / np.exp(b[0] + x @ b[1:])
    assert ratio.mean() == pytest.approx(1.0, abs=1e-6)  # no bias on the way back from logarithms
    assert x.T @ (ratio - 1) / 4_000 == pytest.approx([0, 0], abs=1e-6)
    assert np.abs(minimise_qlike(x, y, w, 1.0)[1:]).sum() < np.abs(b[1:]).sum()
