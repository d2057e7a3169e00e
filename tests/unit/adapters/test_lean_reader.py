"""Real corporate actions: identities, factors against the reference files, and the ledger against total return."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from foresail.adapters.lean.reader import LeanSet, read_lean
from foresail.core.errors import DataError
from foresail.domain.signals import Side
from foresail.measures.adjustment import forward_adjusted, reference_factors
from foresail.testing.holding import hold_through_books

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "us_corporate_actions"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"needs {DATA} (set FORESAIL_DATA)"),
]
EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def lean() -> LeanSet:
    return read_lean(DATA)


def columns_of(lean: LeanSet, name: str) -> dict[str, np.ndarray]:
    table = lean.bars.table
    own = np.asarray(table.column("instrument").to_pylist(), dtype=object) == name
    wanted = ("start", "close", "dividend", "split", "total_factor")
    return {key: np.asarray(table.column(key))[own] for key in wanted}


@pytest.mark.parametrize(
    ("ticker", "on", "instrument"),
    [
        ("USO", date(1998, 12, 30), "stock.US.USO"),
        ("USO", date(2006, 4, 10), "stock.US.USO~2"),
        ("BNO", date(2002, 5, 20), "stock.US.BNO"),
        ("BNO", date(2010, 6, 2), "stock.US.BNO~2"),
        ("EEM", date(2003, 4, 11), "stock.US.EEM~2"),
        ("WM", date(2008, 9, 26), "stock.US.WM"),  # Washington Mutual
        ("WM", date(2009, 8, 5), "stock.US.UW"),  # Waste Management, listed as USA Waste Services
        ("WMI", date(2009, 8, 4), "stock.US.UW"),
        ("GOOG", date(2014, 4, 2), "stock.US.GOOG"),  # class A
        ("GOOGL", date(2014, 4, 3), "stock.US.GOOG"),
        ("GOOG", date(2014, 4, 3), "stock.US.GOOCV"),  # class C
        ("BAC", date(1998, 9, 30), "stock.US.BAC"),  # BankAmerica before NationsBank took its name
        ("BAC", date(1998, 10, 1), "stock.US.NB"),
        ("QQQQ", date(2008, 1, 2), "stock.US.QQQ"),
    ],
)
def test_tickers_mean_instruments_on_days(lean: LeanSet, ticker: str, on: date, instrument: str) -> None:
    assert lean.directory.resolve(ticker, on=on) == instrument


def test_a_day_between_two_owners_is_refused(lean: LeanSet) -> None:
    with pytest.raises(DataError, match="WM was not listed on 2009-01-05"):
        lean.directory.resolve("WM", on=date(2009, 1, 5))


@pytest.mark.parametrize(
    ("name", "on", "ratio"),
    [
        ("stock.US.AAPL", date(2014, 6, 9), 7.0),
        ("stock.US.AIG", date(2009, 7, 1), 0.05),
        ("stock.US.USO~2", date(2020, 4, 29), 0.125),
        ("stock.US.NB", date(2004, 8, 30), 2.0),
        ("stock.US.EEM~2", date(2008, 7, 24), 3.0),
        ("stock.US.QQQ", date(2000, 3, 20), 2.0),
        ("stock.US.GOOG", date(2014, 4, 3), 2.0),
        ("stock.US.AIG", date(1999, 8, 2), 1.25),
    ],
)
def test_splits_are_dated_and_whole(lean: LeanSet, name: str, on: date, ratio: float) -> None:
    found = {action.ex_date: action.split for action in lean.actions[name] if action.split != 1.0}
    assert found[on] == ratio
    bars = columns_of(lean, name)
    days = [EPOCH + timedelta(days=int(ns) // 86_400_000_000_000) for ns in bars["start"]]
    assert bars["split"][days.index(on)] == ratio


def test_factors_agree_with_the_reference_files_to_the_printed_digits(lean: LeanSet) -> None:
    """Price factors are printed to seven decimals; split factors are products of printed ratios (six digits)."""
    rows = 0
    for name, own in lean.factors.items():
        actions = lean.actions[name]
        price, split = reference_factors([a.growth for a in actions], [a.split for a in actions])
        for row in own:
            after = next((i for i, action in enumerate(actions) if action.ex_date > row.day), None)
            ours = (1.0, 1.0) if after is None else (price[after], split[after])
            assert abs(ours[0] - row.price_factor) <= 0.5001e-7, (name, row.day)
            assert abs(ours[1] / row.split_factor - 1.0) <= 5e-6, (name, row.day)
            rows += 1
    assert rows == 883


def test_every_reference_price_is_the_raw_close_before(lean: LeanSet) -> None:
    assert not [note for note in lean.notes if "close before" in note]


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_holding_each_instrument_through_the_ledger_is_its_total_return(lean: LeanSet, side: Side) -> None:
    checked = 0
    for one in lean.bar_set.instruments:
        bars = columns_of(lean, one.id)
        days = bars["start"] // 86_400_000_000_000
        at_bar: dict[int, list] = {}
        for action in lean.actions.get(one.id, ()):
            row = int(np.searchsorted(days, (action.ex_date - EPOCH).days))
            if 0 < row < len(days):
                at_bar.setdefault(row, []).append(action)
                checked += 1
        equity, _ = hold_through_books(one.id, bars["close"], at_bar, side=side)
        told = equity if side is Side.BUY else bars["close"][0] - equity
        np.testing.assert_allclose(told, bars["close"] * bars["total_factor"], rtol=1e-10, atol=0, err_msg=one.id)
    assert checked == 642


def test_bars_alone_give_the_same_factor_where_none_are_missing(lean: LeanSet) -> None:
    """QQQ lacks its years as QQQQ: there the cash of 25 dividends stands on one bar."""
    for one in lean.bar_set.instruments:
        bars = columns_of(lean, one.id)
        alone = forward_adjusted(bars["close"], bars["dividend"], bars["split"]) / bars["close"]
        gap = one.id == "stock.US.QQQ"
        np.testing.assert_allclose(alone, bars["total_factor"], rtol=5e-3 if gap else 1e-12, err_msg=one.id)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lean_daily_raw.parquet does not exist"):
        read_lean(tmp_path)
