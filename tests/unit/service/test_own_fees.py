"""Regulatory fees of the settings (COST-07): they add to the recorded ones, or take the place of a day's."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.clock import to_ns
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.execution.dated_fees import parse_fees, read_fees
from foresail.service.settings import Overrides, default_settings, read_settings
from foresail.service.verify import _settings

TABLE = """
version = 1
[[fees]]
fee = "sec"
from = 1990-01-01
rate = "0.01"
[[fees]]
fee = "sec"
from = 2030-04-01
rate = 0.000025
cap = "9.79"
"""
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


def at(day: str) -> int:
    return to_ns(datetime.fromisoformat(day).replace(tzinfo=UTC))


def test_rows_add_to_the_recorded_ones_and_replace_those_of_their_day(tmp_path: Path) -> None:
    (tmp_path / "foresail.toml").write_text(TABLE)
    settings = read_settings(default_settings("1d", 252.0), tmp_path / "foresail.toml", Overrides())
    assert settings.fees == (("sec", "1990-01-01", "0.01", ""), ("sec", "2030-04-01", "0.000025", "9.79"))
    own, recorded = read_fees("sec", settings.fees), read_fees("sec")
    assert own.at(at("1995-06-01")).rate == Decimal("0.01")
    assert own.at(at("2031-01-01")).cap == Decimal("9.79")
    assert own.at(at("2024-01-02")) == recorded.at(at("2024-01-02"))
    day = recorded.records[3].day
    replaced = read_fees("sec", (("sec", day, "0.5", ""),))
    assert replaced.at(at(day)).rate == Decimal("0.5")
    assert len(replaced.records) == len(recorded.records)
    assert read_fees("taf", settings.fees) == read_fees("taf")


@pytest.mark.parametrize(
    "row",
    [
        {"fee": "sec", "from": "soon", "rate": "0.1"},
        {"fee": "sec", "from": "2030-01-01", "rate": "-0.1"},
        {"fee": "sec", "from": "2030-01-01", "rate": "much"},
        {"fee": "sec", "from": "2030-01-01"},
        {"fee": "sec", "from": "2030-01-01", "rate": "0.1", "unit": "share"},
    ],
)
def test_rows_that_are_none_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        parse_fees([row])


def test_unknown_and_repeated_fees_are_refused() -> None:
    row = {"fee": "sec", "from": "2030-01-01", "rate": "0.1"}
    with pytest.raises(UnknownNameError, match="taf"):
        parse_fees([{**row, "fee": "vat"}])
    with pytest.raises(ConfigError, match="once for a day"):
        parse_fees([row, {**row, "rate": "0.2"}])
    assert parse_fees([]) == ()


def test_a_backtest_pays_them_and_records_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turn.py").write_text(STRATEGY)
    plain = foresail.backtest("embedded:us20", "turn.py", names=3, until="1990-06-30", out="plain")
    (tmp_path / "foresail.toml").write_text(TABLE)
    taxed = foresail.backtest("embedded:us20", "turn.py", names=3, until="1990-06-30", out="taxed")
    paid = {name: made.table("executions")["fee"].astype(float).sum() for name, made in (("p", plain), ("t", taxed))}
    assert paid["t"] > paid["p"] + 100  # 1 % of what was sold
    assert taxed.figures["record"]["fees"][0][0] == "sec"
    settings = read_settings(default_settings("1d", 252.0), tmp_path / "foresail.toml", Overrides())
    stored = json.loads(json.dumps({**asdict(settings), "capital": "100000"}))
    assert _settings(stored).fees == settings.fees
