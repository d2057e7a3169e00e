"""What goes wrong in a run, and how often: every seed draws its own mix."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from foresail.testing.simulation.loop import Chance

__all__ = ["CALM", "FaultMix", "draw_mix"]


@dataclass(frozen=True, slots=True)
class FaultMix:
    """Rates of faults, each a chance per message, fill or second (``power_cut`` and later ones: per second).

    Attributes
    ----------
    drop_request : a request never reaches the venue
    drop_response : a report never reaches us
    delay : a message takes up to eight seconds instead of milliseconds, so it overtakes and is overtaken
    duplicate : a message arrives twice, the second time later
    partial : a fill takes only a part
    early_fill : the venue fills an order before it acknowledges it
    late_fill : a fill crosses the cancel and is told after its acknowledgement
    reject : the venue refuses an order
    never_answer : the venue takes an order and says nothing about it until it heals
    silent_fill : a fill is not told while everything else is
    bust, correct : an execution is taken back, or its price changed, after a while
    overfill : the venue fills more than was ordered
    late_reject : the venue first refuses an order and then fills it
    lie : the venue's statement of positions is wrong
    power_cut : the machine loses power inside some disk operation
    kill : the process dies between two steps; what it wrote stays
    disk_error : a disk operation fails (EIO or ENOSPC)
    clock_back : the machine's clock is set back
    freeze : prices stop while heartbeats go on
    operator_kill : a person presses the kill switch
    rule_fault : a rule of the gate fails on an order; never drawn, only asked for
    reset : the connection is reset: what is on the wire is lost both ways, and the link knows that it is
    ban : the venue refuses every request for a while, and longer for each that comes meanwhile
    kill_close : a person presses the kill switch and has all positions closed
    """

    drop_request: float = 0.0
    drop_response: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    partial: float = 0.0
    early_fill: float = 0.0
    late_fill: float = 0.0
    reject: float = 0.0
    never_answer: float = 0.0
    silent_fill: float = 0.0
    bust: float = 0.0
    correct: float = 0.0
    overfill: float = 0.0
    late_reject: float = 0.0
    lie: float = 0.0
    power_cut: float = 0.0
    kill: float = 0.0
    disk_error: float = 0.0
    clock_back: float = 0.0
    freeze: float = 0.0
    operator_kill: float = 0.0
    rule_fault: float = 0.0
    reset: float = 0.0
    ban: float = 0.0
    kill_close: float = 0.0


CALM = FaultMix()
_HIGHEST = {
    "partial": 0.9,
    "early_fill": 0.5,
    "late_fill": 0.8,
    "drop_request": 0.3,
    "drop_response": 0.3,
    "overfill": 0.1,
    "late_reject": 0.1,
    "power_cut": 0.25,
    "kill": 0.25,
    "disk_error": 0.1,
    "operator_kill": 0.08,
    "kill_close": 0.08,
    "ban": 0.1,
}
_USUAL = 0.2  # highest rate of the others
_SHARE = 0.35  # share of faults that are on in one seed


def draw_mix(chance: Chance) -> FaultMix:
    """Return the faults of one seed: about a third of them, each at a rate of its own."""
    rates = {
        one.name: chance.unit() * _HIGHEST.get(one.name, _USUAL)
        for one in dataclasses.fields(FaultMix)
        if one.name != "rule_fault" and chance.unit() < _SHARE
    }
    return FaultMix(**rates)
