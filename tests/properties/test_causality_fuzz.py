"""Causality of everything that is registered: what comes after a time changes nothing up to it, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.arrays import FloatArray
from foresail.core.errors import LookAheadError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec
from foresail.engine.settings import PipelineSettings, WalkForwardSettings
from foresail.evaluation.canaries import perturbed_future
from foresail.evaluation.fuzz_causality import fuzz_forecaster, fuzz_panel_function, require_causal
from foresail.evaluation.self_calibration import simulated_market_data
from foresail.evaluation.simulated_market import SimulationSettings, simulate
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, resolve
from foresail.features.context import FeatureContext
from foresail.forecasting.registry import FORECASTERS, forecaster
from foresail.service.plugins import compute_feature, load_plugin, to_strategy
from foresail.testing.contracts import check_causality
from foresail.testing.planted import PlantedSettings, planted_market

EXAMPLES = Path(__file__).parents[2] / "examples"
REFERENCES = tuple(sorted({i[10:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("reference:")}))
GIVENS = tuple(sorted({i[6:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("given:")}))


@cache
def market() -> Panel:
    return simulate(SimulationSettings(instruments=6, bars=420, sectors=2), 3)


@cache
def known() -> tuple[str, ...]:
    return tuple(spec.name for spec in resolve(list(CATALOGUE), market(), REFERENCES, GIVENS)[0])


def every_feature(panel: Panel) -> FloatArray:
    """Return all features; what comes from outside is made of the ends of the bars, so it is cut with them."""
    wave = np.stack([np.sin(panel.end / (k + 1) / 1e16) + 2.0 for k in range(len(REFERENCES))])
    context = FeatureContext.of(panel, sectors=[str(i % 2) for i in range(panel.shape[0])])
    own = np.arange(panel.shape[0])[:, None, None] + np.arange(len(GIVENS))[None, None, :]
    given_numbers = np.sin(panel.end[None, :, None] / 1e16 + own) + 2.0
    context = replace(context, reference_names=REFERENCES, reference=wave, given_names=GIVENS, given=given_numbers)
    return compute(panel, list(known()), context).values


@settings(max_examples=4, deadline=None)
@given(position=st.integers(0, 417), seed=st.integers(0, 5))
def test_no_feature_of_the_catalogue_sees_the_future(position: int, seed: int) -> None:
    found = fuzz_panel_function(every_feature, market(), seed=seed, positions=[position])
    assert not found, f"{known()[found[0].index[1]]}: {found[0]}"


def test_nearly_the_whole_catalogue_is_fuzzed() -> None:
    assert len(known()) > 0.7 * len(CATALOGUE)
    assert np.isfinite(every_feature(market())[:, -1]).any(axis=0).mean() > 0.7


@pytest.mark.parametrize("name", sorted(FORECASTERS))
def test_no_forecaster_sees_the_future(name: str) -> None:
    made = planted_market(PlantedSettings(names=10, bars=320, noise=3, skill=0.3), seed=3)
    shape = (made.features.fields, made.targets.names, made.targets.horizons, QUANTILE_LEVELS)
    found = fuzz_forecaster(
        lambda: forecaster(name, ForecasterSpec(name, "1", *shape)), made.training_set(270), 270, seed=1
    )
    assert not found, str(found[0])


@pytest.mark.parametrize("name", [None, "forecast_strategy", "momentum_weights", "leaky"])
def test_no_strategy_sees_the_future_in_a_run(name: str | None) -> None:
    """Not even a leaky one: a run shows it the past only."""
    strategy = None if name is None else to_strategy(load_plugin(EXAMPLES / f"{name}.py"), frame="1d")
    small = PipelineSettings(
        horizons=(5,),
        targets=("close",),
        forecaster="ridge",
        features=("log_return_1", "log_return_5", "rsi_14"),
        walk_forward=WalkForwardSettings(train_bars=260, minimum_train_bars=250, refit_bars=80),
    )
    found = perturbed_future(
        simulated_market_data(SimulationSettings(instruments=6, bars=400), 2), small, strategy=strategy
    )
    assert found.passed, found.text


def test_the_fuzz_sees_what_it_must(tmp_path: Path) -> None:
    def peeking(panel: Panel) -> FloatArray:
        close = panel.field("close")
        return np.asarray(np.concatenate([close[:, 1:], close[:, -1:]], axis=1))

    found = fuzz_panel_function(peeking, market(), seed=1)
    assert {one.what for one in found} == {"changed future", "cut history"}
    with pytest.raises(LookAheadError, match="peeking: changed future"):
        require_causal(found, "peeking")
    with pytest.raises(AssertionError, match="depends on later bars"):
        check_causality(peeking, market())
    path = tmp_path / "feature.py"
    path.write_text('api = 1\nid = "me/late@1"\n\n\ndef feature(bars):\n    return bars["close"].shift(1)\n')
    plugin = load_plugin(path)
    require_causal(fuzz_panel_function(lambda p: compute_feature(plugin, p), market(), seed=1), "late")


class _Peeking:
    """A forecaster that scales by all rows it is given."""

    def fit(self, data, *, seed):
        self.level = float(np.nanstd(data.features.values))

    def predict(self, features, rows, scale):
        return np.full((len(rows), 1, 1, 1), self.level) * np.nanmean(features.values)


def test_the_fuzz_sees_a_forecaster_that_peeks() -> None:
    made = planted_market(PlantedSettings(names=6, bars=300, noise=2), seed=3)
    found = fuzz_forecaster(_Peeking, made.training_set(250), 250, seed=1)
    assert {one.what for one in found} == {"fit", "forecast"}
