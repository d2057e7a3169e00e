"""Rows from day to day on bars within the day: a daily series on hourly rows, means and deviations over days."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foresail.domain.bars import BarSet
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.panel import Panel
from foresail.engine.pipeline import feature_inputs
from foresail.engine.settings import MarketData
from foresail.features.batch import compute
from foresail.features.catalogue import resolve
from foresail.features.coarse import coarsen
from foresail.features.context import FeatureContext
from foresail.features.given_context import sector_ranks
from foresail.features.live import LiveDriver
from foresail.features.published import lagged_by_days, published_numbers
from foresail.features.session_flags import calendar_numbers
from foresail.measures.asof import asof_series

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MONDAY = int(np.datetime64("2024-07-08", "ns").astype(np.int64))
FIELDS = ("open", "high", "low", "close", "volume")


def hourly(days: int, kind: str = "stock.US.", n: int = 2, seed: int = 1) -> Panel:
    t = 24 * days
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0, 0.004, (n, t)), axis=1))
    values = np.repeat(close[:, :, None], 5, axis=2)
    start = MONDAY + np.arange(t, dtype=np.int64) * HOUR
    ids = tuple(f"{kind}N{i}" for i in range(n))
    return Panel(values, np.ones((n, t), bool), start, start + HOUR, start + HOUR, FIELDS, ids, "1h", "24/7")


def daily(values: list[float] | np.ndarray, hour: int = 21) -> tuple[np.ndarray, np.ndarray]:
    """A series that is published once a day at an hour UTC, from Monday on."""
    values = np.asarray(values, dtype=float)
    return MONDAY + np.arange(len(values), dtype=np.int64) * DAY + hour * HOUR, values


def context_of(panel: Panel, series: dict[str, tuple[np.ndarray, np.ndarray]]) -> FeatureContext:
    at = panel.available_at
    rows = {name: asof_series(times, values, at) for name, (times, values) in series.items()}
    rows |= published_numbers(series, at, {})
    names = tuple(sorted(rows))
    return FeatureContext.of(panel, reference_names=names, reference=np.array([rows[k] for k in names]))


def test_the_change_of_a_daily_series_stays_until_the_next_one():
    panel = hourly(4)
    # Published at 21:00 of Monday to Thursday; the equal values of Tuesday and Wednesday are still two days.
    series = {"vix": daily([14.0, 16.0, 16.0, 13.0]), "sp500": daily([100.0, 110.0, 110.0, 99.0])}
    out = compute(panel, ["vix_change", "spy_return"], context_of(panel, series))
    change, move = out.field("vix_change")[0], out.field("spy_return")[0]
    tuesday, wednesday, thursday = 24 + 20, 48 + 20, 72 + 20  # the bars that end at 21:00
    assert np.isnan(change[:tuesday]).all()
    assert set(change[tuesday:wednesday]) == {2.0}
    assert set(change[wednesday:thursday]) == {0.0}
    assert set(change[thursday:]) == {-3.0}
    np.testing.assert_allclose(move[tuesday:wednesday], 0.1, rtol=1e-12)
    np.testing.assert_allclose(move[thursday:], -0.1, rtol=1e-12)


def test_a_series_of_hours_moves_by_the_bar_but_its_day_by_the_day_before():
    panel = hourly(3)
    hours = MONDAY + np.arange(1, 73, dtype=np.int64) * HOUR
    values = 20.0 + np.arange(72.0)
    series = {"vix": (hours, values), "sp500": (hours, values)}
    out = compute(panel, ["vix_change", "spy_return"], context_of(panel, series))
    np.testing.assert_allclose(out.field("spy_return")[0, 1:], values[1:] / values[:-1] - 1.0, rtol=1e-12)
    # Midnight ends a day: the last value of Monday is that of 24:00.
    np.testing.assert_array_equal(out.field("vix_change")[0, 24:48], values[24:48] - values[23])
    assert np.isnan(out.field("vix_change")[0, :24]).all()


def test_twenty_days_of_the_market_are_days_on_hourly_rows():
    panel = hourly(24)
    closes = 100.0 * 1.01 ** np.arange(24)
    out = compute(panel, ["market_trend"], context_of(panel, {"sp500": daily(closes)})).field("market_trend")[0]
    first = 20 * 24 + 20
    assert np.isnan(out[:first]).all()
    np.testing.assert_allclose(out[first:], 1.01**20 - 1.0, rtol=1e-10)


def test_sectors_move_and_are_ranked_by_days_on_hourly_rows():
    panel = hourly(45)
    rng = np.random.default_rng(3)
    funds = 40.0 * np.exp(np.cumsum(rng.normal(0, 0.01, (2, 45)), axis=1))
    at, days, closes = panel.available_at, [], []
    for fund in funds:
        times, values = daily(fund)
        closes.append(asof_series(times, values, at))
        days.append(published_numbers({"sector_energy": (times, values)}, at, {})["day_of_sector_energy"])
    ranks = sector_ranks(np.array(closes), np.array(days))
    given = np.stack([np.array(days), np.array(closes), ranks], axis=2)
    context = replace(
        FeatureContext.of(panel), given_names=("day_of_sector", "sector_close", "sector_rank"), given=given
    )
    out = compute(panel, ["sector_performance", "sector_rotation"], context)
    day = 41  # the fund of day 41 is known from its bar of 21:00 on
    rows = slice(day * 24 + 20, day * 24 + 44)
    expected = funds[:, day] / funds[:, day - 1] - 1.0
    np.testing.assert_allclose(out.field("sector_performance")[:, rows], expected[:, None] * np.ones(24), rtol=1e-10)
    now = funds[:, day] / funds[:, day - 20] > (funds[:, day] / funds[:, day - 20])[::-1]
    then = funds[:, day - 20] / funds[:, day - 40] > (funds[:, day - 20] / funds[:, day - 40])[::-1]
    np.testing.assert_array_equal(ranks[:, rows], now[:, None] * np.ones(24))
    turned = now.astype(float) - then
    np.testing.assert_array_equal(out.field("sector_rotation")[:, rows], turned[:, None] * np.ones(24))


def test_days_before_by_hand():
    values = np.array([1.0, 2.0, np.nan, 3.0, 4.0, 5.0])
    numbers = np.array([7.0, 7.0, 7.0, 8.0, 8.0, 11.0])
    np.testing.assert_array_equal(lagged_by_days(values, numbers, 1), [np.nan, np.nan, np.nan, 2.0, 2.0, 4.0])
    np.testing.assert_array_equal(lagged_by_days(values, numbers, 2), [np.nan] * 5 + [2.0])
    assert np.isnan(lagged_by_days(np.full(3, np.nan), numbers[:3], 1)).all()


def with_given(panel: Panel, name: str, values: np.ndarray) -> FeatureContext:
    rows = np.broadcast_to(values, panel.present.shape)[:, :, None]
    return replace(FeatureContext.of(panel), given_names=(name,), given=np.ascontiguousarray(rows, dtype=float))


def test_volatility_of_thirty_days_is_that_of_daily_bars_at_the_end_of_each_day():
    panel = hourly(40, "crypto.")
    ends = np.arange(23, 40 * 24, 24)
    days = coarsen(panel, "1d").panel
    wanted = compute(days, ["volatility_30d"], FeatureContext.of(days)).values[:, :, 0]
    got = compute(panel, ["volatility_30d"], FeatureContext.of(panel)).values[:, :, 0]
    np.testing.assert_array_equal(got[:, ends], wanted)
    assert np.isnan(got[:, : 30 * 24]).all()
    assert np.isfinite(got[:, 30 * 24 :]).all()
    close = panel.field("close")[0]
    at = 35 * 24 + 7  # the newest return is that of the day so far
    closes = np.append(close[ends[4:35]], close[at])
    expected = np.std(np.diff(np.log(closes))[-30:], ddof=1) * np.sqrt(365.0)
    np.testing.assert_allclose(got[0, at], expected, rtol=1e-10)


def test_volatility_of_days_says_nothing_on_weeks():
    panel = hourly(2, "crypto.")
    start = MONDAY + np.arange(48, dtype=np.int64) * 7 * DAY
    weeks = replace(panel, frame="1w", start=start, end=start + 7 * DAY, available_at=start + 7 * DAY)
    _, absent = resolve(["volatility_30d"], weeks)
    assert absent == {"volatility_30d": "needs bars of a day or shorter, and these are of 1w"}
    assert np.isnan(compute(weeks, ["volatility_30d"], FeatureContext.of(weeks)).values).all()


def test_days_of_crypto_are_days_on_hourly_rows():
    panel = hourly(40, "crypto.")
    day = np.arange(40 * 24) // 24
    addresses = 100.0 + day  # one figure a day
    got = compute(panel, ["active_addresses_7d_ma"], with_given(panel, "active_addresses", addresses)).values[0, :, 0]
    assert np.isnan(got[: 6 * 24]).all()
    np.testing.assert_array_equal(got[6 * 24 :], (97.0 + day)[6 * 24 :])
    locked = 100.0 * 2.0**day
    got = compute(panel, ["tvl_change_7d"], with_given(panel, "tvl", locked)).values[0, :, 0]
    assert set(got[7 * 24 :]) == {127.0}
    flow = np.where(day == 35, 215.0, 100.0)  # 215 exceeds twice 103.83, the mean of thirty days
    alarm = compute(panel, ["exchange_inflow_alarm"], with_given(panel, "exchange_inflow", flow)).values[0, :, 0]
    assert set(alarm[35 * 24 : 36 * 24]) == {1.0}
    assert set(alarm[36 * 24 :]) == {0.0}
    assert np.isnan(alarm[: 29 * 24]).all()
    model = compute(panel, ["tvl"], with_given(panel, "tvl", locked), form="model").values[0, :, 0]
    np.testing.assert_allclose(model[35 * 24], 30.0 / (2.0 - 2.0**-29) - 1.0, rtol=1e-12)
    score = compute(panel, ["sentiment_momentum_3d"], with_given(panel, "sentiment_score", day / 100.0)).values[0, :, 0]
    np.testing.assert_allclose(score[3 * 24 :], 0.03, rtol=1e-9)


def minutes(start: str, t: int, kind: str, calendar: str, step: int = 30) -> Panel:
    begin = int(np.datetime64(start, "ns").astype(np.int64)) + np.arange(t, dtype=np.int64) * step * HOUR // 60
    end = begin + step * HOUR // 60
    close = 100.0 + np.arange(t)
    values = np.stack([close - 0.25, close + 1, close - 1, close, close], axis=1)[None]
    present = np.ones((1, t), bool)
    return Panel(values.copy(), present, begin, end, end, FIELDS, (f"{kind}N",), f"{step}m", calendar)


def test_a_stock_gaps_at_its_open_and_before_it_by_the_price_so_far():
    panel = minutes("2024-07-08T08:00", 48 * 3, "stock.US.", "XNYS")  # Monday 04:00 in New York
    opening, close = panel.field("open")[0], panel.field("close")[0]
    got = compute(panel, ["gap_percent", "gap_direction"], FeatureContext.of(panel))
    gap, side = got.field("gap_percent")[0], got.field("gap_direction")[0]

    def row(when: str) -> int:
        return int(np.flatnonzero(panel.start == np.datetime64(when, "ns").astype(np.int64))[0])

    first, last = row("2024-07-09T13:30"), row("2024-07-09T19:30")
    before = close[row("2024-07-08T19:30")]  # the last bar of Monday's session
    assert np.isnan(gap[: row("2024-07-09T08:00")]).all()
    np.testing.assert_allclose(gap[first : row("2024-07-10T08:00")], opening[first] / before - 1.0, rtol=1e-12)
    early = np.arange(row("2024-07-09T08:00"), first)
    np.testing.assert_allclose(gap[early], close[early] / before - 1.0, rtol=1e-12)
    nine = row("2024-07-10T09:00")
    np.testing.assert_allclose(gap[nine], close[nine] / close[last] - 1.0, rtol=1e-12)
    assert set(side[first:]) == {1.0}


def test_forex_gaps_on_sunday_and_holds_it_for_the_week():
    panel = minutes("2024-07-05T12:00", 48 * 5, "fx.", "24/5")  # Friday
    closed = calendar_numbers(panel.start, panel.end, "24/5", ["opening_window"])[0] < 0
    panel.present[0, closed] = False
    panel.values[0, closed] = np.nan
    gap = compute(panel, ["gap_percent"], FeatureContext.of(panel)).values[0, :, 0]
    friday, sunday = np.flatnonzero(~closed & (np.arange(len(closed)) < 60))[-1], np.flatnonzero(closed)[-1] + 1
    assert str(np.datetime64(int(panel.end[friday]), "ns"))[:13] == "2024-07-05T21"
    assert str(np.datetime64(int(panel.start[sunday]), "ns"))[:13] == "2024-07-07T21"
    expected = panel.field("open")[0, sunday] / panel.field("close")[0, friday] - 1.0
    np.testing.assert_allclose(gap[sunday:], expected, rtol=1e-12)
    assert np.isnan(gap[:sunday]).all()


def test_daily_bars_of_forex_gap_on_mondays_only():
    start = np.array([to_utc(f"2024-07-{day:02d}T21:00") for day in (1, 2, 3, 4, 7, 8, 9)])  # 17:00 in New York
    panel = minutes("2024-07-05T12:00", 7, "fx.", "24/5")
    panel = replace(panel, start=start, end=start + DAY, available_at=start + DAY, frame="1d")
    gap = compute(panel, ["gap_percent"], FeatureContext.of(panel)).values[0, :, 0]
    opening, close = panel.field("open")[0], panel.field("close")[0]
    assert np.isnan(gap[:4]).all()
    np.testing.assert_allclose(gap[4:], opening[4] / close[3] - 1.0, rtol=1e-12)


def test_daily_bars_of_forex_from_midnight_to_midnight_gap_on_the_sunday():
    days = (3, 4, 5, 7, 8)  # Wednesday to Friday; Sunday holds the first hours of the new week
    start = np.array([to_utc(f"2024-07-{day:02d}T00:00") for day in days])
    panel = minutes("2024-07-05T12:00", 5, "fx.", "24/5")
    panel = replace(panel, start=start, end=start + DAY, available_at=start + DAY, frame="1d")
    gap = compute(panel, ["gap_percent"], FeatureContext.of(panel)).values[0, :, 0]
    assert np.isnan(gap[:3]).all()
    expected = panel.field("open")[0, 3] / panel.field("close")[0, 2] - 1.0
    np.testing.assert_allclose(gap[3:], expected, rtol=1e-12)


def to_utc(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def test_live_equals_history_for_rows_of_days():
    panel = hourly(6)
    names = ["vix_change", "spy_return", "gap_percent"]
    context = context_of(panel, {"vix": daily(range(12, 18)), "sp500": daily(range(90, 96))})
    history = compute(panel, names, context).values
    driver = LiveDriver(panel.instruments, names, context, panel.fields)
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(panel.shape[1])]
    assert np.array_equal(np.stack(rows, axis=1), history, equal_nan=True)


def test_a_market_with_a_daily_index_on_hourly_bars_gives_the_change_of_days():
    panel = hourly(3)
    names = tuple(Instrument(i, i, AssetClass.STOCK, sector="energy") for i in panel.instruments)
    bar_set = BarSet(
        "test", AssetClass.STOCK, "1h", "24/7", PriceBasis.RAW, "point_in_time", "USD", 0.0, False, False, names
    )
    series = {"vix": daily([14.0, 16.0, 13.0]), "sector_energy": daily([10.0, 11.0, 11.0])}
    data = MarketData(bars=panel, bar_set=bar_set, reference=series, blocked_from=np.full(2, panel.shape[1]))
    wanted = ["vix_change", "sector_performance", "spy_return"]
    context, specs, absent = feature_inputs(data, wanted)
    assert [spec.name for spec in specs] == wanted[:2]
    assert absent == {"spy_return": "needs the reference series sp500, which was not given"}
    out = compute(panel, wanted[:2], context)
    assert set(out.field("vix_change")[1, 44:68]) == {2.0}
    np.testing.assert_allclose(out.field("sector_performance")[1, 44:68], 0.1, rtol=1e-12)
