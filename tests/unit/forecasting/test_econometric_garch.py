"""GARCH: the recursion, the closed-form path, the likelihood beside the library arch, and fits that fail."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model
from arch.univariate import SkewStudent
from scipy.optimize import approx_fprime

from foresail.core.errors import DataError, UnknownNameError
from foresail.forecasting.econometric import garch as module
from foresail.forecasting.econometric.distributions import Distribution
from foresail.forecasting.econometric.garch import GarchFit, GarchSettings, ewma_stand_in, fit_garch, garch_path


def simulated(seed, rows=1_500, gamma=0.1):
    g = np.random.default_rng(seed)
    r, h = np.empty(rows), 1.0
    for t in range(rows):
        r[t] = 0.03 + np.sqrt(h) * g.standard_t(7) / np.sqrt(7 / 5)
        e = r[t] - 0.03
        h = 0.03 + (0.05 + gamma * (e < 0)) * e**2 + 0.88 * h
    return r


RETURNS = simulated(4)


def fit_of(omega, alpha, beta, gamma=0.0):
    return GarchFit(0.0, omega, alpha, gamma, beta, Distribution(), 1e-4, 0.0)


def test_next_and_fifth_variance_of_the_specification():
    """MODEL-50: omega 2e-6, alpha 0.08, beta 0.90, last shock -0.02, last variance 1e-4."""
    first = 2e-6 + 0.08 * 0.02**2 + 0.90 * 1e-4
    path = fit_of(2e-6, 0.08, 0.90).path(np.array(first), 5)
    assert path[0] == pytest.approx(1.24e-4)
    assert path[4] == pytest.approx(1.22137e-4, rel=1e-5)
    assert np.sqrt(path[[0, 4]]) == pytest.approx([0.011136, 0.011052], abs=5e-7)


def test_path_is_the_iterated_expectation():
    h, steps = 0.7, []
    for _ in range(30):
        steps.append(h)
        h = 0.1 + 0.95 * h
    assert garch_path(np.array(0.7), 0.1, 0.95, 30) == pytest.approx(steps)
    assert garch_path(np.array([0.7, 0.2]), 0.1, 0.95, 3).shape == (2, 3)


@pytest.mark.parametrize("leverage", [False, True])
def test_filter_equals_the_recursion_of_arch(leverage):
    oracle = arch_model(RETURNS, p=1, o=int(leverage), q=1).fit(disp="off")
    p = oracle.params
    start = oracle.model.volatility.backcast(RETURNS - RETURNS.mean())
    fit = GarchFit(
        p["mu"], p["omega"], p["alpha[1]"], p.get("gamma[1]", 0.0), p["beta[1]"], Distribution(), float(start), 0.0
    )
    assert np.abs(fit.filter(RETURNS)[:-1] / oracle.conditional_volatility[1:] ** 2 - 1).max() < 1e-10


@pytest.mark.parametrize(
    ("leverage", "name", "theirs"), [(False, "normal", "normal"), (False, "t", "t"), (True, "skew_t", "skewt")]
)
def test_likelihood_is_that_of_arch_or_better(leverage, name, theirs):
    oracle = arch_model(RETURNS, p=1, o=int(leverage), q=1, dist=theirs).fit(disp="off")
    fit = fit_garch(RETURNS, GarchSettings(leverage, name, start="smoothed"))
    assert fit.loglikelihood >= oracle.loglikelihood - 1e-6 * abs(oracle.loglikelihood)
    assert fit.loglikelihood == pytest.approx(oracle.loglikelihood, rel=1e-4)
    assert fit.persistence < 1


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("settings", [GarchSettings(), GarchSettings(leverage=True, distribution="skew_t")])
def test_gradient_is_the_slope_of_the_loss(settings, gap):
    r = RETURNS.copy()
    if gap:
        r[100:120] = np.nan
    loss = module._Likelihood(r, settings, float("nan"))
    x = loss.free(np.array([0.05, 0.05, 0.04, 0.12, 0.85]), np.array([6.0, -0.1]))
    slope = loss(x)[1].copy()
    assert slope == pytest.approx(approx_fprime(x, lambda v: loss(v)[0], 1e-7), abs=2e-6)


def test_parameters_do_not_depend_on_the_unit():
    one, other = fit_garch(RETURNS), fit_garch(RETURNS / 128)
    assert other.omega * 128**2 == pytest.approx(one.omega, rel=1e-9)
    assert (other.alpha, other.beta) == pytest.approx((one.alpha, one.beta), rel=1e-9)


def test_a_refit_starts_from_the_last_parameters():
    settings = GarchSettings(leverage=True, distribution="skew_t")
    cold = fit_garch(RETURNS[:1_400], settings)
    warm = fit_garch(RETURNS, settings, previous=cold)
    assert warm.loglikelihood == pytest.approx(fit_garch(RETURNS, settings).loglikelihood, rel=1e-7)


def test_a_gap_lets_the_variance_return_to_its_mean():
    fit = fit_of(0.05, 0.05, 0.85, gamma=0.02)
    r = np.array([np.nan, 3.0, *[np.nan] * 400])
    h = fit.filter(r)
    assert np.isnan(h[0])
    assert h[-1] == pytest.approx(0.05 / (1 - fit.persistence))


def test_failures_keep_the_last_parameters_and_say_so(monkeypatch):
    good = fit_garch(RETURNS)
    monkeypatch.setattr(module, "_LONGEST", 0.5)
    kept = fit_garch(RETURNS, previous=good)
    assert (kept.alpha, kept.beta, kept.converged) == (good.alpha, good.beta, False)
    assert "previous parameters are kept" in kept.note
    alone = fit_garch(RETURNS)
    assert (alone.omega, alone.alpha, alone.beta) == pytest.approx((0.0, 0.06, 0.94))
    assert "exponential smoothing 0.94 stands in" in alone.note


def test_stand_in_is_exponential_smoothing():
    fit = ewma_stand_in(RETURNS, "short")
    h = fit.filter(RETURNS)
    assert h[5] == pytest.approx(0.94 * h[4] + 0.06 * RETURNS[5] ** 2)


def test_too_few_or_equal_returns_are_refused():
    with pytest.raises(DataError, match="at least 100 returns"):
        fit_garch(RETURNS[:50])
    with pytest.raises(DataError, match="deviation 0"):
        fit_garch(np.zeros(500))


@pytest.mark.parametrize(("freedom", "skew"), [(5.0, 0.0), (8.1, -0.128), (3.2, 0.4)])
def test_skewed_quantiles_are_those_of_arch(freedom, skew):
    levels = (0.01, 0.1, 0.4, 0.5, 0.6, 0.9, 0.99)
    oracle = SkewStudent().ppf(np.array(levels), np.array([freedom, skew]))
    assert Distribution("skew_t", freedom, skew).quantiles(levels) == pytest.approx(oracle, abs=1e-9)


def test_normal_quantiles_and_unknown_names():
    assert Distribution().quantiles((0.01, 0.5))[0] == pytest.approx(-2.3263479, abs=1e-6)
    with pytest.raises(UnknownNameError, match="skew_t"):
        fit_garch(RETURNS, GarchSettings(distribution="cauchy"))
