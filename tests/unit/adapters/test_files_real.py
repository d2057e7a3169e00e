"""The shared market data: every dirty file is imported, quarantined or refused; recipes, known events, cut files."""

import os
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from foresail.adapters.files.load import describe, load_description
from foresail.adapters.files.reader import read_bars
from foresail.core.errors import DataError
from foresail.store.gate import check
from foresail.store.panels import end_of_day_ns, to_panel

pytestmark = pytest.mark.data

REPO = Path(__file__).parents[3]
DATA = Path(os.environ.get("FORESAIL_DATA", REPO / ".." / "shared" / "data")).resolve()
SETS = REPO / "benchmarks" / "sets"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"market data not found at {DATA}: set FORESAIL_DATA")
pytestmark = [pytest.mark.data, needs_data]

# What becomes of each file as it comes, and with its description accepted: refused (row, words) or imported.
REFUSED_AS_IT_COMES = {
    "binance_btcusdt_1h_mixed_epoch.csv.gz": (234, "unit of time changes from ms to s"),
    "gemini_btcusd_1h_two_headers.csv.gz": (1, "8 cells where the header has 2"),
    "mt5_eurusd_h4_daily_bars_inside.csv.gz": (7162, "time of day changes"),
    "mt5_eurusd_h4_scaled_broker_time.csv.gz": (1, "times without a time zone"),
    "phrasebank_cr_latin1.csv": (57, "a byte that is not utf-8 text"),
    "spy_calls_2025-09-12_web_page.csv": (1, "at least two columns separated by ','"),
}
IMPORTED_AS_IT_COMES = {
    "market_prices_missing_and_repeated.csv.gz": {"DATA-54"},
    "spy_1min_appended_cache.csv.gz": {"DATA-53"},
    "yahoo_two_header_rows.csv.gz": {"DATA-51"},
}


def whole(path, overrides=None):
    bars, bar_set, unread, notes = read_bars(load_description(path, overrides))
    accepted, report = check(bars, bar_set)
    return accepted, bar_set, (*unread, *report.quarantined), report, notes


def accepted_proposal(name, tmp_path, **overrides):
    shutil.copy(DATA / "dirty" / name, tmp_path / name)
    (tmp_path / "foresail-set.toml").write_text(describe(tmp_path / name)[1])
    return whole(tmp_path, overrides)


def dirty_files():
    folder = DATA / "dirty"
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("name", dirty_files())
def test_every_dirty_file_is_imported_quarantined_or_refused(name):
    path = DATA / "dirty" / name
    if name in REFUSED_AS_IT_COMES:
        row, words = REFUSED_AS_IT_COMES[name]
        with pytest.raises(DataError, match=words) as caught:
            whole(path)
        assert (caught.value.file, caught.value.row, caught.value.rule) == (name, row, "DATA-51")
        assert caught.value.hint
        return
    _, _, quarantined, report, _ = whole(path)
    assert report.accepted > 1000
    assert {q.rule for q in quarantined} == IMPORTED_AS_IT_COMES[name]
    for row in quarantined:
        assert (row.file, row.row > 0, bool(row.column), bool(row.original)) == (name, True, True, True)


def test_repeated_downloads_collapse_and_only_differing_minutes_are_set_aside():
    _, _, quarantined, report, _ = whole(DATA / "dirty" / "spy_1min_appended_cache.csv.gz")
    assert (report.collapsed, len(quarantined)) == (5057, 22)


def test_binance_hours_with_the_quirk_said(tmp_path):
    accepted, bar_set, quarantined, report, _ = accepted_proposal("binance_btcusdt_1h_mixed_epoch.csv.gz", tmp_path)
    assert Counter(q.rule for q in quarantined) == {"DATA-53": 5298}
    first = accepted.table.to_pylist()[0]
    assert (first["open"], first["close"]) == (16199.91, 4308.83)  # the false open and high of the source
    spikes = [f for f in report.flags if f.end == first["end"]]
    assert [f.rule for f in spikes] == ["DATA-55"]
    assert bar_set.instruments[0].id == "crypto.SPOT.BTC-USDT"


