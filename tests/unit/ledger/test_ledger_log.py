"""The journal on disk: durable before effect, torn tails cut, damage refused, one writer."""

from __future__ import annotations

import errno
import subprocess
import sys
from decimal import Decimal

import pytest

from foresail.core.errors import IntegrityError, JournalStoppedError
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import Deposited, SessionStarted
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session, read_entries, verify_log
from foresail.testing.disk import PessimisticDisk, PowerCutError

SESSION = Session("paper", "main", "build", "settings")


def opened(disk, at=0):
    return EntryLog.open(disk, SESSION, at=at)


def pay(log, amount, at=None):
    log.append(Deposited(log.last_at if at is None else at, log.next_sequence, Decimal(amount)))


def amounts(entries):
    return [int(e.amount) for e in entries if isinstance(e, Deposited)]


@pytest.fixture(params=["real", "memory"])
def disk(request, tmp_path):
    made = RealDisk(tmp_path / "journal") if request.param == "real" else PessimisticDisk()
    yield made
    made.close()


def test_what_was_committed_is_read_again(disk):
    log = opened(disk, at=5)
    for amount in (1, 2, 3):
        pay(log, amount)
    log.commit()
    pay(log, 4, at=9)
    log.commit()
    pay(log, 5)  # never committed
    log.close()
    again = opened(disk, at=3)
    assert amounts(again.recovery.entries) == [1, 2, 3, 4]
    assert (again.recovery.epoch, again.recovery.cut) == (2, 0)
    assert again.last_at == 9  # the clock may go back, the journal does not
    assert verify_log(disk)[0] == 6
    assert [e.epoch for e in read_entries(disk) if isinstance(e, SessionStarted)] == [1, 2]


def test_a_start_reads_the_snapshot_and_what_came_after(disk):
    log = opened(disk)
    for amount in range(50):
        pay(log, amount)
        log.commit()
    log.snapshot({"sum": 1225})
    pay(log, 50)
    log.commit()
    log.close()
    again = opened(disk)
    assert again.recovery.state == {"sum": 1225}
    assert amounts(again.recovery.entries) == [50]
    assert amounts(read_entries(disk)) == list(range(51))
    assert again.next_sequence == 1 + 50 + 1 + 1


def test_an_unreadable_snapshot_gives_way_to_the_one_before():
    disk = PessimisticDisk()
    log = opened(disk)
    for amount in range(3):
        pay(log, amount)
        log.snapshot({"until": amount})
    log.close()
    disk.flip("snapshot-00000004.json", 70)
    again = opened(disk)
    assert again.recovery.state == {"until": 1}
    assert amounts(again.recovery.entries) == [2]


def test_a_segment_that_grew_large_is_followed_by_another(monkeypatch):
    monkeypatch.setattr("foresail.ledger.log._SEGMENT_BYTES", 400)
    disk = PessimisticDisk()
    log = opened(disk)
    for amount in range(20):
        pay(log, amount)
        log.commit()
    log.close()
    assert len(disk.names()) > 3
    assert amounts(opened(disk).recovery.entries) == list(range(20))


def test_a_second_writer_is_refused(tmp_path):
    first = RealDisk(tmp_path)
    opened(first)
    code = (
        "import sys; from pathlib import Path; from foresail.ledger.disk import RealDisk\n"
        "try: RealDisk(Path(sys.argv[1])).lock()\n"
        "except Exception as e: print(e)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert "in use by another process" in told
    with pytest.raises(IntegrityError, match="in use"):
        opened(RealDisk(tmp_path))
    first.close()


def test_another_account_is_refused(disk):
    opened(disk).close()
    with pytest.raises(IntegrityError, match="belongs to paper account main"):
        EntryLog.open(disk, Session("live", "main", "build", "settings"), at=0)
    opened(disk)  # the refusal left the folder free


@pytest.mark.parametrize("number", [4, 5, 6, 7])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_the_first_failure_stops_the_log_for_good(number, error):
    disk = PessimisticDisk(fail_at=number, error=error)
    log = opened(disk)  # three operations: create, append, sync
    told = []

    def write():
        for amount in range(3):
            pay(log, amount)
            log.commit()
            told.append(amount)

    with pytest.raises(JournalStoppedError, match="could not be made durable"):
        write()
    calls = len(disk.calls)
    with pytest.raises(JournalStoppedError, match="stopped earlier"):
        log.commit()
    with pytest.raises(JournalStoppedError):
        pay(log, 9)
    assert len(disk.calls) == calls  # no sync was tried again
    assert amounts(read_entries(disk))[: len(told)] == told


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_disk_that_fails_while_opening_stops_before_anything_is_sent(number):
    with pytest.raises(JournalStoppedError):
        opened(PessimisticDisk(fail_at=number))


def lives(seed, *, syncs=True):
    """Write with power cuts at random places; return (acknowledged, found after the last restart)."""
    acknowledged, amount, disk = [], 0, PessimisticDisk(seed, syncs=syncs)
    for life in range(4):
        disk._crash_at = disk.operations + 2 + (seed * 7 + life * 13) % 17
        try:
            log = opened(disk)
            while True:
                group = []
                for _ in range(1 + amount % 3):
                    pay(log, amount)
                    group.append(amount)
                    amount += 1
                if amount % 5 == 0:
                    log.snapshot({"next": amount})
                else:
                    log.commit()
                acknowledged.extend(group)
        except PowerCutError:
            disk = disk.image()
    return acknowledged, amounts(read_entries(disk))


@pytest.mark.parametrize("seed", range(60))
def test_power_cuts_lose_nothing_that_was_acknowledged(seed):
    acknowledged, found = lives(seed)
    assert [a for a in found if a in set(acknowledged)] == acknowledged
    assert len(set(found)) == len(found)


def test_without_sync_the_same_test_would_fail():
    """The disk model can tell: pretending to sync loses acknowledged entries."""
    lost = 0
    for seed in range(60):
        try:
            acknowledged, found = lives(seed, syncs=False)
        except (IntegrityError, KeyError):
            lost += 1
            continue
        lost += [a for a in found if a in set(acknowledged)] != acknowledged
    assert lost > 30


def test_any_flipped_bit_before_the_tail_is_refused():
    disk = PessimisticDisk()
    log = opened(disk)
    for amount in range(4):
        pay(log, amount)
        log.commit()
    log.close()
    size = len(disk.read("journal-00000001.log"))
    last = len(disk.read("journal-00000001.log")) - 120  # inside the last frame it may pass for a torn tail
    for place in range(0, last, 7):
        damaged = disk.image()
        damaged.flip("journal-00000001.log", place)
        with pytest.raises(IntegrityError, match=r"damaged|header|lacks"):
            opened(damaged)
        assert len(damaged.read("journal-00000001.log")) == size  # nothing was repaired in place


def test_a_lost_segment_is_told():
    disk = PessimisticDisk()
    log = opened(disk)
    log.snapshot({})
    log.snapshot({})
    log.close()
    disk.remove("journal-00000002.log")
    with pytest.raises(IntegrityError, match="lacks segments"):
        opened(disk)
