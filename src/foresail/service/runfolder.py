"""The run folder: written whole or not at all, read only when it is whole.

1. ``RunWriter`` builds in ``<parent>/.tmp-<name>-<process>-<n>``, locked, each file flushed to the disk.
2. ``finish`` writes ``complete`` (size and hash of every file) last and moves the folder into place: a plain rename,
   or, with ``force`` over an old run, an atomic exchange, so that at every instant ``out`` is the old or the new run.
3. ``RunReader`` believes nothing: a folder without ``complete``, with a missing, changed or truncated file, or of
   another layout is refused with a sentence.

A full disk, an unwritable place or an interrupt removes what was begun and leaves an old run as it was. What a kill
leaves behind is a ``.tmp-`` folder, which the next writer for the same place sweeps.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

import foresail
from foresail.core.canonical import canonical_bytes, hash_bytes, hash_file, hash_value
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import DataError, IntegrityError, UnknownNameError, UserError
from foresail.domain.schemas import DOCUMENTS, RUN_FORMAT, RUN_VERSION, TABLES, Document
from foresail.service.tables import arrow_schema, build_table, table_schema, write_parquet

if sys.platform != "win32":
    import fcntl

__all__ = ["RunReader", "RunWriter", "code_hash"]

_DOCUMENTS = {d.file: d for d in DOCUMENTS}
_KNOWN_FILES = frozenset(_DOCUMENTS) | {t.file for t in TABLES.values()}
_PROMISED = frozenset(d.file for d in DOCUMENTS if d.promised) | {t.file for t in TABLES.values()}
_SOURCE_SUFFIXES = (".py", ".csv", ".toml", ".j2", ".css", ".html", ".txt")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fs.h


def code_hash() -> str:
    """Return one SHA-256 over the installed package: relative path and content of every source and data file."""
    root = Path(foresail.__file__).parent
    files = sorted(p for p in root.rglob("*") if p.suffix in _SOURCE_SUFFIXES and p.is_file())
    return hash_value([(p.relative_to(root).as_posix(), hash_file(p)) for p in files])


class RunWriter:
    """Builds one run folder; use as a context manager, so that an error leaves nothing behind.

    Parameters
    ----------
    out : the finished folder
    force : replace an old run at ``out``; anything that is no run folder is refused even so
    clock : source of the times in the log
    """

    def __init__(self, out: Path, *, force: bool, clock: Clock | None = None) -> None:
        self.out = Path(os.path.abspath(out))  # noqa: PTH100 resolve() would follow a link, which is refused below
        self._force = force
        self._clock = SystemClock() if clock is None else clock
        self._done = False
        with self._guarded():
            _restore(self.out)
        self._check_place()
        with self._guarded():
            self.out.parent.mkdir(parents=True, exist_ok=True)
            _sweep(self.out)
            self.folder = _new_folder(self.out)
            self._lock = _lock(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.abandon()

    def write_json(self, name: str, value: Mapping[str, Any]) -> str:
        """Write ``run.json``, ``env.json``, ``honesty.json`` or ``metrics.json`` canonically; return its SHA-256.

        Raises
        ------
        IntegrityError
            If a required key of the document is missing.
        UserError
            If the disk is full or the place cannot be written.
        """
        document = _document(name, ".json")
        missing = [k.path for k in document.keys if k.required and not _has(value, k.path)]
        if missing:
            raise IntegrityError(f"{name}: required keys are missing: {missing}")
        return self._write(name, canonical_bytes(value))

    def write_table(self, name: str, columns: Mapping[str, Any]) -> str:
        """Write a table of ``domain.schemas.TABLES`` as Parquet; return its SHA-256.

        Parameters
        ----------
        columns : name -> values, see ``service.tables.build_table``
        """
        table = build_table(name, columns)
        path = self.folder / table_schema(name).file
        with self._guarded():
            write_parquet(table, path)
            _flush(path)
            return hash_file(path)

    def write_text(self, name: str, text: str) -> str:
        """Write ``report.html``; return its SHA-256."""
        return self._write(_document(name, ".html").file, text.encode())

    def log(self, event: str, **fields: Any) -> None:
        """Append one line to ``log.jsonl``."""
        line = {"at": self._clock.now(), "event": event, **fields}
        text = json.dumps(json.loads(canonical_bytes(line)), sort_keys=True, ensure_ascii=False)
        with self._guarded(), (self.folder / "log.jsonl").open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text + "\n")

    def finish(self) -> Path:
        """Write ``complete``, move the folder into place and return it.

        Raises
        ------
        UserError
            If ``out`` appeared in the meantime, the disk is full or the place cannot be written.
        """
        with self._guarded():
            files = {p.name: p for p in sorted(self.folder.iterdir())}
            if "log.jsonl" in files:
                _flush(files["log.jsonl"])
            listing = {n: {"bytes": p.stat().st_size, "sha256": hash_file(p)} for n, p in files.items()}
        missing = [n for n in ("run.json", "metrics.json") if n not in listing]
        if missing:
            raise IntegrityError(f"a run cannot be finished without {missing}")
        complete = {
            "format": RUN_FORMAT,
            "version": RUN_VERSION,
            "files": listing,
            "promised": _promised_hash({n: str(f["sha256"]) for n, f in listing.items()}),
        }
        self._write("complete", canonical_bytes(complete))
        with self._guarded():
            _flush(self.folder)
            self._move()
            self._done = True
            _unlock(self._lock)
            _flush(self.out.parent)
        return self.out

    def abandon(self) -> None:
        """Remove what was begun; an old run at ``out`` stays."""
        self._done = True
        shutil.rmtree(self.folder, ignore_errors=True)
        _unlock(self._lock)

    def _write(self, name: str, data: bytes) -> str:
        path = self.folder / name
        with self._guarded(), path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        return hash_bytes(data)

    def _move(self) -> None:
        if not self.out.exists():
            self.folder.rename(self.out)
            return
        if not self._force:
            raise _exists(self.out)
        if _exchange(self.folder, self.out):
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        # No atomic exchange here: a kill between the two renames leaves the old run under its .old- name.
        old = self.out.with_name(f".old-{self.out.name}")
        self.out.rename(old)
        self.folder.rename(self.out)
        shutil.rmtree(old, ignore_errors=True)

    def _check_place(self) -> None:
        if self.out.is_symlink() or (self.out.exists() and not self.out.is_dir()):
            raise UserError(
                f"expected a folder for the run, but {self.out} is a {'link' if self.out.is_symlink() else 'file'}",
                hint="choose another --out",
            )
        if not self.out.exists():
            return
        if not self._force:
            raise _exists(self.out)
        strange = sorted(p.name for p in self.out.iterdir() if p.name not in _KNOWN_FILES)
        if strange:
            raise UserError(
                f"{self.out} holds {strange[0]!r}, which no run writes, so it is not replaced",
                hint="choose another --out, or move that file away",
            )

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the operating system says into a sentence, and leave nothing half written."""
        try:
            yield
        except OSError as e:
            if hasattr(self, "_lock"):
                self.abandon()
            raise _sentence(self.out, e) from e


