"""The indicators that the engine and TA-Lib define alike, written for both, and random bars to feed them.

Each row is (name, our graph, TA-Lib's call on the arrays open, high, low, close, volume).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.features.expressions import CLOSE, HIGH, LOW, PRICE, RANGE, Ref, node
from foresail.features.formulas.common import average, divide, extreme, mean, mean_and_deviation, subtract
from foresail.features.formulas.momentum import rsi, stochastic, williams
from foresail.features.formulas.trend import macd_line
from foresail.features.formulas.volatility import atr_share
from foresail.features.formulas.volume import money_flow
from foresail.features.live import BAR_FIELDS
from foresail.features.plan import Plan, make_plan

__all__ = ["INDICATORS", "Indicator", "more_windows", "plan_of", "random_bars", "random_panel", "talib_matrix"]

Indicator = tuple[str, Ref, Callable[[Any, Sequence[FloatArray]], Any]]
_DAY = 86_400_000_000_000


def _close(function: str, window: int) -> Callable[[Any, Sequence[FloatArray]], Any]:
    return lambda t, x: getattr(t, function)(x[3], window)


def _bar(function: str, window: int) -> Callable[[Any, Sequence[FloatArray]], Any]:
    return lambda t, x: getattr(t, function)(x[1], x[2], x[3], window)


def _lag(window: int) -> Ref:
    return node("lag", CLOSE, window=window, needs=window + 1, history=window + 1).out


def _momentum(window: int) -> Ref:
    return subtract(CLOSE, _lag(window))


def _true_range() -> Ref:
    return node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out


def _band(sign: float) -> Ref:
    middle, deviation = mean_and_deviation(CLOSE, 20, sample=False)
    return node("combine", middle, deviation, real=2.0 * sign).out


def _sma(w: int) -> Indicator:
    return f"sma_{w}", mean(CLOSE, w), _close("SMA", w)


def _ema(w: int) -> Indicator:
    return f"ema_{w}", average(CLOSE, w, "ema"), _close("EMA", w)


def _deviation(w: int) -> Indicator:
    return f"std_{w}", mean_and_deviation(CLOSE, w, sample=False)[1], _close("STDDEV", w)


def _highest(w: int) -> Indicator:
    return f"max_{w}", extreme(CLOSE, w, 1.0, PRICE), _close("MAX", w)


def _lowest(w: int) -> Indicator:
    return f"min_{w}", extreme(CLOSE, w, -1.0, PRICE), _close("MIN", w)


def _strength(w: int) -> Indicator:
    return f"rsi_{w}", rsi(w), _close("RSI", w)


def _atr(w: int) -> Indicator:
    return f"atr_{w}", average(_true_range(), w, "wilder", RANGE), _bar("ATR", w)


def _moved(w: int) -> Indicator:
    return f"mom_{w}", _momentum(w), _close("MOM", w)


INDICATORS: tuple[Indicator, ...] = (
    *(_sma(w) for w in (5, 10, 20, 50, 100, 200)),
    *(_ema(w) for w in (5, 10, 20, 50, 100, 200)),
    *(_strength(w) for w in (5, 14, 21)),
    *(_deviation(w) for w in (5, 20, 60)),
    *(_highest(w) for w in (14, 50)),
    *(_lowest(w) for w in (14, 50)),
    *(_atr(w) for w in (14, 20)),
    *(_moved(w) for w in (1, 10, 20)),
    ("trange", _true_range(), lambda t, x: t.TRANGE(x[1], x[2], x[3])),
    ("natr_14", atr_share(14), _bar("NATR", 14)),
    ("bb_upper", _band(1.0), lambda t, x: t.BBANDS(x[3], 20)[0]),
    ("bb_lower", _band(-1.0), lambda t, x: t.BBANDS(x[3], 20)[2]),
    ("macd", macd_line(12, 26), lambda t, x: t.MACD(x[3])[0]),
    ("macd_signal", average(macd_line(12, 26), 9, "ema"), lambda t, x: t.MACD(x[3])[1]),
    ("willr_14", williams(14), _bar("WILLR", 14)),
    ("stoch_k", stochastic(14, 3), lambda t, x: t.STOCH(x[1], x[2], x[3], 14, 3, 0, 3, 0)[0]),
    ("mfi_14", money_flow(14), lambda t, x: t.MFI(x[1], x[2], x[3], x[4], 14)),
    ("rocr_10", divide(CLOSE, _lag(10)), _close("ROCR", 10)),
)


def more_windows(count: int) -> list[Indicator]:
    """Return further windows of the same kinds of indicator, in equal parts."""
    makers = (_sma, _ema, _strength, _deviation, _highest, _lowest, _atr, _moved)
    return [makers[i % len(makers)](22 + 9 * (i // len(makers)) + i % 3) for i in range(count)]


def plan_of(indicators: Sequence[Indicator]) -> Plan:
    """Return the plan of our side, one column an indicator."""
    return make_plan([indicator[1] for indicator in indicators])


def random_bars(rng: np.random.Generator, n: int, t: int) -> FloatArray:
    """Return (N, T, 5) random open, high, low, close, volume."""
    out = np.empty((n, t, 5))
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.012, (n, t)), axis=1))
    out[:, :, 3] = close
    out[:, :, 0] = close * (1.0 + rng.normal(0.0, 0.004, (n, t)))
    spread = np.abs(rng.normal(0.0, 0.005, (n, t)))
    out[:, :, 1] = np.maximum(out[:, :, 0], close) * (1.0 + spread)
    out[:, :, 2] = np.minimum(out[:, :, 0], close) * (1.0 - spread[:, ::-1])
    out[:, :, 4] = np.exp(rng.normal(12.0, 1.0, (n, t)))
    return out


def random_panel(rng: np.random.Generator, n: int, t: int) -> Panel:
    """Return a panel of daily bars with every column of the store."""
    values = np.full((n, t, len(BAR_FIELDS)), np.nan)
    values[:, :, :5] = random_bars(rng, n, t)
    values[:, :, BAR_FIELDS.index("split")] = 1.0
    values[:, :, BAR_FIELDS.index("total_factor")] = 1.0
    start = np.arange(t, dtype=np.int64) * _DAY
    names = tuple(InstrumentId(f"stock.US.S{i:05d}") for i in range(n))
    here = np.ones((n, t), dtype=np.bool_)
    return Panel(values, here, start, start + _DAY, start + _DAY, BAR_FIELDS, names, "1d", "24/7")


def talib_matrix(talib: Any, values: FloatArray) -> FloatArray:
    """Return the (N, T, F) matrix of TA-Lib's outputs, computed an instrument at a time."""
    n, t, _ = values.shape
    columns = np.ascontiguousarray(values.transpose(0, 2, 1))
    out = np.empty((n, t, len(INDICATORS)))
    for i in range(n):
        arrays = list(columns[i])
        for f, (_, _, call) in enumerate(INDICATORS):
            out[i, :, f] = call(talib, arrays)
    return out
