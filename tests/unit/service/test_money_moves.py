"""Money paid into and taken out of an account: no profit, no loss, no drawdown, and never more than there is."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.service.test_order_books import bars as minutes

import foresail
from foresail.core.errors import ConfigError, UserError
from foresail.engine.trading.operators import parse_command
from foresail.service import monitor
from foresail.service.accounts import AccountFolder
from foresail.service.money import move_money

STRATEGY = """
from foresail.domain.signals import Weights

api = 1
id = "test/hold@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        return [Weights(((sorted(view.instruments)[0], 0.1),))]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hold.py").write_text(STRATEGY)
    start("1990-03-30")
    return tmp_path


def start(until: str) -> foresail.TradingReport:
    return foresail.paper("start", account="d", bars="embedded:us20", strategy="hold.py", names=2, until=until)


def test_money_moves_the_peak_along_and_is_journalled_with_its_person(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = foresail.paper(account="d").figures
    told = move_money("d", "50000 USD", "ada")
    assert told.document["by"] == "start"
    after = start("1990-03-30").figures
    assert Decimal(after["cash"]) == Decimal(before["cash"]) + 50_000
    assert after["drawdown"] < before["drawdown"] or before["drawdown"] == 0.0
    move_money("d", "140000 USD", "ada", withdraws=True)
    last = start("1990-04-30").figures
    assert last["drawdown"] < 0.2
    assert last["breakers"] == {}
    assert float(last["equity"]) < 15_000
    acted = foresail.read_ledger("d", kind="OperatorActed").figures["shown"]
    assert ["deposit 50000 USD" in acted[0]["content"], "withdraw 140000 USD" in acted[1]["content"]] == [True, True]
    assert foresail.parity("d").figures["differences"] == 0
    lived = frozenset(date(1990, 1, 1) + timedelta(days=n) for n in range(365))
    monkeypatch.setattr(monitor, "days_lived", lambda *_: lived)  # as if its bars had come in real time
    record = foresail.paper("gate", account="d").figures["conditions"]
    assert next(one for one in record if one["name"] == "worst day")["passed"]


def test_more_than_there_is_does_not_go(place: Path) -> None:
    with pytest.raises(UserError, match="may go"):
        move_money("d", "200000 USD", "ada", withdraws=True)
    AccountFolder(place, "d").write_command("withdraw 200000 USD", "ada")  # as if the cash had been spent meanwhile
    assert float(start("1990-04-30").figures["cash"]) > 0
    assert any("RISK-19" in one["kind"] for one in foresail.paper(account="d").figures["alerts"])
    assert len(foresail.read_ledger("d", kind="Deposited", last=9).figures["shown"]) == 1


def test_the_network_takes_a_share_of_what_leaves_a_crypto_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COST-02a: 0.0005 of it, a cost of the account, while the rest is no loss; within what goes, never beyond it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hold.py").write_text(STRATEGY)
    source = minutes(tmp_path)
    (tmp_path / "foresail.toml").unlink()
    begun = foresail.paper("start", account="c", bars=source, strategy="hold.py").figures
    told = move_money("c", "20000 USD", "ada", withdraws=True)
    assert told.document["fee"] == "10.00000000"
    assert told.lines[-1] == "of it 10 USD is the network's fee (COST-02a)"
    after = foresail.paper("start", account="c").figures
    assert Decimal(begun["cash"]) - Decimal(after["cash"]) == 20_000
    moved = foresail.read_ledger("c", kind="Deposited", last=9).figures["shown"][-1]
    assert '"amount":"-19990' in moved["content"]
    (paid,) = foresail.read_ledger("c", kind="HoldingCharged", last=9).figures["shown"]
    assert '"kind":"transfer"' in paid["content"]
    assert Decimal(begun["equity"]) - Decimal(after["equity"]) == 20_000  # 10 of it lost
    assert foresail.parity("c").figures["differences"] == 0
    (tmp_path / "foresail.toml").write_text("version = 1\n[costs]\ntransfer = 0.0\n")
    foresail.paper("start", account="c", confirm_limits="ada")
    assert "fee" not in move_money("c", "100 USD", "ada", withdraws=True).lines[-1]
    for command in ("withdraw 5 USD 5", "withdraw 5 USD -1", "withdraw 5 USD x", "deposit 5 USD 1"):
        with pytest.raises(ConfigError):
            parse_command(command)


def test_a_transfer_trips_no_breaker_and_costs_what_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hold.py").write_text(STRATEGY.replace("0.1", "0.0"))
    source = minutes(tmp_path)
    (tmp_path / "foresail.toml").unlink()
    foresail.paper("start", account="c", bars=source, strategy="hold.py")
    status = tmp_path / "accounts" / "c" / "status.json"
    status.write_text(status.read_text().replace("transfer_fraction", "older"))  # nobody told what a transfer costs
    assert move_money("c", "99500 USD", "ada", withdraws=True).document["fee"] == "49.75000000"
    more = (source / "bars.csv").read_text()
    later = "\n".join(f"2012-06-21T13:{38 + i}:00Z,XYZUSD,90,90,90,90,1000" for i in range(3))
    (source / "bars.csv").write_text(f"{more}{later}\n")
    after = foresail.paper("start", account="c").figures
    assert Decimal(after["equity"]) == 500
    assert (after["day_loss"], after["drawdown"], after["breakers"]) == (0.0, 0.0, {})
    (tmp_path / "foresail.toml").write_text("version = 1\n[costs]\ntransfer = 1.0\n")
    with pytest.raises(ConfigError, match="less than what leaves"):
        move_money("c", "100 USD", "ada", withdraws=True)
    assert not AccountFolder(tmp_path, "c").commands.ids()


def test_what_is_no_money_is_refused(place: Path) -> None:
    for amount in ("0 USD", "-5 USD", "5 EUR", "5"):
        with pytest.raises(ConfigError):
            move_money("d", amount, "ada")
    with pytest.raises(ConfigError, match="person"):
        move_money("d", "5 USD", " ")
    for command in ("deposit -5 USD", "deposit 5", "withdraw USD 5"):
        with pytest.raises(ConfigError):
            parse_command(command)
