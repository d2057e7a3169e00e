"""Small files that must survive a power cut: the file is synced, and so is the folder that holds its name."""

from __future__ import annotations

import os
from pathlib import Path

from foresail.core.canonical import write_atomic

__all__ = ["make_folder", "sync_folder", "write_durable"]


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where they are not there; their names are on disk on return."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def write_durable(path: Path, data: bytes) -> None:
    """Write a file so that it is the old or the new one whole, and the new one on return, whatever happens then."""
    write_atomic(path, data)
    sync_folder(path.parent)
