"""Identifiers: permanent instrument names, and order ids that are a pure function of the decision."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from foresail.core.errors import ConfigError

__all__ = ["InstrumentId", "OrderId", "instrument_id", "order_id"]

InstrumentId = NewType(
    "InstrumentId", str
)  # stock.US.AAPL, crypto.BINANCE.BTC-USDT.perp, fx.EUR-USD; "~2" = ticker reused
OrderId = NewType("OrderId", str)  # 32 hexadecimal digits

_PATTERN = re.compile(r"^(stock|crypto|fx|index|etf|sim)(\.[A-Za-z0-9^_=~-]+){1,4}(~\d+)?$")


def instrument_id(text: str) -> InstrumentId:
    """Return a checked instrument id.

    Raises
    ------
    ConfigError
        If the text is not of the form ``class.PLACE.NAME``.
    """
    if not _PATTERN.match(text):
        raise ConfigError(f"expected an instrument id such as stock.US.AAPL or fx.EUR-USD, received {text!r}")
    return InstrumentId(text)


def order_id(
    *, environment: str, account: str, strategy: str, version: str, decided_at_ns: int, leg: str, revision: int = 0
) -> OrderId:
    """Return the id of an order: a hash of what was decided, never of when the machine got to it.

    Parameters
    ----------
    decided_at_ns : nominal decision time, nanoseconds UTC
    leg : names instrument and part of the decision, unique within it
    """
    text = "\x1f".join([environment, account, strategy, version, str(decided_at_ns), leg, str(revision)])
    return OrderId(hashlib.sha256(text.encode()).hexdigest()[:32])
