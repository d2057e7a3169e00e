"""What a run may not notice: the unit of a name's prices, and a bar that another name lacks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.domain.bars import BarSet
from foresail.domain.instruments import PriceBasis
from foresail.domain.panel import Panel
from foresail.domain.signals import SignalKind
from foresail.engine.pipeline import PipelineResult, run_pipeline
from foresail.engine.settings import MarketData, PipelineSettings, WalkForwardSettings
from foresail.evaluation.simulated_market import SimulationSettings, simulate
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.store.gate import check
from foresail.store.panels import to_panel
from foresail.testing.builders import bar_set, bar_table

LANE = [
    name
    for name, spec in CATALOGUE.items()
    if spec.scope == "lane" and not any(one.startswith("given:") for one in spec.inputs)
]
MONEY = ("open", "high", "low", "close", "dividend", "spread")
# Capital so large that whole shares are no matter: with little of it a dear name cannot be bought at all.
SETTINGS = PipelineSettings(
    forecaster="ridge",
    capital=Decimal(1_000_000_000),
    walk_forward=WalkForwardSettings(train_bars=400, minimum_train_bars=250, refit_bars=125),
)


@cache
def market() -> Panel:
    """12 names with an edge; half of them pay four times a year, which the forward factor reinvests."""
    simulation = SimulationSettings(instruments=12, bars=560, sectors=3, information_coefficient=0.1)
    panel = simulate(simulation, 5)
    values = panel.values.copy()
    close, dividend = values[:, :, panel.index("close")], values[:, :, panel.index("dividend")]
    for row in range(0, 12, 2):
        for now in range(30 + row, 560, 63):
            if panel.present[row, now] and np.isfinite(close[row, now - 1]):
                dividend[row, now] = round(0.006 * close[row, now - 1], 2)
                share = dividend[row, now] / close[row, now - 1]
                values[row, now:, panel.index("total_factor")] /= 1.0 - share
    return replace(panel, values=values)


def run(panel: Panel, basis: PriceBasis) -> PipelineResult:
    described = replace(bar_set(panel), price_basis=basis)
    never = np.full(panel.shape[0], panel.shape[1], dtype=np.int64)
    return run_pipeline(MarketData(panel, described, {}, never), SETTINGS)


@cache
def unscaled(basis: PriceBasis) -> PipelineResult:
    return run(market(), basis)


def scaled(panel: Panel, row: int, factor: float) -> Panel:
    """Return the market with one name's prices and dividends in another unit."""
    values = panel.values.copy()
    for name in MONEY:
        values[row, :, panel.index(name)] *= factor
    return replace(panel, values=values)


def sides(result: PipelineResult) -> list[tuple[int, str, int, SignalKind]]:
    return [(s.decided_at, s.instrument, s.rank, s.kind) for s in result.backtest.signals]


@pytest.mark.parametrize("basis", [PriceBasis.SPLIT_ADJUSTED, PriceBasis.RAW])
@pytest.mark.parametrize(("row", "factor"), [(0, 4.0), (0, 3.7), (7, 3.7), (4, 1 / 3.7)])
def test_the_unit_of_a_price_changes_no_rank_side_or_forecast(basis: PriceBasis, row: int, factor: float) -> None:
    one, two = unscaled(basis), run(scaled(market(), row, factor), basis)
    assert any(kind is SignalKind.BUY for *_, kind in sides(one))
    assert len(one.backtest.fills) > 20
    np.testing.assert_allclose(two.walk.block.values, one.walk.block.values, rtol=0.0, atol=1e-6, equal_nan=True)
    assert sides(two) == sides(one)
    if factor == 4.0:  # a power of two leaves every bit of a ratio as it was
        assert two.walk.block.values.tobytes() == one.walk.block.values.tobytes()


def gated(panel: Panel, described: BarSet) -> Panel:
    clean, _ = check(bar_table(panel), described)
    return to_panel(clean, described)


def lane_features(panel: Panel) -> Panel:
    sectors = [name.split(".")[1] for name in panel.instruments]
    return compute(panel, LANE, FeatureContext.of(panel, sectors=sectors))


@cache
def complete() -> tuple[Panel, Panel]:
    panel = gated(market(), bar_set(market()))
    return panel, lane_features(panel)


@settings(max_examples=12, deadline=None)
@given(row=st.integers(0, 11), at=st.integers(0, 559))
def test_a_missing_bar_of_one_name_leaves_all_others_bit_equal(row: int, at: int) -> None:
    whole, features = complete()
    present = market().present.copy()
    at = int(np.flatnonzero(present[row])[at % present[row].sum()])
    present[row, at] = False
    part = gated(replace(market(), present=present), bar_set(market()))
    without = lane_features(part)
    others = [i for i in range(12) if i != row]
    assert part.instruments == whole.instruments
    assert part.end.tolist() == whole.end.tolist()
    assert int(whole.present.sum() - part.present.sum()) == 1
    assert part.values[others].tobytes() == whole.values[others].tobytes()
    assert without.fields == tuple(LANE)
    assert np.isfinite(features.values[others]).mean() > 0.5
    assert without.values[others].tobytes() == features.values[others].tobytes()
