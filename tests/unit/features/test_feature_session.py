"""Session rows against plain-Python twins and hand-made days: flags, anchored prices, ranges, the same hour of old."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import resolve
from foresail.features.context import FeatureContext
from foresail.features.live import BAR_FIELDS, LiveDriver
from foresail.features.session_flags import NUMBERS, calendar_numbers, future_numbers

MINUTE, HOUR, DAY = 60 * 10**9, 3600 * 10**9, 86_400 * 10**9


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def flag(name: str, when: str, calendar: str) -> float:
    start = np.array([ns(when)], dtype=np.int64)
    return float(calendar_numbers(start, start + 5 * MINUTE, calendar, [name])[0, 0])


def bars(
    t: int, start: str, *, step: int = 5, kind: str = "crypto", calendar: str = "24/7", n: int = 2, holes: float = 0.05
) -> Panel:
    rng = np.random.default_rng(4)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.002, (n, t)), axis=1))
    opening = close * np.exp(rng.normal(0, 0.0005, (n, t)))
    high, low = np.maximum(opening, close) * 1.001, np.minimum(opening, close) * 0.999
    volume = rng.integers(1, 1000, (n, t)).astype(float)
    one, zero = np.ones((n, t)), np.zeros((n, t))
    values = np.stack([opening, high, low, close, volume, zero, one, one, zero], axis=2)
    present = rng.random((n, t)) >= holes
    values[~present] = np.nan
    begin = ns(start) + np.arange(t, dtype=np.int64) * step * MINUTE
    names = tuple(f"{kind}.{i:02d}" for i in range(n))
    end = begin + step * MINUTE
    return Panel(values, present, begin, end, end, BAR_FIELDS, names, f"{step}m", calendar)


def one(panel: Panel, name: str, context: FeatureContext | None = None) -> np.ndarray:
    return compute(panel, [name], context or FeatureContext.of(panel)).values[:, :, 0]


@pytest.mark.parametrize(
    ("name", "calendar", "when", "wanted"),
    [
        # London 08:00 is 07:00 UTC in summer and 08:00 in winter; the fixed hours do not move.
        ("is_london", "24/5", "2024-07-08T07:00", 1),
        ("is_london", "24/5", "2024-01-08T07:30", 0),
        ("is_london_utc", "24/5", "2024-01-08T07:30", 1),
        ("is_newyork", "24/5", "2024-07-08T12:00", 1),
        ("is_newyork", "24/5", "2024-01-08T12:30", 0),
        ("is_london_ny_overlap", "24/5", "2024-07-08T15:55", 1),
        ("is_london_ny_overlap", "24/5", "2024-07-08T16:00", 0),
        ("is_asian", "24/5", "2024-07-08T23:00", 1),
        ("is_asian", "24/5", "2024-07-08T09:00", 0),
        ("is_asian", "24/5", "2024-07-06T02:00", 0),  # Saturday
        ("is_asian_london_overlap", "24/5", "2024-07-08T08:59", 1),
        ("is_premarket", "XNYS", "2024-07-08T13:25", 1),
        ("is_premarket", "XNYS", "2024-07-04T13:25", 0),  # a holiday
        ("is_regular_hours", "XNYS", "2024-07-08T13:30", 1),
        ("is_regular_hours", "XNYS", "2024-01-08T13:30", 0),
        ("is_market_open_first_hour", "XNYS", "2024-07-08T14:25", 1),
        ("is_market_open_first_hour", "XNYS", "2024-07-08T14:30", 0),
        ("is_power_hour", "XNYS", "2024-07-08T19:00", 1),
        ("is_lunch_lull", "XNYS", "2024-07-08T15:00", 1),
        ("is_half_day", "XNYS", "2024-07-03T15:00", 1),
        ("is_afterhours", "XNYS", "2024-07-03T17:30", 1),  # 13:30 New York on a half day
        ("is_afterhours", "XNYS", "2024-07-08T17:30", 0),
        ("is_market_closed", "XNYS", "2024-07-04T15:00", 1),
        ("us_market_closed", "24/7", "2024-07-04T15:00", 1),
        ("us_market_closed", "24/7", "2024-07-08T15:00", 0),
        ("is_us_trading_hours", "24/7", "2024-07-08T20:59", 1),
        ("is_asian_hours", "24/7", "2024-07-08T00:00", 1),
        ("is_european_hours", "24/7", "2024-07-08T08:00", 1),
        ("is_weekend", "24/7", "2024-07-07T12:00", 1),
        ("hour", "XNYS", "2024-07-08T13:30", 9),
        ("hour", "24/7", "2024-07-08T13:30", 13),
        ("day_of_week", "24/7", "2024-07-08T13:30", 0),
        ("day_of_month", "24/7", "2024-02-29T13:30", 29),
        ("month", "24/7", "2024-12-31T13:30", 12),
        ("quarter", "24/7", "2024-10-01T13:30", 4),
        ("is_monday", "24/7", "2024-07-08T13:30", 1),
        ("is_friday", "24/7", "2024-07-08T13:30", 0),
        ("minutes_from_open", "XNYS", "2024-07-08T14:30", 60),
        ("time_of_day", "XNYS", "2024-07-03T15:15", 0.5),  # half of a half day
        ("five_minute_mark", "XNYS", "2024-07-08T13:30", 0),
        ("forex_band_width", "24/5", "2024-07-08T03:00", 1.8),
        ("forex_band_width", "24/5", "2024-07-08T07:00", 2.2),
    ],
)
def test_a_flag_follows_the_clocks_of_its_market(name, calendar, when, wanted):
    assert flag(name, when, calendar) == wanted


def test_outside_a_session_no_minutes_have_passed_since_its_open():
    assert np.isnan(flag("minutes_from_open", "2024-07-08T08:00", "XNYS"))


def test_every_number_is_known_for_future_bars_and_unknown_names_are_refused():
    start = ns("2024-07-08T13:30") + np.arange(4, dtype=np.int64) * HOUR
    names = ["relative_time_idx", *NUMBERS]
    out = future_numbers(start, start + HOUR, "XNYS", names)
    assert out.shape == (len(names), 4)
    assert list(out[0]) == [1.0, 2.0, 3.0, 4.0]
    assert np.array_equal(out[1:], calendar_numbers(start, start + HOUR, "XNYS", list(NUMBERS)), equal_nan=True)
    with pytest.raises(UnknownNameError, match="calendar number"):
        calendar_numbers(start, start + HOUR, "XNYS", ["noon"])
    nothing = np.empty(0, dtype=np.int64)
    for calendar in ("XNYS", "24/7", "24/5"):
        assert calendar_numbers(nothing, nothing, calendar, list(NUMBERS)).shape == (len(NUMBERS), 0)


def test_vwap_begins_anew_with_the_day():
    panel = bars(700, "2024-01-08T00:00")
    close, high, low, volume = (panel.field(f) for f in ("close", "high", "low", "volume"))
    days = panel.start // DAY
    got = {n: one(panel, n) for n in ("vwap", "vwap_deviation", "vwap_zscore")}
    for i in range(2):
        money, traded, apart, day = 0.0, 0.0, [], -1
        for t in range(700):
            if not panel.present[i, t]:
                assert np.isnan(got["vwap"][i, t])
                continue
            if days[t] != day:
                money, traded, apart, day = 0.0, 0.0, [], days[t]
            money += (high[i, t] + low[i, t] + close[i, t]) / 3.0 * volume[i, t]
            traded += volume[i, t]
            apart.append(close[i, t] * traded / money - 1.0)
            assert got["vwap"][i, t] == pytest.approx(money / traded, rel=1e-12)
            assert got["vwap_deviation"][i, t] == pytest.approx(apart[-1], abs=1e-12)
            if len(apart) > 2:
                assert got["vwap_zscore"][i, t] == pytest.approx(apart[-1] / np.std(apart, ddof=1), rel=1e-7)


def test_the_same_hour_of_earlier_sessions():
    t = 24 * 12 * 64
    panel = bars(t, "2024-01-08T00:00", n=1)
    volume = panel.field("volume")[0]
    got = one(panel, "avg_volume_this_hour")[0]
    past: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for k in range(t):
        day, hour = int(panel.start[k] // DAY), int(panel.start[k] % DAY // HOUR)
        if not panel.present[0, k]:
            continue
        past[hour][day].append(volume[k])
        earlier = [np.mean(v) for d, v in sorted(past[hour].items()) if d < day][-60:]
        if len(earlier) == 60:
            assert got[k] == pytest.approx(np.mean(earlier), rel=1e-12)
        else:
            assert np.isnan(got[k])
    assert np.isfinite(got).sum() > 500
    change = np.full(t, np.nan)
    here = np.flatnonzero(panel.present[0])
    change[here[1:]] = np.diff(np.log(panel.field("close")[0, here]))
    of_hour = [
        np.nanmean(change[(panel.start // DAY == day) & (panel.start % DAY // HOUR == 7)] ** 2)
        for day in np.unique(panel.start // DAY)[:60]
    ]
    at = here[(here >= 60 * 288 + 84) & (here < 60 * 288 + 96)]
    np.testing.assert_allclose(one(panel, "avg_volatility_this_hour")[0, at], np.sqrt(np.mean(of_hour)), rtol=1e-10)


@pytest.mark.parametrize("step", [5, 30])
def test_relative_volume_compares_with_the_same_time_of_earlier_days(step):
    per_day = 24 * 60 // step
    panel = bars(per_day * 23, "2024-01-08T00:00", step=step, n=1, holes=0.0)
    values = panel.values.copy()
    values[:, :, :4] = 10.0
    panel = replace(panel, values=values)
    so_far = np.cumsum(panel.field("volume")[0].reshape(23, per_day), axis=1)
    got = one(panel, "rvol")[0].reshape(23, per_day)
    assert np.isnan(got[:20]).all()
    for day in (20, 21, 22):
        np.testing.assert_allclose(got[day], so_far[day] / so_far[day - 20 : day].mean(axis=0), rtol=1e-12)


def test_ranges_of_other_sessions_are_held_until_the_next():
    panel = bars(288 * 6, "2024-07-05T12:00", n=1, kind="fx", calendar="24/7")
    high, low, close = (panel.field(f)[0] for f in ("high", "low", "close"))
    first, last = ns("2024-07-08T22:00"), ns("2024-07-09T07:00")  # London opens at 07:00 UTC in summer
    asia = (panel.start >= first) & (panel.start < last)
    later = (panel.start >= last) & (panel.start < ns("2024-07-09T22:00")) & panel.present[0]
    assert set(one(panel, "asian_high")[0, later]) == {np.nanmax(high[asia])}
    assert set(one(panel, "asian_low")[0, later]) == {np.nanmin(low[asia])}
    context = replace(FeatureContext.of(panel), given_names=("pip_size",), given=np.full((1, panel.shape[1], 1), 1e-4))
    pips = (np.nanmax(high[asia]) - np.nanmin(low[asia])) / 1e-4
    np.testing.assert_allclose(one(panel, "asian_range_pips", context)[0, later], pips, rtol=1e-10)
    london = (panel.start >= last) & (panel.start < last + 9 * HOUR) & panel.present[0]
    opening = panel.field("open")[0, np.flatnonzero(london)[0]]
    gain = one(panel, "london_gain_pips", context)[0]
    np.testing.assert_allclose(gain[london], (close[london] - opening) / 1e-4, rtol=1e-8, atol=1e-9)
    weekend = (panel.start >= ns("2024-07-06T00:00")) & (panel.start < ns("2024-07-08T00:00"))
    got = one(panel, "weekend_low_distance")[0]
    after = (panel.start >= ns("2024-07-08T00:00")) & panel.present[0]
    np.testing.assert_allclose(got[after], close[after] / np.nanmin(low[weekend]) - 1.0, rtol=1e-12)
    assert np.isnan(got[panel.start < ns("2024-07-06T00:00")]).all()


def test_overnight_change_starts_from_the_last_regular_value():
    panel = replace(bars(12 * 26, "2024-07-08T12:00", n=1, kind="stock"), calendar="XNYS")
    future = 5000.0 + np.arange(panel.shape[1], dtype=float)
    context = FeatureContext.of(panel, reference_names=("es",), reference=future[None])
    got = one(panel, "overnight_futures_change_es", context)[0]
    regular = (panel.start >= ns("2024-07-08T13:30")) & (panel.start < ns("2024-07-08T20:00"))
    premarket = (panel.start >= ns("2024-07-09T08:00")) & (panel.start < ns("2024-07-09T13:30")) & panel.present[0]
    before = future[np.flatnonzero(regular)[-1]]
    np.testing.assert_allclose(got[premarket], future[premarket] / before - 1.0, rtol=1e-12)


def test_bands_are_tighter_in_asia():
    panel = bars(288 * 2, "2024-07-08T00:00", n=1, kind="fx", calendar="24/5", holes=0.0)
    close = panel.field("close")[0]
    got = one(panel, "bb_place_session_20")[0]
    upper, lower = one(panel, "bb_session_upper")[0], one(panel, "bb_session_lower")[0]
    wide, beyond = one(panel, "bb_session_width")[0], one(panel, "price_vs_bb_session")[0]
    for t, width in ((36, 1.8), (120, 2.2), (200, 2.2), (300, 1.8)):
        window = close[t - 19 : t + 1]
        expected = 0.5 + (close[t] - window.mean()) / (2.0 * width * window.std())
        assert got[t] == pytest.approx(expected, rel=1e-9)
        assert upper[t] == pytest.approx(window.mean() + width * window.std(), rel=1e-12)
        assert lower[t] == pytest.approx(window.mean() - width * window.std(), rel=1e-12)
        assert wide[t] == pytest.approx(2.0 * width * window.std() / window.mean(), rel=1e-9)
        assert beyond[t] == pytest.approx((close[t] - window.mean()) / (width * window.std()), rel=1e-9)


def test_rows_within_the_day_are_absent_on_daily_bars_with_the_reason():
    panel = bars(30, "2024-07-08T00:00")
    start = panel.start[0] + np.arange(30, dtype=np.int64) * DAY
    daily = replace(panel, frame="1d", start=start, end=start + DAY, available_at=start + DAY)
    names = ["vwap", "rvol", "is_weekend", "is_us_trading_hours", "day_of_week", "hour_sin"]
    available, absent = resolve(names, daily)
    assert [spec.name for spec in available] == ["is_weekend", "day_of_week"]
    assert "within the day" in absent["vwap"]
    assert "hour says nothing" in absent["hour_sin"]
    alone, _ = resolve(["vwap", "rvol"], panel.select(panel.instruments[:1]))
    assert len(alone) == 2


def test_live_equals_history_within_the_day():
    panel = bars(288 * 3, "2024-07-05T12:00")
    names = ["vwap", "vwap_zscore", "rvol", "asian_range", "weekend_low_distance", "avg_volatility_this_hour"]
    context = FeatureContext.of(panel)
    history = compute(panel, names, context).values
    driver = LiveDriver(panel.instruments, names, context, panel.fields)
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(panel.shape[1])]
    assert np.array_equal(np.stack(rows, axis=1), history, equal_nan=True)
    part = compute(panel.cut(0, 400), names, FeatureContext.of(panel.cut(0, 400))).values
    assert np.array_equal(part, history[:, :400], equal_nan=True)
