"""Stops and targets that are to hang on positions (EXIT-10): a fold over the journal.

They come with the fill of an order that carries them, or by ``LevelsSet``; a position that is closed or turned loses
them, a split restates them. What the venue fills by such a level carries an id that no intent has: it is ours because a
level stood here before.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    LevelsSet,
    ListingEnded,
    SplitApplied,
    StopsNarrowed,
)
from foresail.ledger.orders import OrderBook

__all__ = ["LEVEL_ENTRIES", "PositionLevels"]

LEVEL_ENTRIES: frozenset[type[Any]] = frozenset(
    {FillBooked, FillBusted, FillCorrected, LevelsSet, ListingEnded, SplitApplied, StopsNarrowed}
)
_NONE = (None, None)


class PositionLevels:
    """The fold.

    Attributes
    ----------
    standing : instrument -> (stop, target), quote currency; None = none; names without either are absent
    wide : of stops that a weekend has brought nearer, the full distance (EXIT-08)
    leaving : positions of which a stop or target has filled a part
    """

    def __init__(self) -> None:
        self.standing: dict[InstrumentId, tuple[float | None, float | None]] = {}
        self.wide: dict[InstrumentId, float] = {}
        self._narrowed: dict[OrderId, float] = {}  # full distance of stops that orders carry, until they end
        self.leaving: dict[InstrumentId, None] = {}
        self._split: dict[OrderId, float] = {}  # units after one unit before, of orders that waited through splits

    def apply(self, entry: Entry, books: Books, orders: OrderBook) -> None:
        """Take in the next entry, after books and orders did."""
        if isinstance(entry, FillBooked):
            self._filled(entry, books.quantity(entry.fill.instrument), orders)
        elif isinstance(entry, LevelsSet):
            if books.quantity(entry.instrument) != 0:
                self._put(entry.instrument, entry.stop, entry.target, entry.wide)
        elif isinstance(entry, StopsNarrowed):
            kept = {name: wide for name, wide in self._narrowed.items() if _is_open(orders, name)}
            self._narrowed = {**kept, **dict(entry.stops)}
        elif isinstance(entry, SplitApplied):
            ratio = float(entry.ratio)
            wide = self.wide.get(entry.instrument)
            levels = _restated(self.standing.get(entry.instrument, _NONE), ratio)
            self._put(entry.instrument, *levels, None if wide is None else wide / ratio)
            self._drop_closed(books)
            self._split = {name: by for name, by in self._split.items() if _is_open(orders, name)}
            for state in orders.open(entry.instrument):
                self._split[state.order.id] = self._split.get(state.order.id, 1.0) * ratio
        elif isinstance(entry, FillBusted | FillCorrected | ListingEnded) and self.standing:
            self._drop_closed(books)

    def was_split(self, order_id: OrderId) -> bool:
        """Return whether an order waited through a split, wherever it was then."""
        return order_id in self._split

    def to_plain(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "standing": {str(name): list(levels) for name, levels in self.standing.items()},
            "leaving": list(self.leaving),
            "wide": {str(name): wide for name, wide in self.wide.items()},
            "narrowed": {str(name): wide for name, wide in self._narrowed.items()},
            "split": {str(name): by for name, by in self._split.items()},
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PositionLevels:
        """Return the levels that ``to_plain`` told; none in a state of before there were any."""
        levels = cls()
        levels.standing = {InstrumentId(name): (both[0], both[1]) for name, both in plain.get("standing", {}).items()}
        levels.leaving = {InstrumentId(name): None for name in plain.get("leaving", ())}
        levels.wide = {InstrumentId(name): float(wide) for name, wide in plain.get("wide", {}).items()}
        levels._narrowed = {OrderId(name): float(wide) for name, wide in plain.get("narrowed", {}).items()}
        levels._split = {OrderId(name): float(by) for name, by in plain.get("split", {}).items()}
        return levels

    def _filled(self, entry: FillBooked, held: Decimal, orders: OrderBook) -> None:
        fill, state = entry.fill, orders.get(entry.fill.order_id)
        own = _NONE if state is None else _carried(state.order)
        if own != _NONE and fill.order_id in self._split:
            own = _restated(own, self._split[fill.order_id])
        if own == _NONE and not self.standing:
            return
        name = fill.instrument
        before = held - (fill.quantity if fill.side is Side.BUY else -fill.quantity)
        stop, target = _NONE if held == 0 or before * held < 0 else self.standing.get(name, _NONE)
        wide = self.wide.get(name) if stop is not None else None
        if held != 0 and own[0] is not None:
            wide = self._narrowed.get(fill.order_id)
            wide = wide if wide is None else wide / self._split.get(fill.order_id, 1.0)
        if held != 0:
            stop, target = (new if new is not None else old for new, old in zip(own, (stop, target), strict=True))
        self._put(name, stop, target, wide)
        if name in self.standing and state is None and fill.reason in (FillReason.STOP, FillReason.TARGET):
            self.leaving[name] = None

    def _drop_closed(self, books: Books) -> None:
        for name in [name for name in self.standing if books.quantity(name) == 0]:
            self._put(name, None, None)

    def _put(self, name: InstrumentId, stop: float | None, target: float | None, wide: float | None = None) -> None:
        self.leaving.pop(name, None)
        self.wide.pop(name, None)
        if stop is not None and wide is not None:
            self.wide[name] = wide
        if stop is None and target is None:
            self.standing.pop(name, None)
        else:
            self.standing[name] = (stop, target)


def _carried(order: Order) -> tuple[float | None, float | None]:
    """Return what an order hangs on its position once it fills; the trigger of a plain stop order is no such level."""
    stop, target = order.stop_price, order.target_price
    if stop is not None and order.kind is OrderKind.STOP and order.trigger_price is None:
        stop = None
    return None if stop is None else float(stop), None if target is None else float(target)


def _restated(levels: tuple[float | None, float | None], ratio: float) -> tuple[float | None, float | None]:
    stop, target = levels
    return None if stop is None else stop / ratio, None if target is None else target / ratio


def _is_open(orders: OrderBook, name: OrderId) -> bool:
    state = orders.get(name)
    return state is not None and state.is_open
