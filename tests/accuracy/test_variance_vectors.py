"""GARCH against the published benchmark of the mark and the pound, and against the library arch on real returns.

Source of the figures: [FiorentiniCalzolariPanattoni1996]; data of [BollerslevGhysels1996].
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from arch import arch_model
from arch.data import nasdaq, sp500

from foresail.forecasting.econometric.garch import GarchSettings, _Likelihood, fit_garch

pytestmark = pytest.mark.accuracy

MARK_POUND = np.loadtxt(Path(__file__).parent / "data" / "dem_gbp_returns.txt")


def show(text):
    sys.stdout.write(text + "\n")


def test_mark_and_pound_parameters_to_five_digits():
    assert len(MARK_POUND) == 1_974
    fit = fit_garch(MARK_POUND)
    found = [fit.mu, fit.omega, fit.alpha, fit.beta]
    published = [-0.00619041, 0.0107613, 0.153134, 0.805974]
    show(f"\n{'':6s}{'published':>14s}{'found':>14s}")
    for name, a, b in zip(("mu", "omega", "alpha", "beta"), published, found, strict=True):
        show(f"{name:6s}{a:14.8f}{b:14.8f}")
    assert found == pytest.approx(published, rel=2e-5)  # at least four digits are demanded of GARCH code
    assert fit.loglikelihood == pytest.approx(-1106.6079, abs=1e-3)


def test_mark_and_pound_standard_errors():
    """From the inverse Hessian, the derivative of our gradient: 0.00846212, 0.00285271, 0.0265228, 0.0335527."""
    from foresail.forecasting.econometric.recursion import garch_loss

    fit = fit_garch(MARK_POUND)
    x = np.array([fit.mu, fit.omega, fit.alpha, fit.beta])
    z, slope, at = np.empty(1_974), np.empty(5), np.array([0.0, 0.0, 0.0, np.nan])

    def gradient(p):
        garch_loss(MARK_POUND, np.array([p[0], p[1], p[2], p[2], p[3]]), at, slope, z)
        return np.array([slope[0], slope[1], slope[2] + slope[3], slope[4]])

    step = 1e-5
    hessian = np.array([(gradient(x + step * e) - gradient(x - step * e)) / (2 * step) for e in np.eye(4)])
    error = np.sqrt(np.diag(np.linalg.inv((hessian + hessian.T) / 2)))
    assert error == pytest.approx([0.00846212, 0.00285271, 0.0265228, 0.0335527], rel=1e-4)


@pytest.mark.parametrize("leverage", [False, True])
@pytest.mark.parametrize(("name", "theirs"), [("normal", "normal"), ("t", "t"), ("skew_t", "skewt")])
def test_likelihoods_on_real_returns_are_those_of_arch(leverage, name, theirs):
    for source in (sp500, nasdaq):
        r = 100 * np.log(source.load()["Adj Close"]).diff().dropna().to_numpy()
        oracle = arch_model(r, p=1, o=int(leverage), q=1, dist=theirs).fit(disp="off")
        fit = fit_garch(r, GarchSettings(leverage, name, start="smoothed"))
        assert fit.loglikelihood == pytest.approx(oracle.loglikelihood, rel=1e-6)
        assert fit.parameters()[-1] == pytest.approx(oracle.params["beta[1]"], abs=1e-4)


def test_fits_recover_what_was_simulated():
    """40 series of 4,000 rows: the mean estimate lies within three standard errors of the truth."""
    found = []
    for seed in range(40):
        g = np.random.default_rng(seed)
        r, h = np.empty(4_000), 1.0
        for t in range(4_000):
            r[t] = np.sqrt(h) * g.standard_t(8) / np.sqrt(8 / 6)
            h = 0.02 + (0.03 + 0.1 * (r[t] < 0)) * r[t] ** 2 + 0.90 * h
        fit = fit_garch(r, GarchSettings(leverage=True, distribution="t"))
        found.append([fit.omega, fit.alpha, fit.gamma, fit.beta, 1 / fit.distribution.freedom])
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(40)
    truth = np.array([0.02, 0.03, 0.1, 0.90, 1 / 8])
    show(f"\n{np.round(mean, 4)} {np.round(error, 4)}")
    assert (np.abs(mean - truth) < 3 * error + np.array([0.002, 0.002, 0.004, 0.004, 0.002])).all()


def test_fits_are_faster_than_arch_and_filtering_is_almost_free():
    r = 100 * np.log(sp500.load()["Adj Close"]).diff().dropna().to_numpy()[:2_500]
    settings = GarchSettings(distribution="t")
    fit = fit_garch(r, settings)

    def best(job):
        spent = []
        for _ in range(10):
            begin = time.perf_counter()
            job()
            spent.append(time.perf_counter() - begin)
        return min(spent)

    ours = best(lambda: fit_garch(r, settings))
    theirs = best(lambda: arch_model(r, dist="t").fit(disp="off"))
    update = best(lambda: fit.filter(r))
    show(f"\nfit: ours {1e3 * ours:.1f} ms, arch {1e3 * theirs:.1f} ms; filtering {1e6 * update:.0f} us")
    assert ours < theirs / 1.2  # 4 to 5 times on a quiet machine
    assert update < theirs / 50
    assert _Likelihood(r, settings, float("nan")).rows == 2_500
