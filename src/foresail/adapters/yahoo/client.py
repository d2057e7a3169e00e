"""Asking Yahoo through yfinance, which is imported here only and only when asked.

``_history`` is the one thin function on the network. Questions are paced, because Yahoo answers bursts with 429. A
symbol that fails is listed with its reason and the others go on; after five failures in a row the rest is not asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date
from types import ModuleType
from typing import Any

import pandas as pd

from foresail.adapters.yahoo.wire import VENUE, Answer
from foresail.core.clock import Clock, to_ns
from foresail.core.errors import CapabilityError, MalformedPayloadError, RateLimitedError, VenueError
from foresail.protocols import Progress

__all__ = ["YahooClient"]

_PACE_S = 2.0  # between two symbols
_WAITS_S = (30.0, 120.0)  # before asking again when told to slow down
_FAILURES = 5  # in a row, then the rest is not asked
_TIMEOUT_S = 20.0


class YahooClient:
    """Daily history of one symbol after the other.

    Parameters
    ----------
    clock : tells when each question was asked
    session : HTTP session of curl_cffi or requests for yfinance to use; None = its own
    pause : waits so many seconds

    Raises
    ------
    CapabilityError
        If the extra ``yahoo`` is not installed.
    """

    def __init__(self, clock: Clock, *, session: Any = None, pause: Callable[[float], None] = time.sleep) -> None:
        self._library = _library()
        self._clock = clock
        self._session = session
        self._pause = pause

    def fetch_daily(self, symbols: Sequence[str], *, since: date, progress: Progress) -> list[Answer]:
        """Return one answer for each symbol, with a table or with the reason why there is none."""
        answers: list[Answer] = []
        failures = 0
        for number, symbol in enumerate(symbols):
            progress("fetching from Yahoo", number, len(symbols))
            if failures >= _FAILURES:
                answers.append(Answer(symbol, None, f"not asked: {_FAILURES} failures in a row before", 0))
                continue
            if number:
                self._pause(_PACE_S)
            answer, failed = self._ask(symbol, since)
            failures = failures + 1 if failed else 0
            answers.append(answer)
        progress("fetching from Yahoo", len(symbols), len(symbols))
        return answers

    def _ask(self, symbol: str, since: date) -> tuple[Answer, bool]:
        """Return the answer, and whether the vendor (not the symbol) failed."""
        for wait in (*_WAITS_S, None):
            asked_at = to_ns(self._clock.now())
            try:
                table = _history(self._library, symbol, since, self._session)
            except RateLimitedError as e:
                if wait is None:
                    return Answer(symbol, None, e.text, asked_at), True
                self._pause(wait)
            except VenueError as e:
                return Answer(symbol, None, e.text, asked_at), e.retryable
            else:
                return Answer(symbol, table, "no rows" if table.empty else "", asked_at), False
        raise AssertionError("the last wait is None")


def _library() -> ModuleType:
    try:
        import yfinance
    except ImportError as e:
        raise CapabilityError(
            "fetching from Yahoo needs the library yfinance, which is not installed",
            hint="pip install 'foresail[yahoo]'",
        ) from e
    library: ModuleType = yfinance
    return library


def _of_transport(error: OSError) -> VenueError:
    """Return what an error of the HTTP layer means; with a status the vendor did answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (404, 422):
        return VenueError(f"Yahoo has nothing (HTTP {status})", venue=VENUE)
    if status == 429:
        return RateLimitedError("Yahoo asks to slow down (429)", venue=VENUE, retryable=True)
    return VenueError(f"Yahoo was not reached: {error}", venue=VENUE, retryable=True)


def _history(library: ModuleType, symbol: str, since: date, session: Any) -> pd.DataFrame:
    """Return yfinance's table of one symbol: prices adjusted for splits only, Adj Close beside them.

    Raises
    ------
    RateLimitedError, MalformedPayloadError, VenueError
        ``retryable`` says whether the vendor failed; otherwise it answered that there is nothing.
    """
    debug = getattr(getattr(library, "config", None), "debug", None)
    loud: dict[str, bool] = {"raise_errors": True} if debug is None else {}
    if debug is not None:
        debug.hide_exceptions = False  # else an error becomes an empty table and a line in a log
    try:
        ticker = library.Ticker(symbol, session=session)
        table = ticker.history(
            start=since.isoformat(), interval="1d", auto_adjust=False, actions=False, timeout=_TIMEOUT_S, **loud
        )
    except library.exceptions.YFRateLimitError as e:
        raise RateLimitedError("Yahoo asks to slow down (429)", venue=VENUE, retryable=True) from e
    except library.exceptions.YFException as e:
        raise VenueError(f"Yahoo has nothing: {e}", venue=VENUE) from e
    except OSError as e:
        raise _of_transport(e) from e
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as e:
        text = f"Yahoo answered with something that yfinance cannot read ({type(e).__name__}: {e})"
        raise MalformedPayloadError(text, venue=VENUE, retryable=True) from e
    return table if isinstance(table, pd.DataFrame) else pd.DataFrame()
