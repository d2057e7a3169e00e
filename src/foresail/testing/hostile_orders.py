"""Hostile orders by seed: every field may hold what no order should, and the account may be broken too.

``review_hostile`` has them reviewed and notes what must never happen: an order that leaves with a number that is none,
with more than was asked for, above the limit of one position, or an exit beyond what is held. The unit suite and the
soak use it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.seeds import generator
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import PositionLimits, TradingLimits
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import Deposited, Marked
from foresail.risk.catalogue import default_rules, trading_rules
from foresail.risk.gate import RiskGate
from foresail.risk.state import RiskState

__all__ = ["HostileTally", "HostileWorld", "hostile_orders", "review_hostile"]

_NOON = 1_704_196_800 * 10**9
_LIMITS = PositionLimits(0.01, 0.15, 0.20, 0.60, 0.10, shorting=False, stop_distance=0.02)
_NAMES = tuple(InstrumentId(f"stock.US.H{i}") for i in range(4))
_UNKNOWN = InstrumentId("stock.US.GHOST")
_NUMBERS: tuple[Any, ...] = (
    *(Decimal(text) for text in ("NaN", "sNaN", "Infinity", "-Infinity", "-0", "0", "1E+308", "-1E+308", "1E-308")),
    *(Decimal(text) for text in ("1", "50", "90", "95", "99.5", "100", "105", "1000", "0.3", "-5", "1E+17")),
    *(None, math.nan, math.inf, 5, "5", -0.0, b"5"),
)
_PRICES = (100.0, 100.0, 100.0, 100.0, math.nan, math.inf, -math.inf, 0.0, -1.0, 1e308, -0.0)
_FACTS = (math.nan, 0.0, math.inf, -math.inf, 20.0, 30.0, 1e308)


@dataclass(slots=True)
class HostileWorld:
    """A view (``protocols.TradingRiskView``) whose prices and facts are as hostile as its orders."""

    account: Account
    state: Any
    now: int
    prices: dict[InstrumentId, float]
    facts: dict[str, float]
    orders: list[tuple[Order, Decimal]] = field(default_factory=list)

    def price(self, instrument: InstrumentId) -> float:
        """Return the price, whatever it is."""
        return self.prices.get(instrument, 100.0)

    def sector(self, instrument: InstrumentId) -> str:
        """Return the name itself."""
        return instrument

    def price_age(self, instrument: InstrumentId) -> int:
        """Return 0: prices are hostile enough."""
        return 0

    def open_orders(self) -> Sequence[tuple[Order, Decimal]]:
        """Return open orders."""
        return self.orders

    def reserved(self, instrument: InstrumentId) -> tuple[Decimal, Decimal]:
        """Return nothing: ``open_orders`` tells."""
        return Decimal(0), Decimal(0)

    def blocked(self, instrument: InstrumentId) -> str:
        """Return nothing."""
        return ""

    def fact(self, name: str) -> float:
        """Return a fact, whatever it is."""
        return self.facts.get(name, math.nan)

    def spread(self, instrument: InstrumentId) -> float:
        """Return the fact of that name."""
        return self.fact("spread")

    def average_volume(self, instrument: InstrumentId) -> float:
        """Return the fact of that name."""
        return self.fact("volume")

    def daily_returns(self, instruments: Sequence[InstrumentId]) -> FloatArray | None:
        """Return no history."""
        return None

    def largest_moves(self, instruments: Sequence[InstrumentId], days: int) -> FloatArray | None:
        """Return no history."""
        return None


@dataclass(slots=True)
class HostileTally:
    """What became of the orders; ``broken`` lists what must never happen."""

    orders: int = 0
    passed: int = 0
    refused: int = 0
    broken: list[str] = field(default_factory=list)


def hostile_orders(rng: np.random.Generator, count: int) -> list[Order]:
    """Return orders of which most hold at least one value that no order may hold."""
    picks = rng.integers(0, 2**31 - 1, size=(count, 10)).tolist()
    kinds, sides = tuple(OrderKind), tuple(Side)
    made = []
    for i, (a, b, c, d, e, f, g, h, k, m) in enumerate(picks):
        is_tame = m % 4 == 0
        made.append(
            Order(
                OrderId(f"{i:032x}"),
                _UNKNOWN if a % 9 == 0 else _NAMES[a % len(_NAMES)],
                sides[b % 2],
                Decimal(c % 200 + 1) if is_tame else _NUMBERS[c % len(_NUMBERS)],
                OrderKind.MARKET if is_tame else kinds[d % len(kinds)],
                _NOON,
                limit_price=None if is_tame or e % 2 else _NUMBERS[e % len(_NUMBERS)],
                stop_price=None if is_tame or f % 2 else _NUMBERS[f % len(_NUMBERS)],
                trigger_price=None if is_tame or g % 2 else _NUMBERS[g % len(_NUMBERS)],
                trail=None if is_tame or h % 2 else _NUMBERS[h % len(_NUMBERS)],
                reduce_only=k % 5 == 0,
                parent=OrderId(f"{k % count:032x}") if k % 7 == 0 else None,
                group="g" if k % 11 == 0 else "",
            )
        )
    return made


def review_hostile(seed: int, count: int, *, batch: int = 50) -> HostileTally:
    """Review hostile orders in batches and tally what left.

    Parameters
    ----------
    count : orders in all
    batch : orders of one review
    """
    rng = generator(seed, "hostile orders")
    known = {name: Instrument(name, name, AssetClass.STOCK, sector=name) for name in _NAMES}
    limits = TradingLimits()
    gate = RiskGate(default_rules(_LIMITS), known, trading=trading_rules(limits), flow=limits.flow)
    state, tally = RiskState(limits), HostileTally()
    state.apply(Deposited(_NOON - 1, 0, Decimal(100_000)))
    state.apply(Marked(_NOON - 1, 1, ()), Decimal(100_000))
    while tally.orders < count:
        world = _world(rng, state)
        orders = hostile_orders(rng, min(batch, count - tally.orders))
        reviewed = gate.review(orders, world)
        for before, (after, rulings) in zip(orders, reviewed, strict=True):
            tally.orders += 1
            _judge(before, after.quantity, rulings, tally)
        _judge_book(world, reviewed, tally)
    return tally


def _world(rng: np.random.Generator, state: RiskState) -> HostileWorld:
    held = {name: Decimal(int(rng.integers(1, 120))) for name in _NAMES if rng.random() < 0.5}
    positions = tuple(Position(name, units, Decimal(100), 0) for name, units in held.items())
    equity = Decimal(60_000) + sum(held.values(), Decimal(0)) * 100
    if rng.random() < 0.1:
        equity = Decimal(("NaN", "0", "-5", "Infinity")[int(rng.integers(0, 4))])
    account = Account("hostile", "USD", Decimal(60_000), equity, positions, 0)
    prices = {name: _PRICES[int(rng.integers(0, len(_PRICES)))] for name in _NAMES}
    names = ("vix", "spread", "volume", "clock_offset_ms", "portfolio_volatility", "data_link_silence_s")
    facts = {name: _FACTS[int(rng.integers(0, len(_FACTS)))] for name in names if rng.random() < 0.3}
    return HostileWorld(account, state, _NOON, prices, facts)


def _judge(before: Order, quantity: Decimal, rulings: Sequence[Any], tally: HostileTally) -> None:
    """Note an order that left though it is none."""
    if not (isinstance(quantity, Decimal) and quantity.is_finite() and quantity >= 0):
        tally.broken.append(f"{before} left with {quantity!r}")
        return
    if quantity == 0:
        tally.refused += 1
        return
    tally.passed += 1
    asked: object = before.quantity
    if not (isinstance(asked, Decimal) and asked.is_finite() and quantity <= asked):
        tally.broken.append(f"{before} left with {quantity} of {asked!r}")
    elif quantity < asked and not rulings:
        tally.broken.append(f"{before} was cut to {quantity} without a ruling")
    for name in ("limit_price", "stop_price", "target_price", "trigger_price", "trail"):
        level: object = getattr(before, name)
        if level is not None and not (isinstance(level, Decimal) and level.is_finite() and level > 0):
            tally.broken.append(f"{before} left with {name} {level!r}")


def _judge_book(world: HostileWorld, reviewed: Sequence[tuple[Order, Any]], tally: HostileTally) -> None:
    """Note what no batch may do: sell more than is held, or grow a position beyond its cap."""
    held = {p.instrument: p.quantity for p in world.account.positions}
    after = dict(held)
    sold: dict[InstrumentId, Decimal] = {}
    grouped: dict[InstrumentId, Decimal] = {}  # of a group one exit fills: they close once
    for order, _ in reviewed:
        if order.side is Side.BUY:
            after[order.instrument] = after.get(order.instrument, Decimal(0)) + order.quantity
        elif order.group:
            grouped[order.instrument] = max(order.quantity, grouped.get(order.instrument, Decimal(0)))
        else:
            sold[order.instrument] = sold.get(order.instrument, Decimal(0)) + order.quantity
    equity = world.account.equity
    for name, units in after.items():
        if units <= held.get(name, Decimal(0)):
            continue
        closed = sold.get(name, Decimal(0)) + grouped.get(name, Decimal(0))
        value = float(units - closed) * world.price(name)
        if not (equity.is_finite() and value <= 0.15 * float(equity) * (1.0 + 1e-6)):
            tally.broken.append(f"{name} grew to {value:g} of {equity}")
    for name, units in sold.items():
        if units > after.get(name, Decimal(0)):
            tally.broken.append(f"{name}: {units} sold of {after.get(name, 0)}")
