import numpy as np
import pytest
from arch.bootstrap import SPA

from foresail.core.errors import DataError
from foresail.measures.bootstrap import BootstrapSettings
from foresail.measures.superiority import reality_check, superior_models, superior_predictive_ability

QUICK = BootstrapSettings(draws=400)


def losses(seed, length=300, models=10, edge=0.0):
    table = np.random.default_rng(seed).normal(1.0, 1.0, (length, models + 1))
    table[:, 3] -= edge
    return table[:, 0], table[:, 1:]


@pytest.mark.parametrize("edge", [0.05, 0.15])
def test_reality_check_agrees_with_arch(edge):
    benchmark, table = losses(0, edge=edge)
    settings = BootstrapSettings(draws=4000, block_length=5)
    oracle = SPA(benchmark, table, reps=4000, block_size=5, studentize=False, seed=1)
    oracle.compute()
    # two independent sets of 4,000 draws: binomial errors up to .008 each
    assert reality_check(benchmark, table, settings).p_value == pytest.approx(oracle.pvalues["upper"], abs=0.035)


@pytest.mark.parametrize("test", [reality_check, superior_predictive_ability])
def test_size_is_kept_where_no_model_is_better(test):
    rejected = np.mean([test(*losses(seed), QUICK).p_value < 0.05 for seed in range(200)])
    assert rejected <= 0.085  # nominal .05, binomial error .015


@pytest.mark.accuracy
def test_size_on_a_thousand_null_sets():
    pairs = [losses([7, seed], length=400, models=20) for seed in range(1000)]
    spa = np.mean([superior_predictive_ability(*pair, QUICK).p_value < 0.05 for pair in pairs])
    assert 0.03 <= spa <= 0.07


def test_hopeless_models_cost_spa_no_power():
    benchmark, table = losses(5, edge=0.25)
    bad = np.random.default_rng(1).normal(4.0, 6.0, (300, 30))
    crowd = np.concatenate([table, bad], axis=1)
    assert superior_predictive_ability(benchmark, crowd).p_value < 0.05
    assert reality_check(benchmark, crowd).p_value > 0.5


def test_stepm_names_the_better_model_only():
    benchmark, table = losses(2, length=600, edge=0.4)
    assert np.flatnonzero(superior_models(benchmark, table)).tolist() == [2]
    assert superior_predictive_ability(benchmark, table).best == 2


def test_model_equal_to_the_benchmark_is_no_better():
    benchmark, _ = losses(3)
    found = superior_predictive_ability(benchmark, np.stack([benchmark, benchmark], axis=1), QUICK)
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_scale_and_order_of_models_change_no_p_value():
    benchmark, table = losses(4, edge=0.2)
    plain = superior_predictive_ability(benchmark, table, QUICK)
    turned = superior_predictive_ability(benchmark * 5, table[:, ::-1] * 5, QUICK)
    assert turned.p_value == pytest.approx(plain.p_value, abs=0.01)
    assert turned.statistic == pytest.approx(plain.statistic)


def test_shapes_are_checked():
    with pytest.raises(DataError, match="models"):
        reality_check(np.zeros(10), np.zeros((9, 2)))
    with pytest.raises(DataError, match="model 2"):
        reality_check(np.zeros(10), np.full((10, 2), [0.0, np.nan]))
