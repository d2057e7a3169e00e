"""How the names were chosen and what the prices are stand on every surface of every report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.domain.instruments import PriceBasis
from foresail.domain.universe import UniverseBasis
from foresail.evaluation.forecast_judge import ForecastJudgeSettings
from foresail.evaluation.judge import JudgeSettings
from foresail.reporting.html import render_report
from foresail.reporting.summary import text_summary
from foresail.service.judging import judge_forecasts, judge_results

PRICES = [basis.value for basis in PriceBasis]


@pytest.mark.parametrize("names", list(UniverseBasis))
def test_a_run_says_both_on_its_page_and_on_the_last_screen(report, names: UniverseBasis) -> None:
    for prices in PRICES:
        told = replace(report, subject=replace(report.subject, universe_basis=names.value, price_basis=prices))
        page, screen = render_report(told), "\n".join(text_summary(told))
        for text in (page, screen):
            assert names.text in text
            assert prices.replace("_", " ") in text
        assert "Names chosen" in page
        assert "Names chosen:" in screen


@pytest.mark.parametrize("names", list(UniverseBasis))
def test_a_judgement_of_returns_says_both(tmp_path: Path, names: UniverseBasis) -> None:
    days = pd.bdate_range("2015-01-02", periods=400)
    frame = pd.DataFrame({"date": days, "return": np.random.default_rng(3).normal(0.0005, 0.01, 400)})
    file = tmp_path / "returns.csv"
    frame.to_csv(file, index=False)
    settings = JudgeSettings(universe_basis=names.value, price_basis="total_return")
    outcome = judge_results(file, trials=3, settings=settings, out=tmp_path / "out")
    assert (outcome.document["universe_basis"], outcome.document["price_basis"]) == (names.value, "total_return")
    for text in ((tmp_path / "out" / "report.html").read_text(), "\n".join(outcome.lines)):
        assert names.text in text
        assert "total return" in text


@pytest.mark.parametrize("names", list(UniverseBasis))
def test_a_judgement_of_forecasts_says_both(tmp_path: Path, names: UniverseBasis) -> None:
    rng, days = np.random.default_rng(4), pd.bdate_range("2015-01-02", periods=300)
    outcome = rng.normal(0, 0.01, 300)
    frame = pd.DataFrame(
        {"issued_at": days, "instrument": "A", "horizon": 1, "forecast": rng.normal(0, 0.01, 300), "outcome": outcome}
    )
    settings = ForecastJudgeSettings(universe_basis=names.value, price_basis="raw")
    told = judge_forecasts(frame, settings=settings, out=tmp_path / "out")
    assert (told.document["universe_basis"], told.document["price_basis"]) == (names.value, "raw")
    page = (tmp_path / "out" / "report.html").read_text()
    assert names.text in page
    assert "raw" in page
    assert "names" in "\n".join(told.lines)
