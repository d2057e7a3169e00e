"""What becomes of a decision: the gate reviews its orders, the journal takes all of it, only then something leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from foresail.core.canonical import hash_bytes
from foresail.core.ids import OrderId
from foresail.engine.trading.changes import review_together, send_changes, take_back_orders
from foresail.engine.trading.closing import take_back_asked
from foresail.engine.trading.expiring import renew
from foresail.engine.trading.ladders import fitted, with_rungs
from foresail.engine.trading.level_keeping import with_kept_stops
from foresail.engine.trading.notes import memory_text
from foresail.engine.trading.parts import NO_DECISION, Attach, Decision, Desk, DeskCall
from foresail.engine.trading.protection import warn_of_cost
from foresail.engine.trading.release import at_once
from foresail.engine.trading.reviewing import record, record_changes
from foresail.engine.trading.watching import tell_of_signals
from foresail.ledger.entries import Decided, LevelsSet, Remembered, SharesPlanned, StopsNarrowed

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["conclude"]

_ENCODER = msgspec.json.Encoder(decimal_format="string")


def conclude(core: TradingCore, desk: Desk, call: DeskCall, decision: Decision) -> list[CoreEffect]:
    """Review and journal a decision; return what is to be done outside."""
    at = call.at
    core.notes.decided[desk.id] = at
    is_nothing = decision == NO_DECISION
    if is_nothing and not core.parts.is_audited:
        return []
    decision, wide = with_kept_stops(core, call, decision)
    changes, reviewed = review_together(core, decision.changes, with_rungs(core, call, decision), call)
    reviewed = fitted(core, call, reviewed, decision.ladders)
    effects = list(changes.effects)
    allowed = [one.passed for one in reviewed if one.allowed > 0]
    seen = {"account": call.account, "wanted": [one.order for one in reviewed], "allowed": allowed}
    core.write(
        Decided, at, strategy=desk.id, decided_at=at, orders=len(allowed), fingerprint=_fingerprint(seen, decision)
    )
    if changes.reviewed:
        record_changes(core, at, desk.id, changes.reviewed)
    if reviewed:
        record(core, at, desk.id, reviewed, decision.signals)
    if decision.signals:
        renew(core, at, decision.signals, {one.instrument for one in allowed})
    _remember(core, desk, at)
    if core.parts.watch is not None:
        core.parts.watch(desk, at, decision, reviewed)
    if is_nothing:
        return effects
    effects += take_back_asked(core, at, decision.cancels)
    effects += take_back_orders(core, at, decision.cancel_orders)
    effects += send_changes(core, at, changes.passed)
    effects += warn_of_cost(core, allowed, call)
    effects += tell_of_signals(core, at, decision.signals, decision.missing)
    for share in decision.shares:
        core.write(SharesPlanned, at, **asdict(share))
    _set_levels(core, decision.levels, at, wide)
    return [*effects, *decision.levels, *core.intend(at, at_once(core, at, allowed, wide))]


def _set_levels(core: TradingCore, levels: Sequence[Attach], at: int, wide: Mapping[str, float]) -> None:
    """Journal the levels that change, before the venue hears of any (EXIT-10), and what orders will hang narrowed."""
    names = {one.instrument for one in levels}
    for one in levels:
        name, full = one.instrument, wide.get(one.instrument)
        if core.levels.standing.get(name, (None, None)) != (one.stop, one.target) or core.levels.wide.get(name) != full:
            core.write(LevelsSet, at, instrument=name, stop=one.stop, target=one.target, wide=full)
    narrowed = tuple((OrderId(key), full) for key, full in sorted(wide.items()) if key not in names)
    if narrowed:
        core.write(StopsNarrowed, at, stops=narrowed)


def _remember(core: TradingCore, desk: Desk, at: int) -> None:
    """Journal what a strategy remembers where that changed, so that a restart knows it."""
    if not core.parts.is_audited:
        return
    text = memory_text(core.memory_of(desk.id))
    if text != core.notes.remembered.get(desk.id):
        core.write(Remembered, at, strategy=desk.id, memory=text)


def _fingerprint(seen: Mapping[str, Any], decision: Decision) -> str:
    """Return the hash of what a decision saw and wants; its bytes have the fields in their order, numbers as text."""
    wants = (decision.cancels, decision.levels, decision.changes)
    return hash_bytes(_ENCODER.encode((seen["account"], seen["wanted"], seen["allowed"], wants)))[:16]
