"""Major news and currencies (EXIT-09): all pairs that are held are closed half an hour before.

The fact ``news`` (of all pairs, or of one) is told then, or when the news became known, if that was later; its value is
the instant of the news, in seconds since 1970. Openings are refused by ``risk.rules.news`` until it has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foresail.domain.events import Fact
from foresail.domain.instruments import AssetClass
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.portfolio.exits import must_leave_for_news

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["leave_for_news"]

_SECOND = 10**9


def leave_for_news(core: TradingCore, event: Fact) -> list[CoreEffect]:
    """Journal the orders that close what is held of the pairs that news is about, where it is near; return them."""
    at = event.available_at  # half an hour before to the nanosecond counts as less
    if not (event.value > 0.0 and must_leave_for_news(at + 1, [round(event.value) * _SECOND])):
        return []
    effects: list[CoreEffect] = []
    for position in core.books.positions():
        name = position.instrument
        is_meant = event.instrument in (None, name)
        if is_meant and core.parts.instruments[name].asset_class is AssetClass.FOREX:
            effects += send_closing(core, at, close_orders(core, at, "news", only=name))
    return effects
