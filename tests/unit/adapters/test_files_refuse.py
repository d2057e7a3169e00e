"""Bad input: each kind is refused with file, row, column, rule where known, and a sentence that says what to do."""

import gzip

import pytest
import tomli_w

from foresail.adapters.files.load import describe, load_description
from foresail.adapters.files.reader import read_bars
from foresail.core.errors import ConfigError, DataError, UnknownNameError

GOOD = "date,symbol,open,high,low,close,volume\n2024-01-02,AAA,1,1,1,1,1\n2024-01-03,AAA,1,1,1,1,1\n"


def described(tmp_path, content, *, file="bars.csv", **keys):
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / file).write_bytes(data)
    base = {
        "version": 1, "name": "t", "files": [file], "class": "stock", "frame": "1d", "time": "session",
        "price_basis": "unknown",
    }  # fmt: skip
    (tmp_path / "foresail-set.toml").write_text(tomli_w.dumps(base | keys))
    return load_description(tmp_path)


def refused(tmp_path, content, match, **keys):
    with pytest.raises(DataError, match=match) as caught:
        read_bars(described(tmp_path, content, **keys))
    return caught.value


def test_unknown_key_lists_the_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown key 'calender'. Did you mean 'calendar'\? Known: .*zone"):
        described(tmp_path, GOOD, calender="XNYS")
    with pytest.raises(UnknownNameError, match="unknown key 'repair'"):
        described(tmp_path, GOOD, quirks={"repair": 1})
    with pytest.raises(UnknownNameError, match="column role 'clse'"):
        described(tmp_path, GOOD, columns={"clse": "x"})


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"version": 2}, "expected version = 1"),
        ({"class": "bond"}, "expected class to be one of stock, crypto, forex; received 'bond'"),
        ({"frame": "daily"}, "expected a frame"),
        ({"frame": "1w"}, "longer than a day"),
        ({"time": "start"}, "are dated by session"),
        ({"frame": "1h"}, 'time = "session" fits daily bars only'),
        ({"zone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"price_basis": "adjusted"}, "expected price_basis to be one of raw"),
        ({"name": "a b"}, "letters, digits"),
        ({"files": []}, "expected files"),
        ({"root": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE, which is not set"),
    ],
)
def test_wrong_values_say_what_was_expected(tmp_path, keys, match):
    with pytest.raises(ConfigError, match=match):
        described(tmp_path, GOOD, **keys)


def test_missing_file_folder_and_description(tmp_path):
    with pytest.raises(DataError, match=r"nope.csv does not exist"):
        described(tmp_path, GOOD, files=["nope.csv"])
    with pytest.raises(DataError, match="no file matches"):
        described(tmp_path, GOOD, files=["*.parquet"])
    with pytest.raises(DataError, match="does not exist"):
        load_description(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"folder without foresail-set.toml") as caught:
        load_description(empty)
    assert "foresail import --describe" in str(caught.value)
    with pytest.raises(DataError, match="no Parquet or CSV file"):
        describe(empty)


def test_missing_and_ambiguous_columns(tmp_path):
    error = refused(tmp_path, GOOD.replace("close", "schluss"), "no column for the close; expected one of close")
    assert (error.file, error.column, error.rule) == ("bars.csv", "close", "DATA-51")
    error = refused(tmp_path, GOOD.replace("symbol", "what"), "no column for the symbol")
    assert 'symbol = "..."' in str(error)
    refused(tmp_path, GOOD, "has no such column; it has: date, symbol", columns={"close": "settle"})
    refused(tmp_path, GOOD.replace("volume", "ts"), "'date' and 'ts' could both be the time")
    refused(tmp_path, GOOD.replace("volume", "close"), "'close' stands twice")
    refused(tmp_path, GOOD, "known_at names column 'published'", known_at="published")


def test_naive_time_says_what_to_type(tmp_path):
    text = "ts,symbol,close\n2024-01-02 10:00:00,AAA,1\n2024-01-02 10:01:00,AAA,1\n"
    error = refused(tmp_path, text, "times without a time zone", frame="1m", time="start")
    assert (error.row, error.column) == (1, "ts")
    assert "--timezone" in str(error)


def test_mixed_zones_name_the_first_odd_row(tmp_path):
    text = "ts,symbol,close\n2024-01-02T10:00:00Z,AAA,1\n2024-01-02 10:01:00,AAA,1\n"
    error = refused(tmp_path, text, "mixed zones: a time without an offset", frame="1m", time="start")
    assert error.row == 2
    text = "ts,symbol,close\n2024-01-02T10:00:00-05:00,AAA,1\n2024-01-02T10:01:00+09:00,AAA,1\n"
    error = refused(tmp_path, text, "offsets differ by more than daylight saving", frame="1m", time="start")
    assert error.row == 2


def test_mixed_epochs_are_refused_without_the_quirk(tmp_path):
    text = "unix,symbol,close\n1700000000000,BTCUSDT,1\n1700003600.0,BTCUSDT,1\n"
    keys = {"class": "crypto", "frame": "1h", "time": "start"}
    error = refused(tmp_path, text, "unit of time changes from ms to s", **keys)
    assert (error.row, error.column, error.rule) == (2, "unix", "DATA-51")
    bars, _, _, _ = read_bars(described(tmp_path, text, **keys, quirks={"epoch": "mixed"}))
    assert bars.table.column("start").to_pylist() == [1_700_000_000 * 10**9, 1_700_003_600 * 10**9]


def test_dates_with_changing_times_of_day_are_no_daily_set(tmp_path):
    text = "ts,symbol,close\n2024-01-02 00:00,AAA,1\n2024-01-03 04:00,AAA,1\n"
    error = refused(tmp_path, text, "time of day changes from 00:00 to 04:00")
    assert error.row == 2


def test_daily_bars_inside_an_intraday_file(tmp_path):
    text = "ts,symbol,close\n" + "".join(f"2024-01-{day:02d}T00:00:00Z,EURUSD,1.1\n" for day in range(1, 28))
    keys = {"class": "forex", "frame": "4h", "time": "start"}
    error = refused(tmp_path, text, "expected 4h bars, received bars that are whole days apart", **keys)
    assert error.row == 1


def test_one_bar_only(tmp_path):
    refused(tmp_path, "date,symbol,close\n2024-01-02,AAA,1\n", "1 bar end in all, at least two are needed")


def test_all_nan(tmp_path):
    text = "date,symbol,close\n2024-01-02,AAA,NaN\n2024-01-03,AAA,\n"
    error = refused(tmp_path, text, "column 'close': no number in any of 2 rows")
    assert error.column == "close"


def test_a_column_of_text_is_the_wrong_column(tmp_path):
    text = "date,symbol,close\n2024-01-02,AAA,up\n2024-01-03,AAA,down\n"
    error = refused(tmp_path, text, "row 1, column 'close': not a number, as in 2 of 2 rows; received 'up'")
    assert error.row == 1


def test_unknown_symbol(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown symbol 'AAB'. Did you mean 'AAA'"):
        read_bars(described(tmp_path, GOOD, symbols=["AAB"]))


def test_two_symbols_of_one_instrument(tmp_path):
    refused(tmp_path, GOOD + "2024-01-02,aaa,1,1,1,1,1\n", "both mean instrument stock.US.AAA")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("bars.csv", b"", "the file is empty"),
        ("bars.csv", b"  \n \n", "the file is empty"),
        ("bars.csv", b"date,symbol,close\n", "a header but no row"),
        ("bars.csv", b"\x89PNG\x00\x00\x00", "neither Parquet nor text"),
        ("bars.csv", GOOD.replace("AAA", "\u00c4").encode("latin-1"), "row 1: a byte that is not utf-8"),
        ("bars.csv", GOOD.replace(",", "\t").encode(), "at least two columns separated by ','"),
        ("bars.csv", b"made by,me\n" + GOOD.encode(), "7 cells where the header has 2"),
        ("bars.csv.gz", gzip.compress(GOOD.encode() * 50, mtime=0)[:40], "truncated or damaged gzip"),
        ("bars.parquet", b"", "the file is empty"),
        ("bars.parquet", GOOD.encode(), "does not begin like a Parquet file"),
        ("bars.parquet", b"PAR1" + b"x" * 100, "truncated or damaged Parquet"),
    ],
)
def test_empty_truncated_and_foreign_files(tmp_path, name, content, match):
    error = refused(tmp_path, content, match, file=name)
    assert error.file == name
    assert error.rule == "DATA-51"


def test_a_cut_parquet_file(tmp_path):
    import pandas as pd

    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"date": ["2024-01-02"] * 500, "symbol": "A", "close": range(500)}).to_parquet(whole)
    refused(tmp_path, whole.read_bytes()[:-20], "truncated or damaged Parquet", file="cut.parquet")
