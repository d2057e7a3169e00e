"""Recorded shapes of yfinance answers become bars: headers, zones, absences, payments, bars that still run."""

import numpy as np
import pandas as pd
import pytest

from foresail.adapters.yahoo.universe import members, parse_symbols
from foresail.adapters.yahoo.wire import Answer, parse_answers, table_of
from foresail.core.clock import from_ns
from foresail.core.errors import ConfigError, DataError, MalformedPayloadError, UnknownNameError
from foresail.domain.instruments import PriceBasis

DAYS = ["2024-02-07", "2024-02-08", "2024-02-09", "2024-02-12"]
HOLIDAYS = pd.DatetimeIndex(
    ["2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04", "2023-09-04", "2023-11-23"]
)
LATER = int(pd.Timestamp("2024-03-01T12:00", tz="UTC").value)
# AAPL went ex 0.24 on 2024-02-09; the adjusted close is single precision, as Yahoo sends it.
CLOSE = [189.41000366210938, 188.32000732421875, 188.85000610351562, 187.14999389648438]
ADJUSTED = [float(np.float32(c * (1 - 0.24 / CLOSE[1]))) for c in CLOSE[:2]] + CLOSE[2:]


def table(tz=None, **changes):
    columns = {
        "Open": [190.6, 189.4, 188.6, 188.4],
        "High": [191.0, 189.5, 190.0, 188.7],
        "Low": [188.5, 187.3, 188.0, 186.8],
        "Close": CLOSE,
        "Adj Close": ADJUSTED,
        "Volume": [53439000, 40962000, 45155200, 41781900],
    }
    index = pd.DatetimeIndex(DAYS, tz=tz, name="Date")
    return pd.DataFrame(columns | changes, index=index).drop(columns=[k for k, v in changes.items() if v is None])


def parse(frame, symbol="AAPL", asked_at=LATER):
    return parse_answers([Answer(symbol, frame, "", asked_at)], name="t", universe_basis="hindsight")


def column(parsed, name):
    return parsed.bars.table.column(name).to_pylist()


def test_a_table_with_a_zone_becomes_bars_of_the_session():
    parsed = parse(table(tz="America/New_York"))
    assert [from_ns(e).isoformat() for e in column(parsed, "end")][:1] == ["2024-02-07T21:00:00+00:00"]
    assert [a - e for a, e in zip(column(parsed, "available_at"), column(parsed, "end"), strict=True)] == [
        900 * 10**9
    ] * 4
    assert column(parsed, "close") == CLOSE
    assert column(parsed, "row") == [1, 2, 3, 4]
    assert set(column(parsed, "file")) == {"yahoo:AAPL"}
    assert parsed.bar_set.price_basis is PriceBasis.SPLIT_ADJUSTED
    assert parsed.bar_set.universe_basis == "hindsight"
    assert parsed.bar_set.instruments[0].sector == "technology"
    assert not parsed.missing
    assert not parsed.bar_set.close_only


def test_the_payment_is_the_cash_that_was_paid():
    parsed = parse(table(tz="America/New_York"))
    np.testing.assert_allclose(column(parsed, "dividend"), [0, 0, 0.24, 0], atol=2e-5)
    assert column(parsed, "dividend")[1] == 0.0  # rounding to single precision is no payment
    factor = column(parsed, "total_factor")
    assert factor[:2] == [1.0, 1.0]
    # forward-adjusted return over the ex-date equals the return of the adjusted close
    assert CLOSE[2] * factor[2] / (CLOSE[1] * factor[1]) == pytest.approx(ADJUSTED[2] / ADJUSTED[1], rel=1e-6)


def test_single_precision_makes_no_payments():
    days = pd.bdate_range("2023-01-03", periods=250)
    close = np.float32(3.0 + np.abs(np.sin(np.arange(250) * 1.7)) * 200)
    adjusted = np.float32(close.astype(np.float64) * np.where(np.arange(250) < 200, 0.731, 1.0))
    frame = pd.DataFrame({"Close": close, "Adj Close": adjusted}, index=days).loc[lambda t: ~t.index.isin(HOLIDAYS)]
    parsed = parse(frame)
    assert int(np.count_nonzero(column(parsed, "dividend"))) == 1
    assert parsed.bar_set.close_only
    assert not any("falls against" in note for note in parsed.notes)


@pytest.mark.parametrize("rows", [2, 3])
def test_cutting_the_table_changes_nothing_before_the_cut(rows):
    whole, cut = parse(table()), parse(table().iloc[:rows])
    for name in ("close", "dividend", "total_factor", "end"):
        assert column(cut, name) == column(whole, name)[:rows]


@pytest.mark.parametrize("order", [("Price", "Ticker"), ("Ticker", "Price")])
def test_two_header_rows_in_either_order(order):
    wide = pd.concat({"AAPL": table(), "MSFT": table() * 2.0}, axis=1, names=["Ticker", "Price"])
    wide.columns = wide.columns.reorder_levels(order)
    assert table_of(wide, "MSFT")["close"].tolist() == [2 * c for c in CLOSE]
    assert table_of(wide, "AAPL")["adj_close"].tolist() == ADJUSTED
    with pytest.raises(MalformedPayloadError, match="no columns for TSLA"):
        table_of(wide, "TSLA")


