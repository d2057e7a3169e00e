"""The report as one HTML file: opens offline, needs no script, prints, follows the reader's light or dark setting.

The template lays out; this module chooses what is drawn. Everything from outside (names, reasons, file names) is
escaped by Jinja and by ``reporting.charts``: only our own style sheet and charts enter as markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from foresail.core.clock import format_ns
from foresail.domain.runs import Interval, VerdictWord
from foresail.domain.universe import UniverseBasis
from foresail.reporting import charts, figures
from foresail.reporting.blocks import Block, Notes, Table
from foresail.reporting.caveats import caveats_for
from foresail.reporting.charts import Bar, both_widths
from foresail.reporting.forecasts import calibration_blocks, paired_table, slice_blocks
from foresail.reporting.inside import inside_blocks
from foresail.reporting.model import (
    NAN,
    Absent,
    Calibration,
    CoverageRow,
    EquityBlock,
    InstrumentRow,
    ReportInput,
)

__all__ = ["VERDICT_MEANINGS", "page_environment", "page_style", "render_report"]

VERDICT_MEANINGS: dict[VerdictWord, str] = {
    VerdictWord.EVIDENCE: "Better than 1/N of the same names by more than luck, costs and the trials made explain.",
    VerdictWord.NO_EVIDENCE: "The data could have shown an edge over 1/N of the same names, and did not.",
    VerdictWord.CANNOT_TELL: "The record is too short or too noisy: even a good strategy could not be told from luck.",
    VerdictWord.CANNOT_JUDGE: "The figures look good, but the names or the prices were chosen with hindsight.",
    VerdictWord.INVALID: "A test of the machinery failed. No figure of this run should be believed.",
}

_PARTS = (
    ("verdict", "Verdict"),
    ("tested", "What was tested"),
    ("equity", "Equity"),
    ("costs", "Costs"),
    ("honesty", "Honesty"),
    ("calibration", "Calibration"),
    ("forecaster", "Forecaster"),
    ("inside", "Inside"),
    ("slices", "Slices"),
    ("signals", "Signals"),
    ("model", "Model card"),
    ("quality", "Data quality"),
    ("repeat", "How to repeat"),
    ("warnings", "Warnings"),
)
_KINDS = {"strong_buy": "good", "buy": "good", "sell": "bad", "strong_sell": "bad"}
_SHOWN = 10  # instruments at either end of the table


def render_report(report: ReportInput) -> str:
    """Return the report as a self-contained HTML page.

    Parameters
    ----------
    report : see ``reporting.model``
    """
    environment = page_environment()
    return environment.get_template("report.html.j2").render(
        r=report,
        parts=[part for part in _PARTS if part[0] != "inside" or report.inside is not None],
        style=page_style(environment),
        meaning=VERDICT_MEANINGS[report.verdict.word],
        tiles=_tiles(report),
        facts=_facts(report),
        charts=_charts(report),
        forecaster=_forecaster(report),
        inside=() if report.inside is None else inside_blocks(report.inside),
        card=_card(report),
        instruments=_instruments(report),
        hidden=0 if isinstance(report.trading, Absent) else max(0, len(report.trading.per_instrument) - 2 * _SHOWN),
        kinds=_KINDS,
        caveats=caveats_for(report.subject.asset_classes),
    )


def page_environment() -> jinja2.Environment:
    """Return the environment of all pages: escaping, our filters, an error for a name that is not there."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("foresail.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({n: getattr(figures, n) for n in figures.__all__ if n not in ("ABSENT", "tone")})
    environment.tests["absent"] = lambda block: isinstance(block, Absent)
    return environment


def page_style(environment: jinja2.Environment) -> Markup:
    """Return the style sheet of all pages."""
    loader = environment.loader
    if loader is None:
        raise AssertionError("the environment was made with a loader")
    return Markup(loader.get_source(environment, "style.css")[0])  # noqa: S704 our own file


