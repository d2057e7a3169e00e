"""Parents and their slices in a core: what is sliced at a decision, and what leaves when its instant has come.

A parent keeps its stop at the full distance. Each child carries it as it stands when the child leaves: nearer at a
crypto weekend (EXIT-08), and no looser than what trails (EXIT-05).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import OrderId
from foresail.domain.orders import Order
from foresail.engine.trading.level_keeping import with_kept_stops
from foresail.engine.trading.parts import Decision
from foresail.engine.trading.reviewing import record, review_or_halt
from foresail.ledger.entries import SliceStarted, SliceStopped, StopsNarrowed

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["at_once", "release"]


def at_once(core: TradingCore, at: int, orders: Sequence[Order], wide: Mapping[str, float]) -> list[Order]:
    """Journal the parents among some orders (EXEC-03), and return what leaves at once.

    Parameters
    ----------
    wide : id of an order whose stop was moved -> the full distance, as ``with_kept_stops`` tells it
    """
    slicer, now = core.parts.slicer, []
    for order in orders:
        content = None if slicer is None else slicer.started(order, at)
        if content is None:
            now.append(order)
        else:
            core.refuse_repeated(order)
            if order.id in wide:
                content["parent"] = replace(order, stop_price=Decimal(repr(wide[order.id])))
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
        kept, wide = with_kept_stops(core, call, Decision(orders=tuple(due)))
        reviewed, effects = review_or_halt(core, kept.orders, call)
        record(core, at, "slices", reviewed)
        passed = [one.passed for one in reviewed if one.allowed > 0]
        narrowed = tuple((OrderId(one.id), wide[one.id]) for one in passed if one.id in wide)
        if narrowed:
            core.write(StopsNarrowed, at, stops=narrowed)
        effects += core.intend(at, passed)
    for state in list(core.slices.open()):
        if slicer.is_over(state, at):
            core.write(SliceStopped, at, order_id=state.parent.id, text="its last instant has passed")
    return effects
