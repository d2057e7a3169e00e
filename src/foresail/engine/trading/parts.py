"""What a trading core is made of: the market it reads, the desks that decide, the gate, the money's frame.

A desk is a strategy with what turns its intents into orders. The core knows no strategy, allocator or planner: it asks
each desk at its instant, has the gate review the orders, and journals what passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Protocol

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account, Position
from foresail.domain.effects import ReplaceSend
from foresail.domain.instruments import Instrument
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Order, Ruling
from foresail.domain.signals import Signal
from foresail.engine.trading.slicing import Slicer
from foresail.ledger.orders import OrderBook
from foresail.ledger.slices import SliceBook
from foresail.ledger.strategies import StrategyBooks
from foresail.protocols import RiskView

__all__ = [
    "NO_DECISION",
    "Attach",
    "Decision",
    "Desk",
    "DeskCall",
    "NetShare",
    "OrderGate",
    "ReviewedOrder",
    "TradingMarket",
    "TradingParts",
]

_MINUTE_NS = 60 * 10**9
_FIVE_MINUTES_NS = 5 * _MINUTE_NS


@dataclass(frozen=True, slots=True)
class Attach:
    """Hang a stop and a target on a position at the venue, in place of what hung there; None = none."""

    instrument: InstrumentId
    stop: float | None
    target: float | None


@dataclass(frozen=True, slots=True)
class ReviewedOrder:
    """An order as planned, with the quantity that the gate let pass and the rulings that cut it."""

    order: Order
    allowed: Decimal
    rulings: tuple[Ruling, ...]

    @property
    def passed(self) -> Order:
        """The order with the units that the gate left."""
        return self.order if self.allowed is self.order.quantity else replace(self.order, quantity=self.allowed)


@dataclass(frozen=True, slots=True)
class DeskCall:
    """What a desk is given at a decision.

    Attributes
    ----------
    at : nominal instant of the decision, ns UTC
    position : time position of the newest bar that the decision may see
    account : books at that instant
    prices : last known prices, quote currency; a name without one is absent
    rates : account currency per unit of another currency
    pending : signed units on order
    facts : newest value of every fact by name
    orders : what became of every order; read only
    slices : parents that leave in slices; read only
    strategies : virtual books of the strategies of one account; read only, None where they are not kept
    halted : scope -> (rule, reason) of what a person or a rule has halted; an empty scope is the whole account
    factors : share of their size that correlated names keep (RISK-11)
    limits : of the account, None where it has none
    """

    at: int
    position: int
    account: Account
    prices: Mapping[InstrumentId, float]
    rates: Mapping[str, Decimal]
    pending: Mapping[InstrumentId, Decimal]
    facts: Mapping[str, float] = field(default_factory=dict)
    orders: OrderBook | None = None
    slices: SliceBook | None = None
    strategies: StrategyBooks | None = None
    halted: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    factors: Mapping[InstrumentId, float] = field(default_factory=dict)
    limits: TradingLimits | None = None


@dataclass(frozen=True, slots=True)
class NetShare:
    """What each strategy gets of the net orders in one instrument (``ledger.entries.SharesPlanned``)."""

    instrument: InstrumentId
    crossed: tuple[tuple[str, Decimal], ...]
    wishes: tuple[tuple[str, Decimal], ...]
    orders: tuple[OrderId, ...]
    price: Decimal
    multiplier: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a desk wants.

    Attributes
    ----------
    cancels : instruments whose open orders are taken back first
    changes : of open orders; the core gives each its revision
    cancel_orders : single orders that are taken back
    shares : whose the orders are, where several strategies share an account
    levels : to hang on positions that stay
    weights : target fractions of equity after caps, for the record
    notes : (instrument, sentence) on what was cut or left out
    ladders : the orders of which each gets a ladder (EXIT-06)
    missing : critical inputs of a strategy without a value (ALERT-08)
    """

    orders: tuple[Order, ...] = ()
    cancels: tuple[InstrumentId, ...] = ()
    levels: tuple[Attach, ...] = ()
    signals: tuple[Signal, ...] = ()
    weights: tuple[tuple[InstrumentId, float], ...] = ()
    notes: tuple[tuple[InstrumentId, str], ...] = ()
    ladders: tuple[OrderId, ...] = ()
    missing: tuple[str, ...] = ()
    changes: tuple[ReplaceSend, ...] = ()
    cancel_orders: tuple[OrderId, ...] = ()
    shares: tuple[NetShare, ...] = ()


NO_DECISION = Decision()


