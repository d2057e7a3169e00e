"""``foresail-set.toml``: what a user says about a set of files, checked key by key.

A key that is not known is refused together with the known ones; nothing that matters is guessed when a description is
given. Oddities of a vendor are named in the table ``[quirks]``; without its key an oddity is refused or set aside.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.numbers import parse_number
from foresail.domain.calendars import check_calendar, frame_ns, is_daily
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.universe import UniverseBasis

__all__ = [
    "DEFAULT_PLACE",
    "DESCRIPTION_FILE",
    "KEYS",
    "QUIRK_KEYS",
    "ROLES",
    "Quirks",
    "SetDescription",
    "described_files",
    "parse_description",
    "read_toml",
]

DESCRIPTION_FILE = "foresail-set.toml"
ROLES = (
    "time", "symbol", "open", "high", "low", "close", "volume", "adj_close", "dividend", "split", "spread",
)  # fmt: skip
KEYS = (
    "version", "name", "root", "root_default", "files", "class", "frame", "calendar", "time", "zone", "price_basis",
    "universe", "currency", "columns", "missing", "known_at", "grace_s", "broker", "place", "kind", "lot", "tick",
    "symbol", "symbols", "revisions", "series", "note", "quirks",
)  # fmt: skip
QUIRK_KEYS = (
    "delimiter", "encoding", "epoch", "from", "price_scale", "skip_after_header", "skip_before_header", "time_format",
)  # fmt: skip
_TIMES = ("session", "start", "end")
_UNIVERSES = tuple(basis.value for basis in UniverseBasis)
_KINDS = ("spot", "etf", "perp")
_EPOCHS = ("s", "ms", "us", "ns", "mixed")
_DEFAULT_CALENDAR = {AssetClass.STOCK: "XNYS", AssetClass.CRYPTO: "24/7", AssetClass.FOREX: "24/5"}
DEFAULT_PLACE = {AssetClass.STOCK: "US", AssetClass.CRYPTO: "SPOT", AssetClass.FOREX: ""}
_DEFAULT_TICK = {AssetClass.STOCK: "0.0001", AssetClass.CRYPTO: "0.000001", AssetClass.FOREX: "0.00001"}
_DEFAULT_LOT = {AssetClass.STOCK: "1", AssetClass.CRYPTO: "0.001", AssetClass.FOREX: "1000"}


@dataclass(frozen=True, slots=True)
class Quirks:
    """Oddities of a vendor that the user has confirmed.

    Attributes
    ----------
    delimiter, encoding : of a CSV file
    skip_before_header, skip_after_header : lines to leave out
    epoch : unit of a numeric time, or "mixed" when units change within the column (each row by its size)
    time_format : strptime format of a text time
    price_scale : prices in the file are this many times the real ones
    first : bars whose time lies before this date are left out (TOML key ``from``)
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    skip_before_header: int = 0
    skip_after_header: int = 0
    epoch: str | None = None
    time_format: str | None = None
    price_scale: float = 1.0
    first: str | None = None


@dataclass(frozen=True, slots=True)
class SetDescription:
    """A described set of files, resolved; see ``docs`` for each key of the TOML file.

    Attributes
    ----------
    files : absolute paths that exist
    time : whether the file's time is the bar's start, its end, or the date of its session
    zone : IANA name of times without an offset; None = the file must carry offsets
    columns : role to column name, as given; the rest is found by alias
    missing : texts that mean "no value", beyond the usual ones
    known_at : column that says when a row was known, or "date" (known on its own date), or None
    symbol : the one symbol of files without such a column
    symbols : the only ones to read; empty = all
    series : descriptions of the series that stand beside the bars
    guesses : sentences about what nobody said and was therefore assumed
    """

    name: str
    files: tuple[Path, ...]
    asset_class: AssetClass
    frame: str
    calendar: str
    time: str
    zone: str | None
    price_basis: PriceBasis
    universe: str
    currency: str
    tick: Decimal
    lot: Decimal
    columns: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    known_at: str | None = None
    grace_s: float = 1.0
    broker: str = ""
    place: str = "US"
    kind: str = "spot"
    symbol: str | None = None
    symbols: tuple[str, ...] = ()
    revisions: Path | None = None
    series: tuple[Path, ...] = ()
    note: str = ""
    quirks: Quirks = field(default_factory=Quirks)
    guesses: tuple[str, ...] = ()


