"""The inside of a network on the page: present only where there is one, with weights, reasons and the warning."""

from __future__ import annotations

import math
import re

import pytest

from foresail.core.clock import NS_PER_DAY
from foresail.reporting import model as m
from foresail.reporting.html import render_report
from foresail.reporting.inside import AID, inside_blocks, shares_chart
from foresail.reporting.inside_model import AttentionRow, InsideBlock, InsideForecast, NearDay, Shares

from .conftest import full_report

HOSTILE = "<script>alert(1)</script>"
LEVELS = (0.1, 0.5, 0.9)


def shares() -> Shares:
    past = tuple(0.04 + 0.01 * i for i in range(8))
    return Shares(
        names=20,
        groups=(("momentum", 0.5), ("volatility", 0.3), ("calendar", 0.2)),
        variables=(("rsi_14", 0.4), ("volatility_20", 0.3)),
        statics=(("instrument", 0.9), ("market", 0.1)),
        over_time=(("momentum", (math.nan, *past)), ("volatility", (0.1, *past)), ("calendar", (0.2, *past))),
        attention=(AttentionRow(1, past, 0.4), AttentionRow(5, past, 0.5)),
    )


def block(*, weights: Shares | None = None, symbol: str = "KO") -> InsideBlock:
    reasons = (("rsi_14", 0.00123, 61.2), ("volatility_20", -0.0004, math.nan))
    near = (NearDay("PEP", 12_000 * NS_PER_DAY, 0.21, -0.031),)
    return InsideBlock(
        "tft",
        18_000 * NS_PER_DAY,
        5,
        LEVELS,
        (
            InsideForecast(symbol, 0.011, (-0.02, 0.01, 0.05), reasons, 0.002, 0.0031, near),
            InsideForecast("T", 0.009, (-0.02, 0.01, 0.05), (), 0.0, 0.0, ()),
        ),
        weights,
    )


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")


def test_the_section_is_absent_without_a_network() -> None:
    page = render_report(full_report())
    assert 'id="inside"' not in page
    assert "#inside" not in page


def test_weights_reasons_and_similar_days_are_told() -> None:
    page = render_report(full_report(inside=block(weights=shares())))
    text = text_of(page)
    assert 'id="inside"' in page
    assert '<a href="#inside">' in page
    assert AID in text
    for told in (
        "1. KO: expected +1.10 % over 5 bars",
        "+0.123 %",
        "−0.040 %",
        "P10 −2.0 %, P50 +1.0 %, P90 +5.0 %",
        "all other features +0.117 %",
        "calendar, instrument and market +0.110 %",
        "forecast before calibration and centring +0.310 %",
        "PEP",
        "−3.10 %",
        "Selection weights by group",
        "40.0 % of the attention lies on the steps to come",
        "No training day with a known outcome can be compared.",
    ):
        assert told in text.replace("%", " %").replace("  %", " %"), told


def test_a_network_without_selection_has_reasons_only() -> None:
    text = text_of(render_report(full_report(inside=block())))
    assert "1. KO" in text
    assert AID not in text
    assert len(inside_blocks(block())) < len(inside_blocks(block(weights=shares())))


def test_hostile_names_are_text() -> None:
    page = render_report(full_report(inside=block(symbol=HOSTILE)))
    assert HOSTILE not in page


@pytest.mark.parametrize("width", [880, 330])
def test_charts_of_nothing_say_so(width: int) -> None:
    assert "nothing to draw" in shares_chart([], title="x", width=width)
    assert "nothing to draw" in shares_chart([("h0", "a", (math.nan, math.nan))], title="x", width=width)
    drawn = shares_chart([("h0", "a", (0.1, math.nan, 0.3, 0.2))], title="x", width=width)
    assert drawn.count('class="line h0"') == 1


def test_the_input_takes_no_section_by_default() -> None:
    assert m.ReportInput.__dataclass_fields__["inside"].default is None
