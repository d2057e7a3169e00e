"""Changes and new orders of one decision pass the gate together, not one beside the other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.engine.trading_tens import SET, A, B, S, decide, kinds, make, order, told

from foresail.domain.effects import ReplaceSend, Send
from foresail.domain.events import VenueOutcome
from foresail.domain.instruments import AssetClass
from foresail.engine.trading.parts import Decision
from foresail.ledger.entries import OrderIntended, Reviewed
from foresail.risk.catalogue import default_rules
from foresail.risk.gate import RiskGate
from foresail.risk.profiles import profile_named

D = Decimal
LIMITS = replace(profile_named("multi-asset").limits(AssetClass.STOCK), max_position=0.10, sector=None)


@pytest.mark.parametrize(
    ("raised", "new", "asked", "sent"),
    [
        (7, 6, 7, 3),  # 4 are on order, 3 more leave 3 of the 10 that may be held
        (4, 6, None, 6),  # nothing is added: what is asked alone fits
        (12, 6, None, 6),  # too much by itself: it is left out
        (10, 6, 10, 0),
    ],
)
def test_a_raised_order_and_a_new_one_never_pass_a_cap_together(
    raised: int, new: int, asked: int | None, sent: int
) -> None:
    working = order(A, S, quantity=4)
    changes = (ReplaceSend(working.id, A, D(raised)),)
    core = make(
        lambda call: Decision(orders=(order(A, call.at, quantity=new),), changes=changes),
        RiskGate(default_rules(LIMITS), SET),
    )
    core.deposit(S, D(1000), "USD")
    core.intend(S, [working])
    told(core, working.id, VenueOutcome.ACCEPTED, 2 * S)
    effects = decide(core, 3 * S)
    changed = [one.quantity for one in effects if isinstance(one, ReplaceSend) and one.quantity != 4]
    assert changed == ([] if asked is None else [D(asked)])
    assert sum(one.order.quantity for one in effects if isinstance(one, Send)) == sent
    on_order = max(asked or 4, 4) + sent
    assert on_order <= 10


def test_two_raised_orders_are_one_batch_too_and_all_of_it_is_recorded() -> None:
    one, other = order(A, S, quantity=4), order(B, S, quantity=4)
    limits = replace(LIMITS, class_exposure=0.12)
    changes = (ReplaceSend(one.id, A, D(8)), ReplaceSend(other.id, B, D(8)))
    core = make(lambda call: Decision(changes=changes), RiskGate(default_rules(limits), SET))
    core.deposit(S, D(1000), "USD")
    core.intend(S, [one, other])
    for name in (one.id, other.id):
        told(core, name, VenueOutcome.ACCEPTED, 2 * S)
    passed = [effect.order_id for effect in decide(core, 3 * S) if isinstance(effect, ReplaceSend)]
    assert passed == [one.id]
    (review,) = kinds(core, Reviewed)
    assert [row.order_id for row in review.orders] == [one.id, other.id]
    assert len(kinds(core, OrderIntended)) == 2
