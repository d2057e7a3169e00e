"""Cancel and change on the simulated link, their races, and what reports of them, told again, may not do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.effects import Ask, ReplaceSend
from foresail.domain.events import BarsClosed, Fact, Rank, VenueOutcome, VenueReport
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.reports import ReportReader
from foresail.engine.trading.simulated import SimulatedLink, VenueRules
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.entries import CancelIntended, OrderIntended, ReplaceIntended
from foresail.ledger.journal import Journal
from foresail.ledger.orders import OrderBook, OrderStatus
from foresail.testing.builders import bar_panel

S = 10**9
D = Decimal


def make_link(bars: int = 6) -> tuple[SimulatedLink, InstrumentId, Any]:
    panel = bar_panel({"stock.US.AAA": np.full(bars, 100.0)})
    name = panel.instruments[0]
    record = Instrument(name, name, AssetClass.STOCK, tick=D("0.01"))
    venue = SimulatedVenue((record,), CostModel(CostSettings(AssetClass.STOCK)), VenueSettings())
    market = PanelMarket(panel, {name: record}, "USD")
    never = np.full(1, bars, dtype=np.int64)
    return SimulatedLink(venue, market, VenueRules(AssetClass.STOCK, never)), name, panel


def limit(name: InstrumentId, number: int, price: str, at: int, quantity: int = 10) -> Order:
    return Order(
        OrderId(f"{number:032x}"), name, Side.BUY, D(quantity), OrderKind.LIMIT, at, limit_price=D(price)
    )  # fmt: skip


def close_bar(link: SimulatedLink, panel: Any, now: int) -> Sequence[VenueReport]:
    end = int(panel.end[now])
    link.take_in(BarsClosed(end, end, Rank.VENUE_FILL, sequence=now, frame="1d", position=now))
    return link.take_reports()


def outcomes(reports: Sequence[VenueReport]) -> list[tuple[str, str]]:
    return [(one.order_id[-1], one.outcome.value) for one in reports]


def test_a_cancel_takes_one_order_and_leaves_the_others_of_the_instrument() -> None:
    link, name, panel = make_link()
    at = int(panel.end[0])
    for number in (1, 2):
        link.send(limit(name, number, "50", at))
    close_bar(link, panel, 1)
    link.cancel(OrderId(f"{1:032x}"), name)
    assert outcomes(link.take_reports()) == [("1", "cancelled")]
    link.ask(OrderId(f"{2:032x}"), name)
    assert outcomes(link.take_reports()) == [("2", "accepted")]
    link.cancel(OrderId(f"{1:032x}"), name)
    assert outcomes(link.take_reports()) == [("1", "cancel_rejected")]


@pytest.mark.parametrize("is_waiting", [True, False])
def test_a_change_reaches_an_order_before_and_after_its_first_bar(is_waiting: bool) -> None:
    link, name, panel = make_link()
    order = limit(name, 1, "50", int(panel.end[0]))
    link.send(order)
    if not is_waiting:
        close_bar(link, panel, 1)
    link.take_reports()
    link.replace(ReplaceSend(order.id, name, D(4), D("120"), revision=1))
    link.replace(ReplaceSend(order.id, name, D(9), revision=1))  # the same revision again
    (told,) = link.take_reports()
    assert (told.outcome, told.left, told.limit_price, told.revision) == (VenueOutcome.REPLACED, D(4), D("120"), 1)
    (fill,) = [one.fill for one in close_bar(link, panel, 1 if is_waiting else 2)]
    assert fill is not None
    assert fill.quantity == 4
    link.replace(ReplaceSend(order.id, name, D(9), revision=2))
    (told,) = link.take_reports()
    assert (told.outcome, told.left, told.revision) == (VenueOutcome.CANCEL_REJECTED, D(9), 2)


def test_a_change_that_cannot_be_is_refused_by_its_revision() -> None:
    link, name, panel = make_link()
    order = limit(name, 1, "50", int(panel.end[0]))
    link.send(order)
    link.take_reports()
    link.replace(ReplaceSend(order.id, name, D(5), trigger_price=D(40), revision=1))
    (told,) = link.take_reports()
    assert (told.outcome, told.revision, told.left) == (VenueOutcome.CANCEL_REJECTED, 1, D(5))


def test_a_split_restates_orders_in_the_book_and_those_that_wait_for_their_first_bar() -> None:
    link, name, panel = make_link()
    for number, quantity in ((1, 9), (2, 4)):
        link.send(limit(name, number, "50", int(panel.end[0]), quantity))
    close_bar(link, panel, 1)
    for number, quantity in ((3, 7), (4, 1)):
        link.send(limit(name, number, "60", int(panel.end[1]), quantity))
    link.take_reports()
    at = int(panel.start[2])
    link.take_in(Fact(at, at, Rank.CORPORATE_ACTION, "bars", name, kind="split", value=0.5))
    told = [(one.order_id[-1], one.outcome.value, one.left, one.limit_price) for one in link.take_reports()]
    assert told == [
        ("1", "replaced", D(4), D(100)),
        ("2", "replaced", D(2), D(100)),
        ("3", "replaced", D(3), D(120)),
        ("4", "replaced", D(0), None),
        ("4", "cancelled", D(0), None),
    ]
    fills = [one.fill for one in close_bar(link, panel, 2) if one.fill is not None]
    assert [(one.order_id[-1], one.quantity) for one in fills] == [("3", D(3))]


def test_what_a_link_holds_survives_a_restart() -> None:
    link, name, panel = make_link()
    order = limit(name, 1, "50", int(panel.end[0]))
    link.send(order)
    link.replace(ReplaceSend(order.id, name, D(4), revision=3))
    close_bar(link, panel, 1)
    other, _name, _panel = make_link()
    other.restore(link.to_plain())
    assert other.to_plain() == link.to_plain()
    other.replace(ReplaceSend(order.id, name, D(9), revision=2))
    assert other.take_reports() == ()


# -- the reader: every order of words about a cancel, a change and a fill leads to the same state ----------------------


class Folding:
    """Writes into a journal and an order book, as the core does."""

    def __init__(self, name: InstrumentId) -> None:
        self.journal, self.orders, self.at = Journal(), OrderBook(), 0
        record = Instrument(name, name, AssetClass.STOCK, tick=D("0.01"))
        self.reader = ReportReader({name: record}, self.orders, self.write, 60 * S)

    def write(self, kind: Any, at: int, /, **content: Any) -> None:
        self.at = max(self.at, at)
        entry = kind(self.at, self.journal.next_sequence, **content)
        self.journal.append(entry)
        self.orders.apply(entry)


NAME = InstrumentId("stock.US.AAA")
FIRST = limit(NAME, 1, "50", 1 * S)


def changing(*, revisions: bool) -> tuple[Folding, list[VenueReport]]:
    """An order of 10, changed to 6 and then to 8, and what the venue told of it."""
    folding = Folding(NAME)
    folding.write(OrderIntended, 1 * S, order=FIRST)
    told = []
    for number, total in ((1, 6), (2, 8)):
        at = (number * 10) * S
        folding.write(
            ReplaceIntended, at, order_id=FIRST.id, quantity=D(total), limit_price=D(50 + number), revision=number
        )
        report = VenueReport(
            at + S, at + S, Rank.VENUE_FILL, order_id=FIRST.id, outcome=VenueOutcome.REPLACED, left=D(total),
            limit_price=D(50 + number), revision=number if revisions else 0,
        )  # fmt: skip
        folding.reader.read(report)
        told.append(report)
    return folding, told


@pytest.mark.parametrize("is_waiting", [True, False])
@pytest.mark.parametrize("quantity", [1, 4])
def test_a_split_restates_what_sets_off_a_plain_stop_even_where_its_units_stay(quantity: int, is_waiting: bool) -> None:
    link, name, panel = make_link()
    at = int(panel.end[0])
    stop = Order(OrderId(f"{1:032x}"), name, Side.BUY, D(quantity), OrderKind.STOP, at, stop_price=D(120))
    folding = Folding(name)
    folding.write(OrderIntended, at, order=stop)
    link.send(stop)
    told = [*link.take_reports(), *(() if is_waiting else close_bar(link, panel, 1))]
    at = int(panel.start[2])
    link.take_in(Fact(at, at, Rank.CORPORATE_ACTION, "bars", name, kind="split", value=1.5))
    for report in (*told, *link.take_reports()):
        folding.reader.read(report)
    state = folding.orders.get(stop.id)
    assert state is not None
    assert (state.order.quantity, state.order.stop_price, state.order.trigger_price) == (quantity * 3 // 2, D(80), None)


@pytest.mark.parametrize("is_waiting", [True, False])
def test_what_sets_off_a_plain_stop_is_told_where_it_is_changed(is_waiting: bool) -> None:
    link, name, panel = make_link()
    stop = Order(OrderId(f"{1:032x}"), name, Side.BUY, D(5), OrderKind.STOP, int(panel.end[0]), stop_price=D(120))
    link.send(stop)
    if not is_waiting:
        close_bar(link, panel, 1)
    link.take_reports()
    link.replace(ReplaceSend(stop.id, name, D(5), trigger_price=D(130), revision=1))
    (told,) = link.take_reports()
    assert (told.outcome, told.trigger_price, told.revision) == (VenueOutcome.REPLACED, D(130), 1)


@pytest.mark.parametrize("revisions", [True, False])
def test_an_old_word_on_a_change_told_again_undoes_nothing(revisions: bool) -> None:
    folding, told = changing(revisions=revisions)
    before = folding.orders.to_plain()
    for report in (*told, *reversed(told)):
        folding.reader.read(report)
    assert folding.orders.to_plain() == before
    state = folding.orders.get(FIRST.id)
    assert state is not None
    assert (state.order.quantity, state.order.limit_price, state.order.revision) == (D(8), D(52), 2)


def test_an_old_refusal_frees_neither_a_later_cancel_nor_a_later_change() -> None:
    folding, _told = changing(revisions=True)
    late = VenueReport(
        12 * S, 12 * S, Rank.VENUE_FILL, order_id=FIRST.id, outcome=VenueOutcome.CANCEL_REJECTED, left=D(6), revision=1
    )  # fmt: skip
    folding.write(ReplaceIntended, 30 * S, order_id=FIRST.id, quantity=D(20), revision=3)
    folding.write(CancelIntended, 31 * S, order_id=FIRST.id)
    folding.reader.read(late)
    state = folding.orders.get(FIRST.id)
    assert state is not None
    assert state.is_cancelling
    assert (state.largest, state.reserved) == (D(20), D(20))  # the change may have been made: its units stay reserved


def test_every_order_of_a_cancel_a_change_and_a_fill_ends_the_same() -> None:
    fill = Fill(FIRST.id, NAME, Side.BUY, D(4), D(50), D(50), D(0), D(0), 3 * S, FillReason.ENTRY, "x")
    words = (
        {"outcome": VenueOutcome.FILLED, "fill": fill, "event_time": 22 * S},
        {"outcome": VenueOutcome.REPLACED, "left": D(20), "revision": 1, "event_time": 23 * S},
        {"outcome": VenueOutcome.CANCELLED, "left": D(16), "event_time": 24 * S},
        {"outcome": VenueOutcome.ACCEPTED, "event_time": 2 * S},
    )
    ends = set()
    for order in itertools.permutations(words + words[:2]):
        folding = Folding(NAME)
        folding.write(OrderIntended, 1 * S, order=FIRST)
        folding.write(ReplaceIntended, 20 * S, order_id=FIRST.id, quantity=D(20), revision=1)
        folding.write(CancelIntended, 21 * S, order_id=FIRST.id)
        for word in order:
            content = dict(word)
            at = content.pop("event_time")
            folding.reader.read(VenueReport(at, at, Rank.VENUE_FILL, order_id=FIRST.id, **content))
        state = folding.orders.get(FIRST.id)
        assert state is not None
        assert not folding.orders.blocked()
        ends.add((state.status, state.filled, state.order.quantity, state.left, state.reserved))
    assert ends == {(OrderStatus.CANCELLED, D(4), D(20), D(16), D(0))}


def test_what_is_left_at_the_end_is_left_of_what_the_venue_says() -> None:
    """The words on a change and on a fill of 10 were lost: 10 left of 20 are no 10 left of 10."""
    folding = Folding(NAME)
    folding.write(OrderIntended, 1 * S, order=FIRST)
    folding.write(ReplaceIntended, 20 * S, order_id=FIRST.id, quantity=D(20), revision=1)
    folding.write(CancelIntended, 21 * S, order_id=FIRST.id)
    end = VenueReport(
        24 * S, 24 * S, Rank.VENUE_FILL, order_id=FIRST.id, outcome=VenueOutcome.CANCELLED, left=D(10), quantity=D(20)
    )
    assert folding.reader.read(end) == (Ask(FIRST.id, NAME),)
    assert NAME in folding.orders.blocked()
    state = folding.orders.get(FIRST.id)
    assert state is not None
    assert (state.order.quantity, state.order.revision) == (D(20), 1)
    assert folding.reader.read(end) == ()
    fill = Fill(FIRST.id, NAME, Side.BUY, D(10), D(50), D(50), D(0), D(0), 22 * S, FillReason.ENTRY, "x")
    folding.reader.read(
        VenueReport(25 * S, 25 * S, Rank.VENUE_FILL, order_id=FIRST.id, outcome=VenueOutcome.FILLED, fill=fill)
    )
    assert not folding.orders.blocked()
    assert (state.status, state.filled, state.left) == (OrderStatus.CANCELLED, D(10), D(10))
