"""Look at a file and propose what ``foresail-set.toml`` should say about it.

What can be seen is proposed (columns, frame, class by the look of symbols, oddities); what cannot be seen is left open
or named unknown: the time zone of naive times, the price basis, how the universe was chosen. A proposal is for a person
to read; only quirks that stand in the file afterwards are ever applied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foresail.adapters.files.columns import ALIASES, alias_rank, match_role
from foresail.adapters.files.description import Quirks, SetDescription
from foresail.adapters.files.raw import RawTable, read_raw
from foresail.adapters.files.stamps import StampColumn, read_stamps
from foresail.core.arrays import TimeArray
from foresail.core.clock import NS_PER_S
from foresail.core.errors import DataError, ForesailError
from foresail.domain.instruments import AssetClass, PriceBasis

__all__ = ["Proposal", "propose"]

_SAMPLE = 5000
_CURRENCIES = (
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "MXN", "TRY", "ZAR", "CNH", "SGD", "HKD",
    "XAU", "XAG",
)  # fmt: skip
_PAIR = re.compile(rf"^({'|'.join(_CURRENCIES)})[/_-]?({'|'.join(_CURRENCIES)})(=X)?$")
_CRYPTO = re.compile(r"^[A-Z0-9]{2,12}[/_-]?(USDT|USDC|BUSD|FDUSD)$|^(BTC|ETH|XRP|LTC|SOL|BNB|IOT)[/_-]?(USD|EUR|BTC)$")
_FRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "6h", "1d")
_FRAME_S = (60, 300, 900, 1800, 3600, 14_400, 21_600, 86_400)
_DAY_S = 86_400
_DELIMITERS = (",", ";", "\t", "|")
_POINTS = {"JPY": 1000.0}  # MetaTrader points: three decimals on yen pairs, five elsewhere

# Reads times of any kind, so that steps can be measured; never used to import anything.
_PROBE = SetDescription(
    name="probe",
    files=(),
    asset_class=AssetClass.CRYPTO,
    frame="1m",
    calendar="24/7",
    time="start",
    zone="UTC",
    price_basis=PriceBasis.UNKNOWN,
    universe="unknown",
    currency="USD",
    tick=Decimal(1),
    lot=Decimal(1),
    quirks=Quirks(epoch="mixed"),
)


@dataclass(slots=True)
class Proposal:
    """Keys of ``foresail-set.toml`` and a sentence for each thing that nobody has said."""

    keys: dict[str, Any]
    guesses: list[str] = field(default_factory=list)

    @property
    def quirks(self) -> dict[str, Any]:
        """The proposed table ``[quirks]``."""
        table: dict[str, Any] = self.keys.setdefault("quirks", {})
        return table

    @property
    def columns(self) -> dict[str, str]:
        """The proposed table ``[columns]``."""
        table: dict[str, str] = self.keys.setdefault("columns", {})
        return table


def propose(files: Sequence[Path], name: str) -> Proposal:
    """Return a proposal for files of one kind, from the first of them.

    Raises
    ------
    DataError
        If the first file cannot be read at all.
    """
    proposal = Proposal({"version": 1, "name": re.sub(r"[^A-Za-z0-9_-]+", "_", name), "files": [f.name for f in files]})
    raw = _read_sample(files[0], proposal)
    _propose_columns(raw, proposal)
    _propose_symbols(raw, files[0], proposal)
    _propose_rows(raw, proposal)
    _propose_frame(raw, proposal)
    _propose_scale(raw, proposal)
    for table in ("columns", "quirks"):
        if not proposal.keys[table]:
            del proposal.keys[table]
    return proposal


def _read_sample(path: Path, proposal: Proposal) -> RawTable:
    quirks = proposal.quirks
    with path.open("rb") as stream:
        if stream.read(4) == b"PAR1" or path.suffix == ".parquet":
            return read_raw(path, Quirks())
    last: DataError | None = None
    for encoding in ("utf-8", "latin-1"):
        for delimiter in _DELIMITERS:
            for skipped in range(4):
                attempt = Quirks(delimiter=delimiter, encoding=encoding, skip_before_header=skipped)
                try:
                    raw = read_raw(path, attempt, limit=_SAMPLE)
                except DataError as e:
                    last = last or e
                    continue
                roles = {match_role(column) for column in raw.table.column_names}
                if "close" in roles and len(roles) > 2:
                    quirks |= {} if delimiter == "," else {"delimiter": delimiter}
                    quirks |= {} if encoding == "utf-8" else {"encoding": encoding}
                    quirks |= {"skip_before_header": skipped} if skipped else {}
                    return raw
    if last is not None:
        raise last
    return read_raw(path, Quirks(), limit=_SAMPLE)


def _propose_columns(raw: RawTable, proposal: Proposal) -> None:
    names = raw.table.column_names
    for role in ALIASES:
        candidates = sorted(
            (name for name in names if match_role(name) == role), key=lambda name: alias_rank(name, role)
        )
        if len(candidates) > 1:
            proposal.columns[role] = candidates[0]
            proposal.guesses.append(f"{role} is taken from column {candidates[0]!r}, not {candidates[1]!r}")
    if not any(match_role(name) == "volume" for name in names):
        near = [name for name in names if name.lower().startswith("volume")]
        if near:
            proposal.columns["volume"] = near[0]
            proposal.guesses.append(f"volume is taken from column {near[0]!r}")
    if names[0] == "Price" and "Close" in names:  # newer Yahoo downloads: three header lines
        proposal.columns["time"] = "Price"
    if "known_at" in names:
        proposal.keys["known_at"] = "known_at"


def _column(raw: RawTable, role: str, proposal: Proposal) -> Any | None:
    name = proposal.columns.get(role)
    if name is None:
        name = next((column for column in raw.table.column_names if match_role(column) == role), None)
    return None if name is None else raw.table.column(name).combine_chunks()


def _propose_symbols(raw: RawTable, path: Path, proposal: Proposal) -> None:
    values = _column(raw, "symbol", proposal)
    if values is not None:
        symbols = [str(s) for s in pc.unique(pc.drop_null(values)).to_pylist()[:200]]
    else:
        symbols = _symbol_of_name(path, raw)
        if symbols:
            proposal.keys["symbol"] = symbols[0]
            proposal.guesses.append(f"the file has no symbol column: symbol {symbols[0]} is taken from its name")
    kind = _class_of(symbols)
    proposal.keys["class"] = kind
    proposal.keys["calendar"] = {"stock": "XNYS", "crypto": "24/7", "forex": "24/5"}[kind]
    proposal.keys["price_basis"] = "unknown" if kind == "stock" else "raw"
    proposal.keys["universe"] = "unknown"
    proposal.guesses.append(f"asset class {kind}, calendar {proposal.keys['calendar']}: by the look of the symbols")
    if kind == "stock":
        proposal.guesses.append("price basis unknown: say raw, split_adjusted or total_return if you know it")
    proposal.guesses.append("universe unknown: say point_in_time or hindsight; unknown cannot be judged")


def _class_of(symbols: Sequence[str]) -> str:
    upper = [symbol.upper().strip() for symbol in symbols]
    if upper and all(_PAIR.match(symbol) for symbol in upper):
        return "forex"
    return "crypto" if upper and all(_CRYPTO.match(symbol) for symbol in upper) else "stock"


def _symbol_of_name(path: Path, raw: RawTable) -> list[str]:
    if raw.table.column_names[0] == "Price":
        ticker = str(raw.table.column(1)[0].as_py()).strip()
        return [ticker] if ticker else []
    stem = path.name.split(".")[0]
    tokens = [token.upper() for token in re.split(r"[_\s-]+", stem)]
    pairs = [token for token in tokens if _PAIR.match(token) or _CRYPTO.match(token)]
    if pairs:
        return pairs[:1]
    return tokens[:1] if re.match(r"^[A-Z]{1,5}$", tokens[0]) else []


def _propose_rows(raw: RawTable, proposal: Proposal) -> None:
    close = _column(raw, "close", proposal)
    if close is None or not raw.is_text:
        return
    text = close.to_pylist()[:5]
    numeric = [bool(re.match(r"^\s*-?\d", str(value))) for value in text]
    if not numeric[0] and any(numeric):
        proposal.quirks["skip_after_header"] = numeric.index(True)


def _times(raw: RawTable, proposal: Proposal) -> TimeArray:
    """Return the instants of the sample, naive times read as UTC, oddities allowed: only differences are used."""
    name = proposal.columns.get("time")
    name = name or next((column for column in raw.table.column_names if match_role(column) == "time"), None)
    if name is None:
        return np.empty(0, dtype=np.int64)
    values = raw.table.column(name).combine_chunks()
    column = StampColumn(raw.file, name, values, raw.rows)
    ns, good = read_stamps(column, _PROBE)
    proposal.keys.setdefault("zone", "UTC" if _carries_zone(values) else "")
    if pa.types.is_string(values.type) or pa.types.is_integer(values.type):
        numbers = pd.to_numeric(pd.Series(values.to_pylist()), errors="coerce").dropna()
        sizes = {len(str(int(number))) for number in numbers if number > 1e8}
        if len(sizes) > 1:
            proposal.quirks["epoch"] = "mixed"
    return ns[good]


def _carries_zone(values: Any) -> bool:
    if pa.types.is_timestamp(values.type):
        return values.type.tz is not None
    sample = str(values[min(len(values) - 1, 3)].as_py())
    return bool(re.match(r"^\d{9,}", sample) or re.search(r"\d:\d{2}.*(Z|[+-]\d{2}:?\d{2})$", sample))


def _propose_frame(raw: RawTable, proposal: Proposal) -> None:
    try:
        ns = _times(raw, proposal)
    except ForesailError as e:
        proposal.guesses.append(f"times could not be read: {e.text}")
        ns = np.empty(0, dtype=np.int64)
    step = np.diff(np.unique(ns)) // NS_PER_S
    typical = float(np.median(step)) if len(step) else float(_DAY_S)
    frame = _FRAMES[int(np.argmin([abs(np.log(max(typical, 1.0) / length)) for length in _FRAME_S]))]
    daily = frame == "1d"
    proposal.keys["frame"] = frame
    proposal.keys["time"] = "session" if daily and proposal.keys["calendar"] != "24/7" else "start"
    proposal.guesses.append(f"frame {frame}: rows are mostly {int(typical)} s apart")
    naive = proposal.keys.get("zone") == ""
    if daily or naive:
        proposal.keys.pop("zone", None)
    if naive and not daily:
        proposal.guesses.append(
            "times have no zone: say it, for example --timezone America/New_York (EET for MetaTrader)"
        )
    if not daily:
        proposal.guesses.append('the time of a bar is taken as its start; say time = "end" if it is not')


def _propose_scale(raw: RawTable, proposal: Proposal) -> None:
    if proposal.keys["class"] != "forex":
        return
    close = _column(raw, "close", proposal)
    if close is None:
        return
    numbers = pd.to_numeric(pd.Series(close.to_pylist()), errors="coerce").dropna()
    symbol = str(proposal.keys.get("symbol", ""))
    if len(numbers) and float(numbers.median()) > 10_000.0 and not symbol.startswith("XAU"):
        scale = _POINTS.get(symbol[-3:], 100_000.0)
        proposal.quirks["price_scale"] = scale
        proposal.guesses.append(f"prices look like points: price_scale {scale:g} is proposed")
