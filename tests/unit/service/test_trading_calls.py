"""Trading from Python: the same figures as the commands, tables out of the journal, errors instead of exit codes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pandas as pd
import pytest

import foresail
from foresail.cli.main import app
from foresail.core.errors import ConfigError, ForesailError, UnknownNameError, UserError
from foresail.service import trading_calls

STRATEGY = '''
"""Holds two names in turn."""
from foresail.domain.signals import Weights

api = 1
id = "test/turn@1"


class Spec:
    id, every, critical_inputs = id, 20, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(((names[state["n"] % len(names)], 0.08),))]
'''
SMALL = {"names": 3, "until": "1992-12-31"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trading")
    (folder / "turn.py").write_text(STRATEGY)
    return folder


@pytest.fixture(scope="module")
def tested(place: Path) -> foresail.BacktestResult:
    stages: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        made = foresail.backtest(
            "embedded:us20", "turn.py", out="bt", progress=lambda stage, done, total: stages.append(stage), **SMALL
        )
    assert stages
    return made


@pytest.fixture(scope="module")
def account(place: Path) -> foresail.TradingReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return foresail.paper("start", account="p", bars="embedded:us20", strategy="turn.py", **SMALL)


def test_a_backtest_gives_figures_fingerprint_and_tables(tested: foresail.BacktestResult, place: Path) -> None:
    assert tested.is_good
    assert tested.fingerprint == tested.figures["fingerprint"]
    assert (place / tested.out / "backtest.json").is_file()
    assert str(tested).startswith("test/turn@1 on demo_us20")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        executions = tested.table("executions")
        assert len(executions) == tested.figures["fills"] > 0
        assert isinstance(executions["timestamp"].dtype, pd.DatetimeTZDtype)
        assert isinstance(tested.table("equity")["at"].dtype, pd.DatetimeTZDtype)
        with pytest.raises(UnknownNameError, match="executions"):
            tested.table("nothing")
        with pytest.raises(UserError, match="exists"):
            foresail.backtest("embedded:us20", "turn.py", out="bt", **SMALL)


def test_paper_ends_as_the_backtest_does_and_parity_is_clean(
    tested: foresail.BacktestResult, account: foresail.TradingReport, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert f"{float(account.figures['equity']):.2f}" == tested.figures["net"]
    assert foresail.paper(account="p").figures["running"] is False
    report = foresail.parity("p")
    assert report.is_good
    assert report.figures["differences"] == 0
    with pytest.raises(UserError, match="not running"):
        foresail.paper("stop", account="p")


def test_the_ledger_is_read_and_rebuilt(
    account: foresail.TradingReport, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    view = foresail.read_ledger("p", last=3)
    assert len(view.figures["shown"]) == 3
    assert len(view.table("orders")) == view.figures["orders"]
    assert "held:" in str(view)
    rebuilt = foresail.rebuild("p")
    assert Path(rebuilt.figures["folder"], "trades.parquet").is_file()
    assert account.figures["entries"] == rebuilt.figures["entries"]
    with pytest.raises(ConfigError, match="--account NAME or --journal"):
        foresail.read_ledger()


def test_kill_latches_and_rearm_lifts(
    account: foresail.TradingReport, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert account.is_good
    killed = foresail.kill("p", "ada")
    assert killed.figures["command"] == "kill"
    assert foresail.read_ledger("p", kind="TradingHalted").figures["shown"]
    assert foresail.kill("p", "ada", rearm=True).figures["command"] == "rearm"


def test_money_and_limits_from_python(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    foresail.paper("start", account="m", bars="embedded:us20", strategy="turn.py", names=2, until="1990-03-31")
    assert foresail.move_money("m", "500 USD", "ada").figures["command"] == "deposit 500 USD"
    told = {one["name"]: one["origin"] for one in foresail.limits("nasdaq").figures["limits"]}
    assert told["position.max_position"] == "RISK-01 [S0]"


def test_wrong_requests_raise(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    with pytest.raises(UnknownNameError, match="start"):
        foresail.paper("go", account="p")
    with pytest.raises(ConfigError, match="together"):
        foresail.paper("start", account="q", bars="embedded:us20")
    with pytest.raises(ForesailError, match="known"):
        foresail.parity("nobody")


@pytest.mark.parametrize("name", ["backtest", "kill", "parity", "rebuild"])
def test_the_functions_have_the_options_of_the_commands(name: str) -> None:
    command = next(c for c in app.registered_commands if c.name == name).callback
    assert command is not None
    options = set(inspect.signature(command).parameters) - {"as_json"}
    assert set(inspect.signature(getattr(trading_calls, name)).parameters) - {"progress"} == options
