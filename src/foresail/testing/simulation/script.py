"""What the strategy of a run wants: a function of the seed and the nominal instant, so a restart wants the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from foresail.core.ids import InstrumentId, OrderId, instrument_id, order_id
from foresail.domain.orders import Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.testing.simulation.loop import SECOND

__all__ = ["ACCOUNT", "ENVIRONMENT", "INSTRUMENTS", "STRATEGY", "Wish", "WishKind", "order_of", "wishes"]

ACCOUNT = "main"
ENVIRONMENT = "simulation"
STRATEGY = "script@1"
INSTRUMENTS: tuple[InstrumentId, ...] = (instrument_id("sim.X.AAA"), instrument_id("sim.X.BBB"))
_LIFE = 6 * SECOND
_CENT = Decimal("0.01")


class WishKind(StrEnum):
    """What to do."""

    MARKET = "market"
    LIMIT = "limit"
    CANCEL = "cancel"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish of a decision; ``away`` is how far a limit lies from the last price, cents, against us."""

    kind: WishKind
    instrument: InstrumentId
    side: Side
    quantity: int
    away: int


def wishes(seed: int, decided_at: int) -> tuple[Wish, ...]:
    """Return what is wanted at an instant."""
    found = []
    for instrument in INSTRUMENTS:
        draw = hashlib.sha256(f"{seed} {decided_at} {instrument}".encode()).digest()
        choice = draw[0] % 10
        if choice < 3:
            continue
        kind = (
            WishKind.MARKET if choice < 5 else WishKind.LIMIT if choice < 8 else WishKind.CANCEL if choice < 9
            else WishKind.REPLACE
        )  # fmt: skip
        side = Side.BUY if draw[1] % 2 else Side.SELL
        found.append(Wish(kind, instrument, side, 1 + draw[2] % 9, draw[3] % 30 - 10))
    return tuple(found)


def order_of(wish: Wish, decided_at: int, cents: int) -> Order:
    """Return the order of a wish; its id is that of the decision."""
    name: OrderId = order_id(
        environment=ENVIRONMENT, account=ACCOUNT, strategy="script", version="1", decided_at_ns=decided_at,
        leg=wish.instrument,
    )  # fmt: skip
    if wish.kind is WishKind.MARKET:
        return Order(
            name, wish.instrument, wish.side, Decimal(wish.quantity), OrderKind.MARKET, decided_at, strategy=STRATEGY
        )
    sign = 1 if wish.side is Side.BUY else -1
    return Order(
        name, wish.instrument, wish.side, Decimal(wish.quantity), OrderKind.LIMIT, decided_at,
        limit_price=max(1, cents - sign * wish.away) * _CENT, time_in_force=TimeInForce.GTD,
        expires_at=decided_at + _LIFE, strategy=STRATEGY,
    )  # fmt: skip
