"""A market of two names that stand where they are put, and how a core on it is asked and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.events import BarsClosed, Rank, Timer, VenueOutcome, VenueReport
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Horizon, Side, Signal, SignalKind
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, DeskCall, OrderGate, TradingParts
from foresail.ledger.journal import Journal
from foresail.risk.gate import RiskGate

A, B = InstrumentId("stock.US.AAA"), InstrumentId("stock.US.BBB")
SET = {name: Instrument(name, name, AssetClass.STOCK, tick=Decimal("0.01"), lot=Decimal(1)) for name in (A, B)}
S = 10**9


class Tens:
    """A market whose names stand at 10 until somebody puts them elsewhere."""

    def __init__(self) -> None:
        self.position, self.prices = -1, {A: 10.0, B: 10.0}
        self.priced_at: int | None = None  # None: as new as it can be

    def advance(self, position: int) -> None:
        self.position = max(self.position, position)

    def split(self, instrument: InstrumentId, ratio: float) -> None: ...

    def start(self, position: int) -> None: ...

    def price(self, instrument: InstrumentId) -> Decimal | None:
        return Decimal(repr(self.prices[instrument])) if instrument in self.prices else None

    def known(self, position: int) -> dict[InstrumentId, float]:
        return dict(self.prices)

    def price_time(self, instrument: InstrumentId) -> int:
        return 2**62 if self.priced_at is None else self.priced_at

    def rates(self, prices: Any = None) -> dict[str, Decimal]:
        return {}

    def to_plain(self) -> Any:
        return self.position

    def restore(self, plain: Any) -> None:
        self.position = plain


class Desk:
    """Decides what a function says."""

    id, every = "test/desk@1", 1

    def __init__(self, decides: Callable[[DeskCall], Decision]) -> None:
        self.decides = decides

    def start(self) -> dict[str, int]:
        return {}

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        return self.decides(call)


def order(name: InstrumentId, at: int, side: Side = Side.BUY, quantity: int = 5, **more: Any) -> Order:
    identity = order_id(environment="test", account="t", strategy="s", version="1", decided_at_ns=at, leg=f"{name}")
    made = Order(identity, name, side, Decimal(quantity), OrderKind.LIMIT, at, limit_price=Decimal(10))
    return replace(made, **more)


def make(
    decides: Callable[[DeskCall], Decision], gate: OrderGate | None = None, journal: Any = (), **more: Any
) -> TradingCore:
    """A core with a desk that decides so."""
    parts = TradingParts("test", "t", "USD", SET, Tens(), (Desk(decides),), gate or RiskGate((), SET))
    return TradingCore(replace(parts, **{"allow_short": True, **more}), Journal(journal))


def decide(core: TradingCore, at: int) -> tuple[Any, ...]:
    return core.step(Timer(at, at, Rank.DECISION, name="decision"))


def bar(core: TradingCore, at: int, position: int, **prices: float) -> tuple[Any, ...]:
    """The next bar, at which names may stand elsewhere."""
    core.parts.market.prices.update(  # type: ignore[attr-defined]
        {name: prices[key] for key, name in (("a", A), ("b", B)) if key in prices}
    )
    return core.step(BarsClosed(at, at, Rank.BASE_BAR, "bars", None, position, "tick", position))


def told(core: TradingCore, name: OrderId, outcome: VenueOutcome, at: int, **content: Any) -> tuple[Any, ...]:
    return core.step(VenueReport(at, at, Rank.VENUE_FILL, order_id=name, outcome=outcome, **content))


def filled(core: TradingCore, one: Order, at: int, price: int = 10) -> tuple[Any, ...]:
    """The venue fills an order as a whole."""
    fill = Fill(
        one.id, one.instrument, one.side, one.quantity, Decimal(price), Decimal(price), Decimal(0), Decimal(0), at,
        FillReason.ENTRY, "x",
    )  # fmt: skip
    return told(core, one.id, VenueOutcome.FILLED, at, fill=fill)


def kinds(core: TradingCore, kind: type) -> list[Any]:
    """The entries of a kind."""
    return [one for one in core._writer if isinstance(one, kind)]  # type: ignore[attr-defined]


def signal(name: Any, at: int, confidence: float = 0.8) -> Signal:
    return Signal(
        name, SignalKind.BUY, Horizon.SWING_TRADE, 5, confidence, 0.02, 0.001, 10.0, 11.0, 9.0, ("because",),
        "SIG-15", "test/desk@1", "1", "model-7", "f00d", at, at + 60 * S,
    )  # fmt: skip
