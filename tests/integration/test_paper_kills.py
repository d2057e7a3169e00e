"""The paper daemon killed in series: every account ends as one that nobody interrupted, to the cent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from foresail.testing.failpoints import FAILPOINTS

KILLS = int(os.environ.get("FORESAIL_PAPER_KILLS", "200"))
ENOUGH = 150  # kills in which every named place has had its turn several times


def kill(folder: Path, kills: int, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """Kill in a process of its own: lives are forked from it, so it must not have threads."""
    code = f"{before}\nimport sys; from pathlib import Path; from foresail.testing.killpaper import main\n"
    code += "main(Path(sys.argv[1]), int(sys.argv[2]), 1)"
    return subprocess.run(
        [sys.executable, "-c", code, str(folder), str(kills)], capture_output=True, text=True, check=False
    )


def test_killed_in_series_every_account_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    run = kill(tmp_path, KILLS)
    assert run.returncode == 0, run.stderr
    done = json.loads(run.stdout)
    assert done["kills"] == KILLS == sum(done["points"].values())
    assert done["accounts"] >= 1
    assert done["fills"] > 100
    if KILLS >= ENOUGH:
        assert not set(FAILPOINTS) - set(done["points"]), "not every named place was died in"
        assert {"grown", "time"} <= set(done["points"])
        assert done["accounts"] >= 5


FORGETS_WAITING = """
from foresail.engine.trading.simulated import SimulatedLink
right = SimulatedLink.restore
SimulatedLink.restore = lambda link, plain: right(link, {**plain, "waiting": []})
"""
BOOKS_NO_FEE = """
from dataclasses import replace
from decimal import Decimal
from foresail.ledger.books import Books
from foresail.ledger.entries import FillBooked
right = Books.apply
def wrong(books, entry):
    is_fill = isinstance(entry, FillBooked)
    right(books, replace(entry, fill=replace(entry.fill, fee=Decimal(0))) if is_fill else entry)
Books.apply = wrong
"""


@pytest.mark.parametrize(
    ("bug", "kills", "said"),
    [
        (FORGETS_WAITING, 30, "ended with 1 by itself|never booked"),
        (BOOKS_NO_FEE, 0, "is not what its venue did: cash"),
    ],
    ids=["a restart forgets waiting orders", "fees are not booked"],
)
def test_a_daemon_that_is_wrong_is_found_out(tmp_path: Path, bug: str, kills: int, said: str) -> None:
    run = kill(tmp_path, kills, before=bug)
    assert run.returncode != 0
    assert re.search(said, run.stderr), run.stderr
