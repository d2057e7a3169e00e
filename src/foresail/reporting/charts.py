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
from foresail.reporting.axes import Scale, linear_ticks, log_ticks, thin, time_ticks
from foresail.reporting.figures import decimal, percent, price
from foresail.reporting.model import CoverageRow, Fan, Series

__all__ = ["Bar", "bar_chart", "both_widths", "coverage_chart", "drawdown_chart", "fan_chart", "line_chart", "short"]

_WIDE, _NARROW = 880, 330  # px
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 26  # px around the plot


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart: a value with its interval, drawn as a bar from zero with whiskers."""

    label: str
    value: Interval
    note: str = ""
    style: str = "s-net"


def both_widths(draw: Callable[[int], Markup]) -> Markup:
    """Return a chart drawn for wide and for narrow screens."""
    parts = [Markup('<div class="{}">{}</div>').format(n, draw(w)) for n, w in (("wide", _WIDE), ("narrow", _NARROW))]
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
    height = 320 if width == _WIDE else 230
    finite = np.concatenate([s.values[np.isfinite(s.values)] for s in series])
    if len(end) < 2 or len(finite) == 0:
        return _empty(width, "fewer than two bars")
    low, high = float(finite.min()), float(finite.max())
    is_log = low > 0 and high / low > 3
    low, high = (low / 1.04, high * 1.04) if is_log else _padded(low, high)
    y = Scale(low, high, height - _BOTTOM, _TOP + 12, is_log=is_log)
    x = Scale(float(end[0]), float(end[-1]), _LEFT, width - _RIGHT)
    ticks = log_ticks(low, high) if is_log else linear_ticks(low, high)
    parts = [_y_axis(y, [(t, short(t)) for t in ticks], width), _time_axis(x, end, width, height)]
    label = f"{unit}, log scale" if is_log else unit
    parts.append(_text(0, _TOP - 2, label, "unit"))
    parts += [_line(x, y, end, s.values, f"line s-{s.key}") for s in reversed(series)]
    return _svg(width, height, f"Equity over time in {label}: " + ", ".join(s.label for s in series), parts)


def drawdown_chart(end: TimeArray, series: Sequence[Series], *, width: int) -> Markup:
    """Return the fall below the highest equity so far: an area for the first series, lines for the others."""
    height = 170 if width == _WIDE else 140
    falls = [Series(s.key, s.label, _drawdown(s.values)) for s in series]
    lows = [float(np.nanmin(f.values)) for f in falls if np.isfinite(f.values).any()]
    if len(end) < 2 or not lows:
        return _empty(width, "fewer than two bars")
    low = min(-0.01, min(lows) * 1.05)
    y = Scale(low, 0.0, height - _BOTTOM, _TOP + 10)
    x = Scale(float(end[0]), float(end[-1]), _LEFT, width - _RIGHT)
    ticks = linear_ticks(low, 0.0, 5)
    parts = [_y_axis(y, [(t, percent(t, 0)) for t in ticks], width), _time_axis(x, end, width, height)]
    parts.append(_area(x, y, end, falls[0].values, f"area s-{falls[0].key}"))
    parts += [_line(x, y, end, f.values, f"line thin s-{f.key}") for f in reversed(falls)]
    return _svg(width, height, "Drawdown: fall below the highest equity so far", parts)


def fan_chart(fan: Fan, *, width: int) -> Markup:
    """Return the newest closes and the forecast quantiles ahead, as bands around the median."""
    height = 280 if width == _WIDE else 220
    ahead = max((1, *fan.horizons))
    shown = min(len(fan.history), max(30, 12 * ahead) if width == _WIDE else max(20, 8 * ahead))
    history = fan.history[-shown:]
    values = np.concatenate([history, fan.quantiles.ravel(), fan.realised])
    values = values[np.isfinite(values)]
    if len(history) == 0 or len(values) == 0:
        return _empty(width, "no closes")
    low, high = _padded(float(values.min()), float(values.max()))
    y = Scale(low, high, height - _BOTTOM, _TOP + 12)
    # The axis counts bars, and gives the future a third of the width: a fan of five bars beside years cannot be seen.
    issued = _LEFT + (width - _LEFT - _RIGHT) * 0.62
    past = Scale(0.0, max(1.0, len(history) - 1.0), _LEFT, issued)
    future = Scale(0.0, float(ahead), issued, width - _RIGHT - 46)
    parts = [_y_axis(y, [(t, price(t)) for t in linear_ticks(low, high, 5)], width)]
    parts.append(_text(0, _TOP - 2, fan.unit, "unit"))
    parts += _fan_axis(fan, shown, (past, future), height)
    parts += _fan_bands(fan, float(history[-1]), future, y)
    steps = np.arange(len(history), dtype=np.int64)
    parts.append(_line(past, y, steps, history, "line s-ink"))
    for i, value in enumerate(fan.realised):
        if np.isfinite(value):
            parts.append(
                _dot(future(i + 1.0), y(float(value)), "dot s-one_over_n", f"came true: {price(float(value))}")
            )
    return _svg(width, height, f"Forecast of {fan.label} with ranges", parts)


def bar_chart(rows: Sequence[Bar], *, unit: str, width: int) -> Markup:
    """Return horizontal bars from zero with interval whiskers, values printed at the right.

    Parameters
    ----------
    unit : "percent" (values are fractions) or "number"
    """
    widest, value_width, step = (150, 190, 26) if width == _WIDE else (112, 58, 24)
    label_width = min(widest, 18 + 6.6 * max((len(r.label) for r in rows), default=0))  # 6.6 px a character
    show: Callable[[float], str] = (lambda v: percent(v, _digits(rows))) if unit == "percent" else decimal
    finite = [v for r in rows for v in (r.value.value, r.value.low, r.value.high) if math.isfinite(v)]
    if not finite:
        return _empty(width, "no figures")
    low, high = _padded(min(0.0, *finite), max(0.0, *finite))
    height = _TOP + step * len(rows) + _BOTTOM
    x = Scale(low, high, label_width, width - value_width)
    parts = []
    ticks = linear_ticks(low, high, 6 if width == _WIDE else 4)
    for tick in ticks:
        style = "zero" if tick == 0 else "grid"
        parts.append(_segment(x(tick), _TOP, x(tick), height - _BOTTOM, style))
        text = percent(tick, 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks) else 1)
        parts.append(_text(x(tick), height - 8, text if unit == "percent" else short(tick), "tick mid"))
    for i, row in enumerate(rows):
        parts += _bar(row, x, _TOP + step * (i + 0.5), show, width=width)
    return _svg(width, height, "Bars with 95 % intervals", parts)


def coverage_chart(rows: Sequence[CoverageRow], nominal: float, *, width: int) -> Markup:
    """Return the coverage of each fold, one colour a horizon, with intervals and the nominal line."""
    height = 240 if width == _WIDE else 200
    folds = list(dict.fromkeys(r.fold for r in rows))
    horizons = sorted({r.horizon for r in rows})
    values = [v for r in rows for v in (r.coverage.value, r.coverage.low, r.coverage.high) if math.isfinite(v)]
    if not values:
        return _empty(width, "no resolved forecasts")
    low = max(0.0, min(nominal - 0.1, *values) - 0.02)
    high = min(1.0, max(nominal + 0.1, *values) + 0.02)
    y = Scale(low, high, height - _BOTTOM, _TOP + 12)
    x = Scale(-0.5, len(folds) - 0.5, _LEFT, width - _RIGHT)
    parts = [_y_axis(y, [(t, percent(t, 0)) for t in linear_ticks(low, high, 6)], width)]
    parts.append(_segment(_LEFT, y(nominal), width - _RIGHT, y(nominal), "nominal"))
    parts.append(_text(0, _TOP - 2, "share of outcomes within P10 to P90", "unit"))
    every = max(1, -(-len(folds) * 46 // (width - _LEFT - _RIGHT)))
    for i, fold in enumerate(folds):
        if i % every == 0:
            parts.append(_text(x(float(i)), height - 8, fold, "tick mid"))
    spread = min(10.0, (width - _LEFT - _RIGHT) / len(folds) / (len(horizons) + 1))
    for row in rows:
        place = horizons.index(row.horizon)
        at = x(float(folds.index(row.fold))) + (place - (len(horizons) - 1) / 2) * spread
        title = f"{row.fold}, horizon {row.horizon}: {percent(row.coverage.value)} of {row.forecasts:,} forecasts"
        parts += _whisker_point(at, y, row.coverage, f"h{place % 4}", title)
    return _svg(width, height, f"Coverage by fold, nominal {percent(nominal, 0)}", parts)


def _svg(width: int, height: float, title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">').format(width, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _empty(width: int, text: str) -> Markup:
    return _svg(width, 60, text, [_text(width / 2, 34, f"nothing to draw: {text}", "tick mid")])


def _text(x: float, y: float, text: str, style: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, style, text)


def _segment(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" class="{}"/>').format(x1, y1, x2, y2, style)


def _dot(x: float, y: float, style: str, title: str, radius: float = 3.5) -> Markup:
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" class="{}"><title>{}</title></circle>').format(
        x, y, radius, style, title
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return (low if low == 0 else low - pad), (high if high == 0 else high + pad)


def _y_axis(y: Scale, ticks: Sequence[tuple[float, str]], width: int) -> Markup:
    lines = [_segment(_LEFT, y(t), width - _RIGHT, y(t), "grid") for t, _ in ticks]
    labels = [_text(_LEFT - 6, y(t) + 4, label, "tick end") for t, label in ticks]
    return Markup("").join([*lines, *labels])


def _time_axis(x: Scale, end: TimeArray, width: int, height: int) -> Markup:
    ticks = time_ticks(int(end[0]), int(end[-1]), 11 if width == _WIDE else 5)
    parts = [_segment(_LEFT, height - _BOTTOM, width - _RIGHT, height - _BOTTOM, "axis")]
    for at, label in ticks:
        parts.append(_segment(x(at), height - _BOTTOM, x(at), height - _BOTTOM + 4, "axis"))
        if x(at) < width - _RIGHT - 8:
            parts.append(_text(x(at), height - 8, label, "tick mid"))
    return Markup("").join(parts)


def _points(x: Scale, y: Scale, at: TimeArray, values: FloatArray) -> list[list[str]]:
    """Return runs of finite points as "x y" text, thinned; NaN parts the runs."""
    runs: list[list[str]] = [[]]
    for i in thin(values):
        value = float(values[i])
        if math.isfinite(value) and not (y.is_log and value <= 0):
            runs[-1].append(f"{x(float(at[i])):.1f} {y(value):.1f}")
        elif runs[-1]:
            runs.append([])
    return [r for r in runs if r]


def _line(x: Scale, y: Scale, at: TimeArray, values: FloatArray, style: str) -> Markup:
    path = "".join("M" + "L".join(run) for run in _points(x, y, at, values))
    return Markup('<path d="{}" class="{}"/>').format(path, style)


def _area(x: Scale, y: Scale, at: TimeArray, values: FloatArray, style: str) -> Markup:
    path = ""
    for run in _points(x, y, at, values):
        first, last = run[0].split()[0], run[-1].split()[0]
        path += f"M{first} {y(0.0):.1f}L" + "L".join(run) + f"L{last} {y(0.0):.1f}Z"
    return Markup('<path d="{}" class="{}"/>').format(path, style)


def _drawdown(values: FloatArray) -> FloatArray:
    known = np.where(np.isfinite(values), values, -np.inf)
    highest = np.maximum.accumulate(known)
    fall: FloatArray = np.where(
        np.isfinite(values) & (highest > 0), values / np.where(highest > 0, highest, 1) - 1, np.nan
    )
    return fall


def _fan_axis(fan: Fan, shown: int, scales: tuple[Scale, Scale], height: int) -> list[Markup]:
    past, future = scales
    base = height - _BOTTOM
    first = time_ticks(int(fan.history_end[-shown]), int(fan.history_end[-1]), 3)[:3]
    ends = fan.history_end[-shown:]
    parts = [_segment(_LEFT, base, future.last, base, "axis"), _segment(past.last, _TOP + 12, past.last, base, "zero")]
    for at, label in first:
        place = past(float(np.searchsorted(ends, at)))
        if place < past.last - 34:
            parts.append(_text(place, height - 8, label, "tick mid"))
    parts.append(_text(past.last, height - 8, "now", "tick mid"))
    taken = [past.last]
    for horizon in reversed(fan.horizons):
        place = future(float(horizon))
        if all(abs(place - other) > 28 for other in taken):  # px: two labels side by side
            parts.append(_text(place, height - 8, f"+{horizon}", "tick mid"))
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
            parts.append(_text(steps[-1] + 5, y(value) + 4, f"P{100 * fan.levels[q]:.0f}", "tick"))
    return parts


def _digits(rows: Sequence[Bar]) -> int:
    largest = max((abs(r.value.value) for r in rows if math.isfinite(r.value.value)), default=0.0)
    return 2 if largest < 0.01 else 1


def _bar(row: Bar, x: Scale, middle: float, show: Callable[[float], str], *, width: int) -> list[Markup]:
    parts = [_text(x.first - 8, middle + 4, _cut(row.label, 22 if width == _WIDE else 17), "tick end")]
    value, low, high = row.value.value, row.value.low, row.value.high
    if not math.isfinite(value):
        return [*parts, _text(x.last + 8, middle + 4, row.note or "too short", "tick")]
    left, right = sorted((x(0.0), x(value)))
    title = f"{row.label}: {show(value)} {row.note}"
    parts.append(
        Markup(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="14" rx="2" class="bar {}"><title>{}</title></rect>'
        ).format(left, middle - 7, max(right - left, 1.0), row.style, title)
    )
    text = show(value)
    if math.isfinite(low) and math.isfinite(high):
        parts.append(_segment(x(low), middle, x(high), middle, "whisker"))
        parts += [_segment(x(v), middle - 4, x(v), middle + 4, "whisker") for v in (low, high)]
        if width == _WIDE:
            text = f"{text}  [{show(low)}, {show(high)}]"
    parts.append(_text(x.last + 8, middle + 4, text, "value"))
    return parts


def _whisker_point(at: float, y: Scale, value: Interval, style: str, title: str) -> list[Markup]:
    if not math.isfinite(value.value):
        return []
    parts = []
    if math.isfinite(value.low) and math.isfinite(value.high):
        parts.append(_segment(at, y(value.low), at, y(value.high), f"whisker {style}"))
    parts.append(_dot(at, y(value.value), f"dot {style}", title, 3.2))
    return parts


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
