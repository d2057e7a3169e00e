"""How fitted models are written and read: one canonical JSON document, text beside it, never pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import canonical_bytes, hash_value, write_atomic
from foresail.core.errors import ModelError
from foresail.domain.training import ForecasterSpec

__all__ = ["array_of", "model_version", "read_model", "spec_from", "write_model"]

_FILE = "model.json"


def model_version(spec: ForecasterSpec, content: dict[str, Any]) -> str:
    """Return ``name@version-hash`` with twelve digits of the hash of all that was fitted."""
    return f"{spec.name}@{spec.version}-{hash_value([asdict(spec), content])[:12]}"


def write_model(folder: Path, kind: str, spec: ForecasterSpec, content: dict[str, Any]) -> None:
    """Write ``model.json``; NaN is not written (absent is null)."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"format": 1, "kind": kind, "spec": asdict(spec), "content": content}
    write_atomic(folder / _FILE, canonical_bytes(document))


def read_model(folder: Path, kind: str) -> tuple[ForecasterSpec, dict[str, Any]]:
    """Return spec and content of a model of a kind.

    Raises
    ------
    ModelError
        If there is no model of that kind in the folder.
    """
    path = folder / _FILE
    if not path.is_file():
        raise ModelError(f"expected a saved model in {folder}, found no {_FILE}", hint="fit and save a model first")
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") != 1 or document.get("kind") != kind:
        raise ModelError(f"{path} holds a model of kind {document.get('kind')!r}, expected {kind!r} of format 1")
    return spec_from(document["spec"]), document["content"]


def spec_from(values: dict[str, Any]) -> ForecasterSpec:
    """Return the spec that ``asdict`` took apart."""
    lists = {key: tuple(values[key]) for key in ("features", "targets", "horizons", "levels")}
    return ForecasterSpec(**{**values, **lists})


def array_of(values: Any) -> FloatArray:
    """Return JSON numbers as a float array, null as NaN."""
    return np.array(values, dtype=np.float64)
