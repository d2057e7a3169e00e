import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.measures.returns import (
    annualised_return,
    compounded_equity,
    grouped_returns,
    log_returns,
    log_to_simple,
    simple_returns,
    simple_to_log,
    total_return,
)


def test_simple_returns_of_prices():
    np.testing.assert_allclose(simple_returns([[100.0, 110.0, 99.0]]), [[0.10, -0.10]])


def test_missing_price_gives_missing_returns_on_both_sides():
    assert np.isnan(simple_returns([1.0, np.nan, 2.0])).tolist() == [True, True]


def test_log_and_simple_are_inverse():
    prices = np.array([5.0, 7.0, 6.5])
    np.testing.assert_allclose(log_to_simple(log_returns(prices)), simple_returns(prices))
    np.testing.assert_allclose(simple_to_log(simple_returns(prices)), log_returns(prices))


def test_equity_compounds_from_the_start_value():
    np.testing.assert_allclose(compounded_equity([0.5, -0.5], start=100.0), [100.0, 150.0, 75.0])
    assert total_return([0.5, -0.5]) == pytest.approx(-0.25)


def test_annualised_return_compounds():
    assert annualised_return([0.01] * 12, bars_per_year=12) == pytest.approx(1.01**12 - 1)
    assert annualised_return([0.5, -1.0], bars_per_year=252) == -1.0
    assert np.isnan(annualised_return([1e6], bars_per_year=252))


def test_returns_by_year():
    years = np.array([2019, 2019, 2020])
    assert grouped_returns([0.1, 0.1, -0.2], years) == pytest.approx({2019: 0.21, 2020: -0.2})
    with pytest.raises(DataError, match="one group for each of 2"):
        grouped_returns([0.1, 0.1], years)


def test_nan_return_is_refused_with_its_position():
    with pytest.raises(DataError, match="position 2") as error:
        compounded_equity([0.1, np.nan])
    assert error.value.row == 2
