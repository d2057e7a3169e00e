"""Every cause of a difference is produced once and named; equal journals have no difference."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.parity import Cause, ParityContext, compare_journals
from foresail.ledger.entries import Decided, Entry, FillBooked, OperatorActed, OrderIntended

A = InstrumentId("sim.S01.A")
DAY = 86_400 * 10**9


def day(number: int, *, price: str = "10", decided: int = 0, quantity: str = "5") -> list[Entry]:
    """One decision, its order, and its fill a day later."""
    at = number * DAY + decided
    name = OrderId(f"{number:032x}")
    order = Order(name, A, Side.BUY, Decimal(quantity), OrderKind.MARKET, at)
    fill = Fill(
        name, A, Side.BUY, Decimal(quantity), Decimal(price), Decimal(10), Decimal(1), Decimal(0), (number + 1) * DAY,
        FillReason.ENTRY, f"x{number}",
    )  # fmt: skip
    return [
        Decided(at, 0, "s@1", at, 1, f"seen {quantity}"),
        OrderIntended(at, 0, order),
        FillBooked(fill.filled_at, 0, fill),
    ]


CLEAN = [*day(1), *day(3), *day(5)]


def causes(paper: list[Entry], context: ParityContext | None = None) -> list[tuple[str, Cause, bool]]:
    return [(one.what, one.cause, one.follows) for one in compare_journals(paper, CLEAN, context)]


def test_equal_journals_have_no_difference() -> None:
    assert causes(list(CLEAN)) == []


@pytest.mark.parametrize("cause", [Cause.LATE_BAR, Cause.CORRECTION])
def test_a_bar_that_is_stored_otherwise_now_explains_what_came_after_it(cause: Cause) -> None:
    paper = [*day(1), *day(3, quantity="4"), *day(5, quantity="4")]
    found = causes(paper, ParityContext(changed_bars=((2 * DAY, cause),)))
    assert {one[1] for one in found} == {cause}
    assert len(found) == 6
    later = causes(paper, ParityContext(changed_bars=((4 * DAY, cause),)))
    assert later[0][1] is Cause.UNEXPLAINED  # a bar changed after the first difference explains nothing before it


def test_a_command_explains_what_came_after_it() -> None:
    paper = [*day(1), OperatorActed(2 * DAY, 0, "kill", "ada")]
    assert {one[1] for one in causes(paper)} == {Cause.OPERATOR}


def test_another_strategy_file_explains_other_decisions() -> None:
    paper = [*day(1), *day(3, quantity="4"), *day(5)]
    assert {one[1] for one in causes(paper, ParityContext(strategy_changed=True))} == {Cause.STRATEGY}


def test_decisions_that_came_later_are_a_delay_of_the_model() -> None:
    paper = [*day(1), *day(3, decided=7), *day(5)]
    assert {one[1] for one in causes(paper)} == {Cause.MODEL_DELAY}


def test_the_same_order_filled_otherwise_is_the_fill_model_and_rounding_is_rounding() -> None:
    assert causes([*day(1), *day(3, price="10.01"), *day(5)]) == [("fill", Cause.FILL_MODEL, False)]
    assert causes([*day(1), *day(3, price="10.000000001"), *day(5)]) == [("fill", Cause.NUMERICAL, False)]


def test_what_nothing_explains_is_said_to_be_unexplained() -> None:
    found = compare_journals([*day(1), *day(3, quantity="4"), *day(5)], CLEAN)
    assert found[0].cause is Cause.UNEXPLAINED
    assert (found[0].what, found[0].paper, found[0].history) == ("decision", "seen 4", "seen 5")


def test_a_repeated_start_is_no_difference() -> None:
    moved = [replace(one, sequence=number) for number, one in enumerate(CLEAN)]
    assert causes(moved) == []
