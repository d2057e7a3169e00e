"""Vendors' symbols to instruments: permanent ids, sectors, quote currency, tick and lot."""

from __future__ import annotations

import re
from collections.abc import Sequence

from foresail.adapters.files.description import SetDescription
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.sectors import Sector, sector_of

__all__ = ["identify", "instruments_of"]

_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "TRY", "BTC", "ETH", "BNB")
_ALLOWED = re.compile(r"[^A-Za-z0-9^_=~-]")


def identify(symbol: str, description: SetDescription) -> tuple[InstrumentId, str]:
    """Return the id and the quote currency of a vendor's symbol.

    Examples
    --------
    ``BRK.B`` is ``stock.US.BRK-B``; ``BTCUSDT`` of kind perp at BINANCE is ``crypto.BINANCE.BTC-USDT.perp``;
    ``EURUSD=X`` is ``fx.EUR-USD``.
    """
    if description.asset_class is AssetClass.STOCK:
        plain = _ALLOWED.sub("-", symbol.strip().upper())
        return instrument_id(f"stock.{description.place}.{plain}"), description.currency
    base, quote = _pair(symbol, description)
    if description.asset_class is AssetClass.FOREX:
        return instrument_id(f"fx.{base}-{quote}" if quote else f"fx.{base}"), quote or description.currency
    ending = ".perp" if description.kind == "perp" else ""
    name = f"{base}-{quote}" if quote else base
    return instrument_id(f"crypto.{description.place}.{name}{ending}"), quote or description.currency


def _pair(symbol: str, description: SetDescription) -> tuple[str, str]:
    plain = symbol.strip().upper().removesuffix("=X")
    parts = [part for part in re.split(r"[^A-Z0-9]", plain) if part]
    if len(parts) == 2:
        return parts[0], parts[1]
    joined = "".join(parts)
    if description.asset_class is AssetClass.FOREX and len(joined) == 6:
        return joined[:3], joined[3:]
    for quote in _QUOTES:
        if joined.endswith(quote) and len(joined) > len(quote):
            return joined.removesuffix(quote), quote
    return joined, ""


def instruments_of(symbols: Sequence[str], description: SetDescription) -> tuple[tuple[Instrument, ...], list[int]]:
    """Return the instruments in ascending order of id, and for each symbol its place in that order.

    Raises
    ------
    DataError
        If two symbols mean the same instrument.
    """
    found: dict[str, str] = {}
    made = []
    for symbol in symbols:
        name, currency = identify(symbol, description)
        if name in found:
            raise DataError(
                f"symbols {found[name]!r} and {symbol!r} both mean instrument {name}", rule="DATA-51", column="symbol"
            )
        found[name] = symbol
        made.append(_instrument(symbol, name, currency, description))
    ordered = sorted(range(len(made)), key=lambda position: made[position].id)
    places = [0] * len(made)
    for place, position in enumerate(ordered):
        places[position] = place
    return tuple(made[position] for position in ordered), places


def _instrument(symbol: str, name: InstrumentId, currency: str, description: SetDescription) -> Instrument:
    sector = sector_of(symbol) if description.asset_class is AssetClass.STOCK else Sector.UNKNOWN
    return Instrument(
        id=name,
        symbol=symbol,
        asset_class=description.asset_class,
        kind=description.kind,
        currency=currency,
        sector=name if sector is Sector.UNKNOWN else sector.value,
        tick=description.tick,
        lot=description.lot,
    )
