"""A listing history (symbol, first and last day seen) to a point-in-time universe."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foresail.adapters.files.description import SetDescription
from foresail.adapters.files.instruments import identify
from foresail.core.errors import DataError
from foresail.domain.universe import Listing, Universe

__all__ = ["read_listings"]

_COLUMNS = ("symbol", "first_seen", "last_seen")


def read_listings(path: Path, description: SetDescription) -> Universe:
    """Return who was listed when.

    Parameters
    ----------
    path : Parquet file with the columns symbol, first_seen and last_seen (days)
    description : of the bars, by which symbols become instruments

    Raises
    ------
    DataError
        If a column is absent or a cell empty.

    Notes
    -----
    A listing seen on the last day of the whole history is still open then. One seen on its first day began at that day
    or before, which nobody knows.
    """
    names = pq.read_schema(path).names
    for name in _COLUMNS:
        if name not in names:
            raise DataError(
                f"{path.name}: column {name!r} is missing; it has {', '.join(names)}", file=path.name, column=name
            )
    table = pq.read_table(path, columns=list(_COLUMNS))
    for name in _COLUMNS:
        nulls = pc.is_null(table.column(name)).to_pylist()
        if True in nulls:
            row = nulls.index(True) + 1
            raise DataError(f"{path.name}, row {row}: {name} is empty", file=path.name, row=row, column=name)
    first, last = (_days(table.column(name)) for name in _COLUMNS[1:])
    newest = max(last, default=date.min)
    listings = [
        Listing(identify(str(symbol), description)[0], begin, None if end == newest else end, path.name)
        for symbol, begin, end in zip(table.column("symbol").to_pylist(), first, last, strict=True)
    ]
    return Universe.point_in_time(listings, source=f"{path.name}, to {newest}")


def _days(column: pa.ChunkedArray) -> list[date]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(column, pa.timestamp(column.type.unit))
    return [day for day in pc.cast(column, pa.date32()).to_pylist() if isinstance(day, date)]
