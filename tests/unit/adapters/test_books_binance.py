"""Binance's depth streams: the sequence rules, clocks, gaps; and real streams against the venue's own best quotes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from foresail.adapters.binance_depth.reader import DepthReader, read_binance
from foresail.core.errors import DataError, MalformedPayloadError
from foresail.domain.books import BookKind
from foresail.features.books.driver import BookDriver, best_levels, book_bars

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "crypto_l2_binance"
MS = 1_000_000
ID = "crypto.BINANCE.BTC-USDT"


def depth(first, final, bids=(), asks=(), *, before=None, at=1000):
    told = {"e": "depthUpdate", "E": at, "s": "BTCUSDT", "U": first, "u": final}
    told |= {"b": [list(map(str, x)) for x in bids], "a": [list(map(str, x)) for x in asks]}
    return told if before is None else told | {"pu": before}


def snapshot(final, bids=((99, 1),), asks=((101, 2),), **more):
    return {"lastUpdateId": final, "bids": [[str(p), str(q)] for p, q in bids],
            "asks": [[str(p), str(q)] for p, q in asks], **more}  # fmt: skip


def trade(price, size, *, maker=True, at=1000, **more):
    return {"e": "trade", "E": at, "T": at, "t": 5, "p": str(price), "q": str(size), "m": maker, **more}


def fed(*messages, reader=None):
    reader = reader or DepthReader(ID, 1.0, 0.5)
    for k, message in enumerate(messages):
        reader.feed((2000 + k) * MS, message)
    return reader


def book_of(reader):
    data = reader.take()
    driver = BookDriver(data)
    driver.feed(data)
    price, size = driver.levels(3)
    told = [{float(p): float(q) for p, q in zip(price[s], size[s], strict=True) if np.isfinite(p)} for s in (0, 1)]
    return driver.health().valid, *told


def test_differences_before_the_snapshot_are_dropped_and_the_one_around_it_is_used():
    reader = fed(
        depth(1, 5, [(90, 9)]),
        depth(6, 12, [(98, 4)]),
        {"stream": "btcusdt@depth", "data": depth(13, 14, [(99, 0)], [(101, 7.5)])},
        snapshot(10),
    )
    assert book_of(reader) == (True, {98: 4}, {101: 7.5})
    assert reader.report().dropped == 1
    assert reader.report().gaps == ()


@pytest.mark.parametrize("futures", [False, True])
def test_a_gap_makes_the_book_invalid_until_the_next_snapshot(futures):
    def linked(first, final, before, **sides):
        return depth(first, final, before=before if futures else None, **sides)

    reader = fed(snapshot(10), linked(9, 12, 8, bids=[(98, 4)]), linked(13, 14, 12, bids=[(97, 4)]))
    assert reader.valid
    fed(linked(16, 17, 15, bids=[(96, 4)]), linked(18, 19, 17), reader=reader)
    assert not reader.valid
    assert reader.report().gaps == ((15, 16),)
    data = reader.take()
    assert data.kind[-1] == BookKind.INVALID
    driver = BookDriver(data)
    driver.feed(data)
    assert not driver.health().valid
    fed(snapshot(17, bids=((95, 3),)), reader=reader)
    assert reader.valid
    later = reader.take()
    driver.feed(later)
    assert driver.health().valid
    assert driver.levels(1)[0][0, 0] == 95.0


def test_futures_are_linked_by_the_number_before_not_by_their_first():
    reader = fed(snapshot(10), depth(9, 12, before=8), depth(20, 25, before=12), depth(26, 27, before=25))
    assert reader.valid
    spot = fed(snapshot(10), depth(9, 12), depth(20, 25))
    assert not spot.valid


def test_futures_go_on_from_a_difference_that_ends_at_the_snapshot():
    reader = fed(depth(9, 10, before=8), snapshot(10), depth(20, 25, [(98, 4)], before=10))
    assert reader.valid
    assert reader.report().dropped == 1
    assert book_of(reader) == (True, {98: 4, 99: 1}, {101: 2})


def test_a_snapshot_that_is_too_old_does_not_count():
    reader = fed(depth(20, 22), depth(23, 25), snapshot(10))
    assert not reader.valid
    assert reader.report().gaps == ((11, 20),)
    assert reader.report().waiting == 2
    fed(snapshot(21), reader=reader)
    assert reader.valid


def test_a_lost_connection_makes_the_book_invalid():
    reader = fed(snapshot(10), depth(11, 12))
    reader.lost(3000 * MS)
    assert not reader.valid
    assert reader.take().kind[-1] == BookKind.INVALID


def test_prints_carry_the_aggressor_and_transfers_are_none():
    reader = fed(trade(100, 2, maker=True), trade(101, 3, maker=False), trade(0, 0), trade(5, 5, X="INSURANCE_FUND"))
    data = reader.take()
    assert data.side.tolist() == [-1, 1]
    assert data.price.tolist() == [100, 101]
    assert data.size.tolist() == [4, 6]  # lots of a half
    assert reader.report().unread == 2


def test_a_local_clock_behind_the_venue_is_put_forward_as_far_as_was_seen():
    reader = DepthReader(ID, 1.0, 1.0)
    for local, event in ((1000, 2000), (1100, 2300), (1300, 2310), (1200, 2320)):
        reader.feed(local * MS, trade(1, 1, at=event))
    data = reader.take()
    assert (data.available_at // MS).tolist() == [2000, 2300, 2500, 2500]  # lead 1000, 1200; then time stands still
    assert (data.available_at >= data.event_time).all()
    clock = reader.report().clock
    assert clock.behind
    assert (clock.least_ms, clock.most_ms, clock.shift_ms) == (-1200, -1000, 1200)
    right = DepthReader(ID, 1.0, 1.0)
    right.feed(2050 * MS, trade(1, 1, at=2000))
    assert not right.report().clock.behind
    assert right.take().available_at[0] == 2050 * MS


def test_the_stream_can_be_taken_in_pieces():
    messages = [snapshot(10), depth(11, 12, [(98, 4)]), trade(99, 1), depth(13, 13, [(98, 0)])]
    whole = fed(*messages).take()
    reader, parts = DepthReader(ID, 1.0, 0.5), []
    for k, message in enumerate(messages):
        reader.feed((2000 + k) * MS, message)
        parts.append(reader.take())
    for name in ("kind", "price", "size", "closes", "available_at"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))


def test_what_cannot_be_read_is_refused_with_its_line(tmp_path):
    with pytest.raises(MalformedPayloadError, match="cannot be read"):
        fed({"e": "depthUpdate", "E": 1, "U": 1, "u": 2, "b": [["x", "1"]], "a": []})
    with pytest.raises(MalformedPayloadError, match="under 'data'"):
        fed({"data": 7})
    with pytest.raises(DataError, match=r"99\.3.* is no multiple of 1\.0"):
        fed(snapshot(1, bids=((99.3, 1),))).take()
    with pytest.raises(DataError, match="coarser step"):
        fed(snapshot(1, bids=((99, 1e14),))).take()
    path = tmp_path / "stream.gz"
    path.write_bytes(gzip.compress(f"1 {json.dumps(snapshot(1))}\nnonsense\n".encode()))
    with pytest.raises(DataError, match=r"stream\.gz, line 2"):
        read_binance(path, ID, tick=1.0, lot=0.5)
    assert fed({"e": "kline", "E": 1}).report().unread == 1


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "tick", "lot"), [("spot_btcusdt", 0.01, 1e-8), ("spot_ethusdt", 0.01, 1e-8), ("usdm_btcusdt", 0.1, 1e-3)]
)
def test_real_streams_have_no_gap_never_cross_and_show_the_venues_best_quotes(name, tick, lot):
    if not DATA.is_dir():
        pytest.skip(f"no Binance streams under {DATA}: set FORESAIL_DATA")
    book = read_binance(DATA / f"{name}_20240808.gz", ID, tick=tick, lot=lot)
    data, quotes, report = book.stream, book.quotes, book.report
    assert report.gaps == ()
    assert (report.snapshots, report.waiting, report.unread) == (1, 0, 0)
    assert report.clock.behind
    assert 1240 < report.clock.shift_ms < 1300  # the local clock was about 1.27 s behind
    assert (data.available_at >= data.event_time).all()
    driver = BookDriver(data)
    driver.feed(data)
    assert driver.health().crossed == 0
    assert driver.health().valid
    price, size = best_levels(data, 1)
    after = data.kind[data.closes] == BookKind.LEVEL
    place = np.searchsorted(quotes.final, data.sequence[data.closes], side="right") - 1
    compared = after & (place >= 0)
    assert compared.sum() > 3000
    told = np.stack([quotes.bid, quotes.bid_size, quotes.ask, quotes.ask_size])[:, place[compared]]
    built = np.stack([price[compared, 0, 0], size[compared, 0, 0], price[compared, 1, 0], size[compared, 1, 0]])
    np.testing.assert_array_equal(built, told)
    bars = book_bars(data)
    assert np.isfinite(bars.column("imbalance_20")[2:]).all()
    assert np.isfinite(bars.column("trade_velocity")[61:]).all()
