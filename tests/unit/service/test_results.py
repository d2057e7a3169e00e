"""Tables and metrics of a finished job: valid by schema, and equal to what a second hand computes from the same run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.domain.schemas import TABLES
from foresail.features.catalogue import features_hash
from foresail.service import report_figures
from foresail.service.finished import Finished
from foresail.service.report_figures import figures
from foresail.service.results import metrics, tables
from foresail.service.runfolder import RunReader, RunWriter
from foresail.service.tables import build_table


@pytest.fixture(scope="module")
def built(finished: Finished) -> dict[str, pa.Table]:
    return {name: build_table(name, columns) for name, columns in tables(finished).items()}


@pytest.fixture(scope="module")
def document(finished: Finished) -> dict:
    return metrics(finished)


def rows_of(table: pa.Table, count: int = 60) -> list[dict]:
    chosen = np.random.default_rng(1).choice(table.num_rows, min(count, table.num_rows), replace=False)
    return table.take(np.sort(chosen)).to_pylist()


def adjusted(finished: Finished) -> np.ndarray:
    bars = finished.result.data.bars
    return np.log(bars.field("close") * bars.field("total_factor"))


def test_every_table_of_the_schema_is_there_and_valid(built: dict[str, pa.Table]) -> None:
    assert list(built) == list(TABLES)
    assert all(table.num_rows for table in built.values())


def test_decisions_name_the_input_row_of_their_forecast(finished: Finished, built: dict[str, pa.Table]) -> None:
    features, block = finished.result.prepared.features, finished.result.walk.block
    place = {int(at): int(p) for at, p in zip(block.issued_at, block.position, strict=True)}

    def own(row: dict, names: tuple[str, ...]) -> str:
        i = features.instruments.index(row["instrument"])
        columns = [features.index(name) for name in names]
        return features_hash(names, features.values[i, place[row["decided_at"]], columns])

    for row in rows_of(built["decisions"]):
        assert row["features_hash"] == own(row, features.fields)
    chosen = ("rsi_14", "log_return_5")
    folds = tuple(replace(one, selected=chosen) for one in finished.result.walk.folds)
    walk = replace(finished.result.walk, folds=folds)
    other = tables(replace(finished, result=replace(finished.result, walk=walk)))
    for row in rows_of(build_table("decisions", other["decisions"]), 10):
        assert row["features_hash"] == own(row, chosen)


def test_decisions_show_the_forecast_that_stood_behind_them(finished: Finished, built: dict[str, pa.Table]) -> None:
    block, book = finished.result.walk.block, finished.result.backtest
    assert built["decisions"].num_rows == len(book.signals)
    traded = {(o.order.decided_at, o.order.instrument) for o in book.orders if o.allowed > 0}
    assert sum(built["decisions"]["traded"].to_pylist()) == len(
        {(s.decided_at, s.instrument) for s in book.signals} & traded
    )
    for row in rows_of(built["decisions"]):
        i = block.instruments.index(row["instrument"])
        p = int(np.flatnonzero(block.issued_at == row["decided_at"])[0])
        h = block.horizons.index(row["horizon_bars"])
        for name, level in (("p10", 0.10), ("p50", 0.50), ("p90", 0.90)):
            expected = block.values[i, p, 0, h, block.levels.index(level)]
            assert row[name] == expected or (row[name] is None and math.isnan(expected))
        assert row["top"] == (row["confidence"] is not None and row["confidence"] >= 0.70)
        assert row["weight_target"] == book.weights.get((row["decided_at"], row["instrument"]))
        assert row["side"] == {"buy": "buy", "strong_buy": "buy", "hold": None}.get(row["kind"], "sell")


def test_a_signal_without_a_forecast_has_no_quantiles(finished: Finished) -> None:
    book = finished.result.backtest
    first, second, third = book.signals[:3]
    strange = (replace(first, horizon_bars=3), replace(second, horizon_bars=3), replace(third, decided_at=1))
    result = replace(finished.result, backtest=replace(book, signals=strange))
    table = build_table("decisions", tables(replace(finished, result=result))["decisions"])
    assert table["p50"].null_count == 3


def test_forecasts_hold_every_finite_row_with_what_came_true(finished: Finished, built: dict[str, pa.Table]) -> None:
    block, bars = finished.result.walk.block, finished.result.data.bars
    table = built["forecasts"]
    assert table.num_rows == int(np.isfinite(block.values).all(axis=-1).sum())
    assert set(table["target"].to_pylist()) == {"close", "high", "low"}
    log_close = adjusted(finished)
    for row in (r for r in rows_of(table, 200) if r["target"] == "close"):
        i = block.instruments.index(row["instrument"])
        p = int(np.flatnonzero(block.issued_at == row["issued_at"])[0])
        now, later = int(block.position[p]), int(block.position[p]) + row["horizon"]
        assert row["q50"] == block.values[i, p, 0, block.horizons.index(row["horizon"]), 3]
        assert row["model"] == block.model[p]
        if later >= len(bars.end):
            assert row["label_end"] is None
            assert row["realised"] is None
            continue
        assert row["label_end"] == int(bars.end[later])
        truth = log_close[i, later] - log_close[i, now]
        assert (row["realised"] is None and math.isnan(truth)) or row["realised"] == pytest.approx(truth, abs=1e-12)
    frame = table.to_pandas()
    position = dict(zip(block.issued_at.tolist(), block.position.tolist(), strict=True))
    later = frame.issued_at.map(position) + frame.horizon
    ends = [None if p >= len(bars.end) else int(bars.end[p]) for p in later]
    assert table["label_end"].to_pylist() == ends
    assert None in ends
    assert int(bars.end[-1]) in ends


def test_orders_carry_the_ruling_of_the_gate(finished: Finished, built: dict[str, pa.Table]) -> None:
    reviewed = {o.order.id: o for o in finished.result.backtest.orders}
    assert built["orders"].num_rows == len(reviewed)
    for row in rows_of(built["orders"]):
        told = reviewed[row["order_id"]]
        assert Decimal(row["allowed_exact"]) == told.allowed
        assert (row["ruling"] is None) == (not told.rulings)


def test_equity_begins_at_the_capital_and_keeps_nanoseconds(finished: Finished, built: dict[str, pa.Table]) -> None:
    table = built["equity"].to_pydict()
    bars, first = finished.result.data.bars, finished.comparison.first
    assert table["end"] == [int(e) for e in bars.end[first:]]
    assert {table[key][0] for key in ("net", "gross", "net_2x", "one_over_n", "index", "trend")} == {100_000.0}


def test_profits_of_trades_add_up_to_the_equity(finished: Finished, built: dict[str, pa.Table]) -> None:
    found = built["trades"].to_pylist()
    profit = sum((Decimal(row["net_profit_exact"]) for row in found), Decimal(0))
    assert float(profit) == pytest.approx(finished.comparison.net[-1] - 100_000.0, abs=0.01)
    for row in found:
        exact = [Decimal(row[f"{key}_exact"]) for key in ("gross_profit", "cost", "net_profit")]
        assert exact[0] - exact[1] == exact[2]


def test_folds_tell_the_coverage_of_their_own_block(finished: Finished, built: dict[str, pa.Table]) -> None:
    block, targets = finished.result.walk.block, finished.result.prepared.targets
    rows = built["folds"].to_pylist()
    assert len(rows) == len(finished.result.walk.folds) * len(block.targets) * len(block.horizons)
    for row in (r for r in rows if r["target"] == "high"):
        plan = finished.result.walk.folds[row["fold"]].fold
        inside = outside = 0
        for p, now in enumerate(block.position):
            if not plan.test_from <= now < plan.test_to:
                continue
            h = block.horizons.index(row["horizon"])
            for i in range(len(block.instruments)):
                truth, low, high = targets.values[i, now, 1, h], *block.values[i, p, 1, h, [1, 5]]
                if math.isfinite(truth) and math.isfinite(low):
                    inside += low <= truth <= high
                    outside += not low <= truth <= high
        assert row["test_rows"] == inside + outside
        assert row["coverage"] == pytest.approx(inside / (inside + outside), abs=1e-12)


def test_importance_and_quality_are_told_in_full(finished: Finished, built: dict[str, pa.Table]) -> None:
    shares = built["importance"].to_pylist()
    assert [r["place"] for r in shares if r["fold"] == 0] == list(
        range(1, len([r for r in shares if r["fold"] == 0]) + 1)
    )
    assert sum(r["share"] for r in shares if r["fold"] == 0) == pytest.approx(1.0)
    assert sorted(built["quality"]["kind"].to_pylist()) == ["blocked", "flag", "quarantined"]


def test_metrics_are_plain_json_without_nan(document: dict) -> None:
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert document["canaries"][0]["figures"] == {"mean": 0.001, "se": None}
    assert document["canaries"][1]["figures"] == {"ratio": None}


def test_metrics_hold_nothing_of_place_or_trials(finished: Finished, document: dict) -> None:
    moved = replace(finished, out=Path("/elsewhere/run"), title="x", command="y")
    assert metrics(moved) == document
    assert "honesty" not in document["verdict"]["figures"]


def test_metrics_are_the_same_when_computed_again(finished: Finished, document: dict) -> None:
    again = replace(finished)
    assert figures(again) is not figures(finished)
    assert canonical_bytes(metrics(again)) == canonical_bytes(document)


@pytest.mark.parametrize("key", ["net", "gross", "net_2x"])
def test_performance_follows_from_the_equity_table(built: dict[str, pa.Table], document: dict, key: str) -> None:
    equity = np.array(built["equity"][key].to_pylist())
    returns = equity[1:] / equity[:-1] - 1.0
    told = document[key]
    assert told["total_return"] == pytest.approx(equity[-1] / equity[0] - 1.0, abs=1e-12)
    assert told["annual_return"] == pytest.approx((equity[-1] / equity[0]) ** (252 / len(returns)) - 1.0, abs=1e-12)
    assert told["volatility"] == pytest.approx(np.std(returns, ddof=1) * math.sqrt(252), rel=1e-12)
    assert told["sharpe"] == pytest.approx(np.mean(returns) / np.std(returns, ddof=1) * math.sqrt(252), rel=1e-9)
    assert told["max_drawdown"] == pytest.approx(np.max(1.0 - equity / np.maximum.accumulate(equity)), rel=1e-9)
    assert told["sharpe_interval"][0] < told["sharpe"] < told["sharpe_interval"][1]


def test_trade_figures_follow_from_the_trades_table(built: dict[str, pa.Table], document: dict) -> None:
    closed = [row for row in built["trades"].to_pylist() if row["closed_at"] is not None]
    for key, factor in (("gross", 0), ("net", 1), ("net_2x", 2)):
        profits = np.array([row["gross_profit"] - factor * row["cost"] for row in closed])
        told = document[key]
        assert told["num_trades"] == len(closed)
        assert told["win_rate"] == pytest.approx((profits > 0).mean())
        assert told["profit_factor"] == pytest.approx(profits[profits > 0].sum() / -profits[profits < 0].sum())
        assert told["avg_hold_time"] == pytest.approx(np.mean([row["hold_bars"] for row in closed]))
    assert document["benchmarks"]["one_over_n"]["num_trades"] is None


def test_costs_are_what_lies_between_gross_and_net(
    finished: Finished, built: dict[str, pa.Table], document: dict
) -> None:
    curves, costs = finished.comparison, document["costs"]
    assert costs["total"] == pytest.approx(curves.gross[-1] - curves.net[-1], abs=0.01)
    assert costs["by_kind"]["fees"]["money"] == pytest.approx(sum(built["fills"]["fee"].to_pylist()), abs=0.01)
    traded = sum(r["quantity"] * r["price"] for r in built["fills"].to_pylist())
    years = (len(curves.net) - 1) / 252
    assert costs["turnover"] == pytest.approx(traded / 2 / years / curves.net.mean())


def test_forecast_accuracy_is_that_of_the_forecasts_table(built: dict[str, pa.Table], document: dict) -> None:
    frame = built["forecasts"].to_pandas()
    for told in (one for one in document["forecasts"] if one["target"] == "close"):
        rows = frame[(frame.target == "close") & (frame.horizon == told["horizon"]) & frame.realised.notna()]
        assert told["forecasts"] == len(rows)
        assert told["coverage"]["value"] == pytest.approx(
            ((rows.q10 <= rows.realised) & (rows.realised <= rows.q90)).mean()
        )
        assert told["coverage"]["low"] < told["coverage"]["value"] < told["coverage"]["high"]
        assert told["width"] == pytest.approx((rows.q90 - rows.q10).mean())
        losses = []
        for level in (2, 10, 25, 50, 75, 90, 98):
            error = rows.realised - rows[f"q{level:02d}"]
            losses.append(np.maximum(level / 100 * error, (level / 100 - 1) * error).mean())
        assert told["mean_quantile_loss"] == pytest.approx(np.mean(losses))
        assert told["mae"] == pytest.approx((rows.realised - rows.q50).abs().mean())
        assert told["no_change_mae"] == pytest.approx(rows.realised.abs().mean())
        signed = rows[(rows.q50 != 0) & (rows.realised != 0)]
        assert told["hit_rate"] == pytest.approx((np.sign(signed.q50) == np.sign(signed.realised)).mean())
        daily = [day.q50.rank().corr(day.realised.rank()) for _, day in rows.groupby("issued_at") if len(day) >= 10]
        assert told["rank_ic"]["value"] == pytest.approx(np.mean(daily))
        assert told["rank_ic_standard_error"] == pytest.approx(np.std(daily, ddof=1) / math.sqrt(len(daily)))


def test_baselines_stand_on_the_same_rows(finished: Finished, document: dict) -> None:
    assert {one["forecaster"] for one in document["baselines"]} == {
        "calendar", "no_change", "drift", "last_direction", "ewma_volatility", "har_volatility",
    }  # fmt: skip
    block = finished.result.walk.block
    fewer = block.values.copy()
    fewer[:5, ::3] = np.nan
    walk = replace(finished.result.walk, block=replace(block, values=fewer))
    told = figures(replace(finished, result=replace(finished.result, walk=walk)))
    model = {one.horizon: one.forecasts for one in told.scores if one.target == "close"}
    assert model[5] < next(one["forecasts"] for one in document["forecasts"] if one["horizon"] == 5)
    assert all(one.score.forecasts == model[one.score.horizon] for one in told.baselines)


def test_ended_listings_are_repeated_30_percent_lower(finished: Finished) -> None:
    book, bars = finished.result.backtest, finished.result.data.bars
    haircut = book.net.copy()
    haircut[700:] -= 0.3 * 5_000.0
    changed = replace(book, ended=((bars.instruments[3], 700, 5_000.0),), net_haircut=haircut)
    ended = metrics(replace(finished, result=replace(finished.result, backtest=changed)))["ended_listings"]
    listing = {"instrument": bars.instruments[3], "end": int(bars.end[700]), "value": 5_000.0}
    assert (ended["count"], ended["listings"]) == (1, [listing])
    difference = ended["total_return"] - ended["total_return_30_percent_below_last_print"]
    assert difference == pytest.approx(0.3 * 5_000.0 / 100_000.0)


def test_the_confidence_filter_tells_what_its_signals_earned(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_figures, "TOP_CONFIDENCE", 0.54)
    told = figures(replace(finished)).confident
    bars, log_close = finished.result.data.bars, adjusted(finished)
    earned, right = [], []
    passed = [s for s in finished.result.backtest.signals if s.confidence >= 0.54]
    for s in passed:
        i = bars.instruments.index(s.instrument)
        now = int(np.flatnonzero(bars.available_at == s.decided_at)[0])
        if now + s.horizon_bars >= len(bars.end):
            continue
        move = log_close[i, now + s.horizon_bars] - log_close[i, now]
        if math.isfinite(move):
            sign = math.copysign(1.0, s.expected_return)
            earned.append(sign * math.expm1(move) - s.cost)
            right.append(sign * move > 0)
    assert (told.passed, told.resolved) == (len(passed), len(earned))
    assert told.resolved > 30
    assert told.earned.value == pytest.approx(np.mean(earned))
    assert told.earned.low < told.earned.value < told.earned.high
    assert told.hit_rate == pytest.approx(np.mean(right))


@pytest.mark.parametrize(
    ("planted", "evidence", "panels", "passed"),
    [
        (0.0, 0, 4, True),
        (0.0, 1, 10, True),
        (0.0, 3, 10, False),
        (0.1, 4, 4, True),
        (0.1, 2, 4, True),
        (0.1, 0, 4, False),
    ],
)
def test_self_calibration_fails_only_where_luck_cannot_explain_it(
    finished: Finished, planted: float, evidence: int, panels: int, passed: bool
) -> None:
    class Said:
        information_coefficient = planted

        def __init__(self, is_evidence: bool) -> None:
            self.is_evidence = is_evidence

    (row,) = report_figures._self_calibration([Said(i < evidence) for i in range(panels)])  # type: ignore[misc]
    assert (row.evidence, row.panels, row.passed) == (evidence, panels, passed)


def test_a_run_folder_takes_it_all(finished: Finished, document: dict, tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", force=False) as writer:
        writer.write_json("run.json", finished.record)
        writer.write_json("metrics.json", document)
        for name, columns in tables(finished).items():
            writer.write_table(name, columns)
        writer.finish()
    run = RunReader(tmp_path / "run")
    assert run.json("metrics.json") == document
    assert run.table("equity").num_rows == len(finished.comparison.net)
