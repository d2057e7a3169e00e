"""Bars through which nothing is held, on order or due: taken in together, with the journal of single steps.

A backtest of a strategy that rarely trades consists of them. Its decisions are still asked one by one, each with its
own view; what a bar does to venue, books and risk state is nothing but a mark, so the marks are written and
folded in one go. The first decision that wants something, a corporate action, an instant at which a breaker lets go or
a day turns ends the stretch, and single steps take over. ``tests/properties/test_quiet_bars.py`` holds both ways
against each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account
from foresail.domain.events import Rank, Timer
from foresail.engine.trading.core import NO_DECISION, CoreEffect, TradingCore
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import Decision, Desk, DeskCall
from foresail.engine.trading.simulated import SimulatedLink

__all__ = ["QuietBars"]

_LONGEST = 4096  # bars in one go: bounds what waits unwritten in memory


class _Late(Mapping[InstrumentId, float]):
    """Last prices, computed when first asked for: a strategy that wants nothing needs none."""

    __slots__ = ("_bars", "_done", "_found")

    def __init__(self, bars: QuietBars, done: int) -> None:
        self._bars, self._done = bars, done
        self._found: Mapping[InstrumentId, float] | None = None

    def _prices(self) -> Mapping[InstrumentId, float]:
        if self._found is None:
            self._found = self._bars.prices_after(self._done)
        return self._found

    def __getitem__(self, name: InstrumentId) -> float:
        return self._prices()[name]

    def __iter__(self) -> Iterator[InstrumentId]:
        return iter(self._prices())

    def __len__(self) -> int:
        return len(self._prices())


class QuietBars:
    """Takes a core and its venue through stretches of quiet bars.

    Parameters
    ----------
    core : its market must be a ``PanelMarket``
    every : a decision is due at every position that is a multiple of it
    """

    def __init__(self, core: TradingCore, link: SimulatedLink, market: PanelMarket, every: int) -> None:
        self._core, self._link, self._market, self.every = core, link, market, every
        self._ends, self._available = market.bars.end.tolist(), market.bars.available_at.tolist()

    def pass_through(self, first: int, last: int) -> tuple[int, list[CoreEffect]]:
        """Take in bars ``first <= t < last`` as far as they are quiet.

        Returns
        -------
        The first position that was not taken in, and what the decision at the one before it wants done. Whatever
        prevented more is left to single steps.
        """
        core = self._core
        until = -1 if self._market.is_foreign or self._link.is_waiting else core.quiet_until()
        last = bisect_right(self._ends, until, first, min(last, first + _LONGEST))
        if last <= first or core.stream_position() + 1 != first or self._ends[first] < core.books.at:
            return first, []
        account = core.books.account()
        return self._decisions(first, last, account) if account.equity > 0 else (first, [])

    def prices_after(self, position: int) -> Mapping[InstrumentId, float]:
        """Return last prices up to the bars of a position."""
        self._market.advance_through(position)
        return self._market.known(position)

    def _decisions(self, first: int, last: int, account: Account) -> tuple[int, list[CoreEffect]]:
        """Ask every decision that is due; the first that wants something ends the stretch at its bar."""
        core, desks, available, every = self._core, self._core.parts.desks, self._available, self.every
        decided = {desk.id: -1 if (at := core.decided_at(desk.id)) is None else at for desk in desks}
        reached = first
        try:
            for now in range(first + -first % every, last, every):
                reached, at = now + 1, available[now]
                for desk in desks:
                    if now % desk.every or decided[desk.id] >= at:
                        continue
                    shown = Account(account.id, account.currency, account.cash, account.equity, (), at)
                    call = DeskCall(at, now, shown, _Late(self, now), {}, {})
                    decision = core.ask_desk(desk, call)
                    if decision != NO_DECISION:
                        break
                    decided[desk.id] = at
                else:
                    continue
                break
            else:
                reached, call = last, None
        finally:
            core.note_decisions(decided)
            self._take(first, reached)
        return reached, [] if call is None else self._conclude(desk, call, decision)

    def _take(self, first: int, reached: int) -> None:
        """Write and fold the bars ``first <= t < reached``."""
        if reached <= first:
            return
        self._core.take_quiet(first, self._ends[first:reached])
        self._market.advance_through(reached - 1)
        due = (reached - 1) // self.every * self.every
        self._link.pass_over(max(self._ends[reached - 1], self._available[due] if due >= first else 0))

    def _conclude(self, desk: Desk, call: DeskCall, decision: Decision) -> list[CoreEffect]:
        """Journal what a desk wants, and let the desks after it decide in a step of their own."""
        effects = self._core.conclude(desk, call, decision)
        end = self._ends[call.position]
        timer = Timer(call.at, end, Rank.DECISION, sequence=call.position, name="decision")
        return [*effects, *self._core.step(timer)]
