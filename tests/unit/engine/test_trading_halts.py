"""What halts an account by itself: a rule that fails, a venue that holds something else (principles 8, 11 and 17)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.effects import CancelSend, Notify, Send
from foresail.domain.events import Operator, Rank, Timer, VenueOutcome, VenueReport
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, DeskCall, TradingParts
from foresail.ledger.entries import AlertRaised, TradingHalted
from foresail.ledger.journal import Journal
from foresail.risk.gate import FAULT_RULE, RiskGate

A, B = InstrumentId("sim.S01.A"), InstrumentId("sim.S01.B")
SET = {name: Instrument(name, name, AssetClass.STOCK, tick=Decimal("0.01"), lot=Decimal(1)) for name in (A, B)}
S = 10**9


class Tens:
    """A market whose names stand at 10."""

    position = -1

    def advance(self, position: int) -> None:
        self.position = max(self.position, position)

    def split(self, instrument: InstrumentId, ratio: float) -> None: ...

    def start(self, position: int) -> None: ...

    def price(self, instrument: InstrumentId) -> Decimal:
        return Decimal(10)

    def known(self, position: int) -> dict[InstrumentId, float]:
        return {A: 10.0, B: 10.0}

    def price_time(self, instrument: InstrumentId) -> int:
        return 0

    def rates(self, prices: Any = None) -> dict[str, Decimal]:
        return {}

    def to_plain(self) -> Any:
        return self.position

    def restore(self, plain: Any) -> None:
        self.position = plain


def order(name: InstrumentId, at: int, side: Side = Side.BUY, **more: Any) -> Order:
    identity = order_id(environment="test", account="t", strategy="s", version="1", decided_at_ns=at, leg=f"{name}")
    return Order(identity, name, side, Decimal(5), OrderKind.LIMIT, at, limit_price=Decimal(10), **more)


class Both:
    """Wants five of A and five of B."""

    id, every = "test/both@1", 1

    def start(self) -> dict[str, int]:
        return {}

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        return Decision((order(A, call.at), order(B, call.at)))


class Moody:
    """A rule that fails on a name when told so."""

    name = "moody"

    def __init__(self) -> None:
        self.fails_on = ""

    def review(self, one: Order, view: Any) -> Ruling:
        if one.instrument == self.fails_on:
            raise KeyError("no such price")
        return Ruling(self.name, one.quantity)


def make(rule: Moody, journal: Any = ()) -> TradingCore:
    parts = TradingParts("test", "t", "USD", SET, Tens(), (Both(),), RiskGate((rule,), SET), allow_short=True)
    return TradingCore(parts, Journal(journal))


def decide(core: TradingCore, at: int) -> tuple[Any, ...]:
    return core.step(Timer(at, at, Rank.DECISION, name="decision"))


def told(core: TradingCore, name: OrderId, outcome: VenueOutcome, at: int, **content: Any) -> tuple[Any, ...]:
    return core.step(VenueReport(at, at, Rank.VENUE_FILL, order_id=name, outcome=outcome, **content))


@pytest.fixture
def rule() -> Moody:
    return Moody()


@pytest.fixture
def core(rule: Moody) -> TradingCore:
    made = make(rule)
    made.deposit(0, Decimal(1000))
    return made


def kinds(core: TradingCore, kind: type) -> list[Any]:
    return [one for one in core._writer if isinstance(one, kind)]  # type: ignore[attr-defined]


def test_a_rule_that_fails_halts_the_account_takes_entries_back_and_tells(core: TradingCore, rule: Moody) -> None:
    first = [one.order for one in decide(core, S) if isinstance(one, Send)]
    rule.fails_on = B
    effects = decide(core, 2 * S)
    assert [one for one in effects if isinstance(one, Send)] == []  # A, which stood before B, does not leave either
    assert [one.order_id for one in effects if isinstance(one, CancelSend)] == [one.id for one in first]
    (notice,) = [one for one in effects if isinstance(one, Notify)]
    assert (notice.kind, notice.severity) == (FAULT_RULE, "CRITICAL")
    (halt,) = kinds(core, TradingHalted)
    assert (halt.scope, halt.rule) == ("", FAULT_RULE)
    assert "moody failed on sim.S01.B: KeyError" in halt.text


def test_the_halt_outlasts_the_fault_and_a_restart_until_somebody_rearms(core: TradingCore, rule: Moody) -> None:
    rule.fails_on = B
    decide(core, S)
    rule.fails_on = ""
    again = make(rule, core._writer)
    again.recover(None, list(again._writer))  # type: ignore[call-overload]
    assert [one for one in decide(again, 2 * S) if isinstance(one, Send)] == []
    assert len(kinds(again, TradingHalted)) == len(kinds(again, AlertRaised)) == 1  # told once, not at every decision
    again.step(Operator(3 * S, 3 * S, Rank.DECISION, source="ann", command="rearm"))
    assert len([one for one in decide(again, 4 * S) if isinstance(one, Send)]) == 2


def test_an_exit_leaves_through_the_halt_of_a_fault(core: TradingCore, rule: Moody) -> None:
    bought = next(one.order for one in decide(core, S) if isinstance(one, Send))
    fill = Fill(
        bought.id, A, Side.BUY, Decimal(5), Decimal(10), Decimal(10), Decimal(0), Decimal(0), S, FillReason.ENTRY, "x"
    )
    told(core, bought.id, VenueOutcome.FILLED, S, fill=fill)
    rule.fails_on = B
    sold = replace(order(A, 2 * S, Side.SELL), reduce_only=True)
    core.parts.desks[0].decide = lambda memory, call: Decision((sold, order(B, call.at)))  # type: ignore[method-assign]
    assert [one.order.id for one in decide(core, 2 * S) if isinstance(one, Send)] == [sold.id]
