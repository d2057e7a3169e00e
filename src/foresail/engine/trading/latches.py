"""The kill latch and halts of single instruments, as a fold: what they stop is decided by the journal alone.

The latch stands in the core itself, behind the gate: nothing that a rule, profile or strategy does can open it. Only an
order that reduces what is held passes (RISK-31).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Side
from foresail.ledger.entries import Entry, TradingHalted, TradingResumed

__all__ = ["Latches", "reduces"]

_ZERO = Decimal(0)


def reduces(order: Order, held: Decimal) -> bool:
    """Return whether an order goes against what is held."""
    return held < 0 if order.side is Side.BUY else held > 0


class Latches:
    """What is halted, and why; an empty scope is the whole account."""

    def __init__(self) -> None:
        self._halted: dict[str, tuple[str, str]] = {}

    @property
    def halted(self) -> Mapping[str, tuple[str, str]]:
        """Scope -> (rule, reason)."""
        return dict(self._halted)

    def apply(self, entry: Entry) -> None:
        """Take in the next entry."""
        if isinstance(entry, TradingHalted):
            self._halted[entry.scope] = (entry.rule, entry.text)
        elif isinstance(entry, TradingResumed):
            self._halted = {scope: why for scope, why in self._halted.items() if entry.scope not in ("", scope)}

    def ruling(self, order: Order, held: Decimal) -> Ruling | None:
        """Return how much of an order may leave while halted, None where nothing is halted for it."""
        why = self._halted.get("") or self._halted.get(order.instrument)
        if why is None:
            return None
        allowed = min(order.quantity, abs(held)) if reduces(order, held) else _ZERO
        return Ruling(why[0], allowed, f"halted: {why[1]}")

    def to_plain(self) -> dict[str, list[str]]:
        """Return everything as plain data."""
        return {scope: list(why) for scope, why in self._halted.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, list[str]]) -> Latches:
        """Return the latches that ``to_plain`` told."""
        latches = cls()
        latches._halted = {scope: (why[0], why[1]) for scope, why in plain.items()}
        return latches
