"""Target weights for many instruments on one account, compiled: screening, as ``engine.sweep`` is.

No gate, no limits, no borrow, no corporate actions. At the close of its own bar it is vectorbt's ``from_orders`` to the
last digits; at the next open, on a grid, it fills lot for lot what the event engine fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.domain.panel import Panel
from foresail.engine.sweep import simulate, sweep
from foresail.engine.sweep_inputs import FILLS, Signals, SweepBars, SweepRule
from foresail.execution.simulated import sweep_weights as kernel

__all__ = ["WeightRule", "WeightRun", "simulate_panel_weights", "simulate_weights", "warm_sweeps"]


@dataclass(frozen=True, slots=True)
class WeightRule:
    """How weights become trades.

    Attributes
    ----------
    capital : money before the first bar
    fee, slippage : fractions of value per side
    fill : "next_open", the rule of the house: sized at the close, filled at the next open, not bound by cash; or
        "same_close", vectorbt's: filled at the close that decided, purchases bound by cash
    tick, lot, minor_unit : steps of price, quantity and fees; ``tick`` 0 = no grid, fractions of a unit
    """

    capital: float = 100_000.0
    fee: float = 0.0
    slippage: float = 0.0
    fill: str = "next_open"
    tick: float = 0.0
    lot: float = 1.0
    minor_unit: float = 0.01

    def __post_init__(self) -> None:
        for name, least, most in (("capital", 0.0, math.inf), ("lot", 0.0, math.inf), ("minor_unit", 0.0, math.inf)):
            if not least < getattr(self, name) < most:
                raise ConfigError(f"expected {name} > 0, received {getattr(self, name)}")
        for name in ("fee", "slippage", "tick"):
            if not 0.0 <= getattr(self, name) < math.inf or (name != "tick" and getattr(self, name) >= 1.0):
                raise ConfigError(f"expected {name} >= 0 and a fraction below 1, received {getattr(self, name)}")
        if self.fill not in FILLS:
            raise ConfigError(f"unknown fill {self.fill!r}; known: {', '.join(FILLS)}")

    def numbers(self) -> tuple[FloatArray, IntArray]:
        """Return the rule as the compiled sweep takes it."""
        is_grid = self.tick > 0.0
        rule = np.zeros(kernel.RULE_WIDTH)
        rule[kernel.R_CAPITAL], rule[kernel.R_FEE], rule[kernel.R_SLIP] = self.capital, self.fee, self.slippage
        rule[kernel.R_UNIT_VALUE] = self.tick * self.lot if is_grid else 1.0
        rule[kernel.R_MINOR] = self.minor_unit
        exact = [Fraction(repr(float(one))) for one in (self.fee, self.tick, self.lot, self.minor_unit)]
        share = exact[0] * exact[1] * exact[2] / exact[3]
        switches = [is_grid, self.fill == "next_open", share.numerator, share.denominator]
        return rule, np.array(switches, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class WeightRun:
    """What came of it.

    Attributes
    ----------
    equity, cash : (T,) at each close, money
    traded : (N, T) signed units filled in each bar; prices follow from the bar and the rule
    units : (N,) held at the end
    fees : money
    label : always ``screening``
    """

    equity: FloatArray
    cash: FloatArray
    traded: FloatArray
    units: FloatArray
    fees: float
    label: str = "screening"


def simulate_weights(
    closes: FloatArray, weights: FloatArray, rule: WeightRule, *, opens: FloatArray | None = None
) -> WeightRun:
    """Hold target weights, rebalanced at every bar that names one.

    Parameters
    ----------
    closes : (N, T), quote currency; NaN = no bar
    weights : (N, T), fraction of equity, signed, decided at the close; NaN = leave the position alone
    rule : capital, costs, where orders fill
    opens : (N, T), quote currency; needed where orders fill at them

    Raises
    ------
    DataError
        If shapes differ or a price is not positive.
    ConfigError
        If opens are needed and missing.

    Notes
    -----
    Transposed views of (T, N) tables are read without a copy. Timing: a weight is decided at the close of its bar.
    """
    if rule.fill == "next_open" and opens is None:
        raise ConfigError("orders that fill at the next open need opens", hint='or fill="same_close"')
    given = (closes if opens is None else opens, closes, weights)
    if len({one.shape for one in given}) != 1 or closes.ndim != 2:
        raise DataError(f"expected (N, T) tables of one shape, received {[one.shape for one in given]}")
    rows = [np.ascontiguousarray(one.T, dtype=np.float64) for one in given]
    for name, prices in (("close", rows[1]), ("open", rows[0])):
        if not bool((np.isnan(prices) | (prices > 0.0)).all()) or bool(np.isinf(prices).any()):
            raise DataError(f"expected every {name} to be a finite positive number or NaN")
    if bool(np.isinf(rows[2]).any()):
        raise DataError("expected every weight to be a finite number or NaN")
    if rule.tick > 0.0:
        rows[:2] = [np.rint(one / rule.tick) for one in rows[:2]]
    out, traded, units, fees = kernel.simulate_weights((rows[0], rows[1], rows[2]), rule.numbers())
    lot = rule.lot if rule.tick > 0.0 else 1.0
    return WeightRun(out[:, 0], out[:, 1], traded.T * lot if lot != 1.0 else traded.T, units * lot, fees)


def simulate_panel_weights(panel: Panel, weights: FloatArray, rule: WeightRule) -> WeightRun:
    """Hold target weights on the bars of a panel; see ``simulate_weights``."""
    tables = {name: np.where(panel.present, panel.field(name), np.nan) for name in ("open", "close")}
    return simulate_weights(tables["close"], weights, rule, opens=tables["open"])


def warm_sweeps() -> None:
    """Compile both sweeps into their caches on disk."""
    prices, flags = np.full(3, 10.0), np.ones(3, dtype=np.bool_)
    bars = SweepBars.of_columns(prices, prices, prices, prices)
    sweep(bars, lambda _bars: Signals(long_entry=flags), {"stop": (0.0, 0.1)})
    simulate(bars, Signals(long_entry=flags), SweepRule())
    simulate_weights(prices[None], np.full((1, 3), 0.5), WeightRule(fill="same_close"))
