"""Bars from a vendor into the workspace's store, for users with a network.

Vendors adjust prices as of the day of asking, so two fetches do not fit together: a stored set of the name is refused.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from foresail.adapters.yahoo.client import YahooClient
from foresail.adapters.yahoo.universe import members, parse_symbols
from foresail.adapters.yahoo.wire import VENUE, parse_answers
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.protocols import Progress
from foresail.service.importing import open_store, store_bars
from foresail.service.outcome import Outcome

__all__ = ["FetchRequest", "fetch_set"]

_SOURCES = (VENUE,)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to fetch.

    Attributes
    ----------
    symbols : comma-separated tickers, or None
    universe : nasdaq100 or sp500, or None
    since : first day, YYYY-MM-DD
    name : of the stored set
    """

    symbols: str | None = None
    universe: str | None = None
    source: str = VENUE
    since: str = "2015-01-01"
    name: str = "fetched"


def fetch_set(
    request: FetchRequest,
    *,
    progress: Progress,
    clock: Clock | None = None,
    session: Any = None,
    pause: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Fetch daily bars, check and store them; symbols that gave nothing are listed.

    Parameters
    ----------
    clock : tells when each question was asked and when bars were recorded
    session : HTTP session for the vendor's library
    pause : waits so many seconds between questions

    Raises
    ------
    ConfigError
        If the request is not complete, contradicts itself, or names a set that exists.
    CapabilityError
        If the vendor's library is not installed.
    DataError
        If no symbol gave a bar.
    """
    since = _checked(request)
    symbols, origin = _symbols(request)
    watch = clock or SystemClock()
    client = YahooClient(watch, session=session, pause=pause)
    answers = client.fetch_daily(symbols, since=since, progress=progress)
    parsed = parse_answers(answers, name=request.name, universe_basis="hindsight")
    stored = store_bars(parsed.bars, parsed.bar_set, parsed.quarantined, [origin, *parsed.notes], clock=watch)
    missing = [{"symbol": symbol, "reason": reason} for symbol, reason in parsed.missing]
    lines = [f"fetched {len(symbols) - len(missing)} of {len(symbols)} symbols from {request.source}"]
    lines += [f"  nothing for {symbol}: {reason}" for symbol, reason in parsed.missing]
    document = {"source": request.source, "asked": list(symbols), "nothing_came": missing, **stored.document}
    return Outcome(document, [*lines, *stored.lines])


def _checked(request: FetchRequest) -> date:
    if request.source not in _SOURCES:
        raise UnknownNameError("source", request.source, _SOURCES)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", request.name):
        raise ConfigError(f"a set name has letters, digits, _ and - only, received {request.name!r}")
    if (request.symbols is None) == (request.universe is None):
        raise ConfigError(
            "expected either --symbols or --universe",
            hint="foresail fetch --symbols AAPL,MSFT   (or --universe nasdaq100)",
        )
    if request.name in {bar_set.name for bar_set in open_store().sets()}:
        raise ConfigError(
            f"set {request.name!r} is stored already; prices adjusted on different days do not fit together",
            hint="choose another name: --name NAME",
        )
    try:
        return date.fromisoformat(request.since)
    except ValueError as e:
        raise ConfigError(f"expected --since YYYY-MM-DD, received {request.since!r}") from e


def _symbols(request: FetchRequest) -> tuple[tuple[str, ...], str]:
    if request.universe is not None:
        return members(request.universe)
    chosen = parse_symbols((request.symbols or "").split(","))
    return chosen, f"{len(chosen)} names chosen today, after the bars were made: hindsight"
