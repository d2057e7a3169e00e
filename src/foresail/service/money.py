"""Money paid into or taken out of an account (RISK-19): journalled with who did it, never more than is in cash."""

from __future__ import annotations

from decimal import Decimal

from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ConfigError, UserError
from foresail.core.numbers import parse_money
from foresail.service.accounts import AccountFolder, check_person, is_running
from foresail.service.kill import wait_until_taken
from foresail.service.outcome import Outcome
from foresail.service.workspace import find_workspace

__all__ = ["move_money"]


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
        If there is less in cash, or another command waits for the process.
    """
    check_person(operator)
    money = parse_money(amount)
    folder = AccountFolder(find_workspace(), account).existing()
    currency = str(folder.identity()["currency"])
    if money.amount <= 0 or money.currency != currency:
        raise ConfigError(f"expected an amount above 0 in {currency}, received {amount!r}")
    cash = Decimal(folder.read_status().get("cash", "0"))
    if withdraws and money.amount > cash:
        raise UserError(f"account {account} has {cash} {currency} in cash, {money.amount} were to go")
    waiting = folder.read_command()
    if waiting is not None:
        raise UserError(
            f"{waiting['command']} by {waiting['operator']} waits for the process of account {account}",
            hint=f"foresail paper start --account {account}",
        )
    command = f"{'withdraw' if withdraws else 'deposit'} {money.amount} {money.currency}"
    folder.write_command(command, operator)
    document = {"account": account, "command": command, "operator": operator}
    if is_running(folder.journal):
        wait_until_taken(folder, wait_s, SystemClock() if clock is None else clock)
        return Outcome({**document, "by": "process"}, [f"account {account}: {command}, journalled"])
    return Outcome({**document, "by": "start"}, [f"account {account}: {command}, journalled first at the next start"])
