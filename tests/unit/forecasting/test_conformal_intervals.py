"""Conformal intervals: the promised coverage, no more than promised, and never a look ahead."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.errors import ConfigError, DataError, LookAheadError
from foresail.forecasting.conformal.adaptive import AdaptiveConformal, AggregatedAdaptive
from foresail.forecasting.conformal.scores import conformal_quantile, relative_interval_scores
from foresail.forecasting.conformal.split import (
    CalibrationRows,
    ConformalisedQuantiles,
    GroupedConformal,
    SplitConformal,
)


def rows(n: int, seed: int = 0, *, spread: float = 1.0, skewed: bool = False) -> CalibrationRows:
    rng = np.random.default_rng(seed)
    outcome = rng.exponential(size=n) if skewed else spread * rng.normal(size=n)
    zero = np.zeros(n)
    return CalibrationRows(zero, zero, outcome, np.ones(n), np.arange(n))


@pytest.mark.parametrize(("n", "coverage", "rank"), [(9, 0.9, 9), (19, 0.9, 18), (99, 0.8, 80), (10, 0.5, 6)])
def test_the_quantile_has_the_rank_of_the_formula(n, coverage, rank):
    shuffled = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert conformal_quantile(shuffled, coverage) == rank


def test_too_few_scores_promise_nothing():
    assert conformal_quantile(np.arange(8.0), 0.9) == math.inf
    with pytest.raises(ValueError, match="coverage"):
        conformal_quantile(np.arange(8.0), 1.0)


@pytest.mark.parametrize("n", [19, 40])
def test_exchangeable_rows_are_covered_as_promised_and_at_most_one_rank_more(n):
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(20_000, n + 1))
    reach = np.sort(np.abs(samples[:, :n]), axis=1)[:, math.ceil((n + 1) * 0.9 - 1e-9) - 1]
    check = [conformal_quantile(np.abs(s[:n]), 0.9) for s in samples[:200]]
    assert np.array_equal(check, reach[:200])
    covered = np.mean(np.abs(samples[:, n]) <= reach)
    error = 3 * math.sqrt(0.09 / 20_000)
    assert 0.9 - error <= covered <= 0.9 + 1 / (n + 1) + error


def test_signed_tails_follow_a_skewed_outcome():
    plain = SplitConformal.fit(rows(4000, skewed=True), 0.9, known_at=4000)
    signed = SplitConformal.fit(rows(4000, skewed=True), 0.9, known_at=4000, signed=True)
    assert plain.below == plain.above
    assert signed.above == pytest.approx(-math.log(0.05), rel=0.1)  # 95 % quantile of an exponential
    assert -signed.below == pytest.approx(-math.log(0.95), abs=0.02)


def test_quantiles_that_are_too_narrow_are_widened_and_too_wide_ones_narrowed():
    base = rows(5000, 3)
    for half, sign in ((0.5, 1), (3.0, -1)):
        told = CalibrationRows(base.low - half, base.high + half, base.outcome, base.scale, base.label_end)
        fitted = ConformalisedQuantiles.fit(told, 0.9, known_at=5000)
        assert np.sign(fitted.shift) == sign
        fresh = rows(20_000, 4)
        low, high = fitted.interval(fresh.low - half, fresh.high + half, fresh.scale)
        assert np.mean((fresh.outcome >= low) & (fresh.outcome <= high)) == pytest.approx(0.9, abs=0.012)


def test_relative_scores_keep_narrow_intervals_narrow():
    low, high = np.array([-1.0, -2.0]), np.array([1.0, 2.0])
    assert relative_interval_scores(low, high, np.array([2.0, 4.0])).tolist() == [0.5, 0.5]
    assert np.isnan(relative_interval_scores(low, low, low)).all()
    moved = ConformalisedQuantiles(0.9, 0.5, relative=True).interval(low, high, np.ones(2))
    assert (moved[1] - moved[0]).tolist() == [4.0, 8.0]


def test_an_interval_never_turns_inside_out():
    low, high = ConformalisedQuantiles(0.9, -5.0, relative=False).interval(np.zeros(1), np.ones(1), np.ones(1))
    assert (low[0], high[0]) == (0.5, 0.5)


def test_a_volatile_group_gets_its_own_width_and_a_small_one_the_common():
    calm, wild = rows(300, 5, spread=1.0), rows(300, 6, spread=4.0)
    both = CalibrationRows(*(np.concatenate([getattr(calm, f), getattr(wild, f)]) for f in CalibrationRows.__slots__))
    fitted = GroupedConformal.fit(both, ["calm"] * 300 + ["wild"] * 300, 0.9, known_at=600)
    zero, one = np.zeros(3), np.ones(3)
    _, high = fitted.interval(zero, zero, one, ["calm", "wild", "new"])
    assert high[1] / high[0] == pytest.approx(4.0, rel=0.2)
    assert high[2] == fitted.other.shift
    with pytest.raises(ConfigError, match="600"):
        GroupedConformal.fit(both, ["calm"], 0.9, known_at=600)


def test_a_label_that_is_not_known_yet_is_refused():
    with pytest.raises(LookAheadError, match="row 51, known at 51"):
        SplitConformal.fit(rows(100), 0.9, known_at=50)
    with pytest.raises(DataError, match="none"):
        SplitConformal.fit(rows(0), 0.9, known_at=50)
    with pytest.raises(DataError, match="lengths"):
        CalibrationRows(np.zeros(2), np.zeros(2), np.zeros(3), np.ones(3), np.arange(3))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=60, max_size=200), st.sampled_from([0.01, 0.05, 0.2]))
def test_adaptive_misses_stay_within_the_bound_whatever_the_data(stream, gamma):
    state = AdaptiveConformal(0.9, gamma, np.array(stream[:20]))
    misses = 0
    for score in stream[20:]:
        misses += score > state.reach()
        state.update(score)
    steps = len(stream) - 20
    assert abs(misses / steps - 0.1) <= (0.9 + gamma) / (gamma * steps) + 1e-9


def test_a_rolling_window_equals_sorting_it_anew():
    scores = np.random.default_rng(8).exponential(size=400)
    state = AdaptiveConformal(0.8, 0.0, scores[:50], window=50)
    for t in range(50, 400):
        expected = np.sort(scores[t - 50 : t])[math.ceil(51 * 0.8 - 1e-9) - 1]
        assert state.reach() == expected
        state.update(scores[t])
    state.update(math.nan)
    assert state.reach() == np.sort(scores[350:])[math.ceil(51 * 0.8 - 1e-9) - 1]


def test_several_speeds_follow_a_break_better_than_the_slowest():
    rng = np.random.default_rng(9)
    stream = np.abs(np.concatenate([rng.normal(size=1500), 3 * rng.normal(size=1500)]))
    start = np.abs(rng.normal(size=500))

    def after_break(state):
        held = []
        for score in stream:
            held.append(score <= state.reach())
            state.update(score)
        return np.mean(held[1500:2000])

    several = AggregatedAdaptive(0.9, start)
    assert after_break(several) > after_break(AdaptiveConformal(0.9, 0.001, start)) + 0.1
    assert several.weights.sum() == pytest.approx(1.0)


def test_parameters_out_of_range_are_refused():
    for wrong in ((1.0, 0.1, None), (0.9, -0.1, None), (0.9, 0.1, 0)):
        with pytest.raises(ConfigError, match="expected"):
            AdaptiveConformal(wrong[0], wrong[1], np.ones(3), window=wrong[2])
    with pytest.raises(ConfigError, match="speed"):
        AggregatedAdaptive(0.9, np.ones(3), gammas=())
