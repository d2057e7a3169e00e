"""What halts an account by itself: a rule that fails, a venue that holds something else (principles 8, 11 and 17)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.engine.trading_tens import SET, A, B, S, decide, filled, kinds, make, order

from foresail.domain.effects import CancelSend, Notify, Send
from foresail.domain.events import Fact, Operator, Rank
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, DeskCall
from foresail.engine.trading.reconciling import DRIFT_RULE
from foresail.ledger.entries import AlertRaised, TradingHalted
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
