"""Showing, verifying and rebuilding a journal: same bytes twice, damage named, nothing lost."""

from __future__ import annotations

import shutil
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from foresail.core.errors import ConfigError, IntegrityError, UserError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import (
    Deposited,
    FillBooked,
    FillBusted,
    FillCorrected,
    Marked,
    OrderAccepted,
    OrderIntended,
)
from foresail.ledger.log import EntryLog
from foresail.ledger.recovery import Session
from foresail.service.ledger import LedgerRequest, rebuild_tables, show_ledger, verify_ledger

D = Decimal
A = instrument_id("stock.US.AAA")


def fill(order_id, quantity, price, execution, side=Side.BUY):
    return Fill(order_id, A, side, D(quantity), D(price), D(price), D("0.5"), D(0), 5, FillReason.ENTRY, execution)


@pytest.fixture
def journal(tmp_path):
    """A journal of a purchase, a corrected one, a sale and a bust."""
    disk = RealDisk(tmp_path / "account" / "journal")
    log = EntryLog.open(disk, Session("paper", "demo", "build", "settings"), at=0)
    buy, sell = OrderId("a" * 32), OrderId("b" * 32)

    def put(kind, *content):
        log.append(kind(log.last_at + 1, log.next_sequence, *content))

    put(Deposited, D(10_000), "USD")
    log.commit()
    put(OrderIntended, Order(buy, A, Side.BUY, D(10), OrderKind.MARKET, 1, strategy="s@1"))
    put(OrderAccepted, buy, "v1")
    put(FillBooked, fill(buy, 4, 100, "x"))
    put(FillBooked, fill(buy, 6, 101, "y"))
    put(FillCorrected, "y", fill(buy, 6, 102, "y.1"))
    put(OrderIntended, Order(sell, A, Side.SELL, D(5), OrderKind.MARKET, 2, strategy="s@1"))
    put(FillBooked, fill(sell, 5, 110, "z", Side.SELL))
    put(FillBusted, sell, "z", "erroneous")
    put(Marked, ((A, D(120)),))
    log.commit()
    log.close()
    return tmp_path / "account" / "journal"


def test_tables_follow_from_the_journal_and_come_back_to_the_byte(journal, tmp_path):
    first = rebuild_tables(LedgerRequest(journal=journal), out=tmp_path / "tables").document
    shutil.rmtree(tmp_path / "tables")
    again = rebuild_tables(LedgerRequest(journal=journal), out=tmp_path / "tables").document
    assert first["tables"] == again["tables"]
    executions = pq.read_table(tmp_path / "tables" / "executions.parquet").to_pylist()
    assert [(e["execution"], e["stands"]) for e in executions] == [
        ("x", True), ("y", False), ("y.1", True), ("z", False),
    ]  # fmt: skip
    assert [(e["action"], e["strategy"]) for e in executions[:1]] == [("BUY", "s@1")]
    orders = pq.read_table(tmp_path / "tables" / "orders.parquet").to_pylist()
    assert [(o["status"], o["filled"]) for o in orders] == [
        ("filled", "10"),
        ("cancelled", "0"),
    ]  # its execution was taken back
    equity = pq.read_table(tmp_path / "tables" / "equity.parquet").to_pylist()
    assert D(equity[-1]["equity"]) == D(10_000) - 4 * 100 - 6 * 102 - 1 + 10 * 120


def test_show_tells_what_is_held_and_balances(journal):
    told = show_ledger(LedgerRequest(journal=journal), last=2, kind="FillBooked").document
    assert (told["account"], told["environment"], told["executions"]) == ("demo", "paper", 4)
    assert [row["kind"] for row in told["shown"]] == ["FillBooked", "FillBooked"]
    assert sum(D(v) for v in told["balances"]["USD"].values()) == 0
    with pytest.raises(ConfigError, match="holds no 'Nothing'"):
        show_ledger(LedgerRequest(journal=journal), kind="Nothing")


def test_verify_names_segment_and_byte_of_a_damage(journal):
    assert verify_ledger(LedgerRequest(journal=journal)).exit_code == 0
    path = journal / "journal-00000001.log"
    content = bytearray(path.read_bytes())
    content[content.index(b"SessionStarted")] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match=r"journal-00000001.log .* byte"):
        verify_ledger(LedgerRequest(journal=journal))


def test_bytes_behind_the_last_entry_are_told(journal):
    with (journal / "journal-00000001.log").open("ab") as stream:
        stream.write(b"half a frame")
    told = verify_ledger(LedgerRequest(journal=journal))
    assert told.document["bytes_behind"] == 12
    assert "crash cut short" in told.lines[-1]


def test_wrong_requests_say_what_to_do(journal, tmp_path):
    with pytest.raises(ConfigError, match="--account NAME or --journal"):
        show_ledger(LedgerRequest())
    with pytest.raises(ConfigError, match="--out FOLDER"):
        rebuild_tables(LedgerRequest(journal=journal))
    with pytest.raises(UserError, match="no journal"):
        show_ledger(LedgerRequest(journal=tmp_path / "nowhere"))
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not a folder of tables"):
        rebuild_tables(LedgerRequest(journal=journal), out=other)
    assert (other / "thesis.txt").read_text() == "mine"
