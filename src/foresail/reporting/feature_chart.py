"""A feature under the price it was computed from, on one time axis; a level in price units is drawn on the price too.

Before the first value the drawing is shaded as warm-up; later bars without a value are marked along the bottom. The
style is that of the report: colours by class, light and dark, no script, nothing from outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from foresail import __version__
from foresail.core.arrays import BoolArray, FloatArray, TimeArray
from foresail.reporting.axes import Scale, linear_ticks, log_ticks
from foresail.reporting.charts import both_widths, short
from foresail.reporting.html import page_environment, page_style
from foresail.reporting.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDE,
    drawing,
    label,
    line,
    padded,
    segment,
    time_axis,
    y_axis,
)

__all__ = ["FeatureChart", "feature_page", "feature_svg"]

_GAP = 34  # px between the two plots
_SHADE = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="shade"/>')
_OWN_STYLE = (
    "svg .shade { fill: var(--muted); opacity: .13; } svg .hole { stroke: var(--bad); stroke-width: 1.6; } "
    "svg .bound { stroke: var(--muted); stroke-dasharray: 4 3; } "
    "svg .line.s-level { stroke: var(--equal); }"
)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureChart:
    """What is drawn.

    Attributes
    ----------
    end : (T,) ns UTC
    price : (T,) forward-adjusted close, NaN where there is no bar
    values : (T,) of the feature, on the scale of screens, NaN where it has none
    warm : (T,) bool, true from the first value on
    on_price : whether the feature is a level of the price
    factor : by which the values are multiplied, as screens do
    facts : (name, text) pairs shown on the page
    levels : values of the feature to draw a line at, for example oversold and overbought
    """

    feature: str
    instrument: str
    description: str
    end: TimeArray
    price: FloatArray
    values: FloatArray
    warm: BoolArray
    on_price: bool
    factor: float = 1.0
    facts: tuple[tuple[str, str], ...] = ()
    levels: tuple[float, ...] = ()

    @property
    def missing(self) -> BoolArray:
        """Return (T,) true where the instrument has a bar and the warm feature has no value."""
        holes: BoolArray = self.warm & np.isfinite(self.price) & ~np.isfinite(self.values)
        return holes


def feature_svg(chart: FeatureChart) -> str:
    """Return the chart as a file of its own."""
    style = page_style(page_environment())
    inner = str(_draw(chart, WIDE))
    ground = Markup('<rect width="100%" height="100%" fill="var(--card)"/>')
    head, _, rest = inner.partition(">")
    opened = head.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE}" ', 1)
    return f"{opened}><style>{style}{_OWN_STYLE}</style>{ground}{rest}\n"


def feature_page(chart: FeatureChart) -> str:
    """Return the chart as a page that needs no network."""
    facts = Markup("").join(Markup("<dt>{}</dt><dd>{}</dd>").format(*pair) for pair in chart.facts)
    page = _PAGE.format(
        title=f"{chart.feature} of {chart.instrument}",
        style=page_style(page_environment()),
        own=Markup(_OWN_STYLE),  # noqa: S704 our own text
        description=chart.description,
        drawing=both_widths(lambda width: _draw(chart, width)),
        told=_told(chart),
        facts=facts,
        version=__version__,
    )
    return str(page)


_PAGE = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>{title}</title><style>{style}{own}</style></head><body>"
    '<header class="top"><div class="brand">Foresail features</div><h1>{title}</h1>'
    '<div class="note">{description}</div></header><main><section>{drawing}<p class="note">{told}</p></section>'
    '<section><h2>What it is</h2><dl class="facts">{facts}</dl></section></main>'
    "<footer>Foresail {version} · not financial advice · this file needs no network</footer></body></html>\n"
)


def _told(chart: FeatureChart) -> str:
    """Return how many bars have a value, and why the others have none."""
    bars = int(np.isfinite(chart.price).sum())
    known = int(np.isfinite(chart.values).sum())
    early = int((np.isfinite(chart.price) & ~chart.warm).sum())
    parts = [f"{known:,} of {bars:,} bars have a value"]
    parts += [f"{early:,} are warm-up (shaded)"] if early else []
    parts += [f"{int(chart.missing.sum()):,} are missing later (marked red)"] if chart.missing.any() else []
    parts += [f"dashed: {' and '.join(f'{at:g}' for at in chart.levels)}"] if chart.levels else []
    return "; ".join(parts) + "."


def _draw(chart: FeatureChart, width: int) -> Markup:
    upper, below = (230, 170) if width == WIDE else (170, 130)
    price_bottom = TOP + 12 + upper
    height = price_bottom + BOTTOM + (0 if chart.on_price else _GAP + below)
    x = Scale(float(chart.end[0]), float(chart.end[-1]), LEFT, width - RIGHT)
    levels = np.concatenate([chart.price, chart.values]) if chart.on_price else chart.price
    y = _scale(levels, price_bottom, TOP + 12, may_be_log=True)
    parts = [_warm_up(chart, x, TOP + 12, height - BOTTOM)]
    parts.append(y_axis(y, [(t, short(t)) for t in _ticks(y)], width))
    said = "forward-adjusted close" + (f" and {chart.feature}" if chart.on_price else "")
    parts.append(label(0, TOP, f"{said}{', log scale' if y.is_log else ''}", "unit"))
    seen = np.isfinite(chart.price)
    parts.append(line(x, y, chart.end[seen], chart.price[seen], "line s-net"))
    if chart.on_price:
        parts.append(line(x, y, chart.end, chart.values, "line s-level"))
    else:
        shown = np.concatenate([chart.values, np.array(chart.levels)])
        own = _scale(shown, height - BOTTOM, price_bottom + _GAP, may_be_log=False)
        parts.append(y_axis(own, [(t, short(t)) for t in _ticks(own)], width))
        named = chart.feature if chart.factor == 1.0 else f"{chart.feature}, times {chart.factor:g}"
        parts.append(label(0, price_bottom + _GAP - 10, named, "unit"))
        if not np.isfinite(chart.values).any():
            parts.append(label(width / 2, price_bottom + _GAP + below / 2, "no value in these bars", "tick mid"))
        parts += [segment(LEFT, own(at), width - RIGHT, own(at), "bound") for at in chart.levels]
        parts.append(line(x, own, chart.end, chart.values, "line s-level"))
    base = height - BOTTOM
    parts += [segment(x(float(at)), base - 7, x(float(at)), base, "hole") for at in chart.end[chart.missing]]
    parts.append(time_axis(x, chart.end, width, height))
    return drawing(width, height, f"{chart.feature} of {chart.instrument}, with the price. {_told(chart)}", parts)


def _warm_up(chart: FeatureChart, x: Scale, top: float, bottom: float) -> Markup:
    """Return the shade over the bars before the first value."""
    early = int(np.argmax(chart.warm)) if chart.warm.any() else len(chart.end) - 1
    if early == 0:
        return Markup("")
    stop = x(float(chart.end[early]))
    shade = _SHADE.format(LEFT, top, stop - LEFT, bottom - top)
    wide_enough = stop - LEFT > 60
    return shade + (label((LEFT + stop) / 2, top + 14, "warm-up", "tick mid") if wide_enough else Markup(""))


def _scale(values: FloatArray, first: float, last: float, *, may_be_log: bool) -> Scale:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Scale(0.0, 1.0, first, last)
    low, high = float(finite.min()), float(finite.max())
    if may_be_log and low > 0 and high / low > 3:
        return Scale(low / 1.04, high * 1.04, first, last, is_log=True)
    return Scale(*padded(low, high), first, last)


def _ticks(scale: Scale) -> list[float]:
    return log_ticks(scale.low, scale.high) if scale.is_log else linear_ticks(scale.low, scale.high, 5)
