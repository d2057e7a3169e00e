"""A risk view with everything that rules may ask, for the tests of this folder."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal as D

from foresail.core.ids import OrderId
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import Deposited, Marked
from foresail.risk.accounts import edited
from foresail.risk.catalogue import trading_rules
from foresail.risk.gate import RiskGate
from foresail.risk.state import RiskState

A, B = "stock.US.A", "stock.US.B"
BTC, ALT = "crypto.X.BTC-USD", "crypto.X.SOL-USD"
EUR, GBP = "fx.EUR-USD", "fx.EUR-GBP"
CLASSES = {"stock": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "fx": AssetClass.FOREX}
KNOWN = {
    n: Instrument(n, n, CLASSES[n.partition(".")[0]], sector=n, lot=D(1) if n.startswith("stock") else D("0.001"))
    for n in (A, B, BTC, ALT, EUR, GBP)
}
DAY = 86_400 * 10**9
NOON = 1_704_196_800 * 10**9  # Tuesday 2 January 2024, 12:00 UTC


@dataclasses.dataclass
class World:
    account: Account
    state: object
    now: int = NOON
    prices: dict = dataclasses.field(default_factory=dict)
    facts: dict = dataclasses.field(default_factory=dict)
    orders: list = dataclasses.field(default_factory=list)
    blocks: dict = dataclasses.field(default_factory=dict)
    spreads: dict = dataclasses.field(default_factory=dict)
    volumes: dict = dataclasses.field(default_factory=dict)
    returns: dict = dataclasses.field(default_factory=dict)
    stops: dict = dataclasses.field(default_factory=dict)
    entries: dict = dataclasses.field(default_factory=dict)
    age: int = 0

    def stop(self, instrument):
        return self.stops.get(instrument, math.nan)

    def entry(self, instrument):
        return self.entries.get(instrument, math.nan)

    def price(self, instrument):
        return self.prices.get(instrument, 100.0)

    def sector(self, instrument):
        return instrument

    def price_age(self, instrument):
        return self.age

    def open_orders(self):
        return self.orders

    def reserved(self, instrument):
        return (D(0), D(0))

    def blocked(self, instrument):
        return self.blocks.get(instrument, "")

    def fact(self, name):
        return self.facts.get(name, math.nan)

    def spread(self, instrument):
        return self.spreads.get(instrument, math.nan)

    def average_volume(self, instrument):
        return self.volumes.get(instrument, math.nan)

    def daily_returns(self, instruments):
        import numpy as np

        if not self.returns:
            return None
        return np.array([self.returns[name] for name in instruments])

    def largest_moves(self, instruments, days):
        import numpy as np

        returns = self.daily_returns(instruments)
        return None if returns is None or returns.shape[1] < days else np.nanmax(np.abs(returns), axis=1)


def funded(equity="100000", limits=None, at=NOON - DAY):
    state = RiskState(limits)
    state.apply(Deposited(at, 0, D(equity)))
    state.apply(Marked(at, 1, ()), D(equity))
    return state


def world(held=None, cash="100000", state=None, **changes):
    positions = tuple(Position(n, D(str(q)), D(100), 0) for n, q in (held or {}).items())
    value = sum((p.quantity * 100 for p in positions), D(0))
    account = Account("a", "USD", D(cash), D(cash) + value, positions, 0)
    return World(account, funded() if state is None else state, **changes)


def order(name=A, quantity="10", side=Side.BUY, number=0, **changes):
    kind = OrderKind.LIMIT if "limit_price" in changes else OrderKind.MARKET
    made = Order(OrderId(f"{number:032d}"), name, side, D(quantity), kind, NOON)
    return dataclasses.replace(made, **changes)


def review(orders, seen, **values):
    limits = edited(TradingLimits(), values and {k.replace("__", "."): v for k, v in values.items()})
    gate = RiskGate((), KNOWN, trading=trading_rules(limits), flow=limits.flow)
    return [(o.quantity, [r.rule for r in rulings]) for o, rulings in gate.review(orders, seen)]
