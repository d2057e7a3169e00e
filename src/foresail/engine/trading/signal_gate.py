"""The signal gate (RISK-01 row "signal gate"): what is not sure enough opens nothing, where an account asks for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from foresail.core.ids import InstrumentId
from foresail.domain.signals import Intent, Signal, SignalKind
from foresail.engine.trading.parts import DeskCall

__all__ = ["confident_signals", "is_turn", "unsure_turns"]

_LONG = (SignalKind.BUY, SignalKind.STRONG_BUY)
_SHORT = (SignalKind.SELL, SignalKind.STRONG_SELL)


def confident_signals(
    intents: Sequence[Intent], call: DeskCall
) -> tuple[Sequence[Intent], tuple[tuple[InstrumentId, str], ...]]:
    """Return intents in which a signal below ``market.minimum_confidence`` only holds, and why, by instrument.

    What closes a position passes (``unsure_turns`` tells what it may not open then); a signal without a confidence is
    not sure enough.
    """
    least = None if call.limits is None else call.limits.market.minimum_confidence
    if least is None:
        return intents, ()
    held = {one.instrument: one.quantity for one in call.account.positions}
    kept: list[Intent] = []
    notes = []
    for one in intents:
        if isinstance(one, Signal) and _opens(one, float(held.get(one.instrument, 0))) and not one.confidence >= least:
            notes.append((one.instrument, _doubt(one, least)))
            kept.append(replace(one, kind=SignalKind.HOLD, reasons=(*one.reasons, notes[-1][1])))
        else:
            kept.append(one)
    return kept, tuple(notes)


def unsure_turns(intents: Sequence[Intent], call: DeskCall) -> dict[InstrumentId, str]:
    """Return names whose position a signal below ``market.minimum_confidence`` closes and may not turn, and why."""
    least = None if call.limits is None else call.limits.market.minimum_confidence
    if least is None:
        return {}
    held = {one.instrument: float(one.quantity) for one in call.account.positions}
    return {
        one.instrument: _doubt(one, least)
        for one in intents
        if isinstance(one, Signal) and is_turn(one, held.get(one.instrument, 0.0)) and not one.confidence >= least
    }


def is_turn(signal: Signal, held: float) -> bool:
    """Return whether a signal points against what is held, so that it closes that and may open the other side."""
    return (signal.kind in _LONG and held < 0.0) or (signal.kind in _SHORT and held > 0.0)


def _doubt(signal: Signal, least: float) -> str:
    known = "not known" if math.isnan(signal.confidence) else f"{signal.confidence:.1%}"
    return f"RISK-01 signal gate: the confidence is {known}, {least:.1%} is asked for"


def _opens(signal: Signal, held: float) -> bool:
    """Whether a signal asks for a position, or for more of one; without a stop it asks for none."""
    if not math.isfinite(signal.stop_price):
        return False
    return (signal.kind in _LONG and held >= 0.0) or (signal.kind in _SHORT and held <= 0.0)
