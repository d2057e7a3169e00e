"""Facts and series of a user into the workspace's store: vintages with three time stamps, appended, never changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foresail.adapters.files.description import DESCRIPTION_FILE, read_toml
from foresail.adapters.files.facts import is_fact_description, read_fact_files
from foresail.core.canonical import plain
from foresail.core.clock import Clock, format_ns, to_ns
from foresail.domain.facts import FactTable
from foresail.service.beside import unread_series
from foresail.service.outcome import Outcome
from foresail.store.embedded import EmbeddedStore

__all__ = ["describes_facts", "import_facts"]


def describes_facts(path: Path) -> bool:
    """Return whether a path is a description of facts or series, or a folder with one."""
    toml = path / DESCRIPTION_FILE if path.is_dir() else path
    return toml.suffix == ".toml" and toml.is_file() and is_fact_description(read_toml(toml))


def import_facts(path: Path, store: EmbeddedStore, *, clock: Clock, name: str | None = None) -> Outcome:
    """Read and store the facts that a description names.

    Parameters
    ----------
    name : of the stored set, over what the description says

    Raises
    ------
    LookAheadError
        If nothing says when the values were published.
    DataError
        If the files cannot be used.
    """
    toml = path / DESCRIPTION_FILE if path.is_dir() else path
    raw = read_toml(toml) | ({} if name is None else {"name": name})
    now = clock.now()
    table, fact_set, bad, notes = read_fact_files(raw, folder=toml.parent, where=str(toml), now_ns=to_ns(now))
    if fact_set.kind == "series":
        notes += tuple(f"no feature reads the series {one!r}" for one in unread_series(fact_set.fields))
    fresh = store.append_facts(table, fact_set, recorded_at=now)
    first, last = (int(table.available_at[f()]) for f in (table.available_at.argmin, table.available_at.argmax))
    document = {
        "set": plain(fact_set),
        "store": str(store.folder),
        "received": len(table) + len(bad),
        "new": fresh,
        "stored_already": len(table) - fresh,
        "quarantined": [plain(row) for row in bad],
        "notes": list(notes),
        "available_from": format_ns(first),
        "available_to": format_ns(last),
    }
    lines = [
        f"set of {fact_set.kind} {fact_set.name}: {_of(table)}, {len(fact_set.fields)} fields, "
        f"availability {fact_set.basis.value}",
        f"received {document['received']} vintages, new {fresh}, stored already {len(table) - fresh}, "
        f"set aside {len(bad)}",
        f"{len(np.unique(table.event_time))} periods, available from {format_ns(first)} to {format_ns(last)}",
        *(f"note: {note}" for note in notes),
        f"stored in {store.folder}",
    ]
    return Outcome(document, lines)


def _of(table: FactTable) -> str:
    """Return of how many instruments facts are, or that they are of the whole market."""
    if table.instruments == ("",):
        return f"{len(table)} for the whole market"
    return f"{len(table.instruments)} instruments"
