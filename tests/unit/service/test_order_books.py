"""``foresail backtest --book``: whose a recorded book is, what fills on it, and what a record keeps of it."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foresail
from foresail.adapters.lobster.reader import read_lobster
from foresail.core.clock import format_ns
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


LOBSTER = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "lobster"
DAY = "AMZN_2012-06-21_34200000_57600000_{}_1.csv.gz"
MAKER = """
from decimal import Decimal

from foresail.domain.signals import OrderIntent, Side

api = 1
id = "test/maker@1"


class Spec:
    id, every, critical_inputs = id, 15, ("close",)


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        name = view.instruments[0]
        low = Decimal(repr(view.value(name, "low")))
        return [
            OrderIntent(name, Side.BUY, Decimal(7), leg="now"),
            OrderIntent(name, Side.BUY, Decimal(5), "limit", low, leg="rest"),
        ]
"""


@pytest.mark.data
def test_a_real_day_fills_at_the_prices_of_its_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AMZN, 21 June 2012, best level: market orders pay the ask of the moment, resting ones their price, later."""
    if not LOBSTER.is_dir():
        pytest.skip(f"no LOBSTER files under {LOBSTER}: set FORESAIL_DATA")
    message, beside = (LOBSTER / DAY.format(kind) for kind in ("message", "orderbook"))
    day = read_lobster(message, beside, A)
    times = day.stream.available_at[day.stream.closes][-len(day.book) :]
    ask, bid = (day.book[:, side, 0, 0] * 0.01 for side in (1, 0))
    minute, rows = 60 * 10**9, []
    for start in range(int(times[0]) // minute * minute, int(times[-1]), minute):
        here = (times >= start) & (times < start + minute)
        if here.any():
            last = np.flatnonzero(here)[-1]
            rows.append(
                f"{format_ns(start)},AMZNUSD,{bid[last]:.2f},{ask[last]:.2f},{bid[last]:.2f},{bid[last]:.2f},1e6"
            )
    source = bars(tmp_path)
    (source / "bars.csv").write_text("time,ticker,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maker.py").write_text(MAKER)
    told = foresail.backtest(source, "maker.py", out="day", book=message, capital="1000000 USD")
    fills = [one for one in told.table("executions").to_dict("records") if one["action"] == "BUY"]
    assert len(fills) >= 6  # position limits end it
    for one in fills:
        at = int(np.searchsorted(times, pd.Timestamp(one["timestamp"]).value, side="right"))
        near = ask[max(0, at - 50) : at + 50]
        assert near.min() - 0.5 <= float(one["price"]) <= near.max() + 0.005
