"""Parents and their slices in a core: what is sliced at a decision, and what leaves when its instant has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foresail.domain.orders import Order
from foresail.engine.trading.reviewing import record, review_or_halt
from foresail.ledger.entries import SliceStarted, SliceStopped

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["at_once", "release"]


def at_once(core: TradingCore, at: int, orders: Sequence[Order]) -> list[Order]:
    """Journal the parents among some orders (EXEC-03), and return what leaves at once."""
    slicer, now = core.parts.slicer, []
    for order in orders:
        content = None if slicer is None else slicer.started(order, at)
        if content is None:
            now.append(order)
        else:
            core.refuse_repeated(order)
            core.write(SliceStarted, at, **content)
    return now


def release(core: TradingCore, at: int) -> list[CoreEffect]:
    """Send the slices that are due, each reviewed again; forget parents whose time is over."""
    slicer = core.parts.slicer
    if slicer is None or not core.slices.is_busy:
        return []
    due = [child for state in core.slices.open() if (child := slicer.due(state, at)) is not None]
    effects: list[CoreEffect] = []
    call = core.call(at, core.parts.market.position) if due else None
    if call is not None:
        reviewed, effects = review_or_halt(core, due, call)
        record(core, at, "slices", reviewed)
        passed = [one.passed for one in reviewed if one.allowed > 0]
        effects += core.intend(at, passed)
    for state in list(core.slices.open()):
        if slicer.is_over(state, at):
            core.write(SliceStopped, at, order_id=state.parent.id, text="its last instant has passed")
    return effects
