"""The matrix that windows are cut from, in a file that is mapped: for panels whose windows do not fit into memory.

The file is written once, an instrument at a time, and loses its name as soon as it is mapped, so that nothing is left
of it however the process ends. Where a mapped file cannot lose its name (Windows), it does when the matrix is given up;
what a crash left behind is removed when the next matrix is written to the same folder.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from foresail.core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows has no flock; there, a file in use cannot be removed anyhow
    fcntl = None  # type: ignore[assignment]

__all__ = ["mapped_matrix"]

_PREFIX, _SUFFIX = "foresail-windows-", ".f32"


def mapped_matrix(
    folder: Path, shape: tuple[int, int, int], rows: Iterable[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return a matrix (N, T, V) that lies in a file, to be read only.

    Parameters
    ----------
    folder : made where it is not there
    rows : (T, V) of each instrument, asked for one by one

    Raises
    ------
    DataError
        If the folder has no room for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    size = 4 * int(np.prod(shape))
    stream = tempfile.NamedTemporaryFile(dir=folder, prefix=_PREFIX, suffix=_SUFFIX, delete=False)  # noqa: SIM115 closed below
    path = Path(stream.name)
    try:
        with stream:
            _owned(stream)
            for row in rows:
                stream.write(np.ascontiguousarray(row, dtype=np.float32).data)
            stream.flush()
            found: NDArray[np.float32] = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    except OSError as error:
        _remove(path)
        hint = "make room there, or let TMPDIR name another folder"
        raise DataError(f"{folder} cannot hold {size / 1e9:.1f} GB of windows: {error.strerror}", hint=hint) from error
    except BaseException:
        _remove(path)
        raise
    if not _remove(path):
        weakref.finalize(found, _remove, path)
    return found


def _sweep(folder: Path) -> None:
    """Remove what processes that ended without their own removal have left."""
    for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            with path.open("rb") as stream:
                _owned(stream)
        except OSError:
            continue  # its owner is writing it, or has just removed it
        _remove(path)


def _owned(stream: IO[bytes]) -> None:
    """Take the file for as long as it is open; OSError where another process has it."""
    if fcntl is not None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(path: Path) -> bool:
    """Take a file its name; return whether it has none any more."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True
