"""Limits that a user edits: kinds and ranges, where each value comes from, and that they hold where trading happens."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.risk.accounts import rows, trading_limits
from foresail.risk.editing import edited_positions, known_limits, position_rows, read_limits
from foresail.risk.profiles import profile_named
from foresail.service.limits import LimitsRequest, show_limits
from foresail.service.settings import Overrides, default_settings, read_settings, template
from foresail.service.verify import _settings

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
TABLE = """
version = 1
[limits]
breakers.trades_per_day = 1
breakers.weekly_loss = "off"
"position.max_position" = 0.05
account.day_trade_rules = "intraday_margin"
account.is_margin = false
[limits.book]
leverage = [2, 1, 1]
"""


def table(tmp_path: Path, text: str = TABLE) -> Path:
    path = tmp_path / "foresail.toml"
    path.write_text(text)
    return path


def told(request: LimitsRequest) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in show_limits(request).document["limits"]}


def test_every_limit_has_a_kind_a_value_and_an_origin() -> None:
    names = {*rows(trading_limits("multi-asset")), *position_rows(profile_named("nasdaq").limits(AssetClass.STOCK))}
    assert set(known_limits()) == names
    for asset_class in AssetClass:
        found = told(LimitsRequest(profile="multi-asset", asset_class=asset_class.value))
        assert set(found) == names
        assert all(one["origin"] for one in found.values())


def test_edits_of_a_file_show_as_the_users(tmp_path: Path) -> None:
    found = told(LimitsRequest(config=table(tmp_path)))
    assert {name for name, one in found.items() if one["origin"] == "set by the user"} == {
        "breakers.trades_per_day", "breakers.weekly_loss", "position.max_position", "account.day_trade_rules",
        "account.is_margin", "book.leverage",
    }  # fmt: skip
    assert found["breakers.weekly_loss"]["value"] is None
    assert found["book.leverage"]["value"] == (2.0, 1.0, 1.0)
    assert found["position.cash_floor"]["origin"] == "RISK-07 [S4]"
    outcome = show_limits(LimitsRequest(config=table(tmp_path)))
    assert "uses up its margin" in outcome.lines[-2]
    assert (
        outcome.document["digest"]
        != show_limits(LimitsRequest(config=table(tmp_path, "version = 1"))).document["digest"]
    )
    assert not any("uses up its margin" in line for line in show_limits(LimitsRequest()).lines)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("breakers.daily_loss", 2, "a fraction from 0 to 1"),
        ("breakers.daily_loss", True, "a fraction"),
        ("breakers.daily_loss", -0.1, "a fraction"),
        ("breakers.daily_loss", "much", 'or "off"'),
        ("breakers.trades_per_day", 1.5, "a whole number"),
        ("breakers.boundary", "tokyo", "one of utc"),
        ("breakers.cut_fraction", "off", "a fraction"),
        ("account.is_margin", 1, "true or false"),
        ("book.leverage", [2, 1], "a list of 3 numbers"),
        ("account.day_trade_rules", "pdf", "one of pdt"),
        ("account.day_trade_rules", [["2026-13-01", "none"]], "one of pdt"),
    ],
)
def test_a_value_of_the_wrong_kind_or_range_is_refused(name: str, value: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as refused:
        read_limits({name: value})
    assert name in str(refused.value)


def test_an_unknown_limit_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"breakers\.daily_loss"):
        read_limits({"breakers": {"daily_los": 0.1}})
    with pytest.raises(UnknownNameError, match="stock"):
        show_limits(LimitsRequest(asset_class="tulip"))


def test_dated_day_trade_rules_are_sorted_by_their_day() -> None:
    dated = [["2026-06-04", "intraday_margin"], ["2001-09-28", "pdt"]]
    assert read_limits({"account.day_trade_rules": dated}) == (
        ("account.day_trade_rules", (("2001-09-28", "pdt"), ("2026-06-04", "intraday_margin"))),
    )


def test_the_day_begins_where_its_class_trades() -> None:
    found = {c.value: told(LimitsRequest(asset_class=c.value))["breakers.boundary"] for c in AssetClass}
    assert {name: one["value"] for name, one in found.items()} == {
        "stock": "new_york", "crypto": "utc", "forex": "forex",
    }  # fmt: skip
    assert {one["origin"] for one in found.values()} == {"RISK-30"}
    assert trading_limits("multi-asset").breakers.boundary == "utc"  # a portfolio of several classes


def test_settings_carry_the_edits_and_a_record_gives_them_back(tmp_path: Path) -> None:
    settings = read_settings(default_settings("1d", 252.0), table(tmp_path), Overrides())
    assert dict(settings.limits)["position.max_position"] == 0.05
    stored = json.loads(json.dumps({**asdict(settings), "capital": "100000"}))
    assert _settings(stored).limits == settings.limits
    del stored["limits"]  # as runs of older releases were recorded
    assert _settings(stored).limits == ()
    positions = edited_positions(profile_named("nasdaq").limits(AssetClass.STOCK), dict(settings.limits))
    assert positions.max_position == 0.05
    assert positions.risk_per_trade == 0.02


def test_the_template_shows_the_table(tmp_path: Path) -> None:
    text = template().replace("# breakers.daily_loss", "breakers.daily_loss")
    settings = read_settings(default_settings("1d", 252.0), table(tmp_path, text), Overrides())
    assert settings.limits == (("breakers.daily_loss", 0.01),)


def test_edited_limits_hold_in_a_backtest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turn.py").write_text(STRATEGY)
    plain = foresail.backtest("embedded:us20", "turn.py", names=3, until="1990-12-31", out="plain")
    table(tmp_path)
    strict = foresail.backtest("embedded:us20", "turn.py", names=3, until="1990-12-31", out="strict")
    assert "RISK-27 trades per day" not in plain.figures["breakers"]
    assert strict.figures["breakers"]["RISK-27 trades per day"]["times"] > 5
    assert strict.figures["warnings"]
    bought = {name: made.table("executions").iloc[0] for name, made in (("plain", plain), ("strict", strict))}
    values = {name: float(one["quantity"]) * float(one["price"]) for name, one in bought.items()}
    assert values["strict"] < 5_250 < values["plain"]  # decided at a close, filled at the next open
