"""Slices of a large order: TWAP, VWAP and POV as pure schedules.

A schedule is children with an instant and a quantity; together they are the parent, never more. TWAP spreads evenly
over time, VWAP along a profile of volume known before, POV follows what is traded now. Ids are a pure function of the
parent and the number of the slice.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from foresail.core.errors import ConfigError
from foresail.core.numbers import round_quantity
from foresail.domain.orders import Order, OrderKind, TimeInForce
from foresail.ledger.slices import slice_id

__all__ = ["Slice", "SliceMethod", "SlicePlan", "child_order", "needs_slicing", "pov_quantity", "twap", "vwap"]

_ZERO = Decimal(0)
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_LARGE_SHARE = Decimal("0.01")  # EXEC-03: above this share of average daily volume an order is sliced


class SliceMethod(StrEnum):
    """How a parent is spread."""

    TWAP = "twap"
    VWAP = "vwap"
    POV = "pov"


@dataclass(frozen=True, slots=True)
class Slice:
    """One child: when it leaves (ns UTC) and how much."""

    number: int
    at: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """A schedule; what whole lots leave over goes with the last slices, so that the sum is the parent."""

    parent: Order
    method: SliceMethod
    slices: tuple[Slice, ...]


def needs_slicing(quantity: Decimal, average_volume: Decimal, *, share: Decimal = _LARGE_SHARE) -> bool:
    """Return whether an order exceeds a share of average daily volume (EXEC-03); an unknown volume says yes."""
    if not (average_volume.is_finite() and average_volume > 0):
        return True
    return quantity > share * average_volume


def twap(parent: Order, start: int, end: int, count: int, lot: Decimal) -> SlicePlan:
    """Return a schedule of equal parts at equal distances, the first at the start, the last before the end.

    Raises
    ------
    ConfigError
        If the span is empty, there are no slices, or the parent is smaller than a lot.
    """
    return _plan(parent, SliceMethod.TWAP, _instants(start, end, count), [Decimal(1)] * count, lot)


def vwap(parent: Order, start: int, end: int, profile: Sequence[Decimal], lot: Decimal) -> SlicePlan:
    """Return a schedule along a profile of volume: one slice a part of the profile.

    Parameters
    ----------
    profile : share of volume usually traded in each equal part of the span, from history known before; any scale

    Raises
    ------
    ConfigError
        If the profile is empty, negative or all zero, or the span is empty.
    """
    if not profile or any(not (one.is_finite() and one >= 0) for one in profile) or sum(profile) == 0:
        raise ConfigError("a volume profile needs parts that are finite, not negative and not all zero")
    return _plan(parent, SliceMethod.VWAP, _instants(start, end, len(profile)), list(profile), lot)


def pov_quantity(parent: Order, done: Decimal, traded: Decimal, share: Decimal, lot: Decimal) -> Decimal:
    """Return what may leave now so that the parent stays at a share of the volume traded since its start.

    Parameters
    ----------
    done : units of the parent already sent
    traded : units traded by everybody since the start of the parent, as known now
    share : participation, above 0 and at most 1

    Raises
    ------
    ConfigError
        If a number is out of its range.
    """
    if not 0 < share <= 1 or done < 0 or not (traded.is_finite() and traded >= 0):
        raise ConfigError(f"participation needs 0 < share <= 1 and volumes >= 0, received {share}, {done}, {traded}")
    due = min(parent.quantity, traded * share) - done
    return round_quantity(max(_ZERO, due), lot)


def child_order(plan: SlicePlan, piece: Slice, *, limit_price: Decimal | None = None) -> Order:
    """Return the order of a slice; it lives until cancelled at the next slice, and reduces where its parent does."""
    parent = plan.parent
    return replace(
        parent,
        id=slice_id(parent, plan.method.value, piece.number),
        quantity=piece.quantity,
        decided_at=piece.at,
        kind=OrderKind.MARKET if limit_price is None else OrderKind.LIMIT,
        limit_price=limit_price,
        time_in_force=TimeInForce.GTC,
        parent=None,
    )


def _instants(start: int, end: int, count: int) -> list[int]:
    if count < 1 or end <= start:
        raise ConfigError(f"expected at least one slice and a span that ends after its start, received {count} slices")
    return [start + (end - start) * k // count for k in range(count)]


def _plan(parent: Order, method: SliceMethod, instants: list[int], weights: list[Decimal], lot: Decimal) -> SlicePlan:
    """Return slices whose running sum follows the running weights, in whole lots."""
    if round_quantity(parent.quantity, lot) <= 0:
        raise ConfigError(f"order {parent.id} of {parent.quantity} is smaller than one lot of {lot}")
    total, so_far, sent = sum(weights, _ZERO), _ZERO, _ZERO
    slices = []
    for number, (at, weight) in enumerate(zip(instants, weights, strict=True)):
        so_far += weight
        share = _CONTEXT.divide(_CONTEXT.multiply(parent.quantity, so_far), total)
        due = parent.quantity if number == len(weights) - 1 else round_quantity(share, lot)
        if due > sent:
            slices.append(Slice(number, at, due - sent))
            sent = due
    return SlicePlan(parent, method, tuple(slices))
