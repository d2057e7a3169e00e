"""Which column of a file plays which role, and text cells to numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.description import SetDescription
from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.errors import DataError

__all__ = ["ALIASES", "MISSING_MARKERS", "alias_rank", "find_columns", "match_role", "to_numbers"]

ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        "ts", "unix", "unix_timestamp", "timestamp", "datetime", "time", "date", "window_start", "open_time",
        "gmt_time",
    ),
    "symbol": ("symbol", "ticker", "instrument", "pair", "code"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "price", "last"),
    "volume": ("volume", "vol", "v", "tick_volume"),
    "adj_close": ("adj_close", "adjclose", "adjusted", "adjusted_close"),
    "dividend": ("dividend", "dividends"),
    "split": ("split", "splits", "stock_splits", "split_ratio"),
    "spread": ("spread",),
}  # fmt: skip
MISSING_MARKERS = ("", "NULL", "null", "NA", "N/A", "NaN", "nan", "None", "-", "#N/A")


def match_role(column: str) -> str | None:
    """Return the role that a column name usually plays, or None."""
    return next((role for role, names in ALIASES.items() if _plain(column) in names), None)


def alias_rank(column: str, role: str) -> int:
    """Return how usual a name is for its role, 0 first."""
    return ALIASES[role].index(_plain(column))


def _plain(column: str) -> str:
    return column.strip().lower().replace(" ", "_").replace("-", "_")


def find_columns(names: Sequence[str], description: SetDescription, file: str) -> dict[str, str]:
    """Return role to column, those named in the description first, the rest by alias.

    Raises
    ------
    DataError
        If a named column is absent, two columns could play one role, or time, symbol or close has none.
    """
    for role, column in description.columns.items():
        if column not in names:
            raise DataError(
                f"{file}: [columns] says {role} = {column!r}, but the file has no such column; it has: "
                f"{', '.join(names)}",
                file=file,
                column=column,
                rule="DATA-51",
                hint="mend [columns] in foresail-set.toml",
            )
    found = dict(description.columns)
    taken = set(found.values())
    for role in ALIASES:
        if role in found or (role == "symbol" and description.symbol is not None):
            continue
        candidates = [name for name in names if name not in taken and match_role(name) == role]
        if len(candidates) > 1:
            raise DataError(
                f"{file}: columns {candidates[0]!r} and {candidates[1]!r} could both be the {role}",
                file=file,
                column=candidates[1],
                rule="DATA-51",
                hint=f'say which in foresail-set.toml: [columns] {role} = "{candidates[0]}"',
            )
        if candidates:
            found[role] = candidates[0]
    for role in ("time", "symbol", "close"):
        if role not in found and not (role == "symbol" and description.symbol is not None):
            hint = f'say which it is: [columns] {role} = "..."'
            if role == "symbol":
                hint = 'a file of one instrument needs symbol = "..." in foresail-set.toml; ' + hint
            raise DataError(
                f"{file}: no column for the {role}; expected one of {', '.join(ALIASES[role])}; "
                f"the file has: {', '.join(names)}",
                file=file,
                column=role,
                rule="DATA-51",
                hint=hint,
            )
    return found


def to_numbers(values: Any, description: SetDescription) -> tuple[FloatArray, BoolArray]:
    """Return numbers and which cells are none although not empty.

    Returns
    -------
    numbers : (R,) NaN where missing or bad
    bad : (R,) true where a cell is neither a number nor a missing marker
    """
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        numbers = np.asarray(pc.fill_null(pc.cast(values, pa.float64()), float("nan")), dtype=np.float64)
        infinite = np.isinf(numbers)
        return np.where(infinite, np.nan, numbers), infinite
    text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
    markers = pa.array([*MISSING_MARKERS, *description.missing])
    missing = np.asarray(pc.fill_null(pc.is_in(text, value_set=markers), True))  # noqa: FBT003 a null cell is missing
    numbers = pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
    bad: BoolArray = ~missing & ~np.isfinite(numbers)
    return np.where(missing | bad, np.nan, numbers), bad
