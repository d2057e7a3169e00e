"""The book step against a plain-Python book, hand-computed numbers, and itself cut into pieces."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError, IntegrityError, UnknownNameError
from foresail.core.seeds import generator
from foresail.domain.books import BookKind, BookStream, join_streams
from foresail.features.books.driver import BookDriver, best_levels, book_bars
from foresail.features.books.layout import BookSettings

S = 1_000_000_000
MS = 1_000_000
K = BookKind
T0 = 1_700_000_000 * S


def stream(rows, *, levels=None, tick=0.01, lot=1.0):
    """Rows of (seconds after T0, kind, side, price, size, order, closes); the last two may be left out."""
    full = [(*row, *(0, True)[len(row) - 5 :]) for row in rows]
    t, kind, side, price, size, order, closes = (list(c) for c in zip(*full, strict=True)) if full else [[]] * 7
    at = T0 + np.array([round(x * 1000) for x in t], dtype=np.int64) * MS
    i8, i64 = np.int8, np.int64
    return BookStream(
        "crypto.X.A-B", tick, lot, at, at, np.array(kind, i8), np.array(side, i8), np.array(price, i64),
        np.array(size, i64), np.array(order, i64), np.arange(len(full)), np.array(closes, bool), levels,
    )  # fmt: skip


def opening(bids, asks, best_bid=9998, best_ask=10002, t=0.0):
    """A snapshot with a level at every tick."""
    rows = [(t, K.CLEAR, 0, 0, 0, 0, False)]
    rows += [(t, K.LEVEL, 1, best_bid - i, size, 0, False) for i, size in enumerate(bids)]
    rows += [(t, K.LEVEL, -1, best_ask + i, size, 0, False) for i, size in enumerate(asks)]
    return [*rows[:-1], (*rows[-1][:-1], True)]


BIDS = (10, 20, 30, 10, 20, 10, 10, 20, 10, 10)
ASKS = (5, 10, 10, 10, 10, 5, 5, 10, 5, 5)


def after(rows, name, *, at=1.0, **settings):
    """The value of a column in the bar that ends ``at`` seconds after T0."""
    data = stream(rows)
    driver = BookDriver(data, BookSettings(**settings))
    until = T0 + round(max(at, rows[-1][0]) * S)
    bars = [driver.feed(data), driver.advance(until)]
    ends = np.concatenate([b.end for b in bars])
    values = np.concatenate([b.column(name) for b in bars])
    return float(values[list(ends).index(T0 + round(at * S))])


def random_stream(rows, seed, *, gaps=True):
    """Level changes around a moving mid, prints, gaps and messages of several rows."""
    rng = generator(seed, "books")
    made = opening(BIDS, ASKS)
    t, mid = 0.0, 10000
    while len(made) < rows:
        t += float(rng.integers(0, 400)) / 1000
        mid += int(rng.integers(-1, 2))
        u = rng.random()
        if u < 0.15:
            made.append((t, K.TRADE, int(rng.choice([-1, 0, 1])), mid, int(rng.integers(1, 300))))
        elif u < 0.16 and gaps:
            made.append((t, K.INVALID, 0, 0, 0))
            made += opening(rng.integers(1, 50, 12), rng.integers(1, 50, 12), mid - 2, mid + 2, t)
        elif u < 0.2:
            made.append((t, K.EXECUTE, 1, mid - 2, int(rng.integers(1, 20)), 7))
        else:
            n = int(rng.integers(1, 5))
            for j in range(n):
                side = 1 if rng.random() < 0.5 else -1
                price = mid - side * int(rng.integers(1, 15))
                size = 0 if rng.random() < 0.3 else int(rng.integers(1, 1000 if rng.random() < 0.05 else 40))
                made.append((t, K.LEVEL, side, price, size, 0, j == n - 1))
    return stream(made)


def test_the_vector_of_the_specification():
    rows = opening(BIDS, ASKS)
    assert after(rows, "imbalance_10") == pytest.approx(1 / 3, abs=1e-12)
    assert after(rows, "imbalance_20") == pytest.approx(1 / 3, abs=1e-12)  # the whole book has ten levels
    assert after(rows, "spread_bps") == pytest.approx(4.0, rel=1e-12)
    assert after(rows, "hidden_liquidity") == pytest.approx(0.4472, abs=5e-5)
    assert after(rows, "hidden_liquidity") == pytest.approx(math.sqrt(0.2), rel=1e-12)
    assert after(rows, "mid") == pytest.approx(100.0)
    assert after(rows, "bid") == pytest.approx(99.98)
    assert after(rows, "ask") == pytest.approx(100.02)
    assert after(rows, "microprice") == pytest.approx((99.98 * 5 + 100.02 * 10) / 15, rel=1e-12)
    assert after(rows, "microprice_gap") == pytest.approx((99.98 * 5 + 100.02 * 10) / 1500 - 1, rel=1e-6)
    assert after(rows, "depth_10") == pytest.approx((150 + 75) / 2)
    assert after(rows, "imbalance_1") == pytest.approx(5 / 15)
    assert after(rows, "layer_hint") == 1.0


def test_order_flow_follows_the_formula_of_the_paper():
    rows = [
        *opening((10, 20), (5, 10)),
        (1.1, K.LEVEL, 1, 9998, 14),  # joined the bid: +4
        (1.2, K.LEVEL, -1, 10002, 3),  # left the ask: +2
        (1.3, K.LEVEL, 1, 9999, 2),  # better bid: +2
        (1.4, K.LEVEL, -1, 10002, 0),  # ask gone up: +3 (what stood there)
        (2.5, K.LEVEL, 1, 9999, 0),  # bid falls back: -2
        (2.6, K.LEVEL, -1, 10001, 8),  # better ask: -8
    ]
    assert math.isnan(after(rows, "order_flow_imbalance", at=1.0))  # the first bar is not whole
    assert after(rows, "order_flow_imbalance", at=2.0) == 4 + 2 + 2 + 3
    assert after(rows, "order_flow_imbalance", at=3.0) == -10
    assert after(rows, "order_flow_imbalance", at=4.0) == 0  # nothing happened, and that is known


def test_flow_of_deeper_levels_and_their_scale():
    rows = [*opening((10, 20, 30), (5, 10, 15)), (1.1, K.LEVEL, 1, 9997, 26), (1.2, K.LEVEL, -1, 10004, 35)]
    more = {"flow_levels": 3, "at": 2.0}
    assert after(rows, "flow_1", **more) == 0
    assert after(rows, "flow_2", **more) == 6
    assert after(rows, "flow_3", **more) == -20
    depth = ((60 + 6 + 30) + (60 + 6 + 30 + 20)) / (6 * 2)  # mean size of a level after each of the two messages
    assert after(rows, "average_depth", **more) == pytest.approx(depth)
    assert after(rows, "multi_level_flow_3", **more) == pytest.approx(-20 / depth)
    assert math.isnan(after(rows, "flow_4", at=2.0, flow_levels=4))  # there is no fourth level


def test_rows_of_one_message_count_once():
    """A level that moves within a message is one move of the book, not two."""
    rows = [
        *opening((10, 20), (5, 10)),
        (1.1, K.LEVEL, 1, 9998, 0, 0, False),
        (1.1, K.LEVEL, 1, 9998, 12, 0, True),
    ]
    assert after(rows, "order_flow_imbalance", at=2.0) == 2


def test_a_row_at_the_end_of_a_bar_belongs_to_the_next():
    rows = [*opening((10,), (5,)), (2.0, K.LEVEL, 1, 9998, 11)]
    assert after(rows, "order_flow_imbalance", at=2.0) == 0
    assert after(rows, "order_flow_imbalance", at=3.0) == 1
    assert after(rows, "bid_size", at=2.0) == 10


def test_trade_velocity_counts_the_last_minute_and_waits_for_it():
    rows = [*opening((10,), (5,)), *((i * 0.5, K.TRADE, 1, 10002, 1) for i in range(1, 240))]
    assert math.isnan(after(rows, "trade_velocity", at=59.0))
    assert after(rows, "trade_velocity", at=60.0) == pytest.approx(119 / 60)
    assert after(rows, "trade_velocity", at=100.0) == pytest.approx(120 / 60)
    assert after(rows, "trade_velocity", at=200.0) == 0.0
    assert after(rows, "trade_velocity", at=150.0) == 1.0  # the 60 prints of 90.0 to 119.5
    assert after(rows, "trade_count", at=2.0) == 2
    assert after(rows, "signed_volume", at=2.0) == 2


def test_a_whale_exceeds_a_hundred_times_the_mean_before_it():
    prints = [(i * 0.001, K.TRADE, 1, 10002, 2) for i in range(1, 101)]
    rows = [*opening((10,), (5,)), *prints, (1.5, K.TRADE, -1, 9998, 200), (2.5, K.TRADE, -1, 9998, 500)]
    assert after(rows, "whale_trade", at=1.0) == 0.0
    assert after(rows, "whale_trade", at=2.0) == 0.0  # 100 times, not more
    assert after(rows, "whale_trade", at=3.0) == 1.0
    assert after(rows, "whale_trade", at=4.0) == 0.0
    assert after(rows, "signed_volume", at=3.0) == -500


def test_spoof_hint_is_the_share_of_large_orders_that_went_at_once():
    usual = [(0.001 * i, K.ADD, 1, 9990, 1, i) for i in range(1, 101)]
    rows = [
        *opening((10,), (5,)), *usual,
        (1.1, K.ADD, 1, 9998, 50, 900), (1.4, K.DELETE, 1, 9998, 50, 900),
        (1.5, K.ADD, 1, 9997, 500, 901), (2.6, K.DELETE, 1, 9997, 500, 901),
        (3.1, K.LEVEL, -1, 10003, 5000), (3.3, K.LEVEL, -1, 10003, 0),
        (4.1, K.LEVEL, -1, 10003, 50000), (4.2, K.TRADE, 1, 10003, 10), (4.3, K.LEVEL, -1, 10003, 0),
    ]  # fmt: skip
    assert math.isnan(after(rows, "spoof_hint", at=1.0))  # no large order, so no share
    assert after(rows, "spoof_hint", at=2.0) == 1.0
    assert after(rows, "spoof_hint", at=3.0) == 0.0  # it stayed longer than a second
    assert after(rows, "spoof_hint", at=4.0) == 1.0  # levels have no ids: price and size tell
    assert after(rows, "spoof_hint", at=5.0) == 0.0  # it was hit, so it was meant


def test_what_comes_into_view_is_no_order_and_what_leaves_it_no_cancellation():
    usual = [(0.001 * i, K.ADD, 1, 9990, 1, i) for i in range(1, 101)]
    rows = [*opening((10,), (5,)), *usual, (1.1, K.VIEW, -1, 10005, 900), (1.3, K.VIEW, -1, 10005, 0)]
    assert math.isnan(after(rows, "spoof_hint", at=2.0))
    as_levels = [(*row[:1], K.LEVEL if row[1] == K.VIEW else row[1], *row[2:]) for row in rows]
    assert after(as_levels, "spoof_hint", at=2.0) == 1.0


def test_iceberg_hint_counts_refills_after_hits_at_one_price():
    def hit_and_refill(t):
        return [(t, K.EXECUTE, -1, 10002, 5, 1), (t + 0.05, K.ADD, -1, 10002, 5, 2)]

    rows = [*opening((10,), (5, 10)), *(r for i in range(3) for r in hit_and_refill(1.1 + i * 0.2))]
    assert after(rows, "iceberg_hint", at=1.0) == 0.0
    assert after(rows, "iceberg_hint", at=2.0) == 1.0
    assert after(rows[:-1], "iceberg_hint", at=2.0) == 0.0  # two refills are no iceberg
    assert after(rows, "iceberg_hint", at=3.0) == 0.0


def test_layers_need_four_levels_of_one_size():
    assert after(opening((7, 7, 7, 1), (1, 2, 3, 4)), "layer_hint") == 0.0
    assert after(opening((7, 7, 7, 7), (1, 2, 3, 4)), "layer_hint") == 1.0


@pytest.mark.parametrize("name", ["spread_bps", "imbalance_10", "hidden_liquidity", "mid", "order_flow_imbalance"])
def test_an_invalid_book_says_nothing_until_the_next_snapshot(name):
    rows = [*opening(BIDS, ASKS), (1.5, K.INVALID, 0, 0, 0), (2.5, K.LEVEL, 1, 9998, 99), *opening(BIDS, ASKS, t=3.5)]
    assert math.isnan(after(rows, name, at=2.0))
    assert math.isnan(after(rows, name, at=3.0))
    assert math.isnan(after(rows, name, at=4.0)) == (name == "order_flow_imbalance")  # that bar is not whole
    assert np.isfinite(after(rows, name, at=5.0))


def test_a_halt_keeps_the_book():
    rows = [*opening(BIDS, ASKS), (1.5, K.INVALID, 0, 0, 0), (2.5, K.VALID, 0, 0, 0)]
    assert math.isnan(after(rows, "mid", at=2.0))
    assert after(rows, "mid", at=3.0) == pytest.approx(100.0)


def test_empty_crossed_and_shallow_books_say_what_they_can():
    one_sided = [*opening((10,), (5,)), (0.5, K.LEVEL, -1, 10002, 0)]
    crossed = [*opening((10,), (5,)), (0.5, K.LEVEL, 1, 10002, 1)]
    for rows in (one_sided, crossed):
        assert math.isnan(after(rows, "mid"))
        assert math.isnan(after(rows, "imbalance_1"))
    driver = BookDriver(stream(crossed))
    driver.feed(stream(crossed))
    assert driver.health().crossed == 1
    shallow = stream(opening(BIDS[:5], ASKS[:5]), levels=5)  # a source of five levels does not know ten
    driver = BookDriver(shallow)
    driver.feed(shallow)
    bars = driver.advance(T0 + S)
    assert np.isnan(bars.column("imbalance_10")).all()
    assert np.isnan(bars.column("hidden_liquidity")).all()
    assert np.isfinite(bars.column("imbalance_1")).all()


def test_taking_more_than_a_level_holds_is_counted():
    rows = stream([*opening((10,), (5,)), (0.5, K.EXECUTE, 1, 9998, 11, 3), (0.6, K.DELETE, 1, 9000, 4, 4)])
    driver = BookDriver(rows)
    driver.feed(rows)
    assert driver.health().stray == 2
    assert driver.health().levels == (0, 1)


class PlainBook:
    """The oracle: dictionaries, and sorting at every look."""

    def __init__(self):
        self.sides = {1: {}, -1: {}}

    def take(self, kind, side, price, size):
        if kind == K.CLEAR:
            self.sides = {1: {}, -1: {}}
        elif kind in {K.LEVEL, K.VIEW, K.ADD, K.REDUCE, K.DELETE, K.EXECUTE, K.FILL}:
            book = self.sides[side]
            old = book.get(price, 0)
            new = size if kind in {K.LEVEL, K.VIEW} else old + size if kind == K.ADD else max(old - size, 0)
            book[price] = new
            if new == 0:
                del book[price]

    def top(self, side, depth):
        return sorted(self.sides[side].items(), key=lambda x: -side * x[0])[:depth]


def plain_flow(before, now, level):
    """e_n of one level as the paper writes it, bids minus asks."""
    (pb, qb), (pa, qa) = now[1][level], now[-1][level]
    (pb0, qb0), (pa0, qa0) = before[1][level], before[-1][level]
    return qb * (pb >= pb0) - qb0 * (pb <= pb0) - qa * (pa <= pa0) + qa0 * (pa >= pa0)


@pytest.mark.parametrize("seed", range(3))
def test_the_book_and_its_flow_equal_a_plain_book(seed):
    data = random_stream(1500, seed, gaps=False)
    book, tops, times = PlainBook(), [], []
    for i in range(len(data)):
        book.take(data.kind[i], data.side[i], int(data.price[i]), int(data.size[i]))
        if data.closes[i]:
            tops.append({s: book.top(s, 12) for s in (1, -1)})
            times.append(int(data.available_at[i]))
    price, size = best_levels(data, 12)
    for k, top in enumerate(tops):
        for row, side in ((0, 1), (1, -1)):
            n = len(top[side])
            assert list(zip(price[k, row, :n], size[k, row, :n], strict=True)) == top[side]
            assert not size[k, row, n:].any()
    bars = book_bars(data, BookSettings(bar_ns=10 * S, flow_levels=3))
    for b in range(1, len(bars)):
        inside = [k for k, t in enumerate(times) if bars.start[b] <= t < bars.end[b]]
        for level in range(3):
            whole = all(min(len(tops[k][1]), len(tops[k][-1])) > level for k in [inside[0] - 1, *inside])
            got = bars.column(f"flow_{level + 1}")[b]
            if whole:
                assert got == sum(plain_flow(tops[k - 1], tops[k], level) for k in inside)
            else:
                assert math.isnan(got)
        last = tops[inside[-1]]
        if last[1] and last[-1] and last[1][0][0] < last[-1][0][0]:
            b_sum, a_sum = (sum(q for _, q in last[s][:10]) for s in (1, -1))
            assert bars.column("imbalance_10")[b] == pytest.approx((b_sum - a_sum) / (b_sum + a_sum), rel=1e-12)
            sizes = np.array([q for _, q in last[1][:10]], float)
            assert bars.column("hidden_liquidity")[b] == pytest.approx(sizes.std() / sizes.mean(), abs=1e-12)
        else:
            assert math.isnan(bars.column("imbalance_10")[b])


def random_orders(rows, seed):
    """Orders that join, shrink, go and are hit; prints; some large orders that go at once, some levels that refill."""
    rng = generator(seed, "orders")
    made, alive, t = opening(BIDS, ASKS), {}, 0.0
    for order in range(1, rows):
        t += float(rng.integers(0, 120)) / 1000
        u = rng.random()
        side = 1 if rng.random() < 0.5 else -1
        price = 10000 - side * (2 + int(rng.geometric(0.4)))
        if u < 0.5 or not alive:
            size = int(rng.integers(200, 400)) if rng.random() < 0.05 else int(rng.integers(1, 12))
            alive[order] = (side, price, size)
            made.append((t, K.ADD, side, price, size, order))
        elif u < 0.9:
            which = max(alive) if rng.random() < 0.5 else int(rng.choice(sorted(alive)))
            side, price, size = alive[which]
            if u < 0.65:
                del alive[which]
                made.append((t, K.DELETE, side, price, size, which))
            else:
                part = int(rng.integers(1, size + 1))
                alive[which] = (side, price, size - part)
                if size == part:
                    del alive[which]
                kind = K.REDUCE if u < 0.7 and size != part else K.EXECUTE
                made.append((t, kind, side, price, part, which))
                if kind == K.EXECUTE and rng.random() < 0.7:  # refilled at once
                    alive[-order] = (side, price, part)
                    made.append((t, K.ADD, side, price, part, -order))
        else:
            size = 20_000 if rng.random() < 0.02 else int(rng.integers(1, 20))
            made.append((t, K.TRADE, side, 10000, size, 0))
    return stream(made)


class PlainTape:
    """The oracle of what is no sum over levels: lists of everything, searched anew at every question."""

    def __init__(self):
        self.prints, self.adds, self.ends, self.hits, self.news = [], [], {}, [], []

    def take(self, t, kind, side, price, size, order):
        if kind in {K.TRADE, K.EXECUTE}:
            self.prints.append((t, size))
        if kind == K.EXECUTE:
            self.news.append((t, "hit", side, price, size))
        elif kind == K.TRADE:
            self.news.append((t, "hit", -side, price, size))
        if kind == K.ADD:
            usual = np.mean([a[4] for a in self.adds]) if len(self.adds) >= 100 else np.inf
            self.adds.append((t, side, price, order, size, size > 10 * usual))
            self.news.append((t, "add", side, price, size))
        if kind == K.DELETE:
            self.ends.setdefault(order, t)

    def velocity(self, end):
        return sum(end - 60 * S <= t < end for t, _ in self.prints) / 60

    def whale(self, start, end):
        sizes = [q for _, q in self.prints]
        return float(any(start <= t < end and k >= 100 and q > 100 * np.mean(sizes[:k])
                         for k, (t, q) in enumerate(self.prints)))  # fmt: skip

    def spoof(self, start, end):
        fates = []
        for t, _, _, order, _, large in self.adds:
            if large:
                gone = self.ends.get(order, np.inf)
                fates.append((gone, 1) if gone - t < S else (t + S, 0))
        # One that stays is judged a second later, at the next row or end of bar; bars end on whole seconds.
        judged = [cancelled for at, cancelled in fates if (start <= at < end if cancelled else start < at <= end)]
        return np.mean(judged) if judged else np.nan

    def iceberg(self, start, end):
        state, found = {1: (None, 0, 0, 0), -1: (None, 0, 0, 0)}, 0.0
        for t, what, side, price, size in self.news:
            where, open_size, hit_at, refills = state[side]
            if what == "hit":
                same = where == price
                state[side] = (price, (open_size if same else 0) + size, t, refills if same else 0)
            elif where == price and 0 < open_size <= size and t - hit_at <= S:
                state[side] = (price, 0, hit_at, refills + 1)
                found = 1.0 if refills + 1 >= 3 and start <= t < end else found
        return found


@pytest.mark.parametrize("seed", range(3))
def test_prints_and_hints_equal_a_plain_tape(seed):
    data = random_orders(2500, seed)
    tape, book = PlainTape(), PlainBook()
    sizes = {}
    for i in range(len(data)):
        row = (int(data.kind[i]), int(data.side[i]), int(data.price[i]), int(data.size[i]))
        book.take(*row)
        if i > 20:
            tape.take(int(data.available_at[i]), *row, int(data.order[i]))
        if data.closes[i]:
            sizes[int(data.available_at[i])] = [[q for _, q in book.top(s, 10)] for s in (1, -1)]
    bars = book_bars(data)
    seen = dict.fromkeys(("whale_trade", "spoof_hint", "iceberg_hint", "layer_hint"), 0)
    times = np.array(sorted(sizes))
    for b in range(len(bars)):
        start, end = int(bars.start[b]), int(bars.end[b])
        told = {name: bars.column(name)[b] for name in bars.names}
        if end - T0 >= 60 * S:
            assert told["trade_velocity"] == tape.velocity(end)
        assert told["whale_trade"] == tape.whale(start, end)
        np.testing.assert_equal(told["spoof_hint"], tape.spoof(start, end))
        assert told["iceberg_hint"] == tape.iceberg(start, end)
        top = sizes[int(times[np.searchsorted(times, end) - 1])]
        assert told["layer_hint"] == float(any(max(map(side.count, side)) >= 4 for side in top))
        for name in seen:
            seen[name] += told[name] > 0
    assert min(seen.values()) > 0, seen  # every branch was met
    assert (bars.column("spoof_hint") == 0).any()


def test_long_bars_are_the_sums_of_short_ones():
    data = random_stream(4000, 6, gaps=False)
    short = book_bars(data, BookSettings(flow_levels=1))
    for seconds in (10, 60, 300):
        long = book_bars(data, BookSettings(bar_ns=seconds * S, flow_levels=1))
        for b in range(1, len(long)):
            inside = (short.start >= long.start[b]) & (short.end <= long.end[b])
            for name in ("order_flow_imbalance", "trade_volume", "signed_volume", "trade_count"):
                assert long.column(name)[b] == short.column(name)[inside].sum()
            for name in ("mid", "imbalance_10", "hidden_liquidity"):
                np.testing.assert_equal(long.column(name)[b], short.column(name)[inside][-1])


@pytest.mark.parametrize("seed", range(3))
def test_live_equals_history_bit_for_bit_over_cuts_and_restarts(seed):
    data = random_stream(3000, seed)
    whole = book_bars(data)
    rng = generator(seed, "cuts")
    driver = BookDriver(data)
    cuts = [0, *sorted(rng.integers(0, len(data), 40).tolist()), len(data)]
    parts = []
    for first, last in itertools.pairwise(cuts):
        parts.append(driver.feed(data.rows(first, last)))
        if rng.random() < 0.5:  # a new process goes on from the snapshot
            kept = driver.snapshot()
            driver = BookDriver(data)
            driver.restore(kept)
        if rng.random() < 0.5 and last < len(data):
            parts.append(driver.advance(int(data.available_at[last])))
    assert np.array_equal(np.concatenate([p.end for p in parts]), whole.end)
    assert np.concatenate([p.values for p in parts]).tobytes() == whole.values.tobytes()


def test_no_bar_depends_on_a_later_row():
    data = random_stream(1200, 9)
    whole = book_bars(data)
    for cut in (300, 700, 1100):
        early = book_bars(data.rows(0, cut))
        assert early.values.tobytes() == whole.values[: len(early)].tobytes()


def test_a_deep_book_makes_room_and_forgets_nothing():
    rng = generator(4, "deep")
    levels = rng.permutation(5000)
    rows = [(0.0, K.CLEAR, 0, 0, 0, 0, False)]
    rows += [(0.0, K.LEVEL, 1, int(100_000 - p), int(p) + 1, 0, False) for p in levels]
    rows += [(0.0, K.LEVEL, -1, int(100_001 + p), int(p) + 1, 0, False) for p in levels]
    rows += [(0.1, K.LEVEL, 1, int(100_000 - p), 0) for p in levels if p % 7]
    data = stream(rows)
    driver = BookDriver(data)
    driver.feed(data)
    assert driver.health().levels == (len([p for p in levels if p % 7 == 0]), 5000)
    price, size = driver.levels(3)
    np.testing.assert_allclose(price[0], [1000.0, 999.93, 999.86])
    np.testing.assert_array_equal(size[0], [1, 8, 15])
    np.testing.assert_array_equal(best_levels(data, 3)[1][-1, 0], [1, 8, 15])


def test_units_do_not_matter_where_the_catalogue_says_so():
    data = random_stream(800, 5)
    scaled = replace(data, tick=data.tick * 4, lot=data.lot * 8)
    one, other = book_bars(data), book_bars(scaled)
    for name in one.names:
        factor = 1.0
        if name in {"bid", "ask", "mid", "microprice"}:
            factor = 4.0
        elif name.startswith(("depth_", "flow_")) or name in {
            "bid_size", "ask_size", "trade_volume", "signed_volume", "average_depth", "order_flow_imbalance"
        }:  # fmt: skip
            factor = 8.0
        np.testing.assert_array_equal(one.column(name) * factor, other.column(name), err_msg=name)


def test_wrong_use_is_refused_with_the_reason():
    data = stream(opening((10,), (5,)))
    with pytest.raises(ConfigError, match="multiple of 100 ms"):
        BookSettings(bar_ns=3)
    with pytest.raises(ConfigError, match="1 to 64"):
        BookSettings(flow_levels=0)
    with pytest.raises(ConfigError, match="at least one level"):
        BookSettings(depths=(0,))
    driver = BookDriver(data)
    driver.feed(data)
    with pytest.raises(DataError, match="arrives after"):
        driver.feed(replace(data, available_at=data.available_at - 1))
    with pytest.raises(DataError, match="one instrument"):
        driver.feed(replace(data, tick=0.5))
    with pytest.raises(DataError, match="cannot go back"):
        driver.advance(T0 - 1)
    with pytest.raises(IntegrityError, match="does not belong"):
        BookDriver(data, BookSettings(flow_levels=3)).restore(driver.snapshot())
    for other in (BookDriver(data, BookSettings(bar_ns=2 * S)), BookDriver(replace(data, tick=0.5))):
        with pytest.raises(IntegrityError, match="does not belong"):
            other.restore(driver.snapshot())
    with pytest.raises(UnknownNameError):
        driver.advance(T0 + S).column("nonsense")
    late = stream([(4e5, K.LEVEL, 1, 1, 1)])
    with pytest.raises(DataError, match="bars of"):
        BookDriver(data, BookSettings(bar_ns=100 * MS)).feed(
            join_streams([data, replace(late, available_at=late.available_at + 10**17)])
        )


def test_an_empty_stream_gives_no_bars():
    assert len(book_bars(stream([]))) == 0
    assert len(BookDriver(stream([])).advance(T0)) == 0
    assert len(book_bars(stream(opening((1,), (1,))))) == 0
