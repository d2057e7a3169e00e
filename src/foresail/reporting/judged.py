"""The report on what was made elsewhere: one page for any forecaster, one for any strategy, in the look of run reports.

A page is a list of sections, a section a list of tiles, tables, charts and notes: what a run report shows of forecasts
is drawn by the same functions (``reporting.forecasts``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

import foresail
from foresail.core.clock import to_ns
from foresail.domain.runs import Interval, VerdictWord
from foresail.domain.universe import UniverseBasis
from foresail.evaluation.forecast_judge import ForecastReport
from foresail.evaluation.judge import JudgeReport
from foresail.evaluation.record import RecordSlice
from foresail.measures.returns import compounded_equity
from foresail.reporting import charts, figures
from foresail.reporting.blocks import Block, Chart, Notes, Table, Tiles
from foresail.reporting.charts import Bar, both_widths
from foresail.reporting.forecasts import horizon_blocks
from foresail.reporting.html import VERDICT_MEANINGS, page_environment, page_style
from foresail.reporting.model import NAN, Series

__all__ = ["FORECAST_MEANINGS", "Page", "Section", "forecast_page", "render_page", "returns_page"]

FORECAST_MEANINGS = {
    "better": "Better than every trivial forecast on the same rows, at every horizon, by more than luck explains.",
    "mixed": "Better than some trivial forecasts or at some horizons, and not at others.",
    "cannot tell": "Luck explains the difference to trivial forecasts; the tables say what could have been seen.",
    "worse": "A trivial forecast is better on the same rows, by more than luck explains.",
}
_TONES = {"better": "evidence", "mixed": "cannot-tell", "cannot tell": "cannot-tell", "worse": "invalid"}
_CANNOT_JUDGE = "The figures look good, but what they rest on is unknown or was chosen with hindsight."
_COSTS = {"included": "the returns hold them", "none": "the returns hold none", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page; ``id`` is its anchor."""

    id: str
    title: str
    lede: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the word with its tone (a class of the style sheet), the sentences, the sections."""

    title: str
    subtitle: str
    word: str
    tone: str
    meaning: str
    reasons: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    footer: str


def render_page(page: Page) -> str:
    """Return a page as self-contained HTML: opens offline, needs no script."""
    environment = page_environment()
    return environment.get_template("judged.html.j2").render(
        p=page, style=page_style(environment), version=foresail.__version__
    )


def forecast_page(report: ForecastReport) -> Page:
    """Return the page on a table of forecasts."""
    sections = []
    for one in report.horizons:
        title = f"{figures.bars(one.horizon)} ahead"
        lede = f"{one.rows:,} forecasts. Loss: {report.loss}; lower is better. Same rows for both sides of each pair."
        sections.append(Section(f"h{one.horizon}", title, lede, horizon_blocks(one, kind=report.kind)))
    sections.append(Section("notes", "What this rests on", "", (Notes(_sentences(report.notes)),)))
    name = report.file.rsplit("/", 1)[-1]
    span = f"{report.first[:10]} to {report.last[:10]}"
    levels = ", ".join(f"P{100 * level:g}" for level in report.levels)
    return Page(
        title=f"Forecasts: {name}",
        subtitle=f"{report.rows:,} rows · {report.instruments:,} instruments · {span}",
        word=report.word,
        tone=_TONES[report.word],
        meaning=FORECAST_MEANINGS[report.word],
        reasons=(report.line.split(". ", 1)[1], *report.reasons),
        facts=(
            ("File", f"{report.file} (SHA-256 {report.file_hash[:16]})" if report.file_hash else report.file),
            ("Kind", report.kind + (f": {levels}" if levels else "")),
            ("Issue times", f"{report.issue_times:,}, {report.first[:10]} to {report.last[:10]}"),
            ("Rows without an outcome", f"{report.open_rows:,}"),
            ("Compared with", ", ".join((*report.baselines, *report.others))),
            ("Names chosen", UniverseBasis.told(report.universe_basis)),
            ("Prices", report.price_basis.replace("_", " ")),
        ),
        sections=tuple(sections),
        footer="Two-sided tests at 95 %; intervals are clustered by issue time.",
    )


def returns_page(report: JudgeReport) -> Page:
    """Return the page on a file of results."""
    verdict = report.verdict
    name = report.file.rsplit("/", 1)[-1]
    sections = [
        Section("record", "The record", "Compounded, as the file gives it, from 100.", _record_blocks(report)),
        Section("honesty", "Honesty", "How much of the result luck and selection can explain.", _honesty(report)),
    ]
    if report.variants is not None:
        sections.append(
            Section("variants", "Variants", "All variants of the file on the same bars.", _variants(report))
        )
    sections.append(
        Section(
            "slices",
            "Slices",
            "A result that rests on one year rests on little. Whiskers are 95 % intervals.",
            _slices(report),
        )
    )
    sections.append(Section("notes", "What this rests on", "", (Notes(_sentences(report.notes)),)))
    return Page(
        title=f"Results: {name}",
        subtitle=f"{report.bars:,} bars · {report.first[:10]} to {report.last[:10]} · trials: {report.trials}",
        word=verdict.word.value,
        tone=verdict.word.value.replace(" ", "-"),
        meaning=_CANNOT_JUDGE if verdict.word is VerdictWord.CANNOT_JUDGE else VERDICT_MEANINGS[verdict.word],
        reasons=verdict.reasons,
        facts=(
            ("File", f"{report.file} (SHA-256 {report.file_hash[:16]})"),
            ("Form", f"{report.kind}, {report.rows:,} rows"),
            ("Bars", f"{report.bars:,}, {report.bars_per_year:g} a year"),
            ("Trials", f"{report.trials:,}"),
            ("Costs", _COSTS[report.costs]),
            ("Compared with", "1/N of the same names" if report.comparator is not None else "zero"),
            ("Names chosen", UniverseBasis.told(report.universe_basis)),
            ("Prices", report.price_basis.replace("_", " ")),
        ),
        sections=tuple(sections),
        footer="Canaries cannot be run on returns made elsewhere.",
    )


def _record_blocks(report: JudgeReport) -> tuple[Block, ...]:
    told, record = report.performance, report.record
    end = np.array([to_ns(t) for t in report.times], dtype=np.int64)
    net = Series("net", "the record", 100.0 * compounded_equity(report.returns)[1:])
    series = [net]
    if report.comparator is not None:
        series.append(Series("one_over_n", "1/N", 100.0 * compounded_equity(report.comparator)[1:]))
    legend = tuple((f"s-{s.key}", s.label, "") for s in series)
    fall = record.drawdown
    tiles = [
        (figures.percent(told.annualised_return, signed=True), "return a year", ""),
        (figures.percent(record.difference.value, signed=True), "mean difference a year", _between(record.difference)),
        (figures.decimal(told.sharpe_ratio), "Sharpe ratio", _between(record.sharpe, percent=False)),
        (figures.decimal(record.adjusted_sharpe), "Sharpe ratio, adjusted", "for autocorrelation"),
        (
            figures.percent(fall.value),
            "largest drawdown",
            f"other orders: {_between(fall)}" if math.isfinite(fall.low) else "",
        ),
        (figures.percent(told.annualised_volatility), "volatility", "a year"),
    ]
    blocks: list[Block] = [
        Chart("Growth of 100", both_widths(lambda w: charts.line_chart(end, series, unit="value", width=w)), legend),
        Chart("Drawdown", both_widths(lambda w: charts.drawdown_chart(end, series, width=w)), ()),
        Tiles(tuple(tiles)),
    ]
    view = report.trade_view
    if view is not None and report.trades is not None:
        rows = (
            (figures.count(report.trades.trades), "trades", ""),
            (figures.percent(view.win_rate), "win rate", ""),
            (figures.percent(view.no_skill_win_rate), "win rate without skill", f"for {view.barriers}"),
            (figures.decimal(view.payoff_ratio), "average win / average loss", ""),
            (figures.percent(view.average_win, 2), "average win", "of the stake"),
            (figures.percent(view.average_loss, 2), "average loss", "of the stake"),
        )
        blocks.append(Tiles(rows, "Trades"))
    return tuple(blocks)


def _honesty(report: JudgeReport) -> tuple[Block, ...]:
    told = report.verdict.figures["honesty"]
    record = report.record

    def number(key: str) -> float:
        return NAN if told[key] is None else float(told[key])

    years = number("years")
    pbo, text = NAN, "not defined: needs ten variants in the file"
    if report.variants is not None:
        pbo = NAN if report.variants.overfitting is None else report.variants.overfitting
        text = report.variants.overfitting_text
    return (
        Tiles((
            (figures.count(report.trials), "trials", "as declared, or as the file shows"),
            (figures.probability(number("deflated_sharpe")), "deflated Sharpe", "probability; evidence needs 0.95"),
            (figures.probability(number("probabilistic_sharpe")), "probabilistic Sharpe", "probability above 0"),
            (figures.decimal(record.detectable_sharpe), "smallest detectable Sharpe", f"in {years:.1f} years"),
            (figures.percent(record.detectable_difference), "smallest detectable difference", "a year"),
            (figures.probability(pbo), "overfitting (PBO)", text),
        )),
    )  # fmt: skip


def _variants(report: JudgeReport) -> tuple[Block, ...]:
    told = report.variants
    if told is None:
        return ()
    shown = told.rows[:40]
    bars = [Bar(row.name, row.sharpe, style="s-net" if row.beats_comparator else "s-gross") for row in shown[:20]]
    rows = tuple(
        (
            row.name,
            figures.interval(row.sharpe, "number", 2),
            figures.percent(row.annual_difference, signed=True),
            "yes" if row.beats_comparator else "no",
            "–" if row.in_confidence_set is None else "yes" if row.in_confidence_set else "no",
        )
        for row in shown
    )
    note = f"Superior predictive ability: p = {told.superior_p_value:.3f} that no variant beats the comparator."
    more = (
        (f"{len(told.rows) - len(shown):,} more variants are in metrics.json.",) if len(told.rows) > len(shown) else ()
    )
    return (
        Chart(
            "Sharpe ratio of the difference to the comparator, a year; strong where StepM finds it better",
            both_widths(lambda w: charts.bar_chart(bars, unit="number", width=w)),
            (),
        ),
        Table(
            "",
            (
                "Variant",
                "Sharpe ratio [95 %]",
                "Mean difference a year",
                "Beats the comparator (StepM)",
                "Among the best (MCS, 10 %)",
            ),
            rows,
        ),
        Notes((note, f"Probability of overfitting: {told.overfitting_text}.", *more)),
    )


def _slices(report: JudgeReport) -> tuple[Block, ...]:
    record = report.record
    against = "1/N" if report.comparator is not None else "zero"
    blocks: list[Block] = []
    for title, parts, note in (
        ("By year", record.by_year, ""),
        ("By regime (RGM-02)", record.by_regime, record.regime_text),
    ):
        if not parts:
            blocks.append(Notes((f"{title}: the record is too short.",)))
            continue
        caption = f"{title}: mean difference to {against}, a year"
        blocks.append(Chart(caption, _bars(parts), ()))
        if note:
            blocks.append(Notes((note[:1].upper() + note[1:] + ".",)))
    rows = tuple(
        (p.label, f"{p.bars:,}", figures.interval(p.difference), figures.percent(p.detectable)) for p in record.by_year
    )
    blocks.append(Table("", ("Year", "Bars", "Mean difference a year [95 %]", "Smallest detectable"), rows))
    return tuple(blocks)


def _bars(parts: tuple[RecordSlice, ...]) -> Markup:
    rows = [Bar(p.label, p.difference, f"{p.bars:,} bars", figures.tone(p.difference)) for p in parts]
    return both_widths(lambda w: charts.bar_chart(rows, unit="percent", width=w))


def _between(value: Interval, *, percent: bool = True) -> str:
    if not math.isfinite(value.low):
        return ""
    show = figures.percent if percent else figures.decimal
    return f"{show(value.low)} to {show(value.high)}"


def _sentences(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{note[:1].upper()}{note[1:]}{'' if note.endswith('.') else '.'}" for note in notes)