def test_gemini_zero_prices_are_quarantined(tmp_path):
    _, _, quarantined, _, _ = accepted_proposal("gemini_btcusd_1h_two_headers.csv.gz", tmp_path)
    assert [(q.row, q.rule, q.reason) for q in quarantined] == [(2508, "DATA-52", "a price that is not positive")]


def test_metatrader_points_in_broker_time_agree_with_the_converted_set(tmp_path):
    accepted, _, quarantined, _, _ = accepted_proposal("mt5_eurusd_h4_scaled_broker_time.csv.gz", tmp_path, zone="EET")
    assert quarantined == ()
    reference = pd.read_parquet(DATA / "forex_4h" / "mt5_4h.parquet")
    reference = reference[reference.symbol == "EURUSD"].set_index("ts").close
    ours = pd.Series(
        accepted.table.column("close").to_numpy(),
        index=pd.to_datetime(accepted.table.column("start").to_numpy(), utc=True),
    )
    both = pd.concat([ours, reference], axis=1, join="inner").to_numpy()
    assert len(both) > 3000
    assert np.median(np.abs(both[:, 0] / both[:, 1] - 1)) < 2e-4


def test_the_four_hour_file_with_daily_bars_needs_its_old_part_left_out(tmp_path):
    name = "mt5_eurusd_h4_daily_bars_inside.csv.gz"
    keys = {"frame": "4h", "time": "start", "zone": "EET"}
    with pytest.raises(DataError, match="whole days apart, from 1971") as caught:
        accepted_proposal(name, tmp_path, **keys)
    begin = caught.value.hint.split('from = "')[1][:10]
    accepted, _, _, _, _ = accepted_proposal(name, tmp_path, **keys, quirks={"from": begin})
    steps = np.diff(accepted.table.column("end").to_numpy()) // (3600 * 10**9)
    assert np.median(steps) == 4


@pytest.mark.parametrize("name", sorted(p.name for p in SETS.iterdir()))
def test_recipes_read(name, monkeypatch):
    monkeypatch.setenv("FORESAIL_DATA", str(DATA))
    accepted, bar_set, quarantined, report, _ = whole(SETS / name)
    assert bar_set.name == name
    assert report.accepted / report.received > 0.999
    assert len(quarantined) < 10
    panel = to_panel(accepted, bar_set)
    assert panel.shape[0] == len(bar_set.instruments)
    assert np.all(np.diff(panel.available_at) >= 0)
    assert (panel.available_at >= panel.end).all()


@pytest.fixture(scope="module")
def pit():
    os.environ.setdefault("FORESAIL_DATA", str(DATA))
    return whole(SETS / "us_stocks_pit_2015_2017")


def at(bars, instrument, day):
    end = end_of_day_ns(day)
    table = bars.table
    rows = table.filter(
        pc.and_(
            pc.equal(table.column("instrument"), instrument),
            pc.and_(pc.less_equal(table.column("end"), end), pc.greater(table.column("end"), end - 86_400 * 10**9)),
        )
    )
    return rows.to_pylist()[0]


@pytest.mark.parametrize(
    ("symbol", "day", "ratio"),
    [
        ("NFLX", date(2015, 7, 15), 7.0),
        ("SBUX", date(2015, 4, 9), 2.0),
        ("NKE", date(2015, 12, 24), 2.0),
        ("MGA", date(2015, 3, 26), 2.0),
        ("ARR", date(2015, 8, 3), 1 / 8),
        ("CAA", date(2015, 10, 1), 1 / 5),
    ],
)
def test_splits_of_2015_show_in_revisions(pit, symbol, day, ratio):
    bars, _, _, report, _ = pit
    row = at(bars, f"stock.US.{symbol}", day)
    assert row["split"] == pytest.approx(ratio)
    assert f"stock.US.{symbol}" not in dict(report.blocked)


