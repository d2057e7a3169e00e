"""Limits that change while an account lives (COMP-05): confirmed where they loosen, journalled, and safe from kills."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.canonical import hash_value
from foresail.core.errors import ConfigError, DataError
from foresail.engine.trading.account import AccountRun
from foresail.risk.accounts import edited, trading_limits
from foresail.service.limit_versions import LimitVersion, read_versions, version_of, write_versions

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/turn@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        names = sorted(view.instruments)
        return [Weights(tuple((name, 0.08 + 0.02 * (state["n"] % 2)) for name in names))]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turn.py").write_text(STRATEGY)
    return tmp_path


def start(until: str, **more: Any) -> foresail.TradingReport:
    return foresail.paper("start", account="a", bars="embedded:us20", strategy="turn.py", names=2, until=until, **more)


def money(report: foresail.TradingReport) -> list[Any]:
    return [report.figures[name] for name in ("cash", "equity", "positions", "events")]


def write(place: Path, *lines: str) -> None:
    (place / "foresail.toml").write_text("\n".join(("version = 1", "[limits]", *lines)))


def loaded() -> list[str]:
    shown = foresail.read_ledger("a", kind="LimitsLoaded", last=99).figures["shown"]
    return [json.loads(one["content"])["digest"] for one in shown]


def test_a_change_is_journalled_and_loosening_needs_a_name(place: Path) -> None:
    start("1990-03-31")
    assert len(loaded()) == 1
    write(place, "breakers.trades_per_day = 1", "position.max_position = 0.05")
    strict = start("1990-06-30")
    assert len(loaded()) == 2
    assert any("RISK-27" in one["content"] for one in foresail.read_ledger("a", last=9999).figures["shown"])
    write(place, "breakers.trades_per_day = 1", 'breakers.weekly_loss = "off"')
    with pytest.raises(
        ConfigError, match=r"position\.max_position 0\.05 -> 0\.15, breakers\.weekly_loss 0\.05 -> None"
    ):
        start("1990-09-30")
    assert len(loaded()) == 2
    assert foresail.paper(account="a").figures["events"] == strict.figures["events"]
    for nobody in ("", " ", "a\nb"):
        with pytest.raises(ConfigError, match="person"):
            start("1990-09-30", confirm_limits=nobody)
    assert len(loaded()) == 2
    start("1990-09-30", confirm_limits="ada")
    assert len(set(loaded())) == 3
    acted = foresail.read_ledger("a", kind="OperatorActed", last=99).figures["shown"]
    assert [json.loads(one["content"])["operator"] for one in acted] == ["settings", "ada"]
    again = start("1990-09-30")
    assert len(loaded()) == 3
    assert again.figures["books"] == foresail.paper(account="a").figures["books"]
    report = foresail.parity("a")
    assert (report.is_good, report.figures["differences"]) == (True, 0), report


def test_a_killed_account_comes_to_its_end_under_the_limits_it_had(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(AccountRun, "snapshot", lambda self: None)  # as if it had been killed: the journal alone is there
        killed = start("1990-06-30")
    write(place, "position.max_position = 0.01")
    changed = start("1990-06-30")
    assert money(changed) == money(killed)
    assert len(loaded()) == 2


def test_a_version_that_never_came_to_hold_does_not_count(place: Path) -> None:
    start("1990-03-31")
    versions = read_versions(place / "accounts/a")
    loose = (("breakers.daily_loss", 0.5), ("position.max_position", 0.01))
    write_versions(place / "accounts/a", [*versions, LimitVersion("f" * 64, loose, "ada")])
    went_on = start("1990-04-30")
    assert len(loaded()) == 1
    whole = foresail.paper("start", account="b", bars="embedded:us20", strategy="turn.py", names=2, until="1990-04-30")
    assert whole.figures["positions"]
    assert money(went_on) == money(whole)
    with pytest.raises(DataError, match=r"limits\.json"):
        version_of(versions, "e" * 64)


def test_a_confirmed_change_killed_before_its_entry_holds_no_more_once_taken_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, "position.max_position = 0.05")
    start("1990-03-31")
    write(place, "position.max_position = 0.15")

    def killed(_self: AccountRun, _command: str, _operator: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AccountRun, "command", killed)
        with pytest.raises(KeyboardInterrupt):
            start("1990-04-30", confirm_limits="ada")
    assert len(read_versions(place / "accounts/a")) == 2
    write(place, "position.max_position = 0.05")
    went_on = start("1990-04-30")
    assert len(loaded()) == 1
    whole = foresail.paper("start", account="b", bars="embedded:us20", strategy="turn.py", names=2, until="1990-04-30")
    assert money(went_on) == money(whole)
    assert foresail.parity("a").figures["differences"] == 0


def test_a_change_that_was_killed_before_its_snapshot_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start("1990-03-31")
    write(place, "position.max_position = 0.01")
    done = []

    def second(self: AccountRun) -> None:
        done.append(self)
        if len(done) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AccountRun, "snapshot", second)
        with pytest.raises(KeyboardInterrupt):
            start("1990-04-30")
    assert len(loaded()) == 2
    start("1990-04-30")
    assert len(loaded()) == 2


def test_an_account_of_an_older_release_takes_up_its_limits(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, 'breakers.boundary = "utc"')
    with monkeypatch.context() as patch:
        patch.setattr("foresail.engine.driver.limits_digest", lambda *_: "")  # hashed as the first versions did
        patch.setattr("foresail.service.stream.limits_digest", lambda *_: loaded_by_old())
        old = start("1990-03-31")
    (place / "foresail.toml").unlink()
    folder = place / "accounts/a"
    (folder / "limits.json").unlink()
    kept = json.loads((folder / "account.json").read_bytes())
    for name in ("boundary", "facts", "alerts"):
        del kept["request"][name]
    kept["request"]["facts"] = True
    (folder / "account.json").write_text(json.dumps(kept))
    new = start("1990-03-31")
    assert money(new) == money(old)
    assert len(set(loaded())) == 2
    assert read_versions(folder)[0].values == read_versions(folder)[1].values == (("breakers.boundary", "utc"),)


def loaded_by_old() -> str:
    return hash_value(asdict(edited(trading_limits("multi-asset"), {"breakers.boundary": "utc"})))
