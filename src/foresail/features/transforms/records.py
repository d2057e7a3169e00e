"""Fitted transforms as plain JSON, and back to the same bits. Nothing is pickled, nothing is run on reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.errors import DataError, UnknownNameError
from foresail.features.transforms.base import Fitted, FoldBound
from foresail.features.transforms.categories import CategoryColumns
from foresail.features.transforms.components import PCA
from foresail.features.transforms.encoders import OneHotEncoder, OrdinalEncoder
from foresail.features.transforms.fold import FoldMark
from foresail.features.transforms.forest import ForestImportance, RecursiveElimination
from foresail.features.transforms.gaps import DropSparse, ForwardFill, MedianImputer
from foresail.features.transforms.per_instrument import InstrumentScaler
from foresail.features.transforms.pipeline import Pipeline
from foresail.features.transforms.scalers import RankGauss, RobustScaler, StandardScaler
from foresail.features.transforms.selection import DropCorrelated, SelectKBest
from foresail.features.transforms.threshold import ThresholdChoice

__all__ = ["KINDS", "from_record", "read_transform", "to_record", "write_transform"]

_CLASSES: tuple[type[FoldBound], ...] = (
    CategoryColumns,
    DropCorrelated,
    DropSparse,
    ForestImportance,
    ForwardFill,
    InstrumentScaler,
    MedianImputer,
    OneHotEncoder,
    OrdinalEncoder,
    PCA,
    Pipeline,
    RankGauss,
    RecursiveElimination,
    RobustScaler,
    SelectKBest,
    StandardScaler,
    ThresholdChoice,
)
# One line above makes a transform known; the contract suite then tests it.
KINDS: Mapping[str, type[FoldBound]] = MappingProxyType({cls.kind: cls for cls in _CLASSES})
_TYPES = {"f": "float64", "i": "int64", "U": "text"}


def to_record(transform: FoldBound) -> dict[str, Any]:
    """Return a transform as plain data: kind, settings and what was learned."""
    fitted = transform.fitted
    settings = {k: [to_record(s) for s in v] if k == "steps" else v for k, v in transform.settings().items()}
    return {
        "kind": transform.kind,
        "settings": settings,
        "fitted": None
        if fitted is None
        else {
            "fields": fitted.fields,
            "outputs": fitted.outputs,
            "fold": fitted.mark,
            "state": {name: _plain_array(array) for name, array in fitted.state.items()},
        },
    }


def from_record(record: Mapping[str, Any], known: Mapping[str, type[FoldBound]] = KINDS) -> FoldBound:
    """Return the transform of a record.

    Parameters
    ----------
    known : kind -> class; plug-ins add theirs

    Raises
    ------
    UnknownNameError
        If the kind is not known.
    DataError
        If the record is not whole.
    """
    kind = str(record.get("kind"))
    if kind not in known:
        raise UnknownNameError("transform", kind, known)
    try:
        settings = {k: _tuples(v) for k, v in record["settings"].items() if k != "steps"}
        if "steps" in record["settings"]:
            settings["steps"] = tuple(from_record(step, known) for step in record["settings"]["steps"])
        told, fitted = record["fitted"], None
        if told is not None:
            state = {name: _array(one) for name, one in told["state"].items()}
            fitted = Fitted(tuple(told["fields"]), tuple(told["outputs"]), FoldMark(**told["fold"]), state)
        return known[kind](**settings, fitted=fitted)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the record of a {kind} cannot be read: {error}", hint="fit and write it again") from error


def write_transform(transform: FoldBound, path: Path) -> None:
    """Write a transform as canonical JSON; the same transform gives the same bytes."""
    write_atomic(path, canonical_bytes(to_record(transform)))


def read_transform(path: Path, known: Mapping[str, type[FoldBound]] = KINDS) -> FoldBound:
    """Return the transform that ``write_transform`` wrote.

    Parameters
    ----------
    known : kind -> class; plug-ins add theirs

    Raises
    ------
    DataError
        If the file is no record of a transform.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path.name}: no JSON: {error}", file=str(path)) from error
    if not isinstance(record, dict):
        raise DataError(f"{path.name}: expected the record of a transform", file=str(path))
    return from_record(record, known)


def _plain_array(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.kind not in _TYPES:
        raise DataError(f"a transform learned an array of {array.dtype}; float64, int64 and text can be written")
    return {"type": _TYPES[array.dtype.kind], "shape": list(array.shape), "values": array.ravel().tolist()}


def _array(record: Mapping[str, Any]) -> NDArray[Any]:
    shape, values = tuple(record["shape"]), record["values"]
    if record["type"] == "text":
        return np.array(values, dtype=np.str_).reshape(shape)
    if record["type"] == "int64":
        return np.array(values, dtype=np.int64).reshape(shape)
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64).reshape(shape)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
