"""LOBSTER pairs: what the messages explain, what came into view, halts; and real days line by line."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from foresail.adapters.lobster.reader import read_lobster
from foresail.core.clock import to_ns
from foresail.core.errors import DataError
from foresail.domain.books import BookKind
from foresail.features.books.driver import BookDriver, best_levels

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "lobster"
NAME = "XYZ_2012-06-21_34200000_57600000_{}_{}.csv"

# Two levels a side; ask price, ask size, bid price, bid size, then the second level.
LINES = [
    ("34200.1,1,1,10,1000000,1", (1000200, 5, 1000000, 10, 1000300, 8, 999900, 20)),
    ("34200.2,1,2,7,1000000,1", (1000200, 5, 1000000, 17, 1000300, 8, 999900, 20)),  # joins the best bid
    ("34200.3,4,3,5,1000200,-1", (1000300, 8, 1000000, 17, 1000400, 9, 999900, 20)),  # best ask gone, 1000400 seen
    ("34200.4,1,4,1,1000100,1", (1000300, 8, 1000100, 1, 1000400, 9, 1000000, 17)),  # better bid, 999900 out of view
    ("34200.5,5,0,3,1000150,-1", (1000300, 8, 1000100, 1, 1000400, 9, 1000000, 17)),  # hidden sell order hit
    ("34200.6,2,5,3,1000300,-1", (1000300, 5, 1000100, 1, 1000400, 9, 1000000, 17)),  # cancelled in part
    ("34201.0,7,0,0,-1,-1", (1000300, 5, 1000100, 1, 1000400, 9, 1000000, 17)),  # halt
    ("34202.0,7,0,0,0,-1", (1000300, 5, 1000100, 1, 1000400, 9, 1000000, 17)),  # quoting
    ("34203.0,7,0,0,1,-1", (1000300, 5, 1000100, 1, 1000400, 9, 1000000, 17)),  # trading
    ("34203.1,3,4,1,1000100,1", (1000300, 5, 1000000, 17, 1000400, 9, -9999999999, 0)),  # deleted; nothing below
]


def files(folder, lines=LINES, levels=2):
    message, book = (folder / NAME.format(kind, levels) for kind in ("message", "orderbook"))
    message.write_text("\n".join(m for m, _ in lines))  # the last line has no end, as in the samples
    book.write_text("\n".join(",".join(map(str, b)) for _, b in lines))
    return message, book


def same_lines(day, depth):
    price, size = best_levels(day.stream, depth)
    return np.array_equal(price, day.book[..., 0]) and np.array_equal(size, day.book[..., 1])


def test_every_line_is_rebuilt_and_accounted_for(tmp_path):
    day = read_lobster(*files(tmp_path), "stock.US.XYZ")
    assert same_lines(day, 2)
    report = day.report
    assert (report.messages, report.halts, report.contradictions) == (10, 3, 0)
    assert (report.revealed, report.hidden_from_view, report.explained) == (1, 1, 7)
    midnight = to_ns(datetime(2012, 6, 21, 4, tzinfo=UTC))  # summer time in New York
    assert day.stream.event_time[0] == midnight + 34_200_100_000_000
    assert day.stream.levels == 2
    trades = day.stream.trades()
    assert trades.side.tolist() == [1, 1]  # both times a resting sell order was hit, so a buyer came
    assert trades.size.tolist() == [5, 3]
    views = day.stream.kind == BookKind.VIEW
    assert day.stream.price[views].tolist()[4:] == [10004, 9999]  # four levels of the opening, then what is told


def test_a_halt_makes_the_book_invalid_until_trading_resumes(tmp_path):
    day = read_lobster(*files(tmp_path), "stock.US.XYZ")
    driver = BookDriver(day.stream)
    cut = int(np.flatnonzero(day.stream.kind == BookKind.VALID)[0])
    driver.feed(day.stream.rows(0, cut))
    assert not driver.health().valid
    driver.feed(day.stream.rows(cut, len(day.stream)))
    assert driver.health().valid


def test_what_no_message_explains_is_counted_and_the_book_file_counts(tmp_path):
    lines = [*LINES[:2], (LINES[2][0], (1000300, 3, 1000000, 17, 1000400, 9, 999900, 20)), *LINES[3:]]
    day = read_lobster(*files(tmp_path, lines), "stock.US.XYZ")
    assert day.report.contradictions == 2  # it falls by five without a message, and rises again
    assert same_lines(day, 2)


def test_pairs_that_do_not_belong_together_are_refused(tmp_path):
    message, book = files(tmp_path)
    with pytest.raises(DataError, match="expected TICKER_YYYY-MM-DD"):
        read_lobster(message.rename(tmp_path / "other.csv"), book, "stock.US.XYZ")
    message, book = files(tmp_path)
    book.write_text("\n".join(book.read_text().splitlines()[:-1]))
    with pytest.raises(DataError, match="expected 10 lines of 8 columns"):
        read_lobster(message, book, "stock.US.XYZ")
    message, book = files(tmp_path, [LINES[0], ("34200.1,9,1,10,1000000,1", LINES[0][1])])
    with pytest.raises(DataError, match="event type 9"):
        read_lobster(message, book, "stock.US.XYZ")
    message.write_text("a,b,c,d,e,f\n" * 2)
    with pytest.raises(DataError, match="expected numbers only"):
        read_lobster(message, book, "stock.US.XYZ")
    message, book = files(tmp_path, [LINES[0], (LINES[1][0], (1000250, *LINES[0][1][1:]))])
    with pytest.raises(DataError, match="no multiple of a cent"):
        read_lobster(message, book, "stock.US.XYZ")


def test_gzip_and_plain_files_are_the_same(tmp_path):
    plain = files(tmp_path)
    packed = [path.with_name(path.name + ".gz") for path in plain]
    for source, target in zip(plain, packed, strict=True):
        target.write_bytes(gzip.compress(source.read_bytes()))
    one, other = read_lobster(*plain, "stock.US.XYZ"), read_lobster(*packed, "stock.US.XYZ")
    np.testing.assert_array_equal(one.stream.price, other.stream.price)
    np.testing.assert_array_equal(one.stream.event_time, other.stream.event_time)


@pytest.mark.data
@pytest.mark.parametrize(
    ("message", "book", "levels", "explained"),
    [
        ("AMZN_2012-06-21_34200000_57600000_message_1.csv.gz", "AMZN_2012-06-21_34200000_57600000_orderbook_1.csv.gz",
         1, 29_957),
        ("AAPL_2012-06-21_34200000_57600000_message_10_first.csv",
         "AAPL_2012-06-21_34200000_57600000_orderbook_10_first.csv", 10, 352),
    ],
)  # fmt: skip
def test_real_days_are_rebuilt_line_by_line(message, book, levels, explained):
    if not DATA.is_dir():
        pytest.skip(f"no LOBSTER samples under {DATA}: set FORESAIL_DATA")
    day = read_lobster(DATA / message, DATA / book, "stock.US." + message[:4])
    assert same_lines(day, levels)
    assert day.report.contradictions == 0  # in view nothing changes but by a message
    assert day.report.explained == explained
    driver = BookDriver(day.stream)
    driver.feed(day.stream)
    health = driver.health()
    assert (health.crossed, health.stray, health.valid) == (0, 0, True)
