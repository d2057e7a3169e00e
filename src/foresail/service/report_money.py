"""Money in the account's currency: what trades earned, what every kind of cost took, what each sector brought.

Costs are booked in the quote currency of the instrument. Where that is not the account's, they are converted at the
rate of the bar in which they were booked, from the pairs of the set itself, as the books do at every mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.signals import Side
from foresail.engine.pipeline import PipelineResult
from foresail.engine.rates import account_rates
from foresail.ledger.entries import DividendPaid, FillBooked, HoldingCharged, HoldingKind, Marked, SplitApplied
from foresail.ledger.splits import split_quantity

__all__ = ["CostFigures", "CostKind", "Rates", "cost_figures", "profit_by_instrument", "trade_rates"]

_ZERO, _ONE = Decimal(0), Decimal(1)
_HOLDING = {
    HoldingKind.BORROW: "Borrowing",
    HoldingKind.MARGIN: "Margin interest",
    HoldingKind.FUNDING: "Funding",
    HoldingKind.SWAP: "Swap",
    HoldingKind.TRANSFER: "Transfers",
}


class Rates:
    """Account currency per unit of an instrument's quote currency, at the close of any bar."""

    def __init__(self, result: PipelineResult) -> None:
        bars = result.data.bars
        self._currency = result.settings.currency
        self._of = {one.id: one.currency for one in result.data.bar_set.instruments}
        self._names = bars.instruments
        self._ends = bars.end
        self.is_needed = any(self._of[name] != self._currency for name in self._names)
        self._close = _carried(bars.field("close")) if self.is_needed else np.empty((0, 0))
        self._known: dict[int, dict[str, Decimal]] = {}

    def at(self, instrument: InstrumentId | None, at_ns: int) -> Decimal:
        """Return the rate that held at an instant (ns UTC): that of the last bar which had closed by then."""
        if instrument is None or not self.is_needed or self._of[instrument] == self._currency:
            return _ONE
        position = max(0, int(np.searchsorted(self._ends, at_ns, side="right")) - 1)
        if position not in self._known:
            self._known[position] = account_rates(self._names, self._close[:, position], self._currency)
        return self._known[position].get(self._of[instrument], _ONE)


def _carried(values: FloatArray) -> FloatArray:
    """Return (N, T) with every hole filled by the last value before it, for rates only."""
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(values.shape[1]), -1), axis=1)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    carried: FloatArray = np.where(last >= 0, found, np.nan)
    return carried


def trade_rates(result: PipelineResult) -> Sequence[Decimal]:
    """Return the rate of each trade of the backtest, when it was closed (or at the end of the record)."""
    rates, last = Rates(result), int(result.data.bars.end[-1])
    found = result.backtest.trades
    return [rates.at(t.instrument, last if t.closed_at is None else t.closed_at) for t in found]


@dataclass(frozen=True, slots=True)
class CostKind:
    """One kind of cost: ``money`` paid in all, ``annual`` as a fraction of mean equity a year."""

    key: str
    label: str
    money: float
    annual: float


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What trading cost, account currency.

    Attributes
    ----------
    turnover : money traded one way (half of buys and sells) over mean equity, a year
    commission_impact : commission and fees over the profits before costs of the winning trades (REP-01)
    total : of all kinds
    """

    kinds: tuple[CostKind, ...]
    turnover: float
    commission_impact: float
    total: float


def cost_figures(result: PipelineResult) -> CostFigures:
    """Return what was paid, by kind, and how much was traded."""
    book, rates = result.backtest, Rates(result)
    equity = book.net[book.first :]
    years = max(len(equity) - 1, 1) / book.bars_per_year
    mean = float(equity.mean()) if len(equity) else math.nan
    fees = sum((f.fee * rates.at(f.instrument, f.filled_at) for f in book.fills), _ZERO)
    slipped = sum((f.slippage * rates.at(f.instrument, f.filled_at) for f in book.fills), _ZERO)
    traded = sum((f.quantity * f.price * rates.at(f.instrument, f.filled_at) for f in book.fills), _ZERO)
    held: dict[HoldingKind, Decimal] = {}
    for entry in book.journal:
        if isinstance(entry, HoldingCharged):
            held[entry.kind] = held.get(entry.kind, _ZERO) + entry.amount * rates.at(entry.instrument, entry.at)
    paid = [("fees", "Commission and regulatory fees", fees), ("slippage", "Slippage and half-spread", slipped)]
    paid += [(kind.value, _HOLDING[kind], held[kind]) for kind in HoldingKind if kind in held]
    won = sum(max(0.0, float(t.gross_profit * rate)) for t, rate in zip(book.trades, trade_rates(result), strict=True))
    return CostFigures(
        kinds=tuple(CostKind(k, label, float(m), float(m) / years / mean) for k, label, m in paid),
        turnover=float(traded) / 2 / years / mean,
        commission_impact=float(fees) / won if won > 0 else math.nan,
        total=float(sum((m for _, _, m in paid), _ZERO)),
    )


def profit_by_instrument(result: PipelineResult) -> FloatArray:
    """Return what each instrument brought at each bar from the first judged one on, (N, T'), account currency.

    Costs and dividends are in; over the instruments it adds up to the change of net equity.
    """
    book, rates = result.backtest, Rates(result)
    names = result.data.bars.instruments
    row = {name: i for i, name in enumerate(names)}
    by_id = {one.id: one for one in result.data.bar_set.instruments}
    cash, units = [_ZERO] * len(names), [_ZERO] * len(names)
    marks: list[list[float]] = []
    for entry in book.journal:
        if isinstance(entry, FillBooked):
            i = row[entry.fill.instrument]
            signed = entry.fill.quantity if entry.fill.side is Side.BUY else -entry.fill.quantity
            units[i] += signed
            cash[i] -= signed * entry.fill.price * entry.multiplier + entry.fill.fee
        elif isinstance(entry, DividendPaid):
            cash[row[entry.instrument]] += units[row[entry.instrument]] * entry.per_unit
        elif isinstance(entry, SplitApplied):
            i = row[entry.instrument]
            units[i], fraction = split_quantity(units[i], entry.ratio, entry.lot)
            cash[i] += fraction * entry.price
        elif isinstance(entry, HoldingCharged) and entry.instrument is not None:
            cash[row[entry.instrument]] -= entry.amount
        elif isinstance(entry, Marked):
            worth = list(cash)
            for name, price in entry.prices:
                worth[row[name]] += units[row[name]] * price * by_id[name].multiplier
            told = zip(names, worth, strict=True)
            marks.append([float(w * rates.at(n, entry.at)) if w else 0.0 for n, w in told])
    worth_at = np.array(marks, dtype=np.float64).reshape(-1, len(names)).T
    profit: FloatArray = np.diff(worth_at, axis=1, prepend=0.0)
    return profit
