"""``foresail backtest --book``: whose a recorded book is, what fills on it, and what a record keeps of it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

import foresail
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass, Instrument
from foresail.service.order_books import read_books

A, B = InstrumentId("stock.US.AAA"), InstrumentId("stock.US.BBB")
SET = {name: Instrument(name, name[-3:], AssetClass.STOCK, tick=Decimal("0.01"), lot=Decimal(1)) for name in (A, B)}
MESSAGE, BOOK = (f"XYZ_2012-06-21_34200000_57600000_{kind}_1.csv" for kind in ("message", "orderbook"))
STRATEGY = """
from decimal import Decimal

from foresail.domain.signals import OrderIntent, Side

api = 1
id = "test/once@1"


class Spec:
    id, every, critical_inputs = id, 1, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        return [OrderIntent(view.instruments[0], Side.BUY, Decimal(30))] if state["n"] == 4 else ()
"""


def lobster(folder: Path) -> Path:
    """Ten lots at 100.02, then twenty at 100.04."""
    lines = [
        ("34202.1,1,1,10,1000200,-1", "1000200,10,1000000,10"),
        ("34203,4,1,10,1000200,-1", "1000400,40,1000000,10"),
    ]
    (folder / MESSAGE).write_text("\n".join(one for one, _ in lines))
    (folder / BOOK).write_text("\n".join(one for _, one in lines))
    return folder / MESSAGE


def test_it_is_said_whose_book_a_file_is(tmp_path: Path) -> None:
    file = lobster(tmp_path)
    alone = read_books([str(file)], {A: SET[A]})
    assert list(alone.streams) == [A]
    both = read_books([f"{A}={file}", f"BBB={file}"], SET)
    assert list(both.streams) == [A, B]
    assert both.sha256[A] == alone.sha256[A]
    (tmp_path / BOOK).write_text("1000200,9,1000000,10\n1000400,40,1000000,10")
    assert read_books([str(file)], {A: SET[A]}).sha256[A] != alone.sha256[A]
    for wrong in ([str(file)], [f"CCC={file}"], [f"{A}={file}", f"{A}={file}"]):
        with pytest.raises(ConfigError):
            read_books(wrong, SET)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    file = lobster(tmp_path)
    with pytest.raises(ConfigError, match=r"tick 0\.01"):
        read_books([str(file)], {A: Instrument(A, "AAA", AssetClass.STOCK, tick=Decimal("0.05"), lot=Decimal(1))})
    with pytest.raises(DataError, match="no such file"):
        read_books([str(tmp_path / "none.gz")], {A: SET[A]})
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="no rows"):
        read_books([str(tmp_path / "empty.txt")], {A: SET[A]})
    (tmp_path / BOOK).unlink()
    with pytest.raises(DataError, match="orderbook"):
        read_books([str(file)], {A: SET[A]})


def bars(folder: Path) -> Path:
    """Twelve minutes from 9:26 in New York on, at 90."""
    (folder / "set").mkdir()
    minutes = "\n".join(f"2012-06-21T13:{26 + i}:00Z,XYZUSD,90,90,90,90,1000" for i in range(12))
    (folder / "set" / "bars.csv").write_text(f"time,ticker,open,high,low,close,volume\n{minutes}\n")
    (folder / "set" / "foresail-set.toml").write_text(
        'version = 1\nname = "minutes"\nfiles = ["bars.csv"]\nclass = "crypto"\nframe = "1m"\ntime = "start"\n'
        'price_basis = "raw"\nuniverse = "point_in_time"\ntick = "0.01"\nlot = "1"\n'
    )
    (folder / "foresail.toml").write_text('version = 1\n[costs]\nmodel = "flat"\nround_trip = 0.0\n')
    return folder / "set"


def test_a_backtest_fills_on_it_and_records_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "once.py").write_text(STRATEGY)
    source, file = bars(tmp_path), lobster(tmp_path)
    plain = foresail.backtest(source, "once.py", out="plain")
    book = foresail.backtest(source, "once.py", out="book", book=file)

    def paid(found: foresail.BacktestResult) -> list[tuple[float, float]]:
        rows = found.table("executions").to_dict("records")
        return [(float(one["price"]), float(one["quantity"])) for one in rows]

    assert paid(plain)[0] == (90.0, 30.0)
    assert paid(book) == [(100.02, 10.0), (100.04, 20.0)]
    record = book.figures["record"]
    assert list(record["books"]) == record["instruments"]
    assert "books" not in plain.figures["record"]
    assert any("says nothing in 11 of 12 bars" in text for text in book.figures["warnings"])
