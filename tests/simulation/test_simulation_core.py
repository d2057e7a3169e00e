"""Orders, ledger and risk under simulated faults: no violation, every fault met, the same seed the same run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from foresail.testing.simulation.bugs import planted_bugs
from foresail.testing.simulation.faults import CALM, FaultMix
from foresail.testing.simulation.settings import WorldSettings
from foresail.testing.simulation.world import run_seed

FAULTS = [
    "drop_request", "drop_response", "delay", "duplicate_request", "duplicate_report", "partial", "early_fill",
    "late_fill", "reject", "never_answer", "silent_fill", "bust", "correct", "overfill", "late_reject", "lie",
    "power_cut", "kill", "disk_error", "clock_back", "freeze", "operator_kill", "recovery", "resend", "replaced",
    "expired", "fill", "order id repeated", "request too old", "reset", "lost in a reset", "ban",
    "request while banned", "kill_close",
]  # fmt: skip
FAMILIES = [
    "duplicate orders", "lost orders", "missed fills", "double fills", "wrong positions", "state lost on restart",
    "partial fills", "disk full", "clock skew", "silent stall", "old signals", "kill switch", "busts and corrections",
    "replace races", "brackets and OCO", "netting", "slices", "reductions", "expiries", "position levels", "snapshots",
    "limits versions", "breakers", "order rate", "account commands", "funding, borrow and swap", "splits and dividends",
    "currency conversion",
]  # fmt: skip
SEEDS = 400  # here; test_simulation_many runs more, `make soak` most
BUG_SEEDS = 150


def test_no_seed_breaks_an_invariant_and_every_fault_is_met():
    counts: Counter[str] = Counter()
    for seed in range(int(os.environ.get("FORESAIL_SEEDS", SEEDS))):
        outcome = run_seed(seed)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"
        counts.update(outcome.counts)
    assert not [one for one in FAULTS if counts[one] == 0]


def test_without_faults_everything_settles():
    for seed in range(10):
        outcome = run_seed(seed, mix=CALM)
        assert not outcome.violation
        assert outcome.counts["fill"] > 0


def test_the_same_seed_is_the_same_run_in_every_process():
    code = (
        "from foresail.testing.simulation.world import run_seed\n"
        "import sys; sys.stdout.write(' '.join(run_seed(seed).digest for seed in range(12)))"
    )
    told = set()
    for hash_seed in ("0", "1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        told.add(run.stdout)
    assert len(told) == 1
    assert len(set(told.pop().split())) == 12


def test_a_disk_whose_sync_does_nothing_is_noticed_at_once():
    found = [run_seed(seed, WorldSettings(syncs=False)).violation for seed in range(5)]
    assert all("before its intent was durable" in one for one in found)


def test_a_disk_whose_sync_does_nothing_is_noticed_by_what_crashes_lose():
    crashes = FaultMix(power_cut=0.5)
    blind = WorldSettings(syncs=False, looks_at_disk=False)
    honest = WorldSettings(looks_at_disk=False)
    assert sum(bool(run_seed(seed, blind, crashes).violation) for seed in range(30)) >= 10
    assert not any(run_seed(seed, honest, crashes).violation for seed in range(30))


@pytest.mark.parametrize("bug", [one for one in planted_bugs() if one.fits_reference], ids=lambda bug: bug.name)
def test_every_planted_bug_is_caught(bug):
    with bug.planted():
        caught = next((seed for seed in range(BUG_SEEDS) if run_seed(seed, mix=bug.mix).violation), None)
    assert caught is not None, f"{bug.name} ({bug.family}) was not caught within {BUG_SEEDS} seeds"
    assert not run_seed(caught, mix=bug.mix).violation, "the bug is still planted"


def test_the_register_is_large_enough_and_names_are_unique():
    names = [bug.name for bug in planted_bugs()]
    assert len(names) >= 60
    assert len(names) == len(set(names))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_incidents_has_a_planted_bug(family):
    assert family in {bug.family for bug in planted_bugs()}
