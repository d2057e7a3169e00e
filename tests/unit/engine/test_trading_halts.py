"""What halts an account by itself: a rule that fails, a venue that holds something else (principles 8, 11 and 17)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.engine.trading_tens import SET, A, B, S, decide, filled, kinds, make, order, told

from foresail.domain.effects import CancelSend, Notify, ReplaceSend, Send
from foresail.domain.events import Fact, Operator, Rank, VenueOutcome
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, DeskCall
from foresail.engine.trading.reconciling import DRIFT_RULE
from foresail.ledger.entries import AlertRaised, OrderIntended, ReplaceIntended, Reviewed, TradingHalted
from foresail.risk.gate import FAULT_RULE, RiskGate


class Moody:
    """A rule that fails on a name when told so."""

    name = "moody"

    def __init__(self) -> None:
        self.fails_on = ""

    def review(self, one: Order, view: Any) -> Ruling:
        if one.instrument == self.fails_on:
            raise KeyError("no such price")
        return Ruling(self.name, one.quantity)


def both(call: DeskCall) -> Decision:
    """Wants five of A and five of B."""
    return Decision((order(A, call.at), order(B, call.at)))


def moody(rule: Moody, journal: Any = ()) -> TradingCore:
    return make(both, RiskGate((rule,), SET), journal)


@pytest.fixture
def rule() -> Moody:
    return Moody()


@pytest.fixture
def core(rule: Moody) -> TradingCore:
    made = moody(rule)
    made.deposit(0, Decimal(1000))
    return made


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
    assert "moody failed on stock.US.BBB: KeyError" in halt.text


def test_the_halt_outlasts_the_fault_and_a_restart_until_somebody_rearms(core: TradingCore, rule: Moody) -> None:
    rule.fails_on = B
    decide(core, S)
    rule.fails_on = ""
    again = moody(rule, core._writer)
    again.recover(None, kinds(again, object))
    assert [one for one in decide(again, 2 * S) if isinstance(one, Send)] == []
    assert len(kinds(again, TradingHalted)) == len(kinds(again, AlertRaised)) == 1  # told once, not at every decision
    again.step(Operator(3 * S, 3 * S, Rank.DECISION, source="ann", command="rearm"))
    assert len([one for one in decide(again, 4 * S) if isinstance(one, Send)]) == 2


def test_an_exit_leaves_through_the_halt_of_a_fault(core: TradingCore, rule: Moody) -> None:
    bought = next(one.order for one in decide(core, S) if isinstance(one, Send))
    filled(core, bought, S)
    rule.fails_on = B
    sold = replace(order(A, 2 * S, Side.SELL), reduce_only=True)
    core.parts.desks[0].decides = lambda call: Decision((sold, order(B, call.at)))  # type: ignore[attr-defined]
    assert [one.order.id for one in decide(core, 2 * S) if isinstance(one, Send)] == [sold.id]


def position(core: TradingCore, value: float, at: int, seen_at: int | None = None) -> tuple[Any, ...]:
    """The venue says what it holds of A."""
    return core.step(
        Fact(at, at if seen_at is None else seen_at, Rank.FEATURES, "venue", A, kind="position", value=value)
    )


def test_another_position_at_the_venue_stops_its_instrument_and_is_not_traded_away(core: TradingCore) -> None:
    bought, _other = (one.order for one in decide(core, S) if isinstance(one, Send))
    assert position(core, 99.0, 2 * S) == ()  # the order is open: a fill may be on its way
    filled(core, bought, 3 * S)
    assert position(core, 0.0, 4 * S, seen_at=2 * S) == ()  # a statement of before the fill
    assert position(core, float("nan"), 5 * S) == ()
    assert position(core, 5.0, 6 * S) == ()
    (notice,) = position(core, 7.0, 7 * S)
    assert isinstance(notice, Notify)
    assert (notice.kind, notice.severity) == (f"EXEC-06 {A}", "CRITICAL")
    (halt,) = kinds(core, TradingHalted)
    assert (halt.scope, halt.rule) == (A, DRIFT_RULE)
    assert "the venue holds 7 of" in halt.text
    assert position(core, 7.0, 8 * S) == ()  # said once
    assert [one.order.instrument for one in decide(core, 9 * S) if isinstance(one, Send)] == [B]
    core.step(Operator(10 * S, 10 * S, Rank.DECISION, source="ann", command=f"resume {A}"))
    assert A in [one.order.instrument for one in decide(core, 11 * S) if isinstance(one, Send)]


def changed(core: TradingCore, at: int, quantity: int) -> Order:
    """Both names are ordered and working; from now on a decision enlarges B's order and wants five more of A."""
    first = {one.order.instrument: one.order for one in decide(core, at) if isinstance(one, Send)}
    for one in first.values():
        told(core, one.id, VenueOutcome.ACCEPTED, at)
    change = ReplaceSend(first[B].id, B, Decimal(quantity), Decimal(9))
    core.parts.desks[0].decides = lambda call: Decision(  # type: ignore[attr-defined]
        (order(A, call.at),), changes=(change,)
    )
    return first[B]


def test_nothing_opens_after_a_rule_failed_on_a_change_of_the_same_decision(core: TradingCore, rule: Moody) -> None:
    working = changed(core, S, 7)
    rule.fails_on = B
    effects = decide(core, 2 * S)
    assert [one for one in effects if isinstance(one, Send | ReplaceSend)] == []
    entries = kinds(core, object)
    halted = next(i for i, one in enumerate(entries) if isinstance(one, TradingHalted))
    assert [one for one in entries[halted:] if isinstance(one, OrderIntended | ReplaceIntended)] == []
    told_of = [row for one in entries[halted:] if isinstance(one, Reviewed) for row in one.orders]
    assert [(row.order_id == working.id, row.wanted, row.allowed) for row in told_of] == [(True, 2, 0), (False, 5, 0)]


def test_a_change_that_passed_does_not_leave_after_a_rule_failed_on_an_order(core: TradingCore, rule: Moody) -> None:
    changed(core, S, 7)
    rule.fails_on = A
    effects = decide(core, 2 * S)
    assert [one for one in effects if isinstance(one, Send | ReplaceSend)] == []
    assert len([one for one in effects if isinstance(one, CancelSend)]) == 2


def test_what_the_gate_says_of_a_change_is_journalled(core: TradingCore, rule: Moody) -> None:
    working = changed(core, S, 7)
    assert [one.quantity for one in decide(core, 2 * S) if isinstance(one, ReplaceSend)] == [7]
    row = next(row for one in kinds(core, Reviewed) for row in one.orders if row.order_id == working.id)
    assert (row.instrument, row.wanted, row.allowed, row.rulings) == (B, 2, 2, ())
