"""Results by group from the command line (ATTR-02): groups add up to the account, signals and models come out of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foresail
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.ledger.entries import OrderIntended, OrderReview, Reviewed, SignalSeen
from foresail.service.ledger import LedgerRequest, entries_of
from foresail.service.ledger_figures import GROUPS, _named_by_signal, _one_over_n, show_figures
from foresail.testing.builders import bar_panel

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
SMALL: dict[str, Any] = {"names": 3, "until": "1990-09-30"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for shift, name in enumerate("ab"):
            (folder / f"{name}.py").write_text(STRATEGY.format(name=name, shift=shift))
        foresail.paper("start", account="one", bars="embedded:us20", strategy="a.py", **SMALL)
        pair = ["a.py=0.5", "b.py=0.5"]
        foresail.paper("start", account="two", bars="embedded:us20", strategy=pair, **SMALL)
        foresail.backtest("embedded:us20", "a.py", out="bt", **SMALL)
        foresail.backtest("embedded:us20", pair, out="bt2", **SMALL)
    return folder


@pytest.mark.parametrize("by", GROUPS)
def test_the_groups_add_up_to_the_profit_of_the_account(place: Path, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for account in ("one", "two"):
        profit = float(foresail.read_ledger(account).table("equity")["equity"].iloc[-1]) - 100_000
        told = show_figures(LedgerRequest(account), by=by).document["groups"]
        assert sum(one["profit"] for one in told) == pytest.approx(profit, abs=0.02)


def test_groups_have_their_names_and_trades(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    ledger = foresail.read_ledger("one")
    sides = ledger.figures_by("side")
    assert list(sides.index) == ["long"]
    trades = ledger.table("trades")
    assert sides["trades"].sum() == trades["closed_at"].notna().sum()
    assert set(ledger.figures_by("class").index) == {"stock"}
    assert set(ledger.figures_by("strategy").index) == {"test/a@1"}
    assert set(foresail.read_ledger("two").figures_by("strategy").index) == {"no strategy", "test/a@1", "test/b@1"}
    assert 0.0 < sides["beta"]["long"] < 0.3  # 8 % of the equity in one of three names
    hours = ledger.figures_by("hour", zone="America/New_York")
    assert set(hours.index) <= {f"{hour:02d}" for hour in range(24)}


def test_the_journal_of_a_backtest_has_its_bars_beside_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    tested, account = foresail.read_ledger(journal="bt/journal"), foresail.read_ledger("one")
    for by in ("side", "sector", "class", "strategy"):
        one, other = tested.figures_by(by), account.figures_by(by)
        assert one["profit"].to_dict() == other["profit"].to_dict()
        assert one[["alpha", "beta"]].to_dict() == other[["alpha", "beta"]].to_dict()
        assert one["beta"].notna().all()
    netted = foresail.read_ledger(journal="bt2/journal").figures_by("strategy")
    assert netted["profit"].to_dict() == foresail.read_ledger("two").figures_by("strategy")["profit"].to_dict()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda kept: kept.pop("request"), "a release that did not keep"),
        (lambda kept: kept["request"].update(bars="gone"), "its bars are not there"),
        (lambda kept: kept["record"]["inputs"].update(name="other"), "stored otherwise now"),
    ],
)
def test_a_backtest_whose_bars_are_gone_is_a_journal_by_itself(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, why: str
) -> None:
    monkeypatch.chdir(place)
    copied = tmp_path / "copied"
    shutil.copytree("bt", copied)
    kept = json.loads((copied / "backtest.json").read_bytes())
    change(kept)
    (copied / "backtest.json").write_text(json.dumps(kept))
    told = show_figures(LedgerRequest(journal=copied / "journal"), by="side").document
    assert why in told["benchmark"]
    assert all(one["beta"] is None for one in told["groups"])


def test_a_journal_by_itself(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for name in ("bt", "bt2"):
        shutil.copytree(f"{name}/journal", tmp_path / name)
    alone = foresail.read_ledger(journal=str(tmp_path / "bt"))
    beside = foresail.read_ledger("one")
    assert alone.figures_by("side")["profit"].to_dict() == beside.figures_by("side")["profit"].to_dict()
    assert alone.figures_by("side")["beta"].isna().all()
    with pytest.raises(ConfigError, match="no sectors"):
        alone.figures_by("sector")
    with pytest.raises(ConfigError, match="netted"):
        foresail.read_ledger(journal=str(tmp_path / "bt2")).figures_by("strategy")
    with pytest.raises(UnknownNameError, match="sector"):
        alone.figures_by("moon")


def test_the_signal_and_model_behind_an_order_name_its_trade(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    entries = entries_of(LedgerRequest("one"))
    told = []
    known = {entry.order.id: entry.order for entry in entries if isinstance(entry, OrderIntended)}
    for entry in entries:
        if isinstance(entry, Reviewed):
            seen = SignalSeen("test/a@1", "SIG-15", "stock_1d_ridge_v1", "", 0.8)
            cut = [(one.order_id, one.instrument, one.wanted, one.allowed, one.rulings) for one in entry.orders]
            orders = [known[name] for name in entry.whole if name in known]
            cut += [(one.id, one.instrument, one.quantity, one.quantity, ()) for one in orders]
            told.append(replace(entry, orders=tuple(OrderReview(*row, (seen,)) for row in cut), whole=()))
        else:
            told.append(entry)
    for what, name in (("model", "stock_1d_ridge_v1"), ("rule", "SIG-15")):
        orders = [one.order for one in _named_by_signal(told, what) if isinstance(one, OrderIntended)]
        assert {order.strategy for order in orders if order.strategy not in ("", name)} == set()
        assert sum(order.strategy == name for order in orders) > 20
    assert {
        order.order.strategy for order in _named_by_signal(entries, "model") if isinstance(order, OrderIntended)
    } == {""}


def test_the_benchmark_is_the_mean_move_of_names_with_prices_at_both_ends() -> None:
    bars = bar_panel({"sim.S01.A": [10.0, 11.0, float("nan")], "sim.S02.B": [20.0, 18.0, 27.0]})  # type: ignore[dict-item]
    assert _one_over_n(bars, [0, 1, 2]) == pytest.approx([0.0, 0.0, 0.5])
    assert np.isfinite(_one_over_n(bars, [])).all()
