"""Dividends, splits and the forward factor: what adjusted closes and stated events imply."""

import numpy as np
import pytest

from foresail.adapters.files.actions import Prints, Revised, from_adjusted_close, from_events
from foresail.domain.instruments import PriceBasis

DAY = 86_400 * 10**9


def prints(close, adjusted, known=None, code=None):
    close, adjusted = np.array(close, dtype=float), np.array(adjusted, dtype=float)
    code = np.zeros(len(close), dtype=np.int64) if code is None else np.array(code)
    return Prints(code, close, adjusted, None if known is None else np.array(known, dtype=np.int64))


def test_a_dividend_shows_in_the_ratio_of_adjusted_to_close():
    # 1.00 paid at the third bar: earlier closes are adjusted by 1 - 1/50.
    close, share = [49.0, 50.0, 49.5, 50.5], 1 - 1 / 50
    found = from_adjusted_close(prints(close, [49 * share, 50 * share, 49.5, 50.5]), PriceBasis.SPLIT_ADJUSTED)
    assert found.dividend == pytest.approx([0, 0, 1.0, 0])
    assert found.total_factor == pytest.approx([1, 1, 1 / share, 1 / share])
    # forward-adjusted return of the ex-date is the total return
    assert 49.5 * found.total_factor[2] / 50 == pytest.approx(49.5 / 50 / share)


def test_rounding_to_four_decimals_is_no_dividend():
    rng = np.random.default_rng(5)
    close = np.round(20 * np.exp(np.cumsum(rng.normal(0, 0.02, 400))), 4)
    adjusted = np.round(close * 0.7312345, 4)
    found = from_adjusted_close(prints(close, adjusted), PriceBasis.SPLIT_ADJUSTED)
    assert not found.dividend.any()
    assert np.all(found.total_factor == 1.0)


def test_a_one_cent_dividend_on_a_thirty_dollar_share_is_seen():
    close = np.full(6, 30.0)
    adjusted = np.round(close * np.where(np.arange(6) < 3, 1 - 0.01 / 30, 1.0), 4)
    found = from_adjusted_close(prints(close, adjusted), PriceBasis.SPLIT_ADJUSTED)
    assert found.dividend[3] == pytest.approx(0.01, abs=2e-4)
    assert np.count_nonzero(found.dividend) == 1


def test_an_adjusted_close_that_falls_is_counted_and_books_nothing():
    found = from_adjusted_close(prints([10.0, 10.0, 10.0], [9.0, 8.0, 8.0]), PriceBasis.SPLIT_ADJUSTED)
    assert found.falls == 1
    assert not found.dividend.any()
    assert np.all(found.total_factor == 1.0)


def test_cutting_the_past_does_not_change_it():
    rng = np.random.default_rng(1)
    close = np.round(20 * np.exp(np.cumsum(rng.normal(0, 0.02, 60))), 4)
    factor = np.cumprod(np.where(rng.random(60) < 0.1, 1.01, 1.0))
    adjusted = np.round(close * factor / factor[-1], 4)
    whole = from_adjusted_close(prints(close, adjusted), PriceBasis.SPLIT_ADJUSTED)
    for cut in (1, 7, 30, 59):
        part = from_adjusted_close(prints(close[:cut], adjusted[:cut]), PriceBasis.SPLIT_ADJUSTED)
        assert part.total_factor.tobytes() == whole.total_factor[:cut].tobytes()
        assert part.dividend.tobytes() == whole.dividend[:cut].tobytes()


def test_a_split_on_raw_prices_shows_in_the_revision_of_the_day_before():
    # Seven for one, as Netflix on 2015-07-15: the first print of the day before is unadjusted, its revision is not.
    known = np.array([1, 2, 3, 4]) * DAY
    first = prints([705.0, 702.6, 98.13, 115.8], [705.0, 702.6, 98.13, 115.8], known)
    revised = Revised(np.array([1]), np.array([3 * DAY]), np.array([702.6]), np.array([702.6 / 7]))
    found = from_adjusted_close(first, PriceBasis.RAW, revised)
    assert found.split.tolist() == [1, 1, 7, 1]
    assert found.total_factor.tolist() == [1, 1, 7, 7]
    assert not found.dividend.any()


