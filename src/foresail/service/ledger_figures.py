"""``foresail ledger figures``: results by strategy, side, sector, hour, signal or model (ATTR-02), out of the journal.

An account has its bars beside it, and so has a backtest as long as its bars are stored as they were: rates, sectors,
and 1/N of the names as the benchmark of alpha and beta. A journal by itself has none of them; what needs them says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_value
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError, ForesailError, UnknownNameError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.calendars import bars_per_year
from foresail.domain.instruments import Instrument
from foresail.domain.panel import Panel
from foresail.engine.trading.market import PanelMarket
from foresail.ledger.books import Books
from foresail.ledger.entries import (
    Deposited,
    Entry,
    Marked,
    OrderIntended,
    Reviewed,
    SharesPlanned,
    SplitApplied,
    StreamAdvanced,
)
from foresail.measures.performance import performance_figures
from foresail.portfolio.attribution import (
    GroupFigures,
    Key,
    by_class,
    by_hour,
    by_instrument,
    by_sector,
    by_side,
    by_strategy,
    group_figures,
    strategy_profits,
)
from foresail.service.account_risk import exception_lines, exceptions
from foresail.service.accounts import AccountFolder
from foresail.service.backtest import BACKTEST_FILE
from foresail.service.ledger import LedgerRequest, entries_of
from foresail.service.loading import load_bars, parse_until
from foresail.service.monitor import account_record
from foresail.service.outcome import Outcome
from foresail.service.stream import open_stream
from foresail.service.workspace import find_workspace

__all__ = ["GROUPS", "show_figures"]

GROUPS = ("strategy", "side", "sector", "class", "hour", "instrument", "signal", "model")
_NS_PER_YEAR = 365.25 * NS_PER_DAY
_UNKNOWN = "not told"
_OF_SIGNALS: dict[str, str] = {"signal": "rule", "model": "model"}


@dataclass(frozen=True, slots=True, eq=False)
class _Journal:
    """Entries with what is beside them.

    Attributes
    ----------
    equity : (T,) at the marks, account currency
    benchmark : (T,) simple return of 1/N from mark to mark; None without bars
    rates : account currency per unit of another, at the end
    instruments : empty without bars
    strategies : of a netted account
    exceptions : days beyond the value at risk, by level (RISK-18); empty without bars
    """

    entries: list[Entry]
    currency: str
    equity: FloatArray
    bars_per_year: float
    rates: Mapping[str, float]
    benchmark: FloatArray | None
    instruments: Mapping[InstrumentId, Instrument]
    strategies: tuple[str, ...]
    exceptions: dict[str, Any] = field(default_factory=dict)


def show_figures(request: LedgerRequest, *, by: str, zone: str = "UTC") -> Outcome:
    """Tell the figures of every group of trades.

    Parameters
    ----------
    by : one of ``GROUPS``
    zone : of the hours

    Raises
    ------
    UnknownNameError
        If there is no such group.
    ConfigError
        If the group needs more than a journal by itself holds.
    """
    if by not in GROUPS:
        raise UnknownNameError("group of figures", by, GROUPS)
    found_bars = _with_bars(request) if request.account is not None else _of_backtest(request)
    journal = _alone(request) if isinstance(found_bars, str) else found_bars
    is_netted = any(isinstance(one, SharesPlanned) for one in journal.entries)
    if by == "strategy" and is_netted:
        rows = _of_strategies(journal)
    else:
        entries, key = _key(journal, by, zone)
        found = group_figures(
            entries,
            key,
            equity=journal.equity,
            bars_per_year=journal.bars_per_year,
            benchmark=journal.benchmark,
            rates=journal.rates,
        )
        rows = [_row(name or _UNKNOWN, one) for name, one in found.items()]
    document = {
        "by": by,
        "currency": journal.currency,
        "marks": len(journal.equity),
        "groups": rows,
        "benchmark": f"none: {found_bars}" if isinstance(found_bars, str) else "1/N of the names",
        "value_at_risk_exceptions": journal.exceptions,
    }
    return Outcome(document, _lines(document))


def _key(journal: _Journal, by: str, zone: str) -> tuple[Sequence[Entry], Key]:
    """Return the entries to walk and the key of a group."""
    if by in _OF_SIGNALS:
        return _named_by_signal(journal.entries, _OF_SIGNALS[by]), by_strategy
    if by == "sector" and not journal.instruments:
        raise ConfigError("a journal by itself holds no sectors", hint="name the account: --account NAME")
    plain: dict[str, Callable[[], Key]] = {
        "strategy": lambda: by_strategy,
        "side": lambda: by_side,
        "instrument": lambda: by_instrument,
        "hour": lambda: by_hour(zone),
        "sector": lambda: by_sector(journal.instruments),
        "class": lambda: (
            by_class(journal.instruments)
            if journal.instruments
            else lambda opening: opening.instrument.partition(".")[0]
        ),
    }
    return journal.entries, plain[by]()


def _named_by_signal(entries: Sequence[Entry], what: str) -> list[Entry]:
    """Return entries in which every order names, in place of its strategy, the signal or model behind it."""
    behind: dict[OrderId, str] = {}
    out: list[Entry] = []
    for entry in entries:
        if isinstance(entry, Reviewed):
            for one in entry.orders:
                names = sorted({str(getattr(signal, what)) for signal in one.signals})
                behind[one.order_id] = " + ".join(name for name in names if name)
        if isinstance(entry, OrderIntended):
            out.append(replace(entry, order=replace(entry.order, strategy=behind.get(entry.order.id, ""))))
        else:
            out.append(entry)
    return out


def _of_strategies(journal: _Journal) -> list[dict[str, Any]]:
    """Return the figures of strategies with books of their own; a share of an order is no trade of its own."""
    if not journal.strategies:
        raise ConfigError(
            "the strategies of this journal were netted, and their books need the account's bars",
            hint="name the account: --account NAME",
        )
    profits = strategy_profits(journal.entries, journal.strategies, journal.instruments, journal.currency)
    before = journal.equity - np.sum(list(profits.values()), axis=0)
    rows = []
    for name, money in profits.items():
        found = performance_figures(money / before, bars_per_year=journal.bars_per_year)
        rows.append(
            {
                "group": name or "no strategy",
                "profit": _plain(float(money.sum())),
                "total_return": _plain(found.total_return),
                "sharpe": _plain(found.sharpe_ratio),
                "sortino": _plain(found.sortino_ratio),
                "max_drawdown": _plain(found.max_drawdown.depth),
            }
        )
    return rows


def _row(name: str, one: GroupFigures) -> dict[str, Any]:
    hold = one.trades.average_holding
    return {
        "group": name,
        "profit": _plain(one.profit),
        "total_return": _plain(one.performance.total_return),
        "sharpe": _plain(one.performance.sharpe_ratio),
        "sortino": _plain(one.performance.sortino_ratio),
        "max_drawdown": _plain(one.performance.max_drawdown.depth),
        "trades": one.trades.trades,
        "win_rate": _plain(one.trades.win_rate),
        "average_win": _plain(one.trades.average_win),
        "average_loss": _plain(one.trades.average_loss),
        "profit_factor": _plain(one.trades.profit_factor),
        "average_holding_days": _plain(hold / NS_PER_DAY),
        "cost": _plain(one.cost),
        "cost_impact": _plain(one.cost_impact),
        "alpha": _plain(one.alpha),
        "beta": _plain(one.beta),
    }


def _plain(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _alone(request: LedgerRequest) -> _Journal:
    """Return a journal without its bars; positions in several currencies have no equity there."""
    entries = entries_of(request)
    currency = next((e.currency for e in entries if isinstance(e, Deposited) and e.currency), "USD")
    books, equity, times = Books("main", currency, allow_short=True), list[float](), list[int]()
    for entry in entries:
        books.apply(entry)
        if isinstance(entry, Marked):
            if len(books.currencies) > 1:
                raise ConfigError(
                    "a journal by itself holds no rates of other currencies", hint="name the account: --account NAME"
                )
            equity.append(float(books.equity()))
            times.append(entry.at)
    years = (times[-1] - times[0]) / _NS_PER_YEAR if len(times) > 1 else 1.0
    return _Journal(entries, currency, np.array(equity), len(times) / max(years, 1e-9), {}, None, {}, ())


def _with_bars(request: LedgerRequest) -> _Journal:
    """Return the journal of an account beside the bars that it trades."""
    workspace = find_workspace()
    folder = AccountFolder(workspace, request.account or "").existing()
    stream = open_stream(replace(folder.settle_request(None)[0], until=None), workspace, check_leaks=False)
    entries = entries_of(request)
    parts, link = stream.parts(account=folder.name, environment="paper")
    equity, places, rates = _walk(link.market, parts.currency, folder.name, entries)
    return _Journal(
        entries,
        parts.currency,
        equity,
        stream.inputs.bars_per_year,
        {name: float(rate) for name, rate in rates.items()},
        _one_over_n(stream.inputs.data.bars, places),
        parts.instruments,
        parts.strategies,
        exceptions(stream, folder.name, entries, account_record(stream, folder.name, entries).returns),
    )


def _of_backtest(request: LedgerRequest) -> _Journal | str:
    """Return the journal of a backtest beside the bars that its folder names, or why they are not there."""
    kept = None if request.journal is None else request.journal.parent / BACKTEST_FILE
    if kept is None or not kept.is_file():
        return "a journal without its bars"
    document = json.loads(kept.read_bytes())
    asked, record = document.get("request"), document["record"]
    if asked is None:
        return "the folder is of a release that did not keep where its bars came from"
    try:
        loaded = load_bars(
            asked["bars"],
            workspace=find_workspace(),
            until_ns=parse_until(asked["until"]),
            timezone=asked["timezone"],
            names=asked["names"],
        )
    except ForesailError as error:
        return f"its bars are not there: {error}"
    if hash_value(loaded.inputs) != hash_value(record["inputs"]):
        return "its bars are stored otherwise now"
    bars, entries, currency = loaded.data.bars, entries_of(request), str(record["currency"])
    instruments = {one.id: one for one in loaded.data.bar_set.instruments}
    equity, places, rates = _walk(PanelMarket(bars, instruments, currency), currency, "backtest", entries)
    return _Journal(
        entries,
        currency,
        equity,
        bars_per_year(bars.calendar, bars.frame),
        {name: float(rate) for name, rate in rates.items()},
        _one_over_n(bars, places),
        instruments,
        tuple(asked["strategies"]),
    )


def _walk(
    market: PanelMarket, currency: str, name: str, entries: Sequence[Entry]
) -> tuple[FloatArray, list[int], Mapping[str, Decimal]]:
    """Return equity and time position of every mark, and the rates at the end.

    The journal of an account says how far its stream was; that of a backtest is marked with every bar.
    """
    books, ends = Books(name, currency, allow_short=True), market.bars.end
    is_told = any(isinstance(one, StreamAdvanced) for one in entries)
    equity, places = list[float](), list[int]()
    for entry in entries:
        books.apply(entry)
        reached = market.position
        if isinstance(entry, StreamAdvanced):
            reached = entry.position
        elif isinstance(entry, Marked) and not is_told:
            reached = int(np.searchsorted(ends, entry.at, side="right")) - 1
        for position in range(market.position + 1, reached + 1):
            market.advance(position)
        if isinstance(entry, SplitApplied):
            market.split(entry.instrument, float(entry.ratio))
        elif isinstance(entry, Marked):
            equity.append(float(books.equity(rates=market.rates())))
            places.append(market.position)
    return np.array(equity), places, market.rates()


def _one_over_n(bars: Panel, places: Sequence[int]) -> FloatArray:
    """Return the mean simple return of all names with a print at both ends, from mark to mark, dividends included."""
    prices = bars.field("close") * (bars.field("total_factor") if bars.has("total_factor") else 1.0)
    out = np.zeros(len(places))
    for k in range(1, len(places)):
        moves = prices[:, places[k]] / prices[:, places[k - 1]] - 1.0
        known = moves[np.isfinite(moves)]
        out[k] = known.mean() if len(known) else 0.0
    return out


def _lines(document: dict[str, Any]) -> list[str]:
    head = f"results by {document['by']}, {document['marks']} marks, {document['currency']}; {document['benchmark']}"
    lines = [
        head,
        f"  {'group':<32} {'profit':>12} {'trades':>7} {'win rate':>9} {'factor':>7} {'Sharpe':>7} {'drawdown':>9} "
        f"{'cost':>10} {'beta':>6}",
    ]
    lines += [
        (
            f"  {one['group']:<32} {one['profit'] or 0.0:>12.2f} {one.get('trades', '-'):>7} "
            f"{_told(one.get('win_rate'), '.0%'):>9} {_told(one.get('profit_factor'), '.2f'):>7} "
            f"{_told(one['sharpe'], '.2f'):>7} {_told(one['max_drawdown'], '.1%'):>9} "
            f"{_told(one.get('cost'), '.2f'):>10} {_told(one.get('beta'), '.2f'):>6}"
        )
        for one in document["groups"]
    ]
    return [*lines, *exception_lines(document["value_at_risk_exceptions"])]


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
