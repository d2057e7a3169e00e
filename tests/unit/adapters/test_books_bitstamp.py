"""Bitstamp's orders: sizes that the reader tracks, pairs of fills, rows about orders it never saw; and a real file."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from foresail.adapters.bitstamp_l3.reader import OrderReader, read_bitstamp
from foresail.core.errors import DataError
from foresail.domain.books import BookKind
from foresail.features.books.driver import BookDriver

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "crypto_l3_bitstamp"
S = 1_000_000_000
K = BookKind


def fed(*rows):
    """Rows of (seconds, order, action, side, price, remaining)."""
    reader = OrderReader("crypto.BITSTAMP.BTC-USD")
    for t, order, action, *what in rows:
        reader.feed((round(t * S), round(t) * S), order, action, tuple(what))
    return reader, reader.take()


def told(data):
    return [(BookKind(k), int(s), int(p), int(q)) for k, s, p, q in zip(data.kind, data.side, data.price, data.size,
                                                                        strict=True)]  # fmt: skip


def test_sizes_come_from_the_tracked_order_and_a_fill_is_told_once():
    reader, data = fed(
        (1.0, 10, "created", -1, 200, 5),
        (2.0, 11, "created", 1, 200, 3),  # crosses
        (2.1, 11, "deleted", 1, 200, 0),  # filled: three
        (2.2, 10, "changed", -1, 200, 2),  # the other half
        (3.0, 10, "deleted", -1, 200, 2),  # cancelled
    )
    assert told(data) == [
        (K.CLEAR, 0, 0, 0),
        (K.ADD, -1, 200, 5),
        (K.ADD, 1, 200, 3),
        (K.FILL, 1, 200, 3),
        (K.FILL, -1, 200, 3),
        (K.TRADE, 1, 200, 3),  # the younger order bought
        (K.DELETE, -1, 200, 2),
    ]
    assert data.available_at[5] == round(2.2 * S)  # known when the second half came, not before
    assert data.closes.tolist() == [False, True, True, True, False, True, True]
    report = reader.report()
    assert (report.fills, report.prints, report.unseen) == (2, 1, 0)
    driver = BookDriver(data)
    driver.feed(data)
    assert driver.health().levels == (0, 0)
    assert driver.health().stray == 0


def test_a_cancellation_with_an_old_volume_takes_what_is_left():
    _, data = fed((1, 10, "created", 1, 200, 5), (2, 10, "changed", 1, 200, 4), (3, 10, "deleted", 1, 200, 5))
    assert told(data)[-1] == (K.DELETE, 1, 200, 4)


def test_orders_born_before_the_stream_and_repeated_rows_are_counted():
    reader, data = fed(
        (1, 5, "deleted", 1, 200, 5),
        (2, 10, "created", 1, 200, 5),
        (2, 10, "created", 1, 200, 5),
        (3, 10, "changed", 1, 200, 5),
        (4, 10, "deleted", 1, 200, 0),
        (4, 10, "deleted", 1, 200, 0),
        (5, 12, "created", 1, 200, 1),
        (6, 12, "changed", 1, 200, 3),
    )
    report = reader.report()
    assert (report.unseen, report.repeated, report.enlarged) == (1, 3, 1)
    assert told(data)[-1] == (K.ADD, 1, 200, 2)
    assert report.fills == 1
    assert report.prints == 0  # the other half never came


def test_halves_that_are_far_apart_in_time_are_no_print():
    reader, _ = fed(
        (1, 10, "created", -1, 200, 5), (2, 11, "created", 1, 199, 5), (3, 11, "deleted", 1, 199, 0),
        (5, 10, "deleted", -1, 200, 0),
    )  # fmt: skip
    assert reader.report().prints == 0


def test_wrong_words_and_lacking_columns_are_refused(tmp_path):
    with pytest.raises(DataError, match="action 'moved'"):
        fed((1, 1, "moved", 1, 1, 1))
    path = tmp_path / "orders.parquet"
    table = pd.DataFrame({"ts": pd.to_datetime(["2015-05-01"], utc=True), "id": [1]})
    table.to_parquet(path)
    with pytest.raises(DataError, match="no column exchange_ts"):
        read_bitstamp(path, "crypto.BITSTAMP.BTC-USD")
    full = table.assign(exchange_ts=table["ts"], price=1.0, volume=1.0, action="created", direction="up")
    full.to_parquet(path)
    with pytest.raises(DataError, match="direction 'up'"):
        read_bitstamp(path, "crypto.BITSTAMP.BTC-USD")


@pytest.mark.data
def test_the_real_file_gives_a_book_that_holds():
    path = DATA / "orders_2015-05-01.parquet"
    if not path.is_file():
        pytest.skip(f"no Bitstamp orders under {DATA}: set FORESAIL_DATA")
    book = read_bitstamp(path, "crypto.BITSTAMP.BTC-USD")
    report = book.report
    assert report.rows == 32_592
    assert report.unseen + report.repeated < 0.01 * report.rows
    assert report.enlarged == 0
    assert not report.clock.behind
    driver = BookDriver(book.stream)
    bars = driver.feed(book.stream)
    health = driver.health()
    assert health.stray == 0  # no level ever gives more than it holds
    assert health.crossed < 0.03 * health.closes  # an aggressor stands for a moment before its fill is told
    price, _ = driver.levels(1)
    assert price[0, 0] < price[1, 0]
    assert 230 < bars.column("mid")[3000] < 245
