"""The quality gate: each check finds its planted fault and only that (DATA-90)."""

from datetime import date

import numpy as np
import pytest

from foresail.core.errors import DataError, UnknownNameError
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import sessions
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.store.gate import check

A, B = "stock.US.AAA", "stock.US.BBB"
LABELS, OPENS, CLOSES = sessions("XNYS", date(2020, 1, 2), date(2020, 12, 31))


def bar_set(**changes):
    base = {
        "name": "t", "asset_class": AssetClass.STOCK, "frame": "1d", "calendar": "XNYS",
        "price_basis": PriceBasis.RAW, "universe_basis": "unknown", "currency": "USD", "grace_s": 1.0,
        "known_by_date": False, "close_only": False,
        "instruments": (Instrument(A, "AAA", AssetClass.STOCK), Instrument(B, "BBB", AssetClass.STOCK)),
    }  # fmt: skip
    return BarSet(**(base | changes))


def clean(n=150, seed=0, instrument=A):
    """A quiet name: 1 % a day, no fault."""
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.uniform(-0.01, 0.01, n)))
    open_ = np.r_[close[0], close[:-1]]
    return {
        "instrument": [instrument] * n, "start": OPENS[:n].copy(), "end": CLOSES[:n].copy(),
        "available_at": CLOSES[:n] + 10**9, "open": open_, "high": np.maximum(open_, close) * 1.001,
        "low": np.minimum(open_, close) * 0.999, "close": close, "volume": np.full(n, 1e6),
        "file": ["f.csv"] * n, "row": np.arange(1, n + 1),
    }  # fmt: skip


def rows_of(columns, positions):
    return {name: [values[i] for i in positions] for name, values in columns.items()}


def joined(*parts):
    return {name: [v for part in parts for v in part[name]] for name in parts[0]}


def rules(report):
    return sorted({q.rule for q in report.quarantined}), sorted({f.rule for f in report.flags})


def test_clean_bars_pass_untouched():
    bars, report = check(bar_table(clean()), bar_set())
    assert (report.received, report.accepted, report.expected, report.gaps) == (150, 150, 150, 0)
    assert rules(report) == ([], [])
    assert "file" not in bars.table.column_names


def test_order_is_no_defect():
    columns = clean()
    shuffled = rows_of(columns, np.random.default_rng(1).permutation(150))
    straight, report = check(bar_table(columns), bar_set())
    mixed, again = check(bar_table(shuffled), bar_set())
    assert mixed.table.equals(straight.table)
    assert again == report


def test_equal_duplicates_collapse_with_a_count():
    columns = clean()
    bars, report = check(bar_table(joined(columns, rows_of(columns, [3, 3, 70]))), bar_set())
    assert (report.received, report.accepted, report.collapsed) == (153, 150, 3)
    assert report.quarantined == ()
    assert bars.table.num_rows == 150


def test_unequal_duplicates_are_all_set_aside():
    columns = clean()
    other = rows_of(columns, [10, 10])
    other["close"] = [c * 1.0005 for c in other["close"]]
    other["row"] = [501, 502]
    _, report = check(bar_table(joined(columns, other)), bar_set())
    assert sorted(q.row for q in report.quarantined) == [11, 501, 502]
    assert {q.rule for q in report.quarantined} == {"DATA-53"}
    assert report.gaps == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("high", 1.0, "high below low"),
        ("low", 1e6, "high below low"),
        ("close", -5.0, "not positive"),
        ("open", 0.0, "not positive"),
        ("volume", -7.0, "negative volume"),
        ("close", np.nan, "no close"),
        ("high", 50.0, "high below"),
    ],
)
def test_impossible_bars_are_quarantined_with_their_row(column, value, reason):
    columns = clean()
    columns[column][40] = value
    columns["open"][40] = columns["open"][40] + (5.0 if reason == "high below" else 0.0)
    _, report = check(bar_table(columns), bar_set())
    assert [(q.file, q.row, q.rule) for q in report.quarantined] == [("f.csv", 41, "DATA-52")]
    assert reason in report.quarantined[0].reason
    assert "stock.US.AAA" in report.quarantined[0].original


def test_binary_dust_is_no_impossible_bar():
    columns = clean()
    columns["high"][5] = columns["close"][5] * (1 - 1e-13)
    columns["open"][5] = columns["close"][5]
    columns["low"][5] = columns["close"][5] * (1 + 1e-13)
    assert check(bar_table(columns), bar_set())[1].quarantined == ()


def test_minus_one_volume_is_missing():
    columns = clean()
    columns["volume"][7] = -1.0
    bars, report = check(bar_table(columns), bar_set())
    assert bars.table.column("volume")[7].as_py() is None
    assert report.quarantined == ()
    assert any("volumes of -1" in note for note in report.notes)


def test_a_jump_is_flagged_and_kept():
    columns = clean()
    for name in ("open", "high", "low", "close"):
        columns[name][120:] = columns[name][120:] * 1.3
    bars, report = check(bar_table(columns), bar_set(price_basis=PriceBasis.SPLIT_ADJUSTED))
    assert [(f.rule, f.end) for f in report.flags] == [("DATA-55", int(CLOSES[120]))]
    assert bars.table.num_rows == 150
    assert report.blocked == ()


