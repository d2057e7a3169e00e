"""``foresail ledger`` and ``foresail rebuild``: read a journal, check it, and restore what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import execute

__all__ = ["ledger_app", "rebuild_command"]

ledger_app = typer.Typer(no_args_is_help=True, help="Read and check a journal.", rich_markup_mode=None)

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
_Account = Annotated[str | None, typer.Option("--account", help="Name of an account in this workspace.")]
_Journal = Annotated[Path | None, typer.Option("--journal", help="A journal folder or file, instead of an account.")]


@ledger_app.callback()
def _group() -> None:
    """Read and check a journal."""


@ledger_app.command("show")
def _show(
    *,
    account: _Account = None,
    journal: _Journal = None,
    last: Annotated[int, typer.Option("--last", min=0, help="So many of the newest entries.")] = 20,
    kind: Annotated[str | None, typer.Option("--kind", help="Only entries of this kind, e.g. FillBooked.")] = None,
    as_json: _Json = False,
) -> None:
    """Tell positions, money and the newest entries of a journal; a running account may be read."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.ledger import LedgerRequest, show_ledger

        outcome = show_ledger(LedgerRequest(account, journal), last=last, kind=kind)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@ledger_app.command("verify")
def _verify(*, account: _Account = None, journal: _Journal = None, as_json: _Json = False) -> None:
    """Check every hash and number of a journal; exit 4 with the place of the first damage."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.ledger import LedgerRequest, verify_ledger

        outcome = verify_ledger(LedgerRequest(account, journal))
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


@ledger_app.command("figures")
def _figures(
    *,
    by: Annotated[
        str, typer.Option("--by", help="strategy, side, sector, class, hour, instrument, signal or model.")
    ] = "strategy",
    account: _Account = None,
    journal: _Journal = None,
    zone: Annotated[str, typer.Option("--zone", help="Zone of the hours, for example America/New_York.")] = "UTC",
    as_json: _Json = False,
) -> None:
    """Tell results by group: profit, Sharpe ratio, drawdown, trades, costs, alpha and beta (ATTR-02)."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.ledger import LedgerRequest
        from foresail.service.ledger_figures import show_figures

        outcome = show_figures(LedgerRequest(account, journal), by=by, zone=zone)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)


def rebuild_command(
    *,
    account: _Account = None,
    journal: _Journal = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; for an account its own tables/.")] = None,
    as_json: _Json = False,
) -> None:
    """Write orders, executions, equity, trades and positions again from a journal."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.ledger import LedgerRequest, rebuild_tables

        outcome = rebuild_tables(LedgerRequest(account, journal), out=out)
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
