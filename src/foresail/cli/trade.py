"""``foresail paper``, ``kill``, ``backtest`` and ``parity``: trading on one engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import Progress, execute

__all__ = ["backtest_command", "kill_command", "paper_app", "parity_command"]

paper_app = typer.Typer(
    no_args_is_help=True, help="Paper trading: start, stop, kill and restart at will.", rich_markup_mode=None
)

_Json = Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")]
_Account = Annotated[str, typer.Option("--account", help="Name of the account in this workspace.")]
_Until = Annotated[str | None, typer.Option("--until", help="YYYY-MM-DD: nothing available after that day, UTC.")]
_Capital = Annotated[str | None, typer.Option("--capital", help="For example '100000 USD'.")]
_Names = Annotated[int | None, typer.Option("--names", min=1, help="Only the first so many instruments, by id.")]
_Zone = Annotated[str | None, typer.Option("--timezone", help="Zone of times that carry none.")]
_Strategies = Annotated[
    list[str] | None,
    typer.Option("--strategy", help="A strategy file, or FILE=SHARE of the equity; several may be given."),
]
_Slice = Annotated[
    str, typer.Option("--slice", help="How large orders leave: twap:6:1h, vwap:8:30m or pov:6:1h:0.1; empty = at once.")
]
_Book = Annotated[
    list[str] | None,
    typer.Option("--book", help="Recorded order book on which orders fill: FILE, or INSTRUMENT=FILE."),
]
_Profile = Annotated[str | None, typer.Option("--profile", help="Risk profile.")]


def _leave(outcome: Any) -> tuple[Any, list[str], int]:
    return outcome.document, outcome.lines, outcome.exit_code


@paper_app.command("start")
def _start(
    *,
    account: _Account = "paper",
    bars: Annotated[
        str | None, typer.Option("--bars", help="Set to replay; left out, what the account traded before.")
    ] = None,
    strategy: _Strategies = None,
    speed: Annotated[str, typer.Option("--speed", help="max, or times the bars' own time: 1x, 60x.")] = "max",
    until: _Until = None,
    capital: _Capital = None,
    profile: _Profile = None,
    names: _Names = None,
    timezone: _Zone = None,
    slices: _Slice = "",
    book: _Book = None,
    snapshot_every: Annotated[int, typer.Option("--snapshot-every", min=1, help="Events between snapshots.")] = 1000,
    follow: Annotated[
        float | None, typer.Option("--follow", help="Go on with newly stored bars, looked for every so many seconds.")
    ] = None,
    confirm_limits: Annotated[
        str | None, typer.Option("--confirm-limits", help="Who lets limits be loosened; it is journalled.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Run an account here until its bars end, or SIGTERM; a killed one goes on where it stood."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.accounts import asked_stream
        from foresail.service.paper import PaperRequest, start_paper

        stream = asked_stream(
            bars, strategy or (), until=until, capital=capital, profile=profile, names=names, timezone=timezone,
            slices=slices, books=tuple(book or ()),
        )  # fmt: skip
        request = PaperRequest(
            account, stream, speed=speed, snapshot_every=snapshot_every, confirm_limits=confirm_limits, follow_s=follow
        )
        return _leave(start_paper(request, progress=Progress()))

    execute(work, as_json=as_json)


@paper_app.command("status")
def _status(*, account: _Account = "paper", as_json: _Json = False) -> None:
    """Say what an account holds, how it fares, what was alerted, and whether it runs."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.paper import paper_status

        return _leave(paper_status(account, is_measured=True))

    execute(work, as_json=as_json)


@paper_app.command("deposit")
def _deposit(
    amount: Annotated[str, typer.Argument(help="For example '5000 USD'.")],
    *,
    account: _Account = "paper",
    operator: Annotated[str, typer.Option("--operator", help="Who says so; it is journalled.")],
    as_json: _Json = False,
) -> None:
    """Pay money into an account; it is no profit (RISK-19)."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.money import move_money

        return _leave(move_money(account, amount, operator))

    execute(work, as_json=as_json)


@paper_app.command("withdraw")
def _withdraw(
    amount: Annotated[str, typer.Argument(help="For example '5000 USD'.")],
    *,
    account: _Account = "paper",
    operator: Annotated[str, typer.Option("--operator", help="Who says so; it is journalled.")],
    as_json: _Json = False,
) -> None:
    """Take money out of an account, as far as it is free; it is no loss (RISK-19)."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.money import move_money

        return _leave(move_money(account, amount, operator, withdraws=True))

    execute(work, as_json=as_json)


@paper_app.command("gate")
def _gate(*, account: _Account = "paper", as_json: _Json = False) -> None:
    """Say whether paper trading has shown enough for real money (PAPER-01, PAPER-02)."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.monitor import gate_account

        return _leave(gate_account(account))

    execute(work, as_json=as_json)


@paper_app.command("stop")
def _stop(*, account: _Account = "paper", as_json: _Json = False) -> None:
    """End the process of an account after the event in hand."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.paper import stop_paper

        return _leave(stop_paper(account))

    execute(work, as_json=as_json)


def kill_command(
    *,
    account: _Account = "paper",
    operator: Annotated[str, typer.Option("--operator", help="Who says so; it is journalled.")],
    close: Annotated[bool, typer.Option("--close", help="Also close every position.")] = False,
    rearm: Annotated[bool, typer.Option("--rearm", help="Lift the latch instead.")] = False,
    only: Annotated[
        str | None, typer.Option("--only", help="One instrument, or one strategy of several, instead of the account.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Stop an account from opening anything and cancel its orders, journalled first (RISK-31)."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.kill import kill_account

        return _leave(kill_account(account, operator, closes=close, rearms=rearm, only=only))

    execute(work, as_json=as_json)


def parity_command(*, account: _Account = "paper", as_json: _Json = False) -> None:
    """Replay an account's period through the history driver and name the cause of every difference."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.parity import parity_report

        return _leave(parity_report(account, progress=Progress()))

    execute(work, as_json=as_json)


def backtest_command(
    *,
    bars: Annotated[str, typer.Option("--bars", help="File, folder with foresail-set.toml, or an imported name.")],
    strategy: Annotated[
        list[str],
        typer.Option("--strategy", help="A strategy file, fuzzed for leaks before use, or FILE=SHARE of the equity."),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; an existing one needs --force.")] = None,
    until: _Until = None,
    capital: _Capital = None,
    profile: _Profile = None,
    names: _Names = None,
    timezone: _Zone = None,
    slices: _Slice = "",
    book: _Book = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing folder.")] = False,
    as_json: _Json = False,
) -> None:
    """Run a strategy over history with costs and risk limits, and keep its journal."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.backtest import run_strategy_backtest
        from foresail.service.sleeves import parse_strategies
        from foresail.service.stream import StreamRequest

        first, sleeves = parse_strategies(strategy)
        request = StreamRequest(
            bars, first, until=until, timezone=timezone, capital=capital, profile=profile, names=names,
            sleeves=sleeves, slices=slices, books=tuple(book or ()),
        )  # fmt: skip
        return _leave(run_strategy_backtest(request, out=out, force=force, progress=Progress()))

    execute(work, as_json=as_json)