class Desk(Protocol):
    """A strategy with what turns its intents into orders; all memory is handed in and out."""

    @property
    def id(self) -> str:
        """``namespace/name@version`` of the strategy."""
        ...

    @property
    def every(self) -> int:
        """Decide at every position that is a multiple of it."""
        ...

    def start(self) -> Any:
        """Return the memory before the first decision."""
        ...

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        """Return what is wanted; may change ``memory``. Ids of orders are a pure function of the decision."""
        ...


class TradingMarket(Protocol):
    """Market state as far as the stream has come: a function of the events applied, never of the clock."""

    @property
    def position(self) -> int:
        """Time position of the newest bar applied, -1 before the first."""
        ...

    def advance(self, position: int) -> None:
        """Take in the bars of a position; positions that were taken in already change nothing."""
        ...

    def split(self, instrument: InstrumentId, ratio: float) -> None:
        """Restate the last price for a split."""
        ...

    def start(self, position: int) -> int | None:
        """Return when the bar of a position starts, ns UTC, None where that is not known."""
        ...

    def price(self, instrument: InstrumentId) -> Decimal | None:
        """Return the last print as a whole number of ticks, None where there is none."""
        ...

    def known(self, position: int) -> Mapping[InstrumentId, float]:
        """Return last prices up to the bars of a position."""
        ...

    def price_time(self, instrument: InstrumentId) -> int | None:
        """Return the end of the bar that gave the last price, ns UTC."""
        ...

    def rates(self, prices: Mapping[InstrumentId, float] | None = None) -> Mapping[str, Decimal]:
        """Return account currency per unit of other currencies, at the last or the given prices."""
        ...

    def to_plain(self) -> Any:
        """Return the state as plain data."""
        ...

    def restore(self, plain: Any) -> None:
        """Take over a state that ``to_plain`` returned."""
        ...


class OrderGate(Protocol):
    """The door: nothing becomes an intent that it has not reviewed."""

    def review(self, orders: Sequence[Order], view: RiskView) -> list[tuple[Order, tuple[Ruling, ...]]]:
        """Return every order with the quantity that may leave (0 = refused) and the rulings that cut it."""
        ...


def _free(position: Position, notional: Decimal, since: int, until: int) -> Decimal:
    del position, notional, since, until
    return Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class TradingParts:
    """One account's stages.

    Attributes
    ----------
    allow_short : whether books may hold less than nothing
    holding_cost : (position, notional, since ns, until ns) -> money in the quote currency (COST-10)
    transfer_fraction : of money that leaves the account, the network's fee (COST-02a)
    margin_cost : (credit, since ns, until ns) -> interest, account currency; None = nothing may be bought on credit
    watch : told of every decision after the gate, for reports; it decides nothing
    limits : of breakers and caps; None = no risk state is kept and no breaker trips
    limits_digest : hash of all of them and of the limits of positions, for the journal (COMP-05)
    is_audited : journal the place in the stream with every bar, and decisions that change nothing as well
    resend_ns : an order that the venue proves to lack is sent again so long after its decision, ns; then it is dropped
    poll_ns : all open orders are asked about so long after the last time, ns
    round_trip : (instrument, price, ns) -> expected cost of a round trip, fraction of value; None = not known
    strategies : ids of the strategies whose virtual books are kept; empty = one desk, no such books
    keeps_stops : whether stops that hang on positions are moved by themselves (``level_keeping``)
    trail : levels that they trail (EXIT-05); None = they do not
    ranges : (instrument, position) -> average true range, price, for ladders (EXIT-06); None = not known
    slicer : plans the slices of large orders; None = every order leaves at once
    """

    environment: str
    account: str
    currency: str
    instruments: Mapping[InstrumentId, Instrument]
    market: TradingMarket
    desks: tuple[Desk, ...]
    gate: OrderGate
    allow_short: bool = False
    holding_cost: Callable[[Position, Decimal, int, int], Decimal] = _free
    watch: Callable[[Desk, int, Decision, tuple[ReviewedOrder, ...]], None] | None = None
    resend_ns: int = _FIVE_MINUTES_NS
    poll_ns: int = _MINUTE_NS
    round_trip: Callable[[InstrumentId, float, int], float] | None = None
    strategies: tuple[str, ...] = ()
    slicer: Slicer | None = None
    margin_cost: Callable[[Decimal, int, int], Decimal] | None = None
    transfer_fraction: Decimal = Decimal(0)
    keeps_stops: bool = False
    ranges: Callable[[InstrumentId, int], float] | None = None
    trail: Callable[[InstrumentId, int, int, int], float] | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    is_audited: bool = True
    limits: TradingLimits | None = None
    limits_digest: str = ""
