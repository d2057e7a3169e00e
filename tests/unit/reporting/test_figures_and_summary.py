"""Numbers for readers, warnings by asset class, and the last screen."""

from __future__ import annotations

import dataclasses
import math

import pytest

from foresail.domain.runs import CanaryResult, Interval, Verdict, VerdictWord
from foresail.reporting import figures
from foresail.reporting import model as m
from foresail.reporting.caveats import CAVEATS, caveats_for
from foresail.reporting.summary import text_summary

NAN = math.nan


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (figures.percent(0.05123), "5.1 %"),
        (figures.percent(-0.0004), "0.0 %"),
        (figures.percent(0.0, signed=True), "0.0 %"),
        (figures.percent(0.01, signed=True), "+1.0 %"),
        (figures.percent(24.67, signed=True), "+2,467 %"),
        (figures.percent(NAN), "–"),
        (figures.percent(math.inf), "–"),
        (figures.money(1234.5, "USD"), "1,234 USD"),
        (figures.money(-12.345, "USD"), "−12.35 USD"),
        (figures.price(43_250.4), "43,250"),
        (figures.price(182.5), "182.50"),
        (figures.price(1.0845), "1.0845"),
        (figures.price(0.00001234), "0.000012"),
        (figures.probability(0.999), "> 0.99"),
        (figures.probability(0.001), "< 0.01"),
        (figures.probability(0.0077), "< 0.01"),
        (figures.probability(0.9499), "0.94"),
        (figures.probability(0.29), "0.29"),
        (figures.probability(0.0), "0.00"),
        (figures.probability(NAN), "–"),
        (figures.count(1_512.0), "1,512"),
        (figures.bars(1), "1 bar"),
        (figures.interval(Interval(0.01, -0.02, 0.03)), "+1.0 % [−2.0 %, +3.0 %]"),
        (figures.interval(Interval(0.5, NAN, NAN), "number", 2), "+0.50"),
        (figures.interval(Interval(NAN, NAN, NAN)), "–"),
        (figures.day(0), "1970-01-01"),
    ],
)
def test_numbers_read_well(received: str, expected: str) -> None:
    assert received.replace("\u00a0", " ") == expected


def test_warnings_follow_the_asset_class() -> None:
    stock = " ".join(c.text for c in caveats_for(("stock",)))
    crypto = " ".join(c.text for c in caveats_for(("crypto",)))
    assert "Penny stocks" in stock
    assert "Crypto swings" not in stock
    assert "Crypto swings" in crypto
    assert [c.id for c in caveats_for(("stock", "forex"))].count("WARN-10") == 1
    assert "WARN-03" not in [c.id for c in caveats_for(("stock",))]
    assert "WARN-03" in [c.id for c in caveats_for(("stock",), uses_sentiment=True)]
    assert {c.id for c in CAVEATS} == {f"WARN-{i:02d}" for i in range(1, 14)}


def test_the_last_screen_tells_all(report: m.ReportInput) -> None:
    lines = text_summary(report)
    text = "\n".join(lines)
    assert "VERDICT: NO EVIDENCE" in lines
    assert sum(line.startswith("  - ") for line in lines) == 3
    assert "Net against 1/N: -0.8 %, 95 % interval -3.1 % to +1.4 % a year" in lines
    assert "Trials so far:   3 on this data" in text
    assert "Canaries:        5, all passed" in lines
    assert "Self-test:       without an edge: evidence in 2 of 40 simulated panels; with an edge: 35 of 40" in lines
    assert "Leaky strategy:  refused, examples/leaky.py line 14; its Sharpe ratio would have been 6.4" in lines
    assert "  1 MSFT        buy            +1.90 %   62 %  10.0 %      57.00      64.80" in lines
    assert "Report: runs/demo/report.html" in lines
    assert text.isascii()
    assert max(map(len, lines)) <= 100


def test_the_last_screen_says_what_failed_and_what_is_absent(report: m.ReportInput) -> None:
    assert isinstance(report.honesty, m.HonestyBlock)
    canary = CanaryResult("Price scale", passed=False, text="x")
    honesty = dataclasses.replace(report.honesty, canaries=(canary,), trials_are_complete=False)
    text = "\n".join(
        text_summary(
            dataclasses.replace(
                report,
                verdict=Verdict(VerdictWord.INVALID, ("A canary failed.",)),
                honesty=honesty,
                equity=m.Absent("No decision was possible."),
                signals=m.Absent("No model was fitted."),
            )
        )
    )
    assert "VERDICT: INVALID" in text
    assert "1 FAILED: Price scale" in text
    assert "at least 3" in text
    assert "No decision was possible." in text
    assert "No model was fitted." in text


def test_a_hostile_symbol_cannot_drive_the_terminal(report: m.ReportInput) -> None:
    assert isinstance(report.signals, m.Signals)
    row = dataclasses.replace(report.signals.rows[0], symbol="\x1b[2JX\n")
    text = "".join(text_summary(dataclasses.replace(report, signals=dataclasses.replace(report.signals, rows=(row,)))))
    assert "\x1b" not in text
    assert "\n" not in text
