"""A hundred thousand hostile orders: none leaves that may not, and the judge sees one that does."""

from __future__ import annotations

import foresail.risk.gate as gate_module
from foresail.domain.orders import Ruling
from foresail.testing.hostile_orders import review_hostile


def test_of_a_hundred_thousand_hostile_orders_none_passes():
    tally = review_hostile(7, 100_000, batch=100)
    assert tally.broken == []
    assert tally.orders == 100_000
    assert tally.passed > 1_000  # the tame ones among them do leave
    assert tally.refused > 50_000


def test_the_judge_sees_a_gate_that_checks_no_levels(monkeypatch):
    monkeypatch.setattr(gate_module, "levels_fault", lambda order: "")
    assert review_hostile(7, 2_000).broken


def test_the_judge_sees_a_gate_without_rules(monkeypatch):
    monkeypatch.setattr(gate_module.RiskGate, "_open", lambda self, order, *rest: (order.quantity, (Ruling("x", 0),)))
    assert review_hostile(7, 2_000).broken


def test_the_judge_sees_exits_without_a_cap(monkeypatch):
    monkeypatch.setattr(gate_module.Projected, "exit_room", lambda self, order: order.quantity)
    assert review_hostile(7, 2_000).broken
