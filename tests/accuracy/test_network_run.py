"""A network through the whole main job on real prices: run, report with its inside, and the same bytes again."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from foresail.service.run import RunRequest, run_job
from foresail.service.verify import verify_run

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
PRICES = DATA / "us_stocks_daily_2015_2025" / "dividend_payers_daily.parquet"
SETTINGS = """
version = 1
[run]
horizons = [5]
decision_horizon = 5
features = ["log_return_1", "log_return_5", "log_return_20", "volatility_20", "rsi_14", "volume_ratio_20"]
[walk_forward]
refit = "504 sessions"
[forecaster]
width = 8
heads = 2
epochs = 2
context_length = 20
threads = 1
"""


@pytest.mark.accuracy
@pytest.mark.data
@pytest.mark.skipif(not PRICES.is_file(), reason="the US daily prices are not there (FORESAIL_DATA)")
def test_a_transformer_runs_reports_and_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "quick.toml"
    config.write_text(SETTINGS, encoding="utf-8")
    request = RunRequest(bars=str(PRICES), out=tmp_path / "run", config=config, names=20, forecaster="tft")
    told = run_job(request, progress=lambda *_: None)
    assert told.document["verdict"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="inside">.*?</section>', page, flags=re.DOTALL)
    assert section is not None
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section.group()))
    for part in ("not proof of cause", "Selection weights over time", "Attention over the past", "Similar day of"):
        assert part in text
    print(text[:2000])  # noqa: T201 the table of this file
    repeated = verify_run(tmp_path / "run", progress=lambda *_: None)
    assert repeated.document["equal"], repeated.lines
