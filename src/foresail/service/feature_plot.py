"""Draw one feature of one instrument beside its price: ``foresail features plot``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foresail.core.canonical import write_atomic
from foresail.core.clock import format_ns
from foresail.core.errors import CapabilityError, ConfigError, DataError, UserError
from foresail.features.catalogue import class_of_panel, find
from foresail.features.declared.presets import levels_of
from foresail.features.frame_syntax import split_frame
from foresail.features.readable import formula_text
from foresail.protocols import Progress
from foresail.reporting.feature_chart import FeatureChart, feature_page, feature_svg
from foresail.service.feature_names import chosen_names, instrument_row
from foresail.service.features import FeatureRequest, FeatureTable, compute_table
from foresail.service.outcome import Outcome

__all__ = ["feature_chart", "plot_feature"]


def plot_feature(
    request: FeatureRequest,
    symbol: str,
    *,
    out: Path | None = None,
    last: int = 500,
    force: bool = False,
    progress: Progress,
) -> Outcome:
    """Draw one feature of one instrument.

    Parameters
    ----------
    request : names one feature
    symbol : an instrument id, or its last part
    out : ends in .html or .svg; None = NAME-SYMBOL.html
    last : so many of the newest bars are shown; all are computed

    Raises
    ------
    ForesailError
        If there is no such feature, instrument or bars, the bars cannot give the feature, or the file is of another
        kind.
    """
    _, names = chosen_names(request.names)
    if len(names) != 1:
        raise ConfigError(f"expected one feature to draw, received {len(names)}: {', '.join(names[:5])}")
    target = Path(f"{names[0].replace('@', '-')}-{symbol}.html") if out is None else out
    _check_file(target, force=force)
    chart = feature_chart(compute_table(request, progress=progress), symbol, last=last)
    text = feature_svg(chart) if target.suffix == ".svg" else feature_page(chart)
    try:
        write_atomic(target, text.encode())
    except OSError as e:
        raise UserError(f"{target}: cannot be written: {e.strerror}", hint="choose a folder you may write to") from e
    known = int(np.isfinite(chart.values).sum())
    document = {
        "out": str(target),
        "feature": names[0],
        "instrument": chart.instrument,
        "bars": len(chart.end),
        "known": known,
        "missing": int(chart.missing.sum()),
    }
    until = format_ns(int(chart.end[-1]))[:10]
    lines = [f"wrote {target}: {names[0]} of {chart.instrument}, {len(chart.end):,} bars to {until}, {known:,} values"]
    return Outcome(document, lines)


def _check_file(target: Path, *, force: bool) -> None:
    if target.suffix == ".png":
        raise CapabilityError(
            f"--out {target}: pictures of pixels need a drawing library that Foresail does not bring",
            hint="write .svg or .html; a browser shows both and saves them as PNG",
        )
    if target.suffix not in {".html", ".svg"}:
        raise ConfigError(f"--out {target}: expected a file that ends in .html or .svg")
    if target.exists() and not force:
        raise UserError(f"{target} exists", hint="choose another file, or add --force to replace it")
    if not target.parent.is_dir():
        raise UserError(f"--out {target}: there is no folder {target.parent}", hint="make it first")


def feature_chart(table: FeatureTable, symbol: str, *, last: int = 500) -> FeatureChart:
    """Return the chart of the first feature of a table for one instrument.

    Raises
    ------
    UnknownNameError
        If the table has no such instrument.
    DataError
        If the bars cannot give the feature, or the instrument has no bar.
    """
    name = table.panel.fields[0]
    if name in table.absent:
        raise DataError(
            f"{name} has no value on these bars: {table.absent[name]}",
            hint="other bars: --bars; what it needs: foresail features explain " + split_frame(name)[0],
        )
    i = instrument_row(symbol, table.panel.instruments)
    here = np.flatnonzero(table.bars.present[i])
    if len(here) == 0:
        raise DataError(f"{table.panel.instruments[i]} has no bar")
    first = max(int(here[0]), int(here[-1]) + 1 - last)
    rows = slice(first, int(here[-1]) + 1)
    spec = find(split_frame(name)[0])
    factor = spec.display_factor if table.form == "display" else 1.0
    values = table.panel.values[i, :, 0] * factor
    warm = np.cumsum(np.isfinite(values)) > 0
    expression = spec.model_expression if table.form == "model" else spec.expression
    facts = (
        ("formula", formula_text(expression)),
        ("reads", ", ".join(spec.inputs)),
        ("first value", "at once" if spec.warm_up <= 1 else f"at bar {spec.warm_up} at the earliest"),
        ("form", f"{table.form}, values times {factor:g}" if factor != 1.0 else table.form),
        ("source", spec.source),
    )
    return FeatureChart(
        feature=name,
        instrument=str(table.panel.instruments[i]),
        description=spec.description,
        end=table.panel.end[rows],
        price=_adjusted_close(table, i)[rows],
        values=values[rows],
        warm=warm[rows],
        on_price=spec.scale == "price" and table.form == "display",
        factor=factor,
        facts=facts,
        levels=tuple(level * factor for level in levels_of(spec.name, class_of_panel(table.bars)) or ()),
    )


def _adjusted_close(table: FeatureTable, i: int) -> np.ndarray:
    """Return (T,) closes that dividends and splits do not move, as the features see them."""
    close = np.where(table.bars.present[i], table.bars.field("close")[i], np.nan)
    if "total_factor" in table.bars.fields:
        factor = table.bars.field("total_factor")[i]
        close = close * np.where(np.isfinite(factor), factor, 1.0)
    return close