def parse_description(raw: Mapping[str, Any], *, folder: Path, where: str) -> SetDescription:
    """Return the checked description of a mapping with the keys of ``foresail-set.toml``.

    Parameters
    ----------
    folder : relative files start here, unless ``root`` says otherwise
    where : name of the source, for error texts

    Raises
    ------
    ConfigError
        If a key is unknown, absent, of a wrong type or out of range.
    DataError
        If a file does not exist.
    """
    name, files = described_files(raw, KEYS, folder=folder, where=where)
    asset_class = AssetClass(_choice(raw, "class", tuple(AssetClass), where))
    frame = _text(raw, "frame", where)
    frame_ns(frame)
    calendar = check_calendar(str(raw.get("calendar", _DEFAULT_CALENDAR[asset_class])))
    root = _root(raw, folder, where)
    description = SetDescription(
        name=name,
        files=files,
        asset_class=asset_class,
        frame=frame,
        calendar=calendar,
        time=_choice(raw, "time", _TIMES, where),
        zone=_zone(raw.get("zone"), where),
        price_basis=PriceBasis(_choice(raw, "price_basis", tuple(PriceBasis), where)),
        universe=_choice(raw, "universe", _UNIVERSES, where, default="unknown"),
        currency=str(raw.get("currency", "USD")),
        tick=parse_number(str(raw.get("tick", _DEFAULT_TICK[asset_class]))),
        lot=parse_number(str(raw.get("lot", _DEFAULT_LOT[asset_class]))),
        columns=_columns(raw, where),
        missing=tuple(str(marker) for marker in raw.get("missing", ())),
        known_at=raw.get("known_at"),
        grace_s=float(raw.get("grace_s", 1.0)),
        broker=str(raw.get("broker", "")),
        place=str(raw.get("place", DEFAULT_PLACE[asset_class])),
        kind=_choice(raw, "kind", _KINDS, where, default="spot"),
        symbol=raw.get("symbol"),
        symbols=tuple(str(symbol) for symbol in raw.get("symbols", ())),
        revisions=_one_file(root / raw["revisions"], where) if "revisions" in raw else None,
        series=_series(raw.get("series", []), folder, where),
        note=str(raw.get("note", "")),
        quirks=_quirks(raw.get("quirks", {}), where),
    )
    _check_time(description, where)
    return description


def described_files(
    raw: Mapping[str, Any], keys: tuple[str, ...], *, folder: Path, where: str
) -> tuple[str, tuple[Path, ...]]:
    """Return the name and the files of a description of any kind, once its keys are known ones.

    Parameters
    ----------
    keys : the ones that this kind of description has

    Raises
    ------
    ConfigError
        If a key is unknown, the version is another, or name or files are absent.
    DataError
        If a file does not exist.
    """
    _known_keys(raw, keys, where)
    if raw.get("version") != 1:
        raise ConfigError(f"{where}: expected version = 1, received {raw.get('version')!r}")
    return _name(_text(raw, "name", where), where), _files(raw, _root(raw, folder, where), where)


def _check_time(description: SetDescription, where: str) -> None:
    daily = is_daily(description.frame)
    if frame_ns(description.frame) > frame_ns("1d"):
        raise ConfigError(f"{where}: frame {description.frame} is longer than a day", hint="import daily bars")
    if daily and description.time != "session" and description.calendar != "24/7":
        raise ConfigError(
            f"{where}: daily bars of calendar {description.calendar} are dated by session, received "
            f"time = {description.time!r}",
            hint='write time = "session"',
        )
    if not daily and description.time == "session":
        raise ConfigError(
            f'{where}: time = "session" fits daily bars only, the frame is {description.frame}',
            hint='write time = "start" (most vendors) or time = "end"',
        )


