"""A naive matcher for one instrument, the oracle of the compiled venue step: plain objects, one order at a time.

It is written from the rules in the docstring of ``execution.simulated.matching``, not from its code, and is made to be
read. Prices are whole ticks, quantities whole lots. Nothing in it is fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["NaiveBar", "NaiveMatcher", "NaiveRules", "Ticket"]


@dataclass
class Ticket:
    """One order.

    Attributes
    ----------
    kind : market, limit, stop, stop_limit or trailing
    level : limit, or level of a stop or trailing order; 0 = none yet
    asleep, fresh : lots that wait for the parent, lots woken in this part of the bar
    """

    name: str
    buy: bool
    kind: str
    left: int
    level: int = 0
    trigger: int = 0
    trail: int = 0
    best: int = 0
    life: int = 0
    force: str = "gtc"
    expires: int = 0
    active: int = 0
    wait: int = 0
    stop: int = 0
    target: int = 0
    reduces: bool = False
    parent: str = ""
    asleep: int = 0
    group: str = ""
    fresh: int = 0
    filled: int = 0

    def follow(self, price: int) -> None:
        """Let the level of a trailing order follow a price, never away from the market."""
        if self.buy:
            self.best = min(self.best or price, price)
            level = self.best + self.trail
            self.level = min(self.level or level, level)
        else:
            self.best = max(self.best, price)
            self.level = max(self.level, self.best - self.trail, 1)


@dataclass(frozen=True)
class NaiveBar:
    """One bar; ``room`` is the volume that may be traded, None = unlimited; ``up`` and ``down`` are 0 for none."""

    open: int
    high: int
    low: int
    start: int
    end: int
    session: int
    trades: bool = True
    room: int | None = None
    up: int = 0
    down: int = 0


@dataclass(frozen=True)
class NaiveRules:
    """What the venue does besides: short positions, lots that can be borrowed, slippage and square-root impact."""

    allow_short: bool = False
    borrow: int | None = None
    slip: float = 0.0
    volatility: float = 0.0
    daily_lots: float = 1.0


class NaiveMatcher:
    """Matches the orders of one instrument.

    Attributes
    ----------
    fills : of the last bar, (step, name, buy, lots, price, reference)
    ended : of the last bar, (outcome, name, lots)
    """

    def __init__(self, rules: NaiveRules) -> None:
        self.rules = rules
        self.held = self.stop = self.target = 0
        self.leaving = False
        self.tickets: list[Ticket] = []
        self.fills: list[tuple[int, str, bool, int, int, int]] = []
        self.ended: list[tuple[str, str, int]] = []
        self._room: int | None = None

    def bar(self, bar: NaiveBar) -> None:
        """Match one bar."""
        self._room = bar.room
        self.fills, self.ended = [], []
        self._expire(bar)
        if bar.trades:
            self._opening_orders(bar, buy=False)
            self._opening_orders(bar, buy=True)
        for one in self.tickets:
            if one.force in ("ioc", "fok") and self._due(one, bar) and one.left > one.asleep:
                self._drop(one, "cancelled")
        if bar.trades:
            self._opening_exit(bar)
        for one in self.tickets:
            one.fresh = 0
        if bar.trades:
            self._within(bar)
        self._close(bar)

    def _expire(self, bar: NaiveBar) -> None:
        """Give day orders their end, and let those go whose end has come."""
        for one in self.tickets:
            if self._due(one, bar):
                if one.force == "day" and not one.expires:
                    one.expires = bar.session
                if one.expires and bar.start >= one.expires:
                    self._drop(one, "expired")

    def _due(self, one: Ticket, bar: NaiveBar) -> bool:
        return one.left > 0 and one.wait == 0 and bar.start >= one.active

    def _lots(self, one: Ticket, step: int) -> int:
        late = one.fresh if step < 2 or one.kind == "limit" else 0
        return one.left - one.asleep - late

    # -- what a fill does ---------------------------------------------------------------------------------------------

    def _price(self, bar: NaiveBar, buy: bool, lots: int, reference: int, bound: int) -> int:  # noqa: FBT001
        slip = self.rules.slip
        if self.rules.volatility:
            slip = slip + self.rules.volatility * math.sqrt(lots / self.rules.daily_lots)
        lost = round(reference * slip)
        if buy:
            tops = [reference + lost] + [level for level in (bound, bar.up) if level]
            return max(1, min(tops))
        price = max(1, reference - lost)
        return max([price] + [level for level in (bound, bar.down) if level])

    def _closed_to(self, bar: NaiveBar, buy: bool, reference: int) -> bool:  # noqa: FBT001
        return bool(bar.up and reference >= bar.up) if buy else bool(bar.down and reference <= bar.down)

    def _change(self, lots: int, buy: bool) -> int:  # noqa: FBT001
        before, self.held = self.held, self.held + (lots if buy else -lots)
        if self._room is not None:
            self._room -= lots
        if self.held == 0 or before * self.held < 0:
            self.stop = self.target = 0
            self.leaving = False
        return before

    def _take(
        self, step: int, one: Ticket, bar: NaiveBar, reference: int, bound: int = 0, *, rested: bool = False
    ) -> None:
        """Fill an order at a reference price as far as holding and volume permit."""
        if one.kind in ("stop", "trailing"):
            one.kind = "market"
        if not rested and self._closed_to(bar, one.buy, reference):
            return
        wanted = self._lots(one, step)
        may = self._permitted(one, wanted)
        lots = may if self._room is None else min(may, self._room)
        if one.force == "fok":
            lots = lots if lots == one.left else 0
        if lots:
            price = reference if rested else self._price(bar, one.buy, lots, reference, bound)
            self.fills.append((step, one.name, one.buy, lots, price, reference))
            before = self._change(lots, one.buy)
            if self.held:
                self.leaving = self.leaving and not one.stop
                self.stop, self.target = one.stop or self.stop, one.target or self.target
            one.left -= lots
            one.filled += lots
            one.fresh = min(one.fresh, one.left - one.asleep)
            self._wake(one, lots, price)
            self._shrink_group(one, lots)
            if before and before * self.held <= 0:
                self._end_family(one)
        if may < wanted and lots == may and one.force != "fok":
            self._drop(one, "cancelled")

    def _permitted(self, one: Ticket, lots: int) -> int:
        """Return how many lots the holding and the lender permit."""
        if one.reduces:
            return min(lots, max(0, -self.held if one.buy else self.held))
        if one.buy:
            return lots
        if not self.rules.allow_short:
            return min(lots, max(0, self.held))
        return lots if self.rules.borrow is None else min(lots, max(0, self.held + self.rules.borrow))

    def _wake(self, parent: Ticket, lots: int, price: int) -> None:
        for child in self.tickets:
            if child.parent == parent.name and child.left and child.asleep:
                woken = min(lots, child.asleep)
                child.asleep -= woken
                child.fresh += woken
                if child.kind == "trailing" and not child.best:
                    child.follow(price)

    def _shrink_group(self, filled: Ticket, lots: int) -> None:
        """Shrink reducing orders of a group to what is left to close; any other order of it goes as a whole."""
        if not filled.group:
            return
        members = [one for one in self.tickets if one.group == filled.group]
        sizes = [one.left for one in members if one.reduces and one is not filled]
        to_close = max([filled.left + lots, *sizes]) - lots
        for other in members:
            if other is filled or not other.left:
                continue
            if filled.reduces and other.reduces and to_close > 0:
                other.left = min(other.left, to_close)
                other.asleep = min(other.asleep, other.left)
                other.fresh = min(other.fresh, other.left - other.asleep)
            else:
                self._drop(other, "cancelled")

    def _end_family(self, closing: Ticket) -> None:
        for other in self.tickets:
            if other is closing or not other.left:
                continue
            family = closing.parent and closing.parent in (other.name, other.parent)
            stale = other.parent and other.reduces and other.left > other.asleep
            if family or stale:
                self._drop(other, "cancelled")

    def _drop(self, one: Ticket, why: str) -> None:
        if one.left:
            self.ended.append((why, one.name, one.left))
        one.left = one.asleep = one.fresh = 0

    def _leave(self, step: int, why: str, bar: NaiveBar, reference: int, *, bound: int = 0, lots: int = 0) -> None:
        """Leave by the attached stop or target, by default with everything."""
        buy = self.held < 0
        lots = lots or abs(self.held)
        rested = why == "target" and step == 5
        if why == "stop":
            self.leaving = True
        if not rested and self._closed_to(bar, buy, reference):
            return
        lots = lots if self._room is None else min(lots, self._room)
        if not lots:
            return
        price = reference if rested else self._price(bar, buy, lots, reference, bound)
        self.fills.append((step, why, buy, lots, price, reference))
        self._change(lots, buy)
        if self.held == 0:
            for one in self.tickets:
                asleep = one.parent and one.asleep == one.left
                if one.left and (one.buy == buy or one.filled) and not asleep:
                    self._drop(one, "cancelled")

    # -- the walk through a bar ---------------------------------------------------------------------------------------

    def _opening_orders(self, bar: NaiveBar, *, buy: bool) -> None:
        for one in self.tickets:
            if one.buy != buy or not self._due(one, bar) or self._lots(one, 0) <= 0:
                continue
            passed = bar.open >= (one.trigger or one.level) if buy else bar.open <= (one.trigger or one.level)
            if one.kind == "stop_limit" and passed:
                one.kind, one.trigger = "limit", 0
            better = bar.open < one.level if buy else bar.open > one.level
            step = int(buy)
            if one.kind == "market" or (one.kind in ("stop", "trailing") and one.level and passed):
                self._take(step, one, bar, bar.open)
            elif one.kind == "limit" and better:
                self._take(step, one, bar, bar.open, one.level)
            elif one.kind == "trailing":
                one.follow(bar.open)

    def _opening_exit(self, bar: NaiveBar) -> None:
        if not self.held:
            return
        long = self.held > 0
        stopped = self.stop and (bar.open <= self.stop if long else bar.open >= self.stop)
        reached = self.target and (bar.open > self.target if long else bar.open < self.target)
        if self.leaving or stopped:
            self._leave(2, "stop", bar, bar.open)
        elif reached:
            self._leave(2, "target", bar, bar.open, bound=self.target)

    def _resting(self, step: int, one: Ticket, bar: NaiveBar) -> None:
        if self._lots(one, step) <= 0:
            return
        if one.kind == "limit":
            if bar.low < one.level if one.buy else bar.high > one.level:
                self._take(step, one, bar, one.level, rested=True)
            return
        trigger = one.trigger if one.kind == "stop_limit" else one.level
        if trigger <= 0 or not (bar.high >= trigger if one.buy else bar.low <= trigger):
            return
        reference = max(bar.open, trigger) if one.buy else min(bar.open, trigger)
        if one.kind != "stop_limit":
            self._take(step, one, bar, reference)
            return
        one.trigger = -1
        if reference < one.level if one.buy else reference > one.level:
            self._take(step, one, bar, reference, one.level)

    def _may_rest(self, one: Ticket, bar: NaiveBar) -> bool:
        sure = not one.expires or bar.end <= one.expires
        return one.kind != "market" and self._due(one, bar) and sure

    def _stopped(self, step: int, bar: NaiveBar) -> None:
        if not (self.held and self.stop):
            return
        long = self.held > 0
        if bar.low <= self.stop if long else bar.high >= self.stop:
            self._leave(step, "stop", bar, (min if long else max)(bar.open, self.stop))

    def _within(self, bar: NaiveBar) -> None:
        at_open = self.held
        for one in self.tickets:
            enlarges = self.held == 0 or (self.held > 0) == one.buy
            behind = self.held and self.stop and one.kind == "limit"
            behind = behind and (one.level <= self.stop if one.buy else one.level >= self.stop)
            if enlarges and not behind and self._may_rest(one, bar):
                self._resting(3, one, bar)
        self._stopped(4, bar)
        through = bar.high > self.target if self.held > 0 else bar.low < self.target
        if self.target and self.held * at_open > 0 and through:
            self._leave(5, "target", bar, self.target, lots=min(abs(self.held), abs(at_open)))
        for limits in (False, True):
            for one in self.tickets:
                if (one.kind == "limit") == limits and self._may_rest(one, bar):
                    self._resting(6, one, bar)
        self._stopped(7, bar)

    def _learn(self, one: Ticket, bar: NaiveBar) -> None:
        """Let what the bar has shown count for the next one."""
        if one.kind == "stop_limit" and one.trigger < 0:
            one.kind, one.trigger = "limit", 0
        if one.kind == "trailing" and one.best and not one.fresh:
            one.follow(bar.low if one.buy else bar.high)

    def _close(self, bar: NaiveBar) -> None:
        """Let trailing levels follow the bar, orders age and expire, and children forget parents that are gone."""
        for one in self.tickets:
            if self._due(one, bar):
                if bar.trades and self._lots(one, 7) > 0:
                    self._learn(one, bar)
                over = bool(one.expires) and one.expires <= bar.end
                if one.life and one.asleep < one.left:
                    one.life -= 1
                    over = over or one.life == 0
                if over:
                    self._drop(one, "expired")
            one.wait = max(0, one.wait - 1)
            one.fresh = 0
        alive = {one.name for one in self.tickets if one.left}
        for one in self.tickets:
            if one.asleep and one.parent not in alive:
                asleep, one.asleep = one.asleep, 0
                one.left -= asleep
                if not one.left:
                    self.ended.append(("cancelled", one.name, asleep))
        self.tickets = [one for one in self.tickets if one.left]
