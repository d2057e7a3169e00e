"""What stands beside bars: sets of reference series, and the second legs of pairs.

A set of series is stored like facts, vintages with the time at which each was known. What a feature reads of it is the
newest value by then: a restatement counts from its own availability, and changes nothing before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foresail.adapters.files.description import DESCRIPTION_FILE, read_toml
from foresail.adapters.files.facts import read_fact_files
from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.canonical import hash_bytes, hash_value
from foresail.core.clock import Clock, to_ns
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.facts import FactTable
from foresail.domain.sectors import Sector
from foresail.features.givens import REFERENCES
from foresail.store.embedded import EmbeddedStore

__all__ = [
    "EVER", "SeriesSet", "found_series", "named_pairs", "read_series", "reference_of", "series_hash", "stored_series",
    "unread_series",
]  # fmt: skip

EVER = datetime(2262, 1, 1, tzinfo=UTC)  # the last year that nanoseconds since 1970 reach


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSet:
    """A set of series and where it was found: a name of the store, or the path of a description."""

    name: str
    location: str
    table: FactTable


def read_series(path: Path, clock: Clock) -> SeriesSet:
    """Return the series that a description names, read from its files.

    Raises
    ------
    ConfigError
        If it describes something else.
    """
    toml = path / DESCRIPTION_FILE if path.is_dir() else path
    raw = read_toml(toml) if toml.is_file() and toml.suffix == ".toml" else {}
    if raw.get("kind") != "series":
        raise ConfigError(
            f"--series {path}: no description of series",
            hint='write a TOML file with kind = "series", or name an imported set',
        )
    table, said, _, _ = read_fact_files(raw, folder=toml.parent, where=str(toml), now_ns=to_ns(clock.now()))
    return SeriesSet(said.name, str(toml.resolve()), table)


def stored_series(store: EmbeddedStore) -> tuple[SeriesSet, ...]:
    """Return every set of series of a store, by name."""
    return tuple(
        SeriesSet(one.name, one.name, store.read_facts(one.name, as_of=EVER))
        for one in store.fact_sets()
        if one.kind == "series"
    )


def found_series(names: Sequence[str], folder: Path, clock: Clock) -> tuple[SeriesSet, ...]:
    """Return the sets of series that somebody names.

    Parameters
    ----------
    names : of imported sets, or paths of descriptions
    folder : of the store

    Raises
    ------
    UnknownNameError
        If one is neither.
    """
    stored = {one.name: one for one in stored_series(EmbeddedStore(folder))} if folder.is_dir() else {}
    found = []
    for name in dict.fromkeys(names):
        if name not in stored and not Path(name).exists():
            hint = 'foresail import PATH stores one; its description says kind = "series"'
            raise UnknownNameError("set of series", name, stored, hint=hint)
        found.append(stored[name] if name in stored else read_series(Path(name), clock))
    return tuple(found)


def reference_of(sets: Sequence[SeriesSet]) -> dict[str, tuple[TimeArray, FloatArray]]:
    """Return series -> when each value became known and the value, ascending.

    Raises
    ------
    DataError
        If two sets hold one series.
    """
    found: dict[str, tuple[TimeArray, FloatArray]] = {}
    owner: dict[str, str] = {}
    for one in sets:
        for field in one.table.fields:
            if field in found:
                raise DataError(
                    f"sets {owner[field]} and {one.name} both hold the series {field!r}, expected one",
                    column=field,
                    hint="name the sets that are wanted: --series NAME",
                )
            series = _newest(one.table, field)
            if len(series[0]):
                found[field], owner[field] = series, one.name
    return found


def _newest(table: FactTable, field: str) -> tuple[TimeArray, FloatArray]:
    """Return the series as it grew: what restates an older time than the newest known is left out."""
    values = table.values[:, table.index(field)]
    rows = np.flatnonzero(np.isfinite(values))
    rows = rows[np.lexsort((table.recorded_at[rows], table.event_time[rows], table.available_at[rows]))]
    event = table.event_time[rows]
    rows = rows[event >= np.maximum.accumulate(event)] if len(rows) else rows
    known = table.available_at[rows]
    last = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = np.diff(known) != 0
    return known[last], values[rows[last]]


def series_hash(table: FactTable) -> str:
    """Return a hash of what series say and since when; when they were stored is no part of it."""
    values = np.where(np.isnan(table.values), np.nan, table.values + 0.0)
    columns = (table.event_time.astype("<i8"), table.available_at.astype("<i8"), values.astype("<f8"))
    return hash_value([list(table.fields), [hash_bytes(np.ascontiguousarray(one).tobytes()) for one in columns]])


def unread_series(names: Sequence[str]) -> list[str]:
    """Return the series that no feature reads: neither a known reference nor the fund of a sector."""
    known = {*REFERENCES, *(f"sector_{sector.value}" for sector in Sector)}
    return [name for name in names if name not in known]


def named_pairs(
    pairs: Sequence[tuple[str, str]], bar_set: BarSet, *, partly: bool = False
) -> dict[InstrumentId, InstrumentId]:
    """Return instrument -> its second leg, by id.

    Parameters
    ----------
    pairs : ids or tickers
    partly : leave out pairs that are not among the instruments

    Raises
    ------
    UnknownNameError
        If one is not among the instruments.
    """
    by_symbol = {one.symbol: one.id for one in bar_set.instruments} | {
        str(one.id): one.id for one in bar_set.instruments
    }
    found = {}
    for pair in pairs:
        absent = [name for name in pair if name not in by_symbol]
        if absent and partly:
            continue
        if absent:
            raise UnknownNameError("instrument of a pair", absent[0], by_symbol, hint="both must be in the set")
        found[by_symbol[pair[0]]] = by_symbol[pair[1]]
    return found
