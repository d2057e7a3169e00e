"""A plain backtest and a paper account sell the same, where a stop cannot fill in its bar too (EXIT-01, ALERT-03)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import foresail

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/hold@1"


class Spec:
    id, every, critical_inputs = id, 1, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(((names[state["n"] // 3 % len(names)], 0.08),))]
"""
COLUMNS = ["instrument", "action", "quantity", "price", "timestamp", "reason"]


def bars(seed: int) -> pd.DataFrame:
    """Two names that fall at times, without volume on such a day, and open where they were on the next."""
    rng, days = np.random.default_rng(seed), pd.bdate_range("2015-02-02", periods=120)
    out = []
    for ticker in ("AAA", "BBB"):
        falls = np.r_[False, rng.random(len(days) - 1) < 0.08]
        level = 60 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days))))
        close = np.round(np.where(falls, level * 0.9, level), 2)
        opened = np.round(np.r_[60.0, level[:-1]], 2)
        frame = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "ticker": ticker, "open": opened})
        frame["close"], frame["volume"] = close, np.where(falls, 0.0, 4e6)
        frame["high"] = frame[["open", "close"]].max(axis=1)
        frame["low"] = frame[["open", "close"]].min(axis=1)
        out.append(frame)
    return pd.concat(out)


@pytest.mark.parametrize("seed", [1, 2])
def test_backtest_and_paper_sell_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hold.py").write_text(STRATEGY)
    (tmp_path / "foresail.toml").write_text("version = 1\n[venue]\nvolume_share = 0.1\n")
    folder = tmp_path / "set"
    folder.mkdir()
    bars(seed).to_csv(folder / "bars.csv", index=False)
    (folder / "foresail-set.toml").write_text(
        'version = 1\nname = "two"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\n'
        'time = "session"\nprice_basis = "raw"\nuniverse = "point_in_time"\n'
    )
    foresail.backtest(str(folder), "hold.py", out=str(tmp_path / "bt"))
    foresail.paper("start", account="p", bars=str(folder), strategy="hold.py")
    tested, traded = foresail.read_ledger(journal="bt/journal"), foresail.read_ledger("p")
    rows: list[Any] = [one.table("executions")[COLUMNS].to_dict("records") for one in (tested, traded)]
    assert rows[0] == rows[1]
    sold = [
        one["content"] for one in foresail.read_ledger("p", last=9999).figures["shown"] if one["kind"] == "AlertRaised"
    ]
    assert any("ALERT-03" in one for one in sold)
