"""Facts in the store: append-only Parquet with a manifest of hashes, read as known at an instant.

Layout: ``facts/v1/{set}-{n}.parquet``, one file a batch, sorted; ``facts.json`` with the hash of every file and the
aliases of instruments. Vintages are rows of their own: an append never changes a file. A vintage that is stored already
is not stored twice; one that says something else for the same times is kept with its own ``recorded_at``, so that an
audit can ask what the store knew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foresail.core.arrays import BoolArray
from foresail.core.canonical import canonical_bytes, hash_bytes, plain, write_atomic
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.facts import FactBasis, FactSet, FactTable, fact_table
from foresail.domain.instruments import Alias, Directory

__all__ = ["FactEntry", "FactManifest", "FactPart", "append_aliases", "append_facts", "load_facts", "read_facts"]

_FORMAT, _VERSION, _MANIFEST = "foresail-facts", 1, "facts.json"
_TIMES = ("event_time", "available_at", "recorded_at")
_Key = tuple[str, int, int]  # instrument, event_time, available_at


@dataclass(frozen=True, slots=True)
class FactPart:
    """One immutable file of a set: path relative to the store, SHA-256, rows, ns UTC at which it was written."""

    path: str
    hash: str
    rows: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class FactEntry:
    """A set of facts and its files in the order of writing."""

    fact_set: FactSet
    parts: tuple[FactPart, ...] = ()


@dataclass(frozen=True, slots=True)
class FactManifest:
    """All sets of facts by name, and the aliases of instruments."""

    sets: dict[str, FactEntry] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)

    def entry(self, name: str) -> FactEntry:
        """Return one set.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if name not in self.sets:
            raise UnknownNameError("set of facts", name, self.sets, hint="foresail import PATH stores one")
        return self.sets[name]


def load_facts(folder: Path) -> FactManifest:
    """Return the manifest of a store's facts, empty where none was written yet.

    Raises
    ------
    DataError
        If the file is not a manifest of this version.
    """
    path = folder / _MANIFEST
    if not path.exists():
        return FactManifest()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if (raw["format"], raw["version"]) != (_FORMAT, _VERSION):
            raise DataError(
                f"{path}: expected {_FORMAT} version {_VERSION}, received {raw['format']} version {raw['version']}",
                file=str(path),
            )
        sets = {name: _entry(one) for name, one in sorted(raw["sets"].items())}
        return FactManifest(sets, Directory.of(_alias(one) for one in raw["aliases"]))
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as e:
        raise DataError(
            f"{path}: not the manifest of a store's facts ({e})", file=str(path), hint="restore it, or import again"
        ) from e


def append_facts(folder: Path, facts: FactTable, fact_set: FactSet, *, recorded_at_ns: int) -> int:
    """Store the vintages that are new and return how many these were; the caller holds the store's lock.

    Parameters
    ----------
    recorded_at_ns : now, ns UTC; of a snapshot also the ``available_at``, so that nothing can be back-filled

    Raises
    ------
    ConfigError
        If the set is stored with other fields or another basis.
    DataError
        If the store is damaged.
    """
    manifest = load_facts(folder)
    before = manifest.sets.get(fact_set.name, FactEntry(fact_set))
    _check_same(before.fact_set, fact_set)
    if facts.fields != fact_set.fields or facts.basis is not fact_set.basis:
        raise ConfigError(
            f"set {fact_set.name} has fields {fact_set.fields} ({fact_set.basis}), the facts {facts.fields} "
            f"({facts.basis})"
        )
    stamped = replace(facts, recorded_at=np.full(len(facts), recorded_at_ns, dtype=np.int64))
    if facts.basis is FactBasis.SNAPSHOT:
        now = np.full(len(facts), recorded_at_ns, dtype=np.int64)
        stamped = replace(stamped, available_at=now, event_time=np.minimum(facts.event_time, now))
    fresh = stamped.take(_unstored(stamped, _read_parts(folder, before)))
    if len(fresh) == 0:
        return 0
    path = f"facts/v1/{fact_set.name}-{len(before.parts):05d}.parquet"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    data = _parquet_bytes(fresh)
    write_atomic(folder / path, data)
    part = FactPart(path, hash_bytes(data), len(fresh), recorded_at_ns)
    after = FactEntry(before.fact_set, (*before.parts, part))
    _save(folder, replace(manifest, sets=manifest.sets | {fact_set.name: after}))
    return len(fresh)


def read_facts(folder: Path, name: str, *, as_of_ns: int, recorded_by_ns: int | None = None) -> FactTable:
    """Return the vintages of a set that were known at an instant.

    Parameters
    ----------
    as_of_ns : ns UTC; nothing that became available later
    recorded_by_ns : ns UTC; nothing that the store wrote later

    Raises
    ------
    UnknownNameError
        If the set is not there.
    DataError
        If a file is damaged, or nothing was known by then.
    """
    entry = load_facts(folder).entry(name)
    table = _read_parts(folder, entry)
    known = table.known(as_of_ns, recorded_by_ns=recorded_by_ns)
    if len(known) == 0:
        first = int(table.available_at.min()) if len(table) else 0
        raise DataError(
            f"set {name}: nothing was known by {format_ns(as_of_ns)}; the first value is known at {format_ns(first)}, "
            f"recorded at {format_ns(min((part.recorded_at for part in entry.parts), default=0))}",
            rule="DATA-70",
            hint="ask for a later instant",
        )
    return known


