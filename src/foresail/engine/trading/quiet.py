"""Bars in which nothing is on order or due: taken in together, with the journal that single steps would write.

A backtest of a strategy that rarely trades consists of them. Its decisions are still asked one by one, each with its
own view. While nothing is held, a bar does nothing to venue, books and risk state but mark them, so the marks are
written and folded in one go; while something is held that costs nothing to hold and has no stop or target, each bar is
marked by itself, past the venue. What wants more ends the stretch and is left to single steps: a decision that asks for
something, an order, a corporate action, a missing bar, an instant at which a breaker lets go or a day turns.
``tests/properties/test_quiet_bars.py`` holds both ways against each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account, Position
from foresail.domain.events import Rank, Timer
from foresail.engine.trading.concluding import conclude
from foresail.engine.trading.core import CoreEffect
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import NO_DECISION, Decision, Desk, DeskCall
from foresail.engine.trading.reductions import is_calm
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink

__all__ = ["QuietBars", "QuietCalls"]

_LONGEST = 4096  # bars in one go: bounds what waits unwritten in memory
_LONGEST_HELD = 256  # of them, while prices are prepared for each


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


@dataclass(slots=True, eq=False)
class _Asked:
    """A desk during a stretch: what it remembers, what it is shown besides prices, and when it decided last."""

    desk: Desk
    every: int
    memory: Any
    seen: tuple[Any, ...]
    decided: int | None


@dataclass(frozen=True, slots=True, eq=False)
class QuietCalls:
    """What the stretches need of their owner.

    Attributes
    ----------
    every : a decision is due at every position that is a multiple of it
    is_free : whether a position costs nothing to hold, at any time
    noted : told of the positions ``first <= t < last`` that were taken in, after each mark of something held
    """

    every: int
    is_free: Callable[[Position], bool]
    noted: Callable[[int, int], None]


class QuietBars:
    """Takes a shell with its core and venue through stretches of quiet bars.

    Parameters
    ----------
    shell : the core's market must be ``market``, which the link reads too
    """

    def __init__(self, shell: Shell, link: SimulatedLink, market: PanelMarket, calls: QuietCalls) -> None:
        self._shell, self._core, self._link, self._market, self._calls = shell, shell.core, link, market, calls
        self._ends, self._available = market.bars.end.tolist(), market.bars.available_at.tolist()

    def pass_through(self, first: int, last: int) -> int:
        """Take in bars ``first <= t < last`` as far as they are quiet; return the first one that was not taken in."""
        core = self._core
        market = self._market
        if market.is_foreign or self._link.is_waiting or market.position + 1 != first:
            return first  # the first bar of a run is a step of its own: what stands before it does not count
        if not core.is_plain(first, self._ends[first]):
            return first
        if core.parts.limits is not None and (core.reductions.active or len(core.books.positions()) > 1):
            return first  # a pair may begin or end with any bar (RISK-11)
        if core.books.is_invested:
            return self._marked(first, self._untroubled(first, min(last, first + _LONGEST_HELD)))
        last = bisect_right(self._ends, core.quiet_until(), first, min(last, first + _LONGEST))
        return self._unmarked(first, last) if last > first and core.books.equity() > 0 else first

    def prices_after(self, position: int) -> Mapping[InstrumentId, float]:
        """Return last prices up to the bars of a position."""
        self._market.advance_through(position)
        return self._market.known(position)

    # -- nothing held -------------------------------------------------------------------------------------------------

    def _unmarked(self, first: int, last: int) -> int:
        """Ask every decision that is due; the first that wants something ends the stretch at its bar."""
        core, every = self._core, self._calls.every
        account, desks = core.books.account(), self._asked_desks()
        reached, wanted = first, None
        try:
            for now in range(first + -first % every, last, every):
                reached = now + 1
                wanted = self._ask(now, account, desks)
                if wanted is not None:
                    break
            else:
                reached = last
        finally:
            self._note(desks)
            self._take(first, reached)
        if wanted is not None:
            self._conclude(*wanted)
        return reached

    def _take(self, first: int, reached: int) -> None:
        """Write and fold the bars ``first <= t < reached``."""
        if reached > first:
            self._core.take_quiet(first, self._ends[first:reached])
            self._follow(first, reached - 1)
            self._calls.noted(first, reached)

    # -- something held -----------------------------------------------------------------------------------------------

    def _untroubled(self, first: int, last: int) -> int:
        """Return up to where what is held has a bar every time and may be held, with nothing hanging on it."""
        held = self._core.books.positions()
        for position in held:
            if self._link.levels(position.instrument) != (None, None) or not self._calls.is_free(position):
                return first
        names = [position.instrument for position in held]
        last = min(last, *(self._link.blocked_from(name) for name in names))
        return first + self._market.seen_through(names, first, max(first, last))

    def _marked(self, first: int, last: int) -> int:
        """Mark what is held bar by bar, and ask every decision that is due."""
        core, market, every = self._core, self._market, self._calls.every
        desks, closes = self._asked_desks(), []
        for position in core.books.positions():
            name = position.instrument
            closes.append((name, market.prints(name, first, last)))
        wanted, now = None, first - 1
        try:
            for now in range(first, last):
                prices = tuple([(name, prints[now - first]) for name, prints in closes])
                effects = core.take_mark(now, self._ends[now], prices)
                self._calls.noted(now, now + 1)
                if effects or (now % every == 0 and not is_calm(core)):
                    return self._protected(first, now, effects, desks)
                if now % every == 0:
                    account = core.books.account()
                    wanted = self._ask(now, account, desks) if account.equity > 0 else None
                    if wanted is not None:
                        break
        finally:
            self._note(desks)
            self._follow(first, now)
        if wanted is not None:
            self._conclude(*wanted)
        return now + 1

    def _protected(self, first: int, now: int, effects: Sequence[CoreEffect], desks: Sequence[_Asked]) -> int:
        """Do what a breaker asks for after a mark, then let the decision of that bar be a step of its own."""
        self._note(desks)
        self._follow(first, now, is_decided=False)
        self._shell.settle(effects)
        if now % self._calls.every == 0:
            self._shell.apply(self._timer(now))
        return now + 1

    # -- shared -------------------------------------------------------------------------------------------------------

    def _asked_desks(self) -> list[_Asked]:
        core = self._core
        factors, halted = core.reductions.pair_factors(), core.latches.halted
        seen = (core.notes.facts, core.orders, core.slices, core.strategies, halted, factors, core.parts.limits)
        desks = [(desk, core.memory_of(desk.id), core.decided_at(desk.id)) for desk in core.parts.desks]
        return [_Asked(desk, desk.every, memory, seen, at) for desk, memory, at in desks]

    def _note(self, desks: Sequence[_Asked]) -> None:
        core = self._core
        for one in desks:
            if one.decided is not None and one.decided > (core.decided_at(one.desk.id) or -1):
                core.note_decisions({one.desk.id: one.decided})

    def _ask(self, now: int, account: Account, desks: Sequence[_Asked]) -> tuple[Desk, DeskCall, Decision] | None:
        """Ask the desks that are due at a position; return the first that wants something, and what."""
        at = self._available[now]
        for one in desks:
            if now % one.every or (one.decided is not None and one.decided >= at):
                continue
            shown = Account(account.id, account.currency, account.cash, account.equity, account.positions, at)
            call = DeskCall(at, now, shown, _Late(self, now), {}, {}, *one.seen)
            decision = one.desk.decide(one.memory, call)
            if decision is not NO_DECISION and decision != NO_DECISION:
                return one.desk, call, decision
            one.decided = at
        return None

    def _conclude(self, desk: Desk, call: DeskCall, decision: Decision) -> None:
        """Journal what a desk wants, let the desks after it decide in a step of their own, and do all of it."""
        effects = conclude(self._core, desk, call, decision)
        self._shell.settle([*effects, *self._core.step(self._timer(call.position))])

    def _timer(self, position: int) -> Timer:
        at, end = self._available[position], self._ends[position]
        return Timer(at, end, Rank.DECISION, sequence=position, name="decision")

    def _follow(self, first: int, now: int, *, is_decided: bool = True) -> None:
        """Move market and venue along with the bars ``first <= t <= now`` that the core has taken in."""
        if now < first:
            return
        self._market.advance_through(now)
        due = now // self._calls.every * self._calls.every
        due = due if is_decided or due < now else due - self._calls.every
        self._link.pass_over(max(self._ends[now], self._available[due] if due >= first else 0))
