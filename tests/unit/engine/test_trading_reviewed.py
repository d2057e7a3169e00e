"""The journal holds why an order is what it is: rulings, signals, model, features, person (COMP-01, COMP-05)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.unit.engine.trading_tens import A, B, S, decide, filled, kinds, make, order, signal

from foresail.domain.events import Operator, Rank
from foresail.domain.orders import Order, Ruling
from foresail.engine.trading.parts import Decision, DeskCall
from foresail.ledger.codec import decode_entry, encode_entry
from foresail.ledger.entries import Decided, OrderIntended, Reviewed, SignalSeen
from foresail.service.ledger_tables import project

CUT = Ruling("RISK-02 position", Decimal(3), "at most 3")
REFUSED = (Ruling("RISK-13 liquidity", Decimal(0), "too thin"), Ruling("RISK-02 position", Decimal(3), "at most 3"))


class Cutting:
    """Cuts A to three, refuses B."""

    def review(self, orders: Sequence[Order], view: Any) -> list[tuple[Order, tuple[Ruling, ...]]]:
        out: list[tuple[Order, tuple[Ruling, ...]]] = []
        for one in orders:
            cut = one.instrument == A
            out.append((replace(one, quantity=Decimal(3 if cut else 0)), (CUT,) if cut else REFUSED))
        return out


def both(call: DeskCall) -> Decision:
    return Decision((order(A, call.at), order(B, call.at)), signals=(signal(A, call.at),))


def test_every_order_has_its_rulings_and_signals_in_the_journal_refused_ones_as_well() -> None:
    core = make(both, Cutting())
    core.deposit(0, Decimal(1000))
    decide(core, S)
    (entry,) = kinds(core, Reviewed)
    first, second = entry.orders
    assert (first.order_id, first.wanted, first.allowed) == (order(A, S).id, Decimal(5), Decimal(3))
    assert first.rulings == (CUT,)
    assert first.signals == (SignalSeen("test/desk@1", "SIG-15", "model-7", "f00d", 0.8, 61 * S),)
    assert (second.instrument, second.allowed, second.rulings, second.signals) == (B, Decimal(0), REFUSED, ())
    at = [one.sequence for one in (*kinds(core, Decided), entry, *kinds(core, OrderIntended))]
    assert at == sorted(at)
    assert decode_entry(encode_entry(entry)) == entry


def test_a_confidence_that_is_not_known_is_none() -> None:
    core = make(lambda call: Decision((order(A, call.at),), signals=(signal(A, call.at, math.nan),)))
    core.deposit(0, Decimal(1000))
    decide(core, S)
    (entry,) = kinds(core, Reviewed)
    assert entry.orders[0].signals[0].confidence is None
    assert decode_entry(encode_entry(entry)) == entry


def test_a_backtest_journals_what_there_is_to_tell_and_no_more() -> None:
    core = make(lambda call: Decision((order(A, call.at),)), is_audited=False)
    core.deposit(0, Decimal(1000))
    decide(core, S)
    assert kinds(core, Reviewed) == []
    core = make(both, Cutting(), is_audited=False)
    core.deposit(0, Decimal(1000))
    decide(core, S)
    assert len(kinds(core, Reviewed)[0].orders) == 2


def test_an_order_of_a_person_carries_the_name() -> None:
    core = make(lambda call: Decision((order(A, call.at),)))
    core.deposit(0, Decimal(1000))
    decide(core, S)
    filled(core, order(A, S), S)
    core.step(Operator(2 * S, 2 * S, Rank.DECISION, source="ann", command="kill close"))
    last = kinds(core, Reviewed)[-1]
    assert (last.strategy, last.user, last.orders[0].allowed) == ("operator", "ann", Decimal(5))
    assert last.orders[0].order_id == kinds(core, OrderIntended)[-1].order.id


def test_rulings_are_a_table_of_the_ledger() -> None:
    core = make(both, Cutting())
    core.deposit(0, Decimal(1000), "USD")
    decide(core, S)
    rows = project(kinds(core, object)).rows["rulings"]
    assert [(one["instrument"], one["rule"], one["left"]) for one in rows] == [
        (A, "RISK-02 position", "3"),
        (B, "RISK-13 liquidity", "0"),
        (B, "RISK-02 position", "3"),
    ]
    assert (rows[0]["model"], rows[0]["features_hash"], rows[0]["confidence"]) == ("model-7", "f00d", 0.8)
    assert (rows[0]["signal_rule"], rows[1]["model"], rows[1]["confidence"]) == ("SIG-15", "", None)


def test_an_order_that_passed_whole_is_named_and_has_a_row_of_its_own() -> None:
    core = make(lambda call: Decision((order(A, call.at),)))
    core.deposit(0, Decimal(1000), "USD")
    decide(core, S)
    (entry,) = kinds(core, Reviewed)
    assert (entry.orders, entry.whole) == ((), (order(A, S).id,))
    assert decode_entry(encode_entry(entry)) == entry
    (row,) = project(kinds(core, object)).rows["rulings"]
    assert (row["instrument"], row["wanted"], row["allowed"], row["rule"]) == (A, "5", "5", "")
