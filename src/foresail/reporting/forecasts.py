"""Forecasts on a page: paired tests, gain over time, calibration, slices, the figures of EVAL-01 to 05."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from foresail.evaluation.forecast_judge import HorizonResult
from foresail.evaluation.forecast_scores import CalibrationReport
from foresail.evaluation.forecast_table import CLASSES, OWN
from foresail.evaluation.paired import PairedTest
from foresail.evaluation.slices import Slices
from foresail.reporting import figures
from foresail.reporting.blocks import Block, Chart, Notes, Table
from foresail.reporting.charts import Bar, bar_chart, both_widths
from foresail.reporting.forecast_charts import gain_chart, histogram_chart, reliability_chart

__all__ = ["calibration_blocks", "horizon_blocks", "paired_table", "slice_blocks"]

_SHOWN = 30  # bars of one chart
_NAMES = {
    "mae": "Mean absolute error",
    "no_change_mae": "the same, no change",
    "rmse": "Root mean square error",
    "mape": "MAPE",
    "no_change_mape": "MAPE, no change",
    "hit_rate": "Right sign",
    "base_rate": "Base rate",
    "matthews": "Matthews correlation",
    "rank_ic": "Rank correlation",
    "slope": "Slope of outcome on forecast",
    "mean_quantile_loss": "Mean pinball loss",
    "crps": "CRPS",
    "qlike": "QLIKE",
    "realised_over_forecast": "Realised over forecast",
    "accuracy": "Accuracy",
    "always_neutral": "Accuracy of always neutral",
    "balanced_accuracy": "Balanced accuracy",
    "log_loss": "Log loss",
    "brier": "Brier score",
}
_SHARES = frozenset(
    {"hit_rate", "base_rate", "accuracy", "always_neutral", "balanced_accuracy", "mape", "no_change_mape"}
)


def horizon_blocks(one: HorizonResult, *, kind: str) -> tuple[Block, ...]:
    """Return everything at one horizon.

    Parameters
    ----------
    kind : of the forecasts, see ``FORECAST_KINDS``
    """
    blocks: list[Block] = [paired_table("Paired tests", one.tests)]
    times, gain = one.series
    if one.hurdle and len(times) > 1:
        caption = f"Gain over {one.hurdle}, summed over issue times; rising = this forecast is better"
        blocks.append(Chart(caption, both_widths(lambda w: gain_chart(times, gain, width=w))))
    if one.calibration is not None:
        blocks += calibration_blocks(one.calibration)
    blocks.append(_figures_table(one.figures))
    if kind == "classes":
        blocks += _class_tables(one.figures[OWN])
    if kind == "quantiles":
        blocks += _risk_table(one.figures[OWN])
    for group in one.slices:
        blocks += slice_blocks(group, one.hurdle)
    return tuple(blocks)


def paired_table(title: str, tests: Sequence[PairedTest]) -> Table:
    """Return the table of paired tests, with what each could have shown."""
    columns = (
        "Against",
        "Ruling",
        "Improvement [95 %, clustered]",
        "[95 %, bootstrap]",
        "DM p",
        "Could have seen",
        "Pairs",
    )
    rows = tuple(
        (
            test.other,
            test.word,
            figures.interval(test.improvement, digits=2),
            _range(test),
            figures.probability(test.p_value) if test.p_value >= 0.01 or not math.isfinite(test.p_value) else "< 0.01",
            figures.percent(test.detectable, 2),
            f"{test.rows:,}",
        )
        for test in tests
    )
    return Table(title, columns, rows, names=2)


def _range(test: PairedTest) -> str:
    low, high = test.bootstrap.low, test.bootstrap.high
    if not math.isfinite(low):
        return figures.ABSENT
    return f"[{figures.percent(low, 2, signed=True)}, {figures.percent(high, 2, signed=True)}]"


def calibration_blocks(found: CalibrationReport) -> list[Block]:
    """Return the calibration of one horizon: curve, ranges, and where outcomes fell."""
    named = "levels" if found.bands else "deciles of the highest probability"
    blocks: list[Block] = [
        Chart(
            f"Calibration: what was said and what came, by {named}; the dashed line is perfect",
            both_widths(lambda w: reliability_chart(found.curve, width=w)),
        )
    ]
    if found.histogram:
        blocks.append(
            Chart(
                "Where outcomes fell between the quantiles, over what each stretch promised (1 = as promised)",
                both_widths(lambda w: histogram_chart(found.histogram, width=w)),
            )
        )
    rows = [
        (b.label, figures.percent(b.nominal), figures.share(b.coverage), figures.scientific(b.width))
        for b in found.bands
    ]
    if rows:
        blocks.append(
            Table("Ranges", ("Range", "Promises", "Holds [95 %]", "Mean width, unit of the outcome"), tuple(rows))
        )
    rows = [(b.label, figures.percent(b.said), figures.share(b.seen), f"{b.rows:,}") for b in found.curve]
    blocks.append(Table("Calibration by level", ("Level", "Said", "Came [95 %]", "Forecasts"), tuple(rows)))
    blocks.append(Notes((f"Calibration error: {100 * found.error:.1f} points (below 5 is asked).",)))
    return blocks


def slice_blocks(group: Slices, hurdle: str) -> list[Block]:
    """Return one way of cutting the gain over the hurdle: a chart, and a table with what each part could have shown."""
    if not group.parts:
        return [Notes((f"{group.title}: {group.reason or 'no part has rows.'}",))]
    parts = sorted(group.parts, key=lambda p: -p.improvement.value) if len(group.parts) > _SHOWN else list(group.parts)
    shown = [*parts[: _SHOWN // 2], *parts[-_SHOWN // 2 :]] if len(parts) > _SHOWN else parts
    bars = [Bar(p.label, p.improvement, f"{p.rows:,} forecasts", figures.tone(p.improvement)) for p in shown]
    rows = tuple(
        (p.label, f"{p.rows:,}", f"{p.clusters:,}", figures.interval(p.improvement), figures.percent(p.detectable))
        for p in shown
    )
    caption = f"{group.title}: improvement over {hurdle}"
    if len(parts) > _SHOWN:
        caption += f", the {_SHOWN // 2} largest and smallest of {len(parts):,}"
    columns = ("Part", "Forecasts", "Independent stretches", "Improvement [95 %]", "Could have seen")
    return [
        Chart(caption, both_widths(lambda w: bar_chart(bars, unit="percent", width=w))),
        Table("", columns, rows, folded=True),
    ]


def _figures_table(found: Mapping[str, Any]) -> Table:
    names = [key for key in _NAMES if key in found[OWN]]
    columns = ("Figure", "this forecast", *(name for name in found if name != OWN))
    rows = tuple((_NAMES[key], *(_shown(key, told.get(key)) for told in found.values())) for key in names)
    return Table("Figures", columns, rows)


def _shown(key: str, value: Any) -> str:
    if value is None or not math.isfinite(value):
        return figures.ABSENT
    return figures.percent(value) if key in _SHARES else figures.scientific(value)


def _class_tables(found: Mapping[str, Any]) -> list[Block]:
    report, confusion = found["classes"], found["confusion"]
    rows = tuple(
        (
            name,
            *(figures.percent(report[name][key]) for key in ("precision", "recall", "f1")),
            f"{report[name]['rows']:,}",
        )
        for name in CLASSES
    )
    counts = tuple((f"came {name}", *(f"{n:,}" for n in line)) for name, line in zip(CLASSES, confusion, strict=True))
    return [
        Table("By class", ("Class", "Precision", "Recall", "F1", "Came"), rows),
        Table("Confusion", ("", *(f"said {name}" for name in CLASSES)), counts),
    ]


def _risk_table(found: Mapping[str, Any]) -> list[Block]:
    rows = tuple(
        (
            f"{100 * (1 - one['level']):g} %",
            f"{one['breaches']:,}",
            figures.percent(one["share"], 2),
            figures.percent(one["level"], 2),
            f"{one['kupiec_rejects']} of {one['instruments_tested']}",
            f"{one['christoffersen_rejects']} of {one['instruments_tested']}",
        )
        for one in found["value_at_risk"]
    )
    if not rows:
        return []
    columns = ("Value at risk", "Breaches", "Share", "Promised", "Kupiec rejects", "Christoffersen rejects")
    return [Table("Breaches of value at risk; tests by instrument, 5 % reject by chance", columns, rows)]
