"""Factor files to dated actions: the split ratio and the cash dividend behind each change of the factors.

A row (date D, price factor p, split factor s, reference price c) holds up to and including D, so what follows went ex
at the next session. Backward convention: ``p[i] / p[i+1] = 1 - cash / c`` with the cash per unit before a split of that
day, and ``s[i+1] / s[i]`` units come of one. Factors are printed to a few digits; walking from the newest row back
with what was already found leaves one digit of doubt for each step, and the dividend is the number with the fewest
decimals that prints as the file does. So a dividend of 0.38 is read as 0.38, not as 0.37998.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.actions import CorporateAction

__all__ = ["FactorRow", "actions_of"]

_HALF_DIGIT = 0.5000001e-7  # of a price factor, which is printed to seven decimals
_SPLIT_DIGIT = 1e-5  # relative: split factors are products of printed ratios, the oldest carry six digits
_MOST_DECIMALS = 10
_LARGEST_PART = 20  # a split of more than twenty parts on either side is kept as printed


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One row of a factor file."""

    day: date
    price_factor: float
    split_factor: float
    reference_price: float


def actions_of(
    instrument: InstrumentId, rows: Sequence[FactorRow], ex_date: Callable[[date], date]
) -> tuple[CorporateAction, ...]:
    """Return the actions behind the rows of one symbol, by ex-date.

    Parameters
    ----------
    rows : by day, the last one with both factors 1
    ex_date : the session after a day

    Raises
    ------
    DataError
        If the last row is not 1, a price factor falls towards the present, or a change has no reference price.
    """
    if not rows:
        return ()
    if (rows[-1].price_factor, rows[-1].split_factor) != (1.0, 1.0):
        raise DataError(
            f"{instrument}: the last factors are {rows[-1].price_factor} and {rows[-1].split_factor}, expected 1 and 1",
            column="price_factor",
            rule="DATA-56",
        )
    found: list[CorporateAction] = []
    chain = 1.0
    for row, following in zip(reversed(rows[:-1]), reversed(rows[1:]), strict=True):
        cash = 0.0
        if row.price_factor != following.price_factor:
            cash = _dividend(instrument, row, chain)
            chain *= 1.0 - cash / row.reference_price
        split = _split(following.split_factor / row.split_factor)
        if cash == 0.0 and split == 1.0:
            continue
        after = cash / split
        found.append(
            CorporateAction(instrument, ex_date(row.day), split, after, row.reference_price, source="factor file")
        )
    return tuple(reversed(found))


def _dividend(instrument: InstrumentId, row: FactorRow, chain: float) -> float:
    """Return the cash whose factor, times the chain of later ones, prints as the row's."""
    exact = (1.0 - row.price_factor / chain) * row.reference_price
    if not (row.reference_price > 0 and exact > 0):
        raise DataError(
            f"{instrument}, {row.day}: the price factor falls from {row.price_factor} towards the present, or there is "
            f"no reference price ({row.reference_price})",
            column="price_factor",
            rule="DATA-56",
        )
    doubt = _HALF_DIGIT * row.reference_price / chain
    for decimals in range(1, _MOST_DECIMALS):
        short = round(exact, decimals)
        if short > 0 and abs(short - exact) <= doubt:
            return short
    return exact


def _split(units: float) -> float:
    """Return the ratio of small whole numbers that the printed factors mean, or the printed one."""
    if units == 1.0:
        return 1.0
    for below in range(1, _LARGEST_PART + 1):
        above = round(units * below)
        if 1 <= above <= _LARGEST_PART and abs(above / below / units - 1.0) < _SPLIT_DIGIT:
            return above / below
    return units
