"""The compiled step against a naive matcher: 500 random scenarios, every fill and event equal.

The oracle works on one instrument at a time with plain objects and Python integers, and is written from the rules in
the docstring of ``matching``, not from its code.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.venue import SimulatedVenue, VenueBar, VenueSettings

D = Decimal
SLIP = D("0.013")


@dataclass
class Ticket:
    name: str
    buy: bool
    kind: str
    left: int
    level: int
    life: int
    stop: int
    target: int
    exits: bool
    filled: int = 0


class NaiveInstrument:
    def __init__(self, allow_short):
        self.allow_short = allow_short
        self.held = self.stop = self.target = 0
        self.leaving = False
        self.tickets = []
        self.fills = []
        self.events = []

    def worse(self, price, buy):
        lost = round(float(price) * float(SLIP))
        return max(1, price + lost if buy else price - lost)

    def change(self, step, name, buy, lots, price, reference):
        self.fills.append((step, name, buy, lots, price, reference))
        before, self.held = self.held, self.held + (lots if buy else -lots)
        self.room = None if self.room is None else self.room - lots
        if self.held == 0 or ((before > 0) != (self.held > 0) and before != 0):
            self.stop = self.target = 0
            self.leaving = False

    def take(self, step, ticket, price, reference):
        if ticket.kind == "stop":
            ticket.kind = "market"  # triggered once is triggered for good
        may = ticket.left
        if ticket.exits:
            may = min(may, max(0, -self.held if ticket.buy else self.held))
        elif not ticket.buy and not self.allow_short:
            may = min(may, max(0, self.held))
        lots = may if self.room is None else min(may, self.room)
        refused = ticket.left - may
        if lots:
            self.change(step, ticket.name, ticket.buy, lots, price, reference)
            if self.held:
                self.leaving = self.leaving and not ticket.stop
                self.stop = ticket.stop or self.stop
                self.target = ticket.target or self.target
            ticket.left -= lots
            ticket.filled += lots
        if refused and lots == may:
            self.drop(ticket, "cancelled")

    def drop(self, ticket, why):
        self.events.append((why, ticket.name, ticket.left))
        ticket.left = 0

    def leave(self, step, why, lots, price, reference):
        buy = self.held < 0
        self.leaving = self.leaving or why == "stop"
        lots = lots if self.room is None else min(lots, self.room)
        if not lots:
            return
        self.change(step, why, buy, lots, price, reference)
        if self.held == 0:
            for ticket in self.tickets:
                if ticket.left and (ticket.buy == buy or ticket.filled):
                    self.drop(ticket, "cancelled")

    def stopped(self, step, bar):
        if not (self.held and self.stop):
            return
        hit = bar["low"] <= self.stop if self.held > 0 else bar["high"] >= self.stop
        if hit:
            reference = (min if self.held > 0 else max)(bar["open"], self.stop)
            self.leave(step, "stop", abs(self.held), self.worse(reference, self.held < 0), reference)

    def resting(self, step, ticket, bar):
        if ticket.kind == "limit":
            if (bar["low"] < ticket.level) if ticket.buy else (bar["high"] > ticket.level):
                self.take(step, ticket, ticket.level, ticket.level)
        elif (bar["high"] >= ticket.level) if ticket.buy else (bar["low"] <= ticket.level):
            reference = (max if ticket.buy else min)(bar["open"], ticket.level)
            self.take(step, ticket, self.worse(reference, ticket.buy), reference)

    def opening(self, bar):
        opened = bar["open"]
        for step, buy in ((0, False), (1, True)):
            for ticket in self.tickets:
                if not ticket.left or ticket.buy != buy:
                    continue
                price = self.worse(opened, buy)
                if ticket.kind == "limit":
                    if (opened >= ticket.level) if buy else (opened <= ticket.level):
                        continue
                    price = min(price, ticket.level) if buy else max(price, ticket.level)
                elif ticket.kind == "stop" and ((opened < ticket.level) if buy else (opened > ticket.level)):
                    continue
                self.take(step, ticket, price, opened)
        if self.held:
            long = self.held > 0
            price = self.worse(opened, not long)
            if self.leaving or (self.stop and ((opened <= self.stop) if long else (opened >= self.stop))):
                self.leave(2, "stop", abs(self.held), price, opened)
            elif self.target and ((opened > self.target) if long else (opened < self.target)):
                price = max(price, self.target) if long else min(price, self.target)
                self.leave(2, "target", abs(self.held), price, opened)

    def within(self, bar):
        at_open = self.held
        for ticket in self.tickets:
            same_way = self.held == 0 or (self.held > 0) == ticket.buy
            behind_stop = (
                self.held != 0
                and self.stop != 0
                and ticket.kind == "limit"
                and ((ticket.level <= self.stop) if ticket.buy else (ticket.level >= self.stop))
            )
            if ticket.left and ticket.kind != "market" and same_way and not behind_stop:
                self.resting(3, ticket, bar)
        self.stopped(4, bar)
        if self.target and self.held * at_open > 0:
            through = bar["high"] > self.target if self.held > 0 else bar["low"] < self.target
            if through:
                self.leave(5, "target", min(abs(self.held), abs(at_open)), self.target, self.target)
        for kind in ("stop", "limit"):
            for ticket in self.tickets:
                if ticket.left and ticket.kind == kind:
                    self.resting(6, ticket, bar)
        self.stopped(7, bar)

    def bar(self, bar, room):
        self.room = room
        self.fills, self.events = [], []
        if bar is not None:
            self.opening(bar)
            self.within(bar)
        for ticket in self.tickets:
            if ticket.left and ticket.life:
                ticket.life -= 1
                if not ticket.life:
                    self.drop(ticket, "expired")
        self.tickets = [ticket for ticket in self.tickets if ticket.left]


INSTRUMENTS = tuple(
    Instrument(instrument_id(f"sim.X.I{k}"), f"I{k}", AssetClass.STOCK, tick=D(1), lot=D(1)) for k in range(3)
)


def random_order(random, number, price):
    kind = [OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP][random.integers(3)]
    side = [Side.BUY, Side.SELL][random.integers(2)]
    sign = 1 if side is Side.BUY else -1
    level = max(8, price + int(random.integers(-12, 13)))
    base = price if kind is OrderKind.MARKET else level
    stop = max(1, base - sign * int(random.integers(1, 12))) if random.random() < 0.5 else None
    target = max(1, base + sign * int(random.integers(1, 12))) if random.random() < 0.5 else None
    reason = [FillReason.ENTRY, FillReason.ENTRY, FillReason.EXIT][random.integers(3)]
    return Order(
        OrderId(f"{number:032x}"),
        INSTRUMENTS[random.integers(len(INSTRUMENTS))].id,
        side,
        D(int(random.integers(1, 20))),
        kind,
        0,
        reason,
        limit_price=D(level) if kind is OrderKind.LIMIT else None,
        stop_price=D(level) if kind is OrderKind.STOP else None if stop is None else D(stop),
        target_price=None if target is None else D(target),
    )


def ticket_of(order, life):
    stop_order = order.kind is OrderKind.STOP
    level = order.stop_price if stop_order else order.limit_price
    return Ticket(
        order.id,
        order.side is Side.BUY,
        order.kind.value,
        int(order.quantity),
        int(level or 0),
        life,
        0 if stop_order else int(order.stop_price or 0),
        int(order.target_price or 0),
        order.reason is FillReason.EXIT,
    )


def seen(fill, instruments):
    name = fill.reason.value if fill.reason in (FillReason.STOP, FillReason.TARGET) else fill.order_id
    return (
        instruments[fill.instrument],
        name,
        fill.side is Side.BUY,
        int(fill.quantity),
        int(fill.price),
        int(fill.reference_price),
    )


def run_scenario(seed):
    random = np.random.default_rng(seed)
    allow_short, life = bool(random.integers(2)), int(random.integers(0, 4))
    share = 0.5 if random.random() < 0.4 else None
    costs = CostModel(CostSettings(AssetClass.STOCK, slippage_fraction=SLIP))
    settings = VenueSettings(good_for_bars=life, volume_share=share, allow_short=allow_short)
    venue = SimulatedVenue(INSTRUMENTS, costs, settings)
    naive = [NaiveInstrument(allow_short) for _ in INSTRUMENTS]
    index = {one.id: k for k, one in enumerate(INSTRUMENTS)}
    price = random.integers(60, 140, size=3)
    number = filled = 0
    for t in range(30):
        for _ in range(random.integers(0, 4)):
            number += 1
            order = random_order(random, number, 100)
            venue.submit(order)
            naive[index[order.instrument]].tickets.append(ticket_of(order, life))
        price = np.maximum(20, price + random.integers(-6, 7, size=3))
        price = (price + (100 - price) // 8).astype(np.int64)
        open_ = np.maximum(5, price + random.integers(-8, 9, size=3))
        high = np.maximum(open_, price) + random.integers(0, 8, size=3)
        low = np.maximum(2, np.minimum(open_, price) - random.integers(0, 8, size=3))
        volume = random.integers(0, 60, size=3)
        present = random.random(3) < 0.85
        columns = [column.astype(float) for column in (open_, high, low, price, volume)]
        fills = venue.step(VenueBar(t, t + 1, *columns, present))
        for k, one in enumerate(naive):
            bar = {"open": int(open_[k]), "high": int(high[k]), "low": int(low[k])} if present[k] else None
            one.bar(bar, None if share is None else int(volume[k]) // 2)
        wanted = [(fill[0], k, *fill[1:]) for k, one in enumerate(naive) for fill in one.fills]
        wanted.sort(key=lambda fill: fill[0])
        assert [seen(fill, index) for fill in fills] == [fill[1:] for fill in wanted], f"seed {seed}, bar {t}"
        events = [(e.outcome, e.order_id, e.quantity_lots) for e in venue.take_events()]
        assert sorted(events) == sorted(e for one in naive for e in one.events), f"seed {seed}, bar {t}"
        for k, one in enumerate(naive):
            assert venue.position(INSTRUMENTS[k].id) == one.held, f"seed {seed}, bar {t}"
            levels = tuple(int(level or 0) for level in venue.levels(INSTRUMENTS[k].id))
            assert levels == (one.stop, one.target), f"seed {seed}, bar {t}"
        filled += len(fills)
    return filled


@pytest.mark.parametrize("block", range(10))
def test_compiled_step_equals_the_naive_matcher(block):
    filled = sum(run_scenario(1000 * block + k) for k in range(50))
    assert filled > 500
