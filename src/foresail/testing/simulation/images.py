"""Crash images: a journal is written, power is lost in some operation, and what a restart finds is judged.

Everything acknowledged must be there, nothing may be there that was not written, and the start must succeed, again and
again, also where the start itself loses power.
"""

from __future__ import annotations

from decimal import Decimal

from foresail.core.errors import IntegrityError
from foresail.ledger.entries import Deposited, Entry
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import read_entries, verify_log
from foresail.testing.disk import PessimisticDisk, PowerCutError
from foresail.testing.simulation.loop import Chance
from foresail.testing.simulation.process import SESSION

__all__ = ["judge_image"]


def judge_image(seed: int, *, syncs: bool = True) -> str:
    """Write, crash and recover once or several times; return what is wrong, empty where nothing is."""
    chance = Chance(seed, "image")
    disk = PessimisticDisk(seed, syncs=syncs)
    safe: list[Entry] = []
    for _ in range(chance.between(1, 3)):
        disk.arm(crash_in=chance.between(1, 40))
        written = list(safe)
        try:
            _write(disk, chance, written, safe)
        except PowerCutError:
            disk = disk.image()
        except IntegrityError as error:
            return f"the start is refused: {error}"
        disk.arm()
        disk.close()
        wrong = _found(disk, written, safe)
        if wrong:
            return wrong
    return ""


def _write(disk: PessimisticDisk, chance: Chance, written: list[Entry], safe: list[Entry]) -> None:
    """Append groups of entries; ``safe`` holds what was acknowledged, ``written`` everything that was tried."""
    log = EntryLog.open(disk, SESSION, at=len(safe))
    for _ in range(30):
        for _ in range(chance.between(1, 4)):
            entry = Deposited(log.last_at + 1, log.next_sequence, Decimal(chance.below(1000)))
            written.append(entry)
            log.append(entry)
        log.commit()
        safe[:] = written
        if chance.happens(0.1):
            log.snapshot({"entries": len(safe)})


def _found(disk: PessimisticDisk, written: list[Entry], safe: list[Entry]) -> str:
    """Compare what is on the disk with what was acknowledged and what was tried."""
    try:
        found = [one for one in read_entries(disk) if isinstance(one, Deposited)]
        EntryLog.open(disk, SESSION, at=0).close()
        verify_log(disk)
    except IntegrityError as error:
        return f"the start is refused: {error}"
    if found[: len(safe)] != safe:
        return f"{len(safe)} entries were acknowledged, {len(found)} are there"
    if found != written[: len(found)]:
        return "something is there that was never written"
    safe[:] = found
    return ""
