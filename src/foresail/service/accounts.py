"""The folder of an account: what it trades, its journal, and the small files by which processes talk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.errors import ConfigError, DataError, UserError
from foresail.service.commands import CommandQueue
from foresail.service.durable import make_folder, write_durable
from foresail.service.order_books import resolved_book
from foresail.service.sleeves import parse_strategies
from foresail.service.stream import OLD_BOUNDARY, StreamRequest

__all__ = ["AccountFolder", "asked_stream", "check_person", "is_running", "resolved_bars", "whole_account"]

_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,40}$")


class AccountFolder:
    """``accounts/NAME`` of a workspace.

    Raises
    ------
    ConfigError
        If the name cannot be that of a folder everywhere.
    """

    def __init__(self, workspace: Path, name: str) -> None:
        if not _NAME.match(name):
            raise ConfigError(f"expected an account name of a-z, 0-9, _ and -, received {name!r}")
        self.name = name
        self._accounts = workspace / "accounts"
        self.path = self._accounts / name
        self.journal = self.path / "journal"
        self.commands = CommandQueue(self.path)

    def existing(self) -> AccountFolder:
        """Return this folder.

        Raises
        ------
        UserError
            If there is no such account.
        """
        if not (self.path / "account.json").is_file():
            known = sorted(p.parent.name for p in self._accounts.glob("*/account.json"))
            raise UserError(
                f"there is no account {self.name!r}; known: {', '.join(known) or 'none'}",
                hint="foresail paper start --account NAME --bars SET --strategy FILE makes one",
            )
        return self

    def settle_request(self, asked: StreamRequest | None) -> tuple[StreamRequest, bool]:
        """Return what the account trades and whether it is new; an account never changes what it trades.

        Raises
        ------
        ConfigError
            If another bar set, strategy or capital is asked for than the account has.
        """
        kept = self.path / "account.json"
        if not kept.is_file():
            if asked is None:
                self.existing()
            assert asked is not None  # noqa: S101 existing() has raised
            return _whole(asked), True
        held = _held(_read(kept)["request"])
        if asked is None:
            return held, False
        wanted = _whole(asked)
        for name in ("bars", "strategy", "timezone", "capital", "profile", "names", "sleeves", "slices", "books"):
            if name == "sleeves" and not wanted.sleeves and held.sleeves == whole_account(wanted.strategy):
                continue
            if getattr(wanted, name) not in (None, getattr(held, name)):
                raise ConfigError(
                    f"account {self.name} trades with {name} {_told(getattr(held, name))}, "
                    f"received {_told(getattr(wanted, name))}",
                    hint="say what it was made with or leave bars and strategy out, or use another --account",
                )
        return replace(held, until=wanted.until), False

    def keep_identity(self, request: StreamRequest, identity: dict[str, Any]) -> None:
        """Write what the account trades at its first start; later, refuse where it is not the same any more.

        Raises
        ------
        ConfigError
            If the strategy file, names or settings changed.
        """
        kept = self.path / "account.json"
        if not kept.is_file():
            make_folder(self.path)
            plain = {**asdict(request), "strategy": str(request.strategy)}
            write_durable(kept, canonical_bytes({"format": 1, "request": plain, "identity": identity}))
            return
        before = _read(kept)["identity"]
        changed = [name for name in identity if before.get(name) != identity[name]]
        if changed:
            raise ConfigError(
                f"account {self.name}: {', '.join(changed)} changed since it was made",
                hint="give the changed strategy an account of its own, so that each journal tells one story",
            )

    def identity(self) -> dict[str, Any]:
        """Return what the account traded at its first start."""
        identity: dict[str, Any] = _read(self.path / "account.json")["identity"]
        return identity

    # -- process, status, command --------------------------------------------------------------------------------------

    def write_process(self) -> None:
        """Write which process runs the account."""
        write_atomic(self.path / "process.json", canonical_bytes({"pid": os.getpid()}))

    def read_process(self) -> int | None:
        """Return the process that ran the account last."""
        path = self.path / "process.json"
        return int(_read(path)["pid"]) if path.is_file() else None

    def write_status(self, status: dict[str, Any]) -> None:
        """Write what screens show."""
        write_atomic(self.path / "status.json", canonical_bytes(status))

    def read_status(self) -> dict[str, Any]:
        """Return what the process told last, empty before it told anything."""
        path = self.path / "status.json"
        return _read(path) if path.is_file() else {}

    def write_command(self, command: str, operator: str) -> str:
        """Leave a command for the process of the account, behind all that wait; return its id."""
        self.commands.adopt_older()
        return self.commands.add(command, operator)


def asked_stream(bars: str | None, strategies: Sequence[str], **others: Any) -> StreamRequest | None:
    """Return what a new account was asked to trade, None where an account that exists is to go on.

    Parameters
    ----------
    others : the rest of ``StreamRequest``

    Raises
    ------
    ConfigError
        If only one of bars and strategy is given, or something that an account that exists has settled.
    """
    if (bars is None) != (not strategies):
        raise ConfigError("expected bars and a strategy together, or neither for an account that exists")
    if bars is None:
        given = sorted(name for name, value in others.items() if value not in (None, "", ()))
        if given:
            raise ConfigError(
                f"{', '.join(given)}: an account that exists trades what it was made with",
                hint="leave that out, or say bars and strategy as well, so that they can be compared",
            )
        return None
    first, sleeves = parse_strategies(strategies)
    return StreamRequest(bars, first, sleeves=sleeves, **others)


def whole_account(strategy: Path) -> tuple[tuple[str, str], ...]:
    """Return the sleeves of one strategy that has the whole account and a book of its own."""
    return ((str(strategy), "1"),)


def check_person(name: str, option: str = "--operator") -> str:
    """Return the name of who answers for a command; it is journalled.

    Raises
    ------
    ConfigError
        If it names nobody.
    """
    if not name.strip() or not name.isprintable():
        raise ConfigError(f"expected the name of a person, received {name!r}", hint=f"{option} NAME")
    return name


def is_running(journal: Path) -> bool:
    """Return whether a process holds the lock of a journal."""
    lock = journal / ".lock"
    if not lock.is_file():
        return False
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _told(value: Any) -> str:
    """Return what a person was to say, as text; several of them between commas."""
    several = value if isinstance(value, tuple) else (value,)
    words = ["=".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in several]
    return ", ".join(word for word in words if word) or "none"


def _held(content: dict[str, Any]) -> StreamRequest:
    """Return a request as it was written; older accounts lack what came later."""
    sleeves = tuple((file, share) for file, share in content.get("sleeves", ()))
    older = {"facts": False, "boundary": OLD_BOUNDARY, "alerts": False}
    books = tuple(content.get("books", ()))
    fixed = {"strategy": Path(content["strategy"]), "sleeves": sleeves, "books": books, "may_wrap": False}
    return StreamRequest(**{**older, **content, **fixed})


def _whole(request: StreamRequest) -> StreamRequest:
    """Return a request that means the same from any folder."""
    sleeves = tuple((str(Path(file).resolve()), share) for file, share in request.sleeves)
    books = tuple(resolved_book(book) for book in request.books)
    bars = resolved_bars(request.bars)
    return replace(request, strategy=request.strategy.resolve(), bars=bars, sleeves=sleeves, books=books)


def resolved_bars(bars: str) -> str:
    """Return a path as an absolute one; a name of the store or an embedded set stays."""
    path = Path(bars)
    return str(path.resolve()) if path.exists() else bars


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}", file=str(path), hint="restore it from a copy") from error
    return content
