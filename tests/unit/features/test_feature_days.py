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
from foresail.features.context import FeatureContext
from foresail.features.given_context import sector_ranks
from foresail.features.live import LiveDriver
from foresail.features.published import lagged_by_days, published_numbers
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


def test_live_equals_history_for_rows_of_days():
    panel = hourly(6)
    names = ["vix_change", "spy_return"]
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