def append_aliases(folder: Path, aliases: Iterable[Alias]) -> Directory:
    """Add dated aliases to the store's directory and return it; the caller holds the store's lock.

    Raises
    ------
    DataError
        If an instrument would have two tickers at once. An alias that ended since replaces its open one.
    """
    manifest = load_facts(folder)
    new = tuple(aliases)
    ended = {(alias.ticker, alias.first, alias.instrument) for alias in new}
    kept = (a for a in manifest.directory.aliases if (a.ticker, a.first, a.instrument) not in ended)
    directory = Directory.of((*kept, *new))
    _save(folder, replace(manifest, directory=directory))
    return directory


def _check_same(old: FactSet, new: FactSet) -> None:
    for key in ("kind", "fields", "basis", "lag_ns"):
        if getattr(old, key) != getattr(new, key):
            raise ConfigError(
                f"set {old.name} is stored with {key} {getattr(old, key)}, the new facts have {getattr(new, key)}",
                hint="import them under another name",
            )


def _unstored(facts: FactTable, stored: FactTable) -> BoolArray:
    """Return which vintages the store's newest word on their times does not hold; several rows of one time go together.

    The newest word is what was written last, so that a correction taken back is a correction again.
    """
    newest: dict[_Key, tuple[int, list[bytes]]] = {}
    for key, at, values in zip(_keys(stored), stored.recorded_at.tolist(), _texts(stored), strict=True):
        if key not in newest or at > newest[key][0]:
            newest[key] = (at, [])
        if at == newest[key][0]:
            newest[key][1].append(values)
    keys = _keys(facts)
    said: dict[_Key, list[bytes]] = {}
    for key, values in zip(keys, _texts(facts), strict=True):
        said.setdefault(key, []).append(values)
    known = {key for key, values in said.items() if key in newest and newest[key][1] == values}
    return np.array([key not in known for key in keys], dtype=np.bool_)


def _keys(facts: FactTable) -> list[_Key]:
    """Return (instrument, event, available) of each row; of a snapshot the instrument alone, so that states compare."""
    names = [facts.instruments[code] for code in facts.code.tolist()]
    if facts.basis is FactBasis.SNAPSHOT:
        return [(name, 0, 0) for name in names]
    return list(zip(names, facts.event_time.tolist(), facts.available_at.tolist(), strict=True))


def _texts(facts: FactTable) -> list[bytes]:
    canonical = np.where(np.isnan(facts.values), np.nan, facts.values + 0.0)
    return [row.tobytes() for row in np.ascontiguousarray(canonical)]


def _parquet_bytes(facts: FactTable) -> bytes:
    names = [facts.instruments[code] for code in facts.code.tolist()]
    columns = [pa.array(names, pa.string()), *(pa.array(getattr(facts, name)) for name in _TIMES)]
    columns += [pa.array(facts.values[:, f], from_pandas=True) for f in range(len(facts.fields))]
    sink = io.BytesIO()
    table = pa.table(columns, names=["instrument", *_TIMES, *(f"value.{name}" for name in facts.fields)])
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def _read_parts(folder: Path, entry: FactEntry) -> FactTable:
    tables = [_read_part(folder / part.path, part) for part in entry.parts]
    fields = entry.fact_set.fields
    if not tables:
        empty = np.empty(0, dtype=np.int64)
        table = fact_table([], empty, {name: np.empty(0) for name in fields}, available_at=empty)
        return replace(table, basis=entry.fact_set.basis)
    joined = pa.concat_tables(tables)
    values = {name: np.asarray(joined.column(f"value.{name}").fill_null(float("nan"))) for name in fields}
    times = [np.asarray(joined.column(name), dtype=np.int64) for name in _TIMES]
    names = joined.column("instrument").to_pylist()
    table = fact_table(names, times[0], values, available_at=times[1], recorded_at=times[2])
    return replace(table, basis=entry.fact_set.basis)


def _read_part(path: Path, part: FactPart) -> pa.Table:
    if not path.exists():
        raise DataError(f"{path}: the manifest lists this file, but it is not there", file=str(path), hint="restore it")
    data = path.read_bytes()
    if hash_bytes(data) != part.hash:
        raise DataError(
            f"{path}: truncated or foreign: {len(data)} bytes that are not what the store wrote",
            file=str(path),
            hint="restore it, or import the facts again into a new store",
        )
    return pq.read_table(io.BytesIO(data))


def _save(folder: Path, manifest: FactManifest) -> None:
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "sets": plain(manifest.sets),
        "aliases": [plain(alias) for alias in manifest.directory.aliases],
    }
    write_atomic(folder / _MANIFEST, canonical_bytes(content))


def _entry(raw: dict[str, Any]) -> FactEntry:
    known = dict(raw["fact_set"])
    known |= {"fields": tuple(known["fields"]), "basis": FactBasis(known["basis"])}
    return FactEntry(FactSet(**known), tuple(FactPart(**part) for part in raw["parts"]))


def _alias(raw: dict[str, Any]) -> Alias:
    last = None if raw["last"] is None else date.fromisoformat(raw["last"])
    first, name = date.fromisoformat(raw["first"]), instrument_id(raw["instrument"])
    return Alias(raw["ticker"], first, last, name, raw["source"])
