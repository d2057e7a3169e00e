"""The core on its own: silence is no rejection, nothing is booked twice, a restart asks, a decision happens once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from foresail.core.errors import ConfigError, IntegrityError
from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.domain.effects import Ask, CancelSend, Notify, Send
from foresail.domain.events import Fact, Operator, Rank, Timer, VenueOutcome, VenueReport
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision, DeskCall, TradingParts
from foresail.ledger.entries import FillBooked, OperatorActed, OrderUnknown, TradingHalted
from foresail.ledger.journal import Journal
from foresail.ledger.orders import OrderStatus

A = InstrumentId("sim.S01.A")
ONE = Instrument(A, "A", AssetClass.STOCK, tick=Decimal("0.01"), lot=Decimal(1))
S = 10**9


class Flat:
    """A market of one name that stands at 10."""

    position = -1

    def advance(self, position: int) -> None:
        self.position = max(self.position, position)

    def split(self, instrument: InstrumentId, ratio: float) -> None: ...

    def start(self, position: int) -> None: ...

    def price(self, instrument: InstrumentId) -> Decimal:
        return Decimal(10)

    def known(self, position: int) -> Mapping[InstrumentId, float]:
        return {A: 10.0}

    def price_time(self, instrument: InstrumentId) -> int:
        return 0

    def rates(self, prices: Mapping[InstrumentId, float] | None = None) -> Mapping[str, Decimal]:
        return {}

    def to_plain(self) -> Any:
        return self.position

    def restore(self, plain: Any) -> None:
        self.position = plain


class Buyer:
    """Wants five more of A at every decision."""

    id, every = "test/buyer@1", 1

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def decide(self, memory: dict[str, int], call: DeskCall) -> Decision:
        memory["n"] += 1
        name = order_id(
            environment="test", account="t", strategy="buyer", version="1", decided_at_ns=call.at, leg=f"{A}:entry"
        )
        return Decision((Order(name, A, Side.BUY, Decimal(5), OrderKind.MARKET, call.at),))


class Open:
    """A gate that lets everything pass."""

    def review(self, orders: Sequence[Order], view: Any) -> list[tuple[Order, tuple[Ruling, ...]]]:
        return [(order, ()) for order in orders]


def parts() -> TradingParts:
    return TradingParts("test", "t", "USD", {A: ONE}, Flat(), (Buyer(),), Open(), allow_short=True, resend_ns=60 * S)


@pytest.fixture
def core() -> TradingCore:
    made = TradingCore(parts(), Journal())
    made.deposit(0, Decimal(1000))
    return made


def decide(core: TradingCore, at: int) -> OrderId:
    (effect,) = core.step(Timer(at, at, Rank.DECISION, name="decision"))
    assert isinstance(effect, Send)
    return effect.order.id


def told(core: TradingCore, name: OrderId, outcome: VenueOutcome, at: int, **content: Any) -> tuple[Any, ...]:
    return core.step(VenueReport(at, at, Rank.VENUE_FILL, order_id=name, outcome=outcome, **content))


def fill(name: OrderId, execution: str, quantity: int = 5, price: str = "10") -> Fill:
    return Fill(
        name, A, Side.BUY, Decimal(quantity), Decimal(price), Decimal(10), Decimal(0), Decimal(0), 3 * S,
        FillReason.ENTRY, execution,
    )  # fmt: skip


def again(core: TradingCore) -> tuple[TradingCore, tuple[Any, ...]]:
    """The core after a restart: another process folds the journal."""
    journal = Journal(core._writer)  # type: ignore[call-overload]
    other = TradingCore(parts(), journal)
    return other, other.recover(None, journal.entries)


def test_no_answer_is_no_rejection_over_five_restarts(core: TradingCore) -> None:
    name = decide(core, S)
    told(core, name, VenueOutcome.NO_ANSWER, 2 * S)
    for _ in range(5):
        core, effects = again(core)
        assert effects == (Ask(name, A),)
        assert told(core, name, VenueOutcome.NO_ANSWER, 2 * S) == ()
    state = core.orders.get(name)
    assert state is not None
    assert (state.status, state.reserved) == (OrderStatus.UNKNOWN, Decimal(5))
    assert A in core.orders.blocked()
    assert sum(isinstance(one, OrderUnknown) for one in core._writer) == 1  # type: ignore[attr-defined]


def test_a_proven_absence_sends_the_same_id_again_and_drops_what_is_too_old(core: TradingCore) -> None:
    name = decide(core, S)
    (effect,) = told(core, name, VenueOutcome.ABSENT, 30 * S)
    assert isinstance(effect, Send)
    assert effect.order.id == name
    assert told(core, name, VenueOutcome.ABSENT, 62 * S) == ()
    state = core.orders.get(name)
    assert state is not None
    assert state.status is OrderStatus.REJECTED


@pytest.mark.parametrize("is_restored", [True, False])
def test_what_a_split_found_on_its_way_is_not_sent_again_as_it_was(core: TradingCore, is_restored: bool) -> None:
    name = decide(core, 10 * S)
    told(core, name, VenueOutcome.NO_ANSWER, 11 * S)
    core.step(Fact(20 * S, 20 * S, Rank.CORPORATE_ACTION, "bars", A, kind="split", value=0.1))
    if is_restored:
        plain, core = core.to_plain(), TradingCore(parts(), Journal(core._writer))  # type: ignore[call-overload]
        core.recover(plain)
    assert told(core, name, VenueOutcome.ABSENT, 30 * S) == ()
    state = core.orders.get(name)
    assert state is not None
    assert state.status is OrderStatus.REJECTED


def test_a_fill_is_booked_once_however_often_and_late_it_is_told(core: TradingCore) -> None:
    name = decide(core, S)
    for outcome in (VenueOutcome.FILLED, VenueOutcome.ACCEPTED, VenueOutcome.FILLED):
        told(core, name, outcome, 3 * S, fill=fill(name, "x") if outcome is VenueOutcome.FILLED else None)
    core, _effects = again(core)
    told(core, name, VenueOutcome.FILLED, 4 * S, fill=fill(name, "x"))
    assert core.books.quantity(A) == 5
    assert sum(isinstance(one, FillBooked) for one in core._writer) == 1  # type: ignore[attr-defined]


def test_an_exit_of_the_venue_itself_is_booked_once_as_well(core: TradingCore) -> None:
    strange = OrderId("f" * 32)
    for _ in range(2):
        told(core, strange, VenueOutcome.FILLED, 3 * S, fill=fill(strange, "stop-1"))
        core, _effects = again(core)
    assert core.books.quantity(A) == 5


def test_a_bust_and_a_correction_change_the_books_once(core: TradingCore) -> None:
    name = decide(core, S)
    told(core, name, VenueOutcome.FILLED, 3 * S, fill=fill(name, "x", 2))
    told(core, name, VenueOutcome.FILLED, 3 * S, fill=fill(name, "y", 3))
    for _ in range(2):
        told(core, name, VenueOutcome.BUSTED, 4 * S, execution="x")
        told(core, name, VenueOutcome.CORRECTED, 4 * S, execution="y", fill=fill(name, "z", 3, "11"))
        told(core, name, VenueOutcome.FILLED, 4 * S, fill=fill(name, "x", 2))
    assert core.books.quantity(A) == 3
    assert core.books.cash == Decimal(1000 - 33)


def test_what_cannot_be_placed_is_asked_about_and_told_to_somebody(core: TradingCore) -> None:
    name = decide(core, S)
    effects = told(core, name, VenueOutcome.BUSTED, 2 * S, execution="never told")
    assert [type(one) for one in effects] == [Ask, Notify]
    (effect,) = told(core, OrderId("0" * 32), VenueOutcome.CANCELLED, 2 * S)
    assert isinstance(effect, Notify)
    assert core.books.cash == 1000


def test_a_decision_happens_once_before_and_after_a_restart(core: TradingCore) -> None:
    decide(core, S)
    timer = Timer(S, S, Rank.DECISION, name="decision")
    assert core.step(timer) == ()
    core, _effects = again(core)
    assert core.step(timer) == ()
    assert len(core.orders) == 1
    assert decide(core, 2 * S)


def test_a_kill_latches_first_then_cancels_and_only_a_rearm_opens_again(core: TradingCore) -> None:
    name = decide(core, S)
    told(core, name, VenueOutcome.FILLED, 2 * S, fill=fill(name, "x", 2))
    effects = core.step(Operator(3 * S, 3 * S, Rank.DECISION, source="ada", command="kill close"))
    assert [type(one) for one in effects] == [CancelSend, Send]
    assert effects[1].order.quantity == 2
    entries = list(core._writer)  # type: ignore[call-overload]
    acted = next(i for i, one in enumerate(entries) if isinstance(one, OperatorActed))
    assert isinstance(entries[acted + 1], TradingHalted)
    core, _effects = again(core)
    assert core.step(Timer(4 * S, 4 * S, Rank.DECISION, name="decision")) == ()
    core.step(Operator(5 * S, 5 * S, Rank.DECISION, source="ada", command="rearm"))
    assert decide(core, 6 * S)
    with pytest.raises(ConfigError, match="expected one of kill"):
        core.step(Operator(7 * S, 7 * S, Rank.DECISION, command="sell everything"))


def test_a_snapshot_is_the_fold_of_the_journal(core: TradingCore) -> None:
    name = decide(core, S)
    told(core, name, VenueOutcome.FILLED, 3 * S, fill=fill(name, "x", 2))
    other, _effects = again(core)
    plain = other.to_plain()
    third = TradingCore(parts(), Journal())
    third.restore(plain)
    assert third.books.state() == core.books.state()
    assert third.orders.to_plain() == core.orders.to_plain() == plain["orders"]


def test_two_orders_of_one_id_stop_the_core(core: TradingCore) -> None:
    class Twice(Buyer):
        def decide(self, memory: dict[str, int], call: DeskCall) -> Decision:
            return replace(super().decide(memory, call), orders=super().decide(memory, call).orders * 2)

    broken = TradingCore(replace(parts(), desks=(Twice(),)), Journal())
    broken.deposit(0, Decimal(1000))
    with pytest.raises(IntegrityError, match="was intended before"):
        broken.step(Timer(S, S, Rank.DECISION, name="decision"))


def test_a_snapshot_of_the_first_version_is_read(core: TradingCore) -> None:
    decide(core, S)
    plain = core.to_plain()
    notes = plain["notes"]
    kept = ("books", "orders", "latches", "risk", "exits", "market", "memories")
    old = {name: plain[name] for name in kept} | {name: notes[name] for name in notes if name != "remembered"}
    other = TradingCore(parts(), Journal(core._writer))  # type: ignore[call-overload]
    other.restore(old)
    told = other.to_plain()
    assert told["notes"] == {**notes, "remembered": {}}
    assert {name: told[name] for name in kept} == {name: plain[name] for name in kept}
