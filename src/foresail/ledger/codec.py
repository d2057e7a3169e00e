"""Journal entries as bytes: the kind, a space, JSON with exact decimals as text.

Money, prices and quantities are finite, on the way out and on the way in: NaN cannot be written and cannot be read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast, get_args

import msgspec

from foresail.core.errors import DataError
from foresail.ledger.entries import Entry

__all__ = ["decode_entry", "encode_entry"]

_ENCODER = msgspec.json.Encoder(decimal_format="string", order=None)
_DECODERS: dict[bytes, msgspec.json.Decoder[Any]] = {
    kind.__name__.encode(): msgspec.json.Decoder(kind, strict=True) for kind in get_args(Entry)
}
_NAMES: dict[type[Any], bytes] = {kind: kind.__name__.encode() for kind in get_args(Entry)}


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as one line of bytes without a line break.

    Raises
    ------
    DataError
        If a number in it is NaN or infinite.
    """
    content = _ENCODER.encode(entry)
    if b"NaN" in content or b"Infinity" in content:  # as every number that is not finite is written
        _check_finite(entry)
    return _NAMES[type(entry)] + b" " + content


def decode_entry(line: bytes) -> Entry:
    """Return the entry that ``encode_entry`` wrote.

    Raises
    ------
    DataError
        If the kind is unknown or the content is not that of its kind.
    """
    name, _, content = line.partition(b" ")
    decoder = _DECODERS.get(name)
    if decoder is None:
        known = ", ".join(sorted(one.decode() for one in _DECODERS))
        raise DataError(
            f"{name[:40].decode(errors='replace')!r} is no kind of journal entry; known kinds: {known}",
            hint="a journal of a newer version is not read by an older one",
        )
    try:
        entry = cast("Entry", decoder.decode(content))
    except msgspec.DecodeError as error:
        raise DataError(f"expected a {name.decode()}, received {content[:120]!r} ({error})") from error
    spelled = content.lower()  # a number may be spelled in any case when it is read
    if b"nan" in spelled or b"inf" in spelled or b"\\" in spelled:
        _check_finite(entry)
    return entry


def _check_finite(entry: Any) -> None:
    for number in _numbers_of(type(entry))(entry):
        if not number.is_finite():
            raise DataError(f"{type(entry).__name__} {entry.sequence}: expected finite numbers, received {number}")


_NUMBERS: dict[type[Any], Callable[[Any], list[Decimal]]] = {}


def _numbers_of(kind: type[Any]) -> Callable[[Any], list[Decimal]]:
    """Return a function that lists the exact numbers of an entry; the fields that can hold one are found once."""
    found = _NUMBERS.get(kind)
    if found is None:
        texts = {one.name: str(one.type) for one in dataclasses.fields(kind)}
        plain = tuple(name for name, text in texts.items() if text in ("Decimal", "Decimal | None"))
        nested = tuple(name for name, text in texts.items() if name not in plain and _can_hold_number(text))

        def found(entry: Any) -> list[Decimal]:
            numbers = [number for name in plain if isinstance(number := getattr(entry, name), Decimal)]
            for name in nested:
                _gather(getattr(entry, name), numbers)
            return numbers

        _NUMBERS[kind] = found
    return found


def _can_hold_number(type_text: str) -> bool:
    return any(word in type_text for word in ("Decimal", "Fill", "Order", "Ruling")) and "OrderId" not in type_text


def _gather(value: Any, numbers: list[Decimal]) -> None:
    known = _NUMBERS.get(type(value))
    if known is not None:
        numbers += known(value)
    elif isinstance(value, Decimal):
        numbers.append(value)
    elif isinstance(value, tuple):
        for one in value:
            _gather(one, numbers)
    elif dataclasses.is_dataclass(value):
        numbers += _numbers_of(type(value))(value)
