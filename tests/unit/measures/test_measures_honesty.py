import math

import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from foresail.core.errors import DataError
from foresail.measures.honesty import (
    SharpeSample,
    deflated_sharpe_ratio,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    probability_of_overfitting,
    sharpe_sample,
)
from foresail.measures.power import smallest_detectable_sharpe


def test_sample_moments_equal_scipy():
    series = np.random.default_rng(0).standard_t(4, 800) * 0.01 + 0.001
    found = sharpe_sample(series)
    assert found.sharpe == pytest.approx(series.mean() / series.std(ddof=1))
    assert (found.skew, found.kurtosis) == pytest.approx((skew(series), kurtosis(series, fisher=False)))


@pytest.mark.parametrize("series", [[0.0] * 10, [0.3] * 10, [1e-9] * 10])
def test_constant_series_has_no_sharpe(series):
    found = sharpe_sample(series)
    assert math.isnan(found.sharpe)
    assert math.isnan(probabilistic_sharpe_ratio(found))
    assert math.isnan(minimum_track_record(found))


def test_one_trial_deflates_nothing():
    sample = SharpeSample(0.05, 1000, -0.5, 6.0)
    assert deflated_sharpe_ratio(sample, trials=1, variance=9.0) == probabilistic_sharpe_ratio(sample)


def test_more_trials_deflate_more():
    sample = SharpeSample(0.06, 1000)
    values = [deflated_sharpe_ratio(sample, trials=n, variance=0.001) for n in (1, 2, 5, 50, 500)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 5


def test_no_trial_is_refused():
    with pytest.raises(DataError, match="at least one trial"):
        expected_best_sharpe(0, variance=1.0)


def test_record_of_minimum_length_just_passes():
    sample = SharpeSample(0.05, 10, -1.0, 7.0)
    length = minimum_track_record(sample)
    just = SharpeSample(0.05, math.ceil(length), -1.0, 7.0)
    assert probabilistic_sharpe_ratio(just) == pytest.approx(0.95, abs=1e-3)
    assert minimum_track_record(SharpeSample(-0.01, 10)) == math.inf


def test_smallest_detectable_sharpe_is_detected_with_its_power():
    length = 2520
    sharpe = smallest_detectable_sharpe(length, bars_per_year=252) / math.sqrt(252)
    random = np.random.default_rng(4)
    found = [probabilistic_sharpe_ratio(sharpe_sample(random.normal(sharpe, 1.0, length))) >= 0.95 for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.80, abs=0.06)


def test_overfitting_of_noise_is_a_coin_toss_and_of_skill_is_rare():
    noise, skilled = [], []
    for seed in range(8):
        table = np.random.default_rng(seed).normal(size=(1250, 100))
        noise.append(probability_of_overfitting(table, blocks=12).probability)
        table[:, 7] += 2.0 / math.sqrt(252)
        skilled.append(probability_of_overfitting(table, blocks=12).probability)
    # printed ranges .39 to .73 and .02 to .40: the mean over seeds is judged
    assert 0.39 <= np.mean(noise) <= 0.73
    assert 0.0 <= np.mean(skilled) <= 0.40


def test_overfitting_equals_the_plain_loop():
    from itertools import combinations

    table = np.random.default_rng(3).normal(size=(121, 11))
    found = probability_of_overfitting(table, blocks=6)
    edges = np.linspace(0, 121, 7).astype(int)
    logits = []
    for half in combinations(range(6), 3):
        rows = np.concatenate([np.arange(edges[b], edges[b + 1]) for b in half])
        rest = np.setdiff1d(np.arange(121), rows)
        inside = table[rows].mean(axis=0) / table[rows].std(axis=0)
        outside = table[rest].mean(axis=0) / table[rest].std(axis=0)
        share = (np.argsort(np.argsort(outside))[inside.argmax()] + 1) / 12
        logits.append(math.log(share / (1 - share)))
    np.testing.assert_allclose(found.logits, logits, rtol=1e-9)
    assert found.probability == np.mean(np.array(logits) <= 0)


def test_overfitting_does_not_depend_on_scale_or_order_of_variants():
    table = np.random.default_rng(5).normal(size=(400, 12))
    plain = probability_of_overfitting(table, blocks=8).probability
    assert probability_of_overfitting(table[:, ::-1] * np.arange(1, 13), blocks=8).probability == plain


def test_fewer_than_ten_variants_are_refused():
    with pytest.raises(DataError, match="at least 10 variants"):
        probability_of_overfitting(np.zeros((500, 9)))


@pytest.mark.parametrize("blocks", [3, 7, 2])
def test_odd_or_few_blocks_are_refused(blocks):
    with pytest.raises(DataError, match="even number"):
        probability_of_overfitting(np.random.default_rng(0).normal(size=(500, 10)), blocks=blocks)


def test_hole_in_a_variant_is_refused():
    table = np.random.default_rng(0).normal(size=(500, 10))
    table[3, 4] = np.nan
    with pytest.raises(DataError, match="variant 5"):
        probability_of_overfitting(table)
