"""Charts of forecasts: gain over time, reliability, and where outcomes fell between the quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from foresail.core.arrays import FloatArray, IntArray
from foresail.evaluation.forecast_scores import ReliabilityBin
from foresail.reporting.axes import Scale, linear_ticks
from foresail.reporting.figures import decimal, percent
from foresail.reporting.svg import (
    BOTTOM,
    LEFT,
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

__all__ = ["gain_chart", "histogram_chart", "reliability_chart"]


def gain_chart(times: IntArray, gain: FloatArray, *, width: int) -> Markup:
    """Return the gain over another forecast summed over time, in mean losses of that forecast.

    Parameters
    ----------
    times : (T,) ns UTC
    gain : (T,), the sum so far
    """
    height = 220 if width == WIDE else 180
    finite = gain[np.isfinite(gain)]
    if len(times) < 2 or not len(finite):
        return empty_drawing(width, "fewer than two issue times")
    low, high = padded(min(0.0, float(finite.min())), max(0.0, float(finite.max())))
    y = Scale(low, high, height - BOTTOM, TOP + 12)
    x = Scale(float(times[0]), float(times[-1]), LEFT, width - RIGHT)
    parts = [
        y_axis(y, [(t, decimal(t, 0 if high - low > 6 else 1)) for t in linear_ticks(low, high, 5)], width),
        segment(LEFT, y(0.0), width - RIGHT, y(0.0), "zero"),
        time_axis(x, times, width, height),
        label(0, TOP - 2, "mean losses of the other forecast", "unit"),
        area(x, y, times, gain, "area s-net"),
        line(x, y, times, gain, "line s-net"),
    ]
    return drawing(width, height, "Gain over the other forecast, summed over time", parts)


def reliability_chart(bins: Sequence[ReliabilityBin], *, width: int) -> Markup:
    """Return what came against what was said, with intervals and the diagonal of a perfect forecast."""
    height = 300 if width == WIDE else 240
    shown = [one for one in bins if math.isfinite(one.seen.value)]
    if not shown:
        return empty_drawing(width, "no resolved forecasts")
    side = min(width - RIGHT, LEFT + (460 if width == WIDE else width))
    values = [v for b in shown for v in (b.said, b.seen.value)]
    low, high = max(0.0, min(values) - 0.06), min(1.0, max(values) + 0.06)
    bottom = height - BOTTOM - 16
    x, y = Scale(low, high, LEFT, side), Scale(low, high, bottom, TOP + 12)
    ticks = linear_ticks(low, high, 6)
    parts = [y_axis(y, [(t, percent(t, 0)) for t in ticks], width - (width - RIGHT - side))]
    parts += [label(x(t), bottom + 17, percent(t, 0), "tick mid") for t in ticks]
    parts.append(segment(LEFT, bottom, side, bottom, "axis"))
    parts.append(segment(x(low), y(low), x(high), y(high), "nominal"))
    parts.append(label(0, TOP - 2, "share that came", "unit"))
    parts.append(label(side, bottom + 34, "said", "unit end"))
    for one in shown:
        if math.isfinite(one.seen.low):
            ends = [min(max(v, low), high) for v in (one.seen.low, one.seen.high)]
            parts.append(segment(x(one.said), y(ends[0]), x(one.said), y(ends[1]), "whisker"))
        told = f"{one.label}: said {percent(one.said)}, came {percent(one.seen.value)}"
        parts.append(dot(x(one.said), y(one.seen.value), "dot s-net", told, 3.4))
    return drawing(width, height, "Reliability: share that came against what was said", parts)


def histogram_chart(bins: Sequence[ReliabilityBin], *, width: int) -> Markup:
    """Return for each stretch between quantiles how many outcomes fell there, over how many it promised."""
    height = 230 if width == WIDE else 200
    ratios = [(one, one.seen.value / one.said) for one in bins if one.said > 0]
    tops = [v / one.said for one, r in ratios for v in (r * one.said, one.seen.high) if math.isfinite(v)]
    if not tops:
        return empty_drawing(width, "no resolved forecasts")
    bottom = height - BOTTOM
    y = Scale(0.0, max(1.25, 1.05 * max(tops)), bottom, TOP + 12)
    x = Scale(0.0, float(len(ratios)), LEFT, width - RIGHT)
    ticks = linear_ticks(0.0, y.high, 5)
    digits = (
        0
        if all(abs(t - round(t)) < 1e-9 for t in ticks)
        else 1
        if all(abs(10 * t - round(10 * t)) < 1e-9 for t in ticks)
        else 2
    )
    parts = [y_axis(y, [(t, decimal(t, digits)) for t in ticks], width)]
    parts.append(label(0, TOP - 2, "outcomes over promised", "unit"))
    every = 1 if width == WIDE and len(ratios) <= 12 else 2 if len(ratios) <= 12 else -(-len(ratios) // 6)
    for i, (one, ratio) in enumerate(ratios):
        left, right = x(i + 0.12), x(i + 0.88)
        told = f"{one.label}: {percent(one.seen.value)} of outcomes, {percent(one.said)} promised"
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar s-net"><title>{}</title></rect>'
            ).format(left, y(ratio), right - left, bottom - y(ratio), told)
        )
        if math.isfinite(one.seen.low):
            middle = (left + right) / 2
            parts.append(segment(middle, y(one.seen.low / one.said), middle, y(one.seen.high / one.said), "whisker"))
        if i % every == 0:
            parts.append(label((left + right) / 2, height - 8, _brief(one.label), "tick mid"))
    parts.append(segment(LEFT, y(1.0), width - RIGHT, y(1.0), "nominal"))
    return drawing(width, height, "Outcomes between neighbouring quantiles over what was promised", parts)


def _brief(text: str) -> str:
    return text.replace("below ", "< ").replace("above ", "> ").replace(" to ", "–")
