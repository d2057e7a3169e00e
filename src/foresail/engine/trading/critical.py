"""Critical inputs of a strategy (FEAT-03, SIG-21, ALERT-08): where one has no value, nothing is opened on it.

A strategy names them in its spec: fields of the bars, such as close and volume, or features of the run. An input that
the run does not have at all is missing everywhere. What is held stays and may always be made smaller; a signal to enter
becomes one that holds, a weight enlarges nothing, an order that opens is not sent, one that would turn a position
round closes it. The built-in strategy sees to its inputs itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from foresail.core.errors import UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.effects import ReplaceSend
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Intent, OrderIntent, Replace, Side, Signal, SignalKind, Weights
from foresail.engine.trading.parts import DeskCall
from foresail.protocols import MarketView

__all__ = ["NOTHING_MISSING", "Missing", "missing_inputs"]

_OTHER_NAMES = {"RSI": "rsi_14"}  # of FEAT-03 -> in the catalogue
_LONG = (SignalKind.BUY, SignalKind.STRONG_BUY)
_SHORT = (SignalKind.SELL, SignalKind.STRONG_SELL)


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing at a decision.

    Attributes
    ----------
    inputs : instrument -> critical inputs without a value; names that miss nothing are absent
    """

    inputs: Mapping[InstrumentId, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, each once, sorted (ALERT-08)."""
        return tuple(sorted({name for inputs in self.inputs.values() for name in inputs}))

    @property
    def notes(self) -> tuple[tuple[InstrumentId, str], ...]:
        """A sentence for each instrument."""
        return tuple(
            (one, f"SIG-21: {' and '.join(inputs)} missing: nothing is opened") for one, inputs in self._rows()
        )

    def held_signals(self, intents: Sequence[Intent], call: DeskCall) -> Sequence[Intent]:
        """Return intents in which signals to enter without their inputs only hold."""
        if not self.inputs:
            return intents
        held = {one.instrument: float(one.quantity) for one in call.account.positions}
        return [
            replace(one, kind=SignalKind.HOLD, missing=self.inputs[one.instrument])
            if isinstance(one, Signal) and one.instrument in self.inputs and _enters(one, held.get(one.instrument, 0.0))
            else one
            for one in intents
        ]

    def open_orders(self, wanted: Sequence[Order], call: DeskCall) -> list[Order]:
        """Return the orders that open nothing without its inputs; what guards a dropped entry goes with it.

        Of an order that would close a position and open another, what closes is left.
        """
        if not self.inputs:
            return list(wanted)
        held = {one.instrument: one.quantity for one in call.account.positions}
        kept, cut = [], set()
        for one in wanted:
            order = self._closing(one, held.get(one.instrument, Decimal(0))) if one.instrument in self.inputs else one
            if order is not None:
                kept.append(order)
            if order is not one:
                cut.add(one.id)
        return [one for one in kept if one.parent not in cut]

    @staticmethod
    def _closing(order: Order, held: Decimal) -> Order | None:
        """Return what of an order only closes what is held, None where nothing does."""
        if _reduces(order, held):
            return order
        if (held <= 0) if order.side is Side.SELL else (held >= 0):
            return None
        is_trigger = order.kind is OrderKind.STOP and order.trigger_price is None  # its stop is what sets it off
        stop = order.stop_price if is_trigger else None
        return replace(
            order, quantity=abs(held), reduce_only=True, reason=FillReason.EXIT, stop_price=stop, target_price=None
        )

    def changes(self, wanted: Sequence[ReplaceSend], call: DeskCall) -> tuple[ReplaceSend, ...]:
        """Return the changes that make no order larger without its inputs."""
        return tuple(one for one in wanted if one.instrument not in self.inputs or not _raises(one, call))

    def _rows(self) -> list[tuple[InstrumentId, tuple[str, ...]]]:
        return sorted(self.inputs.items())


NOTHING_MISSING = Missing({})


def missing_inputs(critical: Sequence[str], intents: Iterable[Intent], view: MarketView) -> Missing:
    """Return what is missing of what a decision is about.

    Parameters
    ----------
    critical : names of fields of the bars or of features
    """
    names = _about(intents) if critical else ()
    found = {
        name: absent
        for name in names
        if (absent := tuple(one for one in critical if math.isnan(_value(view, name, one))))
    }
    return Missing(found) if found else NOTHING_MISSING


def _about(intents: Iterable[Intent]) -> list[InstrumentId]:
    names: set[InstrumentId] = set()
    for one in intents:
        if isinstance(one, Weights):
            names |= {name for name, weight in one.weights if weight != 0.0}
        elif isinstance(one, Signal | OrderIntent | Replace):
            names.add(one.instrument)
    return sorted(names)


def _value(view: MarketView, name: InstrumentId, critical: str) -> float:
    """Return the newest value of an input, NaN where there is none."""
    try:
        return view.value(name, critical)
    except UnknownNameError:  # no field of the bars, or no instrument yet
        features, column = view.features(), _OTHER_NAMES.get(critical, critical)
    if name not in features.instruments or not features.has(column):
        return math.nan
    return float(features.field(column)[features.instruments.index(name), -1])


def _enters(signal: Signal, held: float) -> bool:
    if not math.isfinite(signal.stop_price):
        return False  # it asks for no position
    return (signal.kind in _LONG and held >= 0.0) or (signal.kind in _SHORT and held <= 0.0)


def _reduces(order: Order, held: Decimal) -> bool:
    signed = order.quantity if order.side is Side.BUY else -order.quantity
    return order.reduce_only or (held * signed < 0 and abs(signed) <= abs(held))


def _raises(change: ReplaceSend, call: DeskCall) -> bool:
    state = None if call.orders is None else call.orders.get(change.order_id)
    return state is not None and not state.order.reduce_only and change.quantity > state.order.quantity
