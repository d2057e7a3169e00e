"""Numbers as a reader wants them: a unit, sensible digits, a true minus sign, a dash for what is absent."""

from __future__ import annotations

import math

from foresail.core.clock import from_ns
from foresail.domain.runs import Interval

__all__ = [
    "ABSENT",
    "bars",
    "count",
    "day",
    "decimal",
    "interval",
    "money",
    "percent",
    "price",
    "probability",
    "scientific",
    "share",
    "tone",
]

ABSENT = "–"
_MINUS = "−"
_SPACE = "\u00a0"  # a unit never starts a line


def percent(value: float, digits: int = 1, *, signed: bool = False) -> str:
    """Return a fraction as percent: 0.0512 is ``5.1 %``."""
    if not math.isfinite(value):
        return ABSENT
    return f"{_number(100 * value, 0 if abs(value) >= 10 else digits, signed=signed)}{_SPACE}%"


def decimal(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """Return a plain number with fixed digits."""
    return _number(value, digits, signed=signed) if math.isfinite(value) else ABSENT


def probability(value: float) -> str:
    """Return a probability with two digits, rounded down: .9499 is not the .95 that it misses, nor .999 a certainty."""
    if not math.isfinite(value):
        return ABSENT
    if 0 < value < 0.01:
        return "< 0.01"
    if 0.99 < value < 1:
        return "> 0.99"
    return f"{math.floor(value * 100.0 + 1e-9) / 100.0:.2f}"


def money(value: float, currency: str) -> str:
    """Return money: whole units from 1,000 on, cents below."""
    if not math.isfinite(value):
        return ABSENT
    return f"{_number(value, 0 if abs(value) >= 1_000 else 2)}{_SPACE}{currency}".rstrip()


def price(value: float) -> str:
    """Return a price with the digits that matter at its size: 43,250 and 182.50 and 1.0845."""
    if not math.isfinite(value):
        return ABSENT
    size = abs(value)
    return _number(value, 0 if size >= 10_000 else 2 if size >= 10 else 4 if size >= 0.1 else 6)


def count(value: float) -> str:
    """Return a count with thousands separated."""
    return f"{value:,.0f}" if math.isfinite(value) else ABSENT


def interval(value: Interval, unit: str = "percent", digits: int = 1) -> str:
    """Return a figure with its 95 % interval, or the figure alone where there is none.

    Parameters
    ----------
    unit : "percent" or "number"
    """
    show = percent if unit == "percent" else decimal
    if not math.isfinite(value.value):
        return ABSENT
    head = show(value.value, digits, signed=True)
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return head
    return f"{head} [{show(value.low, digits, signed=True)}, {show(value.high, digits, signed=True)}]"


def share(value: Interval, digits: int = 1) -> str:
    """Return a share with its 95 % interval, without signs."""
    if not math.isfinite(value.low):
        return percent(value.value, digits)
    return f"{percent(value.value, digits)} [{percent(value.low, digits)}, {percent(value.high, digits)}]"


def scientific(value: float) -> str:
    """Return a number of any size with three digits that matter."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return text.replace("-", _MINUS)


def tone(value: Interval) -> str:
    """Return the colour of a bar: strong only where the interval leaves zero out."""
    if math.isfinite(value.low) and value.low > 0:
        return "s-net"
    if math.isfinite(value.high) and value.high < 0:
        return "s-bad"
    return "s-gross"


def bars(number: int) -> str:
    """Return a number of bars in words."""
    return f"{number:,} bar" if number == 1 else f"{number:,} bars"


def day(ns: int) -> str:
    """Return the UTC date of a time."""
    return from_ns(ns).strftime("%Y-%m-%d")


def _number(value: float, digits: int, *, signed: bool = False) -> str:
    text = f"{abs(value):,.{digits}f}"
    if not any(c in "123456789" for c in text):
        return text  # no minus zero
    return (_MINUS if value < 0 else "+" if signed else "") + text