def test_a_mapping_as_recorded_json_is_read():
    recorded = {name: dict(zip(DAYS, values, strict=True)) for name, values in table().to_dict("list").items()}
    assert column(parse(recorded_frame := table_of(recorded, "AAPL").rename(columns=str.title)), "close") == CLOSE
    assert list(recorded_frame.columns)[:2] == ["Open", "High"]


def test_without_adjusted_close_the_basis_is_unknown_and_nothing_is_booked():
    both = [Answer("AAPL", table(), "", LATER), Answer("MSFT", table(**{"Adj Close": None}), "", LATER)]
    parsed = parse_answers(both, name="t", universe_basis="hindsight")
    assert parsed.bar_set.price_basis is PriceBasis.UNKNOWN
    assert set(column(parsed, "dividend")) == {0.0}
    assert set(column(parsed, "total_factor")) == {1.0}
    assert any("MSFT" in note and "price basis unknown" in note for note in parsed.notes)


def test_rows_of_nan_are_absent_and_half_rows_are_left_to_the_gate():
    frame = table()
    frame.iloc[1] = np.nan
    frame.loc["2024-02-12", "Close"] = np.nan
    parsed = parse(frame)
    assert len(column(parsed, "end")) == 3
    assert column(parsed, "close") == [CLOSE[0], CLOSE[2], None]
    assert column(parsed, "volume")[0] == 53439000.0


def test_an_empty_table_or_none_is_listed_and_refused_when_nothing_else_came():
    answers = [
        Answer("AAPL", table(), "", LATER),
        Answer("GONE", pd.DataFrame(), "no rows", LATER),
        Answer("LOST", None, "possibly delisted", LATER),
    ]
    parsed = parse_answers(answers, name="t", universe_basis="hindsight")
    assert parsed.missing == [("GONE", "no rows"), ("LOST", "possibly delisted")]
    assert [i.symbol for i in parsed.bar_set.instruments] == ["AAPL"]
    with pytest.raises(DataError, match="none of 2 symbols gave a bar: GONE: no rows; LOST: possibly delisted"):
        parse_answers(answers[1:], name="t", universe_basis="hindsight")


def test_a_listing_elsewhere_is_not_dated_by_new_york():
    answers = [Answer("AAPL", table(), "", LATER), Answer("SAP", table(tz="Europe/Berlin"), "", LATER)]
    parsed = parse_answers(answers, name="t", universe_basis="hindsight")
    assert [symbol for symbol, _ in parsed.missing] == ["SAP"]
    assert "Europe/Berlin" in parsed.missing[0][1]


def test_midnights_in_utc_are_dates():
    assert column(parse(table(tz="UTC")), "end") == column(parse(table()), "end")


def test_a_bar_that_still_runs_is_left_out():
    at_noon = int(pd.Timestamp("2024-02-12T17:00", tz="UTC").value)
    at_close = int(pd.Timestamp("2024-02-12T21:14", tz="UTC").value)
    for asked_at in (at_noon, at_close):
        parsed = parse(table(), asked_at=asked_at)
        assert len(column(parsed, "end")) == 3
        assert any("not closed yet" in note for note in parsed.notes)
    assert len(column(parse(table(), asked_at=at_close + 2 * 60 * 10**9), "end")) == 4


def test_a_day_without_a_session_is_set_aside():
    frame = table().rename(index={pd.Timestamp("2024-02-12"): pd.Timestamp("2024-02-11")})
    parsed = parse(frame)
    assert [(q.file, q.row, q.column, q.rule) for q in parsed.quarantined] == [("yahoo:AAPL", 4, "Date", "DATA-54")]
    assert len(column(parsed, "end")) == 3


def test_an_adjusted_close_that_falls_is_counted_not_booked():
    frame = table(**{"Adj Close": [c * 1.01 for c in CLOSE[:2]] + CLOSE[2:]})
    parsed = parse(frame)
    assert set(column(parsed, "dividend")) == {0.0}
    assert any("falls against the close" in note for note in parsed.notes)


def test_order_of_answers_and_rows_does_not_matter():
    a, b = Answer("AAPL", table(), "", LATER), Answer("MSFT", table().iloc[::-1], "", LATER)
    one = parse_answers([a, b], name="t", universe_basis="hindsight").bars.table
    two = parse_answers(
        [b, Answer("AAPL", table().iloc[::-1], "", LATER)], name="t", universe_basis="hindsight"
    ).bars.table
    for name in ("instrument", "end", "close", "dividend", "total_factor"):
        assert one.column(name).to_pylist() == two.column(name).to_pylist()


def test_tickers_are_written_as_yahoo_writes_them():
    assert parse_symbols(["msft", " AAPL ", "BRK.B", "AAPL", ""]) == ("AAPL", "BRK-B", "MSFT")
    for foreign in ("SAP.DE", "VOD.L", "EURUSD=X", "BTC-USD", "^GSPC", "../etc"):
        with pytest.raises(ConfigError, match="expected a US ticker"):
            parse_symbols([foreign])
    with pytest.raises(ConfigError, match="at least one ticker"):
        parse_symbols([" "])


def test_members_are_those_of_today_and_say_so():
    symbols, origin = members("nasdaq100")
    assert len(symbols) > 90
    assert {"AAPL", "MSFT"} <= set(symbols)
    assert list(symbols) == sorted(set(symbols))
    assert "hindsight" in origin
    assert "BRK-B" in members("sp500")[0]
    with pytest.raises(UnknownNameError, match="nasdaq100, sp500"):
        members("dax")
