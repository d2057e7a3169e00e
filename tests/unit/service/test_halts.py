"""Halting one instrument or strategy of an account (RISK-09), while nobody runs it; kill stays the stronger command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.service.accounts import AccountFolder

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/{name}@1"


class Spec:
    id, every, critical_inputs = id, 4, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {{"n": 0}}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(((names[(state["n"] + {shift}) % len(names)], 0.08),))]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for shift, name in enumerate("ab"):
        (tmp_path / f"{name}.py").write_text(STRATEGY.format(name=name, shift=shift))
    return tmp_path


def start(until: str, strategy: Any = "a.py") -> foresail.TradingReport:
    return foresail.paper("start", account="h", bars="embedded:us20", strategy=strategy, names=3, until=until)


def test_a_halted_instrument_is_opened_no_more_until_it_is_resumed(place: Path) -> None:
    start("1990-02-28")
    name = sorted(AccountFolder(place, "h").identity()["instruments"])[0]
    halted = foresail.kill("h", "ada", only=name)
    assert halted.figures["command"] == f"halt {name}"
    ended = start("1990-04-30")
    assert name in ended.figures["halted"]
    table = foresail.read_ledger("h").table("executions")
    bought = table[(table["action"] == "BUY") & (table["timestamp"] > "1990-03-02") & (table["reason"] != "exit")]
    assert name not in set(bought["instrument"])
    assert len(set(bought["instrument"])) == 2
    foresail.kill("h", "ada", only=name, rearm=True)
    later = start("1990-06-30")
    assert later.figures["halted"] == {}
    table = foresail.read_ledger("h").table("executions")
    assert name in set(table[table["timestamp"] > "1990-05-02"]["instrument"])
    acted = foresail.read_ledger("h", kind="OperatorActed", last=99).figures["shown"]
    assert len(acted) == 4  # each is latched in the journal at once, and done at the next start
    assert foresail.parity("h").is_good


def test_a_halted_strategy_only_makes_its_positions_smaller(place: Path) -> None:
    pair = ["a.py=0.5", "b.py=0.5"]
    start("1990-02-28", pair)
    foresail.kill("h", "ada", only="test/b@1")
    start("1990-04-30", pair)
    assert "test/b@1" in foresail.paper(account="h").figures["halted"]
    planned = foresail.read_ledger("h", kind="SharesPlanned", last=9999).figures["shown"]
    after = [one["content"] for one in planned if one["at"] > 636_300_000_000_000_000]  # 1 March
    assert after
    held = [text for text in after if '"test/b@1","-' in text.replace(" ", "")]
    opened = [text for text in after if '"test/b@1","' in text.replace(" ", "") and text not in held]
    assert not opened


def test_what_the_account_does_not_trade_is_refused(place: Path) -> None:
    start("1990-02-28")
    for wrong in ("stock.US.ZZZ", "test/a@1"):  # its only strategy: kill halts that
        with pytest.raises(UnknownNameError, match=r"stock\.US"):
            foresail.kill("h", "ada", only=wrong)
    with pytest.raises(ConfigError, match="--only as well"):
        foresail.kill("h", "ada", only="stock.US.AAPL", close=True)


def test_waiting_commands_do_not_take_each_others_place(place: Path) -> None:
    start("1990-02-28")
    folder = AccountFolder(place, "h")
    first, second, _third = sorted(folder.identity()["instruments"])
    foresail.kill("h", "ada", only=first)
    foresail.kill("h", "ada")
    foresail.kill("h", "ada", only=second)
    assert [one.command for one in folder.commands.read()] == [f"halt {first}", "kill", f"halt {second}"]
    ended = start("1990-03-31")
    assert set(ended.figures["halted"]) == {"account", first, second}
    assert folder.commands.read() == []
