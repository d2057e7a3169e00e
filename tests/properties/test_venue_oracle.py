"""The compiled step against the naive matcher: 2,000 random scenarios with all kinds of orders, equal tick for tick.

Half of the bars carry price limits, halts or a volume cap; orders come with parents, groups, latency, every time in
force. Besides fills and endings, positions, attached levels and what is open are compared after every bar. In the
middle of every second scenario the venue is written down and read again.
"""

import json
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import OrderRejectedError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.testing.naive_matcher import NaiveBar, NaiveMatcher, NaiveRules, Ticket

D = Decimal
SLIP = 0.013
VOLATILITY, DAILY = 0.02, 50.0
INSTRUMENTS = tuple(
    Instrument(instrument_id(f"sim.X.I{k}"), f"I{k}", AssetClass.STOCK, tick=D(1), lot=D(1)) for k in range(2)
)
INDEX = {one.id: k for k, one in enumerate(INSTRUMENTS)}
FORCES = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK)
SESSION = 5


class Scenario:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        r = self.random
        self.share = 0.5 if r.random() < 0.4 else None
        self.settings = VenueSettings(
            good_for_bars=int(r.integers(0, 4)),
            volume_share=self.share,
            allow_short=bool(r.integers(2)),
            latency_ns=int(r.integers(0, 2)),
            latency_bars=int(r.integers(0, 2)) if r.random() < 0.3 else 0,
        )
        impact = "square_root" if r.random() < 0.3 else "none"
        costs = CostSettings(AssetClass.STOCK, slippage_fraction=D(str(SLIP)), impact=impact)
        self.costs = CostModel(costs)
        self.venue = SimulatedVenue(INSTRUMENTS, self.costs, self.settings)
        borrow = int(r.integers(0, 30)) if r.random() < 0.3 else None
        rules = NaiveRules(
            self.settings.allow_short, borrow, SLIP, VOLATILITY if impact == "square_root" else 0.0, DAILY
        )
        self.naive = [NaiveMatcher(rules) for _ in INSTRUMENTS]
        for one in INSTRUMENTS:
            self.venue.lend(one.id, None if borrow is None else D(borrow))
        self.number = self.rejected = 0

    def chance(self, share):
        return self.random.random() < share

    def order(self, now, price):
        """Return a random order near a price, with a parent or a group now and then."""
        r = self.random
        self.number += 1
        k = int(r.integers(len(INSTRUMENTS)))
        kind = list(OrderKind)[r.integers(len(OrderKind))]
        side = Side.BUY if r.integers(2) else Side.SELL
        sign = 1 if side is Side.BUY else -1
        force = FORCES[r.integers(len(FORCES))]
        if force in (TimeInForce.IOC, TimeInForce.FOK) and kind not in (OrderKind.MARKET, OrderKind.LIMIT):
            force = TimeInForce.GTC
        limit, trigger = (max(8, price + int(r.integers(-12, 13))) for _ in range(2))
        waits = {OrderKind.LIMIT: limit, OrderKind.STOP: trigger, OrderKind.STOP_LIMIT: limit}
        first = trigger if kind is OrderKind.TRAILING and self.chance(0.5) else None
        base = waits.get(kind, first or price)
        reason = FillReason.EXIT if self.chance(0.3) else FillReason.ENTRY
        has_trigger = kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
        parents = [one for one in self.naive[k].tickets if not one.parent]
        parent = parents[r.integers(len(parents))].name if parents and self.chance(0.4) else None
        return Order(
            OrderId(f"{self.number:032x}"),
            INSTRUMENTS[k].id,
            side,
            D(int(r.integers(1, 20))),
            kind,
            now,
            reason,
            limit_price=D(limit) if kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT) else None,
            stop_price=D(max(1, base - sign * int(r.integers(1, 12)))) if self.chance(0.4) else None,
            target_price=D(max(1, base + sign * int(r.integers(1, 12)))) if self.chance(0.4) else None,
            trigger_price=D(trigger) if has_trigger else None if first is None else D(first),
            trail=D(int(r.integers(1, 10))) if kind is OrderKind.TRAILING else None,
            time_in_force=force,
            expires_at=now + int(r.integers(1, 8)) if force is TimeInForce.GTD else 0,
            reduce_only=parent is not None and self.chance(0.8),
            parent=None if parent is None else OrderId(parent),
            group=f"{k}{'ab'[r.integers(2)]}" if self.chance(0.3) else "",
        )

    def send(self, order):
        """Give an order to both, unless the venue refuses it."""
        try:
            self.venue.submit(order)
        except OrderRejectedError:
            self.rejected += 1
            return
        naive = self.naive[INDEX[order.instrument]]
        life = self.settings.good_for_bars
        bounded = order.time_in_force is TimeInForce.GTC and order.parent is None
        filled = next((one.filled for one in naive.tickets if one.name == order.parent), 0)
        lots = int(order.quantity)
        limited = order.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
        level = order.limit_price if limited else order.trigger_price
        naive.tickets.append(
            Ticket(
                order.id,
                order.side is Side.BUY,
                order.kind.value,
                lots,
                int(level or 0),
                int(order.trigger_price or 0) if order.kind is OrderKind.STOP_LIMIT else 0,
                int(order.trail or 0),
                life=life if bounded else 0,
                force=order.time_in_force.value,
                expires=order.expires_at,
                active=order.decided_at + self.settings.latency_ns,
                wait=self.settings.latency_bars,
                stop=int(order.stop_price or 0),
                target=int(order.target_price or 0),
                reduces=order.reduce_only or order.reason is FillReason.EXIT,
                parent=order.parent or "",
                asleep=max(0, lots - filled) if order.parent else 0,
                group=order.group,
            )
        )

    def bar(self, t, price):
        """Match one random bar in both and compare everything."""
        r, n = self.random, len(INSTRUMENTS)
        open_ = np.maximum(5, price + r.integers(-8, 9, size=n))
        high = np.maximum(open_, price) + r.integers(0, 8, size=n)
        low = np.maximum(2, np.minimum(open_, price) - r.integers(0, 8, size=n))
        volume = r.integers(0, 60, size=n)
        present, halted = r.random(n) < 0.9, r.random(n) < 0.1
        up = np.where(r.random(n) < 0.3, high - r.integers(0, 4, size=n), 0)
        down = np.where(r.random(n) < 0.3, low + r.integers(0, 4, size=n), 0)
        session = (t // SESSION + 1) * SESSION
        bar = VenueBar(
            t,
            t + 1,
            *(column.astype(float) for column in (open_, high, low, price, volume)),
            present,
            start=t,
            halted=halted,
            limit_up=np.where(up > 0, up, np.nan),
            limit_down=np.where(down > 0, down, np.nan),
            average_volume=np.full(n, DAILY),
            volatility=np.full(n, VOLATILITY),
            session_end=session,
        )
        fills = self.venue.step(bar)
        for k, one in enumerate(self.naive):
            room = None if self.share is None else int(volume[k]) // 2
            trades = bool(present[k] and not halted[k])
            prices = [int(column[k]) for column in (open_, high, low)]
            one.bar(NaiveBar(*prices, t, t + 1, session, trades, room, int(up[k]), int(down[k])))
        return fills

    def compare(self, fills, where):
        wanted = [(fill[0], k, *fill[1:]) for k, one in enumerate(self.naive) for fill in one.fills]
        wanted.sort(key=lambda fill: fill[0])
        assert [seen(fill) for fill in fills] == [fill[1:] for fill in wanted], where
        ended = [(e.outcome, e.order_id, e.quantity_lots) for e in self.venue.take_events()]
        assert sorted(ended) == sorted(e for one in self.naive for e in one.ended), where
        for k, one in enumerate(self.naive):
            assert self.venue.position(INSTRUMENTS[k].id) == one.held, where
            levels = tuple(int(level or 0) for level in self.venue.levels(INSTRUMENTS[k].id))
            assert levels == (one.stop, one.target), where
            open_lots = sum(ticket.left if ticket.buy else -ticket.left for ticket in one.tickets)
            assert self.venue.open_quantity(INSTRUMENTS[k].id) == open_lots, where


def seen(fill):
    name = fill.reason.value if fill.reason in (FillReason.STOP, FillReason.TARGET) else fill.order_id
    return (
        INDEX[fill.instrument],
        name,
        fill.side is Side.BUY,
        int(fill.quantity),
        int(fill.price),
        int(fill.reference_price),
    )


def run_scenario(seed, bars=12):
    """Run one scenario; return how many fills and refusals there were."""
    one = Scenario(seed)
    price = one.random.integers(60, 140, size=len(INSTRUMENTS))
    filled = 0
    for t in range(bars):
        for _ in range(one.random.integers(0, 5)):
            one.send(one.order(t, 100))
        if t == bars // 2 and seed % 2:
            state = json.loads(json.dumps(one.venue.snapshot()))
            one.venue = SimulatedVenue(INSTRUMENTS, one.costs, one.settings)
            one.venue.restore(state)
            assert one.venue.snapshot() == state
        price = np.maximum(20, price + one.random.integers(-6, 7, size=len(INSTRUMENTS)))
        price = (price + (100 - price) // 8).astype(np.int64)
        fills = one.bar(t, price)
        one.compare(fills, f"seed {seed}, bar {t}")
        filled += len(fills)
    return filled, one.rejected, one.number


@pytest.mark.parametrize("block", range(10))
def test_compiled_step_equals_the_naive_matcher(block):
    found = np.array([run_scenario(1000 * block + k) for k in range(200)])
    filled, rejected, orders = found.sum(axis=0)
    assert filled > 1000
    assert rejected < orders / 2
