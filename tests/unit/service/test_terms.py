"""Stops, sizes, venue and fees of an account (COMP-05): named by its journal, confirmed where looser, repeated."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import foresail
from foresail.core.errors import ConfigError
from foresail.engine.settings import PipelineSettings
from foresail.engine.strategy_choices import StrategyChoice
from foresail.engine.trading.account import AccountRun
from foresail.engine.trading_settings import TradingSettings, VenueChoice
from foresail.service.limit_versions import read_versions, write_versions
from foresail.service.terms import (
    TERMS,
    change_text,
    loosened_terms,
    term_rows,
    terms_digest,
    terms_of,
    with_terms,
)

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
ELSEWHERE = {  # decide nothing of an account with a strategy of its own, or are its identity, or have rows of their own
    "horizons", "decision_horizon", "targets", "walk_forward", "features", "inputs", "forecaster",
    "forecaster_options", "calibration", "strategy", "profile", "capital", "currency", "top_k", "cost_gate", "limits",
    "seed", "beside",
}  # fmt: skip


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
    (place / "foresail.toml").write_text("\n".join(("version = 1", *lines)))


def shown(kind: str) -> list[dict[str, Any]]:
    found = foresail.read_ledger("a", kind=kind, last=9999).figures["shown"]
    return [json.loads(one["content"]) for one in found]


def fee(first: str, rate: str) -> tuple[str, ...]:
    return ("[[fees]]", 'fee = "sec"', f"from = {first}", f'rate = "{rate}"')


def test_every_field_of_the_settings_has_its_place() -> None:
    assert {one.name for one in fields(PipelineSettings)} == {*TERMS, *ELSEWHERE}


def test_a_change_of_terms_is_journalled_and_repeated(place: Path) -> None:
    start("1990-02-28")
    write(place, "[run]", 'stops = "class_and_target"')
    start("1990-04-30")  # stricter: nobody is asked
    write(place, "[run]", 'stops = "none"', "delisting_return = 0.1")
    with pytest.raises(ConfigError, match=r"delisting_return 0\.0 -> 0\.1, stops class_and_target -> none"):
        start("1990-06-30")
    assert len(shown("LimitsLoaded")) == 2
    start("1990-06-30", confirm_limits="ada")
    write(
        place,
        *fee("1980-01-01", "0.02"),
        "[venue]",
        'impact = "square_root"',
        "latency_bars = 1",
        "[run]",
        'stops = "none"',
    )
    with pytest.raises(ConfigError, match="fees"):
        start("1990-09-30")
    ended = start("1990-09-30", confirm_limits="grace")
    acted = shown("OperatorActed")
    assert [one["operator"] for one in acted] == ["settings", "ada", "grace"]
    assert acted[0]["text"] == "stops class -> class_and_target"
    assert acted[1]["text"] == "delisting_return 0.0 -> 0.1; stops class_and_target -> none"
    assert "fees [] -> [[sec, 1980-01-01, 0.02, ]]" in acted[2]["text"].replace('""', "")
    assert "venue.latency_bars 0 -> 1" in acted[2]["text"]
    assert len({one["digest"] for one in shown("LimitsLoaded")}) == 4
    assert any(one["stop"] for one in shown("LevelsSet"))
    report = foresail.parity("a")
    assert (report.is_good, report.figures["differences"]) == (True, 0), report
    again = start("1990-09-30")
    assert (money(again), len(shown("LimitsLoaded"))) == (money(ended), 4)


def test_an_account_made_before_the_journal_named_terms_takes_them_up(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(until: str, *, was_killed: bool = False) -> foresail.TradingReport:
        with monkeypatch.context() as patch:
            patch.setattr("foresail.service.stream.terms_digest", lambda limits, _terms: limits)
            if was_killed:
                patch.setattr(AccountRun, "snapshot", lambda self: None)
            return start(until)

    write(place, "[run]", 'stops = "none"')
    old = older("1990-02-28", was_killed=True)
    folder = place / "accounts/a"
    write_versions(folder, [replace(one, terms=None) for one in read_versions(folder)])
    assert b"terms" not in (folder / "limits.json").read_bytes()
    new = start("1990-02-28")
    assert money(new) == money(old)
    assert shown("OperatorActed")[0]["operator"] == "settings"
    assert [one.terms for one in read_versions(folder)] == [None, {"trading": {"stops": "none"}}]
    assert start("1990-04-30").is_good
    assert foresail.parity("a").figures["differences"] == 0
    assert len(shown("LimitsLoaded")) == 2


def test_an_older_account_with_every_term_as_by_default_has_them_from_its_next_start(place: Path) -> None:
    start("1990-02-28")
    folder = place / "accounts/a"
    write_versions(folder, [replace(one, terms=None) for one in read_versions(folder)])
    start("1990-03-31")
    assert [one.terms for one in read_versions(folder)] == [{}]
    assert len(shown("LimitsLoaded")) == 1
    write(place, "[run]", 'stops = "none"')
    with pytest.raises(ConfigError, match="stops class -> none"):
        start("1990-04-30")


def test_the_digest_is_that_of_the_limits_where_every_term_is_as_by_default() -> None:
    base = PipelineSettings()
    assert terms_of(base) == {}
    assert terms_digest("ab", {}) == "ab"
    other = replace(
        base, trading=TradingSettings(stops="none", venue=VenueChoice(volume_share=0.1)), delisting_return=-0.3
    )
    terms = json.loads(json.dumps(terms_of(replace(other, fees=(("sec", "2030-01-01", "0.1", ""),)))))
    assert terms == {
        "trading": {"stops": "none", "venue": {"volume_share": 0.1}},
        "delisting_return": -0.3,
        "fees": [["sec", "2030-01-01", "0.1", ""]],
    }
    back = with_terms(replace(base, capital=base.capital * 2), terms)
    assert back == replace(other, fees=(("sec", "2030-01-01", "0.1", ""),), capital=base.capital * 2)
    assert with_terms(other, {}) == base
    assert terms_digest("ab", terms) != terms_digest("ab", terms_of(other)) != "ab"


@pytest.mark.parametrize(
    ("before", "after", "is_looser"),
    [
        ({"stops": "none"}, {"stops": "class"}, False),
        ({"stops": "class_and_target"}, {"stops": "class"}, True),
        ({"venue.impact": "none"}, {"venue.impact": "almgren"}, False),
        ({"venue.impact": "almgren"}, {"venue.impact": "square_root"}, True),
        ({"venue.volume_share": 0.0}, {"venue.volume_share": 0.1}, False),
        ({"venue.volume_share": 0.1}, {"venue.volume_share": 0.0}, True),
        ({"venue.latency_ms": 1.0}, {"venue.latency_ms": 2.0}, False),
        ({"venue.latency_ms": 2.0}, {"venue.latency_ms": 1.0}, True),
        ({"delisting_return": 0.0}, {"delisting_return": -0.3}, False),
        ({"delisting_return": -0.3}, {"delisting_return": 0.0}, True),
        ({"volatility_target": 0.15}, {"volatility_target": 0.1}, False),
        ({"volatility_target": 0.15}, {"volatility_target": 0.0}, True),  # off
        ({"may_lever": False}, {"may_lever": True}, True),
        ({"may_lever": True}, {"may_lever": False}, False),
        ({"strategies.a/b@1.sizing": "risk"}, {"strategies.a/b@1.sizing": "atr"}, True),
        ({"sizing": ""}, {"sizing": "atr"}, True),  # cannot be compared
        ({"fees": []}, {"fees": [["sec", "2030-01-01", "1", ""]]}, True),
    ],
)
def test_what_loosens(before: dict[str, Any], after: dict[str, Any], is_looser: bool) -> None:
    assert bool(loosened_terms(before, after)) is is_looser
    assert change_text(before, after).startswith(next(iter(before)))


def test_rows_have_the_names_of_the_settings_file() -> None:
    assert {"stops", "sizing", "venue.impact", "fees", "delisting_return"} <= set(term_rows(PipelineSettings()))


def test_caps_of_a_strategy_have_rows_of_their_own() -> None:
    own = (("test/turn@1", StrategyChoice(max_gross=0.5)),)
    settings = replace(PipelineSettings(), strategies=own)
    assert with_terms(PipelineSettings(), json.loads(json.dumps(terms_of(settings)))) == settings
    row = "strategies.test/turn@1.max_gross"
    assert term_rows(settings)[row] == 0.5
    none, more = {}, {row: 0.6}
    assert loosened_terms(none, {row: 0.5}) == loosened_terms(more, {row: 0.5}) == ()
    assert loosened_terms({row: 0.5}, none) == loosened_terms({row: 0.5}, more) == (row,)
