"""From a path to a description: a folder with ``foresail-set.toml``, that file itself, or one data file.

A single data file has no description, so what it does not say is taken from options or from a proposal; every such
assumption becomes a sentence in ``guesses``. Quirks are never assumed: they must be written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from foresail.adapters.files.description import DESCRIPTION_FILE, SetDescription, parse_description, read_toml
from foresail.adapters.files.propose import propose
from foresail.core.errors import DataError

__all__ = ["describe", "load_description"]

_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".txt", ".tsv")
_DESCRIBE = "foresail import --describe"


def load_description(path: Path, overrides: Mapping[str, Any] | None = None) -> SetDescription:
    """Return the description of a set.

    Parameters
    ----------
    path : folder with ``foresail-set.toml``, a TOML file, or one Parquet or CSV (.gz) file
    overrides : keys of ``foresail-set.toml`` that win over what stands there, for example ``{"zone": "EET"}``

    Raises
    ------
    DataError
        If there is nothing to read at the path.
    ConfigError
        If a key or value is wrong.
    """
    given = dict(overrides or {})
    if not path.exists():
        raise DataError(f"{path} does not exist", file=str(path), hint="give a Parquet or CSV file, or a folder")
    toml = path / DESCRIPTION_FILE if path.is_dir() else path
    if toml.suffix == ".toml":
        if not toml.is_file():
            raise DataError(
                f"{path} is a folder without {DESCRIPTION_FILE}",
                file=str(path),
                hint=f"write one: {_DESCRIBE} {path} > {toml}",
            )
        raw = _merged(read_toml(toml), given)
        return parse_description(raw, folder=toml.parent, where=str(toml))
    proposal = propose([path], path.name.split(".")[0])
    proposal.keys.pop("quirks", None)
    raw = _merged(proposal.keys, given)
    said = _spoken(given)
    guesses = tuple(text for text in proposal.guesses if not any(word in text for word in said))
    return replace(parse_description(raw, folder=path.parent, where=path.name), guesses=guesses)


def _merged(raw: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(raw) | {key: value for key, value in given.items() if key not in ("columns", "quirks")}
    for table in ("columns", "quirks"):
        if table in raw or table in given:
            merged[table] = dict(raw.get(table, {})) | dict(given.get(table, {}))
    return merged


def _spoken(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how the guesses begin that an option has made superfluous."""
    words = {
        "class": "asset class",
        "frame": "frame ",
        "price_basis": "price basis",
        "universe": "universe unknown",
        "zone": "no zone",
        "time": "time of a bar",
        "symbol": "no symbol column",
    }
    return tuple(text for key, text in words.items() if key in given)


def describe(path: Path) -> tuple[SetDescription | None, str]:
    """Return a proposal for ``foresail-set.toml``: as a description, and as text to save.

    Returns
    -------
    description : None while something is open that only the user knows, such as the symbol
    text : TOML, with a comment for everything that was assumed

    Raises
    ------
    DataError
        If there is no data file at the path, or the first one cannot be read.
    """
    import tomli_w

    files = [path] if path.is_file() else sorted(f for f in path.glob("*") if f.name.endswith(_SUFFIXES))
    if not files:
        raise DataError(f"{path}: no Parquet or CSV file", file=str(path), hint="give a file or the folder of files")
    proposal = propose(files, path.name.split(".")[0])
    comments = "".join(f"# {text}\n" for text in proposal.guesses)
    text = f"# Proposed from {files[0].name}. Read it, mend it, save it as {DESCRIPTION_FILE}.\n"
    text += comments + tomli_w.dumps(proposal.keys)
    description = parse_description(proposal.keys, folder=files[0].parent, where=DESCRIPTION_FILE)
    return replace(description, guesses=tuple(proposal.guesses)), text
