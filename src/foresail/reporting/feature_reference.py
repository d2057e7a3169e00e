"""The reference page of the features, made from the catalogue: definition, formula, memory, plot, source."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from markupsafe import escape

from foresail.core.arrays import FloatArray
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE, CRITICAL
from foresail.features.declared.sets import SETS
from foresail.features.declared.spec import SCHEMA_VERSION, FeatureSpec
from foresail.features.plan import declared_memory
from foresail.features.readable import formula_text
from foresail.reporting.axes import thin
from foresail.reporting.reference import NOT_BY_HAND, markdown_table

__all__ = ["feature_picture", "features_page"]

_WIDTH, _HEIGHT, _POINTS = 220, 60, 120  # px, px, points of a line

_FEATURES = f"""\
# Features

{len(CATALOGUE)} features, catalogue version {SCHEMA_VERSION}. A run uses all of its set that its bars allow; the report
lists the others with the reason. `features = [...]` in the settings chooses some;
`foresail features explain NAME` tells all of one, `foresail features compute` writes them to a file.

{NOT_BY_HAND}

- Prices are adjusted forward from the first bar, so dividends and splits make no jumps and the past never changes.
- "first value" is the bar of an instrument at which there is a value at the earliest. Missing is NaN: before that,
  where an input is absent, and where the instrument has no bar.
- "formula" is printed from what is computed: `p1` and so on are its named parts, `p1[0]` the first output of a step,
  `on vix: ...` something computed on the series `vix`, `given.x` a number from outside.
- "remembers" is what a live driver keeps of one instrument: past values, other numbers. "finite": the last bars only;
  "fading" folds from the first stored bar and forgets; "summed" adds up from there.
- "scale" is how a value moves with the price or volume of its instrument. What is not free of units is for display: a
  model sees it over the close, or over the mean volume of 20 bars.
- "row" features look at other instruments or at a reference series as well.
- "critical" features lower a signal when they are missing: {{critical}}.
- "fitted": scaled by statistics of the training rows of a fold; circles, flags and categories are taken as they are.
- Plots show made-up bars, the close in blue: 420 daily bars, or four days of quarter hours for rows of the day. A row
  that needs numbers from outside has none.
- "source" is the requirement that asks for the feature.

Sets: {{sets}}.
"""
_MEMORY = {"finite": "finite", "recursive": "fading", "cumulative": "summed"}
_SCALES = {"free": "free", "price": "price level", "price_change": "price difference", "volume": "volume"}


def features_page(drawn: Collection[str] = ()) -> str:
    """Return the page of the feature catalogue as Markdown.

    Parameters
    ----------
    drawn : features that have a picture, ``plots/NAME.svg`` beside the page
    """
    critical = "; ".join(f"{c.value}: {', '.join(CRITICAL[c])}" for c in AssetClass)
    sets = ", ".join(f"`{name}` ({len(SETS[name])})" for name in sorted(SETS))
    parts = [_FEATURES.format(critical=critical, sets=sets)]
    names = (
        "name", "plot", "what it is", "formula", "inputs", "first value", "remembers", "scale", "classes", "notes",
        "source",
    )  # fmt: skip
    for group in dict.fromkeys(spec.group for spec in CATALOGUE.values()):
        rows = [_row(spec, spec.name in drawn) for spec in CATALOGUE.values() if spec.group == group]
        parts.append(markdown_table(f"## {group.replace('_', ' ').capitalize()}", names, rows))
    return "\n".join(parts)


def _row(spec: FeatureSpec, is_drawn: bool) -> tuple[str, ...]:  # noqa: FBT001 a cell of a table
    classes = "all" if len(spec.asset_classes) == len(AssetClass) else ", ".join(c.value for c in spec.asset_classes)
    notes = [f"also {', '.join(f'`{a}`' for a in spec.aliases)}"] if spec.aliases else []
    notes += ["row"] if spec.scope == "row" else []
    notes += ["critical"] if spec.critical else []
    notes += ["fitted"] if spec.normaliser == "standard" else []
    notes += ["known in advance"] if spec.known_in_advance else []
    notes += [f"shown times {spec.display_factor:g}"] if spec.display_factor != 1.0 else []
    return (
        f"`{spec.name}`",
        f"![{spec.name}](plots/{spec.name}.svg)" if is_drawn else "",
        spec.description,
        f"`{formula_text(spec.expression)}`",
        ", ".join(spec.inputs),
        f"bar {max(spec.warm_up, 1)}",
        _memory(spec),
        _SCALES[spec.scale],
        classes,
        "; ".join(notes),
        spec.source,
    )


def _memory(spec: FeatureSpec) -> str:
    kept = declared_memory(spec.expression)
    if not kept.ring_bars and not kept.states:
        return "nothing"
    return f"{kept.ring_bars} values, {kept.states} numbers, {_MEMORY[spec.memory]}"


def feature_picture(price: FloatArray, values: FloatArray, title: str, *, on_price: bool = False) -> str:
    """Return a small SVG of a feature below the price, or on it.

    Parameters
    ----------
    price, values : (T,), NaN where absent
    on_price : whether the feature is a level of the price
    """
    middle = _HEIGHT if on_price else _HEIGHT // 2
    both = np.concatenate([price, values]) if on_price else price
    above = _path(price, _range(both), (0, middle))
    below = _path(values, _range(both if on_price else values), (0 if on_price else middle, _HEIGHT))
    paths = "".join(
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.2"/>'
        for colour, path in (("#6aa0d8", above), ("#c2570c", below))
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}">'
    return f"{head}<title>{escape(title)}</title>{paths}</svg>\n"


def _range(values: FloatArray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


def _path(values: FloatArray, span: tuple[float, float], place: tuple[int, int]) -> str:
    """Return a line in whole pixels between the heights of ``place``; a constant lies in the middle."""
    low, high = span
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    parts, pen = [], "M"
    for i in thin(values, _POINTS):
        if not np.isfinite(values[i]):
            pen = "M"
            continue
        share = 0.5 if flat else (float(values[i]) - low) / (high - low)
        x = 2 + (_WIDTH - 4) * i / max(1, len(values) - 1)
        parts.append(f"{pen}{x:.0f} {place[1] - 3 - (place[1] - place[0] - 6) * share:.0f}")
        pen = "L"
    return "".join(parts)
