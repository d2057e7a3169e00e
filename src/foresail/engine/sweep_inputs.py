"""What a sweep is given and what one run of it gives back: bars, signals, a rule, a log of trades.

``SweepBars`` are checked and widened once, as the venue widens a bar, and then serve any number of runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.execution.simulated import sweep_fills as room
from foresail.execution.simulated import sweep_signals as kernel

__all__ = ["FILLS", "REASONS", "Signals", "SweepBars", "SweepRule", "TradeLog"]

REASONS = ("open", "signal", "stop", "target", "time")
FILLS = ("next_open", "same_close")
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, eq=False)
class SweepBars:
    """Bars of one instrument.

    Attributes
    ----------
    open, top, bottom, close : (T,), quote currency, or ticks where ``tick`` is given; top and bottom are high and low,
        widened to open and close where a source has them narrower; NaN in all four where there is no bar
    tick : price step of a grid, 0 = no grid
    """

    open: FloatArray
    top: FloatArray
    bottom: FloatArray
    close: FloatArray
    tick: float = 0.0

    @classmethod
    def of_columns(
        cls, opened: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, *, tick: float = 0.0
    ) -> SweepBars:
        """Return bars from columns of equal length; a bar without any price is absent.

        Raises
        ------
        DataError
            If lengths differ, or a bar has a close and no open, or the reverse, or a price that is not positive.
        """
        columns = [np.ascontiguousarray(one, dtype=np.float64) for one in (opened, high, low, close)]
        if len({one.shape for one in columns}) != 1 or columns[0].ndim != 1:
            raise DataError(f"expected four columns of one length, received {[one.shape for one in columns]}")
        if tick > 0.0:
            columns = [np.rint(one / tick) for one in columns]
        first, highest, lowest, last = columns
        if kernel.are_plain((first, highest, lowest, last)):
            return cls(first, highest, lowest, last, tick)
        top = np.fmax(np.fmax(first, highest), last)
        bottom = np.fmin(np.fmin(first, lowest), last)
        known = np.isfinite(first) & np.isfinite(last) & np.isfinite(top) & (bottom > 0.0)
        absent = np.isnan(first) & np.isnan(last)
        if not bool((known | absent).all()):
            t = int(np.argmin(known | absent))
            shown = ", ".join(f"{name} {one[t]:g}" for name, one in zip(_PRICES, columns, strict=True))
            raise DataError(
                f"bar {t}: expected finite positive prices, or none at all, received {shown}",
                hint="a sweep takes whole bars; leave out a bar that lacks its open or close",
            )
        if absent.any():
            top, bottom = np.where(absent, np.nan, top), np.where(absent, np.nan, bottom)
        return cls(first, top, bottom, last, tick)

    @classmethod
    def of_panel(cls, panel: Panel, instrument: InstrumentId, *, tick: float = 0.0) -> SweepBars:
        """Return the bars of one instrument of a panel.

        Raises
        ------
        UnknownNameError
            If the panel lacks the instrument or one of the four prices.
        """
        chosen = panel.select([instrument])
        present = chosen.present[0]
        columns = [np.where(present, chosen.field(name)[0], np.nan) for name in _PRICES]
        return cls.of_columns(*columns, tick=tick)

    def __len__(self) -> int:
        return len(self.close)

    @property
    def columns(self) -> kernel.Bars:
        """As the compiled sweep takes them."""
        return self.open, self.top, self.bottom, self.close


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What is wanted at the close of each bar; an entry and an exit of one side, or two entries, at once cancel out.

    Attributes
    ----------
    long_entry, long_exit, short_entry, short_exit : (T,); None = never
    """

    long_entry: BoolArray | None = None
    long_exit: BoolArray | None = None
    short_entry: BoolArray | None = None
    short_exit: BoolArray | None = None

    def columns(self, length: int) -> kernel.Signals:
        """Return the four columns for so many bars.

        Raises
        ------
        DataError
            If a column has another length or is not boolean.
        """
        return (
            _flags("long_entry", self.long_entry, length),
            _flags("long_exit", self.long_exit, length),
            _flags("short_entry", self.short_entry, length),
            _flags("short_exit", self.short_exit, length),
        )


def _flags(name: str, given: BoolArray | None, length: int) -> BoolArray:
    if given is None:
        return np.zeros(length, dtype=np.bool_)
    if given.shape != (length,) or given.dtype != np.bool_:
        raise DataError(f"{name}: expected ({length},) booleans, received {given.shape} {given.dtype}")
    return np.ascontiguousarray(given)


