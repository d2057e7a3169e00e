"""Real kills and real disk errors: nothing lost, duplicated or forgotten; nothing sent before it is durable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foresail.ledger.orders import OrderStatus
from foresail.testing.failpoints import FAILPOINTS
from foresail.testing.killlab import KillLab
from foresail.testing.simulation.faults import FaultMix

KILLS = int(os.environ.get("FORESAIL_KILLS", "200"))
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
_SENT = re.compile(r'sendto\(.*\{\\"send\\":\{\\"id\\":\\"([0-9a-f]{32})')
_REQUEST = re.compile(r'sendto\(.*\{\\"(send|cancel|replace|ask)\\":')


def test_killed_again_and_again_the_ledgers_agree_to_the_cent(tmp_path: Path) -> None:
    lab = KillLab(tmp_path, seed=1)
    try:
        result = lab.run(KILLS)
    finally:
        lab.close()
    assert result.kills == KILLS
    assert result.orders > KILLS // 4
    assert len(lab.received) >= result.orders
    if KILLS >= 200:
        assert not set(FAILPOINTS) - set(lab.points), "not every named place was died in"


def test_a_venue_that_never_answers_leaves_one_id_unknown_and_reserved_over_five_restarts(tmp_path: Path) -> None:
    lab = KillLab(tmp_path, seed=3, mix=FaultMix(never_answer=1.0))
    try:
        lab.start()
        while not lab.venue.orders:
            assert lab.tick()
        first = dict(lab.venue.orders)
        for _ in range(24):
            assert lab.tick(decides=False)
        for _ in range(5):
            lab.kill()
            lab.start()
            for _ in range(24):
                assert lab.tick()
        core, _ = lab.replayed()
    finally:
        lab.close()
    for name, one in first.items():
        ids = [other for other in lab.venue.orders if lab.venue.orders[other].instrument == one.instrument]
        assert ids == [name], "a second order left while the first was unknown"
        assert lab.received.count(name) == 1
        state = core.orders.get(name)
        assert state is not None
        assert state.status is OrderStatus.UNKNOWN
        assert state.reserved == one.quantity
        assert one.instrument in core.orders.blocked()


def _traced(log: Path, *options: str):
    """Return a launcher that runs the application under strace."""

    def launch(journal: Path, socket: Path) -> int:
        command = ["strace", "-f", "-s", "65536", "-o", str(log), "-e", "trace=write,fdatasync,sendto", *options]
        process = subprocess.Popen(
            [*command, sys.executable, "-m", "foresail.testing.killlab", str(journal), str(socket), "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        return process.pid

    return launch


@needs_strace
def test_in_a_trace_every_order_is_synced_before_it_is_sent(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    lab = KillLab(tmp_path, seed=1, launch=_traced(log))
    try:
        lab.start()
        for _ in range(60):
            assert lab.tick()
    finally:
        lab.close()
    written: set[str] = set()
    synced: set[str] = set()
    sent = []
    for line in log.read_text(errors="replace").splitlines():
        if " write(" in line and "OrderIntended" in line:
            written |= set(re.findall(r"[0-9a-f]{32}", line))
        elif "fdatasync(" in line and line.rstrip().endswith("= 0"):
            synced |= written
        elif found := _SENT.search(line):
            assert found[1] in synced, f"{found[1]} left before its intent was synced"
            sent.append(found[1])
    assert len(sent) >= 5
    assert sent == lab.received[: len(sent)]


@needs_strace
@pytest.mark.parametrize("call", [2, 6, 11, 23])
def test_after_a_failed_sync_nothing_is_sent(tmp_path: Path, call: int) -> None:
    log = tmp_path / "trace"
    lab = KillLab(tmp_path, seed=1, launch=_traced(log, "-e", f"inject=fdatasync:error=EIO:when={call}"))
    try:
        lab.start()
        while lab.tick():
            pass
        status = lab.wait()
    finally:
        lab.close()
    assert os.waitstatus_to_exitcode(status) == 3
    _, _, after = log.read_text(errors="replace").partition("(INJECTED)")
    assert after
    assert not _REQUEST.search(after)
    assert "fdatasync(" not in after, "a second sync could succeed without the data of the first"
