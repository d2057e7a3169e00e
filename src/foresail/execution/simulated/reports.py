"""What the venue has to tell: reports in the order in which things happened, with execution ids of its own."""

from __future__ import annotations

from decimal import Decimal

from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.events import OrderEvent, Rank, VenueOutcome, VenueReport
from foresail.domain.orders import Fill, FillReason, Order

__all__ = ["ReportLog", "exit_order_id"]

_NAME = "simulated"
_ENDINGS = frozenset({VenueOutcome.CANCELLED, VenueOutcome.EXPIRED})


def exit_order_id(parent: OrderId, instrument: InstrumentId, reason: FillReason) -> OrderId:
    """Return the id of an attached exit, a function of the order that last changed the position."""
    leg = f"{instrument}:{reason.value}"
    return order_id(environment=_NAME, account="", strategy=parent, version="", decided_at_ns=0, leg=leg)


class ReportLog:
    """Reports since somebody last took them."""

    def __init__(self) -> None:
        self._reports: list[VenueReport] = []
        self._lots: list[int] = []  # of endings, what was left

    def accepted(self, order: Order, at_ns: int) -> None:
        """Note that an order is in the book."""
        self._tell(order, VenueOutcome.ACCEPTED, at_ns, order.quantity)

    def ended(self, order: Order, outcome: VenueOutcome, left: tuple[Decimal, int], at_ns: int) -> None:
        """Note that an order left the book with (units, lots) unfilled."""
        self._tell(order, outcome, at_ns, left[0], lots=left[1])

    def replaced(self, order: Order, total: Decimal, at_ns: int) -> None:
        """Note the new total of an order and its prices."""
        self._tell(order, VenueOutcome.REPLACED, at_ns, total)

    def refused(self, order_id: OrderId, text: str, at_ns: int) -> None:
        """Note that a cancel or change came to nothing."""
        self._reports.append(
            VenueReport(
                at_ns,
                at_ns,
                Rank.VENUE_FILL,
                _NAME,
                sequence=len(self._reports),
                order_id=order_id,
                outcome=VenueOutcome.CANCEL_REJECTED,
                text=text,
            )
        )
        self._lots.append(0)

    def filled(self, fill: Fill) -> None:
        """Note an execution."""
        self._reports.append(
            VenueReport(
                fill.filled_at,
                fill.filled_at,
                Rank.VENUE_FILL,
                _NAME,
                fill.instrument,
                len(self._reports),
                fill.order_id,
                VenueOutcome.FILLED,
                fill,
                execution=fill.execution,
            )
        )
        self._lots.append(0)

    def take(self) -> tuple[VenueReport, ...]:
        """Return and forget all reports."""
        reports = tuple(self._reports)
        self.clear()
        return reports

    def take_endings(self) -> list[OrderEvent]:
        """Return orders that were cancelled or expired, as plain order events, and forget all reports."""
        ended = [(r, n) for r, n in zip(self._reports, self._lots, strict=True) if r.outcome in _ENDINGS]
        self.clear()
        return [
            OrderEvent(
                available_at=report.available_at,
                event_time=report.event_time,
                rank=Rank.VENUE_FILL,
                source=_NAME,
                instrument=report.instrument,
                sequence=k,
                order_id=report.order_id,
                outcome=report.outcome.value,
                quantity_lots=lots,
            )
            for k, (report, lots) in enumerate(ended)
        ]

    def clear(self) -> None:
        """Forget all reports."""
        self._reports, self._lots = [], []

    def _tell(self, order: Order, outcome: VenueOutcome, at_ns: int, left: Decimal, *, lots: int = 0) -> None:
        self._reports.append(
            VenueReport(
                at_ns,
                at_ns,
                Rank.VENUE_FILL,
                _NAME,
                order.instrument,
                len(self._reports),
                order.id,
                outcome,
                None,
                left,
                order.limit_price,
                order.trigger,
                venue_order=order.id,
            )
        )
        self._lots.append(lots)
