"""A backtest whose orders fill on a recorded order book, between the bars on which it decides (PAPER-03)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from tests.unit.engine.test_level_keeping import At

from foresail.core.clock import to_ns
from foresail.core.ids import InstrumentId
from foresail.domain.books import ASK, BID, BookKind, BookStream
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason
from foresail.domain.signals import OrderIntent, Side
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.shell import Shell
from foresail.engine.trading_settings import CostChoice, TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.journal import Journal
from foresail.testing.builders import bar_panel

D = Decimal
ONE, STOCK = InstrumentId("crypto.X.ONE-USD"), InstrumentId("sim.S01.A")
HOUR = 3600 * 10**9
START = to_ns(datetime(2024, 1, 5, tzinfo=UTC))
LEVEL, TRADE = BookKind.LEVEL, BookKind.TRADE
_Row = tuple[float, BookKind, int, int, int]  # hours after the start, kind, side, ticks, lots
OPENING: list[_Row] = [(0.5, LEVEL, BID, 99, 10), (0.5, LEVEL, ASK, 101, 5), (0.5, LEVEL, ASK, 102, 7)]


def book(rows: Sequence[_Row]) -> BookStream:
    times = np.array([START + int(row[0] * HOUR) for row in rows])
    kind, side, price, size = (np.array([row[c] for row in rows], dtype=np.int64) for c in range(1, 5))
    zeros = np.zeros(len(rows), dtype=np.int64)
    return BookStream(
        ONE, 1.0, 1.0, times, times, kind.astype(np.int8), side.astype(np.int8), price, size, zeros, zeros,
        np.ones(len(rows), dtype=bool),
    )  # fmt: skip


def inputs(rows: Sequence[_Row] | None, bars: int = 8, low: float = 90.0) -> BacktestInputs:
    """Hourly bars that reach far below and above the book."""
    wide = {"low": {str(ONE): [low] * bars}, "high": {str(ONE): [110.0] * bars}}
    panel = bar_panel({ONE: [100.0] * bars}, frame="1h", calendar="24/7", first_day="2024-01-05", fields=wide)
    record = Instrument(ONE, ONE, AssetClass.CRYPTO, currency="USD", tick=D(1), lot=D(1), sector=ONE)
    like = simulated_bar_set(bar_panel({STOCK: [1.0]}))
    bar_set = replace(like, asset_class=AssetClass.CRYPTO, instruments=(record,), frame="1h", calendar="24/7")
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, panel.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(panel, bar_set, {}, np.full(1, bars), None)
    settings = PipelineSettings(
        capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",),
        trading=TradingSettings(costs=CostChoice("flat", 0.0)),
    )  # fmt: skip
    books = {} if rows is None else {ONE: book(rows)}
    return BacktestInputs(data, settings, panel, {}, WalkForward(block, ()), 8760.0, books)


def run(rows: Sequence[_Row] | None, strategy: Any, bars: int = 8) -> Backtest:
    return run_backtest(inputs(rows, bars), strategy=strategy, first=0, limits=None)


def fills(result: Backtest) -> list[tuple[float, str, int, int]]:
    return [
        (round((one.filled_at - START) / HOUR, 3), one.side.value, int(one.quantity), int(one.price))
        for one in result.fills
    ]


def test_a_market_order_walks_the_book_and_waits_for_the_next_message() -> None:
    buy = At({1: [OrderIntent(ONE, Side.BUY, D(8))]})
    quiet = (1.25, LEVEL, ASK, 120, 1)
    assert fills(run([*OPENING, quiet], buy)) == [(1.25, "buy", 5, 101), (1.25, "buy", 3, 102)]
    assert fills(run(None, buy)) == [(1.0, "buy", 8, 100)]


def test_a_limit_order_stands_behind_its_level() -> None:
    """Ten lots stand ahead: a print of 8 and a cancel of 1 leave 1, so the next print of 4 fills 3 of 5."""
    bid = At({1: [OrderIntent(ONE, Side.BUY, D(5), "limit", D(99))]})
    rows = [
        *OPENING, (1.1, LEVEL, ASK, 103, 1), (1.5, TRADE, ASK, 99, 8), (1.5, LEVEL, BID, 99, 2),
        (1.8, LEVEL, BID, 99, 1), (2.5, TRADE, ASK, 99, 4), (3.5, TRADE, ASK, 98, 9),
    ]  # fmt: skip
    found = fills(run(rows, bid))
    assert found == [(2.5, "buy", 3, 99), (3.5, "buy", 2, 99)]
    assert fills(run(None, bid)) == [(2.0, "buy", 5, 99)]  # bars trade through it at once


def test_stops_leave_on_the_book_and_bars_only_mark() -> None:
    buy = At({1: [OrderIntent(ONE, Side.BUY, D(2), stop_price=D(97))]})
    rows = [
        *OPENING,
        (1.5, LEVEL, ASK, 103, 1),
        (4.2, LEVEL, BID, 99, 0),
        (4.2, LEVEL, BID, 96, 4),
        (4.3, TRADE, ASK, 97, 1),
    ]
    result = run(rows, buy)
    assert fills(result)[0] == (1.5, "buy", 2, 101)
    assert [one.reason for one in result.fills] == [FillReason.ENTRY, FillReason.STOP]
    assert fills(result)[1][1:] == ("sell", 2, 96)
    assert fills(result)[1][0] in (4.2, 4.3)  # the bars were below 97 all along


def test_nothing_fills_where_the_book_says_nothing() -> None:
    buy = At({3: [OrderIntent(ONE, Side.BUY, D(2))]})
    assert fills(run(OPENING, buy)) == []


def test_what_was_printed_before_an_order_does_not_fill_it() -> None:
    bid = At({5: [OrderIntent(ONE, Side.BUY, D(5), "limit", D(99))]})
    assert fills(run([*OPENING, (2.5, TRADE, ASK, 98, 50), (4.5, LEVEL, ASK, 104, 1)], bid)) == []


def test_a_restart_between_bars_reads_the_rest_of_the_book() -> None:
    rows = [
        *OPENING,
        (1.1, LEVEL, ASK, 103, 1),
        (1.5, TRADE, ASK, 99, 8),
        (2.5, TRADE, ASK, 99, 4),
        (3.5, TRADE, ASK, 98, 9),
    ]
    given = inputs(rows)
    plan = At({1: [OrderIntent(ONE, Side.BUY, D(5), "limit", D(99))]})

    def fresh(entries: Sequence[Any] = ()) -> tuple[TradingCore, Any]:
        built = build_parts(given.data.bars, given.data.bar_set, given.settings, strategy=plan, explain=None)
        parts, link = history_parts(given, built)
        return TradingCore(parts, Journal(entries)), link

    events = list(history_events(given.data.bars, 0, 1))
    whole, link = fresh()
    whole.begin(START, D(100_000))
    shell = Shell(whole, link)
    for event in events[:5]:
        shell.apply(event)
    state, place = deepcopy(whole.to_plain()), deepcopy(link.to_plain())
    again, second = fresh(tuple(whole._writer))  # type: ignore[arg-type]
    again.restore(state)
    second.restore(place)
    other = Shell(again, second)
    for event in events[5:]:
        shell.apply(event)
        other.apply(event)
    assert again.books.quantity(ONE) == whole.books.quantity(ONE) == 5
    assert tuple(again._writer) == tuple(whole._writer)  # type: ignore[arg-type]
