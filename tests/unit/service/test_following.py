"""An account that follows its set: bars stored later, kills, commands, and bars that changed behind its back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import foresail
from foresail.core.clock import SystemClock, to_ns
from foresail.core.errors import ConfigError, DataError, IntegrityError
from foresail.domain.facts import fact_table
from foresail.domain.limits import MarketLimits
from foresail.service import paper
from foresail.service import stream as stream_module
from foresail.service.accounts import AccountFolder
from foresail.service.bars_seen import BarsSeen, SeenBar
from foresail.service.following import BarFollower, settled_events
from foresail.service.links import expected_end, link_commands, link_facts
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
NOW = {"at": datetime(2026, 1, 1, tzinfo=UTC)}
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
    monkeypatch.setattr(SystemClock, "now", lambda _self: NOW["at"])
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
    """Store bars, an hour or two after the newest of them closed."""
    NOW["at"] = datetime.combine(pd.Timestamp(bars["date"].max()), time(22), tzinfo=UTC)
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


def with_whales(monkeypatch: pytest.MonkeyPatch, days: list[int]) -> None:
    """Give the set a print of a whale at noon of these days of February 2015; the list may grow."""
    real = stream_module.load_bars

    def load(*args: Any, **more: Any) -> Any:
        loaded = real(*args, **more)
        at = np.array([to_ns(datetime(2015, 2, day, 12, tzinfo=UTC)) for day in days], dtype=np.int64)
        table = fact_table([""] * len(days), at, {"whale_trade": np.ones(len(days))}, available_at=at)
        return replace(loaded, data=replace(loaded.data, facts={"chain": table}))

    monkeypatch.setattr(stream_module, "load_bars", load)


def test_an_account_made_before_them_is_told_no_whales(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py", until="2015-03-10")
    kept = AccountFolder(place, "f").path / "account.json"
    content = json.loads(kept.read_bytes())
    del content["request"]["alerts"]
    kept.write_text(json.dumps(content))
    with_whales(monkeypatch, [5, 12, 13])
    again = foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py", until="2015-03-10")
    assert {name: again.figures[name] for name in MONEY} == {name: old.figures[name] for name in MONEY}
    ended = foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py")
    told = foresail.paper("start", account="n", bars=place_of(), strategy="rotate.py")
    assert told.figures["events"] == ended.figures["events"] + 3
    assert foresail.parity("f").figures["differences"] == 0


def test_an_account_whose_past_was_changed_is_not_taken_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [5]
    with_whales(monkeypatch, days)
    foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py", until="2015-03-10")
    days.append(12)
    with pytest.raises(IntegrityError, match="of its stream"):
        foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py")


def test_a_fact_that_came_late_says_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [5]
    with_whales(monkeypatch, days)

    def late() -> None:
        days.append(12)
        store(place, rows(60))

    with pytest.raises(DataError, match="past of the fact whale_print") as caught:
        follow("f", monkeypatch, [late, end])
    assert "the time at which it came" in str(caught.value.hint)


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
    def come(count: int) -> Callable[[], None]:
        return lambda: store(place, rows(count))

    NOW["at"] = datetime(2015, 3, 29, tzinfo=UTC)

    def told() -> dict[str, Any]:
        return {one["name"]: one for one in foresail.paper("gate", account="f").figures["conditions"]}

    follow("f", monkeypatch, [end])
    assert told()["period"]["passed"]  # 2 February to 27 March
    assert not told()["real time"]["passed"]
    assert "Sharpe ratio nan" in told()["sharpe"]["text"]
    assert told()["trades"]["text"].startswith("0 trades")
    follow("f", monkeypatch, [*(come(count) for count in range(41, 61)), end])
    gate = foresail.paper("gate", account="f")
    assert foresail.paper(account="f").figures["real_time_days"] == 26
    assert gate.figures["real_time_days"] == 26  # 30 March to 24 April; Good Friday is among them
    assert "26 days of 30 were traded as their bars came" in str(gate)
    assert told()["trades"]["text"] != "0 trades, 30 are asked for"
    follow("f", monkeypatch, [*(come(count) for count in range(61, 66)), end])
    assert told()["real time"]["passed"]  # to 1 May


def seen_bars(day: int, late: int = 0, *, missing: int = 0, minutes: int = 60) -> list[SeenBar]:
    """Bars of a day of 24/7 from 1970 on, the first ``late`` of them seen too late, the last ``missing`` never."""
    span = minutes * 60 * 10**9
    ends = [24 * day * 3600 * 10**9 + n * span for n in range(24 * 60 // minutes - missing)]
    return [SeenBar(at, "", "", at + (3 * span // 2 if n < late else span // 2)) for n, at in enumerate(ends)]


def test_a_day_counts_where_nearly_all_bars_due_were_seen_as_they_came() -> None:
    of = {n: date(1970, 1, 1) + timedelta(days=n) for n in range(1, 40)}

    def days(*bars: list[SeenBar]) -> frozenset[date]:
        return real_time_days([bar for some in bars for bar in some], "24/7", "1h")

    assert days(seen_bars(1), seen_bars(2, 2)) == {of[1], of[2]}
    assert days(seen_bars(1), seen_bars(2, 3), seen_bars(3)) == {of[1], of[3]}
    assert days(seen_bars(1, missing=2), seen_bars(2, missing=3)) == {of[1]}
    assert days(seen_bars(1), seen_bars(4)) == {of[1], of[4]}  # a market that never rests: a feed that was down
    sparse = [seen_bars(4 * n, missing=1439, minutes=1)[0] for n in range(1, 10)]
    assert real_time_days(sparse, "24/7", "1m") == frozenset()
    replayed = [replace(seen_bars(1)[0], seen_at=10**18)]
    assert days(replayed, seen_bars(2)) == frozenset()  # the clock went back
    unknown = [replace(one, seen_at=None) for one in seen_bars(1)]
    assert days(unknown, [replace(one, seen_at=one.end - 1) for one in seen_bars(2)]) == frozenset()


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
    seen.note(bars.inputs.data.bars, [len(lines) - 1], 77)
    seen.close()
    assert BarsSeen(path).read()[len(lines) - 1].seen_at == 77
    path.write_bytes(b"0 1 ab cd\n" + whole)
    with pytest.raises(DataError, match="line 1"):
        BarsSeen(path).read()


def test_a_feed_that_is_silent_blocks_entries_until_it_is_heard_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> None:
        NOW["at"] = datetime(2015, 4, 1, tzinfo=UTC)  # the bar of 30 March and that of 31 March did not come

    def late() -> None:
        store(place, rows(50))  # to 10 April, at the end of May
        NOW["at"] = datetime(2015, 6, 1, tzinfo=UTC)

    def silent_for_months() -> None:
        NOW["at"] = datetime(2015, 9, 1, tzinfo=UTC)

    ended = follow("f", monkeypatch, [silent, late, end])
    acted = [json.loads(one["content"]) for one in shown("OperatorActed")]
    assert [one["command"] for one in acted] == [
        "fact broker_link_silence_s 0",
        "fact clock_offset_ms 0",
        "fact data_link_silence_s 0",
        "fact data_link_silence_s 100799",  # since a second after 20:00 of the 30th
    ]
    assert {one["operator"] for one in acted} == {"process"}
    rulings = foresail.read_ledger("f").table("rulings")
    assert "RISK-31 links and clock" in set(rulings["rule"])
    assert "NO NEW BARS" in str(ended)
    assert foresail.parity("f").figures["differences"] == 0
    heard = follow("f", monkeypatch, [lambda: store(place, rows(80)), end])
    assert heard.figures["links"]["data_link_silence_s"] == 0.0
    assert "NO NEW BARS" not in str(heard)
    follow("f", monkeypatch, [silent_for_months, end])
    assert "NO NEW BARS" in str(foresail.paper(account="f"))
    NOW["at"] = datetime(2015, 5, 22, 22, tzinfo=UTC)  # as if the clock had been wrong: the newest bar is of that day
    assert "NO NEW BARS" not in str(foresail.paper("start", account="f"))  # told without --follow too
    newer = foresail.read_ledger("f").table("rulings")
    assert set(newer["rule"][len(rulings) :]) & {"", "RISK-27"}  # entries pass again
    assert "RISK-31 links and clock" not in set(newer["rule"][len(rulings) :])
    assert foresail.parity("f").figures["differences"] == 0


def test_following_puts_the_limits_of_live_trading_in_force_for_good(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py", until="2015-03-01")
    follow("f", monkeypatch, [end])
    acted = [json.loads(one["content"]) for one in shown("OperatorActed")]
    assert acted[0]["text"] == "market.max_price_age_ns off -> 60000000000; market.needs_links False -> True"
    again = foresail.paper("start", account="f", bars=place_of(), strategy="rotate.py")
    assert len(shown("LimitsLoaded")) == 2
    assert again.is_good
    assert foresail.parity("f").figures["differences"] == 0


def shown(kind: str) -> list[dict[str, Any]]:
    return foresail.read_ledger("f", kind=kind, last=99).figures["shown"]


@pytest.mark.parametrize(
    ("calendar", "frame", "end_at", "due"),
    [
        ("XNYS", "1d", "2015-03-27T20:00", "2015-03-30T20:00"),  # a weekend
        ("XNYS", "1d", "2015-11-25T21:00", "2015-11-27T18:00"),  # Thanksgiving, then a half day
        ("XNYS", "1h", "2015-03-27T19:30", "2015-03-27T20:00"),  # a short last bar
        ("XNYS", "1h", "2015-03-27T20:00", "2015-03-30T14:30"),
        ("24/7", "4h", "2015-03-27T20:00", "2015-03-28T00:00"),
        ("24/5", "1h", "2015-03-27T21:00", "2015-03-29T22:00"),
        ("24/7", "1w", "2015-03-23T00:00", "2015-03-30T00:00"),
        ("XNYS", "1d", "2100-01-04T21:00", None),
    ],
)
def test_when_the_next_bar_is_due(calendar: str, frame: str, end_at: str, due: str | None) -> None:
    def at(text: str) -> int:
        return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))

    assert expected_end(calendar, frame, at(end_at)) == (None if due is None else at(due))


def test_a_fact_is_told_where_it_crosses_its_limit() -> None:
    limits = MarketLimits()
    well = {"broker_link_silence_s": 0.0, "clock_offset_ms": 0.0, "data_link_silence_s": 0.0}
    assert len(link_commands({}, {**well, "data_link_silence_s": 1e9}, limits)) == 3
    assert link_commands(well, {**well, "data_link_silence_s": 60.0, "clock_offset_ms": 250.0}, limits) == []
    assert link_commands(well, {**well, "clock_offset_ms": 251.0}, limits) == ["fact clock_offset_ms 251"]
    silent = {**well, "data_link_silence_s": 61.0}
    assert link_commands(silent, {**well, "data_link_silence_s": 99.0}, limits) == []
    assert link_commands(silent, well, limits) == ["fact data_link_silence_s 0"]
    assert link_commands(well, silent, replace(limits, max_link_silence_s=None)) == []


def test_a_set_whose_bars_come_late_is_silent_later(place: Path) -> None:
    bars = open_stream(StreamRequest(place_of(), Path("rotate.py")), place, check_leaks=False).inputs.data.bars
    due = expected_end(bars.calendar, bars.frame, int(bars.end[-1]))
    assert due is not None
    hour = 3600 * 10**9
    late = replace(bars, available_at=bars.end + hour)
    told = [link_facts(one, due + hour + 90 * 10**9)["data_link_silence_s"] for one in (bars, late)]
    assert told == [3600 + 89, 90]
    assert link_facts(bars, int(bars.end[-1]) - 10**9)["clock_offset_ms"] == 1000
