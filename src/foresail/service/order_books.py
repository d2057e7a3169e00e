"""Order books on which orders fill: recorded streams, read by the reader of whoever recorded them (``--book``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foresail.core.canonical import hash_bytes
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.books import BookStream
from foresail.domain.instruments import Instrument
from foresail.domain.panel import Panel

__all__ = ["GivenBooks", "read_books", "resolved_book"]


@dataclass(frozen=True, slots=True, eq=False)
class GivenBooks:
    """Books by instrument, with what a record keeps of them.

    Attributes
    ----------
    streams : instrument -> its book
    sha256 : instrument -> hash of the files
    """

    streams: Mapping[InstrumentId, BookStream]
    sha256: Mapping[str, str]

    def warnings(self, bars: Panel) -> list[str]:
        """Return a sentence for each book that covers bars of the run in part only."""
        found = []
        for name, book in sorted(self.streams.items()):
            known = book.available_at
            empty = int((np.diff(np.searchsorted(known, np.append(bars.start[0], bars.end), side="right")) == 0).sum())
            if empty:
                found.append(
                    f"the book of {name}, {format_ns(int(known[0]))} to {format_ns(int(known[-1]))}, says nothing in "
                    f"{empty} of {len(bars.end)} bars: nothing in {name} fills there"
                )
        return found


def read_books(given: Sequence[str], instruments: Mapping[InstrumentId, Instrument]) -> GivenBooks:
    """Read books.

    Parameters
    ----------
    given : "FILE" where there is one instrument, else "INSTRUMENT=FILE"; a LOBSTER message file (its order book file
        stands beside it), a recorded Binance stream (lines of local time and message, .txt, .jsonl or .gz), or Bitstamp
        order messages (.parquet)

    Raises
    ------
    ConfigError
        If it is not clear whose book a file is, or a book has another tick or lot than its instrument.
    DataError
        If a file is not there or cannot be read.
    """
    streams: dict[InstrumentId, BookStream] = {}
    hashes: dict[str, str] = {}
    for text in given:
        name, path = _named(text, instruments)
        if name in streams:
            raise ConfigError(f"--book {text}: a book of {name} was given already")
        stream, files = _read(path, instruments[name])
        one = instruments[name]
        if (stream.tick, stream.lot) != (float(one.tick), float(one.lot)):
            raise ConfigError(
                f"--book {text}: the book has tick {stream.tick} and lot {stream.lot}, {name} {one.tick} and {one.lot}",
                hint="state tick and lot of the venue in foresail-set.toml of the bars",
            )
        if not len(stream.available_at):
            raise DataError(f"{path.name}: no rows", file=str(path))
        streams[name] = stream
        hashes[name] = hash_bytes(b"".join(file.read_bytes() for file in files))
    return GivenBooks(streams, hashes)


def resolved_book(text: str) -> str:
    """Return "FILE" or "INSTRUMENT=FILE" with an absolute path, so that it means the same from any folder."""
    name, file = _parts(text)
    path = Path(file).absolute()  # a link keeps its name, by which its reader is chosen
    return f"{name}={path}" if name else str(path)


def _parts(text: str) -> tuple[str, str]:
    """Return whose book is meant, empty where it is not said, and its file."""
    name, sign, file = text.partition("=")
    return (name, file) if sign and not Path(text).is_file() else ("", text)


def _named(text: str, instruments: Mapping[InstrumentId, Instrument]) -> tuple[InstrumentId, Path]:
    name, file = _parts(text)
    known = {str(one): one for one in instruments} | {one.symbol: name for name, one in instruments.items()}
    if name in known:
        return known[name], Path(file)
    if name:
        raise ConfigError(
            f"--book {text}: unknown instrument {name!r}", hint=f"known: {', '.join(sorted(instruments))}"
        )
    if len(instruments) > 1:
        raise ConfigError(
            f"--book {text}: whose book is it? The bars have {len(instruments)} instruments",
            hint=f"say --book {min(instruments)}={text}",
        )
    return next(iter(instruments)), Path(text)


def _read(path: Path, one: Instrument) -> tuple[BookStream, tuple[Path, ...]]:
    from foresail.adapters.binance_depth.reader import read_binance
    from foresail.adapters.bitstamp_l3.reader import read_bitstamp
    from foresail.adapters.lobster.reader import read_lobster

    if not path.is_file():
        raise DataError(
            f"{path}: no such file", file=str(path), hint="--book names a recorded book; an account needs its own again"
        )
    if "_message_" in path.name:
        beside = path.with_name(path.name.replace("_message_", "_orderbook_"))
        if not beside.is_file():
            raise DataError(f"{beside}: no such file", file=str(beside), hint="it belongs to the message file")
        return read_lobster(path, beside, one.id).stream, (path, beside)
    if path.suffix == ".parquet":
        return read_bitstamp(path, one.id).stream, (path,)
    return read_binance(path, one.id, tick=float(one.tick), lot=float(one.lot)).stream, (path,)
