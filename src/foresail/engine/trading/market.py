"""A panel of bars as the market of a core: last prices, silence, exchange rates, as far as the stream has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId
from foresail.domain.calendars import frame_ns
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.panel import Panel
from foresail.engine.day_closes import DayCloses
from foresail.engine.rates import account_rates
from foresail.portfolio.volatility import average_true_range

__all__ = ["PanelMarket"]

_YEAR = 252  # days of history for correlations and value at risk
_RECENT = 20  # days behind an average volume and a volatility
_LEAST_RETURNS = 10  # of them, for a volatility
_RANGE_BARS = 14  # ranges behind an average true range


class PanelMarket:
    """Reads one position after another of a panel (implements ``parts.TradingMarket``).

    Attributes
    ----------
    last : (N,) last print of each instrument, NaN before the first
    silent : (N,) bars since then
    """

    def __init__(self, bars: Panel, instruments: Mapping[InstrumentId, Instrument], currency: str) -> None:
        self.bars = bars
        self.names = bars.instruments
        self.row = {name: i for i, name in enumerate(self.names)}
        self._close = bars.field("close")
        self._seen: BoolArray = bars.present & np.isfinite(self._close)
        self.ticks = [instruments[name].tick for name in self.names]
        self._length, self._is_daily = frame_ns(bars.frame), bars.frame == "1d"
        self._currency = currency
        self._is_foreign = any(instruments[name].currency != currency for name in self.names)
        self._position = -1
        self._returns: FloatArray | None = None  # of all bars, made when first asked for
        self._moves: FloatArray | None = None  # largest of each year of them, the same
        self._days: DayCloses | None = None  # the same
        self._volumes: FloatArray | None = None
        self._spread: FloatArray | None = bars.field("spread") if bars.has("spread") else None
        self._volatility: FloatArray | None = None
        self._counts_units = np.array([instruments[name].asset_class is not AssetClass.FOREX for name in self.names])
        n = len(self.names)
        self.last: FloatArray = np.full(n, np.nan)
        self.silent: IntArray = np.zeros(n, dtype=np.int64)

    @property
    def position(self) -> int:
        """Time position of the newest bar applied, -1 before the first."""
        return self._position

    @property
    def is_foreign(self) -> bool:
        """Whether an instrument is quoted in another currency than the account's."""
        return self._is_foreign

    def advance(self, position: int) -> None:
        """Take in the bars of a position; positions that were taken in already change nothing."""
        if position <= self._position:
            return
        seen = self._seen[:, position]
        self.last = np.where(seen, self._close[:, position], self.last)
        self.silent = self.silent_after(position)
        self._position = position

    def advance_through(self, position: int) -> None:
        """Take in the bars of every position up to one, as single steps would."""
        begin = self._position + 1
        if position <= begin:
            self.advance(position)
            return
        seen = self._seen[:, begin : position + 1]
        newest = position - np.argmax(seen[:, ::-1], axis=1)
        there = seen.any(axis=1)
        self.last = np.where(there, self._close[np.arange(len(newest)), newest], self.last)
        self.silent = np.where(there, position - newest, self.silent + (position + 1 - begin))
        self._position = position

    def seen_through(self, instruments: Sequence[InstrumentId], first: int, last: int) -> int:
        """Return how many bars from a position on, up to another, have a print of every one of some instruments."""
        seen: BoolArray = np.all(self._seen[[self.row[name] for name in instruments], first:last], axis=0)
        return int(len(seen) if seen.all() else np.argmin(seen))

    def prints(self, instrument: InstrumentId, first: int, last: int) -> list[Decimal]:
        """Return the closes ``first <= t < last`` as whole numbers of ticks, where each is known (``seen_through``)."""
        tick = self.ticks[self.row[instrument]]
        counts = np.rint(self._close[self.row[instrument], first:last] / float(tick))
        return [max(tick, Decimal(int(count)) * tick) for count in counts.tolist()]

    def silent_after(self, position: int) -> IntArray:
        """Return (N,) bars since the last print once the bars of the next position are taken in."""
        return np.where(self._seen[:, position], 0, self.silent + 1)

    def split(self, instrument: InstrumentId, ratio: float) -> None:
        """Restate the last price for a split."""
        self.last[self.row[instrument]] /= ratio

    def start(self, position: int) -> int | None:
        """Return when the bar of a position starts, ns UTC, None past the end of the panel."""
        return int(self.bars.start[position]) if position < self.bars.shape[1] else None

    def price(self, instrument: InstrumentId) -> Decimal | None:
        """Return the last print as a whole number of ticks, None where there is none."""
        return self.on_grid(instrument, float(self.last[self.row[instrument]]))

    def on_grid(self, instrument: InstrumentId, price: float) -> Decimal | None:
        """Return a price as a whole number of ticks, at least one; None for NaN."""
        if not math.isfinite(price):
            return None
        tick = self.ticks[self.row[instrument]]
        return max(tick, Decimal(round(price / float(tick))) * tick)

    def price_time(self, instrument: InstrumentId) -> int | None:
        """Return the end of the bar that gave the last price, ns UTC."""
        place = self._position - int(self.silent[self.row[instrument]])
        return int(self.bars.end[place]) if place >= 0 and math.isfinite(self.last[self.row[instrument]]) else None

    def known(self, position: int) -> Mapping[InstrumentId, float]:
        """Return last prices up to the bars of a position, in units of now, NaN before the first print.

        A bar may close while an earlier one is not available yet; a decision on the earlier one must not see it.
        """
        return dict(zip(self.names, self._known(position).tolist(), strict=True))

    def _known(self, position: int) -> FloatArray:
        if position >= self._position:
            return self.last
        seen = self._seen[:, : position + 1]
        newest = position - np.argmax(seen[:, ::-1], axis=1)
        known: FloatArray = np.where(seen.any(axis=1), self._close[np.arange(len(newest)), newest], np.nan)
        if "split" in self.bars.fields:
            since = self.bars.field("split")[:, position + 1 : self._position + 1]
            known = known / np.where(np.isfinite(since), since, 1.0).prod(axis=1)
        return known

    def daily_returns(self, instruments: Sequence[InstrumentId]) -> FloatArray | None:
        """Return (N, T) simple returns over the last year of days, NaN where a price is missing.

        Of bars shorter than a day the last close of every UTC day that is over counts; None for longer ones.
        """
        known = self._year()
        if known is None:
            return None
        returns, begin, end = known
        year: FloatArray = returns[[self.row[name] for name in instruments], begin:end]
        return year

    def largest_moves(self, instruments: Sequence[InstrumentId], days: int) -> FloatArray | None:
        """Return (N,) largest absolute of the ``daily_returns``, 0 where none is known; None below so many days."""
        known = self._year()
        if known is None or known[2] - known[1] < days:
            return None
        if self._moves is None:
            moves = np.abs(known[0])
            moves[np.isnan(moves)] = 0.0
            # its window is centred; the shift puts the newest day at its end
            self._moves = maximum_filter1d(moves, _YEAR, axis=1, mode="constant", origin=(_YEAR - 1) // 2)
        largest: FloatArray = self._moves[[self.row[name] for name in instruments], known[2] - 1]
        return largest

    def _year(self) -> tuple[FloatArray, int, int] | None:
        """Return (N, D) returns of all days with the span of those of the last year; None below one."""
        if not self._is_daily:
            over = self._day_closes().over(self._position) if self._length <= NS_PER_DAY else 0
            return None if over < 2 else (self._day_closes().returns, max(1, over - _YEAR), over)
        if self._position < 1:
            return None
        if self._returns is None:
            self._returns = self._all_returns()
        return self._returns, max(0, self._position - _YEAR), self._position

    def spread(self, instrument: InstrumentId) -> float:
        """Return the ask minus bid of the bar of the last price, NaN where bars tell none."""
        if self._spread is None:
            return math.nan
        row = self.row[instrument]
        place = self._position - int(self.silent[row])
        return float(self._spread[row, place]) if place >= 0 else math.nan

    def average_volume(self, instrument: InstrumentId) -> float:
        """Return the units traded a day over the last 20 days that are over, NaN where that is not measured."""
        over = self._day_closes().over(self._position)
        if not over:
            return math.nan
        if self._volumes is None:
            self.average_volumes(self._position)
        return math.nan if self._volumes is None else float(self._volumes[self.row[instrument], over - 1])

    def average_range(self, instrument: InstrumentId, position: int) -> float:
        """Return the average true range of the last 14 bars up to a position, price; NaN where too few are known."""
        high, low, close = self._window(instrument, max(0, position - _RANGE_BARS), position)
        return float(average_true_range(high[None], low[None], close[None])[0]) if len(close) > 1 else math.nan

    def best_price(self, instrument: InstrumentId, since: int, position: int, sign: int) -> float:
        """Return the highest (sign 1) or lowest (-1) price of the bars that started at or after an instant (ns UTC).

        In units of the newest bar; the last close where no such bar is over, NaN before the first.
        """
        first = int(np.searchsorted(self.bars.start, since))
        high, low, _close = self._window(instrument, min(first, position), position)
        found = high if sign > 0 else -low
        best = float(np.nanmax(found)) if first <= position and np.isfinite(found).any() else math.nan
        last = float(self.last[self.row[instrument]])
        return sign * best if math.isfinite(best) else last

    def _window(self, instrument: InstrumentId, first: int, position: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (T,) high, low and close of the bars ``first <= t <= position`` in units of the last of them."""
        row, part = self.row[instrument], slice(first, position + 1)
        close = np.where(self._seen[row, part], self._close[row, part], np.nan)
        high, low = (
            np.where(self._seen[row, part], self.bars.field(one)[row, part], np.nan) if self.bars.has(one) else close
            for one in ("high", "low")
        )
        if "split" in self.bars.fields and len(close):
            split = self.bars.field("split")[row, part]
            by = np.where(np.isfinite(split), split, 1.0)
            since = np.append(np.cumprod(by[::-1])[::-1][1:], 1.0)  # of the bars after each
            high, low, close = high / since, low / since, close / since
        return high, low, close

    def average_volumes(self, position: int) -> FloatArray:
        """Return (N,) units traded a day over the last 20 days that are over at a position; NaN without any.

        Volumes of currency pairs count quotes, no units: they are not measured.
        """
        if self._volumes is None:
            volumes = np.where(self._counts_units[:, None], self._day_closes().volumes, np.nan)
            self._volumes = _trailing(volumes)[0]
        return self._of_day(self._volumes, position)

    def daily_volatility(self, position: int) -> FloatArray:
        """Return (N,) standard deviation of the daily returns of the last 20 days that are over at a position."""
        if self._volatility is None:
            mean, square, count = _trailing(self._day_closes().returns, squares=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                spread = np.sqrt(np.maximum(square - mean * mean, 0.0) * count / (count - 1))
            self._volatility = np.where(count >= _LEAST_RETURNS, spread, np.nan)
        return self._of_day(self._volatility, position)

    def _of_day(self, values: FloatArray, position: int) -> FloatArray:
        """Return the column of the newest day that is over at a position."""
        over = self._day_closes().over(position)
        return values[:, over - 1] if over else np.full(len(self.names), np.nan)

    def _day_closes(self) -> DayCloses:
        if self._days is None:
            self._days = DayCloses(self.bars)
        return self._days

    def _all_returns(self) -> FloatArray:
        """Return (N, T - 1) simple returns of all bars; column t is the return of bar t + 1, known with it."""
        prices = np.where(self._seen, self._close, np.nan)
        returns: FloatArray = prices[:, 1:] / prices[:, :-1]
        if "split" in self.bars.fields:
            split = self.bars.field("split")[:, 1:]
            returns = returns * np.where(np.isfinite(split), split, 1.0)
        return returns - 1.0

    def rates(self, prices: Mapping[InstrumentId, float] | None = None) -> dict[str, Decimal]:
        """Return account currency per unit of other currencies, at the last or the given prices."""
        if not self._is_foreign:
            return {}
        values = self.last if prices is None else np.array([prices[name] for name in self.names])
        return account_rates(self.names, values, self._currency)

    def to_plain(self) -> dict[str, Any]:
        """Return position, last prices (None where there is none) and silence."""
        last = [None if math.isnan(one) else one for one in self.last.tolist()]
        return {"position": self._position, "last": last, "silent": self.silent.tolist()}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that ``to_plain`` returned.

        Raises
        ------
        IntegrityError
            If the bars end before the position at which it stands.
        """
        position, length = int(plain["position"]), self.bars.shape[1]
        if position >= length:
            raise IntegrityError(
                f"the account stands at bar {position + 1}, its bars end with the {length}th",
                hint="say bars and strategy with a later --until, or none; or restore the bars that were there",
            )
        self._position = position
        self.last = np.array([math.nan if one is None else float(one) for one in plain["last"]])
        self.silent = np.array(plain["silent"], dtype=np.int64)


def _trailing(values: FloatArray, *, squares: bool = False) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (N, D) mean, mean square (where asked for) and count of what is known of 20 days up to each."""
    told = np.isfinite(values)

    def window(column: FloatArray) -> FloatArray:
        total = np.cumsum(column, axis=1)
        total[:, _RECENT:] -= total[:, :-_RECENT].copy()
        return total

    count = window(told.astype(np.float64))
    known = np.where(told, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0.0, window(known) / count, np.nan)
        square = np.where(count > 0.0, window(known * known) / count, np.nan) if squares else mean
    return mean, square, count
