"""The embedded market store: append-only Parquet in a folder, one writer, reads as of an instant.

Layout: ``bars/v1/{class}/{frame}/{year}/{set}-{n}.parquet``, each sorted by (instrument, end); ``manifest.json`` with
the hash of every file; ``latest.parquet`` with the newest bar of every instrument. To append: check the batch, drop
what is stored already, write new files beside the old ones (temporary file, fsync, rename), then replace the manifest.
Until that last rename nothing of the batch exists, so an interrupted append leaves the store as it was. A file whose
content is not what the manifest says is refused.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foresail.core.canonical import hash_bytes, plain, write_atomic
from foresail.core.clock import format_ns, to_ns
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet, BarTable, bar_schema
from foresail.domain.facts import FactSet, FactTable
from foresail.domain.instruments import Alias, Directory, Instrument
from foresail.domain.panel import Panel
from foresail.domain.quality import QualityReport
from foresail.store.facts import append_aliases, append_facts, load_facts, read_facts
from foresail.store.gate import check
from foresail.store.manifest import Part, SetEntry, load_manifest, save_manifest
from foresail.store.ordering import Columns, sorted_columns
from foresail.store.panels import to_panel
from foresail.store.prints import chain_factors, is_stored

__all__ = ["EmbeddedStore"]


class EmbeddedStore:
    """A market store in one folder; see the module's text. Implements ``protocols.MarketStore``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the store lives."""
        return self._folder

    def append(self, bars: BarTable, bar_set: BarSet, *, recorded_at: datetime) -> QualityReport:
        """Check and store bars; equal prints are not stored twice, different ones are kept as revisions.

        Parameters
        ----------
        bars : as an adapter gives them
        recorded_at : now, aware; becomes the ``recorded_at`` of every new print

        Raises
        ------
        DataError
            If nothing of the batch can be kept, or the store is damaged.
        ConfigError
            If a set of that name exists with another class, frame, calendar or price basis.
        """
        stamp = to_ns(recorded_at)
        table = bars.table
        recorded = pa.array(np.full(table.num_rows, stamp, dtype=np.int64))
        table = table.set_column(table.column_names.index("recorded_at"), "recorded_at", recorded)
        accepted, report = check(BarTable(table), bar_set)
        if report.accepted == 0:
            raise DataError(
                f"set {bar_set.name}: none of {report.received} bars passed the quality gate"
                + (f"; the first reason: {report.quarantined[0].reason}" if report.quarantined else ""),
                rule=report.quarantined[0].rule if report.quarantined else "DATA-50",
                hint="see foresail import --describe",
            )
        with self._writing():
            manifest = load_manifest(self._manifest_path)
            entry = manifest.sets.get(bar_set.name)
            merged_set = bar_set if entry is None else _merged_set(entry.bar_set, bar_set)
            stored = sorted_columns(self._read_parts(entry or SetEntry(merged_set)))
            fresh, known = _fresh(accepted, stored)
            report = replace(report, collapsed=report.collapsed + known)
            before = entry or SetEntry(merged_set)
            parts = self._write_parts(fresh, merged_set, len(before.reports), stamp)
            after = SetEntry(merged_set, before.parts + parts, (*before.reports, plain(report)))
            save_manifest(self._manifest_path, manifest.put(bar_set.name, after))
            self._write_latest(pa.concat_tables([stored.table, fresh.table]), bar_set.name)
        return report

    def read(
        self,
        name: str,
        *,
        known_at: datetime,
        instruments: Sequence[InstrumentId] | None = None,
        until_ns: int | None = None,
        latest: bool = False,
        extended: bool = False,
    ) -> Panel:
        """Return the bars of a set as they were known at an instant.

        Parameters
        ----------
        known_at : prints available and recorded by then; earlier than the import means: nothing was recorded yet
        instruments : the only ones wanted
        until_ns : additionally nothing available after this instant, ns UTC (``--until``)
        latest, extended : as for ``store.panels.to_panel``

        Raises
        ------
        UnknownNameError
            If the set or an instrument is not there.
        DataError
            If no bar was known by then, or a file is damaged.
        """
        stamp = to_ns(known_at)
        entry = load_manifest(self._manifest_path).entry(name)
        columns = sorted_columns(self._read_parts(entry, recorded_by=stamp))
        kept = BarTable(columns.take(np.flatnonzero(columns.recorded <= stamp)).table)
        if kept.table.num_rows == 0:
            first = min((part.recorded_at for part in entry.parts), default=0)
            raise DataError(
                f"set {name}: no data in range: it was first recorded at {format_ns(first)}, asked for "
                f"{known_at.isoformat()}",
                hint="to stand in the past of the market, not of the store, use --until",
            )
        limit = stamp if until_ns is None else min(stamp, until_ns)
        panel = to_panel(kept, entry.bar_set, known_at_ns=limit, latest=latest, extended=extended)
        return panel if instruments is None else panel.select(instruments)

    def read_table(self, name: str) -> BarTable:
        """Return every stored print of a set, revisions included, sorted."""
        entry = load_manifest(self._manifest_path).entry(name)
        return BarTable(sorted_columns(self._read_parts(entry)).table)

    def read_parts(self, name: str, first: int) -> BarTable:
        """Return the prints of a set that were stored after its first so many parts, sorted; empty where none were.

        Parameters
        ----------
        first : parts that the caller has read, see ``entry``; a part never changes
        """
        entry = load_manifest(self._manifest_path).entry(name)
        return BarTable(sorted_columns(self._read_parts(replace(entry, parts=entry.parts[first:]))).table)

    def sets(self) -> tuple[BarSet, ...]:
        """Return the stored sets by name."""
        manifest = load_manifest(self._manifest_path)
        return tuple(manifest.sets[name].bar_set for name in sorted(manifest.sets))

    def entry(self, name: str) -> SetEntry:
        """Return what the manifest says about one set: parts, hashes, quality reports."""
        return load_manifest(self._manifest_path).entry(name)

    def latest_bars(self) -> pa.Table:
        """Return the newest bar of every instrument of every set, with the column ``set`` in front.

        Raises
        ------
        DataError
            If nothing was stored yet.
        """
        path = self._folder / "latest.parquet"
        if not path.exists():
            raise DataError(f"{path}: nothing was stored yet", file=str(path))
        return pq.read_table(path)

    def append_facts(self, facts: FactTable, fact_set: FactSet, *, recorded_at: datetime) -> int:
        """Store the vintages of facts that are new; return how many these were (see ``store.facts``).

        Parameters
        ----------
        recorded_at : now, aware; a snapshot is known from then on and not before (DATA-72)
        """
        with self._writing():
            return append_facts(self._folder, facts, fact_set, recorded_at_ns=to_ns(recorded_at))

    def read_facts(self, name: str, *, as_of: datetime, recorded_by: datetime | None = None) -> FactTable:
        """Return the vintages of a set of facts that were available at an instant, and recorded by another if given."""
        recorded = None if recorded_by is None else to_ns(recorded_by)
        return read_facts(self._folder, name, as_of_ns=to_ns(as_of), recorded_by_ns=recorded)

    def fact_sets(self) -> tuple[FactSet, ...]:
        """Return the stored sets of facts by name."""
        manifest = load_facts(self._folder)
        return tuple(manifest.sets[name].fact_set for name in sorted(manifest.sets))

    def append_aliases(self, aliases: Iterable[Alias]) -> Directory:
        """Add dated aliases of instruments; return all of them."""
        with self._writing():
            return append_aliases(self._folder, aliases)

    def directory(self) -> Directory:
        """Return which ticker meant which instrument when, as far as imports have said."""
        return load_facts(self._folder).directory

    @property
    def _manifest_path(self) -> Path:
        return self._folder / "manifest.json"

    @contextmanager
    def _failing_plainly(self) -> Iterator[None]:
        """Turn a full disk or a folder that cannot be written into an error that says where."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as e:
            raise DataError(
                f"{self._folder}: the store cannot be written: {e.strerror}; nothing of this import was kept",
                file=str(self._folder),
                hint="make room or choose another workspace, then import again",
            ) from e

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the store for one writer; a second one is told so."""
        with self._failing_plainly(), (self._folder / ".lock").open("w") as lock:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as e:
                    raise DataError(
                        f"{self._folder}: another process is writing to this store",
                        file=str(self._folder),
                        hint="wait until it has finished",
                    ) from e
            yield

    def _write_parts(self, columns: Columns, bar_set: BarSet, number: int, stamp: int) -> tuple[Part, ...]:
        years = columns.end.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
        parts = []
        for year in np.unique(years).tolist():
            rows = np.flatnonzero(years == year)
            folder = f"bars/v1/{bar_set.asset_class.value}/{bar_set.frame}/{year}"
            path = f"{folder}/{bar_set.name}-{number:05d}.parquet"
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
            data = _parquet_bytes(columns.table.take(pa.array(rows)))
            write_atomic(self._folder / path, data)
            ends = columns.end[rows]
            parts.append(Part(path, hash_bytes(data), len(rows), stamp, int(ends.min()), int(ends.max())))
        return tuple(parts)

    def _read_parts(self, entry: SetEntry, recorded_by: int | None = None) -> BarTable:
        tables = [
            self._read_part(part) for part in entry.parts if recorded_by is None or part.recorded_at <= recorded_by
        ]
        return BarTable(pa.concat_tables([bar_schema().empty_table(), *tables]))

    def _read_part(self, part: Part) -> pa.Table:
        path = self._folder / part.path
        if not path.exists():
            raise DataError(
                f"{path}: the manifest lists this file, but it is not there",
                file=str(path),
                hint="restore it, or import the set again into a new store",
            )
        data = path.read_bytes()
        if hash_bytes(data) != part.hash:
            raise DataError(
                f"{path}: truncated or foreign: {len(data)} bytes that are not what the store wrote",
                file=str(path),
                hint="restore it, or import the set again into a new store",
            )
        return pq.read_table(io.BytesIO(data)).select(bar_schema().names)

    def _write_latest(self, prints: pa.Table, name: str) -> None:
        """Renew the rows of one set in the table of newest bars: a projection, written after the manifest."""
        path = self._folder / "latest.parquet"
        schema = pa.schema([pa.field("set", pa.string()), *bar_schema()])
        others = pq.read_table(path) if path.exists() else schema.empty_table()
        others = others.filter(pc.not_equal(others.column("set"), name))
        columns = sorted_columns(BarTable(prints))
        last = np.ones(len(columns.code), dtype=np.bool_)
        last[:-1] = np.diff(columns.code) != 0
        newest = columns.table.filter(pa.array(last)).select(bar_schema().names)
        newest = newest.add_column(0, schema.field("set"), pa.array([name] * newest.num_rows, type=pa.string()))
        joined = pa.concat_tables([others, newest]).sort_by([("set", "ascending"), ("instrument", "ascending")])
        write_atomic(path, _parquet_bytes(joined))


def _fresh(accepted: BarTable, stored: Columns) -> tuple[Columns, int]:
    """Return the prints that the store does not have, chained to the stored ones, and how many it has already."""
    columns = sorted_columns(accepted)
    if len(stored.code) == 0:
        return columns, 0
    fresh = ~is_stored(columns, stored)
    return chain_factors(columns, stored).take(np.flatnonzero(fresh)), int((~fresh).sum())


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def _merged_set(old: BarSet, new: BarSet) -> BarSet:
    for key in ("asset_class", "frame", "calendar", "price_basis", "currency"):
        if getattr(old, key) != getattr(new, key):
            raise ConfigError(
                f"set {old.name} is stored with {key} {getattr(old, key)}, the new bars have {getattr(new, key)}",
                hint="import them under another name",
            )
    known: dict[InstrumentId, Instrument] = {i.id: i for i in old.instruments} | {i.id: i for i in new.instruments}
    together = tuple(known[name] for name in sorted(known))
    worst = old.universe_basis if old.universe_basis != "point_in_time" else new.universe_basis
    return replace(new, instruments=together, universe_basis=worst, close_only=old.close_only and new.close_only)
