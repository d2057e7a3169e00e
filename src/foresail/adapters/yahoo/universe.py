"""Which tickers: what a user types, or today's members of an index. Members of today were not chosen beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version

from foresail.core.errors import ConfigError, UnknownNameError

__all__ = ["UNIVERSES", "members", "parse_symbols"]

UNIVERSES = {"nasdaq100": "NASDAQ 100", "sp500": "S&P 500"}
_TICKER = re.compile(r"^[A-Z]{1,5}(-[A-Z]{1,2})?$")  # class of share behind a hyphen, as Yahoo writes it
_CLASS = re.compile(r"^([A-Z]{1,5})\.([AB])$")  # BRK.B elsewhere; any other dot is a foreign exchange


def parse_symbols(symbols: Iterable[str]) -> tuple[str, ...]:
    """Return US tickers as Yahoo writes them, each once, ascending.

    Raises
    ------
    ConfigError
        If there is none, or one is no US ticker.
    """
    found = set()
    for given in symbols:
        symbol = _CLASS.sub(r"\1-\2", given.strip().upper())
        if not symbol:
            continue
        if not _TICKER.match(symbol):
            raise ConfigError(
                f"expected a US ticker such as AAPL or BRK-B, received {given.strip()!r}",
                hint="fetch knows stocks and funds listed in New York; other markets: foresail import",
            )
        found.add(symbol)
    if not found:
        raise ConfigError("expected at least one ticker, received none", hint="--symbols AAPL,MSFT")
    return tuple(sorted(found))


def members(universe: str) -> tuple[tuple[str, ...], str]:
    """Return today's members of an index, and a sentence that says where the list is from.

    Raises
    ------
    UnknownNameError
        If the universe is none of ``UNIVERSES``.
    """
    if universe not in UNIVERSES:
        raise UnknownNameError("universe", universe, UNIVERSES)
    from pytickersymbols import PyTickerSymbols

    stocks = PyTickerSymbols().get_stocks_by_index(UNIVERSES[universe])
    symbols = parse_symbols(str(stock["symbol"]) for stock in stocks)
    source = f"pytickersymbols {version('pytickersymbols')}"
    return symbols, f"{len(symbols)} members of {UNIVERSES[universe]} as of {source}, not of the past: hindsight"
