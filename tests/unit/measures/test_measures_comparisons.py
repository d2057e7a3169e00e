import math

import numpy as np
import pytest

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.comparisons import diebold_mariano


def test_diebold_mariano_at_one_step_is_the_paired_t_test():
    from scipy.stats import ttest_rel

    first, second = np.random.default_rng(0).normal(size=(2, 80)) ** 2
    found, expected = diebold_mariano(first, second), ttest_rel(first, second)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_diebold_mariano_is_antisymmetric_and_free_of_scale():
    first, second = np.random.default_rng(1).normal(size=(2, 200)) ** 2
    found = diebold_mariano(first, second, horizon=5)
    assert diebold_mariano(second, first, horizon=5).statistic == pytest.approx(-found.statistic)
    assert diebold_mariano(first * 3, second * 3, horizon=5).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("length", "horizon"), [(100, 1), (250, 5)])
def test_diebold_mariano_keeps_its_size_under_overlap(length, horizon):
    rejected = 0
    for seed in range(600):
        shock = np.random.default_rng([seed, horizon]).normal(size=(2, length + horizon - 1))
        first, second = (np.convolve(s, np.ones(horizon), "valid") ** 2 for s in shock)
        rejected += diebold_mariano(first, second, horizon=horizon).p_value < 0.05
    assert 0.02 <= rejected / 600 <= 0.08  # nominal .05; binomial error .009


def test_equal_losses_have_no_test():
    assert math.isnan(diebold_mariano(np.ones(50), np.ones(50)).p_value)
    assert math.isnan(diebold_mariano(np.ones(50), np.zeros(50)).p_value)


def test_horizon_must_fit():
    with pytest.raises(DataError, match="horizon between 1 and 9"):
        diebold_mariano(np.arange(10.0), np.zeros(10), horizon=10)


def test_cosine_variance_keeps_its_size_where_losses_come_in_spells():
    plain, cosine = [], []
    for seed in range(400):
        shock = np.random.default_rng([9, seed]).normal(size=300)
        for t in range(1, 300):
            shock[t] += 0.6 * shock[t - 1]
        plain.append(diebold_mariano(shock, np.zeros(300)).p_value < 0.05)
        cosine.append(diebold_mariano(shock, np.zeros(300), variance="cosine").p_value < 0.05)
    assert np.mean(plain) > 0.20  # the loss of autocorrelation is not seen at horizon 1
    assert np.mean(cosine) < 0.09  # nominal .05; binomial error .011


def test_unknown_variance_is_refused():
    with pytest.raises(UnknownNameError, match="truncated"):
        diebold_mariano([1.0, 2.0], [0.0, 0.0], variance="white")
