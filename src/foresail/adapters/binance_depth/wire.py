"""One message of Binance's public streams to plain numbers.

Forms: ``depthUpdate`` (U first and u final update id, pu the final id before, b and a level changes), the answer to a
depth request (``lastUpdateId``, bids, asks), ``trade`` (m = the buyer was the maker), ``bookTicker`` (u, best quotes).
Spot numbers messages without gaps, U = u before + 1; USD-margined futures link them by pu = u before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foresail.core.errors import MalformedPayloadError

__all__ = ["Depth", "Levels", "Quote", "Snapshot", "Trade", "parse_message"]

Levels = tuple[tuple[float, float], ...]
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Depth:
    """Changes of levels: (price, size now), bids and asks. ``before`` is None on spot; times are ns UTC."""

    event_time: int
    first: int
    final: int
    before: int | None
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole book as of an update id. ``event_time`` is None on spot, where the answer has no time."""

    event_time: int | None
    final: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class Trade:
    """A print; ``side`` is that of the aggressor, 1 = buyer."""

    event_time: int
    trade_id: int
    price: float
    size: float
    side: int


@dataclass(frozen=True, slots=True)
class Quote:
    """Best quotes as of an update id; ``event_time`` is None on spot."""

    event_time: int | None
    final: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


def parse_message(message: Mapping[str, Any]) -> Depth | Snapshot | Trade | Quote | None:
    """Return what a message tells, None for one that this reader does not need.

    Parameters
    ----------
    message : decoded JSON, with or without the envelope of a combined stream

    Raises
    ------
    MalformedPayloadError
        If a message of a known form lacks a field or holds no number where one belongs.
    """
    body = message.get("data", message)
    if not isinstance(body, Mapping):
        raise MalformedPayloadError(f"expected an object under 'data', received {type(body).__name__}", venue="binance")
    try:
        return _parsed(body)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedPayloadError(
            f"a message with the fields {', '.join(sorted(map(str, body)))} cannot be read: {error!r}", venue="binance"
        ) from error


def _parsed(body: Mapping[str, Any]) -> Depth | Snapshot | Trade | Quote | None:
    kind = body.get("e")
    if kind == "depthUpdate":
        before = int(body["pu"]) if "pu" in body else None
        return Depth(
            int(body["E"]) * _NS_PER_MS, int(body["U"]), int(body["u"]), before, _levels(body["b"]), _levels(body["a"])
        )
    if kind == "trade":
        size = _number(body["q"])
        if size == 0.0 or body.get("X", "MARKET") != "MARKET":  # a transfer within the venue is no print
            return None
        side = -1 if body["m"] else 1
        return Trade(int(body["E"]) * _NS_PER_MS, int(body["t"]), _number(body["p"]), size, side)
    if "lastUpdateId" in body:
        at = int(body["E"]) * _NS_PER_MS if "E" in body else None
        return Snapshot(at, int(body["lastUpdateId"]), _levels(body["bids"]), _levels(body["asks"]))
    if kind == "bookTicker" or (kind is None and {"u", "b", "B", "a", "A"} <= set(body)):
        at = int(body["E"]) * _NS_PER_MS if "E" in body else None
        quotes = [_number(body[key]) for key in ("b", "B", "a", "A")]
        return Quote(at, int(body["u"]), *quotes)
    return None


def _levels(rows: Sequence[Sequence[str]]) -> Levels:
    return tuple((_number(price), _number(size)) for price, size in rows)


def _number(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1e15:
        raise ValueError(f"{text!r} is no price and no size")
    return value
