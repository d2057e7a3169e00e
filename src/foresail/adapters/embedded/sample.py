"""The sample of the demo: 20 US stocks (skfolio), two stock indices and two reference series (arch).

The files are read at run time from the installed packages, without network and without a copy in Foresail: closes of
1990 to 2022, adjusted for splits and dividends, of names that were large in 2023. Such names were chosen afterwards, so
nothing tested on them can be evidence; the universe is labelled "hindsight".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from importlib import resources
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.clock import NS_PER_S
from foresail.core.errors import CapabilityError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import next_open, sessions
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.sectors import stock_of

__all__ = ["DEMO_NAME", "Reference", "load_demo", "load_indices", "load_market_index", "load_reference"]

DEMO_NAME = "demo_us20"
Reference = dict[str, tuple[TimeArray, FloatArray]]

_CALENDAR = "XNYS"
_ISO_DATES = "%Y-%m-%d"
_US_DATES = "%m/%d/%Y"
_GRACE_S = 1.0
_INDEX_NAMES = (("SPX", "sp500"), ("NDQ", "nasdaq"))


def _frame(package: str, file: str, dates: str) -> pd.DataFrame:
    """Return a CSV file of an installed package, indexed by date."""
    try:
        data = resources.files(package).joinpath(file).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as e:
        raise CapabilityError(
            f"the embedded sample needs {file} of package {package}, which is not installed",
            hint="pip install -e . installs all that the demo needs",
        ) from e
    table = pd.read_csv(BytesIO(data), index_col=0, compression="gzip")
    table.index = pd.to_datetime(table.index, format=dates)
    return table


def _spans(dates: pd.DatetimeIndex) -> tuple[Any, TimeArray, TimeArray]:
    """Return which dates are sessions, and their opening and close."""
    labels, opens, closes = sessions(_CALENDAR, dates[0].date(), dates[-1].date())
    days = dates.to_numpy().astype("datetime64[D]")
    place = np.clip(np.searchsorted(labels, days), 0, len(labels) - 1)
    return labels[place] == days, opens[place], closes[place]


def _bars(columns: Mapping[InstrumentId, pd.DataFrame]) -> BarTable:
    """Return bars of tables whose columns are names of ``BAR_COLUMNS``."""
    parts: dict[str, list[Any]] = {}
    for name, table in sorted(columns.items()):
        clean = table[np.isfinite(table["close"])]
        inside, start, end = _spans(pd.DatetimeIndex(clean.index))
        fields = {"instrument": np.full(len(clean), name, dtype=object), "start": start, "end": end}
        fields["available_at"] = end + round(_GRACE_S * NS_PER_S)
        fields |= {column: clean[column].to_numpy(dtype=np.float64) for column in clean.columns}
        for field, values in fields.items():
            parts.setdefault(field, []).append(values[inside])
    return bar_table({field: np.concatenate(values) for field, values in parts.items()})


def load_demo() -> tuple[BarTable, BarSet, Reference]:
    """Return the 20 stocks and the reference series.

    Returns
    -------
    bars : closes only, total return
    bar_set : hindsight universe, calendar XNYS
    reference : ``vix`` (index points) and ``wti`` (dollars a barrel), each (available_at ns UTC, value), ascending

    Raises
    ------
    CapabilityError
        If a package that carries the data is not installed.
    """
    closes = _frame("skfolio.datasets.data", "sp500_dataset.csv.gz", _ISO_DATES)
    tables = {
        instrument_id(f"stock.US.{symbol}"): pd.DataFrame({"close": closes[symbol]})
        for symbol in sorted(closes.columns)
    }
    instruments = tuple(stock_of(name) for name in sorted(tables))
    bar_set = _bar_set(DEMO_NAME, instruments, PriceBasis.TOTAL_RETURN, close_only=True, source="skfolio.datasets")
    return _bars(tables), bar_set, load_reference()


def load_indices() -> tuple[BarTable, BarSet]:
    """Return daily bars of the S&P 500 and the Nasdaq Composite, 1999 to 2018: price indices, not tradable.

    Raises
    ------
    CapabilityError
        If arch is not installed.
    """
    tables, instruments = {}, []
    for symbol, source in _INDEX_NAMES:
        raw = _frame(f"arch.data.{source}", f"{source}.csv.gz", _US_DATES)
        table = raw.rename(columns=str.lower)[["open", "high", "low", "close", "volume"]]
        name = instrument_id(f"index.US.{symbol}")
        tables[name] = table
        instruments.append(Instrument(id=name, symbol=symbol, asset_class=AssetClass.STOCK, sector=name))
    ordered = tuple(sorted(instruments, key=lambda instrument: instrument.id))
    bar_set = _bar_set("demo_indices", ordered, PriceBasis.RAW, close_only=False, source="arch.data")
    return _bars(tables), bar_set


def load_reference() -> Reference:
    """Return VIX (2014 to 2019) and WTI spot (1986 to 2019), usable a second after the next session's open.

    The files carry dates only, so a value is not taken as known before the next session opens.
    """
    series = {
        "vix": _frame("arch.data.vix", "vix.csv.gz", _US_DATES)["vix"],
        "wti": _frame("arch.data.wti", "wti.csv.gz", _US_DATES)["DCOILWTICO"],
    }
    reference: Reference = {}
    for name, values in sorted(series.items()):
        clean = pd.to_numeric(values, errors="coerce").dropna()
        ends = pd.DatetimeIndex(clean.index + timedelta(days=1)).as_unit("ns").asi8
        available = next_open(_CALENDAR, ends - 1) + NS_PER_S
        reference[name] = (available, clean.to_numpy(dtype=np.float64))
    return reference


def load_market_index() -> tuple[TimeArray, FloatArray]:
    """Return the S&P 500, 1990 to 2022: a price index, without dividends, known a second after each close."""
    closes = _frame("skfolio.datasets.data", "sp500_index.csv.gz", _ISO_DATES)["SP500"].dropna()
    inside, _, ends = _spans(pd.DatetimeIndex(closes.index))
    available: TimeArray = ends[inside] + round(_GRACE_S * NS_PER_S)
    return available, closes.to_numpy(dtype=np.float64)[inside]


def _bar_set(
    name: str, instruments: tuple[Instrument, ...], basis: PriceBasis, *, close_only: bool, source: str
) -> BarSet:
    return BarSet(
        name=name,
        asset_class=AssetClass.STOCK,
        frame="1d",
        calendar=_CALENDAR,
        price_basis=basis,
        universe_basis="hindsight",
        currency="USD",
        grace_s=_GRACE_S,
        known_by_date=False,
        close_only=close_only,
        instruments=instruments,
        source=source,
    )
