"""Books as a fold: conservation of money after every entry, replay equal to live, the journal file exact."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

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
from foresail.ledger.journal import read_journal, write_journal
from foresail.ledger.repricing import reprice
from foresail.ledger.trades import trades

D = Decimal
NAMES = tuple(instrument_id(f"stock.US.{name}") for name in ("AAA", "BBB", "CCC"))

names = st.sampled_from(NAMES)
money = st.decimals("0.01", "5000", places=2)
units = st.decimals("0.001", "500", places=3)
ratios = st.sampled_from([D(2), D("1.5"), D("0.1"), D("0.3333333333"), D("1.0345678")])


@st.composite
def fills(draw):
    reference, lost = draw(money), draw(st.decimals("0", "0.5", places=2))
    side = draw(st.sampled_from(Side))
    price = max(D("0.01"), reference + lost if side is Side.BUY else reference - lost)
    quantity = draw(units)
    slippage = abs(price - reference) * quantity
    fee = draw(st.decimals("0", "20", places=2))
    return ("fill", draw(names), side, quantity, price, reference, fee, slippage)


actions = st.one_of(
    fills(),
    fills(),
    st.tuples(st.just("deposit"), st.decimals("-500", "5000", places=2)),
    st.tuples(st.just("dividend"), names, st.decimals("0.001", "5", places=4)),
    st.tuples(st.just("split"), names, ratios, money, st.sampled_from([D(1), D("0.001")])),
    st.tuples(st.just("holding"), names, st.decimals("-3", "3", places=8)),
    st.tuples(st.just("ended"), names, money),
    st.tuples(st.just("mark"), st.tuples(money, money, money)),
)


def entry_of(k, action):
    kind, *rest = action
    if kind == "fill":
        name, side, quantity, price, reference, fee, slippage = rest
        fill = Fill(OrderId(f"{k:032x}"), name, side, quantity, price, reference, fee, slippage, k, FillReason.ENTRY)
        return FillBooked(k, k, fill)
    if kind == "deposit":
        return Deposited(k, k, rest[0])
    if kind == "dividend":
        return DividendPaid(k, k, *rest)
    if kind == "split":
        return SplitApplied(k, k, *rest)
    if kind == "holding":
        return HoldingCharged(k, k, rest[1], HoldingKind.BORROW, rest[0])
    if kind == "ended":
        return ListingEnded(k, k, *rest)
    return Marked(k, k, tuple(zip(NAMES, rest[0], strict=True)))


journals = st.lists(actions, max_size=40).map(lambda found: [entry_of(k, action) for k, action in enumerate(found)])


@given(journals)
@settings(max_examples=200, deadline=None)
def test_money_is_conserved_after_every_entry(journal):
    books = Books(allow_short=True)
    for entry in journal:
        books.apply(entry)
        t = books.totals()
        value = sum((p.quantity * books.marks[p.instrument] for p in books.positions()), D(0))
        assert books.equity() == t.cash + value
        profit = t.realised + books.unrealised() + t.dividends - t.fees - t.holding
        assert profit == books.equity() - t.deposits


@given(journals)
@settings(max_examples=100, deadline=None)
def test_replay_equals_the_live_books_from_any_entry_on(journal):
    books = Books(allow_short=True)
    for entry in journal:
        books.apply(entry)
    assert replay(journal, allow_short=True).state() == books.state()
    half = len(journal) // 2
    resumed = replay(journal[:half], allow_short=True)
    for entry in journal[half:]:
        resumed.apply(entry)
    assert resumed.state() == books.state()


@given(journals)
@settings(max_examples=60, deadline=None)
def test_journal_file_gives_equal_entries(tmp_path_factory, journal):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    write_journal(path, journal)
    first = path.read_bytes()
    assert list(read_journal(path)) == journal
    write_journal(path, read_journal(path))
    assert path.read_bytes() == first


@given(journals)
@settings(max_examples=100, deadline=None)
def test_trades_add_up_to_the_books(journal):
    chosen = [e for e in journal if not isinstance(e, HoldingCharged | SplitApplied)]
    journal = [replace(e, sequence=k) for k, e in enumerate(chosen)]
    books = replay(journal, allow_short=True)
    found = trades(journal)
    assert abs(sum((t.net_profit for t in found), D(0)) - (books.equity() - books.totals().deposits)) < D("1e-9")
    assert abs(sum((t.cost for t in found), D(0)) - books.totals().fees - books.totals().slippage) < D("1e-9")
    for trade in found:
        assert trade.gross_profit == trade.net_profit + trade.cost


@given(journals)
@settings(max_examples=100, deadline=None)
def test_gross_less_booked_costs_is_net(journal):
    # Splits pay fractions at a price of their own, so units and costs stay; everything else is price.
    net, gross = replay(journal, allow_short=True), replay(reprice(journal, 0), allow_short=True)
    last = {name: D("77.77") for name in NAMES}
    t = net.totals()
    assert gross.equity(last) - net.equity(last) == t.fees + t.slippage + t.holding
    twice = replay(reprice(journal, 2), allow_short=True) if all(_payable(e) for e in journal) else None
    if twice is not None:
        assert net.equity(last) - twice.equity(last) == t.fees + t.slippage + t.holding


def _payable(entry):
    return not isinstance(entry, FillBooked) or 2 * entry.fill.price > entry.fill.reference_price
