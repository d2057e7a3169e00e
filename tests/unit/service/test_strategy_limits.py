"""Limits of single strategies from the settings file (RISK-09): one strategy or several, backtest, paper and parity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.engine.strategy_choices import StrategyChoice, choices_of_plain, read_strategies

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/NAME@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(tuple((name, 0.08 + 0.04 * (state["n"] % 2)) for name in names))]
"""
CAPPED = ('[strategies."test/turn@1"]', "max_position = 0.05")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("turn", "other"):
        (tmp_path / f"{name}.py").write_text(STRATEGY.replace("NAME", name))
    return tmp_path


def write(place: Path, *lines: str) -> None:
    (place / "foresail.toml").write_text("\n".join(("version = 1", *lines)))


def start(until: str = "1990-06-30", *, account: str = "a", strategy: Any = "turn.py", **more: Any) -> Any:
    return foresail.paper(
        "start", account=account, bars="embedded:us20", strategy=strategy, names=2, until=until, **more
    )


def largest(account: str) -> float:
    """Return the largest value of one position after a fill, fraction of the capital."""
    table = foresail.read_ledger(account).table("executions")
    held: dict[str, float] = {}
    most = 0.0
    for row in table.itertuples():
        signed = float(row.quantity) * (1 if row.action == "BUY" else -1)
        held[row.instrument] = held.get(row.instrument, 0.0) + signed
        most = max(most, held[row.instrument] * float(row.price) / 100_000)
    return most


def test_one_strategy_is_capped_in_backtest_and_paper_alike(place: Path) -> None:
    free = foresail.backtest("embedded:us20", "turn.py", names=2, until="1990-06-30", out=str(place / "free"))
    write(place, *CAPPED)
    capped = foresail.backtest("embedded:us20", "turn.py", names=2, until="1990-06-30", out=str(place / "capped"))
    assert capped.figures["fingerprint"] != free.figures["fingerprint"]
    paper = start()
    assert 0.03 < largest("a") < 0.06
    assert float(paper.figures["equity"]) == pytest.approx(float(capped.figures["net"]), abs=0.01)
    assert foresail.parity("a").figures["differences"] == 0
    (place / "foresail.toml").unlink()
    with pytest.raises(ConfigError, match=r"strategies\.test/turn@1\.max_position 0\.05 -> None"):
        start("1990-09-30")
    start("1990-09-30", confirm_limits="ada")
    assert largest("a") > 0.07
    acted = foresail.read_ledger("a", kind="OperatorActed", last=9).figures["shown"]
    assert json.loads(acted[0]["content"])["text"] == "strategies.test/turn@1.max_position 0.05 -> off"
    assert foresail.parity("a").figures["differences"] == 0


def test_a_breaker_of_one_strategy_of_several_halts_it(place: Path) -> None:
    write(place, '[strategies."test/turn@1"]', "drawdown = 0.0001", '[strategies."test/elsewhere@1"]', "drawdown = 0.5")
    ended = start(strategy=["turn.py=0.5", "other.py=0.5"])
    assert list(ended.figures["halted"]) == ["test/turn@1"]
    assert foresail.parity("a").figures["differences"] == 0


def test_an_account_without_books_of_its_strategy_is_not_given_limits_that_would_not_hold(place: Path) -> None:
    start("1990-03-31")
    write(place, *CAPPED)
    with pytest.raises(ConfigError, match="keeps no book"):
        start("1990-04-30")
    (place / "foresail.toml").unlink()
    assert start("1990-04-30").is_good


def test_another_version_is_told_of(place: Path) -> None:
    write(place, '[strategies."test/turn@2"]', "max_position = 0.05")
    assert start().figures["warnings"] == ['[strategies."test/turn@2"] does not hold: the strategy is test/turn@1']


def test_what_the_file_may_say() -> None:
    read = read_strategies({"b/c@1": {"max_gross": 0.3, "daily_loss": "off"}, "a/b@2": {"max_position": 1}})
    assert read == (("a/b@2", StrategyChoice(max_position=1.0)), ("b/c@1", StrategyChoice(max_gross=0.3)))
    assert choices_of_plain(json.loads(json.dumps([["a/b@2", {"max_position": 1.0}]]))) == read[:1]
    with pytest.raises(UnknownNameError, match="drawdown"):
        read_strategies({"a/b@1": {"draw_down": 0.1}})
    sized = read_strategies({"a/b@1": {"sizing": "atr", "volatility_target": "off", "may_lever": True}})
    assert sized[0][1].sizes == {"sizing": "atr", "target_volatility": None, "may_lever": True}
    assert StrategyChoice(volatility_target=0.2).sizes == {"target_volatility": 0.2}
    with pytest.raises(UnknownNameError, match="kelly"):
        read_strategies({"a/b@1": {"sizing": "big"}})
    wrongs: tuple[Any, ...] = (
        {"a": {"drawdown": 0.1}}, {"a/b@1": 0.1}, {"a/b@1": {"drawdown": "big"}}, [1], {"a/b@1": {"sizing": 1}},
        {"a/b@1": {"may_lever": "off"}}, {"a/b@1": {"may_lever": 1}}, {"a/b@1": {"drawdown": True}},
    )  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            read_strategies(wrong)
    with pytest.raises(ConfigError, match="at least 0"):
        read_strategies({"a/b@1": {"drawdown": -0.1}})


def test_they_are_told_with_the_limits(place: Path) -> None:
    write(place, *CAPPED)
    told = foresail.limits()
    assert told.figures["strategies"]["test/turn@1"]["max_position"] == 0.05
    assert "strategy test/turn@1: max_position 0.05 (RISK-09, SIZE-14)" in str(told)


SIGNALS = """
from foresail.domain.signals import Horizon, Signal, SignalKind

api = 1
id = "test/NAME@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        out = []
        for name in sorted(view.instruments):
            price = view.value(name, "close")
            out.append(Signal(
                name, SignalKind.BUY, Horizon.SWING_TRADE, 20, 0.6, 0.1, 0.001, price, price * 1.2, price * 0.8, ("x",),
                "t", id, "1", "", "", view.now, view.now + 10**17,
            ))
        return out
"""


def test_each_strategy_sizes_its_signals_its_own_way(place: Path) -> None:
    for name in ("turn", "other"):
        (place / f"{name}.py").write_text(SIGNALS.replace("NAME", name))
    write(place, '[strategies."test/turn@1"]', "volatility_target = 0.05", "[limits]", "position.max_position = 0.5")
    start("1990-12-31", strategy=["turn.py=0.5", "other.py=0.5"])
    wanted: dict[str, float] = {}
    for one in foresail.read_ledger("a", kind="SharesPlanned", last=3).figures["shown"]:
        for who, units in json.loads(one["content"])["wishes"]:
            wanted[who] = max(wanted.get(who, 0.0), abs(float(units)))
    assert 0 < wanted["test/turn@1"] < 0.6 * wanted["test/other@1"]
