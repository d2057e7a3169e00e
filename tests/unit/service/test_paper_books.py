"""Paper trading on a recorded order book: fills of the backtest, wherever the process dies, and one book for life."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.unit.service.test_order_books import BOOK, MESSAGE, bars

import foresail
from foresail.core.errors import ConfigError, IntegrityError
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import FillBooked
from foresail.ledger.recovery import Session, read_entries
from foresail.service.stream import Stream, StreamRequest, open_stream

STRATEGY = """
from decimal import Decimal

from foresail.domain.signals import OrderIntent, Side

api = 1
id = "test/queue@1"


class Spec:
    id, every, critical_inputs = id, 1, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        name = view.instruments[0]
        if state["n"] == 5:
            return [OrderIntent(name, Side.BUY, Decimal(6), "limit", Decimal("100.00"))]
        if state["n"] == 10:
            return [OrderIntent(name, Side.SELL, Decimal(3))]
        return ()
"""
FIRST = 34200  # 9:30 in New York, seconds


def queue(folder: Path) -> Path:
    """Ten lots at 100.00 of which three are sold to every minute, before anything of ours that joined behind them."""
    lines = [(f"{FIRST + 2.1},1,1,10,1000000,1", "1000200,50,1000000,10")]
    left = 10
    for minute in range(1, 7):
        sold = min(3, left) or 3
        left = max(0, left - sold)
        second = FIRST + 60 * minute + 30
        lines.append((f"{second},4,1,{sold},1000000,1", f"1000200,50,{1000000 if left else 999900},{left or 20}"))
    (folder / MESSAGE).write_text("\n".join(one for one, _ in lines))
    (folder / BOOK).write_text("\n".join(one for _, one in lines))
    return folder / MESSAGE


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    source = bars(tmp_path)
    text = (source / "bars.csv").read_text()
    (source / "bars.csv").write_text(text.replace(",90,90,90,90,", ",100,100,100,100,"))
    (tmp_path / "queue.py").write_text(STRATEGY)
    queue(tmp_path)
    return tmp_path


def fills(journal: Path) -> list[tuple[float, float, int]]:
    entries = read_entries(RealDisk(journal))
    return [(float(e.fill.price), float(e.fill.quantity), e.at) for e in entries if isinstance(e, FillBooked)]


def test_an_account_fills_as_the_backtest_does(place: Path) -> None:
    book = MESSAGE  # as a person types it, relative to the folder
    past = foresail.backtest("set", "queue.py", out="past", book=book)
    told = foresail.paper("start", account="books", bars="set", strategy="queue.py", book=book)
    found = fills(place / "accounts" / "books" / "journal")
    assert found == fills(past.out / "journal")
    bought = [one for one in found if one[0] == 100.0]
    assert sum(units for _, units, _ in bought) == 6.0  # behind ten lots: the first bought after four minutes
    assert len(bought) > 1
    assert any("says nothing in" in text for text in told.figures["warnings"])
    report = foresail.parity("books")
    assert report.is_good, report.text


def test_it_dies_anywhere_and_ends_the_same(place: Path) -> None:
    stream = open_stream(StreamRequest("set", Path("queue.py"), books=(MESSAGE,)), place, check_leaks=False)
    events = stream.events()

    def drive(journal: Path, *ends: int) -> tuple[list[Any], Any]:
        for end in (*ends, len(events)):
            parts, link = stream.parts(account="b", environment="paper")
            rules = StreamRules(snapshot_every=4, commit_every=1, begin=stream.begin)
            run = AccountRun.open(parts, link, RealDisk(journal), Session("paper", "b", "x", "y"), rules)
            while run.applied < end:
                run.apply(events[run.applied])
            state = {"core": run.core.books.to_plain(), "link": run.link.to_plain()}
            run.close()
        return fills(journal), state["link"]

    whole = drive(place / "whole")
    assert len(whole[0]) == 3
    for end in range(1, len(events)):
        assert drive(place / f"cut{end}", end) == whole, end


def test_an_account_keeps_its_book(place: Path) -> None:
    asked: dict[str, Any] = {"account": "books", "bars": "set", "strategy": "queue.py", "book": MESSAGE}
    foresail.paper("start", **asked)
    kept = json.loads((place / "accounts" / "books" / "account.json").read_text())
    assert kept["request"]["books"] == [str(place / MESSAGE)]
    foresail.paper("start", account="books")  # takes it up from any folder
    with pytest.raises(ConfigError, match=rf"trades with books {re.escape(str(place / MESSAGE))}, received none"):
        foresail.paper("start", **{**asked, "book": ()})
    with pytest.raises(ConfigError, match="do not grow"):
        foresail.paper("start", account="books", follow=1.0)
    text = (place / BOOK).read_text()
    (place / BOOK).write_text(text.replace("1000200,50", "1000200,51"))
    with pytest.raises(ConfigError, match="books changed since it was made"):
        foresail.paper("start", account="books")
    foresail.paper("start", account="plain", bars="set", strategy="queue.py")
    with pytest.raises(ConfigError, match="trades with books"):
        foresail.paper("start", **{**asked, "account": "plain"})


def test_a_link_to_a_book_keeps_its_name(place: Path) -> None:
    (place / "kept").mkdir()
    for k, name in enumerate((MESSAGE, BOOK)):
        (place / name).rename(place / "kept" / f"sha-{k}.csv")
        (place / name).symlink_to(place / "kept" / f"sha-{k}.csv")
    foresail.paper("start", account="books", bars="set", strategy="queue.py", book=MESSAGE)
    assert len(fills(place / "accounts" / "books" / "journal")) == 3
    with pytest.raises(ConfigError, match="unknown instrument 'ABC'"):
        foresail.paper("start", account="other", bars="set", strategy="queue.py", book=f"ABC={MESSAGE}")


def test_a_stream_that_ends_before_the_account_stands_is_refused(place: Path) -> None:
    later = "\n".join(f"2012-06-22T13:{26 + i}:00Z,XYZUSD,100,100,100,100,1000" for i in range(5))
    (place / "set" / "bars.csv").write_text((place / "set" / "bars.csv").read_text() + later + "\n")
    foresail.paper("start", account="u", bars="set", strategy="queue.py", until="2012-06-21")
    foresail.paper("start", account="u", bars="set", strategy="queue.py")
    with pytest.raises(IntegrityError, match="its bars end with the 12th"):
        foresail.paper("start", account="u")


def test_what_an_account_has_settled_is_not_asked_again(place: Path) -> None:
    foresail.paper("start", account="books", bars="set", strategy="queue.py", book=MESSAGE)
    for more in ({"book": "none.csv"}, {"slices": "twap:6:1h"}, {"capital": "5 USD"}, {"until": "2012-06-21"}):
        with pytest.raises(ConfigError, match="an account that exists trades what it was made with"):
            foresail.paper("start", account="books", **more)  # type: ignore[arg-type]


def test_a_stream_without_books_is_as_before(place: Path) -> None:
    plain: Stream = open_stream(StreamRequest("set", Path("queue.py")), place, check_leaks=False)
    assert "books" not in plain.identity()
