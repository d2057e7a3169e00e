"""New prints against stored ones: which are known already, and how their total-return factor continues."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foresail.core.arrays import BoolArray
from foresail.store.ordering import VALUE_COLUMNS, Columns

__all__ = ["chain_factors", "is_stored"]

_COMPARED = tuple(name for name in VALUE_COLUMNS if name != "total_factor")  # the factor depends on where a file begins
_GOLDEN = 0x9E3779B97F4A7C15


def is_stored(columns: Columns, stored: Columns) -> BoolArray:
    """Return which prints exist already: same instrument, end, availability and numbers."""
    known = np.ones(len(columns.code), dtype=np.bool_)
    for seed in (1, 2):  # two independent 64-bit keys: an accidental match is out of the question
        known &= np.isin(_keys(columns, seed), _keys(stored, seed))
    return known


def _keys(columns: Columns, seed: int) -> NDArray[np.uint64]:
    names = [hashlib.sha256(f"{seed}{name}".encode()).digest()[:8] for name in columns.names]
    key = np.frombuffer(b"".join(names), dtype="<u8")[columns.code].copy()
    for times in (columns.end, columns.available):
        key = _mixed(np.bitwise_xor(key, times.view(np.uint64)))
    for name in _COMPARED:
        values = columns.values(name) + 0.0
        key = _mixed(np.bitwise_xor(key, np.where(np.isnan(values), np.nan, values).view(np.uint64)))
    return key


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64."""
    key = key + np.uint64(_GOLDEN)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = key ^ (key >> np.uint64(31))
    return mixed


def chain_factors(columns: Columns, stored: Columns) -> Columns:
    """Return new prints whose total-return factor continues the stored one.

    A file that begins later starts again at 1; the stored factor at its first bar, or at the last stored bar before it,
    carries on. Without an overlap a payment exactly between the two files stays unseen.
    """
    factor, known = columns.values("total_factor").copy(), stored.values("total_factor")
    place = {name: code for code, name in enumerate(stored.names)}
    begins = np.searchsorted(columns.code, np.arange(len(columns.names) + 1))
    for code, name in enumerate(columns.names):
        rows = slice(int(begins[code]), int(begins[code + 1]))
        if name not in place or rows.start == rows.stop:
            continue
        low, high = np.searchsorted(stored.code, [place[name], place[name] + 1])
        before = np.searchsorted(stored.end[low:high], columns.end[rows.start], side="right") - 1
        if before >= 0:
            factor[rows] *= known[low + before] / factor[rows.start]
    index = columns.table.column_names.index("total_factor")
    table = columns.table.set_column(index, "total_factor", pa.array(factor, from_pandas=True))
    return Columns(table, columns.names, columns.code, columns.start, columns.end, columns.available, columns.recorded)
