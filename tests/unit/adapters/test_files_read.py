"""Reading described files: time meanings, zones, aliases, markers, instruments, knowledge, quirks."""

import gzip
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from foresail.adapters.files.load import describe, load_description
from foresail.adapters.files.reader import read_bars
from foresail.core.clock import from_ns, to_ns
from foresail.domain.instruments import AssetClass, PriceBasis

DAILY = """date,ticker,Open,High,Low,Close,Volume
2024-01-03,AAA,10,11,9,10.5,100
2024-01-02,AAA,9,10,9,9.5,-1
2024-01-03,BRK.B,20,21,19,20.5,
2024-01-02,BRK.B,20,21,19,20,NULL
"""


def folder(tmp_path, text, **keys):
    (tmp_path / "bars.csv").write_text(text)
    base = {
        "version": 1, "name": "t", "files": ["bars.csv"], "class": "stock", "frame": "1d", "time": "session",
        "price_basis": "unknown",
    }  # fmt: skip
    import tomli_w

    (tmp_path / "foresail-set.toml").write_text(tomli_w.dumps(base | keys))
    return load_description(tmp_path)


def rows(bars, *names):
    return list(zip(*(bars.table.column(name).to_pylist() for name in names), strict=True))


def test_daily_csv_with_aliases_markers_and_any_order(tmp_path):
    bars, bar_set, quarantined, _ = read_bars(folder(tmp_path, DAILY))
    assert not quarantined
    assert rows(bars, "instrument", "close", "volume") == [
        ("stock.US.AAA", 9.5, None),
        ("stock.US.AAA", 10.5, 100.0),
        ("stock.US.BRK-B", 20.0, None),
        ("stock.US.BRK-B", 20.5, None),
    ]
    assert from_ns(bars.table.column("end")[0].as_py()) == datetime(2024, 1, 2, 21, tzinfo=UTC)
    assert bars.table.column("available_at")[0].as_py() == bars.table.column("end")[0].as_py() + 10**9
    assert bars.table.column("row").to_pylist() == [2, 1, 4, 3]
    assert [i.symbol for i in bar_set.instruments] == ["AAA", "BRK.B"]
    assert bar_set.instruments[0].sector == "stock.US.AAA"  # unmapped: a sector of its own
    assert bar_set.price_basis is PriceBasis.UNKNOWN
    assert not bar_set.close_only


def test_a_row_that_is_no_session_is_set_aside_with_its_row(tmp_path):
    text = DAILY + "2024-01-06,AAA,1,1,1,1,1\n"
    _, _, quarantined, _ = read_bars(folder(tmp_path, text))
    assert [(q.file, q.row, q.rule) for q in quarantined] == [("bars.csv", 5, "DATA-54")]
    assert "2024-01-06 is no session of calendar XNYS" in quarantined[0].reason


def test_cells_that_are_no_number_and_ragged_lines_are_set_aside(tmp_path):
    text = DAILY + "2024-01-04,AAA,1,1,1,abc,1\n2024-01-04,BRK.B,1\n2024-01-05,AAA,2,2,2,2,2\n"
    bars, _, quarantined, _ = read_bars(folder(tmp_path, text))
    assert sorted((q.row, q.column) for q in quarantined) == [(5, "Close"), (6, "")]
    assert "abc" in next(q.original for q in quarantined if q.row == 5)
    assert bars.table.column("row").to_pylist() == [2, 1, 7, 4, 3]


def test_forex_hours_in_a_broker_zone(tmp_path):
    text = "time,open,high,low,close,tick_volume\n2024-01-02 02:00:00,1,1,1,1,5\n2024-07-02 02:00:00,1,1,1,1,5\n"
    keys = {"class": "forex", "frame": "1h", "time": "start", "zone": "EET", "symbol": "EURUSD", "price_basis": "raw"}
    bars, bar_set, _, _ = read_bars(folder(tmp_path, text, **keys))
    starts = [from_ns(ns) for ns in bars.table.column("start").to_pylist()]
    assert starts == [datetime(2024, 1, 2, 0, tzinfo=UTC), datetime(2024, 7, 1, 23, tzinfo=UTC)]
    assert bar_set.instruments[0].id == "fx.EUR-USD"
    assert (bar_set.instruments[0].currency, bar_set.calendar) == ("USD", "24/5")


