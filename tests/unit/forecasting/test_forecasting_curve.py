import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.errors import ConfigError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.forecasting.curve import cumulative_probability, curve_variance, finish, mean_weights

NORMAL = norm.ppf(QUANTILE_LEVELS)


def test_mean_weights_sum_to_one_and_mirror():
    w = mean_weights(QUANTILE_LEVELS)
    assert w.sum() == pytest.approx(1.0)
    assert np.allclose(w, w[::-1])


def test_mean_weights_integrate_the_curve():
    """Against numerical integration of the quantile function that the docstring describes."""
    q = np.array([-0.08, -0.03, -0.01, 0.002, 0.02, 0.05, 0.12])
    p = np.asarray(QUANTILE_LEVELS)
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    low = q[0] + (q[1] - q[0]) / np.log(p[1] / p[0]) * np.log(u / p[0])
    high = q[-1] - (q[-1] - q[-2]) / np.log((1 - p[-2]) / (1 - p[-1])) * np.log((1 - u) / (1 - p[-1]))
    curve = np.where(u < p[0], low, np.where(u > p[-1], high, np.interp(u, p, q)))
    assert mean_weights(QUANTILE_LEVELS) @ q == pytest.approx(curve.mean(), abs=1e-6)


def test_the_variance_integrates_the_curve():
    """Against numerical integration of the quantile function, and by its units."""
    q = np.array([-0.08, -0.03, -0.01, 0.002, 0.02, 0.05, 0.12])
    p = np.asarray(QUANTILE_LEVELS)
    u = (np.arange(2_000_000) + 0.5) / 2_000_000
    low = q[0] + (q[1] - q[0]) / np.log(p[1] / p[0]) * np.log(u / p[0])
    high = q[-1] - (q[-1] - q[-2]) / np.log((1 - p[-2]) / (1 - p[-1])) * np.log((1 - u) / (1 - p[-1]))
    curve = np.where(u < p[0], low, np.where(u > p[-1], high, np.interp(u, p, q)))
    assert curve_variance(q, QUANTILE_LEVELS) == pytest.approx(curve.var(), rel=1e-5)
    assert curve_variance(3 * q + 0.7, QUANTILE_LEVELS) == pytest.approx(9 * curve.var(), rel=1e-5)
    assert curve_variance(NORMAL, QUANTILE_LEVELS) == pytest.approx(1.09, abs=0.01)  # its tails are exponential
    gone = np.stack([q, np.full(7, np.nan)])
    assert np.isnan(curve_variance(gone, QUANTILE_LEVELS)).tolist() == [False, True]
    assert curve_variance(q[:1], (0.5,)) == 0.0


def test_cumulative_probability_inverts_the_levels_and_has_tails():
    values = np.tile(NORMAL, (9, 1))
    assert cumulative_probability(values[:7], QUANTILE_LEVELS, NORMAL) == pytest.approx(QUANTILE_LEVELS)
    tails = cumulative_probability(values, QUANTILE_LEVELS, np.linspace(-6, 6, 9))
    assert (np.diff(tails) > 0).all()
    assert tails[0] < 1e-4
    assert tails[-1] > 1 - 1e-4


def test_point_mass_counts_half():
    assert cumulative_probability(np.zeros((1, 7)), QUANTILE_LEVELS, 0.0) == pytest.approx(0.5)


def test_missing_curve_stays_missing():
    values = np.stack([NORMAL, np.full(7, np.nan)])
    p = cumulative_probability(values, QUANTILE_LEVELS, 0.0)
    assert p[0] == pytest.approx(0.5)
    assert np.isnan(p[1])


def test_finish_sorts_rounds_and_orders_targets():
    values = np.zeros((1, 3, 1, 7))
    values[0, 0, 0] = [0.3, 0.1, 0.2, 0.4, 0.5, 0.6, 0.12345678]
    values[0, 1, 0] = 0.25
    values[0, 2, 0] = 0.25
    out = finish(values, ("close", "high", "low"))[0, :, 0]
    assert out[0].tolist() == [0.1, 0.123457, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert out[1].tolist() == [0.25, 0.25, 0.25, 0.3, 0.4, 0.5, 0.6]
    assert out[2].tolist() == [0.1, 0.123457, 0.2, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5)])
def test_bad_levels_are_refused(levels):
    with pytest.raises(ConfigError, match="quantile levels"):
        mean_weights(levels)
