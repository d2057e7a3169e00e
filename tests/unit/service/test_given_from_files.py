"""Numbers from outside, from a user's file through ``foresail import`` to a feature with a value."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.core.clock import NS_PER_DAY, SimulatedClock
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE
from foresail.features.givens import GIVENS
from foresail.service.features import FeatureRequest, FeatureTable, compute_table
from foresail.service.importing import import_set

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data"))
FX = """version = 1
name = "fx"
files = ["fx.csv"]
class = "forex"
frame = "1d"
time = "session"
price_basis = "raw"
"""
MACRO = """version = 1
kind = "facts"
scope = "market"
name = "macro"
files = ["macro.csv"]
event_time = "period"
publication_lag = "1d"
calendar = "24/5"
"""
MARKET = sorted(name for name, row in GIVENS.items() if row.scope == "market")


def quiet(stage: str, done: int, total: int) -> None:
    del stage, done, total


def clock() -> SimulatedClock:
    return SimulatedClock(datetime(2026, 1, 4, tzinfo=UTC))


def days(first: str, count: int) -> pd.DatetimeIndex:
    return pd.bdate_range(first, periods=count)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, table: pd.DataFrame, toml: str) -> Path:
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    path = folder / f"{name}.toml"
    path.write_text(toml)
    return path


def import_pairs(folder: Path, count: int = 90) -> None:
    dates = days("2015-01-05", count)
    wave = 1.0 + 0.05 * np.sin(np.arange(count) / 3.0)
    rows = [
        pd.DataFrame({"date": dates.date, "symbol": symbol, "close": level * wave})
        for symbol, level in (("EURUSD", 1.1), ("USDJPY", 120.0))
    ]
    write(folder, "fx", pd.concat(rows), FX)
    import_set(folder / "fx.toml", clock=clock())


def features(names: list[str], bars: str = "fx") -> FeatureTable:
    return compute_table(FeatureRequest(names=",".join(names), bars=bars), progress=quiet)


def test_facts_of_the_market_reach_every_instrument_and_no_earlier_than_known(workspace: Path) -> None:
    import_pairs(workspace / "set")
    dates = days("2015-01-05", 90)
    yields = pd.DataFrame({"period": dates.date, "us_2y_yield": 0.01, "us_10y_yield": 0.03 + 1e-4 * np.arange(90)})
    outcome = import_set(write(workspace / "set", "macro", yields, MACRO), clock=clock())
    assert "90 for the whole market" in outcome.lines[0]
    table = features(["us_2y_10y_spread"])
    assert table.absent == {}
    spread = table.panel.field("us_2y_10y_spread")
    assert spread.shape[0] == 2
    assert np.array_equal(spread[0], spread[1], equal_nan=True)
    # a session ends at 17:00 New York of its date; what is known a day after midnight is of the date before
    seen = np.flatnonzero(np.isfinite(spread[0]))
    np.testing.assert_allclose(spread[0, seen], 0.02 + 1e-4 * (seen - 1), atol=1e-12)
    assert seen[0] == 1


def test_every_number_of_the_market_can_be_given_by_a_file(workspace: Path) -> None:
    import_pairs(workspace / "set")
    dates = days("2014-12-29", 95)
    ahead = dates.as_unit("ns").asi8 / NS_PER_DAY
    columns: dict[str, object] = {"period": dates.date}
    for name in MARKET:
        form = GIVENS[name].form
        later = {"days_until": 10.0, "days_since": -10.0}.get(form)
        columns[GIVENS[name].field] = np.full(95, 0.02) if later is None else ahead + later
    import_set(write(workspace / "set", "macro", pd.DataFrame(columns), MACRO), clock=clock())
    legs = pd.concat(
        [
            pd.DataFrame({"period": dates.date, "currency": c, "policy_rate": r})
            for c, r in (("EUR", 0.01), ("USD", 0.02), ("JPY", 0.0))
        ]
    )
    toml = MACRO.replace('scope = "market"', 'class = "forex"\nsymbol = "currency"').replace("macro", "legs")
    import_set(write(workspace / "set", "legs", legs, toml), clock=clock())
    wanted = {f"given:{name}" for name in MARKET}
    fed = ("given:base_policy_rate", "given:quote_policy_rate")
    names = [
        name
        for name, spec in CATALOGUE.items()
        if wanted & set(spec.inputs) and all(not i.startswith("given:") or i in wanted or i in fed for i in spec.inputs)
    ]
    assert len(names) >= len(MARKET) - 4  # four of them are made from two yields
    assert "carry_trade_score" in names
    coin = pd.DataFrame({"date": dates.date, "symbol": "BTCUSD", "close": 100.0 + np.arange(95)})
    coin_toml = FX.replace("fx", "coin").replace('"forex"', '"crypto"').replace('"session"', '"start"\nzone = "UTC"')
    write(workspace / "set", "coin", coin, coin_toml)
    import_set(workspace / "set" / "coin.toml", clock=clock())
    crypto = [name for name in names if AssetClass.FOREX not in CATALOGUE[name].asset_classes]
    assert set(crypto) == {"btc_dominance", "eth_dominance", "altcoin_season_index", "crypto_fear_greed"}
    for asked, bars in (([name for name in names if name not in crypto], "fx"), (crypto, "coin")):
        table = features(asked, bars)
        assert table.absent == {}
        last = np.isfinite(table.panel.values[:, -1, :]).all(axis=0)
        assert [name for name, known in zip(asked, last.tolist(), strict=True) if not known] == []


def test_descriptions_of_the_market_are_checked(workspace: Path) -> None:
    table = pd.DataFrame({"period": ["2015-01-05"], "area": ["US"], "DGS10": [3.0]})

    def read(toml: str) -> None:
        import_set(write(workspace / "set", "macro", table, toml), clock=clock())

    with pytest.raises(ConfigError, match="expected scope to be one of instrument, market"):
        read(MACRO.replace('"market"', '"world"'))
    with pytest.raises(ConfigError, match="facts of the market are of no instrument"):
        read(MACRO + 'symbol = "area"\n')
    with pytest.raises(ConfigError, match='expected symbol = "name of the column"'):
        read(MACRO.replace('scope = "market"\n', ""))
    with pytest.raises(UnknownNameError, match=r"unknown field in \[scale\] 'DGS2'"):
        read(MACRO + "[scale]\nDGS2 = 0.01\n")
    with pytest.raises(DataError, match="names column 'DGS2', the file has period, area, DGS10"):
        read(MACRO + '[fields]\nus_2y_yield = "DGS2"\n')


def test_columns_get_the_names_and_units_that_features_know(workspace: Path) -> None:
    import_pairs(workspace / "set")
    rates = pd.DataFrame({"period": days("2015-01-01", 90).date, "FEDFUNDS": 5.25, "note": "x"})
    toml = MACRO + '[fields]\nfed_funds_rate = "FEDFUNDS"\n[scale]\nfed_funds_rate = 0.01\n'
    import_set(write(workspace / "set", "macro", rates, toml), clock=clock())
    assert features(["fed_funds_rate"]).panel.field("fed_funds_rate")[0, -1] == pytest.approx(0.0525)


# ---- real data


real = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs {DATA} (set FORESAIL_DATA)")
REAL_FX = """version = 1
name = "real_fx"
root = "{root}"
files = ["forex_daily/mt5_1d.parquet"]
class = "forex"
frame = "1d"
time = "session"
price_basis = "raw"
symbols = ["EURUSD", "USDJPY", "GBPUSD"]
[quirks]
from = "2012-01-01"
"""
CURVE = """version = 1
kind = "facts"
scope = "market"
name = "curve"
root = "{root}"
files = ["macro/us_treasury_curve_daily.parquet"]
event_time = "ts"
publication_lag = "1d"
[fields]
us_2y_yield = "y_2year"
us_10y_yield = "y_10year"
us_3m_bill = "y_3month"
"""
MONTHLY = """version = 1
kind = "facts"
scope = "market"
name = "monthly"
root = "{root}"
files = ["macro/fred_md_vintage_2023.parquet"]
event_time = "ts"
publication_lag = "40d"
[fields]
fed_funds_rate = "FEDFUNDS"
us_unemployment = "UNRATE"
[scale]
fed_funds_rate = 0.01
us_unemployment = 0.01
"""


def described(folder: Path, name: str, toml: str) -> None:
    path = folder / f"{name}.toml"
    path.write_text(toml.replace("{root}", str(DATA)))
    import_set(path, clock=clock())


@pytest.mark.data
@real
def test_real_yields_and_policy_rates_reach_currency_pairs(workspace: Path) -> None:
    for name, toml in (("fx", REAL_FX), ("curve", CURVE), ("monthly", MONTHLY)):
        described(workspace, name, toml)
    names = ["us_2y_10y_spread", "fed_funds_rate", "us_unemployment"]
    table = compute_table(FeatureRequest(names=",".join(names), bars="real_fx", until="2016-05-31"), progress=quiet)
    assert table.absent == {}
    shares = table.known_share()
    assert min(shares.values()) > 0.98
    day = int(np.searchsorted(table.panel.end, np.datetime64("2015-06-17T21:00", "ns").astype(np.int64)))
    # 16 June 2015: 2.32 % less 0.69 %; May 2015: 0.12 % (April's figure; May's comes on 10 June)
    assert table.panel.field("us_2y_10y_spread")[0, day] == pytest.approx(0.0232 - 0.0069, abs=5e-4)
    assert table.panel.field("fed_funds_rate")[0, day] == pytest.approx(0.0012, abs=2e-4)
    assert table.panel.field("us_unemployment")[0, day] == pytest.approx(0.056, abs=2e-3)


STOCKS = """version = 1
name = "stocks"
root = "{root}"
files = ["us_stocks_daily_2003_2016/sp500_daily.parquet"]
class = "stock"
frame = "1d"
time = "session"
price_basis = "raw"
symbols = ["K", "KO", "MSFT"]
[quirks]
from = "2014-01-01"
"""
ANNUAL = """version = 1
kind = "facts"
name = "annual"
root = "{root}"
files = ["fundamentals/annual_fundamentals_2012_2016.parquet"]
symbol = "symbol"
event_time = "period_ending"
publication_lag = "90d"
[fields]
roe = "after_tax_roe"
eps_ttm = "earnings_per_share"
[scale]
roe = 0.01
"""


@pytest.mark.data
@real
def test_real_annual_reports_reach_stocks_for_as_long_as_they_count(workspace: Path) -> None:
    for name, toml in (("stocks", STOCKS), ("annual", ANNUAL)):
        described(workspace, name, toml)
    table = compute_table(FeatureRequest(names="roe,pe_ratio", bars="stocks"), progress=quiet)
    assert table.absent == {}
    roe = table.panel.field("roe")
    shares = np.isfinite(roe).mean(axis=1)
    assert (shares > 0.2).all()
    assert (shares < 0.5).all()  # a yearly figure counts 120 days (FEAT-37)
    assert 10.0 < np.nanmedian(table.panel.field("pe_ratio")) < 40.0


COIN = """version = 1
name = "coin"
root = "{root}"
files = ["crypto_btc_daily_onchain/btc_daily.parquet"]
class = "crypto"
frame = "1d"
time = "start"
price_basis = "raw"
symbol = "BTCUSD"
[columns]
close = "price"
"""
CHAIN = """version = 1
kind = "facts"
name = "chain"
root = "{root}"
files = ["crypto_btc_daily_onchain/btc_daily.parquet"]
class = "crypto"
of = "BTCUSD"
event_time = "ts"
publication_lag = "1d"
[fields]
hash_rate = "hashrate"
mining_difficulty = "difficulty"
"""
MOOD = """version = 1
kind = "facts"
scope = "market"
name = "mood"
root = "{root}"
files = ["crypto_btc_daily_onchain/btc_daily.parquet"]
event_time = "ts"
publication_lag = "1d"
[fields]
crypto_fear_greed = "fear_greed"
[scale]
crypto_fear_greed = 0.01
"""


@pytest.mark.data
@real
def test_real_figures_of_the_chain_reach_the_coin(workspace: Path) -> None:
    for name, toml in (("coin", COIN), ("chain", CHAIN), ("mood", MOOD)):
        described(workspace, name, toml)
    names = "hash_rate,mining_difficulty,crypto_fear_greed"
    table = compute_table(FeatureRequest(names=names, bars="coin"), progress=quiet)
    assert table.absent == {}
    assert table.known_share()["hash_rate"] > 0.99
    mood = table.panel.field("crypto_fear_greed")[0]
    at = int(np.searchsorted(table.panel.end, np.datetime64("2020-01-02", "ns").astype(np.int64)))
    assert mood[at] == pytest.approx(0.37)  # the index of 1 January 2020, known when that day ends
    assert np.nanmax(mood) <= 1.0
