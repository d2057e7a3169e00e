import numpy as np
import pytest
from scipy.stats import binomtest, norm

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.exceedances import (
    conditional_coverage,
    exceedance_report,
    independence_test,
    kupiec_test,
)


def test_exactly_as_many_breaches_as_promised_is_no_evidence():
    assert kupiec_test(1000, 10, level=0.01).statistic == pytest.approx(0.0, abs=1e-9)
    assert kupiec_test(1000, 10, level=0.01, law="exact").p_value == pytest.approx(1.0)
    assert kupiec_test(250, 0, level=0.01).p_value < 0.05  # none in 250 is too few, says chi-squared
    assert kupiec_test(250, 0, level=0.01, law="exact").p_value > 0.05  # 8 % of right forecasts show none


def test_exact_number_sums_the_binomial_law_of_the_statistic():
    # 8 of 250 at 1 %: at least as far are 8 and more; on the low side even 0 is not (its statistic is 5.03)
    tail = binomtest(8, 250, 0.01, alternative="greater").pvalue
    assert kupiec_test(250, 8, level=0.01, law="exact").p_value == pytest.approx(tail)


def test_no_breach_and_only_breaches_are_independent():
    for law in ("asymptotic", "exact"):
        assert independence_test(np.zeros(50), law=law).p_value == 1.0
        assert independence_test(np.ones(50), law=law).p_value == 1.0
    with pytest.raises(DataError, match="0 and 1"):
        independence_test([0.0, 2.0])


@pytest.mark.parametrize(("length", "breaches"), [(8, 3), (9, 8), (10, 5), (7, 1)])
def test_exact_independence_equals_trying_every_placement(length, breaches):
    from itertools import combinations

    rows = []
    for chosen in combinations(range(length), breaches):
        hits = np.zeros(length)
        hits[list(chosen)] = 1.0
        rows.append((hits, independence_test(hits).statistic))
    statistics = np.array([s for _, s in rows])
    for hits, statistic in rows[:: max(1, len(rows) // 15)]:
        expected = np.mean(statistics >= statistic - 1e-9)
        assert independence_test(hits, law="exact").p_value == pytest.approx(expected)


def test_exact_joint_test_equals_trying_every_record():
    length, level = 9, 0.2
    table = (np.arange(2**length)[:, None] >> np.arange(length)) & 1
    chance = level ** table.sum(axis=1) * (1 - level) ** (length - table.sum(axis=1))
    statistic = np.array([conditional_coverage(row, level=level).statistic for row in table])
    for row in (0, 3, 100, 511, 341):
        expected = chance[statistic >= statistic[row] - 1e-9].sum()
        assert conditional_coverage(table[row], level=level, law="exact").p_value == pytest.approx(expected)


def test_report_holds_number_tests_and_zone():
    returns = np.random.default_rng(0).normal(size=1000)
    found = exceedance_report(returns, np.full(1000, -norm.ppf(0.01)), level=0.01)
    assert found.breaches == np.sum(returns < norm.ppf(0.01))
    assert found.expected == 10.0
    assert found.zone == "green"
    assert found.number == kupiec_test(1000, found.breaches, level=0.01, law="exact")
    assert exceedance_report(returns, np.full(1000, 1.645), level=0.05).zone is None
    assert exceedance_report(returns[:200], np.full(200, 2.33), level=0.01).zone is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="0 <= breaches"):
        kupiec_test(10, 11, level=0.01)
    with pytest.raises(UnknownNameError, match="asymptotic"):
        kupiec_test(10, 1, level=0.01, law="guess")
    with pytest.raises(DataError, match="one shape"):
        exceedance_report([0.1, 0.2], [1.0, 1.0, 1.0], level=0.05)
