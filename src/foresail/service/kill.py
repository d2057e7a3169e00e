"""The kill switch (RISK-31), and halts of one instrument or strategy (RISK-09): the latch is journalled first; cancels
and closing orders follow, now or at the next start.

While a process runs the account it reads the command between two events. While none runs, the latch goes straight into
the journal, and the rest of the command waits in the account's folder for the next start, behind those that wait
already: none takes another's place.
"""

from __future__ import annotations

from foresail import __version__
from foresail.core.clock import Clock, SystemClock
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import OperatorActed, TradingHalted, TradingResumed
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session
from foresail.service.accounts import AccountFolder, check_person, is_running
from foresail.service.commands import wait_until_journalled
from foresail.service.outcome import Outcome
from foresail.service.workspace import find_workspace

__all__ = ["kill_account"]

_WAIT_S = 10.0


def kill_account(
    account: str,
    operator: str,
    *,
    closes: bool = False,
    rearms: bool = False,
    only: str | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Stop an account, or one instrument or strategy of it, from opening anything; cancel what is open; or re-arm it.

    Parameters
    ----------
    operator : who says so; it is journalled
    closes : also close every position
    rearms : lift the latch instead
    only : the one instrument, or strategy of several, that is halted or resumed

    Raises
    ------
    ConfigError
        If nobody is named, or closing is asked for together with re-arming or for one name only.
    UnknownNameError
        If the account has no such instrument or strategy.
    UserError
        If the running process does not take the command in time.
    """
    check_person(operator)
    if closes and rearms:
        raise ConfigError(
            "expected --close or --rearm, received both", hint="kill first; re-arm when all is understood"
        )
    if closes and only is not None:
        raise ConfigError(
            "expected --close for the whole account, received --only as well",
            hint="halt it with --only; exits always go on, or kill --close closes every position",
        )
    folder = AccountFolder(find_workspace(), account).existing()
    if only is not None:
        _check_scope(folder, only)
        command = f"{'resume' if rearms else 'halt'} {only}"
    else:
        command = "rearm" if rearms else "kill close" if closes else "kill"
    document = {"account": account, "command": command, "operator": operator}
    if is_running(folder.journal):
        identity, watch = folder.write_command(command, operator), SystemClock() if clock is None else clock
        wait_until_journalled(folder.commands, identity, folder.journal, _WAIT_S, watch)
        return Outcome({**document, "by": "process"}, [f"account {account}: {command} is in force and journalled"])
    _write_latch(folder, command, operator)
    folder.write_command(command, operator)
    if only is not None:
        done = "resumed" if rearms else "halted"
        line = (
            f"{only} is {done} in the journal of account {account}; nobody runs it now, the rest follows at the start"
        )
        return Outcome({**document, "by": "journal"}, [line])
    if rearms:
        line = (
            f"account {account} is unlatched in its journal; nobody runs it now, breakers are reset at the next start"
        )
        return Outcome({**document, "by": "journal"}, [line])
    line = (
        f"account {account} is latched in its journal; nobody runs it now, open orders are cancelled at the next start"
    )
    return Outcome({**document, "by": "journal"}, [line])


def _check_scope(folder: AccountFolder, only: str) -> None:
    """Refuse what the account does not trade: a halt of an unknown name would halt nothing."""
    identity = folder.identity()
    strategies = [one.rpartition("=")[0] for one in str(identity["strategy"]).split(" + ") if "=" in one]
    known = [*identity["instruments"], *strategies]
    if only not in known:
        raise UnknownNameError("instrument or strategy of several in this account", only, known)


def _write_latch(folder: AccountFolder, command: str, operator: str) -> None:
    """Write the latch, or its lifting, as the only writer of the journal."""
    log = EntryLog.open(RealDisk(folder.journal), Session("paper", folder.name, __version__, "kill"), at=0)
    try:
        at, first = log.last_at, log.next_sequence
        verb, _, rest = command.partition(" ")
        scope = rest if verb in ("halt", "resume") else ""
        if verb in ("rearm", "resume"):
            log.append(OperatorActed(at, first, f"unlatch {scope}".strip(), operator))
            log.append(TradingResumed(at, first + 1, scope, operator, ""))
        else:
            log.append(OperatorActed(at, first, f"latch {scope}".strip(), operator, command))
            log.append(TradingHalted(at, first + 1, scope, "RISK-31", f"{command} by {operator}"))
        log.commit()
    finally:
        log.close()
