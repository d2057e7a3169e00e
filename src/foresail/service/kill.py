"""The kill switch (RISK-31): the latch is journalled first; cancels and closing orders follow, now or at the next
start.

While a process runs the account it reads the command between two events. While none runs, the latch goes straight into
the journal, and the rest of the command waits in the account's folder for the next start.
"""

from __future__ import annotations

import time

from foresail import __version__
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ConfigError, UserError
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import OperatorActed, TradingHalted, TradingResumed
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session
from foresail.service.accounts import AccountFolder, is_running
from foresail.service.outcome import Outcome
from foresail.service.workspace import find_workspace

__all__ = ["kill_account"]

_NAP_S = 0.05


def kill_account(
    account: str,
    operator: str,
    *,
    closes: bool = False,
    rearms: bool = False,
    wait_s: float = 10.0,
    clock: Clock | None = None,
) -> Outcome:
    """Stop an account from opening anything, cancel what is open, close positions if asked; or re-arm it.

    Parameters
    ----------
    operator : who says so; it is journalled
    closes : also close every position
    rearms : lift the latch instead

    Raises
    ------
    ConfigError
        If nobody is named, or closing and re-arming are asked for together.
    UserError
        If the running process does not take the command in time.
    """
    if not operator.strip() or not operator.isprintable():
        raise ConfigError(f"expected the name of a person, received {operator!r}", hint="--operator NAME")
    if closes and rearms:
        raise ConfigError(
            "expected --close or --rearm, received both", hint="kill first; re-arm when all is understood"
        )
    folder = AccountFolder(find_workspace(), account).existing()
    command = "rearm" if rearms else "kill close" if closes else "kill"
    document = {"account": account, "command": command, "operator": operator}
    if is_running(folder.journal):
        folder.write_command(command, operator)
        _wait_until_taken(folder, wait_s, SystemClock() if clock is None else clock)
        return Outcome({**document, "by": "process"}, [f"account {account}: {command} is in force and journalled"])
    _write_latch(folder, command, operator)
    folder.write_command(command, operator)
    if rearms:
        line = (
            f"account {account} is unlatched in its journal; nobody runs it now, breakers are reset at the next start"
        )
        return Outcome({**document, "by": "journal"}, [line])
    line = (
        f"account {account} is latched in its journal; nobody runs it now, open orders are cancelled at the next start"
    )
    return Outcome({**document, "by": "journal"}, [line])


def _wait_until_taken(folder: AccountFolder, wait_s: float, clock: Clock) -> None:
    until = clock.monotonic_s() + wait_s
    while clock.monotonic_s() < until:
        if folder.read_command() is None:
            return
        time.sleep(_NAP_S)
    raise UserError(
        f"the process of account {folder.name} did not take the command within {wait_s:.0f} s",
        hint="end the process; the command waits in the folder and is obeyed first at the next start",
    )


def _write_latch(folder: AccountFolder, command: str, operator: str) -> None:
    """Write the latch, or its lifting, as the only writer of the journal."""
    log = EntryLog.open(RealDisk(folder.journal), Session("paper", folder.name, __version__, "kill"), at=0)
    try:
        at, first = log.last_at, log.next_sequence
        if command == "rearm":
            log.append(OperatorActed(at, first, "unlatch", operator))
            log.append(TradingResumed(at, first + 1, "", operator, ""))
        else:
            log.append(OperatorActed(at, first, "latch", operator, command))
            log.append(TradingHalted(at, first + 1, "", "RISK-31", f"{command} by {operator}"))
        log.commit()
    finally:
        log.close()
