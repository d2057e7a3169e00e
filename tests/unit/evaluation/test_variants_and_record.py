"""Variants side by side, what costs are said to be, the figures of a record, acceptance."""

import json

import numpy as np
import pandas as pd
import pytest

from foresail.core.errors import ConfigError, DataError
from foresail.domain.runs import Interval, Verdict, VerdictWord
from foresail.evaluation.acceptance import judge_acceptance
from foresail.evaluation.judge import JudgeSettings, judge_file
from foresail.evaluation.paired import compare_losses
from foresail.evaluation.record import trade_view
from foresail.evaluation.variants import judge_variants, overfitting_of
from foresail.measures.performance import trade_statistics

DAYS = pd.bdate_range("2012-01-02", periods=1200)


def write(path, columns):
    pd.DataFrame({"date": DAYS.date, **columns}).to_csv(path, index=False)
    return path


def noise(count, *, seed=1, edge=0.0):
    random = np.random.default_rng(seed)
    table = random.normal(0, 0.01, (count, len(DAYS)))
    table[0] += edge
    return {f"return_v{i}": row for i, row in enumerate(table)}


def test_variants_are_counted_and_give_pbo(tmp_path):
    found = judge_file(write(tmp_path / "v.csv", noise(12)), trials=1)
    assert (found.kind, found.trials) == ("variants", 12)
    assert found.verdict.word is not VerdictWord.EVIDENCE
    assert 0.2 < found.variants.overfitting <= 1.0
    assert not any(row.beats_comparator for row in found.variants.rows)
    sharpes = [row.sharpe.value for row in found.variants.rows]
    assert sharpes == sorted(sharpes, reverse=True)
    assert any("highest Sharpe ratio" in note for note in found.notes)
    json.dumps(found.to_json(), allow_nan=False)
    good = judge_file(write(tmp_path / "g.csv", noise(12, edge=0.002)), trials=1)
    assert good.variants.overfitting < 0.05
    assert [row.name for row in good.variants.rows if row.beats_comparator] == ["return_v0"]


def test_fewer_than_ten_variants_say_why_there_is_no_pbo(tmp_path):
    found = judge_file(write(tmp_path / "v.csv", noise(4)), trials=9)
    assert (found.variants.overfitting, found.trials) == (None, 9)
    assert "10 are needed" in found.variants.overfitting_text
    assert overfitting_of([np.zeros(30)] * 10)[0] is None
    with pytest.raises(DataError):
        judge_variants([("a", np.zeros(30))], np.zeros(30), bars_per_year=252, seed=0)


def test_any_names_when_variants_are_asked_for(tmp_path):
    columns = {name.removeprefix("return_"): values for name, values in noise(3).items()}
    assert judge_file(write(tmp_path / "v.csv", columns), trials=1, kind="variants").trials == 3


def test_the_text_follows_what_costs_are_said_to_be(tmp_path):
    returns = {"return": noise(1)["return_v0"]}
    path = write(tmp_path / "r.csv", returns)
    for costs, says in (("included", "After costs"), ("none", "Before costs"), ("unknown", "As given")):
        reasons = " ".join(judge_file(path, trials=1, settings=JudgeSettings(costs=costs)).verdict.reasons)
        assert says in reasons
        assert costs == "included" or "After costs" not in reasons
    with pytest.raises(ConfigError, match="expected costs of"):
        judge_file(path, trials=1, settings=JudgeSettings(costs="some"))


def test_costs_that_are_not_deducted_yet_are_deducted(tmp_path):
    path = write(tmp_path / "r.csv", {"return": noise(1)["return_v0"], "cost": np.full(len(DAYS), 0.001)})
    before, after = (judge_file(path, trials=1, settings=JudgeSettings(costs=c)) for c in ("none", "included"))
    np.testing.assert_allclose(after.returns - before.returns, 0.001)
    assert "After costs" in " ".join(before.verdict.reasons)


def test_a_record_has_intervals_years_and_regimes(tmp_path):
    found = judge_file(write(tmp_path / "r.csv", {"return": noise(1)["return_v0"]}), trials=1).record
    assert found.drawdown.low < found.drawdown.high
    assert found.sharpe.low < found.sharpe.value < found.sharpe.high
    assert [p.label for p in found.by_year][:2] == ["2012", "2013"]
    assert sum(p.bars for p in found.by_year) == len(DAYS)
    assert sum(p.bars for p in found.by_regime) == len(DAYS) - 250
    assert found.detectable_sharpe == pytest.approx(1.16, abs=0.03)


def test_win_rate_without_skill_is_that_of_the_barriers():
    trades = trade_statistics(np.array([0.01, 0.01, 0.01, -0.03]))
    assert trade_view(trades).no_skill_win_rate == pytest.approx(0.75)
    assert trade_view(trades, stop=0.02, target=0.02).no_skill_win_rate == pytest.approx(0.5)


def test_acceptance_names_each_failure():
    day = np.arange(200)
    spread = np.sin(day) * 0.01
    good = compare_losses(np.full(200, 0.5), 1.0 + spread, day, name="drift", horizon=1)
    unclear = compare_losses(1.0 + spread, np.ones(200), day, name="no change", horizon=1)
    targets = [{"name": "sharpe_ratio", "target": "> 1.5", "value": 2.0, "met": True}]
    verdict = Verdict(VerdictWord.EVIDENCE, (), {"targets_shown": targets})
    passed = judge_acceptance({"validation": [good], "test": [good]}, {"test": 0.02}, verdict)
    assert passed.accepted
    assert len(passed.checks) == 5
    failed = judge_acceptance({"validation": [good], "test": [good, unclear]}, {"test": 0.06}, verdict)
    assert [c.name for c in failed.checks if not c.passed] == ["baselines, test", "calibration, test"]
    assert "no change (1 ahead): cannot tell" in failed.checks[1].text
    nothing = judge_acceptance({"test": []}, {"test": float("nan")}, Verdict(VerdictWord.NO_EVIDENCE, ()))
    assert not any(check.passed for check in nothing.checks)
    assert Interval(0, 0, 0).value == 0
