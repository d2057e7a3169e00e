"""Sessions, frames, windows: half days, daylight saving, the forex week."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from foresail.core.clock import from_ns, to_ns
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.calendars import (
    bars_per_session,
    bars_per_year,
    frame_ns,
    inside_sessions,
    next_open,
    session_windows,
    sessions,
    window_span,
)


def test_new_york_half_day_closes_at_one_local():
    _, opens, closes = sessions("XNYS", date(2024, 11, 27), date(2024, 11, 29))
    assert len(opens) == 2  # Thanksgiving between
    assert from_ns(opens[1]) == datetime(2024, 11, 29, 14, 30, tzinfo=UTC)
    assert from_ns(closes[1]) == datetime(2024, 11, 29, 18, 0, tzinfo=UTC)


def test_calendar_reaches_back_before_1990():
    labels, _, _ = sessions("XNYS", date(1990, 1, 1), date(1990, 1, 5))
    assert [str(day) for day in labels] == ["1990-01-02", "1990-01-03", "1990-01-04", "1990-01-05"]


def test_forex_day_ends_at_five_in_new_york_on_both_sides_of_the_clock_change():
    labels, opens, closes = sessions("24/5", date(2014, 3, 7), date(2014, 3, 10))
    assert [str(day) for day in labels] == ["2014-03-07", "2014-03-10"]
    assert from_ns(closes[0]) == datetime(2014, 3, 7, 22, tzinfo=UTC)  # EST
    assert from_ns(opens[1]) == datetime(2014, 3, 9, 21, tzinfo=UTC)  # Sunday 17:00 EDT
    assert from_ns(closes[1]) == datetime(2014, 3, 10, 21, tzinfo=UTC)


def test_crypto_day_is_the_utc_day():
    labels, opens, closes = sessions("24/7", date(2024, 2, 28), date(2024, 3, 1))
    assert len(labels) == 3
    assert opens[1] == closes[0] == to_ns(datetime(2024, 2, 29, tzinfo=UTC))


@pytest.mark.parametrize(
    ("calendar", "frame", "expected"),
    [
        ("XNYS", "1d", 252.0),
        ("XNYS", "1h", 252.0 * 7),  # 6.5 hours make seven bars, the last one short
        ("XNYS", "5m", 252.0 * 78),
        ("24/7", "1d", 365.0),
        ("24/7", "4h", 365.0 * 6),
        ("24/5", "1d", 260.0),
        ("24/5", "1h", 260.0 * 24),
    ],
)
def test_bars_per_year(calendar, frame, expected):
    assert bars_per_year(calendar, frame) == expected


def test_seven_hourly_bars_on_days_after_a_clock_change():
    (_, opens, _), counts = bars_per_session("XNYS", "1h", date(2024, 3, 8), date(2024, 3, 11))
    assert counts.tolist() == [7, 7]  # DATA-92
    assert [from_ns(o).hour for o in opens] == [14, 13]


def test_frames_are_parsed_and_nonsense_is_refused():
    assert frame_ns("90s") == 90 * 10**9
    for text in ("", "d", "0m", "1 h", "1y", "-5m"):
        with pytest.raises(ConfigError, match="expected a frame"):
            frame_ns(text)


def test_next_open_is_strictly_later():
    _, opens, _ = sessions("XNYS", date(2016, 9, 1), date(2016, 9, 6))
    assert next_open("XNYS", opens[:1])[0] == opens[1]
    friday_noon = to_ns(datetime(2016, 9, 2, 16, tzinfo=UTC))
    assert from_ns(next_open("XNYS", np.array([friday_noon]))[0]).date() == date(2016, 9, 6)  # Labour Day skipped


def test_inside_sessions_takes_the_close_and_not_the_open():
    _, opens, closes = sessions("XNYS", date(2016, 9, 1), date(2016, 9, 1))
    ends = np.array([opens[0], opens[0] + 1, closes[0], closes[0] + 1])
    assert inside_sessions("XNYS", ends).tolist() == [False, True, True, False]


def test_windows_follow_local_time():
    winter = window_span("XNYS", "pre_market", date(2024, 1, 3))
    summer = window_span("XNYS", "pre_market", date(2024, 7, 3))
    assert winter is not None
    assert summer is not None
    assert (from_ns(winter[0]).hour, from_ns(summer[0]).hour) == (9, 8)  # 04:00 New York
    assert (summer[1] - summer[0]) == frame_ns("330m")


def test_after_hours_of_a_half_day_begin_at_its_close_and_the_power_hour_is_absent():
    after = window_span("XNYS", "after_hours", date(2024, 11, 29))
    assert after is not None
    assert from_ns(after[0]).hour == 18
    assert window_span("XNYS", "power_hour", date(2024, 11, 29)) is None
    assert window_span("XNYS", "regular", date(2024, 11, 28)) is None


def test_tokyo_window_and_unknown_names():
    assert {window.zone for window in session_windows("XTKS")} == {"Asia/Tokyo"}
    assert session_windows("24/7") == ()
    with pytest.raises(UnknownNameError, match="session window 'noon'"):
        window_span("XNYS", "noon", date(2024, 1, 3))
    with pytest.raises(UnknownNameError, match="Did you mean 'XNYS'"):
        sessions("XNYSE", date(2024, 1, 3), date(2024, 1, 4))