def _tiles(report: ReportInput) -> list[tuple[str, str, str]]:
    equity = report.equity
    if isinstance(equity, Absent):
        return []
    rows = {p.key: p for p in equity.performance}
    tiles = [(figures.percent(rows["net"].annual_return, signed=True), "net return a year", "after all costs")]
    if "one_over_n" in rows:
        tiles.append((figures.percent(rows["one_over_n"].annual_return, signed=True), "1/N, same names", "a year"))
    low, high = (figures.percent(v, signed=True) for v in (equity.excess.low, equity.excess.high))
    tiles.append((figures.percent(equity.excess.value, signed=True), "net against 1/N", f"{low} to {high}"))
    sharpe = rows["net"].sharpe
    between = f"{figures.decimal(sharpe.low)} to {figures.decimal(sharpe.high)}"
    tiles.append((figures.decimal(sharpe.value), "Sharpe ratio", between if math.isfinite(sharpe.low) else ""))
    tiles.append((figures.percent(rows["net"].max_drawdown), "largest drawdown", "net"))
    if not isinstance(report.honesty, Absent):
        tiles.append((figures.count(report.honesty.trials), "trials", "on this data so far"))
    return tiles


def _forecaster(report: ReportInput) -> tuple[Block, ...]:
    told = report.forecaster
    if isinstance(told, Absent):
        return ()
    blocks: list[Block] = [
        paired_table(f"Paired tests, {figures.bars(horizon)} ahead", [t for t in told.tests if t.horizon == horizon])
        for horizon in dict.fromkeys(test.horizon for test in told.tests)
    ]
    if told.calibration is not None:
        blocks += calibration_blocks(told.calibration)
    for group in told.slices:
        blocks += slice_blocks(group, told.hurdle)
    return tuple(blocks)


def _card(report: ReportInput) -> tuple[Block, ...]:
    card = report.model
    if isinstance(card, Absent):
        return ()
    blocks: list[Block] = []
    if card.acceptance is not None:
        rows = tuple((c.name, "passed" if c.passed else "failed", c.text) for c in card.acceptance.checks)
        blocks += [
            Table("Acceptance for signals (VALID-14)", ("Check", "Result", "Why"), rows, names=3),
            Notes((card.acceptance.text,)),
        ]
    if card.metrics:
        blocks.append(Table("Figures", ("Figure", "Out of sample [95 %]"), card.metrics))
    if card.splits:
        columns = ("Fold", "Trained on", "Served", "Rows trained", "Rows purged")
        blocks.append(Table(f"Splits: {len(card.splits)} refits", columns, card.splits, names=3, folded=True))
    if card.selection:
        kept = tuple((name, figures.percent(share, 0)) for name, share in card.selection)
        blocks.append(Table("Features by the share of refits that keep them", ("Feature", "Kept"), kept, folded=True))
    blocks.append(Notes((*card.training, *card.limits)))
    return tuple(blocks)


def _facts(report: ReportInput) -> list[tuple[str, str]]:
    s = report.subject
    span = f"{format_ns(s.first_end)[:10]} to {format_ns(s.last_end)[:10]}"
    horizons = ", ".join(map(str, s.horizons))
    return [
        ("Data", f"{s.set_name} ({s.source})" if s.source else s.set_name),
        (
            "Bars",
            f"{figures.count(s.bars)} of {figures.count(s.instruments)} instruments, {s.frame}, {s.calendar}, {span}",
        ),
        (
            "Judged",
            f"{figures.day(s.judged_from)} to {figures.day(s.last_end)}, {figures.count(s.decisions)} decisions",
        ),
        ("Prices", s.price_basis.replace("_", " ")),
        ("Names chosen", UniverseBasis.told(s.universe_basis)),
        ("Strategy", s.strategy),
        ("Forecaster", f"{s.forecaster}, {s.folds} refits, horizons {horizons} bars, decides on {s.decision_horizon}"),
        ("Capital", figures.money(s.capital, s.currency)),
        *s.facts,
    ]


def _instruments(report: ReportInput) -> list[InstrumentRow | None]:
    if isinstance(report.trading, Absent):
        return []
    rows: Sequence[InstrumentRow] = report.trading.per_instrument
    if len(rows) <= 2 * _SHOWN:
        return list(rows)
    return [*rows[:_SHOWN], None, *rows[-_SHOWN:]]


