"""Corporate actions: what a company did to one unit of its stock, dated by the day it went ex; and how a listing ends.

Prices stay raw. A split changes how many units one unit became, a dividend is cash; both act at the open of the ex-date
on whoever held the day before. What these mean for adjusted prices is mathematics (``measures.adjustment``), what they
do to a position is bookkeeping (``ledger``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId

__all__ = ["CorporateAction", "DelistingRule", "ListingEnd"]


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """Split and dividend of one instrument on one ex-date; the split acts first.

    Attributes
    ----------
    ex_date : first session whose buyer gets neither
    split : units after one unit before; 1 = none, 0.05 = twenty become one
    dividend : cash per unit after the split, quote currency; 0 = none
    close_before : raw close of the last session before, quote currency; NaN where unknown
    """

    instrument: InstrumentId
    ex_date: date
    split: float = 1.0
    dividend: float = 0.0
    close_before: float = math.nan
    source: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.split) and self.split > 0.0 and math.isfinite(self.dividend)):
            raise DataError(
                f"{self.instrument} {self.ex_date}: expected a split ratio > 0 and a finite dividend, received "
                f"{self.split} and {self.dividend}",
                column="split" if math.isfinite(self.dividend) else "dividend",
                rule="DATA-56",
            )
        if self.dividend < 0.0 or self.dividend * self.split >= self.close_before:
            raise DataError(
                f"{self.instrument} {self.ex_date}: a dividend of {self.dividend} per unit does not fit the close "
                f"before, {self.close_before}",
                column="dividend",
                rule="DATA-56",
                hint="is it in the currency of the prices, and per unit after the split of that day?",
            )

    @property
    def ex_price(self) -> float:
        """Close before, less what left it: the price at which dividends count as reinvested."""
        return self.close_before / self.split - self.dividend

    @property
    def growth(self) -> float:
        """Units that one unit before has become once the dividend is reinvested at ``ex_price``."""
        if self.dividend == 0.0:
            return self.split
        return self.split / (1.0 - self.dividend * self.split / self.close_before)


@dataclass(frozen=True, slots=True)
class ListingEnd:
    """A listing that ended: last session with a print, and what the source says of it."""

    instrument: InstrumentId
    last_date: date
    source: str = ""


@dataclass(frozen=True, slots=True)
class DelistingRule:
    """How a position is closed whose listing has ended.

    Attributes
    ----------
    delisting_return : simple return from the last print to what holders got, fraction; the default 0 pays the last
        print, -0.3 is the usual assumption for delistings for cause [Shumway1997], -1 loses everything
    """

    delisting_return: float = 0.0

    def __post_init__(self) -> None:
        if not -1.0 <= self.delisting_return < math.inf:
            raise ConfigError(
                f"expected a delisting return of -1 or more, received {self.delisting_return}",
                hint="it is a fraction: -0.3 loses thirty per cent of the last print",
            )

    @property
    def text(self) -> str:
        """The rule in words, for reports."""
        if self.delisting_return == 0.0:
            return "listings that ended are closed at their last print"
        return f"listings that ended are closed at {1.0 + self.delisting_return:.0%} of their last print"

    def price(self, last_print: float) -> float:
        """Return what one unit pays, quote currency."""
        return last_print * (1.0 + self.delisting_return)
