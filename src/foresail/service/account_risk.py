"""What a paper account risks, told to a person: value at risk, shortfall, leverage, margin, and how often it was wrong.

``risk_status`` is a part of the status that the daemon writes, ``risk_lines`` its text; ``exceptions`` counts from the
journal the days that lost more than the value at risk of the evening before (RISK-18), and asks Kupiec's test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from foresail.core.clock import from_ns
from foresail.core.ids import InstrumentId
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.risk_figures import LEVELS, account_risk, values_at_risk
from foresail.ledger.books import Books
from foresail.ledger.entries import Entry, SplitApplied, StreamAdvanced
from foresail.risk.profiles import PROFILES
from foresail.service.stream import Stream

__all__ = ["exception_lines", "exceptions", "risk_lines", "risk_status"]

_DIGITS = 6


def risk_status(core: TradingCore) -> dict[str, Any]:
    """Return leverage, margin and value at risk of an account as it stands, plain data; empty where no limits hold."""
    found, limits = account_risk(core), core.parts.limits
    if found is None or limits is None:
        return {}
    book = limits.book
    return {
        "drawdown_target": _drawdown_target(limits.profile),
        "leverage": _plain(found.leverage),
        "margin_used": _plain(found.margin_used),
        "value_at_risk": {
            "days": found.days,
            "limit": book.value_at_risk,
            "one_day": _levels(found.value_at_risk),
            "shortfall": _levels(found.shortfall),
            "ten_days": _levels(found.ten_days),
            "money": {name: round(found.equity * value, 2) for name, value in _levels(found.value_at_risk).items()},
            "positions": {
                str(name): {"value_at_risk": _plain(risk), "shortfall": _plain(beyond)}
                for name, (risk, beyond) in found.names.items()
            },
        },
    }


def risk_lines(status: Mapping[str, Any]) -> list[str]:
    """Return what ``risk_status`` told, as lines; none for a status of before it was told."""
    if "leverage" not in status:
        return []
    aim = status.get("drawdown_target")
    lines = [] if aim is None else [f"drawdown aimed at by the profile: at most {aim:.0%}"]
    lines += [f"leverage {status['leverage']:.2f}, margin in use {status['margin_used']:.0%} of equity"]
    risk = status["value_at_risk"]
    if not risk["one_day"]:
        return [*lines, "value at risk: not known: nothing is held, or fewer than 20 daily returns are"]
    limit = "" if risk["limit"] is None else f" of {risk['limit']:.0%} allowed"
    for level, value in risk["one_day"].items():
        lines.append(
            f"value at risk, one day, {level}: {value:.2%} of equity{limit if level == '95%' else ''} "
            f"({risk['money'][level]:,.2f}); mean loss beyond it {risk['shortfall'][level]:.2%}; "
            f"ten days, simulated: {risk['ten_days'][level]:.2%}"
        )
    return lines


def exceptions(stream: Stream, account: str, entries: Iterable[Entry], returns: Mapping[date, float]) -> dict[str, Any]:
    """Return by level how many days lost more than the value at risk of the evening before, and Kupiec's p-value.

    Days that begin without a position, or with fewer than 20 daily returns known, are not counted; what was traded
    during a day is in its return.

    Parameters
    ----------
    returns : UTC day -> simple return of equity, money paid in or out set aside
    """
    from foresail.measures.exceedances import kupiec_test

    parts, _link = stream.parts(account=account, environment="paper")
    told = _forecasts(parts, entries)
    days = sorted(day for day in told if math.isfinite(returns.get(day, math.nan)))
    found: dict[str, Any] = {}
    for level in LEVELS:
        count = sum(-returns[day] > told[day][level] for day in days)
        share = round(1.0 - level, 12)
        found[_name(level)] = {
            "days": len(days),
            "exceptions": count,
            "expected": round(share * len(days), 4),
            "kupiec_p_value": _plain(kupiec_test(len(days), count, level=share).p_value) if days else None,
        }
    return found


def exception_lines(found: Mapping[str, Any]) -> list[str]:
    """Return what ``exceptions`` told, as lines."""
    return [
        f"value at risk, {level}, was exceeded on {one['exceptions']} of {one['days']} days, {one['expected']:.1f} "
        f"expected (Kupiec p {one['kupiec_p_value']:.2f})"
        if one["days"]
        else f"value at risk, {level}: no day yet on which it could be exceeded"
        for level, one in found.items()
    ]


def _forecasts(parts: TradingParts, entries: Iterable[Entry]) -> dict[date, dict[float, float]]:
    """Return UTC day -> value at risk by level as it stood before the day's first bar."""
    limits, market = parts.limits, parts.market
    if limits is None:
        return {}
    books, told = Books(parts.account, parts.currency, allow_short=True), dict[date, dict[float, float]]()
    newest: date | None = None
    for entry in entries:
        if isinstance(entry, StreamAdvanced):
            day = from_ns(entry.at).date()
            if day != newest:
                newest, found = day, _at_risk(books, parts, limits.book.value_at_risk_days)
                if found:
                    told[day] = found
            for position in range(market.position + 1, entry.position + 1):
                market.advance(position)
        elif isinstance(entry, SplitApplied):
            market.split(entry.instrument, float(entry.ratio))
        books.apply(entry)
    return told


def _at_risk(books: Books, parts: TradingParts, days: int) -> dict[float, float]:
    rates, values = parts.market.rates(), dict[InstrumentId, float]()
    for position in books.positions():
        one, price = parts.instruments[position.instrument], parts.market.price(position.instrument)
        if price is None:
            return {}  # what is held without a price has no known risk
        values[position.instrument] = float(position.quantity * price * one.multiplier) * float(
            rates.get(one.currency, 1)
        )
    return values_at_risk(parts.market, values, float(books.equity(rates=rates)), days) if values else {}


def _drawdown_target(profile: str) -> float | None:
    """Return the drawdown that the profile aims at (RISK-01); the ladder of RISK-19 acts whatever it is."""
    return PROFILES[profile].max_drawdown.value if profile in PROFILES else None


def _levels(values: Mapping[float, float]) -> dict[str, float]:
    return {_name(level): round(value, _DIGITS) for level, value in values.items()}


def _name(level: float) -> str:
    return f"{level:.0%}"


def _plain(value: float) -> float | None:
    return round(float(value), _DIGITS) if math.isfinite(value) else None
