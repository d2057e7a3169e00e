"""Equity again, from ``fills.parquet``, bars, dividends and splits alone, by a ledger that shares no code with ours."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import foresail
from market_files import PRICES, real_frame, sessions, settings_file, simulated_frame, write_set

CAPITAL = Decimal(250_000)
TICK = Decimal("0.0001")  # of US stocks, unless the description of the set says otherwise
CENT = 0.005


def exact(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(TICK, rounding=ROUND_HALF_EVEN)


def ledger(
    bars: pd.DataFrame, fills: pd.DataFrame, days: list[date]
) -> tuple[list[Decimal], list[Decimal], Counter[str]]:
    """Return equity and cash at the close of each day, and how many splits, fractions and payments met a holding.

    Parameters
    ----------
    bars : date, symbol, close, dividend (cash a unit, after the split of the same day), split (units after one unit)
    fills : date, symbol, signed (units), price, fee
    """
    cash, held, last = CAPITAL, dict[str, Decimal](), dict[str, Decimal]()
    by_day = dict(iter(bars.groupby("date")))
    fills_by_day = dict(iter(fills.groupby("date")))
    equity, balance, met = [], [], Counter[str]()
    for day in days:
        for row in by_day[day].itertuples():
            units, split, dividend = held.get(row.symbol, Decimal(0)), float(row.split), float(row.dividend)
            if split != 1.0 and row.symbol in last:
                last[row.symbol] = exact(float(last[row.symbol]) / split)
                units *= Decimal(repr(split))
                whole = Decimal(int(units))
                cash += (units - whole) * last[row.symbol]
                met.update(split=int(units != 0), fraction=int(units != whole))
                held[row.symbol] = units = whole
            if units and np.isfinite(dividend):
                met.update(payment=int(dividend > 0))
                cash += units * Decimal(repr(round(dividend, 8)))
        for fill in fills_by_day.get(day, fills.iloc[:0]).itertuples():
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.signed
            cash -= fill.signed * fill.price + fill.fee
        last |= {row.symbol: exact(row.close) for row in by_day[day].itertuples()}
        equity.append(cash + sum(units * last[symbol] for symbol, units in held.items() if units))
        balance.append(cash)
    return equity, balance, met


def compare(run: Path, bars: pd.DataFrame) -> Counter[str]:
    """Check every day of a run's equity and cash; return what the holdings met."""
    table = pq.read_table(run / "equity.parquet").to_pandas()
    days = list(pd.to_datetime(table["end"], utc=True).dt.date)
    told = pq.read_table(run / "fills.parquet").to_pandas()
    sign = told["side"].map({"buy": Decimal(1), "sell": Decimal(-1)})
    fills = pd.DataFrame({
        "date": pd.to_datetime(told["filled_at"], utc=True).dt.date,
        "symbol": told["instrument"].str.rsplit(".", n=1).str[-1],
        "signed": told["quantity_exact"].map(Decimal) * sign,
        "price": told["price_exact"].map(Decimal),
        "fee": told["fee_exact"].map(Decimal),
    })  # fmt: skip
    # No fill is before the first judged day, and the bars go on to the last one.
    assert days == [day for day in sessions(bars) if day >= days[0]]
    assert fills["date"].min() > days[0]
    equity, cash, met = ledger(bars[bars["date"] >= days[0]], fills, days)
    np.testing.assert_allclose(table["net"], np.array(equity, dtype=float), rtol=0.0, atol=CENT)
    np.testing.assert_allclose(table["cash"], np.array(cash, dtype=float), rtol=0.0, atol=CENT)
    assert len(fills) > 50
    return met


def with_actions(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a raw set with quarterly dividends in half of the names, and splits of many ratios in all of them."""
    parts = []
    for number, (_, rows) in enumerate(frame.groupby("symbol", sort=True)):
        part = rows.reset_index(drop=True).assign(dividend=0.0, split=1.0)
        for k, at in enumerate(range(270 + 3 * number, len(part), 40)):
            ratio = (2.0, 1.5, 0.25, 3.0, 1.25)[(number + k) % 5]
            part.loc[at, "split"] = ratio
            part.loc[at:, PRICES] = (part.loc[at:, PRICES] / ratio).round(4)
            part.loc[at:, "volume"] = (part.loc[at:, "volume"] * ratio).round()
        if number % 2 == 0:
            for at in range(20, len(part), 20):  # every second of them on the day of a split for some names
                part.loc[at, "dividend"] = round(0.004 * part.loc[at, "close"], 3)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def test_equity_of_raw_bars_with_dividends_and_splits_to_the_cent(tmp_path: Path) -> None:
    frame = with_actions(simulated_frame(bars=640))
    write_set(tmp_path / "set", frame, basis="raw")
    settings = settings_file(tmp_path, capital=f"{CAPITAL} USD")
    called = foresail("run", "--bars", "set", "--config", settings, "--out", "run", "--json", cwd=tmp_path)
    assert called.code == 0, called.err
    met = compare(tmp_path / "run", frame)
    assert min(met[kind] for kind in ("split", "fraction", "payment")) >= 3
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    last = pq.read_table(tmp_path / "run" / "equity.parquet", columns=["net"]).column(0)[-1].as_py()
    assert metrics["net"]["total_return"] == pytest.approx(last / float(CAPITAL) - 1.0, abs=1e-12)


@pytest.mark.data
def test_equity_of_real_split_adjusted_bars_to_the_cent(tmp_path: Path) -> None:
    from foresail.service.loading import load_bars

    frame = real_frame(last="2006-12-31")
    write_set(tmp_path / "set", frame, basis="split_adjusted")
    settings = settings_file(tmp_path, capital=f"{CAPITAL} USD")
    called = foresail("run", "--bars", "set", "--config", settings, "--out", "run", "--json", cwd=tmp_path)
    assert called.code == 0, called.err
    # Such files state no payments: they follow from adjusted closes, which the importer reads.
    panel = load_bars(str(tmp_path / "set"), workspace=tmp_path).data.bars
    row, time = np.nonzero(panel.present)
    days = pd.to_datetime(panel.end, utc=True).date
    paid = pd.DataFrame({
        "date": days[time],
        "symbol": np.array([name.rsplit(".", 1)[-1] for name in panel.instruments])[row],
        "dividend": panel.field("dividend")[row, time],
    })  # fmt: skip
    bars = frame.merge(paid, on=["date", "symbol"], validate="one_to_one").assign(split=1.0)
    assert len(bars) == len(frame)
    assert (bars["dividend"] > 0.0).sum() > 100
    assert compare(tmp_path / "run", bars)["payment"] >= 3
