"""What a venue tells, as entries of the journal: each fact once, in any order, however often it is told.

Four rules. A fill is known by (order, execution) and booked once. A change is known by its revision, or where the venue
tells none by what was asked for; an old word on a change, told again, changes nothing. Silence is no rejection:
``NO_ANSWER`` makes an order unknown, and only the venue's word makes it anything else. What cannot be placed (an order
that was never intended, a bust of a fill that was never told) is not booked: the venue is asked again and somebody is
told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.alerts import Severity
from foresail.domain.effects import Ask, Effect, Notify, Send
from foresail.domain.events import VenueOutcome, VenueReport
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill
from foresail.ledger.entries import (
    AlertRaised,
    CancelRejected,
    FillBooked,
    FillBusted,
    FillCorrected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderUnknown,
)
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus

__all__ = ["ReportReader", "Writing"]

_UNSETTLED = frozenset({OrderStatus.INTENDED, OrderStatus.UNKNOWN})


class Writing(Protocol):
    """Appends an entry of a kind at an instant and folds it."""

    def __call__(self, kind: Callable[..., Any], at: int, /, **content: Any) -> None:
        """Append ``kind(at, sequence, **content)``."""
        ...


class ReportReader:
    """Turns reports into entries.

    Parameters
    ----------
    resend_ns : an order that the venue proves to lack is sent again so long after its decision
    was_split : whether an order waited through a split: one that no venue had then was restated by nobody
    """

    def __init__(
        self, instruments: Mapping[InstrumentId, Instrument], orders: OrderBook, write: Writing, resend_ns: int,
        was_split: Callable[[OrderId], bool] = lambda _order_id: False,
    ) -> None:  # fmt: skip
        self._instruments, self._orders, self._write, self._resend_ns = instruments, orders, write, resend_ns
        self._was_split = was_split
        self._exits: dict[OrderId, list[str]] = {}  # executions of exits that hang on positions at the venue
        self._readers: dict[VenueOutcome, Callable[[VenueReport, OrderState], tuple[Effect, ...]]] = {
            VenueOutcome.ACCEPTED: self._accepted,
            VenueOutcome.REJECTED: self._rejected,
            VenueOutcome.CANCELLED: self._cancelled,
            VenueOutcome.EXPIRED: self._expired,
            VenueOutcome.CANCEL_REJECTED: self._cancel_rejected,
            VenueOutcome.REPLACED: self._replaced,
            VenueOutcome.BUSTED: self._busted,
            VenueOutcome.CORRECTED: self._corrected,
            VenueOutcome.ABSENT: self._absent,
            VenueOutcome.NO_ANSWER: self._no_answer,
        }

    def read(self, report: VenueReport) -> tuple[Effect, ...]:
        """Journal what a report says that was not known yet; return what has to be done about it."""
        if report.outcome is VenueOutcome.FILLED:
            return self._filled(report)
        state = self._orders.get(report.order_id)
        if state is None:
            return self._strange(
                report, f"{report.outcome.value} was told of order {report.order_id}, which is not ours"
            )
        return self._readers[report.outcome](report, state)

    def note(self, entry: FillBooked) -> None:
        """Remember a fill that no intent of ours asked for."""
        if self._orders.get(entry.fill.order_id) is None:
            self._exits.setdefault(entry.fill.order_id, []).append(entry.fill.execution)

    def to_plain(self) -> dict[str, list[str]]:
        """Return what is remembered, as plain data."""
        return {str(name): list(told) for name, told in self._exits.items()}

    def restore(self, plain: Mapping[str, list[str]]) -> None:
        """Take over what ``to_plain`` returned."""
        self._exits = {OrderId(name): list(told) for name, told in plain.items()}

    def is_new(self, fill: Fill) -> bool:
        """Return whether a fill can be booked and was not booked yet."""
        if fill.instrument not in self._instruments or fill.execution in self._exits.get(fill.order_id, ()):
            return False
        return not self._orders.has_execution(fill.order_id, fill.execution)

    def _filled(self, report: VenueReport) -> tuple[Effect, ...]:
        fill = report.fill
        if fill is None or fill.instrument not in self._instruments:
            return self._strange(report, f"a fill of order {report.order_id} came without content that can be booked")
        if not self.is_new(fill):
            return ()
        one = self._instruments[fill.instrument]
        self._write(FillBooked, fill.filled_at, fill=fill, multiplier=one.multiplier, currency=one.currency)
        return ()

    def _accepted(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if state.status in _UNSETTLED or state.status is OrderStatus.REJECTED:
            self._write(OrderAccepted, report.event_time, order_id=report.order_id, venue_order=report.venue_order)
        return ()

    def _rejected(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if state.status is not OrderStatus.REJECTED:
            self._write(OrderRejected, report.event_time, order_id=report.order_id, text=report.text)
        return ()

    def _cancelled(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        self._change_before_end(report, state)
        if state.told_left is not None and state.told_left == report.left:
            return ()
        self._write(OrderCancelled, report.event_time, order_id=report.order_id, left=report.left, text=report.text)
        return self._ask_if_differing(report)

    def _expired(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        self._change_before_end(report, state)
        if state.told_left is not None and state.told_left == report.left:
            return ()
        self._write(OrderExpired, report.event_time, order_id=report.order_id, left=report.left)
        return self._ask_if_differing(report)

    def _change_before_end(self, report: VenueReport, state: OrderState) -> None:
        """Journal a change whose own report was lost: what is left of 13 is not what is left of 7."""
        change = state.replacing
        if report.quantity and report.quantity != state.order.quantity:
            is_asked = change is not None and change.quantity == report.quantity
            self._write(
                OrderReplaced, report.event_time, order_id=report.order_id, quantity=report.quantity,
                limit_price=report.limit_price, trigger_price=report.trigger_price,
                revision=change.revision if change is not None and is_asked else 0,
            )  # fmt: skip

    def _cancel_rejected(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        """Journal a refusal of what is on its way; a repeat about an earlier request frees nothing."""
        change, what = state.replacing, ""
        if report.revision:
            what = "change" if change is not None and change.revision == report.revision else ""
        elif report.left:
            what = "change" if change is not None and change.quantity == report.left else ""
        elif state.is_cancelling:
            what = "cancel"
        elif change is not None and report.event_time >= state.at:
            what = "change"  # a venue that does not say what it refused
        if what:
            self._write(CancelRejected, report.event_time, order_id=report.order_id, text=report.text, what=what)
        return ()

    def _replaced(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        revision = _news(report, state)
        if revision is not None:
            self._write(
                OrderReplaced, report.event_time, order_id=report.order_id, quantity=report.left,
                limit_price=report.limit_price, trigger_price=report.trigger_price, revision=revision,
            )  # fmt: skip
        return ()

    def _busted(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if report.execution in state.retired:
            return ()
        if not self._orders.has_execution(report.order_id, report.execution):
            return self._strange(report, f"execution {report.execution} was taken back before it was told")
        self._write(
            FillBusted, report.event_time, order_id=report.order_id, execution=report.execution, text=report.text
        )
        return ()

    def _corrected(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        fill = report.fill
        if fill is None or self._orders.has_execution(report.order_id, fill.execution):
            return ()
        if report.execution in state.retired or not self._orders.has_execution(report.order_id, report.execution):
            return self._strange(report, f"execution {report.execution} was corrected before it was told")
        self._write(FillCorrected, report.event_time, execution=report.execution, fill=fill)
        return ()

    def _absent(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if state.status not in _UNSETTLED or state.filled > 0:
            return ()
        order, now = state.order, report.available_at
        expires = order.expires_at if order.expires_at else order.decided_at + self._resend_ns
        is_split = self._was_split(order.id)  # its units and prices are those of before, and nobody decided on others
        if not state.is_cancelling and not is_split and now <= expires:
            return (Send(order),)  # under its own id: two of it can never be
        text = report.text or "the venue proved that it never had it"
        self._write(OrderRejected, report.event_time, order_id=report.order_id, text=text)
        return ()

    def _no_answer(self, report: VenueReport, state: OrderState) -> tuple[Effect, ...]:
        if state.status is OrderStatus.INTENDED:
            text = report.text or "no answer from the venue"
            self._write(OrderUnknown, report.event_time, order_id=report.order_id, text=text)
        return ()

    def _ask_if_differing(self, report: VenueReport) -> tuple[Effect, ...]:
        """Ask again where the venue knows of fills that were not told yet."""
        state = self._orders.get(report.order_id)
        if state is None or state.told_left is None or state.told_left == state.left:
            return ()
        return (Ask(report.order_id, state.order.instrument),)

    def _strange(self, report: VenueReport, text: str) -> tuple[Effect, ...]:
        self._write(AlertRaised, report.event_time, kind="venue.strange", severity=Severity.ALERT.value, text=text)
        notify = Notify("venue.strange", Severity.ALERT.value, text)
        state = self._orders.get(report.order_id)
        return (notify,) if state is None else (Ask(report.order_id, state.order.instrument), notify)


def _news(report: VenueReport, state: OrderState) -> int | None:
    """Return the revision of a change that is not known yet (0: the venue's own), None for an old word.

    A venue that tells no revisions is believed where it tells what is awaited; what it tells unasked counts where it is
    newer than everything known of the order, so that a repeat never undoes a later change.
    """
    order, change = state.order, state.replacing
    if report.revision:
        return report.revision if report.revision > order.revision else None
    same = report.limit_price, report.trigger_price
    if change is not None and change.quantity == report.left:
        asked = change.limit_price, change.trigger_price
        if all(one is None or other is None or one == other for one, other in zip(same, asked, strict=True)):
            return change.revision
    is_known = (
        order.quantity == report.left
        and report.limit_price in (None, order.limit_price)
        and report.trigger_price in (None, order.trigger)
    )
    return None if is_known or report.event_time < state.at else 0
