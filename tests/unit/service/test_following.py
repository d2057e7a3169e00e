"""An account that follows its set: bars stored later, kills, commands, and bars that changed behind its back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import foresail
from foresail.core.clock import SystemClock, from_ns
from foresail.core.errors import ConfigError, DataError
from foresail.service import paper
from foresail.service.accounts import AccountFolder
from foresail.service.bars_seen import BarsSeen, SeenBar
from foresail.service.following import BarFollower, settled_events
from foresail.service.real_time import real_time_days
from foresail.service.stream import Stream, StreamRequest, open_stream

STRATEGY = """
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
        return [Weights(((names[state["n"] // 3 % len(names)], 0.2),))]
"""
MONEY = ("cash", "equity", "positions", "events", "bar", "open_orders")


def rows(count: int, *, off: float = 0.0) -> pd.DataFrame:
    days = pd.bdate_range("2015-02-02", periods=count)
    out = []
    for k, ticker in enumerate(("AAA", "BBB")):
        close = [50.0 + 10 * k + ((i * (7 + k)) % 23) * 0.37 + (off if i == 5 else 0.0) for i in range(count)]
        frame = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "ticker": ticker, "open": [close[0], *close[:-1]]})
        frame["close"], frame["volume"] = close, 1e6
        frame["high"] = frame[["open", "close"]].max(axis=1) + 1
        frame["low"] = frame[["open", "close"]].min(axis=1) - 1
        out.append(frame)
    return pd.concat(out)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rotate.py").write_text(STRATEGY)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "foresail-set.toml").write_text(
        'version = 1\nname = "two"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\n'
        'time = "session"\nprice_basis = "total_return"\nuniverse = "point_in_time"\n'
    )
    store(tmp_path, rows(40))
    return tmp_path


def store(place: Path, bars: pd.DataFrame) -> None:
    bars.to_csv(place / "set" / "bars.csv", index=False)


def end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def follow(account: str, monkeypatch: pytest.MonkeyPatch, deeds: list[Callable[[], Any]]) -> foresail.TradingReport:
    """Follow the set; each time that the account has come to the end of what is stored, do the next deed."""
    waiting: Iterator[Callable[[], Any]] = iter(deeds)
    naps = {"n": 0}

    def nap(_seconds: float) -> None:
        naps["n"] += 1
        if naps["n"] % 3 == 0:
            next(waiting)()

    monkeypatch.setattr(paper.time, "sleep", nap)
    return foresail.paper(
        "start", account=account, bars=place_of(), strategy="rotate.py", follow=1e-6, snapshot_every=17
    )


def place_of() -> str:
    return str(Path("set").resolve())


def test_it_ends_with_the_books_of_an_account_that_had_all_bars(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deeds = [lambda: store(place, rows(41)), lambda: store(place, rows(70)), lambda: store(place, rows(90)), end]
    followed = follow("f", monkeypatch, deeds)
    whole = foresail.paper("start", account="w", bars=place_of(), strategy="rotate.py")
    assert {name: followed.figures[name] for name in MONEY} == {name: whole.figures[name] for name in MONEY}
    assert whole.figures["bar"] == 86  # holidays are no bars
    report = foresail.parity("f")
    assert (report.is_good, report.figures["differences"]) == (True, 0)


def test_killed_while_it_follows_it_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow("f", monkeypatch, [lambda: store(place, rows(60)), killed])
    followed = follow("f", monkeypatch, [lambda: store(place, rows(90)), end])
    whole = foresail.paper("start", account="w", bars=place_of(), strategy="rotate.py")
    assert {name: followed.figures[name] for name in MONEY} == {name: whole.figures[name] for name in MONEY}


def test_commands_are_obeyed_while_it_waits(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def latch() -> None:
        AccountFolder(place, "f").write_command("kill close", "ada")

    ended = follow("f", monkeypatch, [latch, lambda: store(place, rows(60)), end])
    assert "account" in ended.figures["halted"]
    assert ended.figures["positions"] == {}
    assert ended.figures["bar"] == 57
    assert set(foresail.parity("f").figures["causes"]) == {"operator command"}


def test_bars_that_changed_behind_its_back_end_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = rows(60)
    late = late[~((late["ticker"] == "AAA") & (late["date"] == late["date"].iloc[3]))]
    gone = late[late["date"] != late["date"].iloc[10]]
    with pytest.raises(DataError, match="stored otherwise now"):
        follow("f", monkeypatch, [lambda: store(place, gone), end])
    with pytest.raises(DataError, match="other instruments"):
        follow("g", monkeypatch, [lambda: store(place, rows(70).assign(ticker="AAA").drop_duplicates("date")), end])


def test_a_file_that_did_not_change_is_not_read_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = open_stream(StreamRequest(place_of(), Path("rotate.py")), place, check_leaks=False)
    reads: list[int] = []
    real = Stream.reloaded
    monkeypatch.setattr(Stream, "reloaded", lambda self: reads.append(1) or real(self))
    follower = BarFollower(1e-9, SystemClock())
    assert [follower.look(stream, 10) for _ in range(3)] == [None] * 3
    assert len(reads) == 1
    store(place, rows(50))
    newer = follower.look(stream, 10)
    assert newer is not None
    assert newer.inputs.data.bars.shape[1] == 48
    assert len(reads) == 2
    with pytest.raises(ConfigError, match="above 0"):
        BarFollower(0.0, SystemClock())


def test_a_decision_waits_for_a_bar_that_may_end_before_it(place: Path) -> None:
    stream = open_stream(StreamRequest(place_of(), Path("rotate.py")), place, check_leaks=False)
    events = stream.events()
    assert settled_events(stream) == events  # daily: every decision comes long before the next close
    bars = stream.inputs.data.bars
    slow = open_stream(StreamRequest(place_of(), Path("rotate.py")), place, check_leaks=False)
    object.__setattr__(slow.inputs.data.bars, "available_at", bars.end + 4 * 86_400 * 10**9)
    assert 0 < len(settled_events(slow)) < len(slow.events())


def test_only_days_traded_as_their_bars_came_count_before_real_money(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, now = pd.bdate_range("2015-02-02", periods=90), {"at": datetime(2026, 1, 1, tzinfo=UTC)}
    monkeypatch.setattr(SystemClock, "now", lambda _self: now["at"])

    def come(count: int) -> Callable[[], None]:
        def deed() -> None:
            store(place, rows(count))
            now["at"] = datetime.combine(days[count - 1], time(23), tzinfo=UTC)

        return deed

    def told() -> dict[str, Any]:
        return {one["name"]: one for one in foresail.paper("gate", account="f").figures["conditions"]}

    follow("f", monkeypatch, [end])
    assert told()["period"]["passed"]  # 2 February to 27 March
    assert not told()["real time"]["passed"]
    assert "Sharpe ratio nan" in told()["sharpe"]["text"]
    assert told()["trades"]["text"].startswith("0 trades")
    follow("f", monkeypatch, [*(come(count) for count in range(41, 61)), end])
    gate = foresail.paper("gate", account="f")
    assert gate.figures["real_time_days"] == 26  # 30 March to 24 April; Good Friday is among them
    assert "26 days of 30 were traded as their bars came" in str(gate)
    assert told()["trades"]["text"] != "0 trades, 30 are asked for"
    follow("f", monkeypatch, [*(come(count) for count in range(61, 66)), end])
    assert told()["real time"]["passed"]  # to 1 May


def test_a_day_counts_where_nearly_all_of_its_bars_were_seen_as_they_came() -> None:
    hour = 3600 * 10**9

    def seen(day: int, late: int = 0) -> list[SeenBar]:
        ends = [(24 * day + one) * hour for one in range(1, 21)]
        return [SeenBar(at, "", "", at + (2 * hour if n < late else hour)) for n, at in enumerate(ends)]

    of = {n: from_ns(24 * n * hour).date() for n in range(12)}
    assert real_time_days([*seen(0), *seen(1, 2)], hour) == {of[0], of[1]}
    assert real_time_days([*seen(0), *seen(1, 3), *seen(2)], hour) == {of[0], of[2]}
    assert real_time_days([*seen(0), *seen(4)], hour) == {of[n] for n in range(5)}  # a rest
    assert real_time_days([*seen(0), *seen(5)], hour) == {of[0], of[5]}  # a feed that was down
    assert real_time_days([SeenBar(hour, "", "", hour - 1), SeenBar(25 * hour, "", "")], hour) == frozenset()


def test_a_torn_line_of_bars_seen_is_written_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow("f", monkeypatch, [end])
    path = AccountFolder(place, "f").path / "bars.seen"
    whole = path.read_bytes()
    lines = whole.decode().splitlines()
    old = " ".join(lines[0].split()[:4])  # as the first versions wrote it
    path.write_text("\n".join([old, *lines[1:-1], lines[-1][:-3]]))
    assert BarsSeen(path).read()[0].seen_at is None
    assert len(BarsSeen(path).read()) == len(lines) - 1
    seen, bars = BarsSeen(path), open_stream(StreamRequest(place_of(), Path("rotate.py")), place, check_leaks=False)
    seen.note(bars.inputs.data.bars, len(lines) - 1, 77)
    seen.close()
    assert BarsSeen(path).read()[len(lines) - 1].seen_at == 77
    path.write_bytes(b"0 1 ab cd\n" + whole)
    with pytest.raises(DataError, match="line 1"):
        BarsSeen(path).read()
