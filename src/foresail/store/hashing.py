"""The content hash of a set of bars: the same prints give the same hash, in whatever order they came.

What is hashed: instrument, times and numbers of every print, sorted. What is not: when the store wrote them, and from
which file and row they came, since the same data imported twice are the same data.
"""

from __future__ import annotations

import hashlib

import numpy as np

from foresail.domain.bars import BarTable
from foresail.store.ordering import VALUE_COLUMNS, Columns, sorted_columns

__all__ = ["content_hash", "hash_columns"]

_VERSION = b"foresail bars 1"


def content_hash(bars: BarTable) -> str:
    """Return 64 hexadecimal digits of SHA-256; independent of row order, recording time, file and row."""
    return hash_columns(sorted_columns(bars))


def hash_columns(columns: Columns) -> str:
    """Return the content hash of sorted columns."""
    values = [_canonical(columns, name) for name in VALUE_COLUMNS]
    # Ties of the full key are put in order by value, so that the order of arrival never shows.
    tied = np.zeros(len(columns.code), dtype=np.bool_)
    if len(tied) > 1:
        same = (np.diff(columns.code) == 0) & (np.diff(columns.end) == 0) & (np.diff(columns.available) == 0)
        tied[1:] |= same
        tied[:-1] |= same
    order = np.arange(len(columns.code))
    if tied.any():
        order = np.lexsort((*values, columns.start, columns.available, columns.end, columns.code))
    digest = hashlib.sha256(_VERSION)
    digest.update("\x1f".join(columns.names).encode())
    for times in (columns.code, columns.start, columns.end, columns.available):
        digest.update(np.ascontiguousarray(times[order]).astype("<i8").tobytes())
    for column in values:
        digest.update(np.ascontiguousarray(column[order]).astype("<f8").tobytes())
    return digest.hexdigest()


def _canonical(columns: Columns, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a number column with one kind of NaN and one kind of zero."""
    values = columns.values(name)
    return np.where(np.isnan(values), np.nan, values + 0.0)
