"""Figures by group (ATTR-02): the groups add up to the account, and each figure is that of the group's own series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    Marked,
    OrderIntended,
    SharesPlanned,
    SplitApplied,
)
from foresail.measures.performance import sharpe_ratio
from foresail.portfolio.attribution import (
    Opening,
    by_class,
    by_hour,
    by_instrument,
    by_sector,
    by_side,
    by_strategy,
    group_figures,
    group_profits,
    strategy_profits,
)
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel

D = Decimal
A, B = InstrumentId("stock.US.AAA"), InstrumentId("stock.US.BBB")
HOUR = 3600 * 10**9
RECORDS = {
    A: Instrument(A, "AAA", AssetClass.STOCK, sector="energy"),
    B: Instrument(B, "BBB", AssetClass.STOCK, sector="finance"),
}


@dataclass
class Turner:
    """Turns between names, with a dip order now and then."""

    id: str = "test/turner@1"
    every: int = 2

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        names = view.instruments
        place = state["n"] // 2 % len(names)
        return [Weights(((names[place], 0.1), (names[(place + 1) % len(names)], 0.05))),
                *([OrderIntent(names[-1], Side.BUY, D(5))] if state["n"] % 5 == 0 else [])]  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Backtest:
    bars = small_panel(4, 120, seed=3)
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((4, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(4, 120), None)
    settings = PipelineSettings(capital=D(50_000), horizons=(1,), decision_horizon=1, targets=("close",))
    return run_backtest(
        BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0), strategy=Turner(), first=0
    )


@pytest.mark.parametrize("key", [by_instrument, by_side, by_hour("America/New_York"), by_strategy])
def test_the_profits_of_all_groups_add_up_to_the_account(result: Backtest, key: Any) -> None:
    profits = group_profits(result.journal, key)
    whole = np.diff(np.concatenate(([50_000.0], result.net)))
    np.testing.assert_allclose(np.sum(list(profits.values()), axis=0), whole, atol=1e-6)


def test_every_figure_is_that_of_the_groups_own_series(result: Backtest) -> None:
    draw = np.random.default_rng(1)
    benchmark = draw.normal(0, 0.01, len(result.net))
    figures = group_figures(result.journal, by_instrument, equity=result.net, bars_per_year=252.0, benchmark=benchmark)
    profits = group_profits(result.journal, by_instrument)
    before = np.concatenate(([50_000.0], result.net[:-1]))
    assert len(figures) == 4
    for name, one in figures.items():
        returns = profits[name] / before
        slope, level = np.polyfit(benchmark, returns, 1)
        assert one.performance.sharpe_ratio == pytest.approx(sharpe_ratio(returns, bars_per_year=252.0))
        assert (one.beta, one.alpha) == (pytest.approx(slope), pytest.approx(level * 252.0))
        assert one.profit == pytest.approx(profits[name].sum())
        assert one.cost > 0.0
    closed = [one for one in result.trades if one.closed_at is not None]
    assert sum(one.trades.trades for one in figures.values()) == len(closed)
    assert sum(one.cost for one in figures.values()) == pytest.approx(float(result.total_cost))


def test_a_trade_belongs_to_its_opening_from_side_to_side() -> None:
    order = Order(OrderId("1" * 32), A, Side.BUY, D(10), OrderKind.MARKET, 0, strategy="x@1")

    def fill(number: int, side: Side, units: int, price: str, at: int, fee: str = "0") -> Fill:
        name = order.id if number == 1 else OrderId(f"{number:032x}")
        return Fill(name, A, side, D(units), D(price), D(price), D(fee), D("0.1"), at, FillReason.ENTRY, f"x{number}")

    entries = [
        Deposited(0, 0, D(1000)),
        OrderIntended(0, 1, order),
        FillBooked(9 * HOUR, 2, fill(1, Side.BUY, 10, "10", 9 * HOUR, "1")),
        Marked(10 * HOUR, 3, ((A, D(11)),)),
        DividendPaid(11 * HOUR, 4, A, D("0.5")),
        SplitApplied(11 * HOUR, 5, A, D(2), D("5.5")),
        FillBooked(12 * HOUR, 6, fill(2, Side.SELL, 30, "6", 12 * HOUR, "3")),  # closes 20, opens a short of 10
        Marked(13 * HOUR, 7, ((A, D(5)),)),
        HoldingCharged(13 * HOUR, 8, D("0.25"), HoldingKind.BORROW, A),
        Marked(14 * HOUR, 9, ((A, D(5)),)),
    ]
    sides = group_profits(entries, by_side)
    np.testing.assert_allclose(sides["long"], [9.0, 5.0 + 10.0 - 2.0, 0.0])
    np.testing.assert_allclose(sides["short"], [0.0, 10.0 - 1.0, -0.25])
    assert set(group_profits(entries, by_strategy)) == {"x@1", ""}
    assert set(group_profits(entries, by_hour())) == {"09", "12"}
    assert set(group_profits(entries, by_sector(RECORDS))) == {"energy"}
    assert by_class(RECORDS)(Opening(A, Side.BUY, 0)) == "stock"
    books, equity = Books("t", "USD", allow_short=True), []
    for entry in entries:
        books.apply(entry)
        if isinstance(entry, Marked):
            equity.append(float(books.equity()))
    figures = group_figures(entries, by_side, equity=np.array(equity), bars_per_year=252.0)
    assert figures["long"].cost == pytest.approx(1 + 0.1 + 2 + 0.1 * 2 / 3)
    assert figures["long"].cost_impact == pytest.approx(figures["long"].cost / (22.0 + figures["long"].cost))
    assert math.isnan(figures["long"].beta)
    with pytest.raises(DataError, match="3 marks"):
        group_figures(entries, by_side, equity=np.array(equity[:2]), bars_per_year=252.0)


def test_strategies_of_a_netted_account_share_its_profit_out() -> None:
    order = OrderId("2" * 32)
    bought = Fill(order, A, Side.BUY, D(60), D(11), D(11), D("0.6"), D(0), 2, FillReason.ENTRY, "x")
    entries = [
        Deposited(0, 0, D(10_000)),
        SharesPlanned(1, 1, A, (("a@1", D(40)), ("b@1", D(-40))), (("a@1", D(60)),), (order,), D(10)),
        FillBooked(2, 2, bought),
        Marked(3, 3, ((A, D(12)),)),
        Marked(4, 4, ((A, D(9)),)),
    ]
    profits = strategy_profits(entries, ("a@1", "b@1"), RECORDS, "USD")
    np.testing.assert_allclose(profits["a@1"], [40 * 2 + 60 - 0.6, -300.0])
    np.testing.assert_allclose(profits["b@1"], [-80.0, 120.0])
    np.testing.assert_allclose(profits[""], [0.0, 0.0])
    foreign = {B: Instrument(B, "BBB", AssetClass.STOCK, currency="EUR")}
    with pytest.raises(DataError, match="not quoted in USD"):
        strategy_profits(entries, ("a@1",), foreign, "USD")
