"""The folder of a registered model: what may lie in it, and that it is what was registered.

``models/<class>_<frame>_<model>_v<n>/`` holds

- ``model.json``: what the model is, was fitted on and must be fed with; the one document that everything is checked by
- ``weights/``: what ``Forecaster.save`` wrote; with sectors, a folder for each (``forecasting.sectors``)
- ``scaler.json``: statistics of the inputs that it was fitted on
- ``calibration.json``: the conformal shift of each interval
- ``probe.json``: a few inputs with the forecasts they gave, by which a loaded model proves to be the same
- ``card.json``, ``card.html``: the model card
- ``manifest.json``: size and SHA-256 of every other file, written last

Text, JSON and safetensors only: nothing is ever unpickled, and a file of any other kind is refused (REG-05).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_bytes, hash_file, write_atomic
from foresail.core.errors import ModelError
from foresail.forecasting.sectors import SECTOR_FOLDER

__all__ = ["MANIFEST", "MODEL_FORMAT", "RECORD", "WEIGHTS", "read_document", "verified_record", "write_manifest"]

MODEL_FORMAT = ("foresail-model", 1)
MANIFEST, RECORD, WEIGHTS = "manifest.json", "model.json", "weights"
_SUFFIXES = (".html", ".json", ".safetensors", ".txt")
_SECTOR = re.compile(rf"{WEIGHTS}/{SECTOR_FOLDER}\d+")
_FOREIGN = {  # how files begin that can hold code or that nothing here reads
    b"\x80": "a pickle",
    b"PK\x03\x04": "a zip archive, as which networks are pickled",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
}
_REQUIRED = (RECORD, "calibration.json", "card.json", "probe.json", "scaler.json")
_AGAIN = "restore the folder from a copy, or train again: foresail train"


def write_manifest(folder: Path) -> str:
    """Write size and hash of every file of a folder into its manifest; return the manifest's own SHA-256.

    Raises
    ------
    ModelError
        If a file of a kind that is not allowed lies there.
    """
    listing = {}
    for name, path in _files(folder).items():
        _flush(path)
        listing[name] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    data = canonical_bytes({"format": MODEL_FORMAT[0], "version": MODEL_FORMAT[1], "files": listing})
    write_atomic(folder / MANIFEST, data)
    return hash_bytes(data)


def verified_record(folder: Path, *, manifest_hash: str = "") -> dict[str, Any]:
    """Return ``model.json`` of a folder in which every file is the one that was registered.

    Parameters
    ----------
    manifest_hash : of the manifest as the journal of the registry has it; empty where it has none

    Raises
    ------
    ModelError
        If a file is absent, added, changed, or of a kind that is not allowed; both hashes are told.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"{folder} is no registered model: it has no {MANIFEST}", hint=_AGAIN)
    found = hash_file(path)
    if manifest_hash and found != manifest_hash:
        raise ModelError(
            f"{path} was changed after it was registered: expected SHA-256 {manifest_hash[:16]}, found {found[:16]}",
            hint=_AGAIN,
        )
    manifest = read_document(path)
    if (manifest.get("format"), manifest.get("version")) != MODEL_FORMAT:
        raise ModelError(
            f"{path}: expected {MODEL_FORMAT[0]} version {MODEL_FORMAT[1]}, "
            f"found {manifest.get('format')!r} version {manifest.get('version')!r}",
            hint="read it with the version of Foresail that wrote it",
        )
    _compare(folder, manifest.get("files"))
    return read_document(folder / RECORD)


def read_document(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    ModelError
        If the file is absent or holds none.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as e:
        raise ModelError(f"{path} cannot be read as JSON: {e}", hint=_AGAIN) from e
    if not isinstance(found, dict):
        raise ModelError(f"{path}: expected a JSON object, found {type(found).__name__}", hint=_AGAIN)
    return found


def _compare(folder: Path, listing: Any) -> None:
    if not isinstance(listing, Mapping):
        raise ModelError(f"{folder / MANIFEST}: expected a listing of files", hint=_AGAIN)
    files = _files(folder)
    lacking = sorted({*listing, *_REQUIRED} - set(files))
    if lacking:
        raise ModelError(f"{folder}: {', '.join(lacking)} is missing", hint=_AGAIN)
    added = sorted(set(files) - set(listing))
    if added:
        raise ModelError(f"{folder}: {added[0]} was added after the model was registered", hint=_AGAIN)
    for name, entry in sorted(listing.items()):
        expected = str(entry["sha256"]) if isinstance(entry, Mapping) and "sha256" in entry else "none"
        found = hash_file(files[name])
        if found != expected:
            raise ModelError(
                f"{folder / name} was changed after the model was registered: "
                f"expected SHA-256 {expected[:16]}, found {found[:16]}",
                hint=_AGAIN,
            )


def _files(folder: Path) -> dict[str, Path]:
    """Return relative name -> path of every file but the manifest; refuse what does not belong here."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ModelError(f"{path} is a link; a model is made of files of its own", hint=_AGAIN)
        if path.is_dir():
            if name != WEIGHTS and not _SECTOR.fullmatch(name):
                raise ModelError(f"{path}: a model has no folder {name}", hint=_AGAIN)
            continue
        if name == MANIFEST:
            continue
        _check_kind(path)
        found[name] = path
    return found


def _flush(path: Path) -> None:
    """Put a file on the disk: a power cut after the registration must not empty it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_kind(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(8)
    for begin, what in _FOREIGN.items():
        # The length of a safetensors header comes first, and may begin with any byte.
        if head.startswith(begin) and not (path.suffix == ".safetensors" and head[4:8] == b"\x00" * 4):
            raise ModelError(f"{path} is {what}: models are text, JSON and safetensors only (REG-05)", hint=_AGAIN)
    if path.suffix not in _SUFFIXES:
        raise ModelError(
            f"{path}: a model is made of {', '.join(_SUFFIXES)} files, not of {path.suffix or 'files without suffix'}",
            hint=_AGAIN,
        )
