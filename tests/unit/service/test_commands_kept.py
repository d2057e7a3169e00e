"""Commands of persons: none is lost, none is done twice, each is told of as the journal says it went."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.clock import SystemClock
from foresail.core.errors import DataError, UserError
from foresail.engine.trading.account import AccountRun
from foresail.service import kill, money
from foresail.service.accounts import AccountFolder
from foresail.service.commands import CommandQueue
from foresail.service.limit_versions import LimitVersion, write_versions

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/hold@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        return [Weights(((sorted(view.instruments)[0], 0.1),))]
"""
FIRST, NEXT = "1990-03-30", "1990-04-30"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hold.py").write_text(STRATEGY)
    start(FIRST)
    return tmp_path


def start(until: str) -> foresail.TradingReport:
    return foresail.paper("start", account="d", bars="embedded:us20", strategy="hold.py", names=2, until=until)


def shown(kind: str) -> list[dict[str, Any]]:
    return [json.loads(o["content"]) for o in foresail.read_ledger("d", kind=kind, last=999).figures["shown"]]


def commands() -> list[str]:
    return [one["command"].split(":")[0].strip() for one in shown("OperatorActed")]


class Meanwhile(SystemClock):
    """A clock that lets something happen when somebody begins to wait."""

    def __init__(self, happens: Callable[[], Any]) -> None:
        self._happens = [happens]

    def monotonic_s(self) -> float:
        while self._happens:
            self._happens.pop()()
        return super().monotonic_s()


def test_a_kill_that_comes_while_another_command_is_done_is_obeyed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plain = AccountFolder(place, "d"), AccountRun.command
    folder.write_command("deposit 500 USD", "ada")

    def command(self: AccountRun, text: str, operator: str) -> None:
        plain(self, text, operator)
        if text.startswith("deposit"):
            folder.write_command("kill", "bob")

    monkeypatch.setattr(AccountRun, "command", command)
    ended = start(NEXT)
    assert commands() == ["deposit 500 USD", "kill"]
    assert "account" in ended.figures["halted"]


@pytest.mark.parametrize("has_snapshot", [False, True])
def test_money_is_booked_once_by_a_process_that_died_before_it_removed_the_command(
    place: Path, monkeypatch: pytest.MonkeyPatch, has_snapshot: bool
) -> None:
    before = Decimal(foresail.paper(account="d").figures["cash"])
    foresail.move_money("d", "500 USD", "ada")
    plain = AccountRun.command

    def dies(self: AccountRun, text: str, operator: str) -> None:
        plain(self, text, operator)
        if has_snapshot:
            self.snapshot()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AccountRun, "command", dies)
        with pytest.raises(KeyboardInterrupt):
            start(FIRST)
    foresail.move_money("d", "70 USD", "ada")
    assert Decimal(start(FIRST).figures["cash"]) == before + 570
    assert commands() == ["deposit 500 USD", "deposit 70 USD"]
    assert foresail.parity("d").figures["differences"] == 0


def test_commands_wait_in_order_for_the_next_start(place: Path) -> None:
    before = Decimal(foresail.paper(account="d").figures["cash"])
    assert foresail.paper(account="d").figures["positions"]
    foresail.move_money("d", "500 USD", "ada")
    foresail.kill("d", "ada", close=True)
    foresail.kill("d", "ada")
    foresail.kill("d", "ada", rearm=True)
    foresail.kill("d", "bob")
    ended = start(NEXT)
    assert commands() == [
        "latch",
        "latch",
        "unlatch",
        "latch",
        "deposit 500 USD",
        "kill close",
        "kill",
        "rearm",
        "kill",
    ]
    assert Decimal(shown("Deposited")[-1]["amount"]) == 500
    assert ended.figures["positions"] == {}
    assert Decimal(ended.figures["cash"]) > before
    assert "bob" in str(ended.figures["halted"]["account"])


