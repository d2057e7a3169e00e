"""What paper trading has shown: the gate to real money, slippage against the model, latency, breakers, alerts."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import foresail
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import AlertRaised, Deposited, Marked, OperatorActed
from foresail.ledger.recovery import read_entries
from foresail.service.accounts import AccountFolder
from foresail.service.limit_versions import read_versions
from foresail.service.monitor import account_record, last_alerts, slippage_line
from foresail.service.paper_status import latency_figures, status_lines
from foresail.service.stream import Stream, open_stream

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/turn@1"


class Spec:
    id, every, critical_inputs = id, 4, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(((names[state["n"] % len(names)], 0.1),))]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitor")
    (folder / "turn.py").write_text(STRATEGY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        foresail.paper("start", account="m", bars="embedded:us20", strategy="turn.py", names=3, until="1990-09-30")
    return folder


@pytest.fixture
def kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Stream, list[Any]]:
    monkeypatch.chdir(place)
    folder = AccountFolder(place, "m")
    stream = open_stream(folder.settle_request(None)[0], place, check_leaks=False)
    return stream, list(read_entries(RealDisk(folder.journal)))


def numbered(entries: list[Any]) -> list[Any]:
    return [replace(one, sequence=number) for number, one in enumerate(entries)]


def test_daily_returns_compound_to_the_equity_of_the_account(kept: tuple[Stream, list[Any]]) -> None:
    record = account_record(kept[0], "m", kept[1])
    grown = math.prod(1.0 + one for one in record.returns.values())
    assert grown == pytest.approx(float(foresail.paper(account="m").figures["equity"]) / 100_000, rel=1e-9)
    assert record.days == 270  # 2 January to 28 September
    assert record.round_trips > 30


def test_money_paid_in_is_no_return(kept: tuple[Stream, list[Any]]) -> None:
    stream, entries = kept
    before = account_record(stream, "m", entries).returns
    marks = [i for i, one in enumerate(entries) if isinstance(one, Marked)]
    place = marks[50]
    paid = Deposited(entries[place - 1].at, 0, Decimal(900_000), "USD")
    more = account_record(stream, "m", numbered([*entries[:place], paid, *entries[place:]])).returns
    assert max(abs(value) for value in more.values()) <= max(abs(value) for value in before.values())


def test_slippage_is_that_of_the_fill_against_the_close_it_was_decided_on(kept: tuple[Stream, list[Any]]) -> None:
    record = account_record(*kept[:1], "m", kept[1])
    bars = kept[0].inputs.data.bars
    executions = foresail.read_ledger("m").table("executions")
    assert len(record.slippage) == (~executions["reason"].isin(["stop", "target"])).sum() > 60
    one = record.slippage[0]
    row = bars.instruments.index(one.instrument)
    decided = int(np.searchsorted(bars.end, one.filled_at, side="left")) - 1  # filled at the open of the next bar
    close = bars.field("close")[row, decided]
    assert float(one.middle) == pytest.approx(close, abs=0.01)
    assert abs(one.fraction) == pytest.approx(abs(float(one.price) / float(one.middle) - 1.0), rel=1e-12)
    assert 0.0 < one.expected < 0.01


def test_the_gate_tells_each_condition_with_its_figure(place: Path, kept: tuple[Stream, list[Any]]) -> None:
    gate = foresail.paper("gate", account="m")
    told = {one["name"]: one for one in gate.figures["conditions"]}
    assert list(told) == ["period", "real time", "sharpe", "worst day", "trades", "alerts"]
    assert told["period"]["passed"]
    assert "270 days" in told["period"]["text"]
    assert gate.figures["passed"] is all(one["passed"] for one in told.values())
    assert (told["real time"]["passed"], gate.figures["real_time_days"]) == (False, 0)  # a replay is no paper trading
    assert gate.is_good  # a verdict never fails the command
    assert gate.figures["slippage"]["expected"] > 0
    assert ("begin live with about 10,000" in str(gate)) is gate.figures["passed"]


def test_a_critical_alert_stays_open_until_somebody_re_arms(kept: tuple[Stream, list[Any]]) -> None:
    stream, entries = kept
    at = entries[-1].at
    raised = AlertRaised(at, 0, "RISK-19", "CRITICAL", "the drawdown is 21 %")
    assert len(account_record(stream, "m", numbered([*entries, raised])).critical) == 1
    done = OperatorActed(at, 0, "rearm: looked into it", "ada")
    assert account_record(stream, "m", numbered([*entries, raised, done])).critical == []
    assert [one["kind"] for one in last_alerts([*entries, *[raised] * 12])] == ["RISK-19"] * 10


def test_status_tells_risk_latency_slippage_and_alerts(place: Path, kept: tuple[Stream, list[Any]]) -> None:
    status = foresail.paper(account="m")
    told = status.figures
    assert 0.0 <= told["drawdown"] < 0.2
    assert isinstance(told["breakers"], dict)
    assert told["latency"]["decisions"] > 20
    assert 0.0 < told["latency"]["p50_ms"] <= told["latency"]["p99_ms"]
    assert told["slippage"]["fills"] > 60
    assert len(told["alerts"]) <= 10
    for word in ("drawdown", "decision to durable orders", "bps expected by the cost model"):
        assert word in str(status)


def test_a_strategy_that_was_moved_hides_nothing_else(place: Path, kept: tuple[Stream, list[Any]]) -> None:
    moved = (place / "turn.py").rename(place / "elsewhere.py")
    try:
        status = foresail.paper(account="m")
    finally:
        moved.rename(place / "turn.py")
    assert status.figures["slippage"] is None
    assert status.figures["equity"]
    assert "slippage: not available" in str(status)


def test_latency_percentiles() -> None:
    assert latency_figures([])["decisions"] == 0
    figures = latency_figures([float(one) for one in range(100, 0, -1)])
    assert (figures["p50_ms"], figures["p99_ms"], figures["within"]) == (51.0, 100.0, 0.5)
    assert slippage_line({"fills": 0, "measured": None, "expected": None}).endswith("yet")


def test_every_position_is_told_with_its_stop_and_target(place: Path, kept: tuple[Stream, list[Any]]) -> None:
    foresail.paper("start", account="p", bars="embedded:us20", strategy="turn.py", names=3, until="1990-03-09")
    status = foresail.paper(account="p")
    held = status.figures["positions"]
    assert held
    levels = status.figures["levels"]
    ledger = foresail.read_ledger("p")
    table = ledger.table("positions").set_index("instrument")
    for name in held:
        stop = levels[name]["stop"]
        assert 0.5 < stop / float(table.loc[name, "average_price"]) < 1.0  # the stop of its class (EXIT-01)
        assert float(table.loc[name, "stop"]) == stop
        assert table.loc[name, "target"] == ""
        assert f"{name} {held[name]} (stop {stop:g})" in str(status)
        assert f", stop {stop}" in str(ledger)
    bare = {key: value for key, value in status.figures.items() if key != "levels"}
    assert any("(no stop)" in line for line in status_lines(bare))  # a status of an older release


def test_expected_slippage_is_what_the_venue_charges_impact_and_measured_spread_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turn.py").write_text(STRATEGY)
    days = pd.bdate_range("2015-02-02", periods=90)
    close = 50.0 + (np.arange(90) * 7 % 23) * 0.37
    frame = pd.DataFrame({"date": days.strftime("%Y-%m-%d"), "ticker": "AAA", "open": close, "close": close})
    frame["high"], frame["low"], frame["volume"], frame["spread"] = close + 1, close - 1, 3e6, 0.03
    frame = pd.concat([frame, frame.assign(ticker="BBB")])
    folder = tmp_path / "set"
    folder.mkdir()
    frame.to_csv(folder / "bars.csv", index=False)
    (folder / "foresail-set.toml").write_text(
        'version = 1\nname = "one"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\n'
        'time = "session"\nprice_basis = "raw"\nuniverse = "point_in_time"\n'
    )

    def start(until: str, **more: Any) -> None:
        foresail.paper("start", account="i", bars=str(folder), strategy="turn.py", until=until, **more)

    start("2015-04-15")
    (tmp_path / "foresail.toml").write_text('version = 1\n[venue]\nimpact = "square_root"\n')
    start("2015-12-31")
    account = AccountFolder(tmp_path, "i")
    request = replace(account.settle_request(None)[0], until=None)
    stream = open_stream(request, tmp_path, check_leaks=False)
    entries = list(read_entries(RealDisk(account.journal)))
    found = account_record(stream, "i", entries, read_versions(account.path)).slippage
    table = foresail.read_ledger("i").table("executions")
    table = table[table["reason"] == "entry"] if "entry" in set(table["reason"]) else table
    charged = {row.execution: float(row.slippage) / float(row.quantity) for row in table.itertuples()}
    assert len(found) > 10
    for one in found:
        expected = one.expected * float(one.middle)
        assert expected > 0.015  # half the measured spread
        if one.execution in charged:
            assert charged[one.execution] == pytest.approx(expected, rel=0.15, abs=0.011)  # middle is not the open
    before = [one.expected for one in found if one.filled_at < 1429056000 * 10**9]
    after = [one.expected for one in found if one.filled_at > 1429056000 * 10**9]
    assert min(after) > max(before)  # each under the terms that held
