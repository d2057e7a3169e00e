"""Bars on which an account on disk has nothing open, held or to decide: taken in together, journalled as by steps.

A replay of minute bars consists of them. Market, venue and risk state are moved along once; the journal gets both
entries of every bar (the place in the stream, and an empty mark), so that its bytes are those of single steps. All that
wants more is left to them: an order, a position, a breaker that lets go, the turn of a day, books of single strategies.
``quiet`` does the same, and more, for backtests that are not audited.
"""

from __future__ import annotations

from bisect import bisect_right

from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.simulated import SimulatedLink

__all__ = ["QuietAccount"]


class QuietAccount:
    """Takes a core and its simulated venue through quiet bars.

    Parameters
    ----------
    core, link : on one market; the core's journal must be written to its end
    """

    def __init__(self, core: TradingCore, link: SimulatedLink) -> None:
        self._core, self._link, self._market = core, link, link.market
        self._ends: list[int] = link.market.bars.end.tolist()

    def pass_through(self, first: int, last: int) -> int:
        """Take in the bars ``first <= t < last``, none of them decided, as far as they are quiet; return how many."""
        core, market = self._core, self._market
        if core.books.is_invested or market.is_foreign or self._link.is_waiting or market.position + 1 != first:
            return 0
        if not core.is_still(first, self._ends[first]) or core.books.equity() <= 0:
            return 0
        last = bisect_right(self._ends, core.quiet_until(), first, last)
        if last <= first:
            return 0
        core.take_quiet(first, self._ends[first:last])
        market.advance_through(last - 1)
        self._link.pass_over(self._ends[last - 1])
        return last - first
