"""A small simulated market and what the main job makes of it, for the tests of engine and evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.engine.pipeline import PipelineResult, run_pipeline
from foresail.engine.settings import MarketData, PipelineSettings, WalkForwardSettings
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings


@pytest.fixture(scope="session")
def small_settings() -> PipelineSettings:
    """Ridge on six features, three folds."""
    return PipelineSettings(
        horizons=(5,),
        targets=("close",),
        forecaster="ridge",
        features=("log_return_1", "log_return_5", "log_return_20", "rsi_14", "volatility_20", "price_to_sma_20"),
        walk_forward=WalkForwardSettings(train_bars=300, minimum_train_bars=250, refit_bars=150),
    )


@pytest.fixture(scope="session")
def small_market() -> MarketData:
    """12 names, 600 bars, with an edge, and an index that is known from the start."""
    data = simulated_market_data(SimulationSettings(instruments=12, bars=600, information_coefficient=0.15), 3)
    return replace(data, reference={"index": (data.bars.available_at, np.linspace(100.0, 150.0, 600))})


@pytest.fixture(scope="session")
def small_result(small_market: MarketData, small_settings: PipelineSettings) -> PipelineResult:
    """The main job on it."""
    return run_pipeline(small_market, small_settings)
