"""Which orders the venue is asked about, and when: doubtful ones at every question, all open ones now and then.

No single channel is trusted: a report may be lost while the connection looks healthy. So every open order is asked
about after a restart or a reconnection, and again at intervals; a cancel or change that nobody answered is sent again,
which is safe, because both name the order and the change.
"""

from __future__ import annotations

from foresail.domain.effects import Ask, CancelSend, Effect, ReplaceSend
from foresail.ledger.orders import OrderBook, OrderState, OrderStatus

__all__ = ["Poller"]

_UNSETTLED = (OrderStatus.INTENDED, OrderStatus.UNKNOWN)


class Poller:
    """Asks about the orders of a book.

    Parameters
    ----------
    interval_ns : all open orders are asked about so long after the last time, ns

    Notes
    -----
    When it last asked is not part of any snapshot: a new process asks about everything first.
    """

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._asked_at: int | None = None

    def everything(self, orders: OrderBook, at: int) -> tuple[Effect, ...]:
        """Return questions about every order that may be alive, after a restart or a reconnection."""
        self._asked_at = at
        return tuple(one for state in (*orders.open(), *orders.differing()) for one in _questions(state))

    def due(self, orders: OrderBook, at: int) -> tuple[Effect, ...]:
        """Return questions about what is doubtful, and about all that is open where the interval is over."""
        if self._asked_at is None:
            self._asked_at = at
        if at - self._asked_at >= self._interval_ns:
            return self.everything(orders, at)
        doubtful = [
            one for one in orders.open() if one.status in _UNSETTLED or one.is_cancelling or one.replacing is not None
        ]
        return tuple(one for state in (*doubtful, *orders.differing()) for one in _questions(state))


def _questions(state: OrderState) -> list[Effect]:
    """Return what was asked of an order and never answered, and the question what became of it."""
    name, instrument = state.order.id, state.order.instrument
    effects: list[Effect] = []
    if state.is_open and state.is_cancelling:
        effects.append(CancelSend(name, instrument))
    change = state.replacing
    if state.is_open and change is not None:
        effects.append(
            ReplaceSend(
                name, instrument, change.quantity, change.limit_price, change.trigger_price, change.revision
            )
        )  # fmt: skip
    effects.append(Ask(name, instrument))
    return effects
