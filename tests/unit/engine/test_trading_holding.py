"""What holding costs stands in the journal under its own name: funding, swap or borrow (COST-10)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.engine.trading_tens import SET, A, S, bar, filled, kinds, make, order

from foresail.domain.instruments import AssetClass
from foresail.engine.trading.parts import Decision
from foresail.ledger.entries import HoldingCharged, HoldingKind


@pytest.mark.parametrize(
    ("asset_class", "kind", "expected"),
    [
        (AssetClass.FOREX, "spot", HoldingKind.SWAP),
        (AssetClass.CRYPTO, "perp", HoldingKind.FUNDING),
        (AssetClass.CRYPTO, "spot", HoldingKind.BORROW),
        (AssetClass.STOCK, "spot", HoldingKind.BORROW),
    ],
)
def test_each_asset_class_pays_its_own_kind_of_holding(
    asset_class: AssetClass, kind: str, expected: HoldingKind
) -> None:
    record = replace(SET[A], asset_class=asset_class, kind=kind)
    core = make(
        lambda call: Decision(), instruments={A: record}, holding_cost=lambda held, value, since, until: Decimal("0.25")
    )
    core.deposit(0, Decimal(1000))
    core.intend(S, [order(A, S)])
    filled(core, order(A, S), S)
    bar(core, 2 * S, 0)
    (charged,) = kinds(core, HoldingCharged)
    assert (charged.kind, charged.amount, charged.instrument) == (expected, Decimal("0.25"), A)
