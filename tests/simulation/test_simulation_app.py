"""The trading core under simulated faults, and the planted bugs that fit any core."""

from __future__ import annotations

import os

import pytest

from foresail.testing.simulation.bugs import planted_bugs
from foresail.testing.simulation.faults import FaultMix
from foresail.testing.simulation.planting import PlantedBug
from foresail.testing.simulation.settings import WorldSettings
from foresail.testing.simulation.trading import make_trading_core
from foresail.testing.simulation.world import run_seed

APP = WorldSettings(make_core=make_trading_core)
SEEDS = 150
BUG_SEEDS = 150
# The trading core is immune to it: it asks by itself when an order ends with other fills than it knows of.
NOT_HERE = ("differing ends are not asked about",)


def test_no_seed_breaks_an_invariant():
    for seed in range(int(os.environ.get("FORESAIL_APP_SEEDS", SEEDS))):
        outcome = run_seed(seed, APP)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"


def test_rules_that_fail_and_venues_that_lie_break_nothing():
    for seed in range(40):
        for mix in (
            FaultMix(rule_fault=0.2),
            FaultMix(lie=0.5),
            FaultMix(rule_fault=0.1, lie=0.4, kill=0.2, delay=0.2),
        ):
            outcome = run_seed(seed, APP, mix)
            assert not outcome.violation, f"seed {seed}: {outcome.violation}"


def test_the_same_seed_is_the_same_run():
    assert [run_seed(seed, APP).digest for seed in range(5)] == [run_seed(seed, APP).digest for seed in range(5)]


def shows_here(bug: PlantedBug) -> bool:
    """Whether a bug can be planted under the trading core, and that core is not immune to it."""
    is_own = not (bug.fits_reference or bug.fits_account)
    return (bug.fits_all or is_own) and bug.name not in NOT_HERE


@pytest.mark.parametrize("bug", [one for one in planted_bugs() if shows_here(one)], ids=lambda bug: bug.name)
def test_planted_bugs_are_caught_under_the_trading_core_too(bug):
    with bug.planted():
        caught = next((seed for seed in range(BUG_SEEDS) if run_seed(seed, APP, bug.mix).violation), None)
    assert caught is not None, f"{bug.name} ({bug.family}) was not caught within {BUG_SEEDS} seeds"
    assert not run_seed(caught, APP, bug.mix).violation, "the bug is still planted"
