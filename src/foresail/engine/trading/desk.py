"""The desk of one strategy: as-of view in, intents, sizes, planned orders out. It journals and sends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account
from foresail.domain.effects import ReplaceSend
from foresail.domain.orders import Order
from foresail.domain.signals import Cancel, Intent, Signal, SignalKind, TargetWeights
from foresail.engine.trading.closing import closing_pending
from foresail.engine.trading.critical import NOTHING_MISSING, Missing, missing_inputs
from foresail.engine.trading.desk_exits import DeskExits, is_laddered
from foresail.engine.trading.desk_orders import Author
from foresail.engine.trading.desk_sizes import not_enlarged, reduced_order, reduced_targets
from foresail.engine.trading.expiring import refuse_timers
from foresail.engine.trading.ladders import held_targets, pending_besides
from foresail.engine.trading.parts import NO_DECISION, Attach, Decision, DeskCall
from foresail.engine.trading.signal_gate import confident_signals, is_turn, unsure_turns
from foresail.execution.planner import Plan, PlannerSettings, PlanRequest, plan_weights
from foresail.portfolio.allocator import VolatilityScaledTopK
from foresail.protocols import MarketView, Strategy
from foresail.signals.strategies.rank_expected_return import RankExpectedReturn

__all__ = ["DeskStages", "Proposal", "StrategyDesk"]

_Notes = tuple[tuple[InstrumentId, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class DeskStages:
    """What a desk works with.

    Attributes
    ----------
    view : (position, account) -> the market as a strategy may see it there
    instruments : records by id
    exits : puts in the stops that a strategy does not name; None = nothing is put in
    least_move : (instrument, price, ns) -> move that a signal must expect to be entered, fraction (COST-08); None = any
    """

    view: Callable[[int, Account], MarketView]
    instruments: Any
    allocator: VolatilityScaledTopK
    planner: PlannerSettings
    exits: DeskExits | None = None
    least_move: Callable[[InstrumentId, float, int], float] | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one strategy wants, sized and not planned yet.

    Attributes
    ----------
    targets : None where it says nothing about weights
    direct : orders that it asked for itself
    notes : (instrument, sentence) on what conditions took off those
    changes, cancel_orders : of single open orders of its own
    ladders : the orders among ``direct`` that get a ladder
    missing : critical inputs without a value
    """

    targets: TargetWeights | None
    direct: tuple[Order, ...]
    notes: tuple[tuple[InstrumentId, str], ...]
    intents: Sequence[Intent]
    changes: tuple[ReplaceSend, ...] = ()
    cancel_orders: tuple[OrderId, ...] = ()
    ladders: tuple[OrderId, ...] = ()
    missing: Missing = NOTHING_MISSING

    @property
    def cancels(self) -> tuple[InstrumentId, ...]:
        """Instruments whose open orders it takes back."""
        return tuple(dict.fromkeys(one.instrument for one in self.intents if isinstance(one, Cancel) and not one.leg))

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Its signals."""
        return tuple(one for one in self.intents if isinstance(one, Signal))


class StrategyDesk:
    """Implements ``parts.Desk`` for a strategy of ``protocols``."""

    def __init__(self, strategy: Strategy, stages: DeskStages) -> None:
        self._strategy, self._stages, self._exits = strategy, stages, stages.exits
        is_built_in = isinstance(strategy, RankExpectedReturn)  # it counts its inputs itself
        self._critical = () if is_built_in else tuple(strategy.spec.critical_inputs)
        if self._exits is not None and getattr(strategy.spec, "stops_may_exceed", False):
            self._exits = replace(self._exits, may_exceed=True)
        self._name, _, version = strategy.spec.id.partition("@")
        self._version = version or "1"

    @property
    def id(self) -> str:
        """``namespace/name@version`` of the strategy."""
        return self._strategy.spec.id

    @property
    def every(self) -> int:
        """Decide at every position that is a multiple of it."""
        return self._strategy.spec.every

    def start(self) -> Any:
        """Return the strategy's memory before its first step."""
        return self._strategy.start()

    @property
    def stages(self) -> DeskStages:
        """What the desk works with."""
        return self._stages

    def propose(self, memory: Any, call: DeskCall) -> Proposal | None:
        """Ask the strategy and size what it wants, None where it wants nothing.

        Raises
        ------
        ConfigError
            If the strategy asks for an instrument that is not in the set.
        """
        exits, view = self._exits, self._stages.view(call.position, call.account)
        intents = self._strategy.step(memory, view)
        if not intents:
            return None
        refuse_timers(intents, self._name)
        missing = missing_inputs(self._critical, intents, view)
        intents = missing.held_signals(intents, call)
        intents, doubts, closed = self._worth(intents, call)
        closed |= unsure_turns(intents, call) | dict(missing.notes)
        intents, unsure = confident_signals(intents, call)
        targets = self._stages.allocator.targets(intents, view, rates=call.rates)
        if targets is not None:
            targets = reduced_targets(targets, call, self._stages.instruments)
            targets = targets if exits is None else exits.targets(targets, call)
            targets = held_targets(targets, call, self._stages.instruments)
            targets = not_enlarged(targets, closed, call, self._stages.instruments)
        author = Author(self._stages.planner.environment, call.account.id, self._name, self._version)
        asked = missing.open_orders(author.orders(intents, call), call)
        laddered = author.laddered(intents, call)
        direct, notes = self._direct(asked if exits is None or not asked else exits.orders(asked, call, laddered), call)
        return Proposal(
            targets,
            direct,
            (*doubts, *unsure, *(missing.notes if targets is None else ()), *notes),
            intents,
            missing.changes(author.changes(intents, call), call),
            author.cancelled(intents, call),
            self.ladders(direct, laddered, call),
            missing,
        )

    def decide(self, memory: Any, call: DeskCall) -> Decision:
        """Ask the strategy, size, plan.

        Raises
        ------
        ConfigError
            If the strategy asks for an instrument that is not in the set.
        """
        found = self.propose(memory, call)
        if found is None:
            return NO_DECISION
        targets, cancels = found.targets, found.cancels
        plan = Plan(()) if targets is None else self._plan(targets, call, frozenset(cancels))
        return Decision(
            orders=(*plan.orders, *found.direct),
            cancels=cancels,
            levels=tuple(Attach(*one) for one in plan.levels),
            signals=found.signals,
            weights=() if targets is None else tuple(zip(targets.instruments, targets.weights, strict=True)),
            notes=(*(() if targets is None else targets.notes), *plan.notes, *found.notes),
            changes=found.changes,
            cancel_orders=found.cancel_orders,
            missing=found.missing.names,
            ladders=(*found.ladders, *self.ladders(plan.orders, (), call)),
        )

    def _plan(self, targets: TargetWeights, call: DeskCall, cancelled: frozenset[InstrumentId]) -> Plan:
        """Return the orders that lead to target weights; what is being taken back does not count as on order."""
        stays = {name: units for name, units in pending_besides(call).items() if name not in cancelled}
        request = PlanRequest(
            account=call.account,
            prices=call.prices,
            instruments=self._stages.instruments,
            decided_at=call.at,
            strategy=self._name,
            version=self._version,
            pending=stays | closing_pending(call, cancelled),
            rates=call.rates,
        )
        return plan_weights(targets, request, self._stages.planner)

    def ladders(self, orders: Sequence[Order], asked: Sequence[OrderId], call: DeskCall) -> tuple[OrderId, ...]:
        """Return the orders that get a ladder: where the strategy asks for it, or the settings do for all."""
        every = self._exits is not None and self._exits.has_ladders
        if not (every or asked):
            return ()
        short = {one.instrument for one in call.account.positions if one.quantity < 0}
        return tuple(
            one.id for one in orders if (every or one.id in asked) and is_laddered(one) and one.instrument not in short
        )

    def _worth(
        self, intents: Sequence[Intent], call: DeskCall
    ) -> tuple[Sequence[Intent], _Notes, dict[InstrumentId, str]]:
        """Turn signals to enter whose expected move does not pay for its cost into holds of nothing, and note each.

        What expects no finite move, and what is held already, is left alone; a signal against what is held closes it,
        and where its move does not pay the name is returned besides, with the reason: nothing is opened in its place.
        """
        least_of = self._stages.least_move
        if least_of is None:
            return intents, (), {}
        held = {one.instrument: float(one.quantity) for one in call.account.positions}
        kept, notes, closed = [], [], {}
        for one in intents:
            now = held.get(one.instrument, 0.0) if isinstance(one, Signal) else 0.0
            if isinstance(one, Signal) and one.kind is not SignalKind.HOLD and (now == 0.0 or is_turn(one, now)):
                move, price = abs(math.expm1(one.expected_return)), call.prices.get(one.instrument, math.nan)
                least = least_of(one.instrument, price, call.at)
                text = f"COST-08: a move of {move:.2%} is expected, {least:.2%} is needed"
                if move <= least and now != 0.0:
                    closed[one.instrument] = text
                elif move <= least:
                    notes.append((one.instrument, text))
                    one = replace(one, kind=SignalKind.HOLD, reasons=(*one.reasons, text))  # noqa: PLW2901
            kept.append(one)
        return kept, tuple(notes), closed

    def _direct(self, wanted: Sequence[Order], call: DeskCall) -> tuple[tuple[Order, ...], _Notes]:
        """Return what conditions leave of the orders that a strategy asked for itself, and notes on what they took."""
        orders, notes = [], []
        for asked in wanted:
            order, text = reduced_order(asked, call, self._stages.instruments)
            if text:
                notes.append((order.instrument, text))
            if order.quantity > 0 or not text:
                orders.append(order)
        return tuple(orders), tuple(notes)
