"""Stops that move by themselves: at a crypto weekend (EXIT-08), behind the best price (EXIT-05)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.trading_tens import Tens, bar, decide, filled, kinds, make, order

from foresail.core.clock import from_ns, to_ns
from foresail.core.ids import InstrumentId
from foresail.domain.effects import Send
from foresail.domain.events import Fact, Rank
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import NO_DECISION
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.slicing import Slicer, SliceSettings
from foresail.engine.trading_settings import CostChoice, ExitChoice, TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.books import Books
from foresail.ledger.entries import LevelsSet, OrderIntended, ReductionBegun, ReductionEnded, StopsNarrowed
from foresail.ledger.journal import Journal
from foresail.ledger.levels import PositionLevels
from foresail.ledger.orders import OrderBook
from foresail.protocols import MarketView
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import bar_panel

D = Decimal
SOL, STOCK = InstrumentId("crypto.X.SOL-USDT"), InstrumentId("sim.S01.A")
FREE = CostChoice(model="flat", round_trip=0.0)
FRIDAY = "2024-01-05"
MINUTE = 60 * 10**9


@dataclass
class At:
    """Asks for intents at numbered decisions, and for nothing at others."""

    plan: Mapping[int, Sequence[Intent]]
    flags: dict[str, bool] = field(default_factory=dict)
    every: int = 1
    id: str = "test/at@1"

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=(), **self.flags)

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return self.plan.get(state["n"], ())


def inputs_of(name: InstrumentId, closes: Sequence[float], exits: ExitChoice | None = None) -> BacktestInputs:
    is_crypto = name == SOL
    frame, calendar = ("1h", "24/7") if is_crypto else ("1d", "XNYS")
    volume = {"volume": {str(name): [5e6] * len(closes)}}
    bars = bar_panel({name: closes}, frame=frame, calendar=calendar, first_day=FRIDAY, fields=volume)
    like = simulated_bar_set(bar_panel({STOCK: [1.0]}))
    kind = AssetClass.CRYPTO if is_crypto else AssetClass.STOCK
    record = Instrument(name, name, kind, currency="USD", tick=D("0.01"), lot=D("0.001"), sector=name)
    bar_set = replace(like, asset_class=kind, instruments=(record,), frame=frame, calendar=calendar)
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, bar_set, {}, np.full(1, len(closes)), None)
    settings = PipelineSettings(
        capital=D(20_000), horizons=(1,), decision_horizon=1, targets=("close",),
        trading=TradingSettings(exits=exits or ExitChoice(), costs=FREE),
    )  # fmt: skip
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 8760.0)


def run(
    name: InstrumentId,
    closes: Sequence[float],
    strategy: At,
    exits: ExitChoice | None = None,
) -> Backtest:
    inputs = inputs_of(name, closes, exits)
    return run_backtest(inputs, strategy=strategy, first=0, limits=trading_limits("multi-asset"))


def moved(book: Backtest) -> list[tuple[str, float | None, float | None]]:
    return [(f"{from_ns(one.at):%a %H:%M}", one.stop, one.wide) for one in book.journal if isinstance(one, LevelsSet)]


def stopped(book: Backtest) -> list[tuple[str, float]]:
    return [
        (f"{from_ns(one.filled_at):%a %H:%M}", float(one.reference_price))
        for one in book.fills
        if one.reason is FillReason.STOP
    ]


@pytest.mark.parametrize("every", [1, 5])
def test_what_is_held_is_nearer_from_saturday_and_goes_back_on_monday(every: int) -> None:
    buy = At({2: [Weights(((SOL, 0.1),))]}, every=every)  # and nothing ever after
    assert moved(run(SOL, [100.0] * 80, buy)) == [("Sat 00:00", 94.4, 92.0), ("Mon 00:00", 92.0, None)]


def test_a_stop_of_its_own_is_nearer_too() -> None:
    buy = At({10: [OrderIntent(SOL, Side.BUY, D(5), stop_price=D(96))]})
    book = run(SOL, [100.0] * 80, buy)
    assert moved(book) == [("Sat 00:00", 97.2, 96.0), ("Mon 00:00", 96.0, None)]
    closes = [100.0] * 80
    closes[40] = 96.8  # Saturday 16:00 to 17:00
    assert stopped(run(SOL, closes, buy)) == [("Sat 17:00", 97.2)]
    closes[40], closes[76] = 100.0, 96.8  # Monday
    assert stopped(run(SOL, closes, buy)) == []


def test_an_order_of_a_saturday_goes_back_on_monday() -> None:
    bare = run(SOL, [100.0] * 80, At({30: [OrderIntent(SOL, Side.BUY, D(5))]}))
    assert [one.order.stop_price for one in bare.orders] == [D("94.4")]
    (wide,) = [one for one in bare.journal if isinstance(one, StopsNarrowed)]
    assert dict(wide.stops) == {bare.orders[0].order.id: 92.0}
    assert moved(bare) == [("Mon 00:00", 92.0, None)]
    own = run(SOL, [100.0] * 80, At({30: [OrderIntent(SOL, Side.BUY, D(5), stop_price=D(96))]}))
    assert moved(own) == [("Mon 00:00", 96.0, None)]
    targets = run(SOL, [100.0] * 80, At({n: [Weights(((SOL, 0.1),))] for n in range(30, 81)}))
    assert moved(targets) == [("Mon 00:00", 92.0, None)]


class Traded:
    """As much of volumes as a schedule asks for."""

    def average_daily(self, _name: InstrumentId, _at: int) -> Decimal:
        return D(1)


def sliced(name: InstrumentId, closes: Sequence[float], strategy: At, exits: ExitChoice | None = None) -> list[Any]:
    """The journal of an account whose orders leave in three slices, five bars apart."""
    inputs = inputs_of(name, closes, exits)
    bars = inputs.data.bars
    built = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=strategy, explain=None)
    parts, link = history_parts(inputs, built, limits=trading_limits("multi-asset"))
    settings = SliceSettings(count=3, interval_ns=5 * int(np.diff(bars.end).min()))
    slicer = Slicer(settings, Traded(), parts.instruments)  # type: ignore[arg-type]
    journal = Journal()
    core = TradingCore(replace(parts, slicer=slicer), journal)
    core.begin(int(bars.start[0]), D(20_000))
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1):
        shell.apply(event)
    return list(journal.entries)


@pytest.mark.parametrize(
    ("at", "stops"), [(30, ["94.4"] * 3), (67, ["94.4", "92", "92"]), (19, ["92", "94.4", "94.4"])]
)
def test_slices_of_a_weekend_stand_nearer_once_and_go_back_on_monday(at: int, stops: list[str]) -> None:
    journal = sliced(SOL, [100.0] * 100, At({at: [OrderIntent(SOL, Side.BUY, D(6), stop_price=D(92))]}))
    assert [one.order.stop_price for one in journal if isinstance(one, OrderIntended)] == [D(one) for one in stops]
    told = [(f"{from_ns(one.at):%a %H:%M}", one.stop, one.wide) for one in journal if isinstance(one, LevelsSet)]
    assert ("Mon 00:00", 92.0, None) in told or at == 67
    assert {(stop, wide) for _when, stop, wide in told} <= {(94.4, 92.0), (92.0, None)}
    wide = [full for one in journal if isinstance(one, StopsNarrowed) for _name, full in one.stops]
    assert set(wide) == {92.0}


def test_slices_never_take_a_trailed_stop_back() -> None:
    buy = At({24: [OrderIntent(STOCK, Side.BUY, D(30))]})
    journal = sliced(STOCK, RISE, buy, ExitChoice(trailing=True))
    carried = [one.order.stop_price for one in journal if isinstance(one, OrderIntended) and not one.order.reduce_only]
    assert len(carried) == 3
    assert carried == sorted(set(carried))
    stops = [one.stop for one in journal if isinstance(one, LevelsSet) and one.stop is not None]
    assert stops == sorted(stops)


def test_what_protects_a_gain_and_what_is_no_crypto_stays() -> None:
    closes = [100.0] * 15 + [110.0] * 65
    gain = [OrderIntent(SOL, Side.BUY, D(1), stop_price=D(105))]
    assert moved(run(SOL, closes, At({10: [OrderIntent(SOL, Side.BUY, D(5))], 20: gain}))) == []
    stock = At({2: [Weights(((STOCK, 0.1),))]})
    assert moved(run(STOCK, [100.0] * 20, stock)) == []


def test_borrowed_crypto_is_brought_down_to_the_equity_once_a_weekend() -> None:
    friday, saturday, monday = (to_ns(datetime(2024, 1, day, tzinfo=UTC)) for day in (5, 6, 8))
    record = Instrument(SOL, SOL, AssetClass.CRYPTO, currency="USD", tick=D("0.01"), lot=D("0.001"))
    core = make(
        lambda call: NO_DECISION, market=Tens(), limits=trading_limits("multi-asset"), instruments={SOL: record}
    )
    core.parts.market.prices[SOL] = 10.0  # type: ignore[attr-defined]
    core.deposit(friday, D(1000), "USD")
    bought = order(SOL, friday, quantity=125)
    core.intend(friday, [bought])
    filled(core, bought, friday + MINUTE)
    assert [one for one in bar(core, friday + 2 * MINUTE, 0) if isinstance(one, Send)] == []
    (sale,) = [one.order for one in bar(core, saturday, 1) if isinstance(one, Send)]
    assert (sale.side, sale.quantity, sale.reduce_only) == (Side.SELL, D(25), True)  # 1,250 held, 1,000 owned
    decide(core, saturday + MINUTE)
    assert [one for one in bar(core, saturday + 2 * MINUTE, 2) if isinstance(one, Send)] == []
    assert [len(kinds(core, kind)) for kind in (ReductionBegun, ReductionEnded)] == [1, 0]
    bar(core, monday, 3)
    decide(core, monday)
    assert len(kinds(core, ReductionEnded)) == 1


def test_a_reduction_that_begins_with_the_weekend_is_sold_besides() -> None:
    friday, saturday = (to_ns(datetime(2024, 1, day, tzinfo=UTC)) for day in (5, 6))
    record = Instrument(SOL, SOL, AssetClass.CRYPTO, currency="USD", tick=D("0.01"), lot=D("0.001"))
    core = make(
        lambda call: NO_DECISION, market=Tens(), limits=trading_limits("multi-asset"), instruments={SOL: record}
    )
    core.parts.market.prices[SOL] = 10.0  # type: ignore[attr-defined]
    core.deposit(friday, D(1000), "USD")
    bought = order(SOL, friday, quantity=125)
    core.intend(friday, [bought])
    filled(core, bought, friday + MINUTE)
    core.step(Fact(saturday, saturday, Rank.CORPORATE_ACTION, "facts", kind="btc_volatility_30d", value=0.9))
    sold = [one.order for one in (*bar(core, saturday, 1), *decide(core, saturday)) if isinstance(one, Send)]
    assert [one.strategy for one in sold] == ["weekend", "reduction"]
    assert 125 - sum(one.quantity for one in sold) <= 50  # half of the 100 that the weekend leaves
    assert len(kinds(core, ReductionBegun)) == 2


def test_the_full_distance_survives_a_restart_and_a_split() -> None:
    levels, orders, books = PositionLevels(), OrderBook(), Books("a", "USD")
    levels.standing[SOL], levels.wide[SOL] = (94.4, None), 92.0
    again = PositionLevels.from_plain(levels.to_plain())
    assert (again.standing, again.wide) == (levels.standing, {SOL: 92.0})
    assert PositionLevels.from_plain({"standing": {SOL: [94.4, None]}}).wide == {}
    levels.apply(LevelsSet(1, 0, SOL, 95.0, None), books, orders)
    assert levels.wide == {SOL: 92.0}  # nothing is held there
    del books


RISE = [100.0, 100.4, 100.0] * 8 + [101.0, 102, 103, 104, 105, 106, 107, 108, 107, 106, 105, 104, 103, 102, 101]


@pytest.mark.parametrize(("exits", "flags"), [(ExitChoice(trailing=True), {}), (ExitChoice(), {"trailing": True})])
def test_a_stop_follows_the_best_price(exits: ExitChoice, flags: dict[str, bool]) -> None:
    buy = At({24: [Weights(((STOCK, 0.1),))]}, flags)
    still, follows = run(STOCK, RISE, At(buy.plan)), run(STOCK, RISE, buy, exits)
    assert stopped(still) == []
    ((_when, level),) = stopped(follows)
    stops = [one.stop for one in follows.journal if isinstance(one, LevelsSet) and one.stop is not None]
    assert stops == sorted(stops)
    bars = bar_panel({STOCK: RISE})
    high, low, close = (bars.field(one)[0] for one in ("high", "low", "close"))
    ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    expected = [high[24 : t + 1].max() - 3 * ranges[t - 14 : t].mean() for t in range(24, len(RISE))]
    assert level == pytest.approx(max(expected), abs=0.011)


def test_a_decision_never_takes_a_trailed_stop_back() -> None:
    buy = At({n: [Weights(((STOCK, 0.1),))] for n in range(24, 40)})
    follows = run(STOCK, RISE, buy, ExitChoice(trailing=True))
    stops = [one.stop for one in follows.journal if isinstance(one, LevelsSet) and one.stop is not None]
    assert stops == sorted(stops)
    assert len(stops) > 3
    assert len(stopped(follows)) >= 1
