"""One small finished job on a simulated market, for the tests of what a run folder and a report hold."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.service import trained_ridge

from foresail.core.arrays import FloatArray, TimeArray
from foresail.domain.quality import QualityFlag, QualityReport, QuarantinedRow
from foresail.domain.runs import CanaryResult
from foresail.engine.pipeline import run_pipeline
from foresail.engine.settings import MarketData, PipelineSettings, WalkForwardSettings
from foresail.engine.walkforward import RunOptions
from foresail.evaluation.assess import assess, compare
from foresail.evaluation.honesty import collect
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.self_calibration import PanelOutcome
from foresail.evaluation.simulated_market import SimulationSettings, simulate, simulated_bar_set
from foresail.measures.returns import simple_returns
from foresail.service.finished import Finished
from foresail.service.loading import Loaded
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table

SETTINGS = PipelineSettings(
    forecaster="ridge",
    features=("log_return_1", "log_return_5", "log_return_20", "rsi_14", "volatility_20"),
    walk_forward=WalkForwardSettings(train_bars=600, minimum_train_bars=400, refit_bars=200),
)
CANARIES = (
    CanaryResult("Shuffled labels", passed=True, text="nothing was found", figures={"mean": 0.001, "se": float("nan")}),
    CanaryResult("Price scale", passed=True, text="nothing changed", figures={"ratio": float("inf")}),
)


def market() -> MarketData:
    """20 names, 901 bars, VIX for 700 of them and an index."""
    bars = simulate(SimulationSettings(instruments=20, bars=901, information_coefficient=0.1), 3)
    levels = 100.0 * np.exp(np.cumsum(np.sin(np.arange(901)) * 0.01))
    reference: dict[str, tuple[TimeArray, FloatArray]] = {
        "vix": (bars.end[:700], 18.0 + 6.0 * np.sin(np.arange(700) / 40.0)),
        "sp500": (bars.end, levels),
    }
    never = np.full(bars.shape[0], bars.shape[1], dtype=np.int64)
    return MarketData(bars=bars, bar_set=simulated_bar_set(bars), reference=reference, blocked_from=never)


@pytest.fixture(scope="session")
def finished() -> Finished:
    """Run the real pipeline and judge it."""
    data = market()
    result = run_pipeline(data, SETTINGS, options=RunOptions(explained=True))
    comparison = compare(result, index="sp500")
    trials = TrialCount(n=1)
    verdict = assess(result, comparison, trials=trials, canaries=CANARIES)
    first = data.bars.instruments[0]
    quality = QualityReport(
        received=18_001,
        accepted=18_000,
        expected=18_000,
        quarantined=(QuarantinedRow("bars.csv", 4, "close", "DATA-52", "not positive", "a,-1"),),
        flags=(QualityFlag(first, int(data.bars.end[3]), "DATA-55", "jump of 31 %"),),
        blocked=((first, int(data.bars.end[880])),),
    )
    inputs = {"bars": "simulated", "content": "ab" * 32, "until": None, "names": None}
    return Finished(
        title="Simulated <market>",
        out=Path("runs/small"),
        loaded=Loaded(data, quality, inputs, "sp500", ("A note on reading.",)),
        result=result,
        comparison=comparison,
        canaries=CANARIES,
        trials=trials,
        honesty=collect(
            simple_returns(comparison.net) - simple_returns(comparison.one_over_n),
            bars_per_year=result.backtest.bars_per_year,
            trials=trials,
        ),
        verdict=verdict,
        record={
            "command": "run",
            "inputs": inputs,
            "code": "cd" * 32,
            "settings": {"seed": 7},
            "seed": 7,
            "plugins": [],
        },
        command="foresail run --bars simulated",
        panels=tuple(PanelOutcome(c, s, verdict) for c in (0.0, 0.1) for s in range(3)),
    )


@pytest.fixture
def same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of the sources is that of one moment, whoever edits them while the tests run."""
    monkeypatch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A workspace with bars and one model; nobody changes it."""
    place, panel = tmp_path_factory.mktemp("trained"), trained_ridge.PANEL
    (place / "foresail.toml").write_text("version = 1\n")
    EmbeddedStore(place / "store").append(
        bar_table(panel), bar_set(panel, name="mine"), recorded_at=datetime(2023, 1, 1, tzinfo=UTC)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("foresail.service.training_job.code_hash", lambda: "c" * 64)
        return place, trained_ridge.train()


@pytest.fixture
def workspace(trained: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the present folder."""
    shutil.copytree(trained[0], tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"
