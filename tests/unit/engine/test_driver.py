"""The driver on bars written by hand: when orders leave, what corporate actions book, how listings end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.clock import from_ns
from foresail.core.ids import InstrumentId
from foresail.domain.events import BarsClosed, Fact, Timer
from foresail.domain.forecast import ForecastBlock
from foresail.domain.orders import FillReason
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.domain.universe import Listing, Universe
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.history import history_events
from foresail.engine.pipeline import PipelineResult
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import DividendPaid, HoldingCharged, SplitApplied
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel

A, B = InstrumentId("sim.S01.A"), InstrumentId("sim.S02.B")


@dataclass
class Buyer:
    """Buys 10 units of A at the first decision; remembers what it was offered."""

    every: int = 1
    offered: list[tuple[InstrumentId, ...]] = field(default_factory=list)

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/buyer@2", every=self.every, critical_inputs=())

    def start(self) -> None:
        return None

    def step(self, state: None, view: MarketView) -> Sequence[Intent]:
        self.offered.append(view.instruments)
        return [OrderIntent(A, Side.BUY, Decimal(10))] if len(self.offered) == 1 else []


def panel(closes: Sequence[float], **fields: Mapping[str, Sequence[float]]) -> Panel:
    return bar_panel({A: closes, B: [50.0] * len(closes)}, fields=fields)


def backtest(
    bars: Panel,
    *,
    blocked: int | None = None,
    strategy: Buyer | None = None,
    universe: Universe | None = None,
    delisting_return: float = 0.0,
) -> Backtest:
    n, t, _ = bars.shape
    out = np.array([t if blocked is None else blocked, t])
    settings = PipelineSettings(
        capital=Decimal(10_000),
        horizons=(1,),
        decision_horizon=1,
        targets=("close",),
        delisting_return=delisting_return,
    )
    positions = np.arange(1, t)
    block = ForecastBlock(
        values=np.full((n, len(positions), 1, 1, 1), np.nan),
        position=positions,
        issued_at=bars.available_at[positions],
        instruments=bars.instruments,
        targets=("close",),
        horizons=(1,),
        levels=(0.5,),
        model=("",) * len(positions),
    )
    data = MarketData(bars, simulated_bar_set(bars), {}, out, universe)
    inputs = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)
    return run_backtest(inputs, strategy=Buyer() if strategy is None else strategy)


def test_an_order_leaves_with_the_first_bar_that_starts_after_the_decision() -> None:
    bars = panel([100.0, 101.0, 103.0, 104.0, 105.0])
    (fill,) = backtest(bars).fills
    assert (fill.filled_at, fill.reference_price) == (bars.start[2], Decimal(101))  # bar 2 opens at the close of bar 1
    late = replace(bars, available_at=bars.end + 1 + (bars.start[2] - bars.end[1]))  # known just after bar 2 began
    (fill,) = backtest(late).fills
    assert (fill.filled_at, fill.reference_price) == (bars.start[3], Decimal(103))


def test_a_split_and_a_dividend_are_booked_once_and_leave_equity_where_it_was() -> None:
    ones = [1.0] * 6
    splits, dividends = {A: [*ones[:4], 2.0, 1.0]}, {A: [0, 0, 0, 0, 0, 1.5]}
    bars = panel([100.0, 100.0, 100.0, 100.0, 50.0, 48.5], split=splits, dividend=dividends)
    opened = bars.values.copy()
    opened[0, 4, bars.index("open")] = opened[0, 4, bars.index("high")] = 50.0
    book = backtest(replace(bars, values=opened))
    split, dividend = (one for one in book.journal if isinstance(one, SplitApplied | DividendPaid))
    assert isinstance(split, SplitApplied)
    assert isinstance(dividend, DividendPaid)
    assert (split.ratio, split.price, dividend.per_unit) == (Decimal(2), Decimal(50), Decimal("1.5"))
    np.testing.assert_allclose(book.net[2:], book.net[2])
    assert book.cash[5] - book.cash[4] == pytest.approx(20 * 1.5)


def test_nothing_is_booked_on_what_is_not_held() -> None:
    bars = panel([100.0] * 5, dividend={B: [0, 0, 0, 2.0, 0]})
    assert not any(isinstance(one, DividendPaid) for one in backtest(bars).journal)


def test_a_listing_that_falls_silent_is_closed_at_its_last_print_after_ten_bars() -> None:
    nan = float("nan")
    bars = panel([100.0, 100.0, 101.0, 102.0, *[nan] * 12])
    book = backtest(bars)
    assert [one.reason for one in book.fills] == [FillReason.ENTRY, FillReason.DELISTED]
    assert book.fills[1].reference_price == Decimal(102)
    assert book.ended == ((A, 13, 1020.0),)  # ten silent bars after position 3
    assert book.exposure[12] > 0.0
    assert book.exposure[13] == 0.0
    np.testing.assert_allclose(book.net[13:] - book.net_haircut[13:], 306.0)
    np.testing.assert_array_equal(book.net[:13], book.net_haircut[:13])


def test_nine_silent_bars_do_not_end_a_listing() -> None:
    book = backtest(panel([100.0, 100.0, 101.0, *[float("nan")] * 9, 103.0]))
    assert book.ended == ()
    assert len(book.fills) == 1


def test_a_blocked_instrument_is_neither_offered_nor_traded() -> None:
    strategy = Buyer()
    book = backtest(panel([100.0] * 6), blocked=0, strategy=strategy)
    assert book.fills == ()
    assert set(strategy.offered) == {(B,)}


def test_a_name_is_left_at_its_last_print_before_the_jump_that_blocks_it() -> None:
    book = backtest(panel([100.0, 100.0, 101.0, 102.0, 500.0, 510.0]), blocked=4)
    assert [one.reason for one in book.fills] == [FillReason.ENTRY, FillReason.EXIT]
    assert book.fills[1].reference_price == Decimal(102)
    assert book.net[-1] == book.net[4]
    assert book.ended == ()


def test_a_print_far_from_every_close_fills_nothing() -> None:
    bars = panel(
        [100.0, 100.0, 100.0, 100.0, 100.0], open={A: [100, 100, 0.02, 100, 100]}, low={A: [99, 99, 0.02, 99, 99]}
    )
    (fill,) = backtest(bars).fills
    assert (fill.filled_at, fill.reference_price) == (bars.start[3], Decimal(100))


def test_decisions_are_due_every_so_many_bars_of_the_set() -> None:
    strategy = Buyer(every=3)
    backtest(panel([100.0] * 10), strategy=strategy)
    assert len(strategy.offered) == 3  # positions 3, 6 and 9


def test_the_events_of_a_bar_come_in_their_order() -> None:
    bars = panel([100.0] * 4, dividend={A: [1.0, 1.0, 1.0, 0.0]})
    events = history_events(bars, 1, 1)
    assert [type(one) for one in events] == [BarsClosed, Timer, Fact, BarsClosed, Timer, BarsClosed, Timer]
    assert [one.available_at for one in events] == sorted(one.available_at for one in events)


def test_gross_and_twice_cost_equity_are_the_same_trades_at_other_costs(small_result: PipelineResult) -> None:
    book = small_result.backtest
    assert len(book.fills) > 50
    cost = float(book.total_cost)
    assert cost > 100.0
    assert book.gross[-1] - book.net[-1] == pytest.approx(cost, abs=0.005)
    assert book.net[-1] - book.net_2x[-1] == pytest.approx(cost, abs=0.01)
    assert (book.gross >= book.net).all()
    booked = sum(one.fee + one.slippage for one in book.fills)
    assert float(booked) == pytest.approx(float(book.totals.fees + book.totals.slippage), abs=0.005)


def test_equity_stands_at_the_capital_until_the_first_decision(small_result: PipelineResult) -> None:
    book = small_result.backtest
    assert book.first == small_result.walk.block.position[0]
    assert set(book.net[: book.first].tolist()) == {float(small_result.settings.capital)}
    assert all(one.filled_at > small_result.data.bars.end[book.first] for one in book.fills)


@dataclass
class Holder(Buyer):
    """Holds 5 % in A at every decision."""

    def step(self, state: None, view: MarketView) -> Sequence[Intent]:
        return [Weights(((A, 0.05),))]


def test_an_order_that_has_not_left_yet_counts_as_pending() -> None:
    bars = panel([100.0] * 8)
    late = replace(bars, available_at=bars.end + 1 + (bars.start[2] - bars.end[1]))  # known just after the next open
    on_time = [(one.order.side, one.order.quantity) for one in backtest(bars, strategy=Holder()).orders]
    delayed = [(one.order.side, one.order.quantity) for one in backtest(late, strategy=Holder()).orders]
    assert delayed == on_time == [(Side.BUY, Decimal(5)), (Side.SELL, Decimal(1))]


def test_a_decision_is_sized_with_the_prices_that_were_available() -> None:
    bars = panel([100.0, 100.0, 100.0, 100.0, 50.0, 50.0, 50.0, 50.0])
    after = np.concatenate([bars.end[2:], bars.end[-1] + 10**14 * np.arange(1, 3)]) + 1  # two bars late
    late = replace(bars, available_at=after)
    book = backtest(late, strategy=Holder())
    fifth = [one.order for one in book.orders if one.order.decided_at < after[4]]  # rows 1 to 3 only know 100
    assert [(one.side, one.quantity) for one in fifth] == [(Side.BUY, Decimal(5)), (Side.SELL, Decimal(1))]
    assert next(one.order for one in book.orders if one.order.decided_at == after[4]).side is Side.BUY


def test_a_dividend_is_paid_on_the_units_after_a_split_of_the_same_bar() -> None:
    ones = [1.0] * 6
    bars = panel(
        [100.0, 100.0, 100.0, 100.0, 48.5, 48.5],
        split={A: [*ones[:4], 2.0, 1.0]},
        dividend={A: [0, 0, 0, 0, 1.5, 0]},
        open={A: [100.0, 100.0, 100.0, 100.0, 48.5, 48.5]},
    )
    book = backtest(bars)
    assert book.totals.dividends == Decimal(30)
    np.testing.assert_allclose(book.net[2:], book.net[2])


def test_who_is_stopped_out_inside_a_bar_has_paid_for_holding_until_then() -> None:
    perp = InstrumentId("sim.S01.A.perp")

    class Once(Buyer):
        def step(self, state: None, view: MarketView) -> Sequence[Intent]:
            self.offered.append(view.instruments)
            order = OrderIntent(perp, Side.BUY, Decimal(10), stop_price=Decimal(95))
            return [order] if len(self.offered) == 1 else []

    low = {perp: [100.0, 100.0, 90.0, 100.0, 100.0]}
    bars = bar_panel({perp: [100.0] * 5, B: [50.0] * 5}, calendar="24/7", fields={"low": low})
    bars = replace(bars, start=np.r_[bars.start[:1], bars.end[:-1]])
    book = backtest(bars, strategy=Once())
    assert [one.reason for one in book.fills] == [FillReason.ENTRY, FillReason.STOP]
    charged = sum(one.amount for one in book.journal if isinstance(one, HoldingCharged))
    assert charged == Decimal("0.3")  # three fundings of 0.01 % on 1,000 within the day
    assert book.net[-1] == pytest.approx(book.gross[-1] - float(book.total_cost))


def test_what_an_ended_listing_pays_follows_the_rule() -> None:
    nan = float("nan")
    bars = panel([100.0, 100.0, 101.0, 100.0, *[nan] * 12])
    plain, lost = backtest(bars), backtest(bars, delisting_return=-0.4)
    assert (plain.fills[-1].price, lost.fills[-1].price) == (Decimal(100), Decimal(60))
    assert lost.net[-1] - plain.net[-1] == pytest.approx(-0.4 * 10 * 100, abs=0.02)  # the fee is a cent less
    assert lost.gross[-1] - plain.gross[-1] == pytest.approx(-0.4 * 10 * 100)  # a loss, not a cost
    assert plain.net_haircut[-1] - plain.net[-1] == pytest.approx(-0.3 * 10 * 100)
    assert lost.net_haircut[-1] == lost.net[-1]


def test_a_gap_of_a_name_that_is_still_listed_ends_nothing() -> None:
    nan = float("nan")
    bars = panel([100.0, 100.0, 101.0, 102.0, *[nan] * 12, 110.0, 110.0])
    still = Universe.fixed(bars.instruments, survivorship_biased=True)
    book = backtest(bars, universe=still)
    assert [one.reason for one in book.fills] == [FillReason.ENTRY]
    assert book.net[-1] - book.net[3] == pytest.approx(10 * (110 - 102))
    day = from_ns(int(bars.end[14])).date()
    gone = Universe.point_in_time([Listing(A, date(1990, 1, 1), day)], source="test")
    closed = backtest(bars, universe=gone)
    assert [one.reason for one in closed.fills] == [FillReason.ENTRY, FillReason.DELISTED]
    assert closed.fills[-1].filled_at == bars.end[15]  # ten bars of silence were over, the listing ended the day before
