"""The manifest of a store: which files belong to which set, with hashes; and sets as plain JSON and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, plain, write_atomic
from foresail.core.errors import DataError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.bars import BarSet
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis

__all__ = ["Manifest", "Part", "SetEntry", "load_manifest", "save_manifest"]

_FORMAT = "foresail-store"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One immutable Parquet file of a set.

    Attributes
    ----------
    path : relative to the store, with forward slashes
    hash : SHA-256 of the file
    recorded_at : ns UTC
    first_end, last_end : ns UTC, bar ends inside
    """

    path: str
    hash: str
    rows: int
    recorded_at: int
    first_end: int
    last_end: int


@dataclass(frozen=True, slots=True)
class SetEntry:
    """A set, its parts in the order of writing, and its quality reports as JSON data, one a batch."""

    bar_set: BarSet
    parts: tuple[Part, ...] = ()
    reports: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """All sets by name."""

    sets: dict[str, SetEntry]

    def entry(self, name: str) -> SetEntry:
        """Return one set.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        if name not in self.sets:
            raise UnknownNameError("set", name, self.sets, hint="foresail import PATH --name NAME stores one")
        return self.sets[name]

    def put(self, name: str, entry: SetEntry) -> Manifest:
        """Return a manifest with one set replaced."""
        return replace(self, sets=self.sets | {name: entry})


def load_manifest(path: Path) -> Manifest:
    """Return the manifest, empty where none was written yet.

    Raises
    ------
    DataError
        If the file is not a manifest of this version.
    """
    if not path.exists():
        return Manifest({})
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != _FORMAT or raw["version"] != _VERSION:
            raise DataError(
                f"{path}: expected {_FORMAT} version {_VERSION}, received {raw['format']} version {raw['version']}",
                file=str(path),
            )
        return Manifest({name: _entry(entry) for name, entry in sorted(raw["sets"].items())})
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as e:
        raise DataError(
            f"{path}: not the manifest of a store ({e})", file=str(path), hint="restore it, or import the files again"
        ) from e


def save_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest atomically."""
    content = {"format": _FORMAT, "version": _VERSION, "sets": plain(manifest.sets)}
    write_atomic(path, canonical_bytes(content))


def _entry(raw: dict[str, Any]) -> SetEntry:
    known = dict(raw["bar_set"])
    known["asset_class"] = AssetClass(known["asset_class"])
    known["price_basis"] = PriceBasis(known["price_basis"])
    known["instruments"] = tuple(_instrument(i) for i in known["instruments"])
    parts = tuple(Part(**part) for part in raw["parts"])
    return SetEntry(BarSet(**known), parts, tuple(raw["reports"]))


def _instrument(raw: dict[str, Any]) -> Instrument:
    return Instrument(
        **{key: value for key, value in raw.items() if key not in ("id", "asset_class", "multiplier", "tick", "lot")},
        id=instrument_id(raw["id"]),
        asset_class=AssetClass(raw["asset_class"]),
        multiplier=Decimal(raw["multiplier"]),
        tick=Decimal(raw["tick"]),
        lot=Decimal(raw["lot"]),
    )
