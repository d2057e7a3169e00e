"""What a run of the simulation is asked for, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foresail.protocols import EntryWriter
from foresail.testing.simulation.loop import SECOND
from foresail.testing.simulation.process import Core
from foresail.testing.simulation.reference import Board, CoreSettings, ReferenceCore

__all__ = ["MakeCore", "Outcome", "WorldSettings"]

MakeCore = Callable[[CoreSettings, Board, EntryWriter], Core]


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """Lengths of a run, virtual ns, and what is under test.

    Attributes
    ----------
    unsafe : how long faults are on
    calm : how long the strategy goes on after the healing
    patience : how long after that everything may take to settle
    syncs : whether the disk's sync does anything; without it the run must fail
    looks_at_disk : check before each send that the intent is durable; without it only what a crash loses is noticed
    """

    unsafe: int = 10 * SECOND
    calm: int = 3 * SECOND
    patience: int = 60 * SECOND
    syncs: bool = True
    looks_at_disk: bool = True
    keeps_lines: bool = False
    make_core: MakeCore = ReferenceCore


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: ``violation`` is empty where every invariant held."""

    seed: int
    digest: str
    events: int
    counts: dict[str, int]
    violation: str
    lines: tuple[str, ...] = ()
