"""What a batch carries forward in steps is what one look at all of it gives, for random batches."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.ids import InstrumentId, OrderId
from foresail.core.seeds import generator
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import Order, OrderKind, Ruling
from foresail.domain.signals import Side
from foresail.risk.days import day_span
from foresail.risk.exposure import allow, asset_class_of, class_value, gross_value, sector_value
from foresail.risk.projected import Projected

NAMES = tuple(InstrumentId(name) for name in ("stock.US.A", "stock.US.B", "crypto.X.C-USD", "fx.EUR-USD"))
KNOWN = {name: Instrument(name, name, AssetClass.STOCK, sector=f"s{i % 2}") for i, name in enumerate(NAMES)}


def order(rng: np.random.Generator, number: int) -> Order:
    side = Side.BUY if rng.random() < 0.6 else Side.SELL
    units = Decimal(int(rng.integers(1, 9)))
    return Order(OrderId(f"{number}"), NAMES[int(rng.integers(4))], side, units, OrderKind.MARKET, 0)


def view(held: dict[InstrumentId, Decimal], cash: Decimal, waiting: list[tuple[Order, Decimal]]) -> SimpleNamespace:
    positions = tuple(Position(name, units, Decimal(5), 0) for name, units in held.items() if units)
    return SimpleNamespace(
        account=Account("t", "USD", cash, Decimal(10_000), positions, 0),
        price=lambda name: 10.0 + NAMES.index(name),
        sector=lambda name: KNOWN[name].sector,
        open_orders=lambda: waiting,
    )


def test_units_whose_fills_have_not_come_count_like_open_orders():
    seen = view({NAMES[0]: Decimal(-21)}, Decimal(500), [])
    seen.missing = lambda: [(NAMES[0], Decimal(-1)), (NAMES[1], Decimal(2))]
    found = Projected(seen, KNOWN)
    assert (found.position_units(NAMES[0]), found.position_units(NAMES[1])) == (-22.0, 2.0)
    assert found.account.cash == 500 - 2 * 11


@pytest.mark.parametrize("seed", range(60))
def test_a_batch_in_steps_is_the_batch_as_open_orders(seed: int) -> None:
    rng = generator(seed, "batches")
    held = {name: Decimal(int(rng.integers(-5, 9))) for name in NAMES}
    waiting = [(one := order(rng, k), one.quantity) for k in range(int(rng.integers(3)))]
    seen = view(held, Decimal(500), waiting)
    stepped = Projected(seen, KNOWN)
    passed: list[tuple[Order, Decimal]] = []
    for k in range(5):
        new = order(rng, 10 + k)
        stepped.open(new, new.quantity)
        passed.append((new, new.quantity))
        whole = Projected(view(held, Decimal(500), [*waiting, *passed]), KNOWN)
        assert dict(stepped.values()) == dict(whole.values())
        quantities = [{p.instrument: p.quantity for p in one.account.positions} for one in (stepped, whole)]
        assert quantities[0] == quantities[1]
        for own in AssetClass:
            plain = SimpleNamespace(account=stepped.account, price=seen.price)
            by_hand = gross_value(plain, lambda name, c=own: asset_class_of(name) is c)
            assert class_value(stepped, own) == class_value(whole, own) == pytest.approx(by_hand)
        for sector in ("s0", "s1"):
            assert sector_value(stepped, sector) == sector_value(whole, sector)


def test_the_ruling_that_changes_nothing_is_an_ordinary_one():
    one = order(generator(1, "one"), 1)
    ruling = allow("rule", one)
    assert ruling == Ruling("rule", one.quantity)
    assert ruling.quantity is one.quantity
    assert replace(ruling, text="x").text == "x"
    with pytest.raises(AttributeError):
        ruling.text = "y"  # type: ignore[misc]


def test_the_span_of_a_day_does_not_depend_on_what_was_asked_before():
    noon = 1_710_072_000 * 10**9  # 10 March 2024, when New York's clocks went forward
    hour = 3_600 * 10**9
    for boundary in ("utc", "new_york", "forex"):
        forward = [day_span(noon + k * hour, boundary) for k in range(-60, 60)]
        backward = [day_span(noon + k * hour, boundary) for k in reversed(range(-60, 60))]
        assert forward == backward[::-1]
        for k, (_day, first, last) in zip(range(-60, 60), forward, strict=True):
            assert first <= noon + k * hour < last