def test_end_stamped_bars_and_the_short_last_bar_of_a_session(tmp_path):
    text = "ts,symbol,close\n2024-01-02T20:30:00Z,AAA,1\n2024-01-02T19:30:00Z,AAA,1\n"
    bars, bar_set, _, _ = read_bars(folder(tmp_path, text, frame="1h", time="start"))
    spans = rows(bars, "start", "end")
    assert spans[1][1] - spans[1][0] == 1800 * 10**9  # 15:30 to 16:00 New York
    assert bar_set.close_only
    bars, _, _, _ = read_bars(folder(tmp_path, text, frame="1h", time="end"))
    assert rows(bars, "end")[0][0] == to_ns(datetime(2024, 1, 2, 19, 30, tzinfo=UTC))


def test_offsets_of_daylight_saving_are_no_mixture(tmp_path):
    text = "ts,symbol,close\n2024-03-08 10:00:00-05:00,AAA,1\n2024-03-11 10:00:00-04:00,AAA,1\n"
    bars, _, _, _ = read_bars(folder(tmp_path, text, frame="1m", time="start"))
    assert [from_ns(ns).hour for ns in bars.table.column("start").to_pylist()] == [15, 14]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_epochs_by_size(tmp_path, unit, factor):
    first = 1_700_000_000
    text = f"unix,symbol,close\n{first * factor},BTCUSDT,1\n{(first + 3600) * factor},BTCUSDT,2\n"
    keys = {"class": "crypto", "frame": "1h", "time": "start", "kind": "perp", "place": "BINANCE", "price_basis": "raw"}
    bars, bar_set, _, _ = read_bars(folder(tmp_path, text, **keys))
    assert bars.table.column("start").to_pylist() == [first * 10**9, (first + 3600) * 10**9], unit
    assert bar_set.instruments[0].id == "crypto.BINANCE.BTC-USDT.perp"
    assert bar_set.asset_class is AssetClass.CRYPTO


def test_known_by_date_means_the_next_sessions_open(tmp_path):
    text = "date,symbol,close,known_at\n2016-09-01,AAA,1,2016-09-01\n2016-09-02,AAA,2,2016-09-02\n"
    bars, bar_set, _, _ = read_bars(folder(tmp_path, text, known_at="known_at", price_basis="raw"))
    assert bar_set.known_by_date
    known = [from_ns(ns) for ns in bars.table.column("available_at").to_pylist()]
    assert known == [datetime(2016, 9, 2, 13, 30, 1, tzinfo=UTC), datetime(2016, 9, 6, 13, 30, 1, tzinfo=UTC)]


def test_revisions_become_later_prints_and_explain_a_split(tmp_path):
    (tmp_path / "later.csv").write_text("date,symbol,close,adj_close,known_at\n2016-09-01,AAA,100,50,2016-09-02\n")
    text = (
        "date,symbol,close,adj_close,known_at\n2016-08-31,AAA,101,101,2016-08-31\n2016-09-01,AAA,100,100,2016-09-01\n"
        "2016-09-02,AAA,51,51,2016-09-02\n"
    )
    keys = {"known_at": "known_at", "price_basis": "raw", "revisions": "later.csv"}
    bars, _, _, _ = read_bars(folder(tmp_path, text, **keys))
    assert rows(bars, "close", "split", "total_factor") == [
        (101.0, 1.0, 1.0), (100.0, 1.0, 1.0), (100.0, 1.0, 1.0), (51.0, 2.0, 2.0),
    ]  # fmt: skip
    ends = bars.table.column("end").to_pylist()
    assert ends[1] == ends[2]
    assert bars.table.column("available_at")[2].as_py() > bars.table.column("available_at")[1].as_py()


