"""Series of funding, swap and borrow rates decide what holding costs; assumptions stand in where there is none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Position
from foresail.domain.facts import FactTable
from foresail.domain.instruments import AssetClass
from foresail.engine.rates import carried_costs, carry_series
from foresail.execution.carry import CarrySeries, SwapRates
from foresail.execution.costs import CostModel

D = Decimal
HOUR = 3600 * 10**9
DAY = 24 * HOUR
PERP, PAIR, STOCK = InstrumentId("crypto.X.BTC-USDT.perp"), InstrumentId("fx.EUR-USD"), InstrumentId("stock.US.AAA")


def position(name: InstrumentId, units: int) -> Position:
    return Position(name, D(units), D(100), 0)


def facts(name: InstrumentId, rows: list[tuple[int, dict[str, float]]]) -> FactTable:
    fields = tuple(sorted({key for _at, values in rows for key in values}))
    at = np.array([one for one, _values in rows], dtype=np.int64)
    values = np.array([[row.get(key, np.nan) for key in fields] for _at, row in rows])
    zero = np.zeros(len(rows), dtype=np.int64)
    return FactTable((name,), zero, at, at, zero, fields, values)


def test_funding_is_paid_and_received_at_the_rates_that_held() -> None:
    series = CarrySeries(funding={PERP: ((8 * HOUR, D("0.0003")), (16 * HOUR, D("-0.0001")), (24 * HOUR, D("0.0002")))})
    costs = CostModel.of_class(AssetClass.CRYPTO).with_carry(series)
    assert costs.holding_cost(position(PERP, 2), D(1000), 0, 16 * HOUR) == D("0.2")
    assert costs.holding_cost(position(PERP, -2), D(1000), 0, 16 * HOUR) == D("-0.2")
    assert costs.holding_cost(position(PERP, 2), D(1000), 8 * HOUR, 9 * HOUR) == 0
    parts = [costs.holding_cost(position(PERP, 2), D(1000), k * HOUR, (k + 1) * HOUR) for k in range(24)]
    assert sum(parts, D(0)) == costs.holding_cost(position(PERP, 2), D(1000), 0, 24 * HOUR) == D("0.4")
    assert costs.scaled(2).holding_cost(position(PERP, 2), D(1000), 0, 24 * HOUR) == D("0.8")


def test_without_a_series_the_assumption_holds() -> None:
    other = InstrumentId("crypto.X.ETH-USDT.perp")
    costs = CostModel.of_class(AssetClass.CRYPTO).with_carry(CarrySeries(funding={PERP: ()}))
    assert costs.holding_cost(position(other, -1), D(1000), 0, 8 * HOUR) == D("0.1")
    assert costs.holding_cost(position(PERP, -1), D(1000), 0, 8 * HOUR) == 0


def test_swap_rolls_at_five_in_new_york_and_thrice_on_wednesday() -> None:
    monday = int(datetime(2024, 1, 8, tzinfo=UTC).timestamp()) * 10**9
    costs = CostModel.of_class(AssetClass.FOREX).with_carry(
        CarrySeries(swaps={PAIR: ((monday - 30 * DAY, SwapRates(D("0.00007"), D("-0.00002"))),)})
    )
    week = (monday, monday + 5 * DAY)
    assert costs.holding_cost(position(PAIR, 10_000), D(11_000), *week) == D("0.00007") * 10_000 * 7
    assert costs.holding_cost(position(PAIR, -10_000), D(11_000), *week) == D("-0.00002") * 10_000 * 7
    before = (monday - 60 * DAY, monday - 59 * DAY)  # rates are not known yet: the yearly assumption
    assert costs.holding_cost(position(PAIR, 10_000), D(11_000), *before) > 0


def test_a_short_pays_the_borrow_rate_of_the_day() -> None:
    year = 365 * DAY
    costs = CostModel.of_class(AssetClass.STOCK).with_carry(CarrySeries(borrow={STOCK: ((year, D("0.30")),)}))
    assert costs.holding_cost(position(STOCK, -5), D(500), year, 2 * year) == 150
    assert costs.holding_cost(position(STOCK, -5), D(500), 0, year) == D("2.5")
    assert costs.holding_cost(position(STOCK, 5), D(500), year, 2 * year) == 0


def test_facts_become_series_and_the_newest_vintage_counts() -> None:
    table = facts(PERP, [(8 * HOUR, {"funding_rate": 0.0001}), (8 * HOUR, {"funding_rate": 0.0005}), (16 * HOUR, {})])
    assert carry_series(table).funding == {PERP: ((8 * HOUR, D("0.0005")),)}
    swaps = facts(PAIR, [(DAY, {"swap_long": 0.0001, "swap_short": -0.00005}), (2 * DAY, {"swap_long": 0.0002})])
    assert carry_series(swaps).swaps == {PAIR: ((DAY, SwapRates(D("0.0001"), D("-5e-05"))),)}
    costs = CostModel.of_class(AssetClass.CRYPTO)
    assert carried_costs(costs, {}) is costs
    wired = carried_costs(costs, {"funding": table, "swap": swaps})
    assert wired.holding_cost(position(PERP, 1), D(1000), 0, 8 * HOUR) == D("0.5")
