"""What a paper account risks (RISK-14 to 18, 22): in its status, as alerts, and how often its figure was wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foresail
from foresail.core.clock import from_ns
from foresail.domain.alerts import Severity
from foresail.domain.limits import BookLimits, TradingLimits
from foresail.engine.trading.risk_figures import LEVELS, values_at_risk
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import StreamAdvanced
from foresail.ledger.recovery import read_entries
from foresail.measures.value_at_risk import expected_shortfall, value_at_risk
from foresail.risk.accounts import edited, trading_limits
from foresail.risk.alerts import AlertInputs, alerts_due
from foresail.risk.state import RiskState
from foresail.risk.versions import limits_digest
from foresail.service.account_risk import exception_lines, exceptions, risk_lines
from foresail.service.accounts import AccountFolder
from foresail.service.monitor import account_record
from foresail.service.stream import open_stream

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/even@1"


class Spec:
    id, every, critical_inputs = id, 4, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        return [Weights(tuple((name, 0.1) for name in sorted(view.instruments)))]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("risk")
    (folder / "even.py").write_text(STRATEGY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        foresail.paper("start", account="r", bars="embedded:us20", strategy="even.py", names=3, until="1990-10-12")
    return folder


def test_the_status_tells_leverage_margin_and_value_at_risk(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    figures = foresail.paper(account="r").figures
    assert 0.05 < figures["leverage"] < 0.35
    assert figures["margin_used"] == 0.0
    risk = figures["value_at_risk"]
    assert risk["days"] > 150
    assert risk["limit"] == 0.15
    assert 0.0 < risk["one_day"]["95%"] < risk["one_day"]["99%"] < 0.05
    assert risk["shortfall"]["95%"] > risk["one_day"]["95%"]
    assert risk["one_day"]["95%"] < risk["ten_days"]["95%"] < risk["ten_days"]["99%"]
    assert risk["money"]["95%"] == pytest.approx(risk["one_day"]["95%"] * float(figures["equity"]), rel=1e-3)
    assert set(risk["positions"]) == set(figures["positions"])
    assert all(one["shortfall"] >= one["value_at_risk"] > 0 for one in risk["positions"].values())
    told = "\n".join(risk_lines(figures))
    assert "leverage 0." in told
    assert "95%" in told
    assert "15% allowed" in told
    assert risk_lines({}) == []


def test_exceptions_are_counted_from_the_journal(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    folder = AccountFolder(place, "r")
    stream = open_stream(folder.settle_request(None)[0], place, check_leaks=False)
    entries = list(read_entries(RealDisk(folder.journal)))
    returns = account_record(stream, "r", entries).returns
    found = exceptions(stream, "r", entries, returns)
    assert found["95%"]["days"] == found["99%"]["days"] > 100
    assert found["95%"]["expected"] == pytest.approx(0.05 * found["95%"]["days"], abs=1e-3)
    assert 0 < found["95%"]["exceptions"] < 40
    assert found["99%"]["exceptions"] <= found["95%"]["exceptions"]
    assert 0.0 <= found["95%"]["kupiec_p_value"] <= 1.0
    doom = dict.fromkeys(returns, -0.5)
    assert exceptions(stream, "r", entries, doom)["99%"]["exceptions"] == found["99%"]["days"]
    assert exceptions(stream, "r", entries, {})["95%"]["days"] == 0
    assert "no day yet" in exception_lines(exceptions(stream, "r", entries, {}))[0]

    ledger = foresail.read_ledger("r")
    assert ledger is not None
    from foresail.service.ledger import LedgerRequest
    from foresail.service.ledger_figures import show_figures

    shown = show_figures(LedgerRequest(account="r"), by="instrument")
    assert shown.document["value_at_risk_exceptions"] == found
    assert any("was exceeded on" in line for line in shown.lines)


def test_the_forecast_of_a_day_knows_nothing_of_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value at risk of a day is that of the account and the returns before its first bar."""
    monkeypatch.chdir(place)
    from foresail.service.account_risk import _forecasts

    folder = AccountFolder(place, "r")
    stream = open_stream(folder.settle_request(None)[0], place, check_leaks=False)
    entries = list(read_entries(RealDisk(folder.journal)))
    parts, _link = stream.parts(account="r", environment="paper")
    whole = _forecasts(parts, entries)
    day = sorted(whole)[-1]
    until = next(
        i for i, one in enumerate(entries) if isinstance(one, StreamAdvanced) and from_ns(one.at).date() == day
    )
    parts, _link = stream.parts(account="r", environment="paper")
    assert _forecasts(parts, entries[: until + 1])[day] == whole[day]


class _Market:
    def daily_returns(self, names: list[str]) -> Any:
        own = np.random.default_rng(3).standard_normal((2, 60)) * 0.01
        own[0, 5] = math.nan
        return own[: len(names)]


def test_values_at_risk_weigh_returns_with_what_is_held() -> None:
    own = np.nan_to_num(_Market().daily_returns(["a", "b"]))
    found = values_at_risk(_Market(), {"b": -20.0, "a": 50.0}, 100.0, 252)  # type: ignore[arg-type, dict-item]
    moves = 0.5 * own[0] - 0.2 * own[1]
    assert found == {level: value_at_risk(moves, level=level) for level in LEVELS}
    assert expected_shortfall(moves) > found[0.95]
    assert values_at_risk(_Market(), {"a": 1.0}, 0.0, 252) == {}  # type: ignore[arg-type, dict-item]


def _kinds(limits: TradingLimits, **inputs: Any) -> list[tuple[str, Severity]]:
    return [(one.kind, one.severity) for one in alerts_due(RiskState(limits), limits, AlertInputs(**inputs))]


def test_margin_and_leverage_raise_their_alarms() -> None:
    limits = trading_limits("multi-asset")
    assert _kinds(limits, equity=100.0, margin=1.26) == []
    assert _kinds(limits, equity=100.0, margin=1.24) == [("RISK-22 margin use", Severity.ALERT)]
    assert [kind for kind, _ in _kinds(limits, equity=100.0, margin=0.4)] == ["ALERT-05 margin"]
    high = {"fx.EUR-USD": 300.0, "fx.EUR-GBP": -201.0}
    assert ("RISK-22 leverage", Severity.ALERT) in _kinds(limits, equity=100.0, values=high)
    assert ("RISK-22 leverage", Severity.ALERT) not in _kinds(limits, equity=101.0, values=high)
    off = edited(limits, {"book.margin_alarm": None, "book.leverage_alarm": None})
    assert [kind for kind, _ in _kinds(off, equity=100.0, margin=1.0, values=high)] == [
        "ALERT-02 fx.EUR-GBP", "ALERT-02 fx.EUR-USD",
    ]  # fmt: skip
    tight = edited(limits, {"book.margin_alarm": 0.5})
    assert _kinds(tight, equity=100.0, margin=1.9) == [("RISK-22 margin use", Severity.ALERT)]


def test_limits_that_came_later_change_a_digest_only_once_they_are_set() -> None:
    limits = trading_limits("multi-asset")
    assert limits_digest(edited(limits, {"book.margin_alarm": 0.7}), {}) != limits_digest(limits, {})
    assert limits_digest(edited(limits, {"book.margin_alarm": 0.8}), {}) == limits_digest(limits, {})
    assert BookLimits().leverage_alarm == 5.0
