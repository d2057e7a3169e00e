"""Files to raw columns: knows Parquet, CSV and gzip by content, tells empty, truncated and foreign files apart.

A CSV cell stays text here, so that a later error can name file, row and column. Lines with a wrong number of cells are
handed back as quarantined rows.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from foresail.adapters.files.description import Quirks
from foresail.core.arrays import IntArray
from foresail.core.errors import DataError
from foresail.domain.quality import QuarantinedRow

__all__ = ["RawTable", "read_raw"]

_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_SCHEMA_RULE = "DATA-51"


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """The columns of one file.

    Attributes
    ----------
    table : text columns for CSV, typed columns for Parquet
    rows : (R,) 1-based row in the file, header not counted
    bad : lines that have too many or too few cells
    is_text : whether cells are text
    """

    file: str
    table: pa.Table
    rows: IntArray
    bad: tuple[QuarantinedRow, ...]
    is_text: bool

    def take(self, keep: Any) -> RawTable:
        """Return the rows of a boolean mask."""
        return replace(self, table=self.table.filter(pa.array(keep)), rows=self.rows[keep])


def read_raw(path: Path, quirks: Quirks, *, columns: list[str] | None = None, limit: int | None = None) -> RawTable:
    """Return the columns of a Parquet or CSV file.

    Parameters
    ----------
    columns : the only columns to read of a Parquet file
    limit : read about so many rows of a CSV file only (to look at it)

    Raises
    ------
    DataError
        If the file is empty, truncated, of another format or not text of the said encoding.
    """
    name = path.name
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as e:
        raise DataError(
            f"{path}: cannot be read: {e.strerror}", file=name, hint="check that it is a file that you may read"
        ) from e
    if not head:
        raise DataError(f"{name}: the file is empty", file=name, rule=_SCHEMA_RULE, hint="export it again")
    if head == _PARQUET_MAGIC or path.suffix == ".parquet":
        return _read_parquet(path, head, columns)
    return _read_csv(name, _text_bytes(path, head, quirks), quirks, limit)


def _read_parquet(path: Path, head: bytes, columns: list[str] | None) -> RawTable:
    name = path.name
    if head != _PARQUET_MAGIC:
        raise DataError(
            f"{name}: named parquet, but it does not begin like a Parquet file",
            file=name,
            rule=_SCHEMA_RULE,
            hint="export it again, or name it .csv if it is text",
        )
    try:
        source = pq.ParquetFile(path)
        present = source.schema_arrow.names
        wanted = None if columns is None else [column for column in columns if column in present]
        table = source.read(columns=wanted)
    except (pa.ArrowException, OSError) as e:
        raise DataError(
            f"{name}: a truncated or damaged Parquet file ({str(e).splitlines()[0][:120]})",
            file=name,
            rule=_SCHEMA_RULE,
            hint="copy or export the file again",
        ) from e
    if table.num_rows == 0:
        raise DataError(
            f"{name}: the file has columns but no row", file=name, rule=_SCHEMA_RULE, hint="export it again"
        )
    return RawTable(name, table, np.arange(1, table.num_rows + 1), (), is_text=False)


def _text_bytes(path: Path, head: bytes, quirks: Quirks) -> bytes:
    name = path.name
    data = path.read_bytes()
    if head[:2] == _GZIP_MAGIC:
        try:
            data = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error) as e:
            raise DataError(
                f"{name}: a truncated or damaged gzip file", file=name, rule=_SCHEMA_RULE, hint="copy it again"
            ) from e
    if not data.strip():
        raise DataError(f"{name}: the file is empty", file=name, rule=_SCHEMA_RULE, hint="export it again")
    if b"\x00" in data[:4096]:
        raise DataError(
            f"{name}: neither Parquet nor text",
            file=name,
            rule=_SCHEMA_RULE,
            hint="Foresail reads Parquet, CSV, CSV.gz",
        )
    try:
        text = data.decode(quirks.encoding)
    except (UnicodeDecodeError, LookupError) as e:
        position = getattr(e, "start", 0)
        row = max(data[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n"), 1)
        raise DataError(
            f"{name}, row {row}: a byte that is not {quirks.encoding} text",
            file=name,
            row=row,
            rule=_SCHEMA_RULE,
            hint='say the encoding, for example encoding = "latin-1" under [quirks]',
        ) from e
    return data if quirks.encoding.lower().replace("-", "") == "utf8" else text.encode()


def _header(name: str, data: bytes, quirks: Quirks) -> list[str]:
    lines = io.BytesIO(data)
    for _ in range(quirks.skip_before_header):
        lines.readline()
    line = lines.readline().decode("utf-8-sig").strip("\r\n")
    header = [cell.strip().strip('"') for cell in line.split("\r")[0].split(quirks.delimiter)]
    if len(header) < 2:
        shown = line if len(line) <= 80 else line[:77] + "..."
        raise DataError(
            f"{name}, row 1: expected a header of at least two columns separated by {quirks.delimiter!r}, "
            f"received {shown!r}",
            file=name,
            row=1,
            rule=_SCHEMA_RULE,
            hint='if cells are separated otherwise, say delimiter = "\\t" under [quirks]',
        )
    return header


def _read_csv(name: str, data: bytes, quirks: Quirks, limit: int | None) -> RawTable:
    header = _header(name, data, quirks)
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise DataError(
            f"{name}: column {repeated[0]!r} stands twice in the header",
            file=name,
            column=repeated[0],
            rule=_SCHEMA_RULE,
        )
    if limit is not None:
        data = b"\n".join(data.split(b"\n", limit + 1)[: limit + 1]) + b"\n"
    skipped = quirks.skip_before_header + 1 + quirks.skip_after_header
    bad: list[QuarantinedRow] = []

    def set_aside(row: Any) -> str:
        number = int(row.number) - quirks.skip_before_header - 1
        reason = f"{row.actual_columns} cells where the header has {row.expected_columns}"
        bad.append(QuarantinedRow(name, number, "", _SCHEMA_RULE, reason, str(row.text)[:500]))
        return "skip"

    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            read_options=pacsv.ReadOptions(column_names=header, skip_rows=skipped, use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=quirks.delimiter, invalid_row_handler=set_aside),
            convert_options=pacsv.ConvertOptions(
                column_types={column: pa.string() for column in header}, strings_can_be_null=False
            ),
        )
    except pa.ArrowException as e:
        raise DataError(f"{name}: not a CSV file ({str(e)[:120]})", file=name, rule=_SCHEMA_RULE) from e
    if len(bad) > table.num_rows:
        raise DataError(
            f"{name}, row {bad[0].row}: {bad[0].reason} ({', '.join(header)[:80]})",
            file=name,
            row=bad[0].row,
            rule=_SCHEMA_RULE,
            hint="if lines stand before the header, say skip_before_header = 1 under [quirks]",
        )
    if table.num_rows == 0:
        raise DataError(
            f"{name}: the file has a header but no row", file=name, rule=_SCHEMA_RULE, hint="export it again"
        )
    first = 1 + quirks.skip_after_header
    numbers = np.arange(first, first + table.num_rows + len(bad), dtype=np.int64)
    if bad:
        numbers = np.setdiff1d(numbers, np.array([row.row for row in bad], dtype=np.int64))
    return RawTable(name, table, numbers[: table.num_rows], tuple(bad), is_text=True)
