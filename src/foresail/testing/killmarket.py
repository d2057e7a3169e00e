"""A small market on disk and a strategy for it, which the kill lab of the paper daemon trades."""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["STRATEGY_FILE", "write_kill_market"]

STRATEGY_FILE = "turn.py"
_STRATEGY = '''"""Rotates through the names of a set; remembers how often it decided."""
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
_SET = """version = 1
name = "three"
files = ["bars.csv"]
class = "stock"
frame = "1d"
time = "session"
price_basis = "total_return"
universe = "point_in_time"
"""
_HOLIDAYS = frozenset({
    "2018-03-30", "2018-05-28", "2018-07-04", "2018-09-03", "2018-11-22", "2018-12-05", "2018-12-25",
    "2019-01-01", "2019-01-21", "2019-02-18", "2019-04-19",
})  # fmt: skip


def write_kill_market(folder: Path, bars: int = 160) -> None:
    """Write a strategy and daily bars of three names from 2018-03-01 on into a new folder."""
    days = np.busday_offset("2018-03-01", np.arange(bars), roll="forward")
    rows = ["date,ticker,open,high,low,close,volume"]
    for k, ticker in enumerate(("AAA", "BBB", "CCC")):
        close = [50.0 + 10 * k + ((i * (7 + k)) % 23) * 0.37 for i in range(bars)]
        for i, day in enumerate(days):
            if str(day) not in _HOLIDAYS:
                before = close[max(0, i - 1)]
                top, bottom = max(before, close[i]) + 1, min(before, close[i]) - 1
                rows.append(f"{day},{ticker},{before:.2f},{top:.2f},{bottom:.2f},{close[i]:.2f},1000000")
    folder.mkdir(parents=True)
    (folder / STRATEGY_FILE).write_text(_STRATEGY)
    (folder / "bars.csv").write_text("\n".join(rows) + "\n")
    (folder / "foresail-set.toml").write_text(_SET)
