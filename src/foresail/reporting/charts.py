"""Charts as inline SVG: lines, drawdown, forecast fan, bars with intervals, coverage. No script, no outside asset.

Colours come from the page's style sheet by class, so that light, dark and print differ by style only. Each chart is
drawn twice, for a wide and a narrow screen, because scaled-down text cannot be read; the style sheet shows one.
All text passes through ``Markup.format``, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from foresail.core.arrays import FloatArray, TimeArray
from foresail.domain.runs import Interval
from foresail.reporting.axes import Scale, linear_ticks, log_ticks, time_ticks
from foresail.reporting.figures import decimal, percent, price
from foresail.reporting.model import CoverageRow, Fan, Series
from foresail.reporting.svg import (
    BOTTOM,
    LEFT,
    NARROW,
    RIGHT,
    TOP,
    WIDE,
    area,
    dot,
    drawing,
    empty_drawing,
    label,
    line,
    padded,
    segment,
    time_axis,
    y_axis,
)

__all__ = ["Bar", "bar_chart", "both_widths", "coverage_chart", "drawdown_chart", "fan_chart", "line_chart", "short"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: a value with its interval, drawn as a bar from zero with whiskers."""

    label: str
    value: Interval
    note: str = ""
    style: str = "s-net"


def both_widths(draw: Callable[[int], Markup]) -> Markup:
    """Return a chart drawn for wide and for narrow screens."""
    parts = [Markup('<div class="{}">{}</div>').format(n, draw(w)) for n, w in (("wide", WIDE), ("narrow", NARROW))]
    return Markup("").join(parts)


def short(value: float) -> str:
    """Return an axis label: 1.2M, 50k, 0.4."""
    size = abs(value)
    for limit, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:g}{letter}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def line_chart(end: TimeArray, series: Sequence[Series], *, unit: str, width: int) -> Markup:
    """Return equity curves over time, on a logarithmic axis when the largest value is over three times the smallest.

    Parameters
    ----------
    end : (T,) ns UTC
    unit : of the values, printed above the axis
    width : px
    """
    height = 320 if width == WIDE else 230
    finite = np.concatenate([s.values[np.isfinite(s.values)] for s in series])
    if len(end) < 2 or len(finite) == 0:
        return empty_drawing(width, "fewer than two bars")
    low, high = float(finite.min()), float(finite.max())
    is_log = low > 0 and high / low > 3
    low, high = (low / 1.04, high * 1.04) if is_log else padded(low, high)
    y = Scale(low, high, height - BOTTOM, TOP + 12, is_log=is_log)
    x = Scale(float(end[0]), float(end[-1]), LEFT, width - RIGHT)
    ticks = log_ticks(low, high) if is_log else linear_ticks(low, high)
    parts = [y_axis(y, [(t, short(t)) for t in ticks], width), time_axis(x, end, width, height)]
    said = f"{unit}, log scale" if is_log else unit
    parts.append(label(0, TOP - 2, said, "unit"))
    parts += [line(x, y, end, s.values, f"line s-{s.key}") for s in reversed(series)]
    return drawing(width, height, f"Equity over time in {said}: " + ", ".join(s.label for s in series), parts)


def drawdown_chart(end: TimeArray, series: Sequence[Series], *, width: int) -> Markup:
    """Return the fall below the highest equity so far: an area for the first series, lines for the others."""
    height = 170 if width == WIDE else 140
    falls = [Series(s.key, s.label, _drawdown(s.values)) for s in series]
    lows = [float(np.nanmin(f.values)) for f in falls if np.isfinite(f.values).any()]
    if len(end) < 2 or not lows:
        return empty_drawing(width, "fewer than two bars")
    low = min(-0.01, min(lows) * 1.05)
    y = Scale(low, 0.0, height - BOTTOM, TOP + 10)
    x = Scale(float(end[0]), float(end[-1]), LEFT, width - RIGHT)
    ticks = linear_ticks(low, 0.0, 5)
    parts = [y_axis(y, [(t, percent(t, 0)) for t in ticks], width), time_axis(x, end, width, height)]
    parts.append(area(x, y, end, falls[0].values, f"area s-{falls[0].key}"))
    parts += [line(x, y, end, f.values, f"line thin s-{f.key}") for f in reversed(falls)]
    return drawing(width, height, "Drawdown: fall below the highest equity so far", parts)


