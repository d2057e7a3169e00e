"""Buy and hold with dividends reinvested, told by the ledger, is the total return; the past never changes."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import localcontext

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.ids import instrument_id
from foresail.domain.actions import CorporateAction
from foresail.domain.signals import Side
from foresail.measures.adjustment import back_adjusted, forward_adjusted, forward_factor
from foresail.testing.holding import hold_through_books

NAME = instrument_id("stock.US.AAA")
RATIOS = [2.0, 3.0, 7.0, 1.5, 0.125, 0.05, 1.0027002718, 0.3333, 1.0, 1.0]
BOUND = 1e-10  # relative; the ledger rounds units to 1e-18 and the ex price to 1e-12


@st.composite
def histories(draw):
    """Raw closes with splits of odd ratios and dividends of up to half the price, some of them on one day."""
    bars = draw(st.integers(2, 40))
    close, dividend, split = np.empty(bars), np.zeros(bars), np.ones(bars)
    close[0] = draw(st.integers(100, 50_000)) / 100
    for t in range(1, bars):
        price = close[t - 1]
        if draw(st.integers(0, 3)) == 0 and price > 1:
            ratio = draw(st.sampled_from(RATIOS))
            if 0.5 < price / ratio < 50_000:
                split[t], price = ratio, price / ratio
        if draw(st.integers(0, 3)) == 0 and price > 0.5:
            share = draw(st.sampled_from([0.001, 0.01, 0.25, 0.5]))
            dividend[t] = round(price * share, 4)
            price -= dividend[t]
        close[t] = max(0.5, round(price * draw(st.floats(0.9, 1.1)), 4))
    return close, dividend, split


def actions_of(close, dividend, split):
    day = date(2020, 1, 1)
    return {
        t: [CorporateAction(NAME, day + timedelta(days=t), split[t], dividend[t], close[t - 1])]
        for t in range(1, len(close))
        if dividend[t] or split[t] != 1.0
    }


@settings(max_examples=120, deadline=None)
@given(histories(), st.sampled_from([Side.BUY, Side.SELL]))
def test_the_ledger_tells_the_total_return_series(history, side):
    close, dividend, split = history
    equity, books = hold_through_books(NAME, close, actions_of(*history), side=side)
    told = equity if side is Side.BUY else close[0] - equity
    series = forward_adjusted(close, dividend, split)
    np.testing.assert_allclose(told, series, rtol=BOUND, atol=0)
    sums = books.totals()
    with localcontext(prec=60):
        total = sums.realised + books.unrealised() + sums.dividends - sums.fees - sums.holding
        assert total == books.equity() - sums.deposits
    if side is Side.SELL and dividend.any():
        assert sums.dividends < 0  # a short pays them


@settings(max_examples=120, deadline=None)
@given(histories(), st.data())
def test_a_later_action_leaves_every_earlier_adjusted_price_bit_equal(history, data):
    close, dividend, split = history
    at = data.draw(st.integers(1, len(close) - 1))
    later_dividend, later_split = dividend.copy(), split.copy()
    later_split[at] *= 4.0
    later_dividend[at] = round(close[at - 1] / later_split[at] * 0.3, 4)
    before = forward_adjusted(close, dividend, split)[:at]
    assert np.array_equal(before, forward_adjusted(close, later_dividend, later_split)[:at])
    assert np.array_equal(before, forward_adjusted(close[:at], dividend[:at], split[:at]))
    shown = back_adjusted(close, dividend, split, as_of=at - 1)[:at]
    assert np.array_equal(shown, back_adjusted(close, later_dividend, later_split, as_of=at - 1)[:at])
    if at > 1:
        assert not np.array_equal(shown, back_adjusted(close, later_dividend, later_split, as_of=at)[:at])


@settings(max_examples=60, deadline=None)
@given(histories())
def test_forward_and_backward_series_have_the_same_returns(history):
    close, dividend, split = history
    forward = forward_adjusted(close, dividend, split)
    backward = back_adjusted(close, dividend, split, as_of=len(close) - 1)
    assert backward[-1] == close[-1]
    np.testing.assert_allclose(forward[1:] / forward[:-1], backward[1:] / backward[:-1], rtol=1e-12)


def test_units_before_a_split_are_held_through_it():
    close = np.array([645.57, 93.70])
    action = CorporateAction(NAME, date(2014, 6, 9), 7.0, 0.0, 645.57)
    equity, books = hold_through_books(NAME, close, {1: [action]})
    assert books.quantity(NAME) == 7
    assert equity[-1] == 7 * 93.70
    assert forward_factor(close, [0, 0], [1, 7]).tolist() == [1.0, 7.0]
