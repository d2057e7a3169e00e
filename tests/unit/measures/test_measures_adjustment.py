"""Forward and backward adjustment: known cases, the order of split and dividend, and what is refused."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import instrument_id
from foresail.domain.actions import CorporateAction, DelistingRule
from foresail.measures.adjustment import (
    action_growth,
    back_adjusted,
    forward_adjusted,
    forward_factor,
    reference_factors,
)

CLOSE = np.array([100.0, 98.0, 49.0, 50.0, 45.0])
DIVIDEND = np.array([0.0, 2.0, 0.0, 0.0, 5.0])
SPLIT = np.array([1.0, 1.0, 2.0, 1.0, 1.0])


def test_prices_that_only_fall_by_what_left_give_a_flat_total_return_series() -> None:
    np.testing.assert_allclose(forward_adjusted(CLOSE, DIVIDEND, SPLIT)[[0, 1, 2]], 100.0, rtol=1e-15)
    assert forward_factor(CLOSE, DIVIDEND, SPLIT).tolist()[0] == 1.0


def test_a_dividend_on_the_day_of_a_split_is_per_unit_after_it() -> None:
    # 90 -> 3 for 1 -> 30 a unit, 1.5 paid on each: an ex price of 28.5 is a flat day.
    assert action_growth(90.0, 1.5, 3.0) == pytest.approx(90.0 / 28.5, rel=1e-15)
    action = CorporateAction(instrument_id("stock.US.A"), date(2020, 1, 2), 3.0, 1.5, 90.0)
    assert (action.ex_price, action.growth) == (28.5, pytest.approx(90.0 / 28.5, rel=1e-15))


def test_a_gap_counts_against_the_last_close_that_exists() -> None:
    close = np.array([100.0, np.nan, np.nan, 90.0])
    factor = forward_factor(close, np.array([0.0, 0.0, 0.0, 10.0]), np.ones(4))
    np.testing.assert_allclose(close * factor, [100.0, np.nan, np.nan, 100.0])


def test_what_goes_ex_at_the_first_bar_lies_before_the_history() -> None:
    factor = forward_factor(np.array([np.nan, 10.0, 10.0]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 1.0]))
    assert factor.tolist() == [1.0, 1.0, 1.0]


def test_the_backward_series_stands_where_its_reader_stands() -> None:
    shown = back_adjusted(CLOSE, DIVIDEND, SPLIT, as_of=2)
    assert shown[2] == 49.0
    assert np.isnan(shown[3:]).all()
    changed = np.array([*DIVIDEND[:3], 7.0, 9.0])
    np.testing.assert_array_equal(back_adjusted(CLOSE, changed, SPLIT, as_of=2), shown)
    # the same past, drawn two bars later, stands on another level: that is the leak of back-adjusted prices
    assert back_adjusted(CLOSE, DIVIDEND, SPLIT, as_of=4)[0] < shown[0]


def test_backward_factors_as_vendors_print_them() -> None:
    price, split = reference_factors([2.0, 1.0 / (1 - 0.1)], [2.0, 1.0])
    np.testing.assert_allclose(price, [0.9, 0.9], rtol=1e-15)
    np.testing.assert_allclose(split, [0.5, 1.0], rtol=1e-15)


@pytest.mark.parametrize(
    ("close", "dividend", "split", "text"),
    [(10.0, 10.0, 1.0, "takes the whole close"), (10.0, -1.0, 1.0, "splits > 0"), (10.0, 0.0, 0.0, "splits > 0")],
)
def test_impossible_actions_are_refused(close: float, dividend: float, split: float, text: str) -> None:
    with pytest.raises(DataError, match=text):
        action_growth(close, dividend, split)
    with pytest.raises(DataError):
        CorporateAction(instrument_id("stock.US.A"), date(2020, 1, 2), split, dividend, close)


def test_a_reader_must_stand_somewhere() -> None:
    with pytest.raises(DataError, match="a row from 0 to 4"):
        back_adjusted(CLOSE, DIVIDEND, SPLIT, as_of=5)


def test_delisting_rules_are_stated() -> None:
    assert DelistingRule().price(8.0) == 8.0
    assert DelistingRule().text == "listings that ended are closed at their last print"
    assert DelistingRule(-0.3).price(10.0) == 7.0
    assert DelistingRule(-0.3).text == "listings that ended are closed at 70% of their last print"
    with pytest.raises(ConfigError, match="-1 or more"):
        DelistingRule(-1.5)
