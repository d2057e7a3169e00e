import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.measures.power import (
    calls_needed,
    convert_hit_rate,
    skill_table,
    smallest_detectable_hit_rate,
    smallest_detectable_mean,
)


@pytest.mark.parametrize(("rate", "calls"), [(0.52, 3863), (0.53, 1716), (0.55, 617)])
def test_calls_needed_are_those_in_print(rate, calls):
    assert calls_needed(rate) == calls
    assert smallest_detectable_hit_rate(calls) == pytest.approx(rate, abs=1e-4)


def test_number_of_calls_gives_the_power_it_promises():
    random = np.random.default_rng(0)
    share = random.binomial(617, 0.55, size=40_000) / 617
    found = np.mean((share - 0.5) / np.sqrt(0.25 / 617) > 1.6449)
    assert found == pytest.approx(0.80, abs=0.02)  # hits are whole numbers: a step of .016


def test_no_call_proves_where_one_is_made():
    assert smallest_detectable_hit_rate(1) == pytest.approx(1.0)
    assert smallest_detectable_hit_rate(10_000, base=0.53) == pytest.approx(0.5424, abs=1e-4)


@pytest.mark.parametrize(
    ("rate", "correlation", "r_squared", "sharpe"),
    [
        (0.52, ".063", "0.4%", "0.8"),
        (0.53, ".094", "0.9%", "1.2"),
        (0.55, ".156", "2.4%", "2.0"),
        (0.65, ".45", "21%", "6.2"),
        (0.70, ".59", "35%", "8.4"),
        (0.76, ".73", "53%", "11.4"),
    ],
)
def test_conversion_is_that_in_print(rate, correlation, r_squared, sharpe):
    found = convert_hit_rate(rate)
    assert f"{found.correlation:.{len(correlation) - 1}f}" == "0" + correlation
    assert f"{100 * found.r_squared:.{1 if '.' in r_squared else 0}f}%" == r_squared
    assert f"{found.sharpe:.1f}" == sharpe


def test_conversion_holds_on_a_gaussian_sample():
    found = convert_hit_rate(0.55)
    random = np.random.default_rng(1)
    signal, noise = random.normal(size=(2, 1_000_000))
    outcome = found.correlation * signal + np.sqrt(1 - found.r_squared) * noise
    traded = np.sign(signal) * outcome
    assert np.mean(traded > 0) == pytest.approx(0.55, abs=2e-3)
    assert traded.mean() / traded.std() * np.sqrt(252) == pytest.approx(found.sharpe, abs=0.05)


def test_detectable_mean_is_found_with_its_power():
    effect = smallest_detectable_mean(0.1)
    assert effect == pytest.approx(0.1 * (1.6449 + 0.8416), abs=1e-4)
    assert len(skill_table()) == 6


def test_impossible_questions_are_refused():
    with pytest.raises(DataError, match="base < hit rate"):
        calls_needed(0.5)
    with pytest.raises(DataError, match="at least 1 call"):
        smallest_detectable_hit_rate(0)
    with pytest.raises(DataError, match="level in"):
        calls_needed(0.6, level=0.3)
    with pytest.raises(DataError, match="standard error"):
        smallest_detectable_mean(float("nan"))
    with pytest.raises(DataError, match="hit rate in"):
        convert_hit_rate(0.4)
