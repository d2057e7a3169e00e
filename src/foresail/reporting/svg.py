"""The strokes that charts are made of: text, lines, areas, axes, as SVG markup.

Colours come from the page's style sheet by class. All text passes through ``Markup.format``, which escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from foresail.core.arrays import FloatArray, TimeArray
from foresail.reporting.axes import Scale, thin, time_ticks

__all__ = [
    "BOTTOM",
    "LEFT",
    "NARROW",
    "RIGHT",
    "TOP",
    "WIDE",
    "area",
    "dot",
    "drawing",
    "empty_drawing",
    "label",
    "line",
    "padded",
    "segment",
    "time_axis",
    "y_axis",
]

WIDE, NARROW = 880, 330  # px
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 26  # px around the plot


def drawing(width: int, height: float, title: str, parts: Sequence[Markup]) -> Markup:
    """Return a whole chart; ``title`` is what a screen reader says."""
    head = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">').format(width, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def empty_drawing(width: int, text: str) -> Markup:
    """Return a chart that says why there is nothing to draw."""
    return drawing(width, 60, text, [label(width / 2, 34, f"nothing to draw: {text}", "tick mid")])


def label(x: float, y: float, text: str, style: str) -> Markup:
    """Return one line of text."""
    return Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(x, y, style, text)


def segment(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """Return a straight line."""
    return Markup('<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" class="{}"/>').format(x1, y1, x2, y2, style)


def dot(x: float, y: float, style: str, title: str, radius: float = 3.5) -> Markup:
    """Return a point with a tooltip."""
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" class="{}"><title>{}</title></circle>').format(
        x, y, radius, style, title
    )


def padded(low: float, high: float) -> tuple[float, float]:
    """Return the range with a margin; an end at zero stays."""
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return (low if low == 0 else low - pad), (high if high == 0 else high + pad)


def y_axis(y: Scale, ticks: Sequence[tuple[float, str]], width: int) -> Markup:
    """Return grid lines with their labels at the left."""
    lines = [segment(LEFT, y(t), width - RIGHT, y(t), "grid") for t, _ in ticks]
    labels = [label(LEFT - 6, y(t) + 4, text, "tick end") for t, text in ticks]
    return Markup("").join([*lines, *labels])


def time_axis(x: Scale, end: TimeArray, width: int, height: int) -> Markup:
    """Return the time axis at the bottom."""
    ticks = time_ticks(int(end[0]), int(end[-1]), 11 if width == WIDE else 5)
    parts = [segment(LEFT, height - BOTTOM, width - RIGHT, height - BOTTOM, "axis")]
    for at, said in ticks:
        parts.append(segment(x(at), height - BOTTOM, x(at), height - BOTTOM + 4, "axis"))
        if x(at) < width - RIGHT - 8:
            parts.append(label(x(at), height - 8, said, "tick mid"))
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


def line(x: Scale, y: Scale, at: TimeArray, values: FloatArray, style: str) -> Markup:
    """Return a line through finite values; NaN parts it."""
    path = "".join("M" + "L".join(run) for run in _points(x, y, at, values))
    return Markup('<path d="{}" class="{}"/>').format(path, style)


def area(x: Scale, y: Scale, at: TimeArray, values: FloatArray, style: str) -> Markup:
    """Return the area between values and zero."""
    path = ""
    for run in _points(x, y, at, values):
        first, last = run[0].split()[0], run[-1].split()[0]
        path += f"M{first} {y(0.0):.1f}L" + "L".join(run) + f"L{last} {y(0.0):.1f}Z"
    return Markup('<path d="{}" class="{}"/>').format(path, style)
