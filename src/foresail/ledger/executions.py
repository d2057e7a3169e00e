"""Fills that a venue may still take back or correct, and journals as if it had told the truth at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from foresail.core.errors import IntegrityError
from foresail.core.ids import OrderId
from foresail.domain.orders import Fill
from foresail.ledger.entries import Entry, FillBooked, FillBusted, FillCorrected

__all__ = ["RecentFills", "standing_entries"]

_KEPT_NS = 7 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """A fill as it was booked."""

    fill: Fill
    multiplier: Decimal
    currency: str


class RecentFills:
    """Fills of the last seven days that carry an execution id, by order and execution."""

    def __init__(self) -> None:
        self._kept: dict[tuple[OrderId, str], _Kept] = {}
        self._oldest = 0

    def note(self, fill: Fill, multiplier: Decimal, currency: str, at: int) -> None:
        """Remember a fill; a fill without an execution id cannot be named, so it cannot be taken back."""
        if not fill.execution:
            return
        self._kept[fill.order_id, fill.execution] = _Kept(fill, multiplier, currency)
        if at - self._oldest > 2 * _KEPT_NS:
            self._kept = {k: v for k, v in self._kept.items() if v.fill.filled_at > at - _KEPT_NS}
            self._oldest = at - _KEPT_NS

    def take(self, order_id: OrderId, execution: str) -> tuple[Fill, Decimal, str]:
        """Return a fill, its multiplier and currency, and forget it.

        Raises
        ------
        IntegrityError
            If it was never booked, or longer than seven days ago.
        """
        kept = self._kept.pop((order_id, execution), None)
        if kept is None:
            raise IntegrityError(
                f"execution {execution} of order {order_id} is to be taken back, but no such fill was booked in the "
                "last seven days",
                hint="compare the journal with the venue's own record",
            )
        return kept.fill, kept.multiplier, kept.currency

    def to_plain(self) -> list[Any]:
        """Return everything as plain data."""
        plain: list[Any] = msgspec.to_builtins(list(self._kept.values()))
        return [self._oldest, plain]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> RecentFills:
        """Return what ``to_plain`` told."""
        told = cls()
        told._oldest = int(plain[0])
        for one in msgspec.convert(plain[1], list[_Kept]):
            told._kept[one.fill.order_id, one.fill.execution] = one
        return told


def standing_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Return a journal without fills that were taken back, corrected ones in the place of the first.

    For analysis of trades: their sequence numbers have gaps, so books are never made of them.
    """
    out: list[Entry] = []
    places: dict[tuple[OrderId, str], int] = {}
    gone: set[int] = set()
    for entry in entries:
        if isinstance(entry, FillBooked) and entry.fill.execution:
            places[entry.fill.order_id, entry.fill.execution] = len(out)
        elif isinstance(entry, FillBusted):
            gone.add(_place(places, entry.order_id, entry.execution))
        elif isinstance(entry, FillCorrected):
            place = _place(places, entry.fill.order_id, entry.execution)
            before = out[place]
            if isinstance(before, FillBooked):
                out[place] = replace(before, fill=replace(entry.fill, filled_at=before.fill.filled_at))
            places[entry.fill.order_id, entry.fill.execution] = place
        out.append(entry)
    return [entry for place, entry in enumerate(out) if place not in gone]


def _place(places: Mapping[tuple[OrderId, str], int], order_id: OrderId, execution: str) -> int:
    if (order_id, execution) not in places:
        raise IntegrityError(f"execution {execution} of order {order_id} was never booked")
    return places[order_id, execution]