def fan_chart(fan: Fan, *, width: int) -> Markup:
    """Return the newest closes and the forecast quantiles ahead, as bands around the median."""
    height = 280 if width == WIDE else 220
    ahead = max((1, *fan.horizons))
    shown = min(len(fan.history), max(30, 12 * ahead) if width == WIDE else max(20, 8 * ahead))
    history = fan.history[-shown:]
    values = np.concatenate([history, fan.quantiles.ravel(), fan.realised])
    values = values[np.isfinite(values)]
    if len(history) == 0 or len(values) == 0:
        return empty_drawing(width, "no closes")
    low, high = padded(float(values.min()), float(values.max()))
    y = Scale(low, high, height - BOTTOM, TOP + 12)
    # The axis counts bars, and gives the future a third of the width: a fan of five bars beside years cannot be seen.
    issued = LEFT + (width - LEFT - RIGHT) * 0.62
    past = Scale(0.0, max(1.0, len(history) - 1.0), LEFT, issued)
    future = Scale(0.0, float(ahead), issued, width - RIGHT - 46)
    parts = [y_axis(y, [(t, price(t)) for t in linear_ticks(low, high, 5)], width)]
    parts.append(label(0, TOP - 2, fan.unit, "unit"))
    parts += _fan_axis(fan, shown, (past, future), height)
    parts += _fan_bands(fan, float(history[-1]), future, y)
    steps = np.arange(len(history), dtype=np.int64)
    parts.append(line(past, y, steps, history, "line s-ink"))
    for i, value in enumerate(fan.realised):
        if np.isfinite(value):
            parts.append(dot(future(i + 1.0), y(float(value)), "dot s-one_over_n", f"came true: {price(float(value))}"))
    return drawing(width, height, f"Forecast of {fan.label} with ranges", parts)


def bar_chart(rows: Sequence[Bar], *, unit: str, width: int) -> Markup:
    """Return horizontal bars from zero with interval whiskers, values printed at the right.

    Parameters
    ----------
    unit : "percent" (values are fractions) or "number"
    """
    widest, value_width, step = (150, 190, 26) if width == WIDE else (112, 58, 24)
    label_width = min(widest, 18 + 6.6 * max((len(r.label) for r in rows), default=0))  # 6.6 px a character
    show: Callable[[float], str] = (lambda v: percent(v, _digits(rows))) if unit == "percent" else decimal
    finite = [v for r in rows for v in (r.value.value, r.value.low, r.value.high) if math.isfinite(v)]
    if not finite:
        return empty_drawing(width, "no figures")
    low, high = padded(min(0.0, *finite), max(0.0, *finite))
    height = TOP + step * len(rows) + BOTTOM
    x = Scale(low, high, label_width, width - value_width)
    parts = []
    ticks = linear_ticks(low, high, 6 if width == WIDE else 4)
    for tick in ticks:
        style = "zero" if tick == 0 else "grid"
        parts.append(segment(x(tick), TOP, x(tick), height - BOTTOM, style))
        text = percent(tick, 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks) else 1)
        parts.append(label(x(tick), height - 8, text if unit == "percent" else short(tick), "tick mid"))
    for i, row in enumerate(rows):
        parts += _bar(row, x, TOP + step * (i + 0.5), show, width=width)
    return drawing(width, height, "Bars with 95 % intervals", parts)


