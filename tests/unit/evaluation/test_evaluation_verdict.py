import dataclasses
import json
import math
import time

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import DataError
from foresail.domain.runs import CanaryResult, VerdictWord
from foresail.evaluation.honesty import collect
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.verdict import VerdictInputs, decide
from foresail.measures.performance import trade_statistics

LENGTH = 2500


def inputs(edge=0.0, length=LENGTH, **changes):
    """A strategy that follows 1/N with noise of 0.5 % a bar and an edge a bar; costs of half a basis point."""
    random = np.random.default_rng(11)
    market = random.normal(0.0003, 0.01, length)
    noise = random.normal(0.0, 0.005, length)
    net = market + noise - noise.mean() + edge
    base = VerdictInputs(
        net=net,
        net_2x=net - 0.00005,
        benchmark=market,
        bars_per_year=252,
        trials=TrialCount(1),
        canaries=(CanaryResult("shuffled labels", True, "mean RankIC 0.001"),),
        universe_basis="point_in_time",
        price_basis="raw",
    )
    return dataclasses.replace(base, **changes)


EDGE = 0.0005  # 12.6 % a year on 8 % volatility: Sharpe ratio 1.6


def test_clear_edge_is_evidence():
    found = decide(inputs(EDGE))
    assert found.word is VerdictWord.EVIDENCE
    assert "above 1/N of the same names" in found.reasons[0]
    assert "lies above 0" in found.reasons[0]


def test_no_edge_on_a_long_record_is_no_evidence():
    found = decide(inputs(0.0))
    assert found.word is VerdictWord.NO_EVIDENCE
    assert "contains 0" in found.reasons[0]


def test_no_edge_on_a_short_record_cannot_be_told():
    found = decide(inputs(0.0, length=1000))
    assert found.word is VerdictWord.CANNOT_TELL
    assert "too short to say no" in found.reasons[0]


def test_limit_of_cannot_tell_is_a_detectable_sharpe_of_one():
    # (1.645 + 0.842)^2 = 6.18 years
    assert decide(inputs(0.0, length=1550)).word is VerdictWord.CANNOT_TELL
    assert decide(inputs(0.0, length=1565)).word is VerdictWord.NO_EVIDENCE


def test_interval_that_contains_zero_is_no_evidence_even_where_the_deflated_sharpe_passes():
    # t = 1.8: above 1.645, which the deflated Sharpe ratio asks with one trial, below 1.96
    found = decide(inputs(1.8 * 0.005 / math.sqrt(LENGTH)))
    assert found.figures["honesty"]["deflated_sharpe"] > 0.95
    assert found.figures["difference_net"]["low"] < 0.0
    assert found.word is VerdictWord.NO_EVIDENCE


def test_edge_that_twice_the_cost_eats_is_no_evidence():
    given = inputs(EDGE)
    found = decide(dataclasses.replace(given, net_2x=given.net - EDGE))
    assert found.word is VerdictWord.NO_EVIDENCE
    assert found.reasons[0].startswith("At twice the cost")


def test_benchmark_pays_its_own_costs_twice():
    given = inputs(EDGE)
    dear = dataclasses.replace(given, net_2x=given.net - EDGE, benchmark_2x=given.benchmark - EDGE)
    assert decide(dear).word is VerdictWord.EVIDENCE


def test_many_trials_deflate_evidence_away():
    few, many = decide(inputs(0.00025)), decide(inputs(0.00025, trials=TrialCount(500)))
    assert few.word is VerdictWord.EVIDENCE
    assert many.word is VerdictWord.NO_EVIDENCE
    assert "500 trials counted" in many.reasons[0]


def test_overfitted_choice_is_no_evidence():
    assert decide(inputs(EDGE, probability_of_overfitting=0.20)).word is VerdictWord.EVIDENCE
    found = decide(inputs(EDGE, probability_of_overfitting=0.21))
    assert found.word is VerdictWord.NO_EVIDENCE
    assert "21.0 % of splits" in found.reasons[0]


@pytest.mark.parametrize(
    "changes",
    [{"universe_basis": "hindsight"}, {"universe_basis": "unknown"}, {"price_basis": "unknown"}, {"net_2x": None}],
)
def test_what_cannot_be_compared_turns_evidence_into_cannot_judge_and_nothing_else(changes):
    assert decide(inputs(EDGE, **changes)).word is VerdictWord.CANNOT_JUDGE
    assert decide(inputs(0.0, **changes)).word is VerdictWord.NO_EVIDENCE
    assert decide(inputs(0.0, length=1000, **changes)).word is VerdictWord.CANNOT_TELL


def test_hindsight_is_the_first_reason():
    assert "chosen afterwards" in decide(inputs(EDGE, universe_basis="hindsight")).reasons[0]


def test_missing_comparator_is_judged_only_where_zero_is_fair():
    assert decide(inputs(EDGE, benchmark=None)).word is VerdictWord.CANNOT_JUDGE
    assert decide(inputs(EDGE, benchmark=None, zero_is_fair=True)).word is VerdictWord.EVIDENCE


