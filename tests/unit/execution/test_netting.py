"""Netting of several strategies on one account."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.execution.netting import StrategyTarget, net_targets, share_fill

AAA, BBB = InstrumentId("AAA~1"), InstrumentId("BBB~1")
ONE = Decimal(1)


def test_opposite_wishes_net_and_never_meet_at_the_venue() -> None:
    plan = net_targets([StrategyTarget("a", AAA, Decimal(100)), StrategyTarget("b", AAA, Decimal(-40))], {}, 0)
    assert plan.quantities == {AAA: Decimal(60)}
    assert plan.changes == {AAA: {"a": Decimal(100), "b": Decimal(-40)}}
    assert plan.crossed == {AAA: Decimal(40)}


def test_a_silent_strategy_keeps_its_book() -> None:
    held = {("a", AAA): Decimal(10), ("b", AAA): Decimal(5), ("b", BBB): Decimal(7)}
    plan = net_targets([StrategyTarget("a", AAA, Decimal(0))], held, 0)
    assert plan.quantities == {AAA: Decimal(5), BBB: Decimal(7)}
    assert plan.changes == {AAA: {"a": Decimal(-10)}}
    assert plan.crossed == {}


def test_an_expired_wish_is_dropped_and_noted() -> None:
    wish = StrategyTarget("a", AAA, Decimal(100), expires_at=50)
    plan = net_targets([wish], {("a", AAA): Decimal(3)}, 50)
    assert plan.quantities == {AAA: Decimal(3)}
    assert plan.changes == {}
    assert plan.notes == ((AAA, "a: the signal has expired, its holding stays as it is"),)
    assert net_targets([wish], {}, 49).quantities == {AAA: Decimal(100)}


def test_a_full_cross_needs_no_order() -> None:
    held = {("a", AAA): Decimal(10)}
    plan = net_targets([StrategyTarget("a", AAA, Decimal(0)), StrategyTarget("b", AAA, Decimal(10))], held, 0)
    assert plan.quantities == {AAA: Decimal(10)}
    assert share_fill(plan.changes[AAA], Decimal(0), ONE) == {"a": Decimal(-10), "b": Decimal(10)}


def test_wrong_input_is_refused() -> None:
    wish = StrategyTarget("a", AAA, ONE)
    with pytest.raises(ConfigError, match="twice"):
        net_targets([wish, wish], {}, 0)
    with pytest.raises(ConfigError, match="finite"):
        net_targets([StrategyTarget("a", AAA, Decimal("NaN"))], {}, 0)
    for filled in (Decimal(-1), Decimal(2)):
        with pytest.raises(ConfigError, match="cannot come from"):
            share_fill({"a": ONE}, filled, ONE)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-500, 500), min_size=1, max_size=6), st.integers(0, 100))
def test_shares_add_up_to_the_fill_and_never_exceed_a_wish(units: list[int], percent: int) -> None:
    changes = {f"s{i}": Decimal(one) for i, one in enumerate(units)}
    net = sum(units)
    filled = Decimal(abs(net) * percent // 100) * (1 if net >= 0 else -1)
    shares = share_fill(changes, filled, ONE)
    assert sum(shares.values()) == filled
    assert set(shares) == set(changes)
    for name, share in shares.items():
        assert share * changes[name] >= 0
        assert abs(share) <= abs(changes[name])
    if filled == net:
        assert shares == changes
