"""Rates out of the data of a run: exchange rates from the set's own pairs, and what holding cost from facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.facts import FactTable
from foresail.execution.carry import CarrySeries, SwapRates
from foresail.execution.costs import CostModel

__all__ = ["account_rates", "carried_costs", "carry_series"]

_DIGITS = 10  # of a rate; money is rounded where it is booked


def account_rates(names: Sequence[InstrumentId], prices: FloatArray, currency: str) -> dict[str, Decimal]:
    """Return account currency per unit of other currencies, from the pairs of the set that quote one against the other.

    Parameters
    ----------
    names : (N,) ids; only ``fx.BASE-QUOTE`` pairs with the account's currency on one side count
    prices : (N,) last known prices
    """
    rates: dict[str, Decimal] = {}
    for name, price in zip(names, prices, strict=True):
        if not name.startswith("fx.") or not price > 0:
            continue
        base, _, quote = name[3:].partition("~")[0].partition("-")
        if quote == currency:
            rates[base] = Decimal(repr(round(float(price), _DIGITS)))
        elif base == currency:
            rates[quote] = Decimal(repr(round(1.0 / float(price), _DIGITS)))
    return rates


def carried_costs(costs: CostModel, facts: Mapping[str, FactTable]) -> CostModel:
    """Return a cost model with every series of carry that the facts of a run hold; the same model without any."""
    series = [carry_series(table) for _name, table in sorted(facts.items())]
    funding = {name: rows for one in series for name, rows in one.funding.items()}
    swaps = {name: rows for one in series for name, rows in one.swaps.items()}
    borrow = {name: rows for one in series for name, rows in one.borrow.items()}
    return costs.with_carry(CarrySeries(funding, swaps, borrow)) if funding or swaps or borrow else costs


def carry_series(table: FactTable) -> CarrySeries:
    """Return what a table of facts says about holding, by instrument.

    Fields are ``funding_rate`` (fraction of the interval, paid at the event time), ``swap_long`` and ``swap_short``
    (quote currency per unit and night, from the event time on) and ``borrow_rate`` (fraction a year, from the event
    time on). Of several vintages of one value the newest counts: money was paid at the rate that held, whenever that
    was published.
    """
    funding = _rows(table, "funding_rate")
    long, short = _rows(table, "swap_long"), _rows(table, "swap_short")
    swaps = {}
    for name in sorted(long.keys() & short.keys()):
        other = dict(short[name])
        swaps[name] = tuple((at, SwapRates(rate, other[at])) for at, rate in long[name] if at in other)
    return CarrySeries(funding, {name: rows for name, rows in swaps.items() if rows}, _rows(table, "borrow_rate"))


def _rows(table: FactTable, field: str) -> dict[InstrumentId, tuple[tuple[int, Decimal], ...]]:
    """Return (event time, newest value) of a field by instrument; names without any are left out."""
    if field not in table.fields:
        return {}
    found: dict[InstrumentId, dict[int, Decimal]] = {}
    values = table.values[:, table.fields.index(field)]
    for code, at, value in zip(table.code.tolist(), table.event_time.tolist(), values.tolist(), strict=True):
        if math.isfinite(value):
            found.setdefault(table.instruments[code], {})[at] = Decimal(repr(value))
    return {name: tuple(sorted(rows.items())) for name, rows in found.items()}
