"""The parts of the learners: design, shrinkage, boosting, shape, baselines."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.errors import CapabilityError, ModelError, UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting import baselines
from foresail.forecasting.confidence import confidence, expected_return
from foresail.forecasting.design import Scaler, day_shares, demean_by_day, gram_blocks
from foresail.forecasting.location import drift_of
from foresail.forecasting.registry import forecaster, forecaster_class
from foresail.forecasting.rows import sample
from foresail.forecasting.shape import conformal_quantiles, fit_multipliers, quantile_curves
from foresail.forecasting.shrinkage import mixture_coefficients, ridge_coefficients
from foresail.forecasting.trees.boosting import BoostingSettings, BoostingTask, Forest
from foresail.forecasting.trees.quantile_trees import QuantileTrees, TreeSettings, earned_share, thin
from foresail.testing.planted import PlantedSettings, planted_market

MARKET = planted_market(PlantedSettings(names=15, bars=400, noise=4, skill=0.2), seed=4)
END = 350


def spec_of(name="x", fields=MARKET.features.fields):
    return ForecasterSpec(name, "1", fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS)


def regression(true, rows=4000, per_day=10, seed=0):
    g = np.random.default_rng(seed)
    x = g.standard_normal((rows, len(true)))
    y = x @ np.asarray(true) + g.standard_normal(rows)
    return x, y[:, None], np.repeat(np.arange(rows // per_day), per_day)


def test_scaler_centres_clips_and_marks_missing():
    x = np.column_stack(
        [np.arange(1000.0), np.ones(1000), np.where(np.arange(1000) % 4, 1.0 * (np.arange(1000) % 7), np.nan)]
    )
    x[0, 0] = 1e9
    scaler = Scaler.fit(x)
    z = scaler.columns(x)
    assert scaler.marked == (2,)
    assert z.shape == (1000, 4)
    assert z[0, 0] == 8.0
    assert (z[:, 1] == 0).all()
    assert np.array_equal(z[:, 3], np.isnan(x[:, 2]))
    assert (z[np.isnan(x[:, 2]), 2] == 0).all()


def test_day_share_follows_the_random_effect():
    g = np.random.default_rng(0)
    times = np.repeat(np.arange(400), 20)
    y = 0.5 * np.repeat(g.standard_normal(400), 20) + g.standard_normal(8000)
    expected = 1 - np.sqrt(1 / (1 + 20 * 0.25))
    assert day_shares(y[:, None], times).mean() == pytest.approx(expected, abs=0.03)
    assert day_shares(y[:400, None], np.arange(400)).max() == 0.0  # one name: days are all there is
    half = demean_by_day(y[:, None], times, np.full(400, 0.5))
    assert half[:20, 0] == pytest.approx(y[:20] - y[:20].mean() / 2)


def test_sums_of_products_do_not_depend_on_order():
    x, y, times = regression([0.1] * 5)
    gram = gram_blocks(Scaler.fit(x), x, y, times, np.ones(len(x)))
    for a in (gram.xx, gram.xy, gram.yy):
        assert np.array_equal(a * 512**2, np.round(a * 512**2))


def test_mixture_keeps_what_stands_out_and_drops_noise():
    true = np.zeros(25)
    true[3] = 0.06
    x, y, times = regression(true, rows=8000)
    gram = gram_blocks(Scaler.fit(x), x, y, times, np.ones(len(x)))
    beta, (ridge, _) = mixture_coefficients(gram)[:, 0], ridge_coefficients(gram)
    others = np.arange(25) != 3
    assert beta[3] == pytest.approx(0.06, abs=0.025)
    assert np.linalg.norm(beta[others]) < 0.5 * np.linalg.norm(ridge[others, 0]) * beta[3] / ridge[3, 0]


def test_mixture_keeps_many_small_effects_and_twins():
    x, y, times = regression([0.05] * 20, rows=8000)
    beta = mixture_coefficients(gram_blocks(Scaler.fit(x), x, y, times, np.ones(len(x))))[:, 0]
    assert np.corrcoef(x @ beta, x.sum(axis=1))[0, 1] > 0.95
    twin = np.column_stack([x[:, 0], x[:, 0] + 0.01 * x[:, 1]])
    y = 0.08 * x[:, :1] + np.random.default_rng(1).standard_normal((len(x), 1))
    pair = mixture_coefficients(gram_blocks(Scaler.fit(twin), twin, y, times, np.ones(len(x))))[:, 0]
    assert pair.sum() == pytest.approx(0.08, abs=0.03)


def test_drift_is_shrunk_and_zero_without_evidence():
    data = MARKET.training_set(END)
    rising = replace(MARKET.targets, values=MARKET.targets.values + 0.01 * np.asarray(MARKET.targets.horizons))
    up = drift_of(sample(replace(data, targets=rising), spec_of(), data.train_rows), 0, (1, 5))
    assert up == pytest.approx([0.01, 0.05], rel=0.25)
    g = np.random.default_rng(0)
    noise = replace(MARKET.targets, values=0.02 * g.standard_normal(MARKET.targets.values.shape))
    flat = drift_of(sample(replace(data, targets=noise), spec_of(), data.train_rows), 0, (1, 5))
    assert np.abs(flat).max() < 0.002


def test_conformal_quantiles_lie_on_the_careful_side():
    sample_ = np.arange(1.0, 100.0)  # 99 values: (n + 1) p is a whole number
    assert conformal_quantiles(sample_, (0.1, 0.5, 0.9)).tolist() == [10.0, 50.0, 90.0]
    assert conformal_quantiles(np.arange(1.0, 96.0), (0.1, 0.9)).tolist() == [9.0, 87.0]
    few = conformal_quantiles(np.array([1.0, 2.0]), (0.1, 0.5, 0.9))
    assert few == pytest.approx(norm.ppf([0.1, 0.5, 0.9]), abs=1e-3)


def test_curves_have_the_centre_as_mean_and_cover():
    g = np.random.default_rng(0)
    up = np.exp(0.5 * g.standard_normal((20_000, 1, 1)))
    y = up * g.standard_normal((20_000, 1, 1)) + 0.2
    centre, down = np.full_like(y, 0.2), up
    m = fit_multipliers(y[:10_000], centre[:10_000], down[:10_000], up[:10_000], QUANTILE_LEVELS)
    q = quantile_curves(centre[10_000:], down[10_000:], up[10_000:], m, QUANTILE_LEVELS)
    assert np.allclose(expected_return(q, QUANTILE_LEVELS), 0.2)
    share = (y[10_000:, ..., None] <= q).mean(axis=(0, 1, 2))
    assert share == pytest.approx(QUANTILE_LEVELS, abs=0.012)


@pytest.mark.parametrize("weighted", [False, True])
def test_boosting_is_the_same_for_any_number_of_threads(weighted, monkeypatch):
    import lightgbm as lgb

    g = np.random.default_rng(0)
    x = g.standard_normal((6000, 6))
    x[::7, 2] = np.nan
    y = g.standard_t(4, 6000) * np.exp(0.4 * x[:, 1])
    weights = np.linspace(0.3, 1, 6000) if weighted else np.ones(6000)
    settings = BoostingSettings(trees=30)
    task = BoostingTask(0.1, y[:5000], y[5000:], 3)
    plain, dataset, text = lgb.train, lgb.Dataset, []
    for threads in (1, 2, 4):

        def train(params, *a, _n=threads, **k):
            return plain({**params, "num_threads": _n}, *a, **k)

        def build(*a, params, _n=threads, **k):
            return dataset(*a, params={**params, "num_threads": _n}, **k)

        monkeypatch.setattr(lgb, "train", train)
        monkeypatch.setattr(lgb, "Dataset", build)
        booster = Forest(x[:5000], x[5000:], weights[:5000]).fit([task], settings)[0]
        assert booster.trees > 5
        text.append(booster.text.split("\nparameters:")[0])
    assert text[0] == text[1] == text[2]


def test_spread_follows_volatility_that_the_scale_misses():
    g = np.random.default_rng(0)
    x = g.standard_normal((8000, 3))
    y = g.standard_normal(8000) * np.exp(0.5 * x[:, 1])
    tasks = [BoostingTask(p, y[:6000], y[6000:], 1) for p in (0.1, 0.9)]
    low, high = Forest(x[:6000], x[6000:], np.ones(6000)).fit(tasks, BoostingSettings())
    width = high.predict(x) - low.predict(x)
    assert np.corrcoef(np.log(width), x[:, 1])[0, 1] > 0.9
    assert (y < low.predict(x))[6000:].mean() == pytest.approx(0.1, abs=0.03)
    assert np.argmax(low.gain()) == 1
    assert low.contributions(x[:5]).shape == (5, 3)


def test_earned_share_needs_evidence():
    g = np.random.default_rng(0)
    times = np.repeat(np.arange(300), 20)
    p = 0.1 * g.standard_normal(6000)
    noise = g.standard_normal(6000)
    assert earned_share(p, p + 0.3 * noise, times, 5) > 0.9
    assert earned_share(p, -p + noise, times, 5) == 0.0
    assert earned_share(np.zeros(6000), noise, times, 5) == 0.0
    assert np.mean([earned_share(p, g.standard_normal(6000), times, 5) for _ in range(200)]) < 0.12


def test_thinning_depends_on_time_position_alone():
    data = MARKET.training_set(END)
    rows = sample(data, spec_of(), data.train_rows)
    kept = thin(rows, 1000)
    assert len(kept) <= 1100
    stride = -(-len(rows) // 1000)
    assert (kept.times % stride == 0).all()
    assert len(thin(rows, 10**6)) == len(rows)
    report = QuantileTrees(spec_of(), TreeSettings(max_rows=1000)).fit(data, seed=1)
    assert any("trees saw" in note for note in report.notes)


def test_trees_explain_what_they_forecast():
    model = QuantileTrees(spec_of())
    model.fit(MARKET.training_set(END), seed=1)
    rows = MARKET.rows(END, END + 30)
    parts = model.explain(MARKET.features, rows, 5)
    assert parts.shape == (len(rows), len(MARKET.features.fields))
    q = model.predict(MARKET.features, rows, MARKET.scale)
    mean = expected_return(q[:, 0, 1], QUANTILE_LEVELS) / (MARKET.scale[rows[:, 0], rows[:, 1]] * np.sqrt(5))
    assert np.corrcoef(parts.sum(axis=1), mean)[0, 1] > 0.99
    assert np.argmax((parts**2).sum(axis=0)) == 0
    with pytest.raises(ModelError, match="not 3"):
        model.explain(MARKET.features, rows, 3)


def fit_baseline(name, data=None):
    model = forecaster(name, spec_of(name))
    model.fit(MARKET.training_set(END) if data is None else data, seed=9)
    rows = MARKET.rows(END, END + 40)
    return rows, model.predict(MARKET.features, rows, MARKET.scale)[:, 0]


def test_neutral_baselines_expect_nothing():
    for name in ("always_neutral", "no_change", "ewma_volatility", "har_volatility"):
        assert np.abs(expected_return(fit_baseline(name)[1], QUANTILE_LEVELS)).max() < 2e-6
    assert np.allclose(confidence(fit_baseline("always_neutral")[1], QUANTILE_LEVELS), 0.5, atol=1e-3)


def test_random_half_is_a_fair_coin_by_row():
    rows, q = fit_baseline("random_half")
    sign = np.sign(expected_return(q[:, 1], QUANTILE_LEVELS))
    assert (sign > 0).mean() == pytest.approx(0.5, abs=0.06)
    assert abs(np.corrcoef(sign[:-1], sign[1:])[0, 1]) < 0.12
    assert len(rows) == len(sign)


def test_last_direction_follows_the_last_bar():
    rows, q = fit_baseline("last_direction")
    last = MARKET.features.field("log_return_1")[rows[:, 0], rows[:, 1]]
    assert np.array_equal(np.sign(expected_return(q[:, 0], QUANTILE_LEVELS)), np.sign(last))


def test_har_follows_recent_squares():
    r = MARKET.features.field("log_return_1")
    assert baselines._mean_squares(r, np.array([[2, 30], [2, 1]]), 5) == pytest.approx(
        [(r[2, 26:31] ** 2).mean(), (r[2, :2] ** 2).mean()]
    )
    _, q = fit_baseline("har_volatility")
    rows, wide = MARKET.rows(END, END + 40), q[:, 1, 5] - q[:, 1, 1]
    recent = baselines._mean_squares(r, rows, 5) / MARKET.scale[rows[:, 0], rows[:, 1]] ** 2
    ratio = wide / MARKET.scale[rows[:, 0], rows[:, 1]]
    assert np.corrcoef(ratio, np.minimum(recent, 25))[0, 1] > 0.2


def test_baselines_that_need_returns_say_so():
    with pytest.raises(CapabilityError, match="log_return_1"):
        forecaster("har_volatility", spec_of("har_volatility", ("a", "b")))


def test_unknown_forecaster_lists_known_ones():
    with pytest.raises(UnknownNameError, match="quantile_trees"):
        forecaster("quantile_tree", spec_of())
    with pytest.raises(UnknownNameError, match="ridge"):
        forecaster_class("rigde")
