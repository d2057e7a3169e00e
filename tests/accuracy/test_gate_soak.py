"""The soak of the gate: a million hostile orders, none passing (about 70 s on one idle core)."""

from __future__ import annotations

import sys

import pytest

from foresail.testing.hostile_orders import review_hostile


@pytest.mark.accuracy
def test_of_a_million_hostile_orders_none_passes():
    tally = review_hostile(11, 1_000_000, batch=100)
    sys.stdout.write(
        f"\norders {tally.orders:,}, left {tally.passed:,}, refused {tally.refused:,}, broken {len(tally.broken)}\n"
    )
    assert tally.broken == []
    assert tally.orders == 1_000_000