def test_a_withdrawal_that_is_refused_is_told_as_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foresail.move_money("d", "60000 USD", "ada", withdraw=True)
    monkeypatch.setattr(money, "is_running", lambda _journal: True)
    with pytest.raises(UserError, match=r"60000 USD was refused: at most \d+"):
        money.move_money("d", "60000 USD", "ada", withdraws=True, clock=Meanwhile(lambda: start(FIRST)))
    assert [one["amount"] for one in shown("Deposited")[1:]] == ["-60000"]
    assert [one["kind"] for one in shown("AlertRaised")][-1] == "RISK-19 withdrawal"
    told = money.move_money("d", "5 USD", "ada", clock=Meanwhile(lambda: start(FIRST)))
    assert told.document["by"] == "process"
    assert shown("Deposited")[-1]["amount"] == "5"


def test_a_command_that_vanished_unread_is_not_told_as_done(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish() -> None:
        for one in (place / "accounts/d").rglob("*.json"):
            if "bob" in one.read_text():
                one.unlink()

    monkeypatch.setattr(kill, "is_running", lambda _journal: True)
    with pytest.raises(UserError, match="not in the journal"):
        kill.kill_account("d", "bob", clock=Meanwhile(vanish))
    told = kill.kill_account("d", "ada", clock=Meanwhile(lambda: start(NEXT)))
    assert told.document["by"] == "process"
    assert commands() == ["kill"]


def test_a_command_of_an_older_version_is_obeyed(place: Path) -> None:
    (place / "accounts/d/control.json").write_text('{"command": "deposit 70 USD", "operator": "ada"}')
    start(FIRST)
    foresail.move_money("d", "5 USD", "ada")
    start(FIRST)
    assert commands() == ["deposit 70 USD", "deposit 5 USD"]
    assert not (place / "accounts/d/control.json").exists()


def test_many_leave_commands_at_once_and_none_is_lost(tmp_path: Path) -> None:
    queue = CommandQueue(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda k: queue.add(f"halt {k}", "ada"), range(200)))
    assert queue.ids() == sorted(set(ids))
    assert sorted(one.command for one in queue.read()) == sorted(f"halt {k}" for k in range(200))
    assert {one.name for one in (tmp_path / "commands").iterdir()} == {f"{one}.json" for one in ids}


def test_a_file_that_is_no_command_is_refused_and_one_taken_away_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = CommandQueue(tmp_path)
    kept, gone = queue.add("kill", "ada"), queue.add("rearm", "ada")
    queue.remove(gone)
    with monkeypatch.context() as patch:
        patch.setattr(CommandQueue, "ids", lambda _self: [kept, gone])
        assert [one.id for one in queue.read()] == [kept]
    (tmp_path / "commands" / f"{kept}.json").write_text("{")
    with pytest.raises(DataError, match="is no command"):
        queue.read()


def test_a_command_is_on_disk_before_its_id_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, link, make = os.fsync, os.link, Path.mkdir

    def synced(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name.split("-")[0])
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", lambda old, new: (steps.append("name"), link(old, new)))
    monkeypatch.setattr(Path, "mkdir", lambda self, **how: (steps.append(f"make {self.name}"), make(self, **how)))
    account = tmp_path / "d"
    account.mkdir()
    steps.clear()
    queue = CommandQueue(account)
    queue.add("kill", "ada")
    (first,) = [one for one in steps if one.startswith("sync .")]
    assert steps == ["make commands", "sync d", first, "name", "sync commands"]
    steps.clear()
    queue.add("kill close", "ada")
    assert [one.partition(" ")[0] for one in steps] == ["sync", "name", "sync"]
    steps.clear()
    (account / "control.json").write_text('{"command": "latch", "operator": "grace"}')
    queue.adopt_older()
    assert steps == ["sync commands"]


def test_limits_are_on_disk_before_the_journal_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("foresail.service.durable.sync_folder", synced.append)
    write_versions(tmp_path, [LimitVersion("a", (), "ada")])
    assert synced == [tmp_path]
