"""Sectors of stocks (UNI-03 to 05): the enumeration, the committed table of tickers, and baselines per sector.

The table ``sectors.csv`` was written from general knowledge of what each company does; it names today's business and is
used for caps and for slices of a report, never as a model input of the past. A ticker that is not in it is
``unknown`` here, and for caps an instrument of unknown sector counts as a sector of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import Path

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass, Instrument

__all__ = [
    "Sector",
    "SectorBaseline",
    "baseline_of",
    "display_name",
    "load_table",
    "sector_of",
    "sector_table",
    "stock_of",
    "tickers_of",
]


class Sector(StrEnum):
    """UNI-03."""

    TECHNOLOGY = "technology"
    FINANCE = "finance"
    HEALTHCARE = "healthcare"
    CONSUMER_DISCRETIONARY = "consumer_discretionary"
    CONSUMER_STAPLES = "consumer_staples"
    COMMUNICATION = "communication"
    INDUSTRIALS = "industrials"
    ENERGY = "energy"
    UTILITIES = "utilities"
    REAL_ESTATE = "real_estate"
    MATERIALS = "materials"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SectorBaseline:
    """What is usual in a sector (UNI-05).

    Attributes
    ----------
    daily_volatility : fraction
    volume : units a day
    """

    daily_volatility: float
    volume: int
    sentiment_weight: float
    articles_per_week: int
    typical_rsi: float
    beta: float


_FALLBACK = SectorBaseline(0.020, 10_000_000, 1.0, 30, 50.0, 1.0)
_BASELINES: Mapping[Sector, SectorBaseline] = {
    Sector.TECHNOLOGY: SectorBaseline(0.025, 25_000_000, 1.5, 50, 55.0, 1.3),
    Sector.FINANCE: SectorBaseline(0.018, 15_000_000, 1.2, 30, 50.0, 1.1),
    Sector.HEALTHCARE: SectorBaseline(0.020, 8_000_000, 1.8, 40, 52.0, 0.9),
    Sector.CONSUMER_DISCRETIONARY: SectorBaseline(0.022, 12_000_000, 1.3, 35, 53.0, 1.2),
    Sector.CONSUMER_STAPLES: SectorBaseline(0.012, 10_000_000, 0.8, 20, 50.0, 0.7),
    Sector.COMMUNICATION: SectorBaseline(0.023, 18_000_000, 1.4, 45, 52.0, 1.1),
}


def baseline_of(sector: Sector) -> SectorBaseline:
    """Return the baseline of a sector; sectors without a row take the fallback."""
    return _BASELINES.get(sector, _FALLBACK)


def display_name(sector: Sector | str) -> str:
    """Return the name for screens.

    Examples
    --------
    >>> display_name(Sector.COMMUNICATION), display_name("real_estate")
    ('Communication Services', 'Real Estate')
    """
    if sector == Sector.COMMUNICATION:
        return "Communication Services"
    return str(sector).replace("_", " ").title()


def load_table(path: Path) -> Mapping[str, Sector]:
    """Read a table that replaces the committed one as a whole: CSV with the columns symbol and sector.

    Raises
    ------
    ConfigError
        If a row repeats a ticker with another sector, or a column is absent.
    UnknownNameError
        If a sector is not one of the enumeration.
    """
    return _parse(path.read_text(encoding="utf-8"), path.name)


def _parse(text: str, name: str) -> Mapping[str, Sector]:
    rows = csv.DictReader(text.splitlines())
    if rows.fieldnames is None or not {"symbol", "sector"} <= set(rows.fieldnames):
        raise ConfigError(f"{name}: expected the columns symbol,sector, received {rows.fieldnames}")
    known = {sector.value for sector in Sector}
    table: dict[str, Sector] = {}
    for number, row in enumerate(rows, start=1):
        symbol = row["symbol"].strip().upper()
        if row["sector"] not in known:
            raise UnknownNameError("sector", row["sector"], known, hint=f"mend row {number} of {name}")
        sector = Sector(row["sector"])
        if table.setdefault(symbol, sector) is not sector:
            raise ConfigError(f"{name}, row {number}: {symbol} stands in two sectors")
    return table


@lru_cache(maxsize=1)
def sector_table() -> Mapping[str, Sector]:
    """Return the committed table, ticker to sector."""
    text = resources.files("foresail.domain").joinpath("sectors.csv").read_text(encoding="utf-8")
    return _parse(text, "sectors.csv")


def sector_of(symbol: str, table: Mapping[str, Sector] | None = None) -> Sector:
    """Return the sector of a ticker, looked up upper-cased and trimmed; ``unknown`` when unmapped."""
    chosen = sector_table() if table is None else table
    return chosen.get(symbol.strip().upper(), Sector.UNKNOWN)


def tickers_of(sector: Sector, table: Mapping[str, Sector] | None = None) -> tuple[str, ...]:
    """Return all tickers of a sector, ascending."""
    chosen = sector_table() if table is None else table
    return tuple(sorted(symbol for symbol, its in chosen.items() if its is sector))


def stock_of(name: InstrumentId) -> Instrument:
    """Return the record of a stock whose id ends in its ticker; of unknown sector it is a sector of its own."""
    symbol = name.split(".", 2)[2]
    sector = sector_of(symbol)
    return Instrument(
        id=name,
        symbol=symbol,
        asset_class=AssetClass.STOCK,
        sector=name if sector is Sector.UNKNOWN else sector.value,
    )
