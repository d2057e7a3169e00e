"""A strategy that loses too much of its share is halted (RISK-09), the others trade on; a new day lets it go on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.trading_tens import SET, S, bar, filled, make, order
from tests.unit.engine.trading_tens import A as NAME

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.effects import CancelSend
from foresail.domain.events import Operator, Rank
from foresail.domain.forecast import ForecastBlock
from foresail.domain.orders import Fill, FillReason, OrderKind
from foresail.domain.signals import Intent, OrderIntent, Side, Weights
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.netted_backtest import NettedBacktest, run_netted_backtest
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.strategy_choices import StrategyLimits
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve, with_sleeves
from foresail.engine.trading.parts import Decision
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.strategy_breakers import take_back_own
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import CancelIntended, FillBooked, Marked, OrderIntended, TradingHalted, TradingResumed
from foresail.ledger.journal import Journal
from foresail.ledger.strategies import StrategyBooks
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel

D = Decimal
A, B = InstrumentId("sim.S01.A"), InstrumentId("sim.S02.B")


@dataclass
class Grower:
    """Holds a name, more of it with every decision; where asked, with an order far below and one that guards."""

    id: str
    name: InstrumentId
    waits: bool = False

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        out: list[Intent] = [Weights(((self.name, 0.05 + 0.003 * state["n"]),))]
        if self.waits and state["n"] == 3:
            out.append(OrderIntent(self.name, Side.BUY, D(1), "limit", D(20), leg="far"))
            out.append(OrderIntent(self.name, Side.SELL, D(1), "stop", stop_price=D(21), leg="guard", reduce_only=True))
        return out


FALLING = [100.0, 100, 100, 100, 99, 90, 90, 91, 92, 93, 94, 95]


def inputs() -> BacktestInputs:
    bars = bar_panel({A: FALLING, B: [50.0 + 0.1 * t for t in range(len(FALLING))]})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((2, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(2, len(FALLING)), None)
    settings = PipelineSettings(capital=D(200_000), horizons=(1,), decision_horizon=1, targets=("close",))
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)


def sleeves(limits: StrategyLimits) -> list[Sleeve]:
    return [Sleeve(Grower("test/a@1", A, waits=True), D("0.5"), limits), Sleeve(Grower("test/b@1", B), D("0.5"))]


def run(limits: StrategyLimits) -> NettedBacktest:
    return run_netted_backtest(inputs(), sleeves(limits))


def bar_of(at: int) -> int:
    return int(np.searchsorted(inputs().data.bars.end, at))


def bought(book: NettedBacktest, name: InstrumentId) -> list[int]:
    return sorted({bar_of(one.filled_at) for one in book.fills if one.instrument == name and one.side is Side.BUY})


def test_a_daily_loss_halts_one_strategy_until_the_next_day() -> None:
    free, held = run(StrategyLimits()), run(StrategyLimits(daily_loss=0.004))
    (halt,) = [one for one in held.journal if isinstance(one, TradingHalted)]
    assert (halt.scope, bar_of(halt.at)) == ("test/a@1", 5)
    assert halt.rule == "RISK-09 daily loss of a strategy"
    (resumed,) = [one for one in held.journal if isinstance(one, TradingResumed)]
    assert (resumed.scope, bar_of(resumed.at)) == ("test/a@1", 6)
    assert 6 in bought(free, A)
    assert 6 not in bought(held, A)
    assert max(bought(held, A)) > 6
    assert bought(held, B) == bought(free, B)


def test_the_orders_of_a_halted_strategy_are_taken_back() -> None:
    held = run(StrategyLimits(daily_loss=0.004))
    assert taken_back(held.journal) == {D(20)}  # not what guards its own position


def taken_back(journal: Iterable[Any]) -> set[Decimal | None]:
    """The limit prices of the orders that were taken back."""
    entries = list(journal)
    gone = {one.order_id for one in entries if isinstance(one, CancelIntended)}
    return {one.order.limit_price for one in entries if isinstance(one, OrderIntended) and one.order.id in gone}


def test_a_drawdown_halts_until_a_person_resumes() -> None:
    held = run(StrategyLimits(drawdown=0.004))
    (halt,) = [one for one in held.journal if isinstance(one, TradingHalted)]
    assert halt.rule == "RISK-09 drawdown of a strategy"
    assert max(bought(held, A)) <= 5
    case = inputs()
    built = build_parts(case.data.bars, case.data.bar_set, case.settings, strategy=Grower("x@1", A), explain=None)
    parts, link = history_parts(case, built)
    core = TradingCore(with_sleeves(parts, sleeves(StrategyLimits(drawdown=0.004))), Journal())
    core.begin(int(case.data.bars.start[0]), D(200_000))
    shell = Shell(core, link)
    for event in history_events(case.data.bars, 0, 1):
        if bar_of(event.available_at) == 7 and "test/a@1" in core.latches.halted:
            at = core.books.at
            shell.apply(Operator(at, at, Rank.DECISION, source="me", command="resume test/a@1"))
        shell.apply(event)
    assert core.latches.halted == {}  # what was resumed begins anew
    assert core.strategies is not None
    again = core.strategies.standings.to_plain()
    core.strategies.standings.restore(again)
    assert core.strategies.standings.to_plain() == again


def test_a_limit_is_a_fraction() -> None:
    with pytest.raises(ConfigError, match="daily_loss"):
        StrategyLimits(daily_loss=-0.1)


def test_an_exit_of_more_than_a_strategy_holds_stays_only_where_it_cannot_turn_the_position() -> None:
    core = make(lambda call: Decision())
    core.deposit(0, D(1000))
    core.strategies = SimpleNamespace(  # type: ignore[assignment]
        units=lambda strategy, name: D(5), owner=lambda order_id: "test/a@1", apply=lambda entry, rates: None
    )
    sells = [order(NAME, at, Side.SELL, units) for at, units in ((1, 5), (2, 6), (3, 6))]
    sells[2] = replace(sells[2], reduce_only=True)
    for one in (*sells, order(NAME, 4)):
        core.intend(one.decided_at, [one])
    assert [one.order_id for one in take_back_own(core, 5, "test/a@1")] == [sells[1].id, order(NAME, 4).id]


@pytest.mark.parametrize("rate", [D("0.5"), D(2)])
def test_a_loss_in_another_currency_counts_at_the_rate_that_is_known(rate: Decimal) -> None:
    """5 of 10 EUR are lost on 100 units: 250 or 1,000 of 10,000 USD, 4 % are allowed."""
    limits = StrategyLimits(daily_loss=0.04)
    core = make(
        lambda call: Decision(), strategies=("test/a@1",), instruments={NAME: replace(SET[NAME], currency="EUR")}
    )
    core.parts.market.rates = lambda prices=None: {"EUR": rate}  # type: ignore[method-assign]
    core.parts.desks[0].breakers = {"test/a@1": Sleeve(Grower("test/a@1", NAME), D(1), limits)}  # type: ignore[attr-defined]
    core.deposit(0, D(10_000))
    one = order(NAME, S, quantity=100, strategy="test/a@1")
    core.intend(S, [one])
    filled(core, one, S)
    bar(core, 2 * S, 0, a=10.0)
    assert core.strategies is not None
    bar(core, 3 * S, 1, a=5.0)
    assert core.strategies.standings.of("test/a@1").profit == pytest.approx(-500.0 * float(rate))
    assert ("test/a@1" in core.latches.halted) == (rate == 2)
    again = make(lambda call: Decision(), strategies=("test/a@1",), instruments=core.parts.instruments)
    again.parts.market.rates = core.parts.market.rates  # type: ignore[method-assign]
    again.recover(None, list(core._writer))  # type: ignore[call-overload]
    assert again.to_plain()["strategies"] == core.to_plain()["strategies"]


def test_a_profit_whose_rate_is_not_known_stays_what_it_was() -> None:
    record = replace(SET[NAME], currency="EUR")
    books = StrategyBooks(["test/a@1"], {NAME: record}, "USD")
    one = order(NAME, S, quantity=100, strategy="test/a@1")
    fill = Fill(one.id, NAME, Side.BUY, D(100), D(10), D(10), D(0), D(0), S, FillReason.ENTRY, "x")
    books.apply(OrderIntended(S, 0, order=one))
    books.apply(FillBooked(S, 1, fill=fill, multiplier=D(1), currency="EUR"))
    books.apply(Marked(2 * S, 2, prices=((NAME, D(7)),)), {"EUR": D(1)})
    books.apply(Marked(3 * S, 3, prices=((NAME, D(5)),)), {})
    assert books.standings.of("test/a@1").profit == -300.0


def test_a_person_who_halts_a_strategy_leaves_its_stops_in_place() -> None:
    core = make(lambda call: Decision(), strategies=("test/a@1",))
    core.deposit(0, D(1000))
    own: dict[str, Any] = {"strategy": "test/a@1"}
    one, more = order(NAME, S, **own), order(NAME, 3 * S, **own)
    own |= {"kind": OrderKind.STOP, "limit_price": None, "stop_price": D(5), "reduce_only": True}
    stop = order(NAME, 2 * S, Side.SELL, **own)
    core.intend(S, [one])
    filled(core, one, S)
    core.intend(3 * S, [stop, more])
    effects = core.step(Operator(4 * S, 4 * S, Rank.DECISION, source="ada", command="halt test/a@1"))
    assert [effect.order_id for effect in effects if isinstance(effect, CancelSend)] == [more.id]
