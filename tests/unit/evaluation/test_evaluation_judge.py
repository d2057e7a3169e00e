import json
from datetime import date, timedelta

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.domain.runs import VerdictWord
from foresail.evaluation.foreign import read_foreign
from foresail.evaluation.judge import JudgeSettings, judge_file

DECLARED = JudgeSettings(universe_basis="point_in_time", price_basis="total_return")


def weekdays(count, first=date(2010, 1, 4)):
    days = (first + timedelta(days=i) for i in range(count * 2))
    return [day for day in days if day.weekday() < 5][:count]


def write(path, header, columns):
    rows = [",".join(str(v) for v in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def series():
    random = np.random.default_rng(7)
    market = random.normal(0.0003, 0.01, 2500)
    noise = random.normal(0.0, 0.005, 2500)
    return weekdays(2500), market + noise - noise.mean() + 0.0006, market


def test_returns_with_benchmark_and_cost_can_be_evidence(tmp_path, series):
    days, net, market = series
    path = write(tmp_path / "r.csv", "date,return,benchmark,cost", [days, net, market, [0.00005] * 2500])
    found = judge_file(path, trials=1, settings=DECLARED)
    assert found.kind == "returns"
    assert found.verdict.word is VerdictWord.EVIDENCE
    assert found.bars_per_year == pytest.approx(261, abs=1)
    assert found.performance.total_return == pytest.approx(np.prod(1 + net) - 1)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["verdict"]["word"] == "evidence"


def test_trials_are_believed_and_counted(tmp_path, series):
    days, net, market = series
    path = write(tmp_path / "r.csv", "date,return,benchmark,cost", [days, net - 0.0003, market, [0.0] * 2500])
    assert judge_file(path, trials=1, settings=DECLARED).verdict.word is VerdictWord.EVIDENCE
    found = judge_file(path, trials=1000, settings=DECLARED)
    assert found.verdict.word is VerdictWord.NO_EVIDENCE
    assert "1000 trials counted" in found.verdict.reasons[0]


def test_without_benchmark_it_says_what_is_missing(tmp_path, series):
    days, net, _ = series
    found = judge_file(write(tmp_path / "r.csv", "Date,Return", [days, net]), trials=1)
    assert found.verdict.word is not VerdictWord.EVIDENCE
    assert found.verdict.figures["against"] == "zero"
    assert any("1/N of the same names is missing" in note for note in found.notes)


def test_equity_gives_the_same_returns(tmp_path, series):
    days, net, market = series
    levels = [np.concatenate([[100.0], 100 * np.cumprod(1 + x)]) for x in (net, market)]
    path = write(tmp_path / "e.csv", "date,equity,benchmark", [weekdays(2501), *levels])
    found = read_foreign(path)
    np.testing.assert_allclose(found.returns, net, atol=1e-12)
    np.testing.assert_allclose(found.benchmark, market, atol=1e-12)
    assert found.times[0].date() == days[1]


def test_rows_out_of_order_are_sorted_and_said(tmp_path):
    path = write(tmp_path / "r.csv", "date,return", [["2020-01-03", "2020-01-02"], [0.3, 0.2]])
    found = read_foreign(path)
    assert found.returns.tolist() == [0.2, 0.3]
    assert "sorted" in found.notes[0]


def test_backtesting_py_export_is_recognised_and_its_trades_add_up(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "Size,EntryBar,ExitBar,EntryPrice,ExitPrice,SL,TP,PnL,Commission,ReturnPct,EntryTime,ExitTime,Duration,Tag\n"
        "10,1,3,100,110,,,98,2,0.098,2020-01-06,2020-01-08,2 days,\n"
        "-5,4,5,100,90,,,49,1,0.098,2020-01-09,2020-01-10,1 days,\n"
    )
    found = read_foreign(path)
    assert found.kind == "backtesting"
    assert found.returns.tolist() == [0, 0, 0.098, 0, 0.098]  # Monday to Friday
    np.testing.assert_allclose(found.cost, [0, 0, 0.002, 0, 0.002])
    assert found.trades.win_rate == 1.0
    assert found.trades.average_holding == 1.5  # days


def test_real_backtesting_py_run_is_read(tmp_path):
    backtesting = pytest.importorskip("backtesting")
    from backtesting.lib import SignalStrategy
    from backtesting.test import GOOG

    class Alternate(SignalStrategy):
        def init(self):
            super().init()
            self.set_signal(entry_size=np.where(np.arange(len(self.data.Close)) % 40 == 0, 0.5, 0))

        def next(self):
            super().next()
            if len(self.data.Close) % 40 == 20:
                self.position.close()

    run = backtesting.Backtest(GOOG.iloc[:800], Alternate, cash=100_000, commission=0.001, finalize_trades=True).run()
    run._trades.to_csv(tmp_path / "trades.csv", index=False)
    run._equity_curve.to_csv(tmp_path / "equity.csv")
    trades = read_foreign(tmp_path / "trades.csv")
    assert trades.trades.trades == run["# Trades"]
    assert trades.trades.win_rate == pytest.approx(run["Win Rate [%]"] / 100)
    equity = judge_file(tmp_path / "equity.csv", trials=3)
    assert equity.performance.total_return == pytest.approx(run["Return [%]"] / 100)
    assert equity.performance.max_drawdown.depth == pytest.approx(-run["Max. Drawdown [%]"] / 100)


def test_vectorbt_export_with_fees(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text(
        "Exit Trade Id,Column,Size,Entry Timestamp,Avg Entry Price,Entry Fees,Exit Timestamp,Avg Exit Price,Exit Fees,"
        "PnL,Return,Direction,Status,Position Id\n"
        "0,a,2,2020-01-06,100,0.2,2020-01-07,105,0.2,9.6,0.048,Long,Closed,0\n"
        "1,b,2,2020-01-06,100,0.2,2020-01-08,95,0.2,-10.4,-0.052,Long,Open,1\n"
    )
    found = read_foreign(path)
    assert found.kind == "vectorbt"
    np.testing.assert_allclose(found.returns, [0, 0.024, -0.026])  # two open at once: half the stake each
    np.testing.assert_allclose(found.cost, [0, 0.001, 0.001])
    assert any("still open" in note for note in found.notes)


def test_freqtrade_json_and_csv_agree_and_weekends_count(tmp_path):
    trades = [
        {"pair": "BTC/USDT", "profit_ratio": 0.02, "open_date": "2024-01-05 00:00:00+00:00",
         "close_date": "2024-01-06 12:00:00+00:00", "fee_open": 0.001, "fee_close": 0.001},
        {"pair": "BTC/USDT", "profit_ratio": -0.01, "open_date": "2024-01-07 00:00:00+00:00",
         "close_date": "2024-01-08 00:00:00+00:00", "fee_open": 0.001, "fee_close": 0.001},
        {"pair": "ETH/USDT", "profit_ratio": 0.0, "open_date": "2024-01-08 00:00:00+00:00", "close_date": None,
         "fee_open": 0.001, "fee_close": 0.001},
    ]  # fmt: skip
    as_json = tmp_path / "b.json"
    as_json.write_text(json.dumps({"strategy": {"Mine": {"trades": trades}}}))
    as_csv = tmp_path / "b.csv"
    as_csv.write_text("\n".join([",".join(trades[0]), *(",".join(str(v) for v in trade.values()) for trade in trades)]))
    first, second = read_foreign(as_json), read_foreign(as_csv)
    assert first.kind == second.kind == "freqtrade"
    assert first.returns.tolist() == second.returns.tolist() == [0, 0.02, 0, -0.01]
    assert any("1 of 3 trades had not been closed" in note for note in first.notes)


def test_file_from_pandas_with_an_extra_index_is_read(tmp_path):
    (tmp_path / "r.csv").write_text(",date,return\n0,2020-01-01,0.1\n1,2020-01-02,0.2\n")
    assert read_foreign(tmp_path / "r.csv").returns.tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("text", "row", "column", "says"),
    [
        ("date,return\n2020-01-01,0.1\n2020-01-02,x\n", 2, "return", "expected a number"),
        ("date,return\n2020-01-01,\n2020-01-02,0.1\n", 1, "return", "expected a number"),
        ("date,return\n2020-01-01,nan\n", 1, "return", "expected a number"),
        ("date,return\n2020-01-01,0.1\n2020-01-01,0.2\n", 2, "date", "twice"),
        ("date,return\n01/31/2020,0.1\n", 1, "date", "expected a date"),
        ("date,return\n2020-01-01,0.1\n2020-01-02T00:00:00Z,0.1\n", 2, "date", "all with a zone"),
        ("date,return\n2020-01-01,-3.5\n", 1, "return", "0.01 for one percent"),
        ("date,equity\n2020-01-01,100\n2020-01-02,0\n", 2, "equity", "above 0"),
        ("date,return,cost\n2020-01-01,0.1,-0.2\n", 1, "cost", "0 or more"),
        ("date,return,benchmrk\n2020-01-01,0.1,0.1\n", None, "benchmrk", "Known forms"),
        ("when,gain\n2020-01-01,0.1\n", None, "when", "backtesting.py trades"),
        ("date,return\n2020-01-01\n", 1, None, "expected 2 values, received 1"),
        ("date,return\n2020-01-01,0.1\n", None, None, "at least two bars"),
        ("date,return\n", None, None, "expected rows"),
        ("date,date,return\n2020-01-01,2020-01-01,1\n", None, None, "each column once"),
        ("  \n", None, None, "empty file"),
        ('{"strategy": ', None, None, "cut or damaged"),
        ("{}", None, None, "freqtrade strategy"),
        ("ReturnPct,EntryTime,ExitTime\n0.1,2020-01-03,2020-01-02\n", 1, "ExitTime", "before it was opened"),
        ("ReturnPct,EntryTime,ExitTime\n0.1,2020-01-03,\n", None, "ExitTime", "closed trades"),
    ],
)
def test_bad_files_are_refused_with_place_and_sentence(tmp_path, text, row, column, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says) as error:
        judge_file(path, trials=1)
    assert (error.value.file, error.value.row, error.value.column) == (str(path), row, column)


def test_missing_binary_and_folder_are_refused(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    for path, says in ((tmp_path / "none.csv", "No such file"), (tmp_path / "b.csv", "UTF-8"), (tmp_path, "directory")):
        with pytest.raises(DataError, match=says):
            judge_file(path, trials=1)


def test_wrong_requests_say_what_is_known(tmp_path):
    path = write(tmp_path / "r.csv", "date,return", [["2020-01-02", "2020-01-03"], [0.1, 0.2]])
    with pytest.raises(ConfigError, match="at least one trial"):
        judge_file(path, trials=0)
    with pytest.raises(UnknownNameError, match="vectorbt"):
        judge_file(path, trials=1, kind="vectorbtt")
    with pytest.raises(DataError, match="the form 'equity'"):
        judge_file(path, trials=1, kind="equity")
    with pytest.raises(ConfigError, match="universe basis"):
        judge_file(path, trials=1, settings=JudgeSettings(universe_basis="mine"))
