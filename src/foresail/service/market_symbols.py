"""Which instruments of a market are meant by ids or tickers."""

from __future__ import annotations

from collections.abc import Sequence

from foresail.core.errors import UnknownNameError
from foresail.engine.settings import MarketData

__all__ = ["rows_of_symbols"]


def rows_of_symbols(data: MarketData, symbols: Sequence[str]) -> list[int]:
    """Return the rows of the instruments that are asked for, ascending; all of them where none is.

    Parameters
    ----------
    symbols : ids, or tickers in any case; a ticker that several instruments have means all of them

    Raises
    ------
    UnknownNameError
        With the names that are there.
    """
    names = data.bars.instruments
    if not symbols:
        return list(range(len(names)))
    place = {str(name): i for i, name in enumerate(names)}
    by_symbol: dict[str, list[int]] = {}
    for one in data.bar_set.instruments:
        for key in {one.symbol.upper(), str(one.id).rpartition(".")[2].upper()}:
            if str(one.id) in place:
                by_symbol.setdefault(key, []).append(place[str(one.id)])
    found = []
    for symbol in symbols:
        if symbol in place:
            found.append(place[symbol])
        elif symbol.upper() in by_symbol:
            found += by_symbol[symbol.upper()]
        else:
            raise UnknownNameError("symbol of these bars", symbol, [*place, *by_symbol])
    return sorted(set(found))