class RunReader:
    """A finished run; opening it verifies every file.

    Parameters
    ----------
    path : run folder

    Raises
    ------
    DataError
        If the folder is absent, unfinished, of another layout, or a file is missing, truncated or changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.files: dict[str, str] = {}
        self._read_listing()

    @property
    def promised(self) -> dict[str, str]:
        """SHA-256 of the files whose bytes are promised for the same inputs, code, settings and seed."""
        return {n: h for n, h in self.files.items() if n in _PROMISED}

    @property
    def digest(self) -> str:
        """One SHA-256 over all promised files."""
        return _promised_hash(self.files)

    def json(self, name: str) -> dict[str, Any]:
        """Return a JSON document of the run."""
        content: dict[str, Any] = json.loads(self._file(name).read_bytes())
        return content

    def table(self, name: str) -> pa.Table:
        """Return a table of the run.

        Raises
        ------
        DataError
            If the run has no such table, or it was written with another schema version.
        """
        schema = table_schema(name)
        table = pq.read_table(self._file(schema.file))
        if not table.schema.equals(arrow_schema(schema), check_metadata=False):
            raise DataError(
                f"{schema.file} of {self.path} has other columns than version {schema.version} of the table",
                file=str(self.path / schema.file),
                hint="repeat the run with this version",
            )
        return table

    def text(self, name: str) -> str:
        """Return a text file of the run, for example ``report.html``."""
        return self._file(name).read_text(encoding="utf-8")

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.text("log.jsonl").splitlines()]

    def has(self, name: str) -> bool:
        """Return whether the run has a file, or a table of that name."""
        return (TABLES[name].file if name in TABLES else name) in self.files

    def _file(self, name: str) -> Path:
        if name not in self.files:
            raise DataError(f"the run {self.path} has no {name}; it has: {', '.join(self.files)}", file=str(self.path))
        return self.path / name

    def _read_listing(self) -> None:
        if not self.path.is_dir():
            raise DataError(
                f"expected a run folder, but {self.path} is {'a file' if self.path.exists() else 'not there'}",
                file=str(self.path),
                hint="give the folder that `foresail run --out` wrote",
            )
        complete = self.path / "complete"
        if not complete.is_file():
            known = any((self.path / n).exists() for n in ("run.json", "metrics.json", "log.jsonl"))
            text = "was interrupted: it has no file `complete`" if known else "is no run folder: it has no `complete`"
            raise DataError(f"{self.path} {text}, so it is not read as a result", file=str(self.path), hint=_AGAIN)
        listing = _listing(complete)
        for name, entry in sorted(listing.items()):
            self._verify(name, int(entry["bytes"]), str(entry["sha256"]))
            self.files[name] = str(entry["sha256"])

    def _verify(self, name: str, size: int, sha256: str) -> None:
        path = self.path / name
        if Path(name).name != name or path.is_symlink() or not path.is_file():
            raise DataError(f"{self.path}: {name} is missing", file=str(path), hint=_AGAIN)
        received = path.stat().st_size
        if received != size:
            word = "truncated" if received < size else "longer than written"
            raise DataError(
                f"{path} is {word}: expected {size} bytes, received {received}", file=str(path), hint=_AGAIN
            )
        if hash_file(path) != sha256:
            raise DataError(f"{path} was changed after the run: its hash differs", file=str(path), hint=_AGAIN)


_AGAIN = "repeat the run, or restore the folder from a copy"


def _listing(complete: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(complete.read_bytes())
        files = content["files"]
        layout = (content["format"], content["version"])
        entries = {str(n): {"bytes": int(e["bytes"]), "sha256": str(e["sha256"])} for n, e in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{complete} cannot be read as the listing of a run", file=str(complete), hint=_AGAIN) from e
    if layout != (RUN_FORMAT, RUN_VERSION):
        raise DataError(
            f"{complete}: expected layout {RUN_FORMAT} version {RUN_VERSION}, received {layout[0]} version {layout[1]}",
            file=str(complete),
            hint="read it with the version of Foresail that wrote it",
        )
    return entries


def _promised_hash(hashes: Mapping[str, str]) -> str:
    return hash_value({n: h for n, h in hashes.items() if n in _PROMISED})


def _document(name: str, suffix: str) -> Document:
    known = {n: d for n, d in _DOCUMENTS.items() if n.endswith(suffix)}
    if name not in known:
        raise UnknownNameError("document of a run folder", name, known)
    return known[name]


def _has(value: Any, path: str) -> bool:
    for part in path.split("."):
        key = part.removesuffix("[]")
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _exists(out: Path) -> UserError:
    return UserError(f"{out} exists already", hint="add --force to replace it, or choose another --out")


def _sentence(out: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return UserError(
            f"the disk is full: the run could not be written to {out} ({reason}); nothing was left behind",
            hint="free some space, or choose an --out on another disk",
        )
    return UserError(
        f"the run could not be written to {out}: {reason}; nothing was left behind",
        hint="check that the folder exists and is writable, or choose another --out",
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step of the kernel; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0)


def _new_folder(out: Path) -> Path:
    for n in itertools.count():
        folder = out.parent / f".tmp-{out.name}-{os.getpid()}-{n}"
        if not folder.exists():
            folder.mkdir()
            return folder
    raise AssertionError("itertools.count ended")


def _lock(folder: Path) -> int | None:
    """Hold a lock on a folder until it is finished or this process dies; None where another process holds it."""
    if sys.platform == "win32":
        return -1
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None and descriptor >= 0:
        os.close(descriptor)


def _restore(out: Path) -> None:
    """Put an old run back if a kill fell between the two renames of ``_move``."""
    old = out.with_name(f".old-{out.name}")
    if old.is_dir() and not out.exists():
        old.rename(out)


def _sweep(out: Path) -> None:
    """Remove what killed writers for the same place left: the lock of a dead process is free."""
    if sys.platform == "win32":
        return
    begun = [p for p in out.parent.iterdir() if p.name.startswith(f".tmp-{out.name}-") and p.is_dir()]
    for folder in begun:
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            _unlock(lock)
