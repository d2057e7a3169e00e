"""The whole application in the simulation: the trading core, its gate and latches, with a scripted desk.

The reference core shows that journal, order book and books are sound; this shows that the core which trades is. It
lives on the same prices, the same wishes and the same limits, so that every invariant and planted bug fits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import Event, Timer
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading.core import CoreEffect, TradingCore
from foresail.engine.trading.parts import Decision, DeskCall, TradingParts
from foresail.ledger.entries import Entry
from foresail.ledger.orders import OrderStatus
from foresail.protocols import EntryWriter
from foresail.risk.gate import FAULT_RULE
from foresail.testing.simulation.loop import SECOND
from foresail.testing.simulation.reference import Board, CoreSettings
from foresail.testing.simulation.script import (
    ACCOUNT,
    ENVIRONMENT,
    INSTRUMENTS,
    STRATEGY,
    Wish,
    WishKind,
    order_of,
    wishes,
)

__all__ = ["SimulatedCore", "make_trading_core"]


class _Market:
    """The board as the market of a core (``parts.TradingMarket``)."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.position = -1

    def advance(self, position: int) -> None:
        self.position = max(self.position, position)

    def split(self, instrument: InstrumentId, ratio: float) -> None:
        """Nothing is split here."""

    def start(self, position: int) -> int | None:
        del position
        return None

    def price(self, instrument: InstrumentId) -> Decimal | None:
        if self.position < 0:
            return None
        return Decimal(self._board.closes(self.position)[instrument]) / 100

    def known(self, position: int) -> Mapping[InstrumentId, float]:
        del position
        return {} if self.position < 0 else {k: v / 100 for k, v in self._board.closes(self.position).items()}

    def price_time(self, instrument: InstrumentId) -> int | None:
        del instrument
        return None if self.position < 0 else self._board.time(self.position)

    def rates(self, prices: Mapping[InstrumentId, float] | None = None) -> Mapping[str, Decimal]:
        del prices
        return {}

    def to_plain(self) -> Any:
        return self.position

    def restore(self, plain: Any) -> None:
        self.position = int(plain)


class _Desk:
    """Wants what the script says."""

    id, every = STRATEGY, 1

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def start(self) -> Any:
        return {}

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        del memory
        orders, cancels, changes = [], [], []
        for wish in wishes(self._seed, call.at):
            if wish.kind is WishKind.CANCEL:
                cancels.append(wish.instrument)
            elif wish.kind is WishKind.REPLACE:
                changes += self._change(wish, call)
            elif wish.instrument in call.prices:
                orders.append(order_of(wish, call.at, round(call.prices[wish.instrument] * 100)))
        return Decision(tuple(orders), tuple(cancels), changes=tuple(changes))

    def _change(self, wish: Wish, call: DeskCall) -> list[ReplaceSend]:
        """Want more of the oldest limit order of an instrument that is free to be changed."""
        for state in () if call.orders is None else call.orders.open(wish.instrument):
            order = state.order
            is_busy = state.is_cancelling or state.replacing is not None
            if order.kind is OrderKind.LIMIT and state.status is OrderStatus.WORKING and not is_busy:
                return [ReplaceSend(order.id, order.instrument, order.quantity + wish.quantity, order.limit_price)]
        return []


class _Gate:
    """Worst case within the limit, fresh prices, nothing in a blocked instrument."""

    def __init__(self, settings: CoreSettings) -> None:
        self._settings = settings

    def review(self, orders: Sequence[Order], view: Any) -> list[tuple[Order, tuple[Ruling, ...]]]:
        return [self._one(order, view) for order in orders]

    def _one(self, order: Order, view: Any) -> tuple[Order, tuple[Ruling, ...]]:
        held = next((p.quantity for p in view.account.positions if p.instrument == order.instrument), Decimal(0))
        buy, sell = view.reserved(order.instrument)
        worst = held + buy + order.quantity if order.side is Side.BUY else sell + order.quantity - held
        wrong = view.blocked(order.instrument)
        if view.price_age(order.instrument) > self._settings.oldest_price:
            wrong = "the price is old"
        elif worst > self._settings.most:
            wrong = f"worst case {worst} of {self._settings.most}"
        if int(order.id[:8], 16) < self._settings.rule_fault * 2**32:
            return replace(order, quantity=Decimal(0)), (Ruling(FAULT_RULE, Decimal(0), "a rule failed"),)
        if not wrong:
            return order, ()
        return replace(order, quantity=Decimal(0)), (Ruling("simulation", Decimal(0), wrong),)


class SimulatedCore(TradingCore):
    """The trading core, given its money at the first start, and asked about open orders at each reconciliation."""

    def __init__(self, settings: CoreSettings, board: Board, writer: EntryWriter) -> None:
        one = {
            name: Instrument(name, name, AssetClass.STOCK, tick=Decimal("0.01"), lot=Decimal(1)) for name in INSTRUMENTS
        }
        parts = TradingParts(
            ENVIRONMENT, ACCOUNT, "USD", one, _Market(board), (_Desk(settings.seed),), _Gate(settings),
            allow_short=True, resend_ns=10 * SECOND,
        )  # fmt: skip
        super().__init__(parts, writer)
        self._deposit = settings.deposit

    def recover(self, state: Mapping[str, Any] | None, entries: Iterable[Entry] = ()) -> tuple[CoreEffect, ...]:
        """Fold, and pay in the capital where nothing was paid in yet."""
        effects = super().recover(state, entries)
        if not self.books.totals().deposits:
            self.deposit(self.books.at, self._deposit)
        return effects

    def step(self, event: Event) -> tuple[CoreEffect, ...]:
        """Take in an event; the simulation's reconciliation asks about every order that is open."""
        if isinstance(event, Timer) and event.name == "reconcile":
            event = replace(event, name="reconnected")
        return super().step(event)


def make_trading_core(settings: CoreSettings, board: Board, writer: EntryWriter) -> SimulatedCore:
    """Return the trading core of a run."""
    return SimulatedCore(settings, board, writer)
