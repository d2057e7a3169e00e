"""Panels, cuts, resampling and the content hash."""

from datetime import date

import numpy as np
import pytest

from foresail.core.clock import NS_PER_S
from foresail.core.errors import ConfigError, DataError
from foresail.domain.bars import BarSet, bar_table
from foresail.domain.calendars import sessions
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.store.gate import check
from foresail.store.hashing import content_hash
from foresail.store.panels import PANEL_FIELDS, cut_known, end_of_day_ns, to_panel
from foresail.store.resample import resample

A, B = "stock.US.AAA", "stock.US.BBB"
HOUR = 3600 * NS_PER_S
_, OPENS, CLOSES = sessions("XNYS", date(2020, 1, 2), date(2020, 3, 31))


def bar_set(**changes):
    base = {
        "name": "t", "asset_class": AssetClass.STOCK, "frame": "1d", "calendar": "XNYS",
        "price_basis": PriceBasis.RAW, "universe_basis": "unknown", "currency": "USD", "grace_s": 1.0,
        "known_by_date": False, "close_only": False, "instruments": (),
    }  # fmt: skip
    return BarSet(**(base | changes))


def days(instrument, positions, close):
    index = list(positions)
    return {
        "instrument": [instrument] * len(index),
        "start": OPENS[index],
        "end": CLOSES[index],
        "available_at": CLOSES[index] + NS_PER_S,
        "close": np.asarray(close, dtype=float),
    }


def joined(*parts):
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def test_grid_is_the_union_and_absent_is_nan():
    bars = bar_table(joined(days(B, [1, 2, 4], [5, 6, 7]), days(A, [0, 1, 2], [1, 2, 3])))
    panel = to_panel(bars, bar_set())
    assert panel.instruments == (A, B)
    assert panel.fields == PANEL_FIELDS
    assert panel.end.tolist() == CLOSES[[0, 1, 2, 4]].tolist()
    np.testing.assert_array_equal(panel.field("close"), [[1, 2, 3, np.nan], [np.nan, 5, 6, 7]])
    assert panel.present.tolist() == [[True, True, True, False], [False, True, True, True]]
    assert panel.field("total_factor")[0, 0] == 1.0
    assert np.isnan(panel.field("total_factor")[1, 0])
    assert np.isnan(panel.field("open")).all()
    assert panel.values.flags.c_contiguous
    assert (panel.available_at == panel.end + NS_PER_S).all()


def test_bars_outside_the_sessions_are_left_out():
    columns = joined(days(A, [0, 1], [1, 2]), days(A, [2], [3]))
    columns["end"][2] += HOUR
    columns["available_at"][2] += HOUR
    assert to_panel(bar_table(columns), bar_set()).end.tolist() == CLOSES[[0, 1]].tolist()


def test_a_panel_shows_first_prints_unless_asked_for_the_latest():
    first, later = days(A, [0, 1], [1, 2]), days(A, [0], [9])
    later["available_at"] += 10 * 86_400 * NS_PER_S
    bars = bar_table(joined(first, later))
    assert to_panel(bars, bar_set()).field("close")[0].tolist() == [1, 2]
    assert to_panel(bars, bar_set(), latest=True).field("close")[0].tolist() == [9, 2]
    before = int(CLOSES[1]) + 3600 * NS_PER_S
    assert to_panel(bars, bar_set(), latest=True, known_at_ns=before).field("close")[0].tolist() == [1, 2]


def test_a_bar_published_late_is_absent_when_the_decision_was_due():
    names = [f"stock.US.{letter}" for letter in "CDE"]
    parts = [days(name, [0, 1, 2], [1, 2, 3]) for name in names]
    parts[0]["available_at"][1] += 3 * 86_400 * NS_PER_S
    panel = to_panel(bar_table(joined(*parts)), bar_set())
    assert panel.present.tolist() == [[True, False, True], [True] * 3, [True] * 3]
    assert panel.available_at[1] == CLOSES[1] + NS_PER_S


def test_a_split_of_a_late_bar_reaches_the_next_bar():
    names = [f"stock.US.{letter}" for letter in "CDE"]
    parts = [days(name, [0, 1, 2], [1, 2, 3]) | {"split": np.ones(3)} for name in names]
    parts[0]["available_at"][1] += 3 * 86_400 * NS_PER_S
    parts[0]["split"][1] = 2.0
    panel = to_panel(bar_table(joined(*parts)), bar_set())
    assert panel.field("split")[0, 2] == 2.0


def test_knowledge_never_goes_back():
    parts = [days(f"stock.US.{letter}", [0, 1, 2], [1, 2, 3]) for letter in "CD"]
    for part in parts:
        part["available_at"][0] += 5 * 86_400 * NS_PER_S
    panel = to_panel(bar_table(joined(*parts)), bar_set())
    assert np.all(np.diff(panel.available_at) >= 0)
    assert panel.available_at[1] == panel.available_at[0]


