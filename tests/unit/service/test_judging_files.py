"""``judge`` on files: kinds told apart, pages written, refusals."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import foresail
from foresail.core.errors import UserError
from foresail.domain.model_card import MODEL_CARD_VERSION
from foresail.service.finished import Finished
from foresail.service.judging import JudgeRequest, judge_any
from foresail.service.report_model import model_document
from foresail.service.report_overfitting import run_overfitting

DAYS = pd.bdate_range("2019-01-02", periods=400)


@pytest.fixture
def forecasts(tmp_path):
    random = np.random.default_rng(1)
    y = random.normal(0, 0.02, 800)
    frame = pd.DataFrame(
        {"instrument": np.repeat(["<A>", "B"], 400), "issued_at": np.tile(DAYS, 2), "horizon": 1, "outcome": y}
    )
    frame["q10"], frame["q50"], frame["q90"] = -0.0256, 0.3 * y, 0.0256
    frame.to_csv(tmp_path / "f.csv", index=False)
    return tmp_path / "f.csv"


@pytest.fixture
def returns(tmp_path):
    random = np.random.default_rng(2)
    table = {f"return_{i}": random.normal(0, 0.01, 400) for i in range(11)}
    pd.DataFrame({"date": DAYS.date, **table}).to_csv(tmp_path / "r.csv", index=False)
    return tmp_path / "r.csv"


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_forecasts_are_recognised_and_written(forecasts, tmp_path):
    outcome = judge_any(JudgeRequest(forecasts, out=tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert outcome.document["kind"] == "quantiles"
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["word"] == outcome.document["word"]
    assert "&lt;A&gt;" in page
    assert "http" not in page
    text = words(page)
    for wanted in ("Paired tests", "Could have seen", "Ranges", "By year", "Named shocks", "DM p"):
        assert wanted in text
    assert not re.search(r"\b(nan|None|inf)\b", text)
    with pytest.raises(UserError, match="holds a report"):
        judge_any(JudgeRequest(forecasts, out=tmp_path / "out"))
    judge_any(JudgeRequest(forecasts, out=tmp_path / "out", force=True))


def test_results_need_trials_and_write_a_page(returns, tmp_path):
    with pytest.raises(UserError, match="number of variants"):
        judge_any(JudgeRequest(returns))
    judge_any(JudgeRequest(returns, trials=3, out=tmp_path / "out"))
    text = words((tmp_path / "out" / "report.html").read_text())
    for wanted in ("Variants", "overfitting (PBO)", "By regime", "largest drawdown", "Smallest detectable"):
        assert wanted in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_a_folder_with_something_else_is_left_alone(forecasts, tmp_path):
    with pytest.raises(UserError, match="no judgement writes"):
        judge_any(JudgeRequest(forecasts, out=tmp_path, force=True))


def test_the_python_face(forecasts, returns):
    told = foresail.judge_forecasts(pd.read_csv(forecasts))
    assert told.verdict in ("better", "mixed")
    assert told.metrics["file_hash"] == ""
    assert foresail.judge_returns(returns, trials=20).metrics["trials"] == 20


def test_the_model_card_is_a_document(finished: Finished):
    card = model_document(finished)
    assert (card["format"], card["version"]) == ("foresail-model-card", MODEL_CARD_VERSION)
    assert len(card["splits"]) == len(finished.result.walk.folds)
    assert len(card["features"]["sha256"]) == 64
    assert card["acceptance"]["accepted"] is all(c["passed"] for c in card["acceptance"]["checks"])
    assert card["training"][0].startswith("Training curves")
    assert card["trials"] == 1
    json.dumps(card, allow_nan=False)
    assert run_overfitting(finished) == (None, "not defined: 1 trial, 10 are needed")