def test_an_unexplained_jump_blocks_and_is_listed(pit):
    _, _, _, report, _ = pit
    blocked = dict(report.blocked)
    assert 40 < len(blocked) < 170
    for symbol in ("FHB", "RMI"):  # true bad prints, kept as they came
        assert f"stock.US.{symbol}" in blocked
    listed = {f.instrument for f in report.flags if f.rule in ("DATA-55", "DATA-56")}
    assert set(blocked) <= listed


def test_the_history_is_known_a_second_after_the_next_open(pit):
    bars, bar_set, _, _, _ = pit
    assert bar_set.known_by_date
    row = at(bars, "stock.US.ZUMZ", date(2016, 9, 29))
    known = pd.Timestamp(row["available_at"], tz="UTC")
    assert str(known) == "2016-09-30 13:30:01+00:00"


def test_dividends_come_from_the_adjusted_close():
    bars, _, _, _ = read_bars(load_description(SETS / "us_stocks_daily_2003_2016", {"symbols": ["KO", "AIG"]}))
    row = at(bars, "stock.US.KO", date(2015, 11, 27))
    assert row["dividend"] == pytest.approx(0.33, abs=0.005)
    paid = bars.table.filter(pc.greater(bars.table.column("dividend"), 0))
    assert Counter(paid.column("instrument").to_pylist())["stock.US.KO"] == 4 * 13  # quarterly, 2003 to 2015


@pytest.mark.parametrize("cut", [date(2009, 3, 9), date(2013, 1, 2)])
def test_cutting_the_file_changes_nothing_before(tmp_path, cut):
    source = DATA / "us_stocks_daily_2003_2016" / "sp500_daily.parquet"
    frame = pd.read_parquet(source, filters=[("symbol", "in", ["AAPL", "AIG", "JCI", "KO", "MO", "WY", "PSX"])])
    panels = []
    for name, part in (("whole", frame), ("cut", frame[frame.ts < pd.Timestamp(cut, tz="UTC")])):
        folder = tmp_path / name
        folder.mkdir()
        part.to_parquet(folder / "bars.parquet", index=False)
        keys = {"root": str(folder), "files": ["bars.parquet"]}
        accepted, bar_set, _, report, _ = whole(SETS / "us_stocks_daily_2003_2016", keys)
        limit = end_of_day_ns(cut) - 86_400 * 10**9
        flags = tuple(f for f in report.flags if f.end <= limit and f.rule != "DATA-54")
        panels.append((to_panel(accepted, bar_set, known_at_ns=limit), flags))
    (one, flags_one), (two, flags_two) = panels
    assert one.instruments == two.instruments
    assert one.values.tobytes() == two.values.tobytes()
    assert one.available_at.tobytes() == two.available_at.tobytes()
    assert flags_one == flags_two


def test_cutting_the_point_in_time_set_changes_nothing_before(tmp_path):
    source = DATA / "us_stocks_pit_2015_2017"
    cut = pd.Timestamp("2015-09-10", tz="UTC")
    symbols = ["AAPL", "NFLX", "CAA", "FHB", "SHAK", "EBAY", "ARR", "KO", "HPQ", "ZG"]
    panels = []
    for name in ("whole", "cut"):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("daily_first_print", "revisions"):
            frame = pd.read_parquet(source / f"{file}.parquet", filters=[("symbol", "in", symbols)])
            frame = frame[frame.known_at < cut] if name == "cut" else frame
            frame.to_parquet(folder / f"{file}.parquet", index=False)
        keys = {"root": str(folder), "files": ["daily_first_print.parquet"], "revisions": "revisions.parquet"}
        accepted, bar_set, _, report, _ = whole(SETS / "us_stocks_pit_2015_2017", keys)
        limit = end_of_day_ns(date(2015, 9, 9))
        panels.append((to_panel(accepted, bar_set, known_at_ns=limit), [b for b in report.blocked if b[1] <= limit]))
    (one, blocked_one), (two, blocked_two) = panels
    assert one.instruments == two.instruments
    assert one.values.tobytes() == two.values.tobytes()
    assert blocked_one == blocked_two
    assert blocked_one
