"""The page: whole, in order, offline, safe against hostile names, honest about what is absent."""

from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from foresail.domain.runs import CanaryResult, Interval, Verdict, VerdictWord
from foresail.reporting import model as m
from foresail.reporting.html import VERDICT_MEANINGS, render_report

ORDER = [
    "verdict",
    "tested",
    "equity",
    "costs",
    "honesty",
    "calibration",
    "forecaster",
    "slices",
    "signals",
    "model",
    "quality",
    "repeat",
    "warnings",
]
HOSTILE = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    assert parser.open == []
    return parser


def text_of(page: str) -> str:
    plain = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", plain)).replace("\u00a0", " ")


@pytest.fixture(scope="module")
def page(report: m.ReportInput) -> str:
    return render_report(report)


def test_the_parts_stand_in_the_promised_order(page: str) -> None:
    assert re.findall(r'<section id="(\w+)"', page) == ORDER


def test_the_page_needs_no_script_and_nothing_from_outside(page: str) -> None:
    tags = [tag for tag, _ in parse(page).tags]
    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    for _, attributes in parse(page).tags:
        assert not [k for k in attributes if k.startswith("on") or k in {"src", "srcset"}]
        assert (attributes.get("href") or "#").startswith("#")
    assert "@import" not in page
    assert "url(" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_same_input_gives_same_page(report: m.ReportInput, page: str) -> None:
    assert render_report(report) == page


def test_the_figures_carry_unit_and_interval(page: str) -> None:
    text = text_of(page)
    assert "No evidence" in text or "no evidence" in text
    assert "−0.8 % [−3.1 %, +1.4 %]" in text
    assert "−3.3 % [−5.7 %, −0.9 %]" in text
    assert "100,000 USD" in text
    assert "line 14, column close" in text
    assert "2 of 40" in text
    assert "not financial advice" in text
    assert "foresail verify runs/demo" in text
    assert "nan" not in text.lower().replace("financials", "").replace("financial", "")


@pytest.mark.parametrize("word", list(VerdictWord))
def test_every_verdict_has_its_word_meaning_and_colour(report: m.ReportInput, word: VerdictWord) -> None:
    page = render_report(dataclasses.replace(report, verdict=Verdict(word, ("because",))))
    assert f'class="verdict {word.value.replace(" ", "-")}"' in page
    assert f'<div class="word">{word.value}</div>' in page
    assert VERDICT_MEANINGS[word] in page
    assert f".{word.value.replace(' ', '-')} {{ --tone" in page


def test_hostile_names_are_text(report: m.ReportInput) -> None:
    assert isinstance(report.signals, m.Signals)
    assert isinstance(report.trading, m.Trading)
    assert isinstance(report.calibration, m.Calibration)
    assert isinstance(report.calibration.fan, m.Fan)
    assert isinstance(report.equity, m.EquityBlock)
    signal = dataclasses.replace(report.signals.rows[0], symbol=HOSTILE, reasons=(HOSTILE,), kind=HOSTILE)
    row = dataclasses.replace(report.trading.per_instrument[0], symbol=HOSTILE, sector=HOSTILE)
    series = tuple(dataclasses.replace(s, label=HOSTILE) for s in report.equity.series)
    group = m.SliceGroup(HOSTILE, HOSTILE, HOSTILE, (m.SliceRow(HOSTILE, Interval(0.1, 0.0, 0.2), 3),))
    coverage = (m.CoverageRow(HOSTILE, 1, Interval(0.8, 0.7, 0.9), 0.1, 10),)
    fan = dataclasses.replace(report.calibration.fan, label=HOSTILE, unit=HOSTILE)
    changed = dataclasses.replace(
        report,
        title=HOSTILE,
        subject=dataclasses.replace(report.subject, set_name=HOSTILE, limits=(HOSTILE,), currency=HOSTILE),
        equity=dataclasses.replace(report.equity, series=series, absent=((HOSTILE, HOSTILE),)),
        trading=dataclasses.replace(report.trading, per_instrument=(row,)),
        calibration=dataclasses.replace(report.calibration, coverage=coverage, fan=fan),
        signals=dataclasses.replace(report.signals, rows=(signal,)),
        slices=(group,),
        costs=m.Absent(HOSTILE),
    )
    tags = parse(render_report(changed)).tags
    assert not {"script", "img"} & {tag for tag, _ in tags}
    assert not [a for _, a in tags for k in a if k.startswith("on")]


def test_absent_blocks_say_why(report: m.ReportInput) -> None:
    bare = m.ReportInput(
        title="Bare",
        run_id="1",
        version="0",
        report_path="r.html",
        verdict=Verdict(VerdictWord.CANNOT_TELL, ()),
        subject=dataclasses.replace(report.subject, instruments=1),
        repeat=report.repeat,
        costs=m.Absent("No broker was named."),
    )
    page = render_report(bare)
    assert re.findall(r'<section id="(\w+)"', page) == ORDER
    text = text_of(page)
    assert "Not here: No broker was named." in text
    for words in (
        "equity curve",
        "statistics of trades",
        "honesty check",
        "calibration",
        "list of signals",
        "model card",
    ):
        assert re.search(f"Not here: The [a-z ]*{words}", text) or f"Not here: The {words}" in text, words


def test_failed_canaries_are_seen(report: m.ReportInput) -> None:
    assert isinstance(report.honesty, m.HonestyBlock)
    canary = CanaryResult("Price scale", passed=False, text="AAPL times 1,000 changed 3 ranks.")
    page = render_report(dataclasses.replace(report, honesty=dataclasses.replace(report.honesty, canaries=(canary,))))
    assert '<span class="chip bad">failed</span>' in page


def test_a_run_of_nothing_but_nan_is_drawn(report: m.ReportInput) -> None:
    assert isinstance(report.equity, m.EquityBlock)
    nothing = Interval(math.nan, math.nan, math.nan)
    series = (m.Series("net", "net", np.full(3, math.nan)),)
    rows = (m.Performance("net", "net", math.nan, math.nan, math.nan, nothing, math.nan),)
    block = m.EquityBlock(np.arange(3, dtype=np.int64), (*series,), rows, nothing, nothing)
    page = render_report(dataclasses.replace(report, equity=block))
    assert "nothing to draw: fewer than two bars" in page
    assert "nan" not in re.sub(r"<style>.*?</style>|[Ff]inanc\w+", "", page, flags=re.DOTALL)
