"""Which limits and terms an account has had (COMP-05): by digest, so that a restart and a report know what held when.

``limits.json`` in the account's folder holds the versions in their order; ``LimitsLoaded`` entries of the journal say
which one holds from where on. An account never runs a bar under limits that its journal does not name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, DataError
from foresail.risk.versions import loosened_rows
from foresail.service.durable import write_durable
from foresail.service.stream import OLD_BOUNDARY, Stream
from foresail.service.terms import change_text, loosened_terms, term_rows

__all__ = ["LimitVersion", "confirm_versions", "first_limits", "read_versions", "version_of", "write_versions"]


@dataclass(frozen=True, slots=True)
class LimitVersion:
    """One set of edits of limits, with the terms that held beside them.

    Attributes
    ----------
    digest : of every limit, as journalled; empty for an account made before there were versions
    values : (name, value) as in ``PipelineSettings.limits``
    operator : who let it hold
    terms : stops, sizes, venue, fees (``service.terms``); None for an account made before the journal named them
    is_live : whether links, clock and the age of prices count (RISK-31): from the first start that follows on
    """

    digest: str
    values: tuple[tuple[str, Any], ...]
    operator: str
    terms: dict[str, Any] | None = None
    is_live: bool = False

    def over(self, stream: Stream) -> Stream:
        """Return the stream under this version."""
        return stream.under(self.values, self.terms, is_live=self.is_live)


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
        return [_read(one) for one in kept]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read: {error}", file=str(path), hint="restore it from a copy") from error


def write_versions(folder: Path, versions: list[LimitVersion]) -> None:
    """Write the versions of an account; they are on disk before its journal names one."""
    write_durable(folder / "limits.json", canonical_bytes({"format": 1, "versions": [_plain(one) for one in versions]}))


def confirm_versions(before: Stream, after: Stream, *, confirmed: bool) -> str:
    """Return what a change of limits and terms changes, in one line, once it may be made.

    Terms that no journal has named yet are taken up as the settings have them.

    Raises
    ------
    ConfigError
        If it loosens something and nobody confirmed that.
    """
    old, new = before.limit_rows(), after.limit_rows()
    names = list(loosened_rows(old, new))
    if before.names_terms:
        terms = term_rows(before.settings), term_rows(after.settings)
        names += loosened_terms(*terms)
        old, new = {**old, **terms[0]}, {**new, **terms[1]}
    if names and not confirmed:
        changes = ", ".join(f"{name} {old.get(name)} -> {new.get(name)}" for name in names)
        raise ConfigError(
            f"the change loosens limits: {changes}",
            hint="confirm it (foresail paper start --confirm-limits NAME), or leave these as they are",
        )
    return change_text(old, new)


def first_limits(stream: Stream, folder: Path) -> Stream:
    """Return the stream under the limits that the account began with."""
    versions = read_versions(folder)
    return versions[0].over(stream) if versions else stream


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


def _plain(version: LimitVersion) -> dict[str, Any]:
    terms = {} if version.terms is None else {"terms": version.terms}
    live = {"live": True} if version.is_live else {}
    return {"digest": version.digest, "values": version.values, "operator": version.operator, **terms, **live}


def _read(one: dict[str, Any]) -> LimitVersion:
    values = _pairs(one["values"])
    return LimitVersion(one["digest"], values, one["operator"], one.get("terms"), bool(one.get("live")))


def _pairs(values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((str(name), _tuples(value)) for name, value in values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
