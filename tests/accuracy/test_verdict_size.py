"""The verdict keeps its size: on series without an edge it says evidence at most 7 % of the time, and it has power.

Nulls: independent normal, t(4), volatility clustering with fat tails (GARCH with t(5)), autocorrelated, skewed. Costs
are left out of the nulls, which is the hardest case: real costs only make evidence rarer.
"""

from __future__ import annotations

import numpy as np
import pytest

from foresail.domain.runs import VerdictWord
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.verdict import VerdictInputs, decide


def _garch(random, length):
    shock = random.standard_t(5, length + 200) * np.sqrt(3 / 5)
    out, variance = np.empty(length + 200), 1.0
    for i, z in enumerate(shock):
        out[i] = np.sqrt(variance) * z
        variance = 0.02 + 0.10 * out[i] ** 2 + 0.88 * variance
    return out[200:]


def _autocorrelated(random, length):
    shock = random.standard_normal(length + 50)
    out = np.zeros(length + 50)
    for i in range(1, len(out)):
        out[i] = 0.2 * out[i - 1] + shock[i]
    return out[50:]


NULLS = {
    "normal": lambda random, length: random.standard_normal(length),
    "t4": lambda random, length: random.standard_t(4, length),
    "garch": _garch,
    "autocorrelated": _autocorrelated,
    "skewed": lambda random, length: 1.0 - random.exponential(size=length),
}


def _says_evidence(difference, trials=1):
    zero = np.zeros(len(difference))
    inputs = VerdictInputs(
        net=difference * 0.005,
        net_2x=difference * 0.005,
        benchmark=zero,
        bars_per_year=252,
        trials=TrialCount(trials),
        universe_basis="point_in_time",
        price_basis="raw",
    )
    return decide(inputs).word is VerdictWord.EVIDENCE


def _rate(make, *, runs, length, seed=0):
    return np.mean([_says_evidence(make(np.random.default_rng([seed, i]), length)) for i in range(runs)])


@pytest.mark.parametrize("null", ["normal", "garch"])
def test_null_says_evidence_rarely(null):
    # 200 runs at a true rate of 2.5 % exceed 7 % with probability below 1e-3
    assert _rate(NULLS[null], runs=200, length=750) <= 0.07


def test_edge_is_found():
    # a Sharpe ratio of 1.5 over ten years: power 99 %
    rate = _rate(lambda r, n: r.standard_t(4, n) / np.sqrt(2) + 1.5 / np.sqrt(252), runs=40, length=2520)
    assert rate >= 0.9


@pytest.mark.accuracy
@pytest.mark.parametrize("length", [100, 500, 2500])
@pytest.mark.parametrize("null", sorted(NULLS))
def test_size_on_every_null(null, length):
    assert _rate(NULLS[null], runs=1000, length=length, seed=1) <= 0.055


@pytest.mark.accuracy
@pytest.mark.parametrize(("sharpe", "least"), [(1.0, 0.80), (1.5, 0.98)])
def test_power_over_ten_years(sharpe, least):
    rate = _rate(lambda r, n: r.standard_t(4, n) / np.sqrt(2) + sharpe / np.sqrt(252), runs=400, length=2520)
    assert rate >= least


@pytest.mark.accuracy
@pytest.mark.parametrize("tried", [5, 50])
def test_best_of_many_nulls_is_deflated(tried):
    """Without the count, the best of 50 would be evidence most of the time."""
    counted, uncounted = 0, 0
    for i in range(200):
        table = np.random.default_rng([2, i]).standard_t(4, (1500, tried))
        best = table[:, (table.mean(axis=0) / table.std(axis=0)).argmax()]
        counted += _says_evidence(best, tried)
        uncounted += _says_evidence(best)
    assert counted / 200 <= 0.07
    assert uncounted > 3 * max(counted, 1)
