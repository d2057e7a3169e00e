"""What is known ahead: bars to come follow the exchange's own sessions, and numbers do not depend on later bars."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError
from foresail.domain.calendars import bars_per_session, sessions

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.forecasting.neural.calendar import KNOWN, calendar_numbers, coming_ends

HOUR = NS_PER_DAY // 24


@pytest.mark.parametrize(("calendar", "frame"), [("XNYS", "1d"), ("24/5", "1d"), ("24/7", "1d"), ("24/7", "1h")])
def test_coming_bars_are_those_of_the_calendar(calendar, frame):
    _, opens, closes = sessions(calendar, date(2023, 11, 1), date(2024, 2, 1))
    ends = closes if frame == "1d" else np.arange(opens[0] + HOUR, closes[-1] + 1, HOUR)
    for at in (0, 14, 15, 30):  # over Thanksgiving, its half day, and the turn of the year
        assert np.array_equal(coming_ends(int(ends[at]), calendar, frame, 12), ends[at + 1 : at + 13])


def test_a_half_day_has_fewer_and_a_shorter_last_bar():
    (_, _, closes), counts = bars_per_session("XNYS", "1h", date(2023, 11, 24), date(2023, 11, 27))
    assert counts.tolist() == [4, 7]
    friday_open = sessions("XNYS", date(2023, 11, 24), date(2023, 11, 24))[1][0]
    found = coming_ends(int(friday_open), "XNYS", "1h", 11)
    assert found[3] == closes[0]
    assert np.diff(found[2:4]) == HOUR // 2
    assert found[-1] == closes[1]


def test_numbers_of_a_bar_do_not_depend_on_later_bars():
    _, _, closes = sessions("XNYS", date(2023, 11, 1), date(2024, 2, 1))
    whole = calendar_numbers(closes, "1d")
    assert whole.shape == (len(closes), len(KNOWN))
    assert np.array_equal(calendar_numbers(closes[:20], "1d"), whole[:20])
    assert np.isfinite(whole).all()
    assert np.abs(whole).max() < 3
    assert (whole[:, 6:] == 0).all()  # daily bars have no place in the day
    assert whole[3, 5] == pytest.approx(np.log(3 + 1 / 24), abs=0.02)  # the clocks went back that night
    assert whole[1, 5] == pytest.approx(0.0)


def test_a_calendar_that_ends_is_said():
    with pytest.raises(DataError, match="exchange_calendars"):
        coming_ends(4_000_000_000 * 10**9, "XNYS", "1d", 5)
