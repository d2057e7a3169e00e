"""A decision whose critical input is missing opens nothing and says so (FEAT-03, SIG-21, ALERT-08)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.test_desk_exits import opinion

from foresail.core.ids import InstrumentId
from foresail.domain.forecast import ForecastBlock
from foresail.domain.signals import Intent, OrderIntent, Replace, Side, Weights
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.shell import Shell
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import AlertRaised, OrderIntended, Reviewed
from foresail.ledger.journal import Journal
from foresail.protocols import MarketView
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import bar_panel

D = Decimal
A = InstrumentId("sim.S01.A")
NAN = float("nan")


@dataclass
class Script:
    """One list of intents a decision."""

    plan: Sequence[Sequence[Intent]]
    critical: tuple[str, ...]

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/script@1", every=1, critical_inputs=self.critical)

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        return self.plan[state["n"] - 1] if state["n"] <= len(self.plan) else ()


def account(plan: Sequence[Sequence[Intent]], critical: tuple[str, ...], gaps: Sequence[int] = ()) -> TradingCore:
    """An audited account after all bars; volume is missing in some."""
    count = max(30, len(plan) + 2)
    volume = [NAN if t in gaps else 5e6 for t in range(count)]
    bars = bar_panel({A: [100.0 + 0.4 * (t % 3) for t in range(count)]}, fields={"volume": {A: volume}})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, count), None)
    settings = PipelineSettings(capital=D(20_000), horizons=(1,), decision_horizon=1, targets=("close",))
    inputs = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)
    built = build_parts(bars, data.bar_set, settings, strategy=Script(plan, critical), explain=None)
    parts, link = history_parts(inputs, built, limits=trading_limits("multi-asset"))
    core = TradingCore(replace(parts, is_audited=True), Journal())
    core.begin(int(bars.start[0]), settings.capital)
    shell = Shell(core, link)
    for event in history_events(bars, 0, 1):
        shell.apply(event)
    return core


def told(core: TradingCore) -> list[str]:
    entries = list(core._writer)  # type: ignore[call-overload]
    return sorted({one.kind for one in entries if isinstance(one, AlertRaised) and one.kind.startswith("ALERT-08")})


BUY = OrderIntent(A, Side.BUY, D(10))


@pytest.mark.parametrize("want", [BUY, Weights(((A, 0.05),)), replace(opinion(110.0), stop_price=95.0)])
def test_what_opens_without_its_input_is_not_sent(want: Intent) -> None:
    plan = [()] * 25 + [[want]]
    whole, hollow = account(plan, ("close", "volume")), account(plan, ("close", "volume"), gaps=[25])
    assert whole.books.quantity(A) > 0
    assert told(whole) == []
    assert hollow.books.quantity(A) == 0
    assert told(hollow) == ["ALERT-08 volume"]
    assert account(plan, ("close",), gaps=[25]).books.quantity(A) > 0  # it did not say that it needs it


def test_an_input_that_the_run_does_not_have_is_missing() -> None:
    core = account([()] * 25 + [[BUY]], ("close", "RSI", "sentiment_score", "open_interest"))
    assert core.books.quantity(A) == 0
    assert told(core) == ["ALERT-08 RSI", "ALERT-08 open_interest", "ALERT-08 sentiment_score"]


def test_what_is_held_stays_and_may_be_made_smaller() -> None:
    more, none = Weights(((A, 0.08),)), Weights(())
    first = [()] * 20 + [[Weights(((A, 0.05),))]]
    once, held = account(first, ("volume",)), account([*first, [more], [more]], ("volume",), gaps=[21, 22])
    assert held.books.quantity(A) == once.books.quantity(A) > 0
    assert account([*first, [more], [more]], ("volume",)).books.quantity(A) > once.books.quantity(A)
    assert account([()] * 20 + [[BUY], [none]], ("volume",), gaps=[21]).books.quantity(A) == 0
    sale = OrderIntent(A, Side.SELL, D(4), leg="less")
    assert account([()] * 20 + [[BUY], [sale]], ("volume",), gaps=[21]).books.quantity(A) == 6


def test_an_open_order_is_not_raised_and_its_guard_goes_with_a_dropped_entry() -> None:
    resting = replace(BUY, kind="limit", limit_price=D(95))
    raised = Replace(A, quantity=D(20))
    core = account([()] * 26 + [[resting], [raised]], ("volume",), gaps=[27])
    (state,) = core.orders.open(A)
    assert (state.order.quantity, state.asked) == (D(10), 0)
    guard = OrderIntent(A, Side.SELL, D(10), "stop", leg="g", trigger_price=D(99), reduce_only=True, parent="entry")
    dropped = account([()] * 20 + [[BUY, guard]], ("volume",), gaps=[20])
    assert len(dropped.orders) == 0
    assert not [one for one in dropped._writer if isinstance(one, Reviewed)]  # type: ignore[attr-defined]


def test_an_order_beyond_what_is_held_closes_it_and_opens_nothing() -> None:
    turn = OrderIntent(A, Side.SELL, D(15), leg="turn", stop_price=D(110))
    guard = OrderIntent(A, Side.BUY, D(5), "stop", leg="g", trigger_price=D(112), reduce_only=True, parent="turn")
    plan = [()] * 20 + [[BUY], [turn, guard]]
    assert account(plan, ("volume",)).books.quantity(A) == -5
    core = account(plan, ("volume",), gaps=[21])
    assert core.books.quantity(A) == 0
    _entry, sale = [one.order for one in core._writer if isinstance(one, OrderIntended)]  # type: ignore[attr-defined]
    assert (sale.quantity, sale.reduce_only, sale.stop_price) == (D(10), True, None)
    assert told(core) == ["ALERT-08 volume"]
