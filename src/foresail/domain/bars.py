"""Bars as they come in and as they are stored: one row per print, in an Arrow table of this schema.

What comes from outside becomes a ``BarTable``; the quality gate works on it; a ``Panel`` comes only out of a store
read.
Times are int64 nanoseconds UTC, ``[start, end)``. Absent numbers are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BAR_COLUMNS", "BarSet", "BarTable", "bar_schema", "bar_table"]

# name, Arrow type, meaning
BAR_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("instrument", "string", "permanent instrument id"),
    ("start", "int64", "opening of the bar, ns UTC"),
    ("end", "int64", "end of the bar, ns UTC (exclusive)"),
    ("available_at", "int64", "when a careful trader had it, ns UTC"),
    ("recorded_at", "int64", "when the store wrote it, ns UTC"),
    ("open", "double", "first price, quote currency; null on close-only data"),
    ("high", "double", "highest price"),
    ("low", "double", "lowest price"),
    ("close", "double", "last price"),
    ("volume", "double", "units traded, or ticks for forex; null = missing"),
    ("dividend", "double", "cash per unit going ex at this bar's open; 0 = none"),
    ("split", "double", "units after one unit before, effective at this bar's open; 1 = none"),
    ("total_factor", "double", "forward total-return factor relative to the first bar (1 at the first bar)"),
    ("spread", "double", "ask minus bid at the close, quote currency; null = unknown"),
)


@dataclass(frozen=True, slots=True, eq=False)
class BarTable:
    """Bars of one set, sorted by (instrument, end, available_at), with the columns of ``BAR_COLUMNS``.

    On the way from a file to the quality gate two columns may follow, ``file`` (text) and ``row`` (int64, 1-based):
    where each bar came from. The gate names them in what it sets aside and drops them.
    """

    table: pa.Table


@dataclass(frozen=True, slots=True)
class BarSet:
    """What is known about a set of bars as a whole (the content of ``foresail-set.toml``, resolved).

    Attributes
    ----------
    calendar : an exchange_calendars name such as XNYS, or "24/7", or "24/5" (forex week)
    price_basis : decides dividends, splits, tiers
    universe_basis : "point_in_time" when membership was known at the time, "hindsight" when names were chosen
        afterwards, "unknown" otherwise; hindsight and unknown turn evidence into cannot judge
    grace_s : seconds after the end at which a bar counts as known
    known_by_date : true when availability is a date only: a bar is known a second after the next session's open
    close_only : true when there are no open, high, low
    """

    name: str
    asset_class: AssetClass
    frame: str
    calendar: str
    price_basis: PriceBasis
    universe_basis: str
    currency: str
    grace_s: float
    known_by_date: bool
    close_only: bool
    instruments: tuple[Instrument, ...]
    source: str = ""


def bar_schema() -> pa.Schema:
    """Return the Arrow schema of ``BAR_COLUMNS``."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind, _ in BAR_COLUMNS])


def bar_table(columns: Mapping[str, Any]) -> BarTable:
    """Return a table from columns of equal length; NaN becomes null, an absent column has its neutral value.

    Parameters
    ----------
    columns : by name: ``instrument``, ``start``, ``end``, ``available_at`` must be there; an absent ``split`` or
        ``total_factor`` is 1, an absent ``dividend`` 0, anything else null; ``file`` and ``row`` may follow

    Raises
    ------
    UnknownNameError
        If a column is none of these.
    """
    import pyarrow as pa

    schema = bar_schema()
    for name in columns:
        if name not in schema.names and name not in ("file", "row"):
            raise UnknownNameError("bar column", name, [*schema.names, "file", "row"])
    length = len(columns["end"])
    neutral = {"split": 1.0, "total_factor": 1.0, "dividend": 0.0}
    arrays, names = [], []
    for field in schema:
        if field.name in columns:
            arrays.append(_arrow_column(columns[field.name], field.type))
        elif field.name in neutral:
            arrays.append(pa.repeat(pa.scalar(neutral[field.name], pa.float64()), length))
        else:
            arrays.append(pa.nulls(length, field.type))
        names.append(field.name)
    for name in ("file", "row"):
        if name in columns:
            arrays.append(_arrow_column(columns[name], pa.string() if name == "file" else pa.int64()))
            names.append(name)
    return BarTable(pa.table(arrays, names=names))


def _arrow_column(values: Any, kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind) if values.type != kind else values
    return pa.array(values, type=kind, from_pandas=True)
