"""The paper daemon killed in series: every account ends as one that nobody interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

# Every kill costs a start of the daemon; continuous integration raises the number (FORESAIL_PAPER_KILLS=200).
KILLS = int(os.environ.get("FORESAIL_PAPER_KILLS", "6"))
STRATEGY = '''
"""Rotates through the names of a set."""
from foresail.domain.signals import Weights

api = 1
id = "test/turn@1"


class Spec:
    id, every, critical_inputs = id, 2, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        first = state["n"] // 3 % len(names)
        return [Weights(((names[first], 0.2), (names[(first + 1) % len(names)], 0.1)))]
'''
SET = """version = 1
name = "three"
files = ["bars.csv"]
class = "stock"
frame = "1d"
time = "session"
price_basis = "total_return"
universe = "point_in_time"
"""


def write_market(folder: Path, bars: int = 300) -> None:
    """Write a strategy and daily bars of three names."""
    days = np.busday_offset("2018-03-01", np.arange(bars), roll="forward")
    holidays = {"2018-03-30", "2018-05-28", "2018-07-04", "2018-09-03", "2018-11-22", "2018-12-05", "2018-12-25",
                "2019-01-01", "2019-01-21", "2019-02-18", "2019-04-19"}  # fmt: skip
    rows = ["date,ticker,open,high,low,close,volume"]
    for k, ticker in enumerate(("AAA", "BBB", "CCC")):
        close = [50.0 + 10 * k + ((i * (7 + k)) % 23) * 0.37 for i in range(bars)]
        for i, day in enumerate(days):
            if str(day) not in holidays:
                before = close[max(0, i - 1)]
                top, bottom = max(before, close[i]) + 1, min(before, close[i]) - 1
                rows.append(f"{day},{ticker},{before:.2f},{top:.2f},{bottom:.2f},{close[i]:.2f},1000000")
    folder.mkdir()
    (folder / "turn.py").write_text(STRATEGY)
    (folder / "bars.csv").write_text("\n".join(rows) + "\n")
    (folder / "foresail-set.toml").write_text(SET)


def test_killed_in_series_every_account_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    market, workspace = tmp_path / "market", tmp_path / "workspace"
    write_market(market)
    workspace.mkdir()
    code = (  # a process of its own: lives are forked from it, so it must not have threads
        "import json, sys; from pathlib import Path; from foresail.testing.killpaper import kill_paper\n"
        "w, m, n = sys.argv[1:]\n"
        "done = kill_paper(Path(w), Path(m), Path(m) / 'turn.py', kills=int(n), seed=1)\n"
        "sys.stdout.write(json.dumps([done.kills, done.accounts]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(workspace), str(market), str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    kills, accounts = json.loads(run.stdout)
    assert kills == KILLS
    assert accounts >= 1
