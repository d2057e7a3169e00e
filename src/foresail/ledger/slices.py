"""Parents that leave in slices: how much of each has left, as a fold over the journal (EXEC-03).

``SliceStarted`` says what is to leave when; each child is an ``OrderIntended`` whose id follows from parent and number.
The units of all children never exceed the parent's: what may still leave is counted here, from intents, not from fills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.orders import Order
from foresail.ledger.entries import Entry, OrderIntended, SliceStarted, SliceStopped, SplitApplied
from foresail.ledger.splits import split_quantity

__all__ = ["SliceBook", "SliceState", "slice_id"]

_ZERO = Decimal(0)


def slice_id(parent: Order, method: str, number: int) -> OrderId:
    """Return the id of a child: a pure function of its parent, the method and its number."""
    return order_id(
        environment="slice",
        account="",
        strategy=parent.id,
        version=method,
        decided_at_ns=parent.decided_at,
        leg=str(number),
    )


@dataclass(slots=True)
class SliceState:
    """One parent on its way.

    Attributes
    ----------
    slices : (instant, units) as planned; of participation the units are 0
    share : participation, 0 for a schedule
    started_at : instant from which volume counts, ns UTC
    next : number of the slice that is due next
    sent : units of all children intended so far
    """

    parent: Order
    method: str
    slices: tuple[tuple[int, Decimal], ...]
    share: Decimal
    started_at: int
    next: int = 0
    sent: Decimal = _ZERO

    @property
    def left(self) -> Decimal:
        """Units that may still leave."""
        return self.parent.quantity - self.sent

    @property
    def is_done(self) -> bool:
        """Whether nothing more leaves."""
        return self.left <= 0 or self.next >= len(self.slices)


class SliceBook:
    """All parents of one account that have not left in full, changed by ``apply`` only."""

    def __init__(self) -> None:
        self._parents: dict[str, SliceState] = {}
        self._children: dict[str, tuple[str, int]] = {}  # child -> parent, number

    @property
    def is_busy(self) -> bool:
        """Whether a parent still has something to leave."""
        return bool(self._parents)

    def open(self, instrument: InstrumentId | None = None) -> Iterator[SliceState]:
        """Yield parents that still have something to leave, oldest first."""
        for state in self._parents.values():
            if instrument is None or state.parent.instrument == instrument:
                yield state

    def parent_of(self, child: OrderId) -> OrderId | None:
        """Return the parent of a child of a parent that is still open."""
        found = self._children.get(child)
        return None if found is None else OrderId(found[0])

    def apply(self, entry: Entry) -> None:
        """Take in the next entry.

        Raises
        ------
        IntegrityError
            If children outgrow their parent.
        """
        handler = self._HANDLERS.get(type(entry))
        if handler is not None:
            handler(self, entry)

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain: dict[str, Any] = msgspec.to_builtins({"parents": list(self._parents.values())})
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SliceBook:
        """Return the book that ``to_plain`` told."""
        book = cls()
        for state in msgspec.convert(plain["parents"], list[SliceState]):
            book._add(state)
        return book

    def _add(self, state: SliceState) -> None:
        self._parents[state.parent.id] = state
        for number in range(len(state.slices)):
            self._children[slice_id(state.parent, state.method, number)] = (state.parent.id, number)

    def _started(self, entry: SliceStarted) -> None:
        self._add(SliceState(entry.parent, entry.method, entry.slices, entry.share, entry.at))

    def _split(self, entry: SplitApplied) -> None:
        """Restate exits on their way; whoever applies a split has stopped what opens (``SliceStopped``).

        Rounded as a running sum, so that the parts add up to whole lots of the parent; levels go, an exit needs none.
        """

        def units(before: Decimal) -> Decimal:
            return split_quantity(before, entry.ratio, entry.lot)[0]

        for state in self.open(entry.instrument):
            planned, done, parts = _ZERO, _ZERO, []
            for at, one in state.slices:
                planned += one
                parts.append((at, units(planned) - done))
                done = units(planned)
            parent = state.parent
            state.parent = replace(parent, quantity=units(parent.quantity), stop_price=None, target_price=None)
            state.slices, state.sent = tuple(parts), units(state.sent)

    def _stopped(self, entry: SliceStopped) -> None:
        self._forget(entry.order_id)

    def _intended(self, entry: OrderIntended) -> None:
        found = self._children.get(entry.order.id)
        if found is None:
            return
        state = self._parents[found[0]]
        state.sent += entry.order.quantity
        state.next = found[1] + 1
        if state.left < 0:
            raise IntegrityError(
                f"children of order {state.parent.id} ask for {state.sent} units of {state.parent.quantity}",
                hint="a slice that was sent twice under two ids; stop and compare with the venue",
            )
        if state.is_done:
            self._forget(state.parent.id)

    def _forget(self, parent: OrderId) -> None:
        self._parents.pop(parent, None)
        self._children = {child: found for child, found in self._children.items() if found[0] != parent}

    _HANDLERS: ClassVar[dict[type[Any], Callable[[Any, Any], None]]] = {
        OrderIntended: _intended,
        SliceStarted: _started,
        SliceStopped: _stopped,
        SplitApplied: _split,
    }