def coverage_chart(rows: Sequence[CoverageRow], nominal: float, *, width: int) -> Markup:
    """Return the coverage of each fold, one colour a horizon, with intervals and the nominal line."""
    height = 240 if width == WIDE else 200
    folds = list(dict.fromkeys(r.fold for r in rows))
    horizons = sorted({r.horizon for r in rows})
    values = [v for r in rows for v in (r.coverage.value, r.coverage.low, r.coverage.high) if math.isfinite(v)]
    if not values:
        return empty_drawing(width, "no resolved forecasts")
    low = max(0.0, min(nominal - 0.1, *values) - 0.02)
    high = min(1.0, max(nominal + 0.1, *values) + 0.02)
    y = Scale(low, high, height - BOTTOM, TOP + 12)
    x = Scale(-0.5, len(folds) - 0.5, LEFT, width - RIGHT)
    parts = [y_axis(y, [(t, percent(t, 0)) for t in linear_ticks(low, high, 6)], width)]
    parts.append(segment(LEFT, y(nominal), width - RIGHT, y(nominal), "nominal"))
    parts.append(label(0, TOP - 2, "share of outcomes within P10 to P90", "unit"))
    every = max(1, -(-len(folds) * 46 // (width - LEFT - RIGHT)))
    for i, fold in enumerate(folds):
        if i % every == 0:
            parts.append(label(x(float(i)), height - 8, fold, "tick mid"))
    spread = min(10.0, (width - LEFT - RIGHT) / len(folds) / (len(horizons) + 1))
    for row in rows:
        place = horizons.index(row.horizon)
        at = x(float(folds.index(row.fold))) + (place - (len(horizons) - 1) / 2) * spread
        title = f"{row.fold}, horizon {row.horizon}: {percent(row.coverage.value)} of {row.forecasts:,} forecasts"
        parts += _whisker_point(at, y, row.coverage, f"h{place % 4}", title)
    return drawing(width, height, f"Coverage by fold, nominal {percent(nominal, 0)}", parts)


def _drawdown(values: FloatArray) -> FloatArray:
    known = np.where(np.isfinite(values), values, -np.inf)
    highest = np.maximum.accumulate(known)
    fall: FloatArray = np.where(
        np.isfinite(values) & (highest > 0), values / np.where(highest > 0, highest, 1) - 1, np.nan
    )
    return fall


def _fan_axis(fan: Fan, shown: int, scales: tuple[Scale, Scale], height: int) -> list[Markup]:
    past, future = scales
    base = height - BOTTOM
    first = time_ticks(int(fan.history_end[-shown]), int(fan.history_end[-1]), 3)[:3]
    ends = fan.history_end[-shown:]
    parts = [segment(LEFT, base, future.last, base, "axis"), segment(past.last, TOP + 12, past.last, base, "zero")]
    for at, said in first:
        place = past(float(np.searchsorted(ends, at)))
        if place < past.last - 34:
            parts.append(label(place, height - 8, said, "tick mid"))
    parts.append(label(past.last, height - 8, "now", "tick mid"))
    taken = [past.last]
    for horizon in reversed(fan.horizons):
        place = future(float(horizon))
        if all(abs(place - other) > 28 for other in taken):  # px: two labels side by side
            parts.append(label(place, height - 8, f"+{horizon}", "tick mid"))
            taken.append(place)
    return parts


def _fan_bands(fan: Fan, last: float, x: Scale, y: Scale) -> list[Markup]:
    parts = []
    middle = int(np.argmin(np.abs(np.array(fan.levels) - 0.5)))
    steps = [x(float(h)) for h in (0, *fan.horizons)]
    columns = [[last, *(float(v) for v in fan.quantiles[:, q])] for q in range(len(fan.levels))]
    for q in range(middle):
        upper = columns[len(fan.levels) - 1 - q]
        there = [f"{a:.1f} {y(v):.1f}" for a, v in zip(steps, columns[q], strict=True) if math.isfinite(v)]
        back = [f"{a:.1f} {y(v):.1f}" for a, v in zip(steps, upper, strict=True) if math.isfinite(v)]
        text = f"{percent(fan.levels[-1 - q] - fan.levels[q], 0)} range"
        parts.append(
            Markup('<path d="M{}Z" class="band"><title>{}</title></path>').format("L".join([*there, *back[::-1]]), text)
        )
    centre = [f"{a:.1f} {y(v):.1f}" for a, v in zip(steps, columns[middle], strict=True) if math.isfinite(v)]
    parts.append(Markup('<path d="M{}" class="line s-net"/>').format("L".join(centre)))
    for q in {0, middle, len(fan.levels) - 1}:
        value = columns[q][-1]
        if math.isfinite(value):
            parts.append(label(steps[-1] + 5, y(value) + 4, f"P{100 * fan.levels[q]:.0f}", "tick"))
    return parts


def _digits(rows: Sequence[Bar]) -> int:
    largest = max((abs(r.value.value) for r in rows if math.isfinite(r.value.value)), default=0.0)
    return 2 if largest < 0.01 else 1


def _bar(row: Bar, x: Scale, middle: float, show: Callable[[float], str], *, width: int) -> list[Markup]:
    parts = [label(x.first - 8, middle + 4, _cut(row.label, 22 if width == WIDE else 17), "tick end")]
    value, low, high = row.value.value, row.value.low, row.value.high
    if not math.isfinite(value):
        return [*parts, label(x.last + 8, middle + 4, row.note or "too short", "tick")]
    left, right = sorted((x(0.0), x(value)))
    title = f"{row.label}: {show(value)} {row.note}"
    parts.append(
        Markup(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="14" rx="2" class="bar {}"><title>{}</title></rect>'
        ).format(left, middle - 7, max(right - left, 1.0), row.style, title)
    )
    text = show(value)
    if math.isfinite(low) and math.isfinite(high):
        parts.append(segment(x(low), middle, x(high), middle, "whisker"))
        parts += [segment(x(v), middle - 4, x(v), middle + 4, "whisker") for v in (low, high)]
        if width == WIDE:
            text = f"{text}  [{show(low)}, {show(high)}]"
    parts.append(label(x.last + 8, middle + 4, text, "value"))
    return parts


def _whisker_point(at: float, y: Scale, value: Interval, style: str, title: str) -> list[Markup]:
    if not math.isfinite(value.value):
        return []
    parts = []
    if math.isfinite(value.low) and math.isfinite(value.high):
        parts.append(segment(at, y(value.low), at, y(value.high), f"whisker {style}"))
    parts.append(dot(at, y(value.value), f"dot {style}", title, 3.2))
    return parts


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