def _charts(report: ReportInput) -> dict[str, Any]:
    drawn: dict[str, Any] = {"costs": None, "importance": None, "slices": []}
    if not isinstance(report.equity, Absent):
        drawn |= _equity_charts(report.equity, report.subject.currency)
    if not isinstance(report.calibration, Absent):
        drawn |= _calibration_charts(report.calibration)
    if not isinstance(report.model, Absent) and report.model.importance:
        bars = [Bar(name, Interval(share, NAN, NAN)) for name, share in report.model.importance[:12]]
        drawn["importance"] = both_widths(lambda w: charts.bar_chart(bars, unit="percent", width=w))
    if not isinstance(report.slices, Absent):
        for group in report.slices:
            if isinstance(group.rows, Absent):
                drawn["slices"].append((group, None))
                continue
            bars = [
                Bar(x.label, x.value, f"{x.count:,} {group.count_label}", figures.tone(x.value)) for x in group.rows
            ]
            chart = both_widths(lambda w, b=bars: charts.bar_chart(b, unit="percent", width=w))  # type: ignore[misc]
            drawn["slices"].append((group, chart))
    return drawn


def _equity_charts(block: EquityBlock, currency: str) -> dict[str, Any]:
    falls = [s for s in block.series if s.key in {"net", "one_over_n"}]
    kept = {p.key: p for p in block.performance}
    bars = [
        Bar(kept[k].label, Interval(kept[k].annual_return, NAN, NAN), style=f"s-{k}")
        for k in ("gross", "net", "net_2x", "one_over_n")
        if k in kept
    ]
    return {
        "series": [(f"s-{s.key}", s.label, "") for s in block.series],
        "equity": both_widths(lambda w: charts.line_chart(block.end, block.series, unit=currency, width=w)),
        "drawdown": both_widths(lambda w: charts.drawdown_chart(block.end, falls, width=w)),
        "costs": both_widths(lambda w: charts.bar_chart(bars, unit="percent", width=w)),
    }


def _calibration_charts(block: Calibration) -> dict[str, Any]:
    horizons = sorted({r.horizon for r in block.coverage})
    drawn: dict[str, Any] = {
        "horizons": [(f"h{i % 4}", f"{figures.bars(h)} ahead", "point") for i, h in enumerate(horizons)],
        "coverage": both_widths(lambda w: charts.coverage_chart(block.coverage, block.nominal, width=w)),
        "coverage_horizons": horizons,
        "coverage_table": _coverage_table(block.coverage, horizons),
        "fan": None,
    }
    fan = block.fan
    if not isinstance(fan, Absent):
        lowest, highest = (f"P{100 * v:.0f}" for v in (fan.levels[0], fan.levels[-1]))
        drawn["fan"] = both_widths(lambda w: charts.fan_chart(fan, width=w))
        drawn["fan_legend"] = [
            ("s-ink", "close", ""),
            ("s-net", "median forecast", ""),
            ("s-band", f"ranges, {lowest} to {highest} the widest", "point"),
        ]
        if any(math.isfinite(v) for v in fan.realised.tolist()):
            drawn["fan_legend"].append(("s-one_over_n", "came true", "point"))
    return drawn


def _coverage_table(rows: Sequence[CoverageRow], horizons: Sequence[int]) -> list[tuple[str, list[CoverageRow | None]]]:
    """Return (fold, one entry a horizon), all folds together first, weighted by the number of forecasts."""
    found = {(r.fold, r.horizon): r for r in rows}
    folds = list(dict.fromkeys(r.fold for r in rows))
    table: list[tuple[str, list[CoverageRow | None]]] = [("all folds", [_pooled(rows, h) for h in horizons])]
    return table + [(fold, [found.get((fold, h)) for h in horizons]) for fold in folds]


def _pooled(rows: Sequence[CoverageRow], horizon: int) -> CoverageRow | None:
    chosen = [r for r in rows if r.horizon == horizon and math.isfinite(r.coverage.value)]
    total = sum(r.forecasts for r in chosen)
    if total == 0:
        return None
    coverage = sum(r.coverage.value * r.forecasts for r in chosen) / total
    width = sum(r.width * r.forecasts for r in chosen) / total
    return CoverageRow("all folds", horizon, Interval(coverage, NAN, NAN), width, total)
