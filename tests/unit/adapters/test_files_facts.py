"""Described facts: vintages from files, refusals, and the real reports and revisions as known at the time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foresail.adapters.files.description import parse_description
from foresail.adapters.files.facts import is_fact_description, read_fact_files
from foresail.adapters.files.listings import read_listings
from foresail.adapters.files.reader import read_bars
from foresail.core.errors import ConfigError, DataError, LookAheadError, UnknownNameError
from foresail.domain.actions import DelistingRule
from foresail.domain.facts import FactBasis
from foresail.domain.universe import UniverseBasis
from foresail.measures.asof import asof_join
from foresail.measures.delisting import endings, universe_returns, with_delisting
from foresail.store.panels import to_panel

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data")) / "us_stocks_pit_2015_2017"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs {DATA} (set FORESAIL_DATA)")
CSV = """ticker,period,published,income,note
A,2015-03-31,2015-04-24,1.0,x
A,2015-03-31,2015-08-10,0.5,y
B,2015-03-31,2015-04-23,,z
,2015-03-31,2015-04-23,4,z
C,soon,2015-04-23,4,z
"""
TOML: dict[str, Any] = {
    "version": 1, "kind": "facts", "name": "reports", "files": ["reports.csv"], "symbol": "ticker",
    "event_time": "period", "known_at": "published", "fields": ["income"],
}  # fmt: skip


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def read(folder: Path, **changes: Any):
    (folder / "reports.csv").write_text(CSV)
    raw = {key: value for key, value in (TOML | changes).items() if value is not None}
    return read_fact_files(raw, folder=folder, where="set.toml", now_ns=ns("2020-01-01"))


def test_rows_become_vintages_known_from_the_next_session(tmp_path: Path) -> None:
    table, said, bad, notes = read(tmp_path)
    assert is_fact_description(TOML)
    assert table.instruments == ("stock.US.A", "stock.US.B")
    assert table.available_at[0] == ns("2015-04-27T13:30:01")  # published on a Friday
    assert [(row.row, row.column, row.reason) for row in bad] == [
        (4, "ticker", "no symbol"),
        (5, "period", "no event_time"),
    ]
    assert (said.fields, said.basis, said.lag_ns) == (("income",), FactBasis.PUBLISHED, None)
    assert any("by date" in note for note in notes)
    times = np.array([ns("2015-04-24T21:00"), ns("2015-04-27T21:00"), ns("2015-08-11T21:00")])
    found = asof_join(table, times, field="income", instruments=table.instruments)
    np.testing.assert_array_equal(found.values, [[np.nan, 1.0, 0.5], [np.nan] * 3])


def test_a_file_that_does_not_say_when_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        LookAheadError, match="expected one of known_at, publication_lag, at_close or snapshot, received none"
    ):
        read(tmp_path, known_at=None)
    with pytest.raises(LookAheadError, match="received known_at, publication_lag"):
        read(tmp_path, publication_lag="45d")
    lagged, said, _, _ = read(tmp_path, known_at=None, publication_lag="45d")
    assert lagged.available_at[0] == ns("2015-05-15")
    assert said.lag_ns == 45 * 86_400_000_000_000
    with pytest.raises(ConfigError, match="publication_lag such as"):
        read(tmp_path, known_at=None, publication_lag="soon")


def test_a_snapshot_is_known_from_now(tmp_path: Path) -> None:
    table, said, _, _ = read(tmp_path, known_at=None, event_time=None, snapshot=True)
    assert said.basis is FactBasis.SNAPSHOT
    assert set(table.available_at.tolist()) == {ns("2020-01-01")}


def test_wrong_descriptions_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown key 'field'"):
        read(tmp_path, field="income")
    with pytest.raises(DataError, match="names column 'sales', the file has ticker"):
        read(tmp_path, fields=["sales"])
    with pytest.raises(ConfigError, match="expected symbol"):
        read(tmp_path, symbol=None)
    (tmp_path / "empty.csv").write_text("ticker,period,published,income\n,,,\n")
    with pytest.raises(DataError, match="no row of 1 can be used"):
        read(tmp_path, files=["empty.csv"])


@pytest.mark.data
@real
def test_real_reports_are_read_as_published(tmp_path: Path) -> None:
    raw = TOML | {"files": [str(DATA / "sec_reports.parquet")], "symbol": "symbol", "event_time": "end_date",
                  "known_at": "known_at", "fields": ["net_income", "revenues"]}  # fmt: skip
    table, _, bad, _ = read_fact_files(raw, folder=DATA, where="set.toml", now_ns=0)
    assert (len(table), len(bad)) == (16_220, 0)
    name = next(one for one in table.instruments if one == "stock.US.BKH")
    own = table.take(table.code == table.instruments.index(name))
    first = own.take(own.event_time == ns("2015-03-31"))
    income = first.values[:, 0]
    restated = int(np.flatnonzero(income != income[0])[0])
    before, after = int(first.available_at[restated]) - 1, int(first.available_at[restated])
    seen = asof_join(first, np.array([before, after]), field="net_income", instruments=[name])
    assert seen.values[0].tolist() == [income[0], income[restated]]
    # cutting the file at any instant changes nothing that was known by then
    at = np.array([ns(day) for day in ("2015-06-30T20:00", "2016-01-15T20:00", "2016-06-30T20:00")])
    whole = asof_join(table, at, field="net_income", instruments=table.instruments)
    for column, instant in enumerate(at.tolist()):
        cut = asof_join(
            table.known(instant), at[column : column + 1], field="net_income", instruments=table.instruments
        )
        np.testing.assert_array_equal(cut.values[:, 0], whole.values[:, column])
    assert np.isfinite(whole.values).sum(axis=0).tolist() == sorted(np.isfinite(whole.values).sum(axis=0).tolist())
    assert (
        whole.available_at[np.isfinite(whole.values)]
        <= np.broadcast_to(at, whole.values.shape)[np.isfinite(whole.values)]
    ).all()


@pytest.fixture(scope="module")
def pit():
    raw = {
        "version": 1, "name": "pit", "files": [str(DATA / "daily_first_print.parquet")], "class": "stock",
        "frame": "1d", "time": "session", "price_basis": "raw", "universe": "point_in_time", "known_at": "known_at",
        "revisions": str(DATA / "revisions.parquet"),
    }  # fmt: skip
    description = parse_description(raw, folder=DATA, where="pit")
    bars, bar_set, _, _ = read_bars(description)
    return bars, bar_set, read_listings(DATA / "listing_history.parquet", description)


@pytest.mark.data
@real
def test_real_endings_are_told_from_gaps_and_counted(pit) -> None:
    bars, bar_set, universe = pit
    panel = to_panel(bars, bar_set)
    assert universe.basis is UniverseBasis.POINT_IN_TIME
    assert len(universe.listings) == 5_217
    found = endings(panel.present, panel.end, panel.instruments, universe)
    names = np.array(panel.instruments)
    # 146 series stop before the last bar; the ticker COUP is handed to another company and listed again later
    assert int(found.delisted.sum() + found.gap.sum()) == 146
    assert names[found.gap].tolist() == ["stock.US.COUP"]
    early = panel.shape[1] - 1 - found.last[found.delisted]
    assert (len(early), int((early >= 20).sum())) == (145, 137)  # the data sheet leaves out those of September 2016
    close = panel.field("close") * panel.field("total_factor")
    returns = np.full(close.shape, np.nan)
    returns[:, 1:] = close[:, 1:] / close[:, :-1] - 1.0
    returns[np.abs(returns) > 1.0] = np.nan  # bad prints, which the gate blocks (0.004 for a stock of 38)
    member = universe.mask(panel.instruments, panel.end)
    held = np.concatenate([np.zeros((len(member), 1), dtype=bool), member[:, :-1]], axis=1)
    means = {}
    for rule in (0.0, -0.3, -1.0):
        means[rule], count = universe_returns(with_delisting(returns, found, DelistingRule(rule)), held)
    survivors, _ = universe_returns(returns, held & ~found.delisted[:, None])
    yearly = [252 * float(np.nanmean(one)) for one in (*means.values(), survivors)]
    np.testing.assert_allclose(yearly, [0.0626, 0.0446, 0.0026, 0.0550], atol=5e-5)
    lost = np.nansum(means[0.0] - means[-0.3])
    assert lost == pytest.approx(sum(0.3 / count[row + 1] for row in found.last[found.delisted].tolist()), rel=1e-9)


@pytest.mark.data
@real
def test_real_revisions_are_not_seen_before_they_were_published(pit) -> None:
    bars, bar_set, _ = pit
    first, newest = to_panel(bars, bar_set), to_panel(bars, bar_set, latest=True)
    changed = np.isfinite(first.field("close")) & (first.field("close") != newest.field("close"))
    assert int(changed.sum()) == 1_040  # as the data sheet counts
    row = int(np.flatnonzero(changed.any(axis=0))[15])
    instant = int(first.available_at[row])
    then = to_panel(bars, bar_set, known_at_ns=instant)
    np.testing.assert_array_equal(then.field("close"), first.cut(0, row + 1).select(then.instruments).field("close"))
