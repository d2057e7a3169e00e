"""What continuous integration runs in breadth: 10,000 seeds of the core, 1,000 of the trading core, crash images."""

from __future__ import annotations

import pytest

from foresail.testing.simulation.images import judge_image
from foresail.testing.simulation.settings import WorldSettings
from foresail.testing.simulation.trading import make_trading_core
from foresail.testing.simulation.world import run_seed

APP = WorldSettings(make_core=make_trading_core)


@pytest.mark.parametrize("first", range(1_000, 11_000, 1_000))
def test_ten_thousand_seeds_of_the_core(first: int) -> None:
    for seed in range(first, first + 1_000):
        outcome = run_seed(seed)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"


@pytest.mark.parametrize("first", range(1_000, 2_000, 250))
def test_a_thousand_seeds_of_the_trading_core(first: int) -> None:
    for seed in range(first, first + 250):
        outcome = run_seed(seed, APP)
        assert not outcome.violation, f"seed {seed}: {outcome.violation}"


def test_every_acknowledged_entry_survives_every_crash_image() -> None:
    for seed in range(1_000):
        assert judge_image(seed) == "", f"seed {seed}"


def test_without_syncs_most_crash_images_lose_entries() -> None:
    assert sum(bool(judge_image(seed, syncs=False)) for seed in range(60)) >= 30
