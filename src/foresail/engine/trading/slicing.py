"""Large orders leave in slices (EXEC-03): planned at the decision, released as the stream comes to their instants.

A parent that the gate has let pass is journalled with its schedule (``SliceStarted``). At every bar and timer the
slices that are due leave as children: orders of their own, reviewed again, whose units together never exceed the
parent's. What a refused or cut child leaves is due with the next one; when the last instant has passed nothing more
leaves. All of it is a fold (``ledger.slices``), so a restart goes on with the next slice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Order, OrderKind, TimeInForce
from foresail.execution.slicing import SliceMethod, needs_slicing, pov_quantity, twap, vwap
from foresail.ledger.slices import SliceState, slice_id

__all__ = ["SliceSettings", "Slicer", "Volumes"]

_ZERO = Decimal(0)
_HOUR_NS = 3600 * 10**9


class Volumes(Protocol):
    """What was traded, as known at an instant."""

    def average_daily(self, instrument: InstrumentId, at: int) -> Decimal:
        """Return the average daily volume in units, NaN where it is not known."""
        ...

    def traded(self, instrument: InstrumentId, since: int, at: int) -> Decimal:
        """Return units traded in bars that begin at ``since`` or later and are known at ``at``."""
        ...

    def profile(self, instrument: InstrumentId, instants: Sequence[int], at: int) -> tuple[Decimal, ...]:
        """Return the usual volume of the times of day that begin at the instants, empty where none is known."""
        ...


@dataclass(frozen=True, slots=True)
class SliceSettings:
    """Which orders leave in slices, and how.

    Attributes
    ----------
    share : an order above this share of the average daily volume is sliced (EXEC-03); an unknown volume slices nothing
    count, interval_ns : slices and the time between them, ns
    participation : of POV, above 0 and at most 1
    """

    method: SliceMethod = SliceMethod.TWAP
    share: Decimal = Decimal("0.01")
    count: int = 6
    interval_ns: int = _HOUR_NS
    participation: Decimal = Decimal("0.1")

    def __post_init__(self) -> None:
        if self.count < 1 or self.interval_ns < 1 or not 0 < self.participation <= 1 or not self.share >= 0:
            raise ConfigError(
                "slices need a count and an interval of at least 1, 0 < participation <= 1 and share >= 0, "
                f"received {self}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Slicer:
    """Plans slices and tells which children are due; it keeps nothing.

    Attributes
    ----------
    instruments : for lots
    """

    settings: SliceSettings
    volumes: Volumes
    instruments: Mapping[InstrumentId, Instrument]

    def started(self, order: Order, at: int) -> dict[str, Any] | None:
        """Return the content of ``SliceStarted`` for an order, None where it leaves at once."""
        if order.kind is not OrderKind.MARKET or order.reduce_only:
            return None  # an exit never waits, and an order with a price waits already
        s = self.settings
        average = self.volumes.average_daily(order.instrument, at)
        if not average.is_finite() or not needs_slicing(order.quantity, average, share=s.share):
            return None
        if s.method is SliceMethod.POV:
            instants = [at + k * s.interval_ns for k in range(1, s.count + 1)]
            return {
                "parent": order, "method": s.method.value, "share": s.participation,
                "slices": tuple((one, _ZERO) for one in instants),
            }  # fmt: skip
        return {"parent": order, "method": s.method.value, "slices": self._schedule(order, at)}

    def _schedule(self, order: Order, at: int) -> tuple[tuple[int, Decimal], ...]:
        s = self.settings
        end, lot = at + s.count * s.interval_ns, self._lot(order.instrument)
        if s.method is SliceMethod.VWAP:
            instants = [at + k * s.interval_ns for k in range(s.count)]
            profile = self.volumes.profile(order.instrument, instants, at)
            if profile:
                plan = vwap(order, at, end, profile, lot)
                return tuple((piece.at, piece.quantity) for piece in plan.slices)
        plan = twap(order, at, end, s.count, lot)
        return tuple((piece.at, piece.quantity) for piece in plan.slices)

    def due(self, state: SliceState, at: int) -> Order | None:
        """Return the child that is due at an instant, None where none is or it would be less than a lot."""
        number = max((k for k, (when, _units) in enumerate(state.slices) if when <= at), default=-1)
        if number < state.next:
            return None
        parent, lot = state.parent, self._lot(state.parent.instrument)
        if state.share:
            traded = self.volumes.traded(parent.instrument, state.started_at, at)
            units = pov_quantity(parent, state.sent, traded, state.share, lot) if traded.is_finite() else _ZERO
        else:
            units = sum((units for _when, units in state.slices[: number + 1]), _ZERO) - state.sent
        if units <= 0:
            return None
        return replace(
            parent,
            id=slice_id(parent, state.method, number),
            quantity=min(units, state.left),
            decided_at=at,
            time_in_force=TimeInForce.GTC,
        )

    def is_over(self, state: SliceState, at: int) -> bool:
        """Return whether the last instant lies so far back that nothing more is to leave."""
        return at >= state.slices[-1][0] + self.settings.interval_ns

    def _lot(self, name: InstrumentId) -> Decimal:
        return self.instruments[name].lot
