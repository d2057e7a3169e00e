"""Reading a journal: show, verify, and rebuild every table that follows from it.

A journal is named by an account of the workspace, by its folder, or by a journal file of a run.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_bytes, write_atomic
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, UserError
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import Entry
from foresail.ledger.journal import read_journal
from foresail.ledger.recovery import read_entries, verify_log
from foresail.service.accounts import AccountFolder
from foresail.service.ledger_tables import TABLES, LedgerTables, project
from foresail.service.outcome import Outcome
from foresail.service.workspace import find_workspace

__all__ = ["LedgerRequest", "entries_of", "rebuild_tables", "show_ledger", "tables_of", "verify_ledger"]


@dataclass(frozen=True, slots=True)
class LedgerRequest:
    """Which journal.

    Attributes
    ----------
    account : of the workspace
    journal : a journal folder, or a text file of entries, instead of an account
    """

    account: str | None = None
    journal: Path | None = None


def entries_of(request: LedgerRequest) -> list[Entry]:
    """Return every entry of a journal."""
    return _open(request)[1]


def tables_of(request: LedgerRequest) -> LedgerTables:
    """Return every table of a journal, made anew from its entries."""
    _, entries = _open(request)
    return project(entries)


def show_ledger(request: LedgerRequest, *, last: int = 20, kind: str | None = None) -> Outcome:
    """Tell what a journal holds: account, positions, money by currency, and its newest entries."""
    _, entries = _open(request)
    tables = project(entries)
    kinds = sorted({row["kind"] for row in tables.rows["entries"]})
    if kind is not None and kind not in kinds:
        raise ConfigError(f"the journal holds no {kind!r}; it holds: {', '.join(kinds)}")
    chosen = [row for row in tables.rows["entries"] if kind in (None, row["kind"])]
    document = {**_summary(tables), "shown": chosen[-last:] if last else []}
    lines = _summary_lines(tables)
    lines += [f"{row['sequence']:>8}  {format_ns(row['at'])}  {row['kind']} {row['content']}" for row in chosen[-last:]]
    return Outcome(document, lines)


def verify_ledger(request: LedgerRequest) -> Outcome:
    """Check every frame, hash and sequence number of a journal, and that books and orders follow from it."""
    path, entries = _open(request)
    tables = project(entries)
    balance = {name: sum(tables.books.trial_balance(name).values()) for name in _currencies(tables)}
    wrong = [name for name, total in balance.items() if total != 0]
    _, chain, behind = verify_log(RealDisk(path)) if path.is_dir() else (0, hash_bytes(path.read_bytes()), 0)
    document = {
        "journal": str(path), "entries": len(entries), "chain": chain, "unbalanced": wrong, "bytes_behind": behind,
    }  # fmt: skip
    if wrong:
        return Outcome(document, [f"{path}: the books do not balance in {', '.join(wrong)}"], 4)
    words = f"{path}: {len(entries):,} entries, whole, in order, balanced in every currency"
    lines = [words, f"last link of the chain: {chain}"]
    if behind:
        lines.append(
            f"{behind} bytes stand behind the last whole entry: a write that a crash cut short, or a damaged last "
            "commit; the next start cuts them, a copy of the folder may tell more"
        )
    return Outcome(document, lines)


def rebuild_tables(request: LedgerRequest, *, out: Path | None = None) -> Outcome:
    """Write every table again from the journal; what was there before is replaced as a whole.

    Raises
    ------
    ConfigError
        If a journal named by its path comes without a folder to write to.
    """
    path, entries = _open(request)
    if out is None and request.account is None:
        raise ConfigError("expected --out FOLDER for a journal that is named by its path")
    target = out if out is not None else path.parent / "tables"
    tables = project(entries)
    waiting = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir(parents=True)
    hashes = {name: _write(waiting / f"{name}.parquet", tables.rows[name]) for name in TABLES}
    manifest = {**_summary(tables), "tables": hashes, "entries": len(entries)}
    write_atomic(waiting / "manifest.json", canonical_bytes(manifest))
    if target.exists():
        if not (target / "manifest.json").is_file():
            raise ConfigError(f"{target} is not a folder of tables", hint="name another with --out")
        shutil.rmtree(target)
    waiting.rename(target)
    lines = [f"{target}: rebuilt from {len(entries):,} entries"]
    lines += [f"  {name:<12} {len(tables.rows[name]):>8} rows" for name in TABLES]
    return Outcome({"folder": str(target), **manifest}, lines)


def _open(request: LedgerRequest) -> tuple[Path, list[Entry]]:
    """Return where the journal lies and what it holds; nothing is locked, a running account may be read."""
    if (request.account is None) == (request.journal is None):
        raise ConfigError("expected --account NAME or --journal PATH, one of them")
    if request.account is not None:
        path = AccountFolder(find_workspace(), request.account).existing().journal
    else:
        path = request.journal if request.journal is not None else Path()
    if path.is_dir():
        entries = list(read_entries(RealDisk(path)))
    elif path.is_file():
        entries = list(read_journal(path))
    else:
        raise UserError(f"there is no journal at {path}", hint="a journal is a folder of journal-N.log, or a file")
    if not entries:
        raise UserError(f"{path} holds no entries", hint="a journal is a folder of journal-N.log, or a file")
    return path, entries


def _currencies(tables: LedgerTables) -> list[str]:
    return sorted(tables.books.to_plain()["totals"])


def _summary(tables: LedgerTables) -> dict[str, Any]:
    return {
        "account": tables.account,
        "environment": tables.environment,
        "currency": tables.currency,
        "sessions": tables.sessions,
        "last_at": tables.books.at,
        "orders": len(tables.rows["orders"]),
        "executions": len(tables.rows["executions"]),
        "balances": {
            name: {account: str(value) for account, value in tables.books.trial_balance(name).items()}
            for name in _currencies(tables)
        },
        "positions": tables.rows["positions"],
    }


def _summary_lines(tables: LedgerTables) -> list[str]:
    lines = [
        f"{tables.environment} account {tables.account}: {len(tables.rows['entries']):,} entries of "
        f"{tables.sessions} sessions until {format_ns(tables.books.at)}",
        f"{len(tables.rows['orders']):,} orders, {len(tables.rows['executions']):,} executions, "
        f"{len(tables.rows['trades']):,} trades",
    ]
    for name in _currencies(tables):
        told = ", ".join(f"{a} {v}" for a, v in tables.books.trial_balance(name).items() if v)
        lines.append(f"{name}: {told or 'nothing'}")
    held = [
        f"{one['quantity']} {one['instrument']} at {one['average_price']}"
        + "".join(f", {what} {one[what]}" for what in ("stop", "target") if one[what])
        for one in tables.rows["positions"]
    ]
    return [*lines, "held: " + (", ".join(held) or "nothing")]


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows as Parquet and return the hash of the file; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    write_atomic(path, content)
    return hash_bytes(content)
