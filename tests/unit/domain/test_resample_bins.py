"""Which coarse bar a fine one belongs to: sessions, weeks, daylight saving, half days (DATA-41, DATA-42, DATA-92)."""

import numpy as np
import pytest

from foresail.core.errors import ConfigError
from foresail.domain.bins import FRAMES, assign_bins
from foresail.domain.calendars import frame_ns

MINUTE, HOUR, DAY = 60 * 10**9, 3600 * 10**9, 86_400 * 10**9


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def spans(first: str, last: str, step: int = MINUTE) -> tuple[np.ndarray, np.ndarray]:
    start = np.arange(ns(first), ns(last), step, dtype=np.int64)
    return start, start + step


def starts_of(bins: object) -> list[str]:
    kept = bins.start[bins.end > bins.start]  # type: ignore[attr-defined]
    return [str(np.datetime64(int(t), "ns"))[11:16] for t in np.unique(kept)]


@pytest.mark.parametrize(("day", "opens"), [("2024-03-08", "14:30"), ("2024-03-11", "13:30"), ("2024-11-04", "14:30")])
def test_a_stock_session_has_seven_hours_on_both_sides_of_a_clock_change(day, opens):
    start, end = spans(f"{day}T00:00", f"{day}T23:59")
    bins = assign_bins(start, end, "XNYS", "1m", "1h")
    inside = bins.end > bins.start
    assert len(np.unique(bins.start[inside])) == 7
    assert starts_of(bins)[0] == opens
    assert inside.sum() == 390
    assert sorted(set(bins.wanted[inside])) == [30, 60]


def test_crypto_keeps_24_hours_a_day_over_a_clock_change():
    start, end = spans("2024-03-10T00:00", "2024-03-11T00:00")
    bins = assign_bins(start, end, "24/7", "1m", "1h")
    assert len(np.unique(bins.start)) == 24
    assert set(bins.wanted) == {60}


def test_a_half_day_asks_for_fewer_bars():
    start, end = spans("2024-11-29T12:00", "2024-11-29T23:00")
    day = assign_bins(start, end, "XNYS", "1m", "1d")
    inside = day.end > day.start
    assert inside.sum() == 210
    assert set(day.wanted[inside]) == {210}
    assert np.datetime64(int(day.end[inside][0]), "ns") == np.datetime64("2024-11-29T18:00")


def test_six_hours_of_stocks_need_extended_hours():
    start, end = spans("2024-07-08T00:00", "2024-07-09T04:00", 30 * MINUTE)
    with pytest.raises(ConfigError, match="extended hours"):
        assign_bins(start, end, "XNYS", "30m", "6h")
    bins = assign_bins(start, end, "XNYS", "30m", "6h", extended=True)
    assert starts_of(bins) == ["08:00", "14:00", "20:00"]  # 04, 10 and 16 New York in summer
    assert sorted(set(bins.wanted[bins.end > bins.start])) == [8, 12]


def test_forex_six_hours_start_at_utc_marks_and_end_with_the_week():
    start, end = spans("2024-01-05T00:00", "2024-01-09T00:00", HOUR)
    bins = assign_bins(start, end, "24/5", "1h", "6h")
    kept = bins.end > bins.start
    assert {int(h) for h in (bins.start[kept] // HOUR) % 24} == {0, 6, 12, 18}
    friday = bins.end[kept][bins.start[kept] == ns("2024-01-05T18:00")]
    assert set(friday) == {ns("2024-01-05T22:00")}
    assert set(bins.wanted[kept & (bins.start == ns("2024-01-05T18:00"))]) == {4}
    assert set(bins.wanted[kept & (bins.start == ns("2024-01-07T18:00"))]) == {2}


@pytest.mark.parametrize(("calendar", "wanted"), [("XNYS", 4), ("24/5", 5), ("24/7", 7)])
def test_a_week_holds_its_own_sessions(calendar, wanted):
    # The week of Monday 2024-01-15, Martin Luther King day: four sessions in New York.
    if calendar == "24/7":
        start = ns("2024-01-15") + np.arange(7, dtype=np.int64) * DAY
        end = start + DAY
    else:
        from datetime import date

        from foresail.domain.calendars import sessions

        _, start, end = sessions(calendar, date(2024, 1, 15), date(2024, 1, 21))
    bins = assign_bins(start, end, calendar, "1d", "1w")
    assert set(bins.wanted) == {wanted}
    assert len(set(bins.end)) == 1
    assert bins.end[0] == end[-1]


def test_a_frame_must_hold_whole_bars():
    start, end = spans("2024-01-05T00:00", "2024-01-05T01:00")
    for fine, frame in (("1h", "1h"), ("1h", "5m"), ("4h", "6h")):
        with pytest.raises(ConfigError, match="no multiple"):
            assign_bins(start, end, "24/7", fine, frame)
    lengths = [frame_ns(f) for f in FRAMES]
    assert lengths == sorted(lengths)


def test_no_bars_give_no_bins():
    nothing = np.empty(0, dtype=np.int64)
    assert len(assign_bins(nothing, nothing, "XNYS", "1m", "1h").end) == 0
