"""Which limits an account has had (COMP-05): the edits by digest, so that a restart and a report know what held when.

``limits.json`` in the account's folder holds the versions in their order; ``LimitsLoaded`` entries of the journal say
which one holds from where on. An account never runs a bar under limits that its journal does not name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.errors import DataError
from foresail.service.stream import OLD_BOUNDARY, Stream

__all__ = ["LimitVersion", "first_limits", "read_versions", "version_of", "write_versions"]


@dataclass(frozen=True, slots=True)
class LimitVersion:
    """One set of edits.

    Attributes
    ----------
    digest : of every limit, as journalled; empty for an account made before there were versions
    values : (name, value) as in ``PipelineSettings.limits``
    operator : who let it hold
    """

    digest: str
    values: tuple[tuple[str, Any], ...]
    operator: str


def read_versions(folder: Path) -> list[LimitVersion]:
    """Return the versions of an account, oldest first; none before its first start.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    path = folder / "limits.json"
    if not path.is_file():
        is_old = (folder / "journal").is_dir()
        return [LimitVersion("", (("breakers.boundary", OLD_BOUNDARY),), "")] if is_old else []
    try:
        kept = json.loads(path.read_bytes())["versions"]
        return [LimitVersion(one["digest"], _pairs(one["values"]), one["operator"]) for one in kept]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read: {error}", file=str(path), hint="restore it from a copy") from error


def write_versions(folder: Path, versions: list[LimitVersion]) -> None:
    """Write the versions of an account."""
    plain = [{"digest": one.digest, "values": one.values, "operator": one.operator} for one in versions]
    write_atomic(folder / "limits.json", canonical_bytes({"format": 1, "versions": plain}))


def first_limits(stream: Stream, folder: Path) -> Stream:
    """Return the stream under the limits that the account began with."""
    versions = read_versions(folder)
    return stream.with_limits(versions[0].values) if versions else stream


def version_of(versions: list[LimitVersion], digest: str) -> LimitVersion:
    """Return the newest version of a digest.

    Raises
    ------
    DataError
        If there is none.
    """
    for one in reversed(versions):
        if one.digest == digest:
            return one
    raise DataError(
        f"the journal names limits {digest[:16]} that limits.json does not hold",
        hint="restore limits.json of the account from a copy",
    )


def _pairs(values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((str(name), _tuples(value)) for name, value in values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
