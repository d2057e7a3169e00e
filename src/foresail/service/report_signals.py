"""The newest ranked signals, ready to be read, and what the confidence filter would have earned."""

from __future__ import annotations

import math

import numpy as np

from foresail.core.ids import InstrumentId
from foresail.domain.signals import Signal
from foresail.reporting.figures import percent
from foresail.reporting.model import NAN, Absent, SignalRow, Signals
from foresail.service.finished import Finished
from foresail.service.report_figures import ConfidenceFilter, Figures
from foresail.service.results import decisions_traded, quantiles_of
from foresail.signals.decision import NOT_EVALUATED

__all__ = ["filter_text", "signals_block"]

_SHOWN = 12  # signals of the newest decision beyond those that are traded


def signals_block(finished: Finished, shown: Figures) -> Signals | Absent:
    """Return the newest decision: everything held or traded, and the best of the rest."""
    book = finished.result.backtest
    if not book.signals:
        return Absent("The strategy gave no signals.")
    newest = max(s.decided_at for s in book.signals)
    ranked = sorted((s for s in book.signals if s.decided_at == newest), key=lambda s: (s.rank, s.instrument))
    traded = {name for at, name in sorted(decisions_traded(book)) if at == newest}
    kept = [s for i, s in enumerate(ranked) if i < _SHOWN or s.instrument in traded or _weight(finished, s)]
    notes = [f"{len(ranked) - len(kept)} more signals of this decision are in decisions.parquet."]
    ids = [name.split()[0] for name, _ in NOT_EVALUATED]
    return Signals(
        decided_at=newest,
        rows=_rows(finished, kept, traded),
        filter_text=filter_text(shown.confident),
        notes=(
            *(notes if len(ranked) > len(kept) else ()),
            f"{ids[0]} to {ids[-1]}: {NOT_EVALUATED[0][1]}.",
            "Orders of this decision leave with the next bar; prices are those at the decision.",
        ),
    )


def _weight(finished: Finished, signal: Signal) -> float:
    return finished.result.backtest.weights.get((signal.decided_at, signal.instrument), 0.0)


def _rows(finished: Finished, kept: list[Signal], traded: set[InstrumentId]) -> tuple[SignalRow, ...]:
    result = finished.result
    ranges = np.expm1(quantiles_of(result, kept, (0.10, 0.90)))
    known = {one.id: one for one in result.data.bar_set.instruments}
    at = int(np.searchsorted(result.data.bars.available_at, kept[0].decided_at)) if kept else 0
    equity = float(result.backtest.net[min(at, len(result.backtest.net) - 1)])
    rows = []
    for signal, (low, high) in zip(kept, ranges.tolist(), strict=True):
        weight = _weight(finished, signal)
        rows.append(
            SignalRow(
                rank=signal.rank,
                instrument=signal.instrument,
                symbol=known[signal.instrument].symbol,
                kind=signal.kind.value,
                horizon_bars=signal.horizon_bars,
                confidence=signal.confidence,
                expected_return=math.expm1(signal.expected_return),
                p10=low,
                p90=high,
                cost=signal.cost,
                weight=weight if weight else NAN,
                money=weight * equity if weight else NAN,
                entry=signal.entry_price,
                stop=signal.stop_price,
                target=signal.target_price,
                reasons=signal.reasons,
                rule=signal.rule,
                traded=bool(weight) or signal.instrument in traded,
            )
        )
    return tuple(rows)


def filter_text(told: ConfidenceFilter) -> str:
    """Say what the confidence filter would have let pass and what that earned."""
    if not told.passed:
        return (
            f"No signal of {told.signals:,} had a confidence of {told.threshold:.2f} or more: the filter of the top "
            "list would have let nothing pass. Confidence is never rescaled to pass it."
        )
    head = (
        f"{told.passed:,} of {told.signals:,} signals ({percent(told.passed / told.signals if told.signals else 0.0)}) "
        f"had a confidence of {told.threshold:.2f} or more, {told.rising:,} of them for a rise"
    )
    if not told.resolved:
        return f"{head}; none of them has a known outcome. Confidence is never rescaled to pass it."
    earned = percent(told.earned.value, 2, signed=True)
    between = ""
    if math.isfinite(told.earned.low):
        low, high = (percent(v, 2, signed=True) for v in (told.earned.low, told.earned.high))
        between = f", 95 % interval {low} to {high}"
    return (
        f"{head}. Held over the horizon in the predicted direction, the {told.resolved:,} with a known outcome earned "
        f"{earned} each on average after a round trip{between}; {percent(told.hit_rate)} had the right sign. The "
        "filter is off for trading, and confidence is never rescaled to pass it."
    )