def test_until_cuts_by_knowledge_not_by_bar_end():
    bars = bar_table(days(A, [0, 1, 2], [1, 2, 3]))
    until = end_of_day_ns(date(2020, 1, 3))
    assert to_panel(bars, bar_set(), known_at_ns=until).shape[1] == 2
    assert to_panel(bars, bar_set(), known_at_ns=int(CLOSES[1])).shape[1] == 1  # the grace counts
    assert cut_known(bars, until).table.num_rows == 2


def test_no_data_in_range_names_the_first_date():
    bars = bar_table(days(A, [0, 1], [1, 2]))
    with pytest.raises(DataError, match="no data in range: nothing was known by 2019-12-31") as caught:
        to_panel(bars, bar_set(), known_at_ns=end_of_day_ns(date(2019, 12, 31)))
    assert "2020-01-02" in str(caught.value)
    with pytest.raises(DataError, match="no bar"):
        to_panel(bar_table(days(A, [], [])), bar_set())


def test_the_hash_ignores_order_and_recording_but_no_value():
    columns = joined(days(A, [0, 1, 2], [1, 2, 3]), days(B, [0, 2], [4, 5]))
    base = content_hash(bar_table(columns))
    mixed = {name: values[[3, 0, 4, 2, 1]] for name, values in columns.items()}
    assert content_hash(bar_table(mixed)) == base
    assert content_hash(bar_table(columns | {"recorded_at": np.full(5, 77)})) == base
    changed = columns | {"close": columns["close"] + np.array([0, 0, 0, 0, 1e-12])}
    assert content_hash(bar_table(changed)) != base
    assert content_hash(bar_table({name: values[:4] for name, values in columns.items()})) != base


def minutes(calendar_set, count, length):
    first = int(OPENS[0])
    start = first + np.arange(count) * length
    rng = np.random.default_rng(3)
    close = 10 + np.cumsum(rng.normal(0, 0.01, count))
    open_ = np.r_[10.0, close[:-1]]
    return {
        "instrument": [A] * count, "start": start, "end": start + length, "available_at": start + length + NS_PER_S,
        "open": open_, "high": np.maximum(open_, close) + 0.01, "low": np.minimum(open_, close) - 0.01,
        "close": close, "volume": rng.integers(1, 100, count).astype(float),
    }  # fmt: skip


def test_sixty_minutes_make_one_exact_hour():
    columns = minutes(bar_set(), 120, 60 * NS_PER_S)
    coarse, new_set, dropped = resample(bar_table(columns), bar_set(frame="1m"), "1h")
    assert (new_set.frame, dropped, coarse.table.num_rows) == ("1h", 0, 2)
    row = coarse.table.to_pylist()[1]
    part = slice(60, 120)
    assert row["open"] == columns["open"][60]
    assert row["high"] == columns["high"][part].max()
    assert row["low"] == columns["low"][part].min()
    assert row["close"] == columns["close"][119]
    assert row["volume"] == columns["volume"][part].sum()
    assert row["available_at"] == columns["available_at"][119]


def test_a_session_makes_seven_hours_the_last_one_short_and_one_day():
    columns = minutes(bar_set(), 390, 60 * NS_PER_S)
    hours, _, dropped = resample(bar_table(columns), bar_set(frame="1m"), "1h")
    assert (hours.table.num_rows, dropped) == (7, 0)
    assert hours.table.column("end")[6].as_py() == CLOSES[0]
    day, _, dropped = resample(bar_table(columns), bar_set(frame="1m"), "1d")
    assert (day.table.num_rows, dropped) == (1, 0)
    assert day.table.column("start")[0].as_py() == OPENS[0]


def test_an_incomplete_hour_is_counted_and_left_out():
    columns = minutes(bar_set(), 120, 60 * NS_PER_S)
    short = {name: np.delete(np.asarray(values), 30) for name, values in columns.items()}
    coarse, _, dropped = resample(bar_table(short), bar_set(frame="1m"), "1h")
    assert (coarse.table.num_rows, dropped) == (1, 1)
    with pytest.raises(ConfigError, match="no multiple of 1m"):
        resample(bar_table(columns), bar_set(frame="1m"), "90s")


def test_forex_hours_make_six_hour_bars_at_utc_marks():
    _, opens, closes = sessions("24/5", date(2024, 1, 8), date(2024, 1, 10))
    start = np.arange(int(opens[0]), int(closes[-1]), HOUR)
    columns = {
        "instrument": ["fx.EUR-USD"] * len(start), "start": start, "end": start + HOUR, "available_at": start + HOUR,
        **{name: np.full(len(start), 1.1) for name in ("open", "high", "low", "close", "volume")},
    }  # fmt: skip
    fx = bar_set(frame="1h", calendar="24/5", asset_class=AssetClass.FOREX)
    bars, _ = check(bar_table(columns), fx)
    coarse, _, _ = resample(bars, fx, "6h")
    starts = coarse.table.column("start").to_numpy()
    assert set((starts // HOUR) % 24) <= {0, 6, 12, 18}