@pytest.mark.parametrize("edge", [EDGE, 0.0])
def test_failed_canary_makes_the_run_invalid(edge):
    broken = (CanaryResult("perturbed future", False, "3 decisions changed"), CanaryResult("scale", True, "same"))
    found = decide(inputs(edge, canaries=broken))
    assert found.word is VerdictWord.INVALID
    assert found.reasons[0] == "Canary 'perturbed future' failed: 3 decisions changed"


@pytest.mark.parametrize("changes", [{}, {"universe_basis": "hindsight"}, {"length": 300}, {"edge": EDGE}])
def test_three_reasons_at_least_and_figures_are_json(changes):
    found = decide(inputs(**changes))
    assert len(found.reasons) >= 3
    assert all(reason.endswith(".") for reason in found.reasons)
    assert json.loads(canonical_bytes(found))["word"] == found.word.value


def test_lost_trials_are_said():
    lost = TrialCount(4, is_complete=False, notes=("the trial registry was missing",))
    found = decide(inputs(0.0, trials=lost))
    assert "The trial registry was missing." in found.reasons
    assert any("and more are lost" in reason for reason in found.reasons)


def test_targets_are_shown_and_decide_nothing():
    given = inputs(EDGE, trades=trade_statistics([1.0, -1.0, -1.0]))
    found = decide(given)
    assert found.word is decide(inputs(EDGE)).word
    shown = {target["name"]: target["met"] for target in found.figures["targets_shown"]}
    assert shown["win_rate"] is False


def test_copy_of_the_comparator_summed_in_another_order_is_no_evidence():
    given = inputs()
    rounding = np.random.default_rng(0).random(LENGTH) * 1e-16
    same = dataclasses.replace(given, net=given.benchmark + rounding, net_2x=given.benchmark + rounding)
    found = decide(same)
    assert found.word is VerdictWord.NO_EVIDENCE
    assert any("does not vary" in reason for reason in found.reasons)


def test_same_gain_at_every_bar_cannot_be_judged():
    given = inputs()
    steady = dataclasses.replace(given, net=given.benchmark + 0.001, net_2x=given.benchmark + 0.0009)
    assert decide(steady).word is VerdictWord.CANNOT_JUDGE


@pytest.mark.parametrize("length", [2, 3, 5, 11, 30])
def test_very_short_records_end_in_a_word(length):
    assert decide(inputs(0.0, length=length)).word is VerdictWord.CANNOT_TELL


def test_bad_series_are_refused_with_a_sentence():
    given = inputs()
    hole = given.net.copy()
    hole[7] = np.nan
    with pytest.raises(DataError, match="position 8"):
        decide(dataclasses.replace(given, net=hole))
    with pytest.raises(DataError, match="at least 2"):
        decide(dataclasses.replace(given, net=given.net[:1], benchmark=given.benchmark[:1]))
    with pytest.raises(DataError, match="one shape"):
        decide(dataclasses.replace(given, benchmark=given.benchmark[:-1]))
    with pytest.raises(DataError, match="bars per year"):
        decide(dataclasses.replace(given, bars_per_year=0.0))


def test_leverage_on_the_difference_changes_no_word():
    given = inputs(0.0003)
    words = set()
    for leverage in (0.5, 1.0, 3.0):
        net = given.benchmark + leverage * (given.net - given.benchmark)
        words.add(decide(dataclasses.replace(given, net=net, net_2x=net - leverage * 0.00005)).word)
    assert len(words) == 1


def test_same_inputs_same_verdict_and_fast():
    given = inputs(EDGE)
    first = decide(given)
    begun = time.monotonic()
    second = decide(given)
    assert time.monotonic() - begun < 0.3
    assert canonical_bytes(first) == canonical_bytes(second)


def test_one_trial_is_psr_and_says_so():
    given = inputs(0.0003)
    found = collect(given.net - given.benchmark, bars_per_year=252, trials=TrialCount(1))
    assert found.deflated_sharpe == found.probabilistic_sharpe
    assert any("against 0" in note for note in found.notes)
    assert any("not defined" in note for note in found.notes)


def test_few_close_trials_cannot_lower_the_hurdle():
    difference = np.random.default_rng(0).normal(size=1000)
    alike = TrialCount(3, variance_of_sharpes=1e-9, sharpes=(0.05, 0.05, 0.05))
    found = collect(difference, bars_per_year=252, trials=alike)
    assert found.trial_variance == pytest.approx(1 / 999)
    many = TrialCount(12, variance_of_sharpes=1e-5, sharpes=(0.05,) * 12)
    assert collect(difference, bars_per_year=252, trials=many).trial_variance == 1e-5


def test_losing_strategy_has_no_minimum_record():
    found = collect(np.random.default_rng(0).normal(-0.2, 1.0, 500), bars_per_year=252, trials=TrialCount(2))
    assert found.minimum_track_record_years is None
    assert found.hurdle > 0
    assert found.to_json()["probability_of_overfitting"] is None
    assert not math.isnan(found.deflated_sharpe)


def test_canaries_without_data_to_judge_are_not_called_passed():
    blind = CanaryResult("random walk", True, "fewer than 100 fills", judged=False)
    found = decide(inputs(0.0, canaries=(CanaryResult("price scale", True, "no forecast changes"), blind)))
    assert "1 of 2 canaries passed; too little data to judge: random walk." in found.reasons