def test_quirks_are_applied_only_when_written(tmp_path):
    text = "made by a vendor,x\nDate,open,high,low,close\n2024-01-02 00:00,129613.0,130053,129587.00000000001,129934\n"
    text += "2024-01-02 04:00,129613.0,130053,129587.00000000001,129934\n"
    keys = {"class": "forex", "frame": "4h", "time": "start", "zone": "UTC", "symbol": "EURUSD", "price_basis": "raw"}
    quirks = {"skip_before_header": 1, "price_scale": 100000.0}
    bars, _, _, _ = read_bars(folder(tmp_path, text, **keys, quirks=quirks))
    assert bars.table.column("low")[0].as_py() == 1.29587


def test_symbols_filter_and_gzip(tmp_path):
    (tmp_path / "bars.csv.gz").write_bytes(gzip.compress(DAILY.encode()))
    bars, bar_set, _, _ = read_bars(folder(tmp_path, DAILY, files=["bars.csv.gz"], symbols=["AAA"]))
    assert bars.table.num_rows == 2
    assert len(bar_set.instruments) == 1


def test_a_bare_parquet_file_is_read_with_guesses_said(tmp_path):
    frame = pd.DataFrame(
        {
            "ts": pd.to_datetime(["2024-01-02", "2024-01-03"], utc=True),
            "symbol": ["AAPL", "AAPL"],
            "close": [1.0, 2.0],
            "adj_close": [0.9, 2.0],
        }
    )
    path = tmp_path / "mine.parquet"
    frame.to_parquet(path)
    description = load_description(path)
    assert (description.frame, description.time, description.calendar) == ("1d", "session", "XNYS")
    bars, _, _, notes = read_bars(description)
    assert any("price basis unknown" in note for note in notes)
    assert bars.table.column("total_factor").to_pylist() == [1.0, 1.0]  # unknown basis: nothing is booked
    better = load_description(path, {"price_basis": "split_adjusted"})
    bars, _, _, _ = read_bars(better)
    assert bars.table.column("total_factor").to_pylist() == [1.0, pytest.approx(1 / 0.9)]
    assert not any("price basis unknown" in note for note in better.guesses)


def test_describe_writes_a_file_that_reads_back(tmp_path):
    (tmp_path / "eurusd_h1.csv").write_text(
        "time,open,high,low,close,tick_volume\n"
        + "".join(f"2024-01-02 {hour:02d}:00:00,1.1,1.1,1.1,1.1,5\n" for hour in range(10))
    )
    description, text = describe(tmp_path / "eurusd_h1.csv")
    assert description is not None
    assert 'frame = "1h"' in text
    assert "times have no zone" in text
    (tmp_path / "foresail-set.toml").write_text(text)
    again = load_description(tmp_path, {"zone": "EET"})
    bars, _, _, _ = read_bars(again)
    assert bars.table.num_rows == 10
    assert np.diff(bars.table.column("end").to_numpy()).tolist() == [3600 * 10**9] * 9


def test_several_files_are_one_set(tmp_path):
    head, *body = DAILY.splitlines()
    (tmp_path / "a.csv").write_text("\n".join([head, *body[:2]]) + "\n")
    (tmp_path / "b.csv").write_text("\n".join([head, *body[2:]]) + "\n")
    bars, _, _, _ = read_bars(folder(tmp_path, DAILY, files=["a.csv", "b.csv"]))
    whole, _, _, _ = read_bars(folder(tmp_path, DAILY))
    assert rows(bars, "instrument", "end", "close") == rows(whole, "instrument", "end", "close")
    assert bars.table.column("file").to_pylist() == ["a.csv", "a.csv", "b.csv", "b.csv"]


def test_root_comes_from_the_environment(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "bars.csv").write_text(DAILY)
    sets = tmp_path / "sets"
    sets.mkdir()
    monkeypatch.setenv("FORESAIL_DATA", str(data))
    description = folder(sets, "unused", root="env:FORESAIL_DATA")
    assert description.files == (data.resolve() / "bars.csv",)
