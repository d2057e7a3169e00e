import numpy as np
import pytest
from arch.bootstrap import MCS

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.bootstrap import BootstrapSettings, resampled_means
from foresail.measures.confidence_set import _by_maximum, _by_range, model_confidence_set

QUICK = BootstrapSettings(draws=300)


def losses(seed=0, edges=(0, 0, 0.05, 0.1, 0.12, 0.15, 0.2, 0.4)):
    random = np.random.default_rng(seed)
    return random.normal(1, 1, (400, len(edges))) + np.array(edges) + random.normal(0, 1, (400, 1))


@pytest.mark.parametrize(("statistic", "method"), [("range", "R"), ("maximum", "max")])
def test_p_values_and_order_are_near_those_of_arch(statistic, method):
    table = losses()
    oracle = MCS(table, size=0.1, reps=3000, block_size=3, method=method, seed=1)
    oracle.compute()
    settings = BootstrapSettings(draws=3000, block_length=3)
    found = model_confidence_set(table, statistic=statistic, settings=settings)
    # two independent sets of 3,000 draws; ours are 3 % wider on purpose, the exact comparison follows
    np.testing.assert_allclose(found.p_values, oracle.pvalues.sort_index().Pvalue, atol=0.1)
    assert found.order[0] == oracle.pvalues.index[0] == 7
    assert set(np.flatnonzero(found.included)) == {0, 1, 2, 4, 5, 6, *({3} if statistic == "maximum" else ())}
    assert set(np.flatnonzero(found.included)) == set(oracle.included)


@pytest.mark.parametrize(("test", "method"), [(_by_range, "R"), (_by_maximum, "max")])
def test_on_the_same_draws_the_p_values_are_those_of_arch(test, method):
    table = losses(8)
    oracle = MCS(table, size=0.1, reps=500, block_size=4, method=method, seed=2)
    oracle.compute()
    drawn = table[np.array(oracle._bootstrap_indices)].mean(axis=1) - table.mean(axis=0)
    order, p_values = test(table.mean(axis=0), drawn)
    assert order.tolist() == oracle.pvalues.index.tolist()
    np.testing.assert_allclose(p_values[order], oracle.pvalues.Pvalue, atol=1e-12)


def test_the_plain_elimination_gives_the_same_ranges():
    table = losses(3)
    found = model_confidence_set(table, settings=BootstrapSettings(draws=400, block_length=2.0))
    drawn = resampled_means(
        table - table.mean(axis=1, keepdims=True),
        BootstrapSettings(draws=400, block_length=2.0),
        name="model-confidence-set",
    )
    gap = drawn[:, :, None] - drawn[:, None, :]
    mean = table.mean(axis=0)[:, None] - table.mean(axis=0)[None, :]
    spread = np.sqrt(((gap - mean) ** 2).mean(axis=0)) + np.eye(8)
    left, p_values, largest = list(range(8)), np.ones(8), 0.0
    while len(left) > 1:
        grid = np.ix_(left, left)
        scores = (mean / spread)[grid]
        luck = np.abs((gap - mean) / spread)[:, np.array(left)[:, None], np.array(left)].max(axis=(1, 2))
        largest = max(largest, float(np.mean(luck >= scores.max())))
        worst = left[int(scores.max(axis=1).argmax())]
        p_values[worst] = largest
        left.remove(worst)
    np.testing.assert_allclose(found.p_values, p_values, atol=1e-12)


@pytest.mark.parametrize("statistic", ["range", "maximum"])
def test_clear_loser_goes_and_the_best_stays(statistic):
    found = model_confidence_set(losses(1, (0, 0.02, 0.5, 0.6)), statistic=statistic, settings=QUICK)
    assert found.included.tolist() == [True, True, False, False]
    assert set(found.order[:2]) == {2, 3}
    assert found.p_values.max() == 1.0


@pytest.mark.parametrize("statistic", ["range", "maximum"])
def test_equal_models_are_one(statistic):
    table = losses(2, (0, 0.3, 0.4))
    doubled = np.concatenate([table, table[:, [0, 2]]], axis=1)
    plain = model_confidence_set(table, statistic=statistic, settings=QUICK)
    twice = model_confidence_set(doubled, statistic=statistic, settings=QUICK)
    np.testing.assert_array_equal(twice.p_values[:3], twice.p_values[[3, 1, 4]])
    np.testing.assert_allclose(twice.p_values[:3], plain.p_values)
    assert sorted(twice.order) == [0, 1, 2, 3, 4]
    same = model_confidence_set(table[:, [0, 0]], statistic=statistic, settings=QUICK)
    assert same.included.all()


@pytest.mark.parametrize("statistic", ["range", "maximum"])
def test_model_worse_by_a_constant_is_surely_worse(statistic):
    table = losses(4, (0,))
    found = model_confidence_set(np.concatenate([table, table + 1e-3], axis=1), statistic=statistic, settings=QUICK)
    assert found.included.tolist() == [True, False]
    assert found.p_values[1] == 0.0


def test_order_of_models_and_scale_change_nothing_but_places():
    table = losses(5)
    plain = model_confidence_set(table, settings=QUICK).p_values
    turned = model_confidence_set(table[:, ::-1] * 7.0, settings=QUICK).p_values
    np.testing.assert_allclose(turned[::-1], plain, atol=1e-9)


def test_short_thin_and_broken_tables_are_refused():
    table = losses(6)
    with pytest.raises(DataError, match="at least 12 values, received 11"):
        model_confidence_set(table[:11])
    with pytest.raises(DataError, match="two models or more"):
        model_confidence_set(table[:, :1])
    table[3, 2] = np.nan
    with pytest.raises(DataError, match="loss of model 3"):
        model_confidence_set(table)
    with pytest.raises(DataError, match="size between"):
        model_confidence_set(losses(6), size=0.0)
    with pytest.raises(UnknownNameError, match="range"):
        model_confidence_set(losses(6), statistic="R")
