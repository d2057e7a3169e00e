"""Sets of reference series beside bars: what features see of them, since when, and what is refused."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.core.clock import NS_PER_S, SimulatedClock
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.domain.facts import fact_table
from foresail.features.catalogue import CATALOGUE
from foresail.features.givens import REFERENCES
from foresail.service.beside import SeriesSet, read_series, reference_of
from foresail.service.features import FeatureRequest, FeatureTable, compute_table
from foresail.service.importing import import_set
from foresail.service.loading import load_bars
from foresail.service.reading import Reading

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data"))
NOW = datetime(2026, 1, 4, tzinfo=UTC)
TOML = """version = 1
kind = "series"
name = "gauges"
files = ["gauges.csv"]
event_time = "date"
at_close = true
[series]
vix = "VIX"
gold = "XAU"
"""
TABLE = pd.DataFrame(
    {"date": ["2015-07-02", "2015-07-03", "2015-07-06"], "VIX": [16.0, 17.0, 18.0], "XAU": [1.0, 2.0, None]}
)


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def described(folder: Path, toml: str = TOML, table: pd.DataFrame = TABLE, name: str = "gauges") -> Path:
    table.to_csv(folder / f"{name}.csv", index=False)
    path = folder / f"{name}.toml"
    path.write_text(toml)
    return path


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_values_dated_by_session_are_known_when_it_closes(tmp_path: Path) -> None:
    found = reference_of([read_series(described(tmp_path), SimulatedClock(NOW))])
    times, values = found["vix"]
    assert times.tolist() == [ns("2015-07-02T20:00:01"), ns("2015-07-06T20:00:01")]  # no session on 3 July
    assert values.tolist() == [16.0, 18.0]
    assert found["gold"][1].tolist() == [1.0]
    late = read_series(
        described(tmp_path, TOML.replace("at_close = true", "at_close = true\ngrace_s = 900")), SimulatedClock(NOW)
    )
    assert reference_of([late])["vix"][0][0] == ns("2015-07-02T20:15")


def test_a_restatement_counts_from_when_it_came(tmp_path: Path) -> None:
    day = 86_400 * NS_PER_S
    event = np.array([1, 2, 1, 3], dtype=np.int64) * day
    known = np.array([2, 3, 4, 5], dtype=np.int64) * day
    table = fact_table([""] * 4, event, {"vix": np.array([10.0, 20.0, 11.0, 30.0])}, available_at=known)
    times, values = reference_of([SeriesSet("gauges", "", table)])["vix"]
    assert values.tolist() == [10.0, 20.0, 30.0]  # what restates an older day is not the newest value
    assert times.tolist() == [2 * day, 3 * day, 5 * day]


def test_descriptions_of_series_are_checked(tmp_path: Path) -> None:
    def read(toml: str) -> None:
        read_series(described(tmp_path, toml), SimulatedClock(NOW))

    with pytest.raises(ConfigError, match=r"expected a table \[series\]"):
        read(TOML.partition("[series]")[0])
    with pytest.raises(ConfigError, match="needs both symbol and value"):
        read('symbol = "name"\n' + TOML)
    with pytest.raises(UnknownNameError, match="unknown key 'scope'"):
        read('scope = "market"\n' + TOML)
    with pytest.raises(ConfigError, match="no description of series"):
        read(TOML.replace('"series"', '"facts"'))
    with pytest.raises(ConfigError, match="grace_s counts from the close"):
        read(TOML.replace("at_close = true", 'publication_lag = "1d"\ngrace_s = 2'))
    wide = pd.DataFrame({"date": ["2015-07-02"], "name": ["VIX"], "close": [16.0]})
    toml = 'symbol = "name"\nvalue = "close"\n' + TOML.replace('vix = "VIX"\ngold = "XAU"', 'vix = "VVIX"')
    path = described(tmp_path, toml, wide)
    with pytest.raises(UnknownNameError, match="unknown symbol 'VVIX'"):
        read_series(path, SimulatedClock(NOW))


def test_two_sets_with_one_series_are_refused(tmp_path: Path) -> None:
    one = read_series(described(tmp_path), SimulatedClock(NOW))
    with pytest.raises(DataError, match="both hold the series 'vix'"):
        reference_of([one, one])


def test_series_that_nothing_reads_are_told_when_imported(workspace: Path) -> None:
    path = described(workspace, TOML.replace("gold", "silver"))
    outcome = import_set(path, clock=SimulatedClock(NOW - timedelta(days=1)))
    assert outcome.document["set"]["kind"] == "series"
    assert any("no feature reads the series 'silver'" in line for line in outcome.lines)


BARS = {
    "stock": 'name = "bars"\nclass = "stock"\ntime = "session"\n',
    "forex": 'name = "bars"\nclass = "forex"\ntime = "session"\n',
    "crypto": 'name = "bars"\nclass = "crypto"\ntime = "start"\nzone = "UTC"\n',
}


@pytest.mark.parametrize("asset_class", sorted(BARS))
def test_every_row_that_reads_a_series_has_a_value_once_all_are_given(workspace: Path, asset_class: str) -> None:
    """8.10, 8.12, RGM-01, RGM-07: nothing but the series is needed."""
    days = pd.bdate_range("2015-01-05", "2016-06-30")
    steps = np.arange(len(days))
    names = [*REFERENCES, "sector_technology", "sector_finance"]
    levels = {name: 20.0 + np.sin(steps / (3.0 + i)) + 0.01 * i * steps for i, name in enumerate(names)}
    toml = TOML.partition("[series]")[0].replace("at_close = true", 'publication_lag = "0d"') + "[series]\n"
    toml += "".join(f'{name} = "{name}"\n' for name in names)
    import_set(described(workspace, toml, pd.DataFrame({"date": days.date, **levels})), clock=SimulatedClock(NOW))
    symbols = {"stock": ("AAPL", "JPM"), "forex": ("EURUSD", "USDJPY"), "crypto": ("BTCUSD", "ETHUSD")}[asset_class]
    rows = [pd.DataFrame({"date": days.date, "symbol": s, "close": 50.0 + 3 * np.sin(steps / 5.0)}) for s in symbols]
    head = 'version = 1\nfiles = ["bars.csv"]\nframe = "1d"\nprice_basis = "split_adjusted"\n'
    import_set(described(workspace, head + BARS[asset_class], pd.concat(rows), "bars"), clock=SimulatedClock(NOW))
    funds = {"given:sector_close", "given:sector_rank", "given:day_of_sector"}
    read = [
        name
        for name, spec in CATALOGUE.items()
        if asset_class in [str(one) for one in spec.asset_classes]
        and any(i.startswith("reference:") or i in funds for i in spec.inputs)
        and all(i in funds or not i.startswith("given:") for i in spec.inputs)
        and not name.startswith(
            "overnight_futures"
        )  # reads bars before the open, tests/unit/cli/test_extended_hours.py
    ]
    assert len(read) > {"stock": 35, "forex": 30, "crypto": 25}[asset_class]
    table = compute_table(FeatureRequest(names=",".join(read), bars="bars"), progress=quiet)
    assert table.absent == {}
    known = np.isfinite(table.panel.values[:, -30:, :]).any(axis=(0, 1))
    assert [name for name, seen in zip(read, known.tolist(), strict=True) if not seen] == []


# ---- real data

STOCKS = """version = 1
name = "stocks"
root = "{root}"
files = ["us_stocks_daily_2003_2016/sp500_daily.parquet"]
class = "stock"
frame = "1d"
time = "session"
price_basis = "split_adjusted"
symbols = ["KO", "MSFT", "BAC"]
[quirks]
from = "2013-01-01"
"""
VIX = """version = 1
kind = "series"
name = "volatility"
root = "{root}"
files = ["vix_daily/vix.parquet"]
event_time = "ts"
at_close = true
[series]
vix = "close"
"""
FUNDS = """version = 1
kind = "series"
name = "funds"
root = "{root}"
files = ["us_etf_daily/sector_spdr_1998_2022.parquet"]
event_time = "ts"
at_close = true
symbol = "symbol"
value = "close"
[series]
sector_technology = "XLK"
sector_finance = "XLF"
sector_consumer_staples = "XLP"
"""
SPY = """version = 1
kind = "series"
name = "index"
root = "{root}"
files = ["us_etf_daily/spy_1993_2025.parquet"]
event_time = "ts"
at_close = true
[series]
sp500 = "close"
"""


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs {DATA} (set FORESAIL_DATA)")
def test_real_vix_funds_and_index_reach_stocks(workspace: Path) -> None:
    for name, toml in (("stocks", STOCKS), ("vix", VIX), ("funds", FUNDS), ("spy", SPY)):
        path = workspace / f"{name}.toml"
        path.write_text(toml.replace("{root}", str(DATA)))
        import_set(path, clock=SimulatedClock(NOW))
    names = (
        "vix_level,vix_change,market_correlation,spy_return,relative_strength_spy,relative_strength_sector,"
        "sector_performance,sector_rotation,market_trend,vix_spy_corr,market_regime"
    )
    table: FeatureTable = compute_table(FeatureRequest(names=names, bars="stocks"), progress=quiet)
    assert table.absent == {}
    assert min(table.known_share().values()) > 0.85
    row = int(np.searchsorted(table.panel.end, ns("2015-08-24T20:00")))
    assert table.panel.field("vix_level")[0, row] == pytest.approx(40.74)  # the close of that Monday
    assert table.panel.field("market_correlation")[0, row] > 0.3
    loaded = load_bars("stocks", workspace=workspace)
    assert loaded.index == "sp500"
    assert sorted(loaded.inputs["series"]) == ["funds", "index", "volatility"]
    alone = FeatureRequest(names="vix_level", bars="stocks", reading=Reading(series=("index",)))
    assert "vix" in compute_table(alone, progress=quiet).absent["vix_level"]
