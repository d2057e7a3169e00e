"""Charts: axes, thinning, and that nothing that is absent is drawn as zero."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.core.clock import NS_PER_DAY
from foresail.domain.runs import Interval
from foresail.reporting import charts
from foresail.reporting.axes import Scale, linear_ticks, log_ticks, thin, time_ticks
from foresail.reporting.model import CoverageRow, Series

DAYS = np.arange(2_000, dtype=np.int64) * NS_PER_DAY


@given(st.floats(-1e5, 1e5), st.floats(1e-2, 1e6), st.integers(3, 12))
def test_linear_ticks_are_few_even_and_inside(low: float, span: float, most: int) -> None:
    ticks = linear_ticks(low, low + span, most)
    assert len(ticks) <= most + 1
    assert all(low - span * 1e-6 <= t <= low + span * (1 + 1e-6) for t in ticks)
    if len(ticks) > 2:
        assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


def test_log_ticks_are_round() -> None:
    assert log_ticks(80.0, 2_500.0) == [100.0, 200.0, 500.0, 1000.0, 2000.0]
    assert log_ticks(0.0, 1.0) == []
    assert len(log_ticks(90.0, 310.0)) >= 3


def test_time_ticks_follow_the_calendar() -> None:
    assert [label for _, label in time_ticks(0, 365 * 40 * NS_PER_DAY, 8)] == [str(y) for y in range(1975, 2010, 5)]
    assert [label for _, label in time_ticks(0, 200 * NS_PER_DAY, 8)][:3] == ["1970", "Feb 70", "Mar 70"]
    assert [label for _, label in time_ticks(0, 6 * NS_PER_DAY, 8)][1] == "2 Jan"
    assert [label for _, label in time_ticks(0, NS_PER_DAY, 8)][1] == "03:00"
    for first, last in ((0, 3), (5, 70), (5, 200), (5, 5_000)):
        assert len(time_ticks(first * NS_PER_DAY, last * NS_PER_DAY, 8)) <= 9


def test_thinning_keeps_the_extremes() -> None:
    values = np.sin(np.arange(50_000) / 50.0)
    values[31_337], values[40_001] = 9.0, -9.0
    kept = thin(values)
    assert len(kept) <= 802
    assert {0, 31_337, 40_001, 49_999} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert thin(values[:500]).tolist() == list(range(500))
    assert len(thin(np.full(5_000, np.nan))) <= 802


def test_a_logarithmic_scale_maps_equal_ratios_to_equal_steps() -> None:
    scale = Scale(1.0, 100.0, 0.0, 200.0, is_log=True)
    assert scale(10.0) == pytest.approx(100.0)
    assert Scale(3.0, 3.0, 0.0, 10.0)(3.0) == 5.0


@pytest.mark.parametrize("width", [880, 330])
def test_lines_are_well_formed_and_parted_at_gaps(width: int) -> None:
    curve = np.linspace(100.0, 500.0, 2_000)
    curve[900:1_100] = np.nan
    svg = charts.line_chart(DAYS, (Series("net", "net <b>", curve),), unit="USD", width=width)
    root = ET.fromstring(str(svg))
    line = next(e for e in root.iter() if e.get("class") == "line s-net")
    assert line.attrib["d"].count("M") == 2
    assert "log scale" in str(svg)
    assert not re.search(r"nan|inf", str(svg))
    assert all(0 <= float(x) <= width for x in re.findall(r"[ML](-?[\d.]+) ", line.attrib["d"]))


def test_drawdown_is_the_fall_from_the_highest_so_far() -> None:
    values = np.array([math.nan, 100.0, 120.0, 60.0, math.nan, 130.0])
    assert charts._drawdown(values).tolist()[1:4] == [0.0, 0.0, -0.5]
    assert math.isnan(charts._drawdown(values)[0])
    assert charts._drawdown(values)[5] == 0.0
    svg = charts.drawdown_chart(DAYS[:6], (Series("net", "net", values),), width=880)
    assert "−40 %" in str(svg).replace("\u00a0", " ")
    ET.fromstring(str(svg))


def test_bars_show_whiskers_only_where_there_is_an_interval() -> None:
    rows = [
        charts.Bar("a", Interval(0.1, 0.05, 0.2)),
        charts.Bar("b", Interval(-0.1, math.nan, math.nan)),
        charts.Bar("c", Interval(math.nan, math.nan, math.nan)),
    ]
    svg = str(charts.bar_chart(rows, unit="percent", width=880))
    ET.fromstring(svg)
    assert svg.count('class="whisker"') == 3
    assert svg.count("<rect") == 2
    assert "too short" in svg


def test_coverage_shows_every_fold_and_the_nominal_line() -> None:
    rows = [CoverageRow(f"f{i}", h, Interval(0.8, 0.78, 0.82), 0.1, 50) for i in range(40) for h in (1, 5)]
    svg = str(charts.coverage_chart(rows, 0.8, width=330))
    ET.fromstring(svg)
    assert svg.count("<circle") == 80
    assert 'class="nominal"' in svg
    labels = [float(x) for x in re.findall(r'<text x="([\d.]+)" y="192.0"', svg)]
    assert min(np.diff(labels)) >= 40


def test_short_labels() -> None:
    assert [charts.short(v) for v in (1_200_000.0, 50_000.0, -2_000.0, 0.4, 0.0)] == ["1.2M", "50k", "−2k", "0.4", "0"]
