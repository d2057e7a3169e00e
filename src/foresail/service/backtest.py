"""``foresail backtest``: one strategy over history on the engine of paper and live, with the journal in the run folder.

It tells money and costs, no verdict: ``foresail run --plugin`` judges a strategy, with trials counted and canaries.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from foresail import __version__
from foresail.core.canonical import canonical_bytes, hash_bytes, hash_value, write_atomic
from foresail.core.clock import format_ns
from foresail.core.errors import UserError
from foresail.engine.backtest import Backtest, run_backtest
from foresail.ledger.codec import encode_entry
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import BreakerTripped, Entry
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session
from foresail.measures.performance import max_drawdown, sharpe_ratio
from foresail.measures.returns import simple_returns
from foresail.protocols import Progress
from foresail.service.accounts import resolved_bars
from foresail.service.outcome import Outcome
from foresail.service.shared_backtest import SharedBacktest, run_shared_backtest
from foresail.service.stream import Stream, StreamRequest, fingerprint_of, open_stream
from foresail.service.workspace import find_workspace

__all__ = ["BACKTEST_FILE", "entries_hash", "run_strategy_backtest"]

BACKTEST_FILE = "backtest.json"
_GROUP = 1000  # entries in one commit: nothing leaves, so nothing waits for it


def run_strategy_backtest(request: StreamRequest, *, out: Path | None, force: bool, progress: Progress) -> Outcome:
    """Run a strategy on stored bars; write ``backtest.json`` and ``journal/``.

    Raises
    ------
    UserError
        If the folder exists and ``force`` is not given.
    ConfigError
        If a book cannot be used.
    LookAheadError
        If the strategy looks ahead.
    """
    workspace = find_workspace()
    stream = open_stream(request, workspace, check_leaks=True)
    record = stream.record()
    target = out or workspace / "runs" / f"backtest-{stream.loaded.data.bar_set.name}-{hash_value(record)[:8]}"
    if target.exists() and not force:
        raise UserError(f"{target} exists", hint="choose another --out, or add --force to replace it")
    result: Backtest | SharedBacktest
    if stream.is_plain:
        result = run_backtest(
            stream.inputs, strategy=stream.strategy(), first=0, limits=stream.limits(), progress=progress
        )
    else:
        result = run_shared_backtest(stream, progress=progress)
    document = {
        "format": 1,
        "record": record,
        "fingerprint": fingerprint_of(record, entries_hash(result.journal)),
        "request": _request(request, stream),
        **_figures(result, stream),
    }
    _write(target, document, result.journal, stream)
    return Outcome({"run": str(target), **document}, _lines(document, target))


def _request(request: StreamRequest, stream: Stream) -> dict[str, Any]:
    """Return where the bars came from, so that figures of the journal find them again."""
    return {
        "bars": resolved_bars(request.bars),
        "until": request.until,
        "timezone": request.timezone,
        "names": request.names,
        "strategies": sorted(plugin.id for plugin in stream.plugins) if stream.shares else [],
    }


def entries_hash(entries: tuple[Entry, ...]) -> str:
    """Return the hash of a journal's content."""
    return hash_bytes(b"\n".join(encode_entry(one) for one in entries))


def _figures(result: Backtest | SharedBacktest, stream: Stream) -> dict[str, Any]:
    """Return what came of it: net, gross and at twice the cost."""
    year = result.bars_per_year
    returns = simple_returns(result.net)
    return {
        "currency": stream.settings.currency,
        "bars": len(result.net),
        "net": _money(result.net[-1]),
        "gross": _money(result.gross[-1]),
        "net_at_twice_cost": _money(result.net_2x[-1]),
        "cost": str(result.total_cost),
        "sharpe_net": _rounded(sharpe_ratio(returns, bars_per_year=year)),
        "max_drawdown": _rounded(max_drawdown(returns).depth),
        "orders": len(result.orders),
        "orders_cut_or_refused": sum(1 for one in result.orders if one.rulings),
        "fills": len(result.fills),
        "trades": len(result.trades),
        "breakers": _breakers(result.journal),
        "warnings": stream.warnings(),
        **({"strategies": result.profits} if isinstance(result, SharedBacktest) and result.profits else {}),
    }


def _breakers(entries: tuple[Entry, ...]) -> dict[str, dict[str, Any]]:
    """Return how often each breaker tripped, and when first; nobody is there to reset one in a backtest."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if isinstance(entry, BreakerTripped):
            one = found.setdefault(entry.rule, {"first": format_ns(entry.at), "text": entry.text, "times": 0})
            one["times"] += 1
    return found


def _money(value: float) -> str:
    return f"{value:.2f}"


def _rounded(value: float) -> float | None:
    return None if value != value else round(float(value), 6)  # noqa: PLR0124 NaN is the one number that differs


def _write(target: Path, document: dict[str, Any], entries: tuple[Entry, ...], stream: Stream) -> None:
    """Write the folder beside its place and put it there whole."""
    waiting = target.with_name(f".tmp-{target.name}")
    shutil.rmtree(waiting, ignore_errors=True)
    session = Session("backtest", "backtest", __version__, hash_value(stream.identity()))
    log = EntryLog.open(RealDisk(waiting / "journal"), session, at=0)
    try:
        for number, entry in enumerate(entries):
            log.append(replace(entry, sequence=log.next_sequence))
            if number % _GROUP == 0:
                log.commit()
        log.commit()
    finally:
        log.close()
    write_atomic(waiting / BACKTEST_FILE, canonical_bytes(document))
    if target.exists():
        shutil.rmtree(target)
    waiting.rename(target)


def _lines(document: dict[str, Any], target: Path) -> list[str]:
    currency = document["currency"]
    return [
        f"{document['record']['strategy']} on {document['record']['bars']}: {document['bars']} bars",
        f"net of costs {document['net']} {currency}, gross {document['gross']}, at twice the cost "
        f"{document['net_at_twice_cost']}; costs {document['cost']}",
        f"Sharpe ratio {document['sharpe_net']}, largest drawdown {document['max_drawdown']}; "
        f"{document['orders']} orders ({document['orders_cut_or_refused']} cut or refused), {document['fills']} fills",
        *(
            f"breaker {rule} tripped {one['times']} x, first {one['first']}"
            for rule, one in document["breakers"].items()
        ),
        *(f"profit of {name or 'no strategy'}: {profit}" for name, profit in document.get("strategies", {}).items()),
        *(f"warning: {text}" for text in document["warnings"]),
        f"fingerprint {document['fingerprint'][:16]}; journal in {target / 'journal'}",
        "this is no verdict: foresail run --plugin judges a strategy against 1/N of the same names",
    ]