def _known_keys(raw: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            raise UnknownNameError("key", key, known, hint=f"mend or remove it in {where}")


def _text(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: expected {key} = some text, received {value!r}")
    return value


def _choice(raw: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str, default: str | None = None) -> str:
    value = raw.get(key, default)
    if value not in [str(choice) for choice in allowed]:
        choices = ", ".join(str(choice) for choice in allowed)
        raise ConfigError(f"{where}: expected {key} to be one of {choices}; received {value!r}")
    return str(value)


def _name(name: str, where: str) -> str:
    if not all(letter.isalnum() or letter in "_-" for letter in name):
        raise ConfigError(f"{where}: a set name has letters, digits, _ and - only, received {name!r}")
    return name


def _zone(zone: Any, where: str) -> str | None:
    if zone is None:
        return None
    try:
        ZoneInfo(str(zone))
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise ConfigError(
            f"{where}: unknown time zone {zone!r}", hint="use an IANA name, for example UTC, America/New_York or EET"
        ) from e
    return str(zone)


def _root(raw: Mapping[str, Any], folder: Path, where: str) -> Path:
    root = raw.get("root")
    if root is None:
        return folder
    if not str(root).startswith("env:"):
        return (folder / str(root)).resolve()
    variable = str(root).removeprefix("env:")
    value = os.environ.get(variable)
    if value:
        return Path(value).resolve()
    if "root_default" in raw:
        return (folder / str(raw["root_default"])).resolve()
    raise ConfigError(
        f"{where}: the files lie under ${variable}, which is not set", hint=f"export {variable}=<folder of the data>"
    )


def _files(raw: Mapping[str, Any], root: Path, where: str) -> tuple[Path, ...]:
    patterns = raw.get("files")
    if isinstance(patterns, str):
        patterns = [patterns]
    if not isinstance(patterns, list) or not patterns:
        raise ConfigError(f'{where}: expected files = ["bars.parquet"], received {patterns!r}')
    found: list[Path] = []
    for pattern in patterns:
        if any(letter in str(pattern) for letter in "*?["):
            matches = sorted(root.glob(str(pattern)))
            if not matches:
                raise DataError(f"{where}: no file matches {pattern!r} in {root}", file=str(pattern))
            found.extend(matches)
        else:
            found.append(_one_file(root / str(pattern), where))
    return tuple(found)


def _one_file(path: Path, where: str) -> Path:
    if not path.is_file():
        raise DataError(f"{where}: file {path} does not exist", file=str(path), hint="check files and root")
    return path


def _series(given: Any, folder: Path, where: str) -> tuple[Path, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) and one for one in given):
        raise ConfigError(f'{where}: expected series = ["series.toml"], received {given!r}')
    return tuple(_one_file(folder / one, where) for one in given)


def _columns(raw: Mapping[str, Any], where: str) -> Mapping[str, str]:
    columns = raw.get("columns", {})
    if not isinstance(columns, Mapping):
        raise ConfigError(f"{where}: expected a table [columns], received {columns!r}")
    for role in columns:
        if role not in ROLES:
            raise UnknownNameError("column role", role, ROLES, hint=f"mend [columns] in {where}")
    return {str(role): str(column) for role, column in columns.items()}


def _quirks(raw: Any, where: str) -> Quirks:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: expected a table [quirks], received {raw!r}")
    _known_keys(raw, QUIRK_KEYS, where)
    epoch = raw.get("epoch")
    if epoch is not None and epoch not in _EPOCHS:
        raise ConfigError(f"{where}: expected epoch to be one of {', '.join(_EPOCHS)}; received {epoch!r}")
    scale = float(raw.get("price_scale", 1.0))
    if not scale > 0.0:
        raise ConfigError(f"{where}: expected a positive price_scale, received {scale}")
    return Quirks(
        delimiter=str(raw.get("delimiter", ",")),
        encoding=str(raw.get("encoding", "utf-8")),
        skip_before_header=int(raw.get("skip_before_header", 0)),
        skip_after_header=int(raw.get("skip_after_header", 0)),
        epoch=epoch,
        time_format=raw.get("time_format"),
        price_scale=scale,
        first=None if raw.get("from") is None else str(raw["from"]),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    ConfigError
        If it cannot be parsed.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not a TOML file: {e}") from e
