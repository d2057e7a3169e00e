"""Scales, ticks and thinning of charts: where a value lies, which labels stand beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY, from_ns, to_ns

__all__ = ["Scale", "linear_ticks", "log_ticks", "thin", "time_ticks"]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values ``[low, high]`` to pixels ``[first, last]``; pixels may run downwards."""

    low: float
    high: float
    first: float
    last: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        share = 0.5 if high == low else (at - low) / (high - low)
        return self.first + share * (self.last - self.first)


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most about ``most`` round values within ``[low, high]``."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s for s in (*_STEPS, 20.0) if s * power >= raw * (1 - 1e-9)) * power
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Return round values of a logarithmic axis: powers of ten, with 2 and 5, or finer where the range is short."""
    if not (0 < low < high and math.isfinite(high)):
        return []
    ticks: list[float] = []
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        finer = [m * 10.0**p for p in powers for m in mantissas if low <= m * 10.0**p <= high]
        if len(finer) > most:
            break
        ticks = finer
    return ticks if len(ticks) >= 2 else linear_ticks(low, high, most)


def time_ticks(first: int, last: int, most: int = 8) -> list[tuple[int, str]]:
    """Return (ns, label) of calendar marks within ``[first, last]``: years, months, days or hours."""
    span_days = (last - first) / NS_PER_DAY
    start, end = from_ns(first), from_ns(last)
    if span_days > 365 * 2.5:
        step = next((s for s in (1, 2, 5, 10, 20) if span_days / 365.25 / s <= most), 50)
        years = range(start.year + 1, end.year + 1)
        return [(to_ns(datetime(y, 1, 1, tzinfo=UTC)), str(y)) for y in years if y % step == 0]
    if span_days > 70:
        step = next((s for s in (1, 2, 3, 6) if span_days / 30.4 / s <= most), 12)
        return _month_ticks(start, first, last, step)
    if span_days > 2:
        step_days = next((s for s in (1, 2, 5, 7, 14) if span_days / s <= most), 21)
        return _even_ticks(first, last, step_days * NS_PER_DAY, lambda t: f"{t.day} {t:%b}")
    step_hours = next((s for s in (1, 2, 3, 6, 12) if span_days * 24 / s <= most), 24)
    return _even_ticks(first, last, step_hours * NS_PER_DAY // 24, lambda t: f"{t:%H:%M}")


def _month_ticks(start: datetime, first: int, last: int, step: int) -> list[tuple[int, str]]:
    ticks = []
    for i in range(12 * 4):
        month = start.month - 1 + i
        year, month = start.year + month // 12, month % 12 + 1
        at = datetime(year, month, 1, tzinfo=UTC)
        if (month - 1) % step == 0 and first <= to_ns(at) <= last:
            ticks.append((to_ns(at), f"{at:%b} {at:%y}" if month > 1 else str(year)))
    return ticks


def _even_ticks(first: int, last: int, step: int, label: Callable[[datetime], str]) -> list[tuple[int, str]]:
    return [(ns, label(from_ns(ns))) for ns in range(-(-first // step) * step, last + 1, step)]


def thin(values: FloatArray, most: int = 800) -> IntArray:
    """Return the positions of at most about ``most`` points that keep every stretch's lowest and highest value.

    Parameters
    ----------
    values : (T,), NaN where absent
    """
    length = len(values)
    if length <= most:
        return np.arange(length, dtype=np.int64)
    kept = {0, length - 1}
    for block in np.array_split(np.arange(length), max(1, (most - 2) // 2)):
        part = values[block]
        if np.isfinite(part).any():
            kept.add(int(block[np.nanargmin(part)]))
            kept.add(int(block[np.nanargmax(part)]))
        else:
            kept.add(int(block[0]))
    return np.array(sorted(kept), dtype=np.int64)
