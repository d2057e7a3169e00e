import numpy as np
import pytest
from scipy.stats import kstest, norm

from foresail.core.errors import DataError
from foresail.measures.distribution import (
    acerbi_szekely_z1,
    acerbi_szekely_z2,
    anderson_darling_test,
    fz0_loss,
    pit_from_quantiles,
    shortfall_test,
    uniformity_test,
)

LEVEL = 0.025
VAR = -norm.ppf(LEVEL)
SHORTFALL = norm.pdf(VAR) / LEVEL


def test_normal_shortfall_is_the_printed_one():
    assert pytest.approx(2.3378, abs=5e-5) == SHORTFALL
    assert pytest.approx(2.3263, abs=5e-5) == -norm.ppf(0.01)


def test_gaussian_sample_passes_and_fat_tails_scored_as_gaussian_fail():
    random = np.random.default_rng(0)
    rejected = [uniformity_test(norm.cdf(random.normal(size=1000))).p_value < 0.05 for _ in range(300)]
    assert 0.02 <= np.mean(rejected) <= 0.09  # nominal .05, binomial error .013
    fat = random.standard_t(4, 3000) / np.sqrt(2)
    assert uniformity_test(norm.cdf(fat)).p_value < 0.01


@pytest.mark.parametrize("count", [15, 100, 2000])
def test_uniformity_equals_scipy(count):
    sample = np.random.default_rng(count).random(count) ** 1.1
    found, oracle = uniformity_test(sample), kstest(sample, "uniform")
    assert found.statistic == pytest.approx(oracle.statistic)
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-6)


def test_pit_of_quantiles_is_linear_between_and_held_at_the_ends():
    quantiles = np.tile([-1.0, 0.0, 1.0], (4, 1))
    found = pit_from_quantiles([-5.0, -0.5, 0.0, 9.0], quantiles, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(found, [0.1, 0.3, 0.5, 0.9])


def test_right_forecast_scores_zero_and_a_shallow_one_below():
    returns = np.random.default_rng(1).normal(size=200_000)
    assert acerbi_szekely_z1(returns, VAR, SHORTFALL) == pytest.approx(0.0, abs=0.01)
    assert acerbi_szekely_z2(returns, VAR, SHORTFALL, level=LEVEL) == pytest.approx(0.0, abs=0.03)
    assert acerbi_szekely_z2(returns * 1.5, VAR, SHORTFALL, level=LEVEL) < -0.7
    assert np.isnan(acerbi_szekely_z1([0.0, 0.1], VAR, SHORTFALL))


def test_joint_loss_is_least_at_the_truth_and_its_differences_have_no_unit():
    returns = np.random.default_rng(2).normal(size=200_000)
    truth = fz0_loss(returns, VAR, SHORTFALL, level=LEVEL)
    for var, tail in ((VAR * 0.8, SHORTFALL), (VAR, SHORTFALL * 1.3), (VAR * 1.15, SHORTFALL * 1.15)):
        assert fz0_loss(returns, var, tail, level=LEVEL) > truth
    scaled = fz0_loss(returns * 9, VAR * 9, SHORTFALL * 9, level=LEVEL)
    assert scaled - truth == pytest.approx(np.log(9))


def test_bad_inputs_are_refused():
    with pytest.raises(DataError, match="at or beyond"):
        acerbi_szekely_z1([0.1], 2.0, 1.0)
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        uniformity_test([0.5, 1.5])


@pytest.mark.parametrize(("critical", "share"), [(1.933, 0.10), (2.492, 0.05), (3.878, 0.01)])
def test_anderson_darling_law_has_the_printed_critical_values(critical, share):
    from foresail.measures.distribution import _anderson_darling_law

    assert 1.0 - _anderson_darling_law(10**6, critical) == pytest.approx(share, abs=1e-4)


def test_anderson_darling_p_values_are_uniform_on_short_samples():
    random = np.random.default_rng(3)
    p_values = [anderson_darling_test(random.random(10)).p_value for _ in range(4000)]
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_anderson_darling_sees_the_tails_and_refuses_certainty():
    fat = np.random.default_rng(4).standard_t(6, 1000) / np.sqrt(1.5)
    sample = norm.cdf(fat)
    assert anderson_darling_test(sample).p_value < uniformity_test(sample).p_value
    with pytest.raises(DataError, match="strictly inside"):
        anderson_darling_test([0.0] + [0.5] * 9)
    with pytest.raises(DataError, match="at least 8 values, received 7"):
        anderson_darling_test([0.5] * 7)


def test_shortfall_test_has_the_printed_critical_value_and_finds_losses_half_as_large_again():
    returns = np.random.default_rng(5).normal(size=250)
    found = shortfall_test(returns, VAR, SHORTFALL, level=LEVEL, degrees_of_freedom=None)
    assert found.critical_value == pytest.approx(-0.70, abs=0.03)
    assert found.p_value > 0.05
    assert shortfall_test(returns * 1.6, VAR, SHORTFALL, level=LEVEL, degrees_of_freedom=None).p_value < 0.01
    again = shortfall_test(returns, VAR, SHORTFALL, level=LEVEL, degrees_of_freedom=None)
    assert again == found
    fat = shortfall_test(returns, VAR, SHORTFALL, level=LEVEL, degrees_of_freedom=3.0)
    assert fat.critical_value == pytest.approx(-0.82, abs=0.04)
    with pytest.raises(DataError, match="degree of freedom"):
        shortfall_test(returns, VAR, SHORTFALL, level=LEVEL, degrees_of_freedom=1.0)
