"""Fill the numbers that features take from outside: from facts, from funds of sectors, from bars and instruments.

Every number is the newest that was available at the decision, in its newest vintage by then, and no older than its
limit (FEAT-37). A figure per share is set against the traded price here, since prices inside the engine are adjusted;
a split after its publication divides it. What cannot be filled is not offered, so ``resolve`` tells why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.facts import FactTable
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.panel import Panel
from foresail.domain.sectors import Sector, baseline_of
from foresail.domain.tiers import DEFAULT_TIERS
from foresail.features.givens import GIVENS, SECTOR_FUND, GivenSeries
from foresail.features.published import lagged_by_days
from foresail.measures.asof import AsOf, asof_join

__all__ = ["GivenSources", "fill_givens", "offered_givens", "sector_ranks"]

_PER_SHARE = ("price_multiple", "yield")
_ROTATION = 20  # days (FEAT-278)


@dataclass(frozen=True, slots=True, eq=False)
class GivenSources:
    """Where numbers from outside come from.

    Attributes
    ----------
    reference : name -> (T,) joined as-of; the close of a sector's fund is ``sector_<name of the sector>``, the day of
        its publication ``day_of_sector_<name>``
    pairs : instrument -> the second leg of its pair
    """

    panel: Panel
    bar_set: BarSet
    facts: Sequence[FactTable] = ()
    reference: Mapping[str, FloatArray] | None = None
    pairs: Mapping[InstrumentId, InstrumentId] = field(default_factory=dict)

    def funds(self) -> dict[str, FloatArray]:
        """Return sector -> (T,) close of its fund, sectors ascending."""
        return self._by_sector(SECTOR_FUND)

    def fund_days(self) -> dict[str, FloatArray]:
        """Return sector -> (T,) day on which the close of its fund was published, sectors ascending."""
        return self._by_sector(f"day_of_{SECTOR_FUND}")

    def _by_sector(self, prefix: str) -> dict[str, FloatArray]:
        found = {k.removeprefix(prefix): v for k, v in (self.reference or {}).items() if k.startswith(prefix)}
        return {sector: found[sector] for sector in sorted(found)}

    def sectors(self) -> list[str]:
        """Return the sector of each instrument, in the order of the panel."""
        by_id = {i.id: i.sector for i in self.bar_set.instruments}
        return [by_id[name] for name in self.panel.instruments]

    def table_of(self, field: str) -> FactTable | None:
        """Return the facts that hold a field, None where none do.

        Raises
        ------
        DataError
            If more than one table does.
        """
        found = [table for table in self.facts if field in table.fields]
        if len(found) > 1:
            raise DataError(
                f"{len(found)} sets of facts hold the field {field!r}, expected one",
                column=field,
                hint="rename the column in one of their descriptions, or name one set only",
            )
        return found[0] if found else None


def offered_givens(sources: GivenSources) -> tuple[str, ...]:
    """Return the names that these sources can fill, ascending."""
    return tuple(sorted(name for name, row in GIVENS.items() if _offers(row, sources)))


def _offers(row: GivenSeries, sources: GivenSources) -> bool:
    if row.form == "panel":
        return _offers_panel(row, sources)
    if row.form == "funds":
        known = sources.funds() if row.name == "sector_close" else sources.fund_days()
        return len(known) > (row.name == "sector_rank")
    if row.form == "pair" and sources.pairs:
        return True
    no_price = row.form in _PER_SHARE and sources.bar_set.price_basis is not PriceBasis.RAW
    if row.form == "book" or no_price:  # features.books.join joins books: nothing is carried over a broken one
        return False
    return sources.table_of(row.field) is not None


def _offers_panel(row: GivenSeries, sources: GivenSources) -> bool:
    if row.name == "bid_ask_spread":
        return sources.panel.has("spread")
    stock = sources.bar_set.asset_class is AssetClass.STOCK
    if row.name == "price_tier":
        return stock and sources.bar_set.price_basis is PriceBasis.RAW
    if row.name == "pip_size":
        return sources.bar_set.asset_class is AssetClass.FOREX
    return stock or row.classes != (AssetClass.STOCK,)


def fill_givens(names: Sequence[str], sources: GivenSources) -> FloatArray:
    """Return the numbers of some names.

    Parameters
    ----------
    names : G of those that ``offered_givens`` lists

    Returns
    -------
    (N, T, G); NaN where nothing was known, or not any more

    Raises
    ------
    DataError
        If two sets of facts hold the same field.

    Notes
    -----
    Timing: the value at row t was available at ``panel.available_at[t]``.
    """
    n, t, _ = sources.panel.shape
    filled = np.full((n, t, len(names)), np.nan)
    for place, name in enumerate(names):
        filled[:, :, place] = _filled(GIVENS[name], sources)
    return filled


def _filled(row: GivenSeries, sources: GivenSources) -> FloatArray:
    if row.form == "panel":
        return _from_panel(row.name, sources)
    if row.form == "funds":
        return _from_funds(row.name, sources)
    if row.form == "pair" and sources.pairs:
        return _second_legs(row, sources)
    at = sources.panel.available_at
    joined = _joined(row, sources, at - NS_PER_DAY if row.form == "lagged" else at)
    day = at / NS_PER_DAY
    if row.form in {"days_until", "days_since"}:
        days = joined.values - day if row.form == "days_until" else day - joined.values
        return np.where(days >= 0.0, np.ceil(days) if row.form == "days_until" else np.floor(days), np.nan)
    if row.form in {*_PER_SHARE, "price_gap"}:
        return _against_price(row.form, joined, sources.panel)
    return joined.values


def _against_price(form: str, figure: AsOf, panel: Panel) -> FloatArray:
    close = panel.field("close")
    if form == "price_gap":
        return np.asarray(close / figure.values - 1.0, dtype=np.float64)
    share = figure.values / _splits_since(figure.available_at, panel)
    if form == "yield":
        return np.asarray(share / close, dtype=np.float64)
    return np.where(share > 0.0, close / np.where(share > 0.0, share, 1.0), np.nan)


def _second_legs(row: GivenSeries, sources: GivenSources) -> FloatArray:
    """Return the close of each instrument's second leg, adjusted as the panel's prices are inside the engine, (N, T).

    An instrument without a second leg has what facts say, and NaN where they say nothing.
    """
    panel = sources.panel
    closes = panel.field("close")
    if "total_factor" in panel.fields:
        factor = panel.field("total_factor")
        closes = closes * np.where(np.isfinite(factor), factor, 1.0)
    told = sources.table_of(row.field) is not None
    legs = _joined(row, sources, panel.available_at).values if told else np.full(closes.shape, np.nan)
    places = {name: i for i, name in enumerate(panel.instruments)}
    for i, name in enumerate(panel.instruments):
        other = sources.pairs.get(name)
        if other is not None:
            legs[i] = closes[places[other]] if other in places else np.nan
    return legs


def _joined(row: GivenSeries, sources: GivenSources, at: TimeArray) -> AsOf:
    table = sources.table_of(row.field)
    if table is None:
        raise DataError(f"no facts hold the field {row.field!r}", column=row.field, hint="see offered_givens")
    wanted = _ids(row.scope, sources.panel.instruments)
    distinct = sorted(set(wanted))
    found = asof_join(table, at, field=row.field, instruments=distinct, stale_after_ns=row.limit_ns)
    rows = [distinct.index(name) for name in wanted]
    return AsOf(found.values[rows], found.event_time[rows], found.available_at[rows])


def _ids(scope: str, instruments: Sequence[InstrumentId]) -> list[InstrumentId]:
    """Return under which id the facts of each instrument stand."""
    if scope == "market":
        return [InstrumentId("")] * len(instruments)
    if scope == "instrument":
        return list(instruments)
    legs = [name.removeprefix("fx.").partition("-") for name in instruments]
    return [InstrumentId(f"fx.{leg[0] if scope == 'base' else leg[2]}") for leg in legs]


def _splits_since(available_at: TimeArray, panel: Panel) -> FloatArray:
    """Return the product of splits after each instant of publication up to the row, (N, T)."""
    n, t, _ = panel.shape
    if "split" not in panel.fields:
        return np.ones((n, t))
    split = panel.field("split")
    product = np.cumprod(np.where(np.isfinite(split) & (split > 0.0), split, 1.0), axis=1)
    before = np.searchsorted(panel.available_at, available_at, side="right") - 1
    then = np.where(before >= 0, np.take_along_axis(product, np.maximum(before, 0), axis=1), 1.0)
    return np.asarray(product / then, dtype=np.float64)


def sector_ranks(closes: FloatArray, days: FloatArray, lag: int = _ROTATION) -> FloatArray:
    """Return the rank of each sector's return over ``lag`` days among the sectors that have one, 0 to 1.

    Parameters
    ----------
    closes : (S, T); NaN where unknown
    days : (S, T) day on which each close was published

    Returns
    -------
    (S, T); ties share their mean rank; NaN where fewer than two sectors have a return
    """
    earlier = [lagged_by_days(close, day, lag) for close, day in zip(closes, days, strict=True)]
    moves = closes / np.array(earlier).reshape(closes.shape) - 1.0
    below = np.sum(moves[:, None, :] > moves[None, :, :], axis=1)
    equal = np.sum(moves[:, None, :] == moves[None, :, :], axis=1) - 1
    others = np.sum(np.isfinite(moves), axis=0) - 1.0
    known = np.isfinite(moves) & (others > 0)
    return np.where(known, (below + 0.5 * equal) / np.where(others > 0, others, 1.0), np.nan)


def _from_funds(name: str, sources: GivenSources) -> FloatArray:
    funds, days = sources.funds(), sources.fund_days()
    if name == "sector_close":
        values = np.array(list(funds.values()))
    elif name == "day_of_sector":
        values = np.array([days[sector] for sector in funds])
    else:
        values = sector_ranks(np.array(list(funds.values())), np.array([days[sector] for sector in funds]))
    places = {sector: i for i, sector in enumerate(funds)}
    absent = np.full(sources.panel.shape[1], np.nan)
    return np.array([values[places[s]] if s in places else absent for s in sources.sectors()])


def _baseline(name: str) -> Callable[[str], float]:
    field, factor = {
        "sector_avg_volatility": ("daily_volatility", 1.0),
        "sector_beta": ("beta", 1.0),
        "sector_typical_rsi": ("typical_rsi", 0.01),
        "sector_news_per_week": ("articles_per_week", 1.0),
        "sector_avg_volume": ("volume", 1.0),
    }[name]
    return lambda sector: factor * float(getattr(baseline_of(_sector(sector)), field))


def _sector(name: str) -> Sector:
    return Sector(name) if name in {s.value for s in Sector} else Sector.UNKNOWN


def _from_panel(name: str, sources: GivenSources) -> FloatArray:
    panel = sources.panel
    n, t, _ = panel.shape
    if name == "bid_ask_spread":
        return panel.field("spread") / panel.field("close")
    if name == "price_tier":
        return _tiers(panel.field("close"))
    if name == "ticker":
        codes = np.arange(n, dtype=np.float64)
    elif name == "pip_size":  # FEAT-28
        codes = np.array([0.01 if i.endswith("-JPY") else 0.0001 for i in panel.instruments])
    elif name == "asset_class":
        codes = np.full(n, float(list(AssetClass).index(sources.bar_set.asset_class)))
    elif name == "sector":
        codes = np.array([float(list(Sector).index(_sector(s))) for s in sources.sectors()])
    else:
        usual = _baseline(name)
        codes = np.array([usual(s) for s in sources.sectors()])
    return np.repeat(codes[:, None], t, axis=1)


def _tiers(close: FloatArray) -> FloatArray:
    """Return the place of each raw price among the tiers; NaN below the lowest."""
    upper = np.array([tier.high for tier in DEFAULT_TIERS])
    lowest = DEFAULT_TIERS[0].low
    priced = np.isfinite(close) & (close >= lowest)
    return np.where(priced, np.searchsorted(upper, np.where(priced, close, lowest), side="left"), np.nan)