def test_a_revision_that_is_published_later_is_not_used_earlier():
    known = np.array([1, 2, 3, 4]) * DAY
    first = prints([100.0, 100.0, 50.0, 51.0], [100.0, 100.0, 50.0, 51.0], known)
    late = Revised(np.array([1]), np.array([4 * DAY]), np.array([100.0]), np.array([50.0]))
    found = from_adjusted_close(first, PriceBasis.RAW, late)
    assert np.all(found.split == 1.0)
    assert np.all(found.total_factor == 1.0)


def test_a_reverse_split_and_a_spin_off():
    known = np.array([1, 2, 3]) * DAY
    reverse = prints([2.84, 22.72, 22.5], [2.84, 22.72, 22.5], known)
    revised = Revised(np.array([0]), np.array([2 * DAY]), np.array([2.84]), np.array([2.84 * 8]))
    found = from_adjusted_close(reverse, PriceBasis.RAW, revised)
    assert found.split == pytest.approx([1, 1 / 8, 1])
    spin = prints([69.93, 38.0, 38.2], [69.93, 38.0, 38.2], known)
    revised = Revised(np.array([0]), np.array([2 * DAY]), np.array([69.93]), np.array([37.98]))
    found = from_adjusted_close(spin, PriceBasis.RAW, revised)
    assert found.split.tolist() == [1, 1, 1]
    assert found.dividend[1] == pytest.approx(69.93 - 37.98)  # the value that left


def test_a_first_print_adjusted_for_the_next_day_books_nothing_itself():
    # A row known one day late carries tomorrow's 5 for 1 reverse split already.
    known = np.array([1, 3, 3]) * DAY
    first = prints([8.1, 8.0, 41.16], [8.1, 40.0, 41.16], known)
    found = from_adjusted_close(first, PriceBasis.RAW)
    assert found.split == pytest.approx([1, 1, 0.2])
    assert not found.dividend.any()


def test_stated_events_and_the_first_bar():
    base = prints([100.0, 49.0, 50.0], [100.0, 49.0, 50.0])
    found = from_events(base, np.array([0.5, np.nan, 1.0]), np.array([0.0, 2.0, 0.0]))
    assert found.total_factor == pytest.approx([1, 2, 2 / (1 - 1 / 49)])
    assert found.split.tolist() == [1, 2, 1]
    assert found.total_factor[0] == 1.0


def test_instruments_do_not_touch_each_other():
    both = prints([10, 10, 50, 50], [9, 10, 50, 50], code=[0, 0, 1, 1])
    found = from_adjusted_close(both, PriceBasis.SPLIT_ADJUSTED)
    assert found.total_factor == pytest.approx([1, 10 / 9, 1, 1])


def test_an_adjustment_published_a_day_early_is_booked_once():
    # Frontline 2016: the vendor adjusted for the 1 for 5 reverse split of 02-03 a day before it happened.
    known = np.array([1, 2, 3]) * DAY
    first = prints([2.08, 1.93, 10.0], [2.08, 1.93, 10.0], known)
    revised = Revised(np.array([0, 1]), np.array([2 * DAY, 3 * DAY]), np.array([2.08, 1.93]), np.array([10.4, 9.65]))
    found = from_adjusted_close(first, PriceBasis.RAW, revised)
    assert found.split == pytest.approx([1, 1, 0.2])
    assert found.total_factor == pytest.approx([1, 1, 0.2])
    assert not found.dividend.any()


def test_a_large_payment_that_prices_do_not_show_is_not_booked():
    close = [68.62, 31.33, 31.0]
    found = from_adjusted_close(prints(close, [18.4, 31.33, 31.0]), PriceBasis.SPLIT_ADJUSTED)
    assert not found.dividend.any()
