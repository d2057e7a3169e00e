"""Planted bugs in how the trading core reads a venue: busts, corrections, races of changes, latches, late requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.domain.events import VenueReport
from foresail.domain.orders import Order, Ruling
from foresail.engine.trading import operators, reports
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.latches import Latches
from foresail.engine.trading.polling import Poller
from foresail.engine.trading.reports import ReportReader
from foresail.ledger.books import Books
from foresail.ledger.entries import CancelIntended, FillBusted, FillCorrected, ReplaceIntended
from foresail.ledger.orders import OrderBook, OrderState
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.planting import PlantedBug

__all__ = ["TRADING_BUGS"]

_TAKES_BACK = FaultMix(bust=0.5, correct=0.5, partial=0.5)
_RACES = FaultMix(delay=0.4, duplicate=0.5, partial=0.6)


def _bug(
    name: str, family: str, owner: Any, attribute: str, make: Callable[[Any], Any], *mix: FaultMix
) -> PlantedBug:  # fmt: skip
    found = mix[0] if mix else None
    return PlantedBug(name, family, owner, attribute, make, fits_all=False, fits_reference=False, mix=found)


def _does(wrong: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda _right: wrong


def _keeps_filled(_right: Any) -> Any:
    def busted(book: OrderBook, entry: FillBusted) -> None:
        state = book.get(entry.order_id)
        if state is not None:
            state.retired.append(entry.execution)

    return busted


def _old_price(right: Callable[[Books, FillCorrected], None]) -> Any:
    def corrected(books: Books, entry: FillCorrected) -> None:
        price = entry.fill.price + Decimal("0.01")
        right(books, replace(entry, fill=replace(entry.fill, price=price)))

    return corrected


def _frees_change(right: Callable[[OrderBook, CancelIntended], None]) -> Any:
    def cancel_intended(book: OrderBook, entry: CancelIntended) -> None:
        right(book, entry)
        state = book.get(entry.order_id)
        if state is not None:
            state.replacing, state.largest = None, Decimal(0)

    return cancel_intended


def _asks_for_no_more(_right: Any) -> Any:
    def replace_intended(book: OrderBook, entry: ReplaceIntended) -> None:
        state = book.get(entry.order_id)
        if state is not None:
            state.replacing, state.asked = entry, max(state.asked, entry.revision)

    return replace_intended


def _every_word_is_news(_right: Any) -> Any:
    return lambda report, state: report.revision or 0


def _any_quantity(right: Callable[[Latches, Order, Decimal], Ruling | None]) -> Any:
    def ruling(latches: Latches, order: Order, held: Decimal) -> Ruling | None:
        found = right(latches, order, held)
        return None if found is None or found.quantity > 0 else found

    return ruling


def _absent_is_open(right: Callable[[ReportReader, VenueReport, OrderState], Any]) -> Any:
    def absent(reader: ReportReader, report: VenueReport, state: OrderState) -> Any:
        return right(reader, replace(report, available_at=state.order.decided_at), state)

    return absent


def _closes_double(right: Callable[..., list[Order]]) -> Any:
    def close(core: TradingCore, at: int, why: str, *more: Any, **named: Any) -> list[Order]:
        return [
            replace(one, quantity=one.quantity * 2, reduce_only=False) for one in right(core, at, why, *more, **named)
        ]

    return close


TRADING_BUGS = (
    _bug("a bust leaves what was filled", "busts and corrections", OrderBook, "_busted", _keeps_filled, _TAKES_BACK),
    _bug("a correction is booked beside its price", "busts and corrections", Books, "_on_fill_corrected", _old_price,
         _TAKES_BACK),
    _bug("a cancel frees the change on its way", "replace races", OrderBook, "_cancel_intended", _frees_change,
         _RACES),
    _bug("a change on its way reserves nothing", "replace races", OrderBook, "_replace_intended", _asks_for_no_more,
         _RACES),
    _bug("any word of a change is news", "replace races", reports, "_news", _every_word_is_news,
         FaultMix(delay=0.5, duplicate=0.6)),
    _bug("behind a halt an exit may turn the position", "kill switch", Latches, "ruling", _any_quantity,
         FaultMix(operator_kill=0.5)),
    _bug("a closing kill closes nothing", "kill switch", operators, "close_orders",
         _does(lambda core, at, why, *more, **named: [])),
    _bug("a closing kill sells twice what is held", "kill switch", operators, "close_orders", _closes_double,
         FaultMix(kill_close=0.5)),
    _bug("an absent order is sent again for ever", "old signals", ReportReader, "_absent", _absent_is_open,
         FaultMix(drop_request=0.5, kill=0.2)),
    _bug("nothing is asked after a reconnection", "missed fills", Poller, "everything",
         _does(lambda poller, orders, at: ()), FaultMix(silent_fill=0.5, reset=0.3)),
)  # fmt: skip
