"""The last screen of a run: verdict and reasons, net against 1/N, trials, top signals, where the report lies.

Plain ASCII numbers, lines of at most 100 characters where the texts allow, so that any terminal shows it whole.
"""

from __future__ import annotations

import math
import textwrap

from foresail.domain.runs import Interval
from foresail.domain.universe import UniverseBasis
from foresail.reporting import figures
from foresail.reporting.html import VERDICT_MEANINGS
from foresail.reporting.model import Absent, ReportInput, SignalRow

__all__ = ["text_summary"]

_WIDTH = 100  # characters
_REASONS = 3
_SIGNALS = 5


def text_summary(report: ReportInput) -> list[str]:
    """Return the lines of the last screen, without line ends."""
    lines = [
        "",
        f"VERDICT: {report.verdict.word.value.upper()}",
        *_wrapped(VERDICT_MEANINGS[report.verdict.word], "  "),
        *(line for reason in report.verdict.reasons[:_REASONS] for line in _wrapped(reason, "  - ")),
        "",
        *_result(report),
        *_basis(report),
        *_trials(report),
        *(line for text in _left_out(report) for line in _wrapped(text, "Compared:        ")),
        "",
        *_signals(report),
        "",
        f"Report: {report.report_path}",
    ]
    lines += [f"Next:   {command}  ({text})" for command, text in report.next_steps]
    return [_plain(line) for line in lines]


def _result(report: ReportInput) -> list[str]:
    equity = report.equity
    if isinstance(equity, Absent):
        return [f"Net against 1/N: not here. {equity.reason}"]
    rows = {p.key: p for p in equity.performance}
    lines = [f"Net of costs:    {figures.percent(rows['net'].annual_return, signed=True)} a year"]
    if "one_over_n" in rows:
        lines.append(f"1/N, same names: {figures.percent(rows['one_over_n'].annual_return, signed=True)} a year")
    lines.append(f"Net against 1/N: {_between(equity.excess)} a year")
    lines.append(f"At twice cost:   {_between(equity.excess_2x)} a year")
    return lines


def _basis(report: ReportInput) -> list[str]:
    """Return how the names were chosen and what the prices are: no result is shown without either."""
    subject = report.subject
    return [
        f"Names chosen:    {UniverseBasis.told(subject.universe_basis)}",
        f"Prices:          {subject.price_basis.replace('_', ' ')}",
    ]


def _left_out(report: ReportInput) -> tuple[str, ...]:
    return () if isinstance(report.calibration, Absent) else report.calibration.left_out


def _between(value: Interval) -> str:
    head = figures.percent(value.value, signed=True)
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return head
    low, high = figures.percent(value.low, signed=True), figures.percent(value.high, signed=True)
    return f"{head}, 95 % interval {low} to {high}"


def _trials(report: ReportInput) -> list[str]:
    if isinstance(report.honesty, Absent):
        return [f"Trials:          not counted. {report.honesty.reason}"]
    honesty = report.honesty
    failed = [c.name for c in honesty.canaries if not c.passed]
    blind = [c.name for c in honesty.canaries if not c.judged]
    state = f"{len(failed)} FAILED: {', '.join(failed)}" if failed else "all passed"
    if blind and not failed:
        state = f"{len(honesty.canaries) - len(blind)} passed; too little data to judge: {', '.join(blind)}"
    least = "" if honesty.trials_are_complete else "at least "
    lines = [
        f"Trials so far:   {least}{honesty.trials} on this data; deflated Sharpe "
        f"{figures.probability(honesty.deflated_sharpe)}",
        f"Canaries:        {len(honesty.canaries)}, {state}" if honesty.canaries else "Canaries:        none was run",
    ]
    if not isinstance(honesty.self_calibration, Absent) and honesty.self_calibration:
        first, *others = (f"{r.label}: {{}}{r.evidence} of {r.panels}" for r in honesty.self_calibration)
        told = [first.format("evidence in ") + " simulated panels", *(text.format("") for text in others)]
        lines.append(f"Self-test:       {'; '.join(told)}")
    if honesty.leak is not None:
        leak = honesty.leak
        lines.append(
            f"Leaky strategy:  refused, {leak.file} line {leak.line}; its Sharpe ratio would have been "
            f"{figures.decimal(leak.sharpe, 1)}"
        )
    return lines


def _signals(report: ReportInput) -> list[str]:
    signals = report.signals
    if isinstance(signals, Absent):
        return [f"Signals: not here. {signals.reason}"]
    if not signals.rows:
        return [f"Signals of {figures.day(signals.decided_at)}: none"]
    head = f"{'':>4}{'':<12}{'signal':<12}{'expected':>10}{'conf.':>7}{'size':>8}{'stop':>11}{'target':>11}"
    return [
        f"Top signals of {figures.day(signals.decided_at)} (the verdict holds for these too):",
        head.rstrip(),
        *(_signal(row) for row in signals.rows[:_SIGNALS]),
    ]


def _signal(row: SignalRow) -> str:
    name = row.symbol if len(row.symbol) <= 11 else row.symbol[:10] + "~"
    size = figures.percent(row.weight) if row.traded else "none"
    expected = figures.percent(row.expected_return, 2, signed=True)
    return (
        f"{row.rank:>3} {name:<12}{row.kind.replace('_', ' '):<12}{expected:>10}"
        f"{figures.percent(row.confidence, 0):>7}{size:>8}{figures.price(row.stop):>11}{figures.price(row.target):>11}"
    )


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))


def _plain(line: str) -> str:
    """Return the line in characters that every terminal has; control characters of foreign names become ?."""
    text = line.replace("\u2212", "-").replace("\u2013", "-").replace("\u00a0", " ")
    return "".join(c if c.isprintable() else "?" for c in text)
