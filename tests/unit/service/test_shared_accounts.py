"""Several strategies and slices from the command line: backtest, paper and parity trade the same account."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.engine.trading.risk_view import CoreRiskView
from foresail.engine.trading.slicing import SliceSettings
from foresail.execution.slicing import SliceMethod
from foresail.service.sleeves import parse_slices, parse_strategies

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/{name}@1"


class Spec:
    id, every, critical_inputs = id, {every}, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {{"n": 0}}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(((names[(state["n"] + {shift}) % len(names)], {weight}),))]
"""
SMALL: dict[str, Any] = {"names": 3, "until": "1990-09-30"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(STRATEGY.format(name="a", every=4, shift=0, weight=0.1))
    (tmp_path / "b.py").write_text(STRATEGY.format(name="b", every=6, shift=1, weight=0.08))
    return tmp_path


def test_strategies_and_shares_as_written(place: Path) -> None:
    assert parse_strategies(["a.py"]) == (Path("a.py"), ())
    assert parse_strategies(["a.py=0.6", "b.py=0.4"]) == (Path("a.py"), (("a.py", "0.6"), ("b.py", "0.4")))
    assert parse_strategies(["a.py", "b.py", "c.py"])[1][2] == ("c.py", "0.3333")
    assert parse_strategies(["a.py=0.5"])[1] == (("a.py", "0.5"),)
    (place / "x=1.py").write_text("")
    assert parse_strategies(["x=1.py"]) == (Path("x=1.py"), ())
    for wrong in (["a.py=0.6", "b.py"], ["a.py=0.7", "b.py=0.4"], ["a.py=0"], ["a.py=half"], ["a.py=NaN"], []):
        with pytest.raises(ConfigError):
            parse_strategies(wrong)


def test_slices_as_written() -> None:
    hour = 3600 * 10**9
    assert parse_slices("twap:6:1h") == SliceSettings(SliceMethod.TWAP, count=6, interval_ns=hour)
    assert parse_slices("pov:3:30m:0.1") == SliceSettings(
        SliceMethod.POV, count=3, interval_ns=hour // 2, participation=Decimal("0.1")
    )
    for wrong in ("twap", "twap:6", "twap:0:1h", "twap:6:1w", "twap:6:1h:0.1", "pov:6:1h", "pov:6:1h:2", "pov:6:1h:x"):
        with pytest.raises(ConfigError):
            parse_slices(wrong)
    with pytest.raises(UnknownNameError, match="twap"):
        parse_slices("iceberg:6:1h")


def test_two_strategies_end_alike_in_backtest_and_paper(place: Path) -> None:
    pair = ["a.py=0.5", "b.py=0.5"]
    tested = foresail.backtest("embedded:us20", pair, out="bt", **SMALL)
    assert set(tested.figures["strategies"]) == {"", "test/a@1", "test/b@1"}
    profit = sum(float(one) for one in tested.figures["strategies"].values())
    assert profit == pytest.approx(float(tested.figures["net"]) - 100_000, abs=0.05)
    assert float(tested.figures["gross"]) > float(tested.figures["net"]) > float(tested.figures["net_at_twice_cost"])
    foresail.paper("start", account="p", bars="embedded:us20", strategy=pair, names=3, until="1990-05-31")
    ended = foresail.paper("start", account="p", bars="embedded:us20", strategy=pair, **SMALL)
    assert f"{float(ended.figures['equity']):.2f}" == tested.figures["net"]
    report = foresail.parity("p")
    assert (report.is_good, report.figures["differences"]) == (True, 0)
    with pytest.raises(ConfigError, match="trades with sleeves"):
        foresail.paper("start", account="p", bars="embedded:us20", strategy=["a.py=0.4", "b.py=0.6"], **SMALL)
    decided = {one["content"].split('"strategy":"')[1].split('"')[0] for one in shown("p", "Decided")}
    assert decided == {"test/a@1+test/b@1"}


def test_one_strategy_alone_trades_as_before(place: Path) -> None:
    plain = foresail.backtest("embedded:us20", "a.py", out="plain", **SMALL)
    whole = foresail.backtest("embedded:us20", ["a.py"], out="whole", **SMALL)
    assert whole.fingerprint == plain.fingerprint
    assert "strategies" not in plain.figures


def test_large_orders_leave_in_slices_although_their_whole_exceeds_the_share_of_volume(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CoreRiskView, "average_volume", lambda _self, _name: 20_000.0)
    monkeypatch.setattr(
        "foresail.engine.trading.volumes.PanelVolumes.average_daily", lambda _self, _name, _at: Decimal(20_000)
    )
    cut = foresail.backtest("embedded:us20", "a.py", out="cut", **SMALL)
    sliced = foresail.backtest("embedded:us20", "a.py", out="sliced", slices="twap:4:1d", **SMALL)
    started = foresail.read_ledger(journal=sliced.out / "journal", kind="SliceStarted", last=99).figures["shown"]
    assert started
    assert cut.figures["orders_cut_or_refused"] > 0
    most = {name: made.table("orders")["quantity"].astype(float).max() for name, made in (("cut", cut), ("s", sliced))}
    assert most["cut"] <= 200
    assert most["s"] <= 200
    foresail.paper("start", account="s", bars="embedded:us20", strategy="a.py", slices="twap:4:1d", **SMALL)
    assert foresail.parity("s").figures["differences"] == 0


def shown(account: str, kind: str) -> list[dict[str, Any]]:
    return list(foresail.read_ledger(account, kind=kind, last=9999).figures["shown"])