@dataclass(frozen=True, slots=True)
class SweepRule:
    """How signals become trades.

    Attributes
    ----------
    stop, target : distance from the close of the decision, fraction; 0 = none
    trail : distance of a trailing stop from the best price, fraction of the close of the decision; 0 = none. It stands
        in for stop and target
    hold_bars : bars after which a position leaves by itself, the bar of entry counted; 0 = never
    units : of an order; 0 = by ``share``
    share : of the equity at the decision that an order takes, where ``units`` is 0
    capital : money before the first bar; only ``share`` looks at it
    fee, maker_fee, slippage : fractions of value per side; None = a target inside the bar pays ``fee`` as well
    fill : "next_open", the rule of the house, or "same_close", vectorbt's, for comparison
    good_for_bars : absent bars that an order waits; 0 = no bound
    lot, minor_unit : steps of quantity and of fees, on a grid
    """

    stop: float = 0.0
    target: float = 0.0
    trail: float = 0.0
    hold_bars: int = 0
    units: float = 0.0
    share: float = 1.0
    capital: float = 100_000.0
    fee: float = 0.0
    maker_fee: float | None = None
    slippage: float = 0.0
    fill: str = "next_open"
    good_for_bars: int = 5
    lot: float = 1.0
    minor_unit: float = 0.01

    def __post_init__(self) -> None:
        maker = self.fee if self.maker_fee is None else self.maker_fee
        checks = (
            ("stop", self.stop, 0.0 <= self.stop < 1.0, ">= 0 and < 1"),
            ("target", self.target, 0.0 <= self.target < math.inf, ">= 0"),
            ("trail", self.trail, 0.0 <= self.trail < 1.0, ">= 0 and < 1"),
            ("fee", self.fee, 0.0 <= self.fee < 1.0, ">= 0 and < 1"),
            ("maker_fee", maker, 0.0 <= maker < 1.0, ">= 0 and < 1"),
            ("slippage", self.slippage, 0.0 <= self.slippage < 1.0, ">= 0 and < 1"),
            ("units", self.units, 0.0 <= self.units < math.inf, ">= 0"),
            ("share", self.share, 0.0 < self.share < math.inf, "> 0"),
            ("capital", self.capital, 0.0 < self.capital < math.inf, "> 0"),
            ("hold_bars", self.hold_bars, self.hold_bars >= 0, ">= 0"),
            ("good_for_bars", self.good_for_bars, self.good_for_bars >= 0, ">= 0"),
            ("lot", self.lot, 0.0 < self.lot < math.inf, "> 0"),
            ("minor_unit", self.minor_unit, 0.0 < self.minor_unit < math.inf, "> 0"),
        )
        for name, value, holds, wanted in checks:
            if not holds:
                raise ConfigError(f"expected {name} {wanted}, received {value}")
        if self.trail > 0.0 and (self.stop > 0.0 or self.target > 0.0):
            raise ConfigError("a trail stands in for stop and target: one of them is to be 0", hint="trail=0.03")
        if self.fill not in FILLS:
            raise ConfigError(f"unknown fill {self.fill!r}; known: {', '.join(FILLS)}")

    def with_values(self, values: dict[str, float]) -> SweepRule:
        """Return the rule with some values replaced."""
        return replace(self, **values)  # type: ignore[arg-type]

    def numbers(self, tick: float) -> tuple[FloatArray, IntArray]:
        """Return the rule as the compiled sweep takes it, for bars on a grid of ticks or on none (0)."""
        is_grid = tick > 0.0
        maker = self.fee if self.maker_fee is None else self.maker_fee
        rule = np.zeros(room.FLOAT_WIDTH)
        rule[room.STOP_SHARE], rule[room.TARGET_SHARE] = self.stop, self.target
        rule[room.FEE], rule[room.MAKER], rule[room.SLIP] = self.fee, maker, self.slippage
        rule[room.UNITS] = round(self.units / self.lot) if is_grid else self.units
        rule[room.FRACTION] = 0.0 if self.units > 0.0 else self.share
        rule[room.CAPITAL], rule[room.MINOR] = self.capital, self.minor_unit
        rule[room.TRAIL] = self.trail
        rule[room.UNIT_VALUE] = tick * self.lot if is_grid else 1.0
        fees = [Fraction(0), Fraction(0)]
        if is_grid:
            step = _exact(tick) * _exact(self.lot) / _exact(self.minor_unit)
            fees = [_exact(one) * step for one in (self.fee, maker)]
        switches = [self.hold_bars, self.good_for_bars, self.fill == "same_close", is_grid]
        parts = [value for one in fees for value in (one.numerator, one.denominator)]
        return rule, np.array([*switches, *parts], dtype=np.int64)


def _exact(number: float) -> Fraction:
    """Return the decimal number that was written, not the binary one that stands for it."""
    return Fraction(repr(float(number)))


@dataclass(frozen=True, slots=True, eq=False)
class TradeLog:
    """Trades of one run as plain columns, (M,) each, oldest first; one that is still open comes last.

    Attributes
    ----------
    entry_bar, exit_bar : time positions of the fills; -1 = open
    reason : places in ``REASONS``
    entry_price, exit_price : quote currency, after slippage; NaN = open
    units : signed
    fees : of both fills, money
    """

    entry_bar: IntArray
    exit_bar: IntArray
    reason: IntArray
    entry_price: FloatArray
    exit_price: FloatArray
    units: FloatArray
    fees: FloatArray

    def __len__(self) -> int:
        return len(self.entry_bar)

    @property
    def net_profit(self) -> FloatArray:
        """(M,) money after fees; NaN while open."""
        profit: FloatArray = self.units * (self.exit_price - self.entry_price) - self.fees
        return profit
