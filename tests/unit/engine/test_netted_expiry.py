"""Signals of several strategies on one account end one by one (EXIT-07)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.engine.test_trading_netted import check, make

from foresail.domain.signals import Horizon, Intent, OrderIntent, Side, Signal, SignalKind, Weights
from foresail.engine.history import history_events
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve
from foresail.engine.trading.netted_expiry import ended_wishes, last_words, note_words
from foresail.engine.trading.shell import Shell
from foresail.execution.netting import StrategyTarget
from foresail.ledger.entries import OrderCancelled, OrderIntended, SignalsRenewed
from foresail.ledger.journal import Journal
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel

D = Decimal
DAY = 86_400 * 10**9
QUIET = 70  # bars before anybody speaks: sizes need a past


def signal(name: Any, at: int, days: int, price: float) -> Signal:
    return Signal(
        name, SignalKind.BUY, Horizon.SWING_TRADE, days, 0.9, 0.05, 0.001, price, price * 1.2, price * 0.9, ("x",), "t",
        "test/a", "1", "m", "", at, at + days * DAY,
    )  # fmt: skip


@dataclass
class Once:
    """Speaks at single decisions for the first instrument, then never again."""

    id: str
    days: tuple[int, ...] = ()  # that a signal speaks, one a decision; 0 = silence
    weight: float = 0.0
    own: bool = False  # asks for an order of its own besides

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        n, state["n"] = state["n"] - QUIET, state["n"] + 1
        name = sorted(view.instruments)[0]
        price = view.value(name, "close")
        if 0 <= n < len(self.days) and self.days[n] and math.isfinite(price):
            said = signal(name, view.now, self.days[n], price)
            if self.own:
                return [replace(said, kind=SignalKind.HOLD), OrderIntent(name, Side.BUY, D(5))]
            return [said]
        return [Weights(((name, self.weight),))] if n == 0 and self.weight else []


def held_by(own: list[Sleeve], bars: Any, latency: int = 0) -> tuple[list[dict[str, Decimal]], TradingCore]:
    """Return the units of each strategy after every bar."""
    parts, link = make(bars, own=own, latency=latency)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell, out = Shell(core, link), []
    name = sorted(bars.instruments)[0]
    for event in history_events(bars, 0, 1):
        shell.apply(event)
        check(core)
        assert core.strategies is not None
        if type(event).__name__ == "Timer":
            out.append({one.strategy.spec.id: core.strategies.units(one.strategy.spec.id, name) for one in own})
    return out, core


def test_an_ended_signal_leaves_the_net_and_what_others_hold_stays() -> None:
    own = [Sleeve(Once("test/a@1", days=(5,)), D("0.5")), Sleeve(Once("test/b@1", weight=0.1), D("0.5"))]
    held, core = held_by(own, small_panel(3, QUIET + 20, seed=1))
    assert held[QUIET + 2]["test/a@1"] > 0
    assert [one["test/a@1"] for one in held[QUIET + 4 : QUIET + 12]] == [0] * 8
    assert all(one["test/b@1"] == held[QUIET + 2]["test/b@1"] > 0 for one in held[QUIET + 2 : QUIET + 12])
    assert core.expiries.standing == {}
    assert not [one for one in core._writer if isinstance(one, SignalsRenewed)]  # type: ignore[attr-defined]
    assert "" not in core.memory_of(core.parts.desks[0].id)


def test_a_renewed_signal_speaks_on() -> None:
    bars = small_panel(3, QUIET + 20, seed=1)
    once, _core = held_by([Sleeve(Once("test/a@1", days=(5,)), D("0.5"))], bars)
    twice, _core = held_by([Sleeve(Once("test/a@1", days=(5, 0, 0, 9)), D("0.5"))], bars)
    ends = [next(i for i, one in enumerate(held) if i > QUIET + 4 and not one["test/a@1"]) for held in (once, twice)]
    assert ends[0] < ends[1]


@pytest.mark.parametrize("is_own", [False, True])
def test_an_entry_that_still_waits_when_its_signal_ends_is_taken_back(is_own: bool) -> None:
    bars = small_panel(3, QUIET + 20, seed=1)
    late = Once("test/a@1", days=(2,), own=is_own)
    held, core = held_by([Sleeve(late, D("0.5")), Sleeve(Once("test/b@1"), D("0.5"))], bars, latency=4)
    orders = [one.order.id for one in core._writer if isinstance(one, OrderIntended)]  # type: ignore[attr-defined]
    ended = [one.order_id for one in core._writer if isinstance(one, OrderCancelled)]  # type: ignore[attr-defined]
    assert len(orders) == 1
    assert ended == orders
    assert not any(one["test/a@1"] for one in held)
    assert "" not in core.memory_of(core.parts.desks[0].id)


def test_what_fills_in_spite_of_being_taken_back_is_closed() -> None:
    memory: dict[str, Any] = {}
    note_words(memory, "a", {"X": D(1)}, {"X": 10})
    waiting = {("a", "X")}
    for units in (0, 5):  # it waits, then it fills
        books = Books(a=units)
        assert ended_wishes(memory, books, [], 10, waiting) == [StrategyTarget("a", "X", D(0))]  # type: ignore[arg-type]
    assert ended_wishes(memory, Books(), [], 10, {("b", "X")}) == []  # type: ignore[arg-type]
    assert memory == {}


class Books:
    """As much of the strategies' books as is asked for."""

    def __init__(self, **units: int) -> None:
        self._units = units

    def units(self, strategy: str, _name: str) -> Decimal:
        return D(self._units.get(strategy, 0))


def test_what_is_remembered() -> None:
    memory: dict[str, Any] = {}
    note_words(memory, "a", {"X": D(1)}, {"X": 10})
    note_words(memory, "b", {"X": D(1)}, {"X": 5, "Y": 7})
    assert ended_wishes(memory, Books(a=1, b=1), [], 4) == []  # type: ignore[arg-type]
    assert ended_wishes(memory, Books(a=1, b=1), [], 5) == [StrategyTarget("b", "X", D(0))]  # type: ignore[arg-type]
    assert ended_wishes(memory, Books(a=1, b=1), [("b", "X")], 6) == []  # type: ignore[arg-type]
    assert ended_wishes(memory, Books(a=1), [], 9) == []  # type: ignore[arg-type]
    assert memory == {"": {"a": {"X": 10}}}
    note_words(memory, "a", {"X": D(2)}, {})  # wished for without a signal: its own for ever
    assert memory == {}


def test_the_last_of_several_signals_counts() -> None:
    assert last_words([signal("X", 0, 2, 1.0), signal("X", 0, 3, 1.0), signal("Y", 0, 1, 1.0)]) == {
        "X": 3 * DAY,
        "Y": DAY,
    }
