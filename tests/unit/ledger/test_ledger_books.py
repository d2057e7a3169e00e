"""Books and journal, case by case."""

from decimal import Decimal

import pytest

from foresail.core.errors import DataError, IntegrityError
from foresail.core.ids import OrderId, instrument_id
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.books import Books, replay
from foresail.ledger.entries import (
    Deposited,
    DividendPaid,
    FillBooked,
    HoldingCharged,
    HoldingKind,
    ListingEnded,
    Marked,
    SplitApplied,
)
from foresail.ledger.journal import Journal, read_journal, write_journal

D = Decimal
A, B = instrument_id("stock.US.AAA"), instrument_id("stock.US.BBB")


class Story:
    """Writes entries with running numbers into a journal and books."""

    def __init__(self, **options):
        self.books = Books(**options)
        self.journal = Journal()

    def tell(self, kind, *values, **named):
        k = self.journal.next_sequence
        entry = kind(k, k, *values, **named)
        self.books.apply(entry)
        self.journal.append(entry)
        return self

    def fill(self, side, quantity, price, fee=0, name=A, **named):
        k = self.journal.next_sequence
        order = OrderId(f"{k:032x}")
        one = Fill(order, name, side, D(quantity), D(price), D(price), D(fee), D(0), k, FillReason.ENTRY)
        return self.tell(FillBooked, one, **named)


def test_lots_close_first_in_first_out():
    story = Story().tell(Deposited, D(10_000))
    story.fill(Side.BUY, 10, 100, 1).fill(Side.BUY, 10, 120, 1).fill(Side.SELL, 15, 130, 1)
    totals = story.books.totals()
    assert totals.realised == 10 * 30 + 5 * 10
    assert totals.cash == 10_000 - 1000 - 1200 + 1950 - 3
    (position,) = story.books.positions()
    assert (position.quantity, position.average_price, position.opened_at) == (D(5), D(120), 2)


def test_position_turns_around_when_shorts_are_allowed():
    story = Story(allow_short=True).fill(Side.BUY, 10, 100).fill(Side.SELL, 15, 110).fill(Side.BUY, 5, 90)
    assert story.books.totals().realised == 100 + 100
    assert story.books.positions() == ()
    assert story.books.cash == 200


def test_negative_quantity_without_permission_is_an_integrity_error_and_changes_nothing():
    story = Story().tell(Deposited, D(1000)).fill(Side.BUY, 5, 10)
    before = story.books.state()
    with pytest.raises(IntegrityError, match="may not be short"):
        story.fill(Side.SELL, 6, 10)
    assert story.books.state() == before


def test_short_positions_pay_dividends():
    story = Story(allow_short=True).fill(Side.SELL, 10, 100).tell(DividendPaid, A, D("0.5"))
    assert story.books.totals().dividends == -5
    assert story.books.cash == 995


def test_split_multiplies_units_and_pays_the_fraction():
    story = Story().tell(Deposited, D(1000)).fill(Side.BUY, 5, 100).tell(SplitApplied, A, D("1.5"), D(70))
    assert story.books.quantity(A) == 7
    assert story.books.cash == 500 + 35
    assert story.books.equity({A: D(70)}) == 535 + 490


def test_reverse_split_with_a_rounded_ratio_keeps_whole_units():
    story = Story().fill(Side.BUY, 300, 1).tell(SplitApplied, A, D("0.3333333333"), D(3))
    assert story.books.quantity(A) == 100
    assert story.books.totals().realised == 0


def test_shorts_split_too():
    story = Story(allow_short=True).fill(Side.SELL, 5, 100).tell(SplitApplied, A, D("1.5"), D(70))
    assert story.books.quantity(A) == -7
    assert story.books.cash == 500 - 35


def test_ended_listing_pays_out_what_is_held():
    story = Story().fill(Side.BUY, 10, 100).tell(ListingEnded, A, D(3))
    assert story.books.positions() == ()
    assert story.books.totals().realised == -970


def test_holding_costs_leave_the_cash():
    story = Story().tell(HoldingCharged, D("1.25"), HoldingKind.MARGIN)
    assert (story.books.cash, story.books.totals().holding) == (D("-1.25"), D("1.25"))


def test_several_currencies_need_a_rate():
    story = Story().tell(Deposited, D(1000))
    story.fill(Side.BUY, 100, 150, name=B, currency="JPY")
    assert story.books.totals("JPY").cash == -15_000
    with pytest.raises(DataError, match="no rate from JPY"):
        story.books.equity()
    assert story.books.equity({B: D(160)}, {"JPY": D("0.01")}) == 1010


def test_multiplier_scales_money():
    story = Story().fill(Side.BUY, 2, 100, multiplier=D(50)).fill(Side.SELL, 2, 101, multiplier=D(50))
    assert story.books.totals().realised == 100


def test_account_shows_cash_equity_and_positions():
    story = Story(account="demo").tell(Deposited, D(1000)).fill(Side.BUY, 5, 100).tell(Marked, ((A, D(110)),))
    account = story.books.account()
    assert (account.id, account.cash, account.equity, account.at) == ("demo", D(500), D(1050), 2)


def test_gap_in_the_sequence_or_time_going_back_is_refused():
    books = Books()
    books.apply(Deposited(5, 0, D(1)))
    for entry in (Deposited(6, 2, D(1)), Deposited(4, 1, D(1)), Deposited(6, 1, D("NaN"))):
        with pytest.raises(IntegrityError):
            books.apply(entry)
    with pytest.raises(IntegrityError):
        Journal([Deposited(0, 1, D(1))])


@pytest.mark.parametrize(
    "bad",
    [
        "Nonsense {}",
        "Deposited {",
        'Deposited {"at":1,"sequence":0}',
        "7",
        'Deposited {"at":1,"sequence":1,"amount":"NaN"}',
    ],
)
def test_damaged_journal_names_file_and_row(tmp_path, bad):
    path = tmp_path / "j.jsonl"
    write_journal(path, [Deposited(0, 0, D("1.10"))])
    path.write_text(path.read_text() + bad + "\n")
    with pytest.raises(DataError, match="line 2") as caught:
        read_journal(path)
    assert caught.value.row == 2


def test_25_000_fills_leave_the_sum_of_their_quantities():
    names = [instrument_id(f"stock.US.N{k}") for k in range(50)]
    entries = []
    for k in range(25_000):
        side = Side.BUY if (k // 50) % 3 else Side.SELL
        quantity, price = D(10 + k % 7), D(100 + k % 13) + D("0.25")
        one = Fill(OrderId(str(k)), names[k % 50], side, quantity, price, price, D("0.10"), D(0), k, FillReason.ENTRY)
        entries.append(FillBooked(k, k, one))
    books = replay(entries, allow_short=True)
    assert books.entries == 25_000
    for name in names:
        signed = [
            e.fill.quantity * (1 if e.fill.side is Side.BUY else -1) for e in entries if e.fill.instrument == name
        ]
        assert books.quantity(name) == sum(signed)
