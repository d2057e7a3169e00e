import math

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.measures.comparisons import diebold_mariano, independence_test, kupiec_test


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


def test_exactly_as_many_breaches_as_promised_is_no_evidence():
    assert kupiec_test(1000, 10, level=0.01).statistic == pytest.approx(0.0, abs=1e-9)
    assert kupiec_test(250, 0, level=0.01).p_value < 0.05  # none in 250 is too few


def test_no_breach_and_only_breaches_are_independent():
    assert independence_test(np.zeros(50)).p_value == 1.0
    assert independence_test(np.ones(50)).p_value == 1.0
    with pytest.raises(DataError, match="0 and 1"):
        independence_test([0.0, 2.0])
