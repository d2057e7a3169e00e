"""The simulation's side of the wire: what is a proof of absence, and what may leave while its fate is unknown."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.engine.trading_tens import A, S, order

from foresail.domain.events import VenueOutcome
from foresail.domain.orders import Order
from foresail.ledger.orders import OrderStatus
from foresail.testing.simulation import invariants
from foresail.testing.simulation.loop import SECOND, VirtualLoop
from foresail.testing.simulation.process import Link
from foresail.testing.simulation.trace import Trace, ViolationError


class Slow:
    """A wire whose answers wait until somebody brings them."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], None]] = []

    def send(self, order: Order, valid_until: int) -> None:
        del order, valid_until

    def ask(self, order_id: str, answer: Callable[[], None]) -> None:
        del order_id
        self.answers.append(answer)


def asked_again(*, sends: bool) -> list[VenueOutcome]:
    """Ask twice after the order's validity, hear the first answer, send again or not, hear the second."""
    loop, wire, one = VirtualLoop(0, Trace()), Slow(), order(A, S)
    link = Link(loop, cast("Any", wire), lambda: None)
    link.send(one)
    loop.run_until(6 * SECOND)
    link.take_reports()
    for _ in range(2):
        link.ask(one.id, one.instrument)
    wire.answers[0]()
    if sends:
        link.send(one)
    wire.answers[1]()
    return [one.outcome for one in link.take_reports()]


def test_an_answer_from_before_another_sending_proves_nothing():
    assert asked_again(sends=False) == [VenueOutcome.ABSENT, VenueOutcome.ABSENT]
    assert asked_again(sends=True) == [VenueOutcome.ABSENT, VenueOutcome.NO_ANSWER]


@pytest.mark.parametrize(("others", "is_wrong"), [(0, False), (1, True)])
def test_an_order_that_is_unknown_itself_may_leave_but_not_beside_another(others: int, is_wrong: bool):
    """It never left before a crash; the venue has proved that it lacks it."""
    one = order(A, S)
    own = SimpleNamespace(order=one, is_open=True, status=OrderStatus.UNKNOWN)
    other = SimpleNamespace(order=SimpleNamespace(id="other"), is_open=True, status=OrderStatus.UNKNOWN)
    book = SimpleNamespace(
        get=lambda name: own, open=lambda name: [own, *[other] * others], blocked=lambda: {one.instrument: "unknown"}
    )
    core = cast("Any", SimpleNamespace(orders=book))
    if is_wrong:
        with pytest.raises(ViolationError, match="is blocked"):
            invariants.check_send(one, core, {})
    else:
        invariants.check_send(one, core, {})
