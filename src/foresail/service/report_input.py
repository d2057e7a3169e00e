"""From a finished job to the report: every block filled with what was computed, or absent with the reason."""

from __future__ import annotations

import math

import foresail
from foresail.core.canonical import hash_value
from foresail.measures.performance import TradeStatistics
from foresail.measures.points import directional_accuracy
from foresail.reporting.model import (
    NAN,
    Absent,
    CostRow,
    Costs,
    EquityBlock,
    HonestyBlock,
    InstrumentRow,
    Performance,
    Repeat,
    ReportInput,
    Series,
    Trading,
)
from foresail.service.finished import Finished
from foresail.service.report_calibration import calibration_block
from foresail.service.report_figures import Curve, Figures, closed_trades, figures, verdict_interval
from foresail.service.report_forecaster import forecaster_block
from foresail.service.report_inside import inside_block
from foresail.service.report_model import model_card
from foresail.service.report_overfitting import run_overfitting
from foresail.service.report_scores import outcomes
from foresail.service.report_signals import signals_block
from foresail.service.report_slices import slice_groups
from foresail.service.report_subject import cost_basis, cost_notes, subject_of

__all__ = ["report_input"]

_DRAWN = ("net", "gross", "net_2x", "one_over_n", "index", "trend")  # 1/N fully invested would squeeze the others


def report_input(finished: Finished) -> ReportInput:
    """Return what the report and the last screen are drawn from."""
    shown = figures(finished)
    return ReportInput(
        title=finished.title,
        run_id=hash_value(finished.record)[:12],
        version=foresail.__version__,
        report_path=str(finished.out / "report.html"),
        verdict=finished.verdict,
        subject=subject_of(finished),
        repeat=_repeat(finished),
        equity=_equity(finished, shown),
        trading=_trading(finished, shown),
        costs=_costs(finished, shown),
        honesty=_honesty(finished, shown),
        calibration=calibration_block(finished, shown),
        forecaster=forecaster_block(finished, shown),
        slices=slice_groups(finished),
        signals=signals_block(finished, shown),
        model=model_card(finished, shown),
        quality=finished.loaded.quality,
        next_steps=finished.next_steps,
        inside=inside_block(finished),
    )


def _equity(finished: Finished, shown: Figures) -> EquityBlock | Absent:
    if shown.curve("net") is None:
        return Absent("No bar follows the first decision, so there is no equity curve.")
    return EquityBlock(
        end=finished.result.data.bars.end[finished.comparison.first :],
        series=tuple(Series(one.key, one.label, one.equity) for one in shown.curves if one.key in _DRAWN),
        performance=tuple(_performance(one) for one in shown.curves),
        excess=verdict_interval(finished, "difference_net"),
        excess_2x=verdict_interval(finished, "difference_net_2x"),
        absent=tuple((label.capitalize(), f"{reason}.") for label, reason in finished.comparison.absent),
    )


def _performance(curve: Curve) -> Performance:
    told = curve.figures
    return Performance(
        key=curve.key,
        label=curve.label,
        total_return=told.total_return,
        annual_return=told.annualised_return,
        volatility=told.annualised_volatility,
        sharpe=curve.sharpe,
        max_drawdown=told.max_drawdown.depth,
    )


def _trading(finished: Finished, shown: Figures) -> Trading | Absent:
    net = shown.curve("net")
    told: TradeStatistics | None = None if net is None else net.trades
    if told is None or not told.trades:
        return Absent("No trade was closed.")
    return Trading(
        num_trades=told.trades,
        win_rate=told.win_rate,
        avg_hold_time=told.average_holding,
        average_win=told.average_win,
        average_loss=told.average_loss,
        profit_factor=told.profit_factor,
        commission_impact=shown.costs.commission_impact,
        per_instrument=_per_instrument(finished),
    )


def _per_instrument(finished: Finished) -> tuple[InstrumentRow, ...]:
    """Return the instruments with closed trades, the largest profit first."""
    result = finished.result
    right = _right_signs(finished)
    found: dict[str, list[tuple[float, float]]] = {}
    for trade, rate in closed_trades(result):
        found.setdefault(trade.instrument, []).append((float(trade.net_profit) * rate, trade.simple_return))
    known = {one.id: one for one in result.data.bar_set.instruments}
    rows = [
        InstrumentRow(
            instrument=name,
            symbol=known[name].symbol,  # type: ignore[index]
            sector=known[name].sector.replace("_", " "),  # type: ignore[index]
            trades=len(trades),
            win_rate=sum(profit > 0 for profit, _ in trades) / len(trades),
            average_return=sum(simple for _, simple in trades) / len(trades),
            accuracy=right.get(name, NAN),
            net_profit=sum(profit for profit, _ in trades),
        )
        for name, trades in sorted(found.items())
    ]
    return tuple(sorted(rows, key=lambda row: (-row.net_profit, row.instrument)))


def _right_signs(finished: Finished) -> dict[str, float]:
    """Return the share of forecasts over the traded horizon whose median had the right sign, by instrument."""
    result = finished.result
    block, step = result.walk.block, result.walk.block.horizons.index(result.settings.decision_horizon)
    middle = block.values[:, :, 0, step, block.levels.index(0.5)]
    realised = outcomes(result)[:, :, 0, step]
    rows = zip(block.instruments, realised, middle, strict=True)
    return {name: directional_accuracy(actual, told).accuracy for name, actual, told in rows}


def _costs(finished: Finished, shown: Figures) -> Costs:
    rows = tuple(
        CostRow(
            kind.label, kind.money, kind.annual if math.isfinite(kind.annual) else NAN, cost_basis(finished, kind.key)
        )
        for kind in shown.costs.kinds
    )
    return Costs(rows=rows, turnover=shown.costs.turnover, notes=cost_notes(finished))


def _honesty(finished: Finished, shown: Figures) -> HonestyBlock:
    told = finished.honesty
    record = told.minimum_track_record_years
    overfitting, why = run_overfitting(finished)
    return HonestyBlock(
        trials=told.trials,
        trials_are_complete=told.trials_are_complete,
        years=told.years,
        deflated_sharpe=told.deflated_sharpe,
        probabilistic_sharpe=told.probabilistic_sharpe,
        min_track_record_years=NAN if record is None else record,
        smallest_detectable_sharpe=told.smallest_detectable_sharpe,
        probability_of_overfitting=NAN if overfitting is None else overfitting,
        overfitting_text=why,
        canaries=finished.canaries,
        notes=tuple(_sentence(note) for note in told.notes),
        self_calibration=shown.self_calibration or Absent("The self-calibration panel belongs to `foresail demo`."),
        leak=finished.leak,
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _repeat(finished: Finished) -> Repeat:
    record = finished.record
    hashes = [("Inputs", hash_value(record["inputs"]))]
    content = record["inputs"].get("content") if isinstance(record["inputs"], dict) else None
    if isinstance(content, str):
        hashes = [("Bars", content), *hashes]
    hashes += [("Code", str(record["code"])), ("Settings", hash_value(record["settings"]))]
    return Repeat(
        command=finished.command,
        verify_command=f"foresail verify {finished.out}",
        hashes=tuple(hashes),
        seed=int(record["seed"]),
    )
