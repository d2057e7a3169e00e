"""The paper daemon as a process: SIGKILL at any time, SIGTERM, a second start, the kill switch, parity."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import COMMAND, foresail

from foresail.core.clock import from_ns
from foresail.core.ids import InstrumentId
from foresail.testing.builders import bar_panel

STRATEGY = '''
"""Rotates through the names of a set; remembers how often it decided."""
from foresail.domain.signals import Weights

api = 1
id = "test/rotate@1"


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
BARS = 400


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy and a bar file of three names."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "rotate.py").write_text(STRATEGY)
    panel = bar_panel({InstrumentId("sim.S01.A"): [1.0] * BARS}, first_day="2015-01-02")
    days = [str(from_ns(int(end)).date()) for end in panel.end]
    rows = []
    for k, ticker in enumerate(("AAA", "BBB", "CCC")):
        close = [50.0 + 10 * k + ((i * (7 + k)) % 23) * 0.37 for i in range(BARS)]
        rows.append(
            pd.DataFrame(
                {
                    "date": days,
                    "ticker": ticker,
                    "open": [close[0], *close[:-1]],
                    "high": [c + 1 for c in close],
                    "low": [c - 1 for c in close],
                    "close": close,
                    "volume": 1e6,
                }
            )
        )
    frame = pd.concat(rows)
    frame["high"] = frame[["open", "high", "close"]].max(axis=1)
    frame["low"] = frame[["open", "low", "close"]].min(axis=1)
    frame.to_csv(folder / "bars.csv", index=False)
    (folder / "foresail-set.toml").write_text(
        'version = 1\nname = "three"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\n'
        'time = "session"\nprice_basis = "total_return"\nuniverse = "point_in_time"\n'
    )
    return folder


def begin(market: Path, cwd: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "paper", "start", "--account", "a", "--bars", str(market), "--strategy", str(market / "rotate.py"),
         "--snapshot-every", "100", "--json", *more],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def journal_size(cwd: Path) -> int:
    return sum(path.stat().st_size for path in (cwd / "accounts/a/journal").glob("journal-*"))


def wait_for_growth(process: subprocess.Popen[str], cwd: Path, more: int) -> None:
    """Wait until the journal has grown by so many bytes, or the process has ended."""
    before = journal_size(cwd)
    while process.poll() is None and journal_size(cwd) < before + more:
        time.sleep(0.002)


MONEY = ("cash", "equity", "positions", "open_orders", "bar", "events", "blocked")


@pytest.fixture(scope="module")
def whole(market: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An account that nobody interrupted."""
    cwd = tmp_path_factory.mktemp("whole")
    return cwd, ended(begin(market, cwd))


def test_killed_at_any_time_it_ends_with_the_books_of_an_uninterrupted_run(
    market: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    kills = 0
    for more in (1, 3_000, 20_000, 9_000):
        process = begin(market, tmp_path, "--speed", "max")
        wait_for_growth(process, tmp_path, more)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.communicate()
    last = ended(begin(market, tmp_path))
    assert kills >= 3
    assert {name: last[name] for name in MONEY} == {name: whole[1][name] for name in MONEY}
    report = foresail("parity", "--account", "a", "--json", cwd=tmp_path)
    assert (report.code, report.document["differences"]) == (0, 0), report.err


def test_a_second_start_is_refused_and_a_term_signal_ends_the_first_cleanly(market: Path, tmp_path: Path) -> None:
    slow = ("--speed", "86400x")  # one day of bars a second
    process = begin(market, tmp_path, *slow)
    wait_for_growth(process, tmp_path, 1_000)
    second = begin(market, tmp_path)
    _out, err = second.communicate(timeout=120)
    assert second.returncode == 4
    assert "in use by another process" in err
    assert foresail("paper", "status", "--account", "a", "--json", cwd=tmp_path).document["running"] is True
    killed = foresail("kill", "--account", "a", "--operator", "ada", "--json", cwd=tmp_path)
    assert (killed.code, killed.document["by"]) == (0, "process"), killed.err
    process.send_signal(signal.SIGTERM)
    document = ended(process)
    assert "account" in document["halted"]
    assert document["events"] < 2 * BARS


def test_a_kill_without_a_process_holds_from_the_next_start_on(market: Path, tmp_path: Path) -> None:
    process = begin(market, tmp_path)
    wait_for_growth(process, tmp_path, 30_000)
    process.kill()
    process.communicate()
    killed = foresail("kill", "--account", "a", "--operator", "ada", "--close", "--json", cwd=tmp_path)
    assert (killed.code, killed.document["by"]) == (0, "journal"), killed.err
    document = ended(begin(market, tmp_path))
    assert document["positions"] == {}
    assert document["bar"] == BARS - 1
    report = foresail("parity", "--account", "a", "--json", cwd=tmp_path)
    assert report.code == 0, report.out
    assert set(report.document["causes"]) == {"operator command"}


def test_an_account_never_changes_what_it_trades(market: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    other = market / "other.py"
    other.write_text(STRATEGY.replace("test/rotate@1", "test/rotate@2"))
    refused = foresail("paper", "start", "--account", "a", "--bars", market, "--strategy", other, cwd=whole[0])
    assert refused.code == 2
    assert "trades with strategy" in refused.err
