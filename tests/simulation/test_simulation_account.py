"""A whole account, interrupted and not: the same story, and every judge content; planted bugs are found in it."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from foresail.ledger import entries as kinds
from foresail.testing.disk import PessimisticDisk
from foresail.testing.simulation.account import AccountStream, live_through, run_account
from foresail.testing.simulation.bugs import planted_bugs

SEEDS = int(os.environ.get("FORESAIL_ACCOUNT_SEEDS", "20"))
BUG_SEEDS = 40
RARE = (
    kinds.AlertRaised, kinds.BreakerReset, kinds.BreakerTripped, kinds.CancelIntended, kinds.Deposited,
    kinds.DividendPaid, kinds.FactKnown, kinds.HoldingCharged, kinds.LevelsSet, kinds.LimitsLoaded,
    kinds.OperatorActed, kinds.OrderExpired, kinds.OrderReplaced, kinds.ReductionBegun, kinds.ReductionEnded,
    kinds.SharesPlanned, kinds.SignalsRenewed, kinds.SliceStarted, kinds.SliceStopped, kinds.SplitApplied,
    kinds.TradingHalted, kinds.TradingResumed,
)  # fmt: skip


def test_an_interrupted_account_tells_the_story_of_an_uninterrupted_one():
    for seed in range(SEEDS):
        wrong = run_account(seed)
        assert not wrong, f"seed {seed}: {wrong}"


def test_the_accounts_visit_what_they_are_judged_on():
    seen: Counter[type] = Counter()
    for seed in range(12):
        _run, entries = live_through(AccountStream(seed), PessimisticDisk(seed), snapshot_every=10_000)
        seen.update(type(one) for one in entries)
    assert not [kind.__name__ for kind in RARE if seen[kind] < 2]


@pytest.mark.parametrize("bug", [one for one in planted_bugs() if one.fits_account], ids=lambda bug: bug.name)
def test_bugs_planted_in_an_account_are_caught(bug):
    caught = bug.caught(BUG_SEEDS)
    assert caught is not None, f"{bug.name} ({bug.family}) was not caught within {BUG_SEEDS} seeds"
    assert not bug.violation(caught), "the bug is still planted, or the seed finds something without it"
