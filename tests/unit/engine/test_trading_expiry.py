"""Signals end (EXIT-07): what nobody renewed is closed for time, whoever trades without signals is left alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.engine.trading_tens import A, B, S, decide, filled, kinds, make, order, signal, told

from foresail.core.errors import ConfigError
from foresail.domain.effects import CancelSend, Send
from foresail.domain.events import VenueOutcome
from foresail.domain.orders import FillReason, Order
from foresail.domain.signals import Side, Signal, TimerIntent
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.expiring import refuse_timers
from foresail.engine.trading.parts import Decision
from foresail.ledger.entries import SignalsRenewed
from foresail.ledger.journal import Journal

MINUTE = 60 * S  # a signal of ``trading_tens`` speaks for a minute


def core_with(*decisions: tuple[Iterable[Order], Iterable[Signal]], **more: Any) -> TradingCore:
    """A core that decides these one after the other, then nothing."""
    waiting = list(decisions)

    def next_one(_call: Any) -> Decision:
        orders, signals = waiting.pop(0) if waiting else ((), ())
        return Decision(tuple(orders), signals=tuple(signals))

    core = make(next_one, **more)
    core.deposit(0, Decimal(1000))
    return core


def sent(effects: Iterable[Any]) -> list[Order]:
    return [one.order for one in effects if isinstance(one, Send)]


@pytest.mark.parametrize("is_audited", [True, False])
def test_a_position_is_closed_when_its_signal_has_ended(is_audited: bool) -> None:
    core = core_with(((order(A, S),), (signal(A, S),)), is_audited=is_audited)
    decide(core, S)
    filled(core, order(A, S), 2 * S)
    assert sent(decide(core, MINUTE)) == []
    (exit_,) = sent(decide(core, MINUTE + S))
    assert (exit_.instrument, exit_.side, exit_.quantity, exit_.reason) == (A, Side.SELL, 5, FillReason.TIME)
    assert exit_.reduce_only
    assert sent(decide(core, MINUTE + 2 * S)) == []  # it is leaving already
    filled(core, exit_, MINUTE + 3 * S)
    assert core.expiries.standing == {}


def test_a_later_signal_renews_it_one_with_missing_inputs_too() -> None:
    blind = replace(signal(A, MINUTE), missing=("close",))
    core = core_with(((order(A, S),), (signal(A, S),)), ((), (blind, signal(B, MINUTE))))
    decide(core, S)
    filled(core, order(A, S), 2 * S)
    for at in (MINUTE, MINUTE + S, 2 * MINUTE - 1):
        assert sent(decide(core, at)) == []
    assert core.expiries.standing == {A: 2 * MINUTE}  # and nothing of B, which is neither held nor ordered
    assert len(sent(decide(core, 2 * MINUTE))) == 1


def test_an_entry_that_still_waits_is_taken_back_and_the_name_forgotten() -> None:
    core = core_with(((order(A, S),), (signal(A, S),)))
    decide(core, S)
    told(core, order(A, S).id, VenueOutcome.ACCEPTED, S)
    effects = decide(core, MINUTE + S)
    assert [type(one) for one in effects] == [CancelSend]
    told(core, order(A, S).id, VenueOutcome.CANCELLED, MINUTE + 2 * S, left=order(A, S).quantity)
    assert decide(core, MINUTE + 3 * S) == ()
    assert core.expiries.standing == {}
    assert [one.expires for one in kinds(core, SignalsRenewed)] == [((A, MINUTE + S),), ((A, 0),)]


def test_who_trades_without_signals_is_left_alone_and_a_restart_knows() -> None:
    core = core_with(((order(A, S), order(B, S)), (signal(A, S),)))
    decide(core, S)
    for name in (A, B):
        filled(core, order(name, S), 2 * S)
    again = make(lambda call: Decision(), journal=core._writer)
    again.recover(None, list(Journal(core._writer).entries))  # type: ignore[call-overload]
    assert again.to_plain()["expiries"] == core.to_plain()["expiries"] == {A: MINUTE + S}
    assert [one.instrument for one in sent(decide(again, 10 * MINUTE))] == [A]


def test_what_has_no_bar_at_the_decision_stays_until_it_has_one() -> None:
    core = core_with(((order(A, S),), (signal(A, S),)))
    decide(core, S)
    filled(core, order(A, S), 2 * S)
    core.parts.market.priced_at = 2 * MINUTE - 1  # type: ignore[attr-defined]
    assert sent(decide(core, 2 * MINUTE)) == []
    core.parts.market.priced_at = 3 * MINUTE  # type: ignore[attr-defined]
    assert len(sent(decide(core, 3 * MINUTE))) == 1


def test_a_snapshot_of_before_there_were_levels_and_expiries_is_read() -> None:
    core = core_with(((order(A, S),), ()))
    decide(core, S)
    filled(core, order(A, S), 2 * S)
    state = core.to_plain()
    del state["levels"], state["expiries"], state["notes"]["filled"]
    again = make(lambda call: Decision())
    again.restore(state)
    assert (again.levels.standing, again.expiries.standing, again.notes.filled) == ({}, {}, {})
    assert again.books.quantity(A) == 5


def test_a_strategy_that_wants_to_be_woken_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"strategy mine asks to be woken \(lunch\)"):
        refuse_timers([TimerIntent(5, "lunch")], "mine")
