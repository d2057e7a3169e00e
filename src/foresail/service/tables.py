"""Tables of a run folder: from columns or domain types to Parquet with the same bytes every time.

Each table is checked against its schema in ``domain.schemas``: an unknown or missing column is our own defect and
raises IntegrityError. Rows are sorted by the schema's key, absent numbers become null, and nothing of the machine or
of pandas enters the file. The bytes depend on the content and on the version of pyarrow, not on threads, hash seed or
time zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foresail.core.errors import IntegrityError, UnknownNameError
from foresail.domain.orders import Fill, Order
from foresail.domain.quality import QualityReport
from foresail.domain.schemas import TABLES, TableSchema

__all__ = [
    "arrow_schema",
    "build_table",
    "decimal_columns",
    "fill_columns",
    "order_columns",
    "quality_columns",
    "table_schema",
    "write_parquet",
]

_ROWS_PER_GROUP = 131_072  # fixed: the size of a row group decides the bytes
_TYPES = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}


def table_schema(name: str) -> TableSchema:
    """Return the schema of a table.

    Raises
    ------
    UnknownNameError
        If a run folder has no table of that name.
    """
    if name not in TABLES:
        raise UnknownNameError("table", name, TABLES)
    return TABLES[name]


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """Return the Arrow schema: name and version in its metadata, the unit in each field's."""
    fields = [
        pa.field(c.name, _TYPES[c.type], nullable=not c.required, metadata={"unit": c.unit} if c.unit else None)
        for c in schema.columns
    ]
    return pa.schema(fields, metadata={"foresail.table": schema.name, "foresail.version": str(schema.version)})


def build_table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Return a checked and sorted table.

    Parameters
    ----------
    name : key of ``domain.schemas.TABLES``
    columns : name -> sequence or array of equal length; None stands for a column without any value

    Raises
    ------
    IntegrityError
        If columns are unknown, missing, of unequal length, of another type, infinite, or null where required.
    """
    schema = table_schema(name)
    known = [c.name for c in schema.columns]
    strange, absent = sorted(set(columns) - set(known)), [c for c in known if c not in columns]
    if strange or absent:
        raise IntegrityError(f"table {name}: columns not in the schema {strange}, columns missing {absent}")
    lengths = {k: len(v) for k, v in columns.items() if v is not None}
    if len(set(lengths.values())) > 1:
        raise IntegrityError(f"table {name}: columns differ in length: {lengths}")
    rows = next(iter(lengths.values()), 0)
    arrays = [_array(name, c.name, _TYPES[c.type], columns[c.name], rows, required=c.required) for c in schema.columns]
    table = pa.table(arrays, schema=arrow_schema(schema))
    order = [(k, "ascending") for k in schema.key]
    return table.take(pc.sort_indices(table, sort_keys=order)).combine_chunks()


def _array(table: str, column: str, kind: pa.DataType, values: Any, rows: int, *, required: bool) -> pa.Array:
    if values is None:
        array = pa.nulls(rows, kind)
    else:
        try:
            array = _cast(pa.array(values if isinstance(values, np.ndarray) else list(values), from_pandas=True), kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as e:
            raise IntegrityError(f"table {table}, column {column}: expected {kind}, {e}") from e
    if required and array.null_count:
        raise IntegrityError(f"table {table}, column {column}: {array.null_count} of {rows} values are missing")
    if pa.types.is_floating(kind) and bool(pc.any(pc.is_inf(array)).as_py() or False):
        raise IntegrityError(f"table {table}, column {column}: infinity has no place in a record")
    return array


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast without loss; text, numbers and truth values never turn into one another."""
    received = array.type
    for is_kind in (pa.types.is_string, pa.types.is_boolean):
        if not pa.types.is_null(received) and is_kind(received) != is_kind(kind):
            raise pa.ArrowTypeError(f"received {received}")
    return array.cast(kind)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table with fixed settings, so that equal content gives equal bytes."""
    pq.write_table(
        table,
        path,
        row_group_size=_ROWS_PER_GROUP,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        write_statistics=True,
        data_page_size=1 << 20,
    )


def decimal_columns(name: str, values: Iterable[Decimal | None]) -> dict[str, list[Any]]:
    """Return the double column ``name`` and the text column ``name_exact`` of exact numbers."""
    numbers = list(values)
    return {
        name: [None if v is None else float(v) for v in numbers],
        f"{name}_exact": [None if v is None else format(v, "f") for v in numbers],
    }


def fill_columns(fills: Sequence[Fill]) -> dict[str, list[Any]]:
    """Return the columns of the table ``fills``."""
    return {
        "order_id": [f.order_id for f in fills],
        "instrument": [f.instrument for f in fills],
        "side": [f.side.value for f in fills],
        **decimal_columns("quantity", [f.quantity for f in fills]),
        **decimal_columns("price", [f.price for f in fills]),
        **decimal_columns("reference_price", [f.reference_price for f in fills]),
        **decimal_columns("fee", [f.fee for f in fills]),
        **decimal_columns("slippage", [f.slippage for f in fills]),
        "filled_at": [f.filled_at for f in fills],
        "reason": [f.reason.value for f in fills],
    }


def order_columns(
    orders: Sequence[Order],
    allowed: Sequence[Decimal | None] | None = None,
    rulings: Sequence[str | None] | None = None,
) -> dict[str, Any]:
    """Return the columns of the table ``orders``; ``allowed`` and ``rulings`` are what the risk gate said of each."""
    return {
        "order_id": [o.id for o in orders],
        "instrument": [o.instrument for o in orders],
        "side": [o.side.value for o in orders],
        "kind": [o.kind.value for o in orders],
        "reason": [o.reason.value for o in orders],
        "decided_at": [o.decided_at for o in orders],
        **decimal_columns("quantity", [o.quantity for o in orders]),
        **decimal_columns("limit_price", [o.limit_price for o in orders]),
        **decimal_columns("stop_price", [o.stop_price for o in orders]),
        **decimal_columns("target_price", [o.target_price for o in orders]),
        **decimal_columns("allowed", [None] * len(orders) if allowed is None else allowed),
        "ruling": [None] * len(orders) if rulings is None else list(rulings),
    }


def quality_columns(report: QualityReport) -> dict[str, list[Any]]:
    """Return the columns of the table ``quality``: flags, quarantined rows and blocked instruments of one report."""
    flags = [("flag", f.instrument, f.end, f.rule, f.text, None, None, None, None) for f in report.flags]
    rows = [
        ("quarantined", None, None, r.rule, r.reason, r.file, r.row, r.column, r.original) for r in report.quarantined
    ]
    blocked = [
        ("blocked", name, end, "DATA-55", "an unexplained jump: not traded from this bar on", None, None, None, None)
        for name, end in report.blocked
    ]
    names = ("kind", "instrument", "end", "rule", "text", "file", "row", "column", "original")
    table = [*flags, *rows, *blocked]
    return {name: [line[i] for line in table] for i, name in enumerate(names)}
