"""How an account stands, for screens: money, positions with their stops, halts, breakers, links, latency (PAPER-03)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from foresail.core.canonical import hash_value
from foresail.core.clock import format_ns
from foresail.engine.trading.account import AccountRun
from foresail.engine.trading.paying import withdrawable
from foresail.service.account_risk import risk_lines, risk_status
from foresail.service.links import LINK_FACTS

__all__ = ["latency_figures", "status_lines", "status_of"]

_BUDGET_MS = 50.0  # EXEC-05: signal to execution


def status_of(run: AccountRun, total: int, *, is_running: bool) -> dict[str, Any]:
    """Return what a person wants to know of an account, as plain data; money is text."""
    books, market = run.core.books, run.core.parts.market
    return {
        "account": books.name,
        "running": is_running,
        "events": run.applied,
        "events_in_all": total,
        "bar": run.core.stream_position(),
        "at": format_ns(books.at) if books.at else "",
        "currency": books.currency,
        "cash": str(books.cash),
        "equity": str(books.equity(rates=market.rates())),
        "withdrawable": str(withdrawable(run.core)),
        "transfer_fraction": str(run.core.parts.transfer_fraction),
        "positions": {p.instrument: str(p.quantity) for p in books.positions()},
        "levels": {
            name: {"stop": stop, "target": target} for name, (stop, target) in sorted(run.core.levels.standing.items())
        },
        "open_orders": sum(1 for _one in run.core.orders.open()),
        "blocked": dict(run.core.orders.blocked()),
        "halted": {scope or "account": list(why) for scope, why in run.core.latches.halted.items()},
        **_risk_of(run),
        "links": {name: value for name, value in run.core.notes.facts.items() if name in LINK_FACTS},
        "entries": books.entries,
        "books": hash_value(asdict(books.state())),
    }


def _risk_of(run: AccountRun) -> dict[str, Any]:
    """Return drawdown, losses and the breakers in force; nothing where no limits hold."""
    state, now = run.core.risk, run.core.books.at
    if state is None:
        return {}
    return {
        "drawdown": round(state.drawdown, 6),
        "day_loss": round(state.day_loss(), 6),
        "week_loss": round(state.week_loss(), 6),
        "breakers": {
            rule: {"since": format_ns(one.since), "until": format_ns(one.until) if one.until else "", "text": one.text}
            for rule, one in sorted(state.breakers_in_force(now).items())
        },
        "limits": state.memory.limits_digest,
        **risk_status(run.core),
    }


def latency_figures(milliseconds: Sequence[float]) -> dict[str, Any]:
    """Return how long decisions took until their orders were durable and sent, ms, beside the budget (EXEC-05).

    Parameters
    ----------
    milliseconds : of every decision with orders of this process
    """
    if not milliseconds:
        return {"decisions": 0, "p50_ms": None, "p99_ms": None, "budget_ms": _BUDGET_MS, "within": None}
    ordered = sorted(milliseconds)
    within = sum(one <= _BUDGET_MS for one in ordered) / len(ordered)
    return {
        "decisions": len(ordered),
        "p50_ms": round(ordered[len(ordered) // 2], 3),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3),
        "budget_ms": _BUDGET_MS,
        "within": round(within, 6),
    }


def status_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a status as the screen shows it."""
    lines = [f"account {document['account']}: " + ("running" if document["running"] else "not running")]
    if "equity" in document:
        lines += [
            f"bar {document['bar']}, event {document['events']} of {document['events_in_all']}, {document['at']}",
            f"equity {document['equity']} {document['currency']}, cash {document['cash']}",
            "positions: " + (", ".join(_held(document, name) for name in document["positions"]) or "none"),
        ]
        lines += [f"HALTED {scope}: {why[1]} ({why[0]})" for scope, why in document["halted"].items()]
    silent = document.get("links", {}).get("data_link_silence_s", 0.0)
    if silent > 0:
        lines.append(
            f"NO NEW BARS: the next one was due {silent:.0f} s before this was told; nothing is opened (RISK-31)"
        )
    if "drawdown" in document:
        lines.append(f"drawdown {document['drawdown']:.2%}, lost today {document['day_loss']:.2%}")
    lines += risk_lines(document)
    lines += [
        f"BREAKER {rule} since {one['since']}, {'until ' + one['until'] if one['until'] else 'until a person re-arms'}"
        for rule, one in document.get("breakers", {}).items()
    ]
    latency = document.get("latency", {})
    if latency.get("decisions"):
        lines.append(
            f"decision to durable orders: p50 {latency['p50_ms']:.1f} ms, p99 {latency['p99_ms']:.1f} ms of "
            f"{latency['decisions']} decisions; budget {latency['budget_ms']:.0f} ms (EXEC-05)"
        )
    return lines


def _held(document: Mapping[str, Any], name: str) -> str:
    """Return a position with the stop and the target that hang on it."""
    levels = document.get("levels", {}).get(name, {})  # a status of an older release has none
    told = [f"{what} {levels[what]:g}" for what in ("stop", "target") if levels.get(what) is not None]
    return f"{name} {document['positions'][name]} ({', '.join(told) or 'no stop'})"
