"""The three tables of such a set as they stand in the folder, checked for columns and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foresail.core.errors import DataError

__all__ = ["BARS_FILE", "FACTOR_FILE", "MAP_FILE", "LeanTables", "is_lean_folder", "read_tables"]

BARS_FILE = "lean_daily_raw.parquet"
FACTOR_FILE = "factor_files.parquet"
MAP_FILE = "map_files.parquet"
_COLUMNS = {
    BARS_FILE: ("ts", "symbol", "open", "high", "low", "close", "volume"),
    FACTOR_FILE: ("date", "price_factor", "split_factor", "reference_price", "symbol"),
    MAP_FILE: ("date", "ticker", "symbol"),
}


@dataclass(frozen=True, slots=True, eq=False)
class LeanTables:
    """Arrow tables, days as ``date32``, sorted by symbol (or ticker) and day.

    Attributes
    ----------
    bars : ticker of that day, day, open, high, low, close, volume
    factors : symbol, date, price_factor, split_factor, reference_price; a row holds up to and including its date
    maps : symbol, date, ticker; the ticker that the symbol had up to and including the date
    """

    bars: pa.Table
    factors: pa.Table
    maps: pa.Table


def is_lean_folder(path: Path) -> bool:
    """Return whether a folder holds the three files of such a set."""
    return path.is_dir() and all((path / name).is_file() for name in _COLUMNS)


def read_tables(folder: Path) -> LeanTables:
    """Return the tables of a folder.

    Raises
    ------
    DataError
        If a file or a column is absent, or a day or name is empty.
    """
    found = {name: _read(folder / name, columns) for name, columns in _COLUMNS.items()}
    return LeanTables(found[BARS_FILE], found[FACTOR_FILE], found[MAP_FILE])


def _read(path: Path, columns: tuple[str, ...]) -> pa.Table:
    if not path.is_file():
        raise DataError(f"{path} does not exist", file=str(path), hint=f"the folder needs {', '.join(_COLUMNS)}")
    table: Any = pq.read_table(path)
    for name in columns:
        if name not in table.column_names:
            raise DataError(
                f"{path.name}: column {name!r} is missing; it has {', '.join(table.column_names)}",
                file=path.name,
                column=name,
                rule="DATA-51",
            )
    table = table.select(list(columns))
    day = "ts" if "ts" in columns else "date"
    for name in (day, "symbol"):
        nulls = pc.is_null(table.column(name)).to_pylist()
        if True in nulls:
            raise DataError(
                f"{path.name}, row {nulls.index(True) + 1}: {name} is empty",
                file=path.name,
                row=nulls.index(True) + 1,
                column=name,
                rule="DATA-51",
            )
    days = pc.cast(pc.cast(table.column(day), pa.timestamp("ms", tz="UTC")), pa.timestamp("ms")).cast(pa.date32())
    table = table.set_column(table.column_names.index(day), "date", days)
    return table.sort_by([("symbol", "ascending"), ("date", "ascending")])
