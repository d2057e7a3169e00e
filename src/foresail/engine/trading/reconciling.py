"""What a venue says it holds against the books (EXEC-06): a difference stops the instrument, nobody trades it away.

The comparison means something only where nothing is under way: an open or unknown order, an end that does not add up,
or a statement older than the newest fill explain a difference, and the next statement tells more. A statement that is
not a number is no statement, never "nothing is held".
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.events import Fact
from foresail.engine.trading.alerting import tell
from foresail.ledger.entries import TradingHalted

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["DRIFT_RULE", "compare_position"]

DRIFT_RULE = "EXEC-06 drift"


def compare_position(core: TradingCore, event: Fact, name: InstrumentId) -> tuple[CoreEffect, ...]:
    """Halt an instrument of which the venue holds something else than the books, and tell somebody."""
    if not math.isfinite(event.value) or name in core.latches.halted or _is_under_way(core, event, name):
        return ()
    one, held = core.parts.instruments.get(name), core.books.quantity(name)
    there = Decimal(repr(event.value))
    if abs(there - held) * 2 < (Decimal(0) if one is None else one.lot) or there == held:
        return ()
    text = f"the venue holds {there.normalize():f} of {name}, the books {held.normalize():f}"
    core.write(TradingHalted, event.available_at, scope=str(name), rule=DRIFT_RULE, text=text)
    alert = Alert(f"EXEC-06 {name}", Severity.CRITICAL, f"{text}: nothing is opened until somebody resumes it")
    return tuple(tell(core, event.available_at, [alert]))


def _is_under_way(core: TradingCore, event: Fact, name: InstrumentId) -> bool:
    orders = core.orders
    if event.event_time <= core.notes.filled.get(name, -1) or name in orders.blocked():
        return True
    return any(True for _one in orders.open(name)) or any(one.order.instrument == name for one in orders.differing())
