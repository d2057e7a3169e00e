"""What a finished job leaves as tables: one mapping of columns for every table of ``domain.schemas``.

Rows come in any order, absent numbers as NaN or None: ``service.tables.build_table`` checks, sorts and nulls them.
The figures of ``metrics.json`` are made in ``service.report_metrics`` and offered here, so that a job imports one room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.signals import Side, Signal, SignalKind
from foresail.engine.backtest import Backtest
from foresail.engine.pipeline import PipelineResult
from foresail.engine.trading.parts import ReviewedOrder
from foresail.features.catalogue import features_hashes
from foresail.ledger.trades import Trade
from foresail.service.finished import Finished
from foresail.service.report_figures import figures
from foresail.service.report_metrics import metrics_document
from foresail.service.report_money import trade_rates
from foresail.service.report_scores import outcomes
from foresail.service.tables import decimal_columns, fill_columns, order_columns, quality_columns, table_schema
from foresail.signals.decision import TOP_CONFIDENCE

__all__ = ["decisions_traded", "metrics", "quantiles_of", "tables"]

_SIDES = {
    SignalKind.STRONG_BUY: Side.BUY.value,
    SignalKind.BUY: Side.BUY.value,
    SignalKind.SELL: Side.SELL.value,
    SignalKind.STRONG_SELL: Side.SELL.value,
}
_RANGE = (0.10, 0.50, 0.90)


def tables(finished: Finished) -> dict[str, Mapping[str, Any]]:
    """Return the columns of every table of a run folder, see ``service.tables.build_table``."""
    result = finished.result
    book = result.backtest
    return {
        "decisions": _decisions(result),
        "forecasts": _forecasts(result),
        "orders": _orders(book.orders),
        "fills": fill_columns(book.fills),
        "trades": _trades(finished),
        "equity": _equity(finished),
        "folds": _folds(finished),
        "importance": _importance(result),
        "quality": quality_columns(finished.loaded.quality),
    }


def metrics(finished: Finished) -> dict[str, Any]:
    """Return the content of ``metrics.json``, the same for the same inputs on every machine."""
    return metrics_document(finished)


def quantiles_of(result: PipelineResult, signals: Sequence[Signal], levels: Sequence[float] = _RANGE) -> FloatArray:
    """Return the forecast of the close behind each signal, (signals, levels) log return; NaN where there was none."""
    block = result.walk.block
    issued = {int(at): p for p, at in enumerate(block.issued_at)}
    row = {name: i for i, name in enumerate(block.instruments)}
    step = {bars: h for h, bars in enumerate(block.horizons)}
    at = np.array(
        [(row.get(s.instrument, -1), issued.get(s.decided_at, -1), step.get(s.horizon_bars, -1)) for s in signals],
        dtype=np.int64,
    ).reshape(-1, 3)
    columns = [block.levels.index(level) for level in levels]
    found = np.full((len(signals), len(levels)), np.nan)
    issued_there = np.flatnonzero((at >= 0).all(axis=1))
    rows, times, steps = at[issued_there].T
    found[issued_there] = block.values[rows, times, 0, steps][:, columns]
    return found


def decisions_traded(book: Backtest) -> set[tuple[int, InstrumentId]]:
    """Return the (decided_at, instrument) of which an order left; only ever asked for membership."""
    return {(o.order.decided_at, o.order.instrument) for o in book.orders if o.allowed > 0}


def _decisions(result: PipelineResult) -> dict[str, Any]:
    book = result.backtest
    signals = book.signals
    ranges = quantiles_of(result, signals)
    traded = decisions_traded(book)
    confidence = np.array([s.confidence for s in signals], dtype=np.float64)
    return {
        "instrument": [s.instrument for s in signals],
        "decided_at": [s.decided_at for s in signals],
        "rank": [s.rank for s in signals],
        "kind": [s.kind.value for s in signals],
        "side": [_SIDES.get(s.kind) for s in signals],
        "horizon": [s.horizon.value for s in signals],
        "horizon_bars": [s.horizon_bars for s in signals],
        "expected_return": _floats([s.expected_return for s in signals]),
        "p10": ranges[:, 0],
        "p50": ranges[:, 1],
        "p90": ranges[:, 2],
        "confidence": confidence,
        "cost": _floats([s.cost for s in signals]),
        "weight_target": _floats([book.weights.get((s.decided_at, s.instrument), np.nan) for s in signals]),
        "entry": _floats([s.entry_price for s in signals]),
        "stop": _floats([s.stop_price for s in signals]),
        "target": _floats([s.target_price for s in signals]),
        "traded": [(s.decided_at, s.instrument) in traded for s in signals],
        "top": confidence >= TOP_CONFIDENCE,
        "rule": [s.rule or None for s in signals],
        "reasons": ["\n".join(s.reasons) or None for s in signals],
        "strategy": [f"{s.strategy}@{s.version}" for s in signals],
        "model": [s.model or None for s in signals],
        "features_hash": _input_hashes(result, signals),
    }


def _input_hashes(result: PipelineResult, signals: Sequence[Signal]) -> list[str | None]:
    """Return the hash of the input row behind each signal (FEAT-16): of what its fold reads, in the form it is given.

    What a strategy says itself stays. None where no model of the run forecast at that instant.
    """
    features, block = result.prepared.features, result.walk.block
    issued = {int(at): int(p) for at, p in zip(block.issued_at, block.position, strict=True)}
    place = {name: i for i, name in enumerate(features.instruments)}
    found: list[str | None] = [s.features_hash or None for s in signals]
    at = np.array([issued.get(s.decided_at, -1) if not s.features_hash else -1 for s in signals], dtype=np.int64)
    row = np.array([place.get(s.instrument, -1) if s.model else -1 for s in signals], dtype=np.int64)
    for fold in result.walk.folds:
        if fold.report is None:
            continue
        here = np.flatnonzero((row >= 0) & (at >= fold.fold.test_from) & (at < fold.fold.test_to))
        names = features.fields if fold.selected is None else fold.selected
        columns = [features.index(name) for name in names]
        told = features_hashes(names, features.values[row[here], at[here]][:, columns])
        for i, digest in zip(here.tolist(), told, strict=True):
            found[i] = digest
    return found


def _floats(values: Sequence[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _forecasts(result: PipelineResult) -> dict[str, Any]:
    """Return every forecast that was made, without a loop over rows: there are millions of them."""
    block = result.walk.block
    realised = outcomes(result)
    made: BoolArray = np.asarray(np.isfinite(block.values).all(axis=-1)).transpose(1, 0, 2, 3)
    time, row, target, step = np.nonzero(made)
    values = block.values[row, time, target, step]
    label_end = _label_ends(result)
    columns: dict[str, Any] = {
        "instrument": _texts(block.instruments, row),
        "issued_at": block.issued_at[time],
        "target": _texts(block.targets, target),
        "horizon": np.array(block.horizons, dtype=np.int64)[step],
    }
    columns |= {f"q{round(100 * level):02d}": values[:, i] for i, level in enumerate(block.levels)}
    columns["model"] = _texts(block.model, time)
    columns["realised"] = realised[row, time, target, step]
    columns["label_end"] = label_end[time, step]
    return columns


def _texts(names: Sequence[str], index: IntArray) -> Any:
    """Return the name at each index; equal names share one object."""
    return np.array([str(name) for name in names], dtype=object)[index]


def _label_ends(result: PipelineResult) -> Any:
    """Return (P, H) ends of the bars in which forecasts resolve, as integers; None while the bar is not there yet.

    Floats would lose nanoseconds, so the table is of objects.
    """
    ends = result.data.bars.end
    known = result.prepared.targets.label_end[result.walk.block.position]
    return np.array([[int(ends[p]) if p < len(ends) else None for p in line] for line in known.tolist()], dtype=object)


def _orders(orders: Sequence[ReviewedOrder]) -> dict[str, Any]:
    rulings = [f"{o.rulings[0].rule}: {o.rulings[0].text}" if o.rulings else None for o in orders]
    return order_columns([o.order for o in orders], [o.allowed for o in orders], rulings)


def _trades(finished: Finished) -> dict[str, Any]:
    found = finished.result.backtest.trades
    rates = trade_rates(finished.result)

    def money(name: str) -> list[Decimal]:
        return [getattr(trade, name) * rate for trade, rate in zip(found, rates, strict=True)]

    return {
        "instrument": [t.instrument for t in found],
        "side": [t.side.value for t in found],
        "opened_at": [t.opened_at for t in found],
        "closed_at": [t.closed_at for t in found],
        **_prices(found),
        **decimal_columns("gross_profit", money("gross_profit")),
        **decimal_columns("cost", money("cost")),
        **decimal_columns("net_profit", money("net_profit")),
        "simple_return": _floats([t.simple_return for t in found]),
        "hold_bars": [t.hold_bars for t in found],
        "exit_reason": [t.exit_reason for t in found],
    }


def _prices(found: Sequence[Trade]) -> dict[str, Any]:
    return {
        **decimal_columns("quantity", [t.quantity for t in found]),
        **decimal_columns("entry_price", [t.entry_price for t in found]),
        **decimal_columns("exit_price", [t.exit_price for t in found]),
    }


def _equity(finished: Finished) -> dict[str, Any]:
    curves, book = finished.comparison, finished.result.backtest
    return {
        "end": finished.result.data.bars.end[curves.first :],
        "gross": curves.gross,
        "net": curves.net,
        "net_2x": curves.net_2x,
        "cash": book.cash[curves.first :],
        "exposure": book.exposure[curves.first :],
        "one_over_n": curves.one_over_n,
        "index": curves.index,
        "trend": curves.trend,
    }


def _folds(finished: Finished) -> dict[str, Any]:
    ends = finished.result.data.bars.end
    rows = []
    for one in figures(finished).folds:
        plan, report, told = one.fold.fold, one.fold.report, one.score
        counts = (0, 0, 0) if report is None else (report.train_rows, report.validation_rows, report.calibration_rows)
        notes = one.fold.reason if report is None else "; ".join(report.notes)
        rows.append({
            "fold": plan.index,
            "target": told.target,
            "horizon": told.horizon,
            "model": one.fold.model,
            "train_from": int(ends[plan.train_from]),
            "train_to": int(ends[plan.test_from - 1]),
            "test_from": int(ends[plan.test_from]),
            "test_to": int(ends[plan.test_to - 1]),
            "train_rows": counts[0],
            "validation_rows": counts[1],
            "calibration_rows": counts[2],
            "test_rows": told.forecasts,
            "coverage": told.coverage.value,
            "width": told.width,
            "pinball": told.pinball,
            "rank_ic": told.rank_ic.value,
            "notes": notes or None,
        })  # fmt: skip
    return _columns("folds", rows)


def _importance(result: PipelineResult) -> dict[str, Any]:
    rows = [
        {"fold": fold.fold.index, "model": fold.model, "place": place, "feature": feature, "share": share}
        for fold in result.walk.folds
        if fold.report is not None
        for place, (feature, share) in enumerate(fold.report.importance, start=1)
    ]
    return _columns("importance", rows)


def _columns(table: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {c.name: [row[c.name] for row in rows] for c in table_schema(table).columns}