def test_a_move_beyond_ten_robust_deviations_is_flagged_below_the_absolute_limit():
    columns = clean()
    columns["close"][130:] = columns["close"][130:] * 1.12
    columns["high"][130:] = columns["high"][130:] * 1.12
    columns["open"][131:] = columns["open"][131:] * 1.12
    columns["low"][131:] = columns["low"][131:] * 1.12
    _, report = check(bar_table(columns), bar_set())
    assert [(f.rule, f.end) for f in report.flags] == [("DATA-55", int(CLOSES[130]))]


def test_an_unrecorded_split_is_listed_and_blocks_on_raw_only():
    columns = clean()
    for name in ("open", "high", "low", "close"):
        columns[name][90:] = columns[name][90:] / 2
    bars, report = check(bar_table(columns), bar_set())
    assert [(f.rule, f.end) for f in report.flags] == [("DATA-56", int(CLOSES[90]))]
    assert report.blocked == ((A, int(CLOSES[90])),)
    assert bars.table.num_rows == 150
    assert check(bar_table(columns), bar_set(price_basis=PriceBasis.SPLIT_ADJUSTED))[1].blocked == ()


def test_a_recorded_split_explains_the_ratio():
    columns = clean()
    for name in ("open", "high", "low", "close"):
        columns[name][90:] = columns[name][90:] / 2
    columns["split"] = np.where(np.arange(150) == 90, 2.0, 1.0)
    columns["total_factor"] = np.where(np.arange(150) >= 90, 2.0, 1.0)
    _, report = check(bar_table(columns), bar_set())
    assert rules(report) == ([], [])
    assert report.blocked == ()


def test_a_recorded_split_that_prices_contradict_is_quarantined_and_blocks():
    columns = clean()
    columns["split"] = np.where(np.arange(150) == 90, 2.0, 1.0)
    columns["total_factor"] = np.where(np.arange(150) >= 90, 2.0, 1.0)
    _, report = check(bar_table(columns), bar_set())
    assert [(q.rule, q.row) for q in report.quarantined] == [("DATA-56", 91)]
    assert report.blocked == ((A, int(CLOSES[91])),)


def test_a_frozen_feed_is_marked_once():
    columns = clean()
    columns["volume"][60:75] = 0.0
    for name in ("open", "high", "low", "close"):
        columns[name][59:75] = 50.0
    for name in ("open", "high", "low", "close"):
        columns[name][75:] = columns[name][75:] / columns["close"][75] * 50.2
    _, report = check(bar_table(columns), bar_set())
    assert [(f.rule, f.end) for f in report.flags] == [("DATA-57", int(CLOSES[68]))]


def test_gaps_are_counted_against_the_calendar_and_never_filled():
    columns = clean()
    kept = [i for i in range(150) if i not in (50, 51, 99)]
    bars, report = check(bar_table(rows_of(columns, kept)), bar_set())
    assert (report.expected, report.gaps, bars.table.num_rows) == (150, 3, 147)
    assert [f.end for f in report.flags if f.rule == "DATA-54"] == [int(CLOSES[52])]


def test_late_listing_is_no_gap():
    whole, young = clean(), rows_of(clean(seed=2, instrument=B), range(100, 150))
    _, report = check(bar_table(joined(whole, young)), bar_set())
    assert (report.expected, report.gaps) == (200, 0)


def test_a_bar_of_the_future_is_quarantined():
    columns = clean()
    columns["recorded_at"] = np.full(150, CLOSES[148])
    _, report = check(bar_table(columns), bar_set())
    assert [(q.rule, q.row) for q in report.quarantined] == [("DATA-59", 150)]


def test_crossed_and_wide_quotes_lose_their_spread_only():
    columns = clean()
    columns["spread"] = np.full(150, 0.01)
    columns["spread"][[80, 90]] = [-0.01, 0.5]
    bars, report = check(bar_table(columns), bar_set())
    spread = bars.table.column("spread").to_pylist()
    assert (spread[80], spread[90], spread[91]) == (None, None, 0.01)
    assert report.quarantined == ()


def test_a_dividend_of_a_bar_that_is_set_aside_reaches_the_next_bar():
    columns = clean()
    columns["dividend"] = np.where(np.arange(150) == 40, 0.7, 0.0)
    columns["high"][40] = 1.0
    bars, _ = check(bar_table(columns), bar_set())
    dividend = bars.table.column("dividend").to_pylist()
    assert dividend[40] == 0.7  # the former row 41
    assert sum(dividend) == 0.7


def test_a_bar_known_before_it_ends_breaks_the_schema():
    columns = clean()
    columns["available_at"][3] = columns["end"][3] - 1
    _, report = check(bar_table(columns), bar_set())
    assert [(q.rule, q.row) for q in report.quarantined] == [("DATA-51", 4)]


def test_schema_of_the_batch_is_checked():
    table = bar_table(clean()).table
    with pytest.raises(DataError, match="without column 'close'"):
        check(BarTable(table.drop_columns(["close"])), bar_set())
    broken = clean()
    broken["end"] = [None, *broken["end"][1:]]
    with pytest.raises(DataError, match="'end' is empty in row 1"):
        check(bar_table(broken), bar_set())
    with pytest.raises(UnknownNameError, match="bar column 'vwap'"):
        bar_table(clean() | {"vwap": np.zeros(150)})


def test_revisions_of_one_bar_are_no_duplicates():
    columns = clean()
    later = rows_of(columns, [20])
    later["available_at"] = [later["available_at"][0] + 86_400 * 10**9]
    later["close"] = [later["close"][0] * 1.0001]
    bars, report = check(bar_table(joined(columns, later)), bar_set())
    assert bars.table.num_rows == 151
    assert (report.quarantined, report.collapsed, report.expected) == ((), 0, 150)
