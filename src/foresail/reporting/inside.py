"""The inside of a network on a page: selection by group and over time, attention, reasons and similar days (XPL-03)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from foresail.domain.runs import Interval
from foresail.reporting.axes import Scale, linear_ticks
from foresail.reporting.blocks import Block, Chart, Notes, Table
from foresail.reporting.charts import Bar, bar_chart, both_widths
from foresail.reporting.figures import bars, day, decimal, percent
from foresail.reporting.inside_model import InsideBlock, InsideForecast, Shares
from foresail.reporting.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDE,
    drawing,
    empty_drawing,
    label,
    line,
    padded,
    segment,
    y_axis,
)

__all__ = ["AID", "inside_blocks", "shares_chart"]

AID = (
    "Selection weights and attention are an aid to the reader, not proof of cause: an input that is selected may act "
    "with either sign or hardly at all, and a bar that attention looks at carries what the bars before it left behind."
)
_STYLES = ("h0", "h1", "h2", "h3")
_NAN = float("nan")


def inside_blocks(told: InsideBlock) -> tuple[Block, ...]:
    """Return everything of the section."""
    blocks: list[Block] = [] if told.shares is None else _weights(told.shares)
    for place, one in enumerate(told.forecasts, start=1):
        blocks += _forecast(place, one, told)
    blocks.append(
        Notes((
            "Reasons: integrated gradients from the mean of every feature, as parts of the expected log return before "
            "calibration and before forecasts are centred across names.",
            "Similar days: training days nearest in the state that the last layer reads, of any name, at least "
            f"{bars(told.horizon)} apart, whose outcome was known when the forecast was made. Few days prove nothing.",
        ))
    )  # fmt: skip
    return tuple(blocks)


def shares_chart(series: Sequence[tuple[str, str, Sequence[float]]], *, title: str, width: int) -> Markup:
    """Return shares by bars before the forecast, one line a series.

    Parameters
    ----------
    series : (style, label, shares), the oldest bar first; NaN where there is none
    """
    height = 240 if width == WIDE else 190
    finite = [v for _, _, values in series for v in values if math.isfinite(v)]
    steps = max((len(values) for _, _, values in series), default=0)
    if steps < 2 or not finite:
        return empty_drawing(width, "fewer than two bars")
    low, high = padded(0.0, max(finite))
    y = Scale(low, high, height - BOTTOM, TOP + 12)
    x = Scale(1.0 - steps, 0.0, LEFT, width - RIGHT - 8)
    ticks = linear_ticks(low, high, 5)
    digits = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks) else 1
    parts = [y_axis(y, [(t, percent(t, digits)) for t in ticks], width)]
    parts.append(segment(LEFT, height - BOTTOM, width - RIGHT, height - BOTTOM, "axis"))
    whole = [t for t in linear_ticks(1.0 - steps, 0.0, 7 if width == WIDE else 4) if t == round(t) and t > -steps]
    parts += [label(x(t), height - 8, f"{t:.0f}".replace("-", "−"), "tick mid") for t in whole]
    parts.append(label(0, TOP - 2, "share, by bars before the forecast", "unit"))
    for style, _, values in series:
        at = np.arange(1 - len(values), 1, dtype=np.int64)
        parts.append(line(x, y, at, np.asarray(values, dtype=np.float64), f"line {style}"))
    return drawing(width, height, f"{title}: " + ", ".join(name for _, name, _ in series), parts)


def _weights(shares: Shares) -> list[Block]:
    groups = [Bar(name, Interval(share, _NAN, _NAN)) for name, share in shares.groups]
    shown = [(_STYLES[i], name, values) for i, (name, values) in enumerate(shares.over_time[: len(_STYLES)])]
    looked = [
        (_STYLES[i % len(_STYLES)], f"{bars(one.horizon)} ahead", one.past) for i, one in enumerate(shares.attention)
    ]
    ahead = tuple(
        f"{bars(one.horizon)} ahead: {percent(one.ahead)} of the attention lies on the steps to come, whose calendar "
        "is known."
        for one in shares.attention
    )
    return [
        Notes((AID,)),
        Chart(
            f"Selection weights by group of features, mean over {shares.names} names and their past bars",
            both_widths(lambda w: bar_chart(groups, unit="percent", width=w)),
        ),
        Chart(
            "Selection weights over time, the leading groups",
            both_widths(lambda w: shares_chart(shown, title="Selection weights", width=w)),
            tuple((style, name, "") for style, name, _ in shown),
        ),
        Table(
            "The leading inputs", ("Input", "Share"), tuple((n, percent(v)) for n, v in shares.variables), folded=True
        ),
        Table(
            "What an instrument is", ("Category", "Share"), tuple((n, percent(v)) for n, v in shares.statics),
            folded=True,
        ),
        Chart(
            "Attention over the past, mean over names",
            both_widths(lambda w: shares_chart(looked, title="Attention", width=w)),
            tuple((style, name, "") for style, name, _ in looked),
        ),
        Notes(ahead),
    ]  # fmt: skip


def _forecast(place: int, one: InsideForecast, told: InsideBlock) -> list[Block]:
    range_ = ", ".join(
        f"P{100 * level:g} {percent(value, 1, signed=True)}"
        for level, value in zip(told.levels, one.quantiles, strict=True)
    )
    reasons = tuple((name, percent(share, 3, signed=True), decimal(value, 4)) for name, share, value in one.reasons)
    others = one.features - sum(share for _, share, _ in one.reasons)
    reasons += (
        ("all other features", percent(others, 3, signed=True), ""),
        ("calendar, instrument and market", percent(one.whole - one.features, 3, signed=True), ""),
        ("forecast before calibration and centring", percent(one.whole, 3, signed=True), ""),
    )
    near = tuple(
        (past.symbol, day(past.at), decimal(past.distance), percent(past.followed, 2, signed=True)) for past in one.near
    )
    title = f"{place}. {one.symbol}: expected {percent(one.expected, 2, signed=True)} over {bars(told.horizon)}"
    followed = f"Followed, {bars(told.horizon)}"
    blocks: list[Block] = [
        Table(title, ("Reason", "Moves the expected return by", "Value"), reasons, marked=(len(reasons) - 1,)),
        Notes((range_,)),
    ]
    if near:
        blocks.append(Table("", ("Similar day of", "Date", "Distance", followed), near, names=2))
    else:
        blocks.append(Notes(("No training day with a known outcome can be compared.",)))
    return blocks
