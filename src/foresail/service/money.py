"""Money paid into or taken out of an account (RISK-19): journalled with who did it, never more than is free."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ConfigError, UserError
from foresail.core.numbers import parse_money
from foresail.engine.trading.operators import parse_command
from foresail.ledger.entries import AlertRaised, Deposited, Entry
from foresail.service.accounts import AccountFolder, check_person, is_running
from foresail.service.commands import wait_until_journalled
from foresail.service.outcome import Outcome
from foresail.service.stream import open_stream
from foresail.service.workspace import find_workspace

__all__ = ["move_money"]

_UNIT = Decimal("1e-8")


def move_money(
    account: str,
    amount: str,
    operator: str,
    *,
    withdraws: bool = False,
    wait_s: float = 10.0,
    clock: Clock | None = None,
) -> Outcome:
    """Pay money in or take it out: now where a process runs the account, else first at its next start.

    Parameters
    ----------
    amount : for example "5000 USD", above 0
    operator : who says so; it is journalled

    Raises
    ------
    ConfigError
        If nobody is named, or the amount is none, or in another currency than the account's.
    UserError
        If less may go, or the process does not take the command in time.
    """
    check_person(operator)
    money = parse_money(amount)
    workspace = find_workspace()
    folder = AccountFolder(workspace, account).existing()
    currency = str(folder.identity()["currency"])
    if money.amount <= 0 or money.currency != currency:
        raise ConfigError(f"expected an amount above 0 in {currency}, received {amount!r}")
    status = folder.read_status()
    most = Decimal(status.get("withdrawable", status.get("cash", "0")))
    if withdraws and money.amount > most:
        raise UserError(
            f"at most {most.normalize():f} {currency} of account {account} may go, {money.amount} were to go",
            hint="only cash goes, and no more than equity less the margin in use",
        )
    fee = (money.amount * _transfer_fraction(workspace, folder)).quantize(_UNIT) if withdraws else Decimal(0)
    told = f" {fee.normalize():f}" if fee else ""
    command = f"{'withdraw' if withdraws else 'deposit'} {money.amount} {money.currency}{told}"
    parse_command(command)  # what cannot be obeyed must not wait for the next start
    document = {"account": account, "command": command, "operator": operator, "fee": str(fee)}
    paid = [f"of it {fee.normalize():f} {currency} is the network's fee (COST-02a)"] if fee else []
    identity = folder.write_command(command, operator)
    if is_running(folder.journal) or identity not in folder.commands.ids():
        watch = SystemClock() if clock is None else clock
        _check_booked(wait_until_journalled(folder.commands, identity, folder.journal, wait_s, watch))
        return Outcome({**document, "by": "process"}, [f"account {account}: {command}, journalled", *paid])
    line = f"account {account}: {command} waits and is booked first at the next start, if so much may go then"
    return Outcome({**document, "by": "start"}, [line if withdraws else line.partition(", if")[0], *paid])


def _transfer_fraction(workspace: Path, folder: AccountFolder) -> Decimal:
    """Return the network's share of money that leaves (COST-02a): as the process has it, else as the settings do."""
    if is_running(folder.journal):
        return Decimal(folder.read_status().get("transfer_fraction", "0"))  # a process of an older version takes none
    costs = open_stream(folder.settle_request(None)[0], workspace, check_leaks=False).costs().settings
    return costs.transfer_fraction * costs.factor


def _check_booked(entries: tuple[Entry, ...]) -> None:
    """Refuse to tell of money that did not move: what follows a command is its booking, or the alert that says why."""
    told = entries[1]
    if not isinstance(told, Deposited):
        raise UserError(told.text if isinstance(told, AlertRaised) else f"nothing was booked: {told}")
