"""Looking into networks: contributions add up, weights are shares, similar days lie in the past."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from foresail.core.errors import ConfigError, ModelError, NotFittedError  # noqa: E402 behind the check for the extra
from foresail.domain.forecast import QUANTILE_LEVELS  # noqa: E402
from foresail.domain.training import ForecasterSpec  # noqa: E402
from foresail.forecasting.curve import mean_weights  # noqa: E402
from foresail.forecasting.neural.explaining import integrated_gradients, read_by_head  # noqa: E402
from foresail.forecasting.neural.forecaster import NetworkForecaster  # noqa: E402
from foresail.forecasting.neural.recurrent_forecaster import GruForecaster, RecurrentNetworkSettings  # noqa: E402
from foresail.forecasting.neural.settings import NetworkSettings  # noqa: E402
from foresail.forecasting.neural.similar import PastDays, similar_days  # noqa: E402
from foresail.forecasting.neural.tft.explanation import Seen, explanation_of  # noqa: E402
from foresail.forecasting.neural.tft.forecaster import TftForecaster  # noqa: E402
from foresail.forecasting.neural.tft.network import Segments  # noqa: E402
from foresail.protocols import ExplainingForecaster  # noqa: E402
from foresail.testing.planted import PlantedSettings, planted_market  # noqa: E402

END = 220
MARKET = planted_market(PlantedSettings(names=6, bars=260, noise=2, skill=0.5), seed=5)
ROWS = MARKET.rows(END, END + 3)
TINY = {"width": 8, "heads": 2, "epochs": 2, "context_length": 16, "minimum_windows": 50, "threads": 1}
KINDS = ("tft", "gru")


def spec_of(kind: str) -> ForecasterSpec:
    return ForecasterSpec(
        kind, "1", MARKET.features.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS
    )


@cache
def fitted(kind: str) -> NetworkForecaster:
    """Return a network that learned from features of which one has holes."""
    data = MARKET.training_set(END)
    model: NetworkForecaster
    if kind == "tft":
        model = TftForecaster(spec_of(kind), NetworkSettings(**TINY))  # type: ignore[arg-type]
    else:
        model = GruForecaster(spec_of(kind), RecurrentNetworkSettings(**TINY))  # type: ignore[arg-type]
    model.fit(replace(data, features=holed()), seed=1)
    return model


@cache
def holed():
    values = MARKET.features.values.copy()
    values[::2, ::7, 1] = np.nan
    return replace(MARKET.features, values=values)


def expected(model: NetworkForecaster, features, step: int) -> np.ndarray:
    curves = np.sort(model._standardised(features, ROWS)[:, 0, step], axis=-1)
    return curves @ mean_weights(QUANTILE_LEVELS)


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_add_up_to_the_forecast_less_that_of_the_calendar_and_the_name(kind: str) -> None:
    model = fitted(kind)
    assert isinstance(model, ExplainingForecaster)
    told = model.explain(holed(), ROWS, 5)
    assert told.shape == (len(ROWS), len(MARKET.features.fields))
    mean = model._needed("test").inputs.scaler.mean
    nothing = replace(holed(), values=np.broadcast_to(mean, holed().values.shape).copy())
    moved = expected(model, holed(), 1) - expected(model, nothing, 1)
    assert np.abs(moved).max() > 1e-4
    off = np.abs(told.sum(axis=1) - moved) / np.abs(moved).max()
    assert off.max() < 0.06  # where quantiles cross on the way, or a ReLU bends, few steps miss the kink
    assert np.median(off) < 0.01


def test_more_steps_come_closer_and_one_linear_step_is_exact() -> None:
    class Product(torch.nn.Module):
        def forward(self, segments: Segments) -> torch.Tensor:
            return segments.observed[:, -1, 0] * segments.observed[:, -1, 1] ** 3 + 2.0 * segments.observed[:, 0, 1]

    observed = torch.tensor([[[0.0, 5.0], [3.0, 2.0]]], dtype=torch.float64)
    empty = torch.zeros(1, 2, 1, dtype=torch.float64)
    one = Segments(observed, empty, torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.int64))
    told = integrated_gradients(Product(), one, lambda value: value, steps=3)
    np.testing.assert_allclose(told, [[3.0 * 8.0 / 4.0, 3.0 * 3.0 * 8.0 / 4.0 + 10.0]])  # the known integrals
    with pytest.raises(ConfigError, match="steps"):
        integrated_gradients(Product(), one, lambda value: value, steps=0)


@pytest.mark.parametrize("kind", KINDS)
def test_explanations_repeat_and_do_not_depend_on_company(kind: str) -> None:
    model = fitted(kind)
    whole = model.explain(holed(), ROWS, 1)
    assert np.array_equal(model.explain(holed(), ROWS, 1), whole)
    alone = np.concatenate([model.explain(holed(), row[None], 1) for row in ROWS[::5]])
    np.testing.assert_allclose(alone, whole[::5], atol=2e-9)
    states = model.encode(holed(), ROWS)
    np.testing.assert_allclose(model.encode(holed(), ROWS[4:5]), states[4:5], atol=1e-12)
    assert model.explain(holed(), ROWS[:0], 1).shape == (0, len(MARKET.features.fields))


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_is_what_the_last_layer_reads(kind: str) -> None:
    model = fitted(kind)
    states = model.encode(holed(), ROWS)
    assert np.isfinite(states).all()
    assert states.shape[0] == len(ROWS)
    cut = END + 1
    values = holed().values.copy()
    values[:, cut:] = 9.0
    before = ROWS[ROWS[:, 1] < cut]
    alone = model.encode(replace(holed(), values=values), before)
    np.testing.assert_allclose(alone, states[: len(before)], rtol=0.0, atol=1e-12)  # other batches round otherwise
    network = model._needed("test").network
    with pytest.raises(AttributeError):
        read_by_head(torch.nn.Linear(1, 1), next(iter(model._windows_of(holed(), ROWS)))[1])
    assert not network.get_submodule("head")._forward_pre_hooks  # the catch is taken off again


def test_unknown_horizons_and_unfitted_networks_are_refused() -> None:
    with pytest.raises(ModelError, match="not 3"):
        fitted("tft").explain(holed(), ROWS, 3)
    fresh = TftForecaster(spec_of("tft"), NetworkSettings(**TINY))  # type: ignore[arg-type]
    for ask in (lambda: fresh.explain(holed(), ROWS, 1), lambda: fresh.encode(holed(), ROWS)):
        with pytest.raises(NotFittedError):
            ask()


def test_weights_are_shares_by_name_group_and_bar() -> None:
    model = fitted("tft")
    assert isinstance(model, TftForecaster)
    first = MARKET.features.fields[0]
    told = model.weights_of(holed(), ROWS, {first: "trend"})
    assert told.groups == ("trend", "other", "calendar", "presence")
    assert told.by_group.shape == (len(ROWS), 4)
    assert told.over_time.shape == (len(ROWS), 16, 4)
    assert told.attention.shape == (len(ROWS), 2, 16)
    for shares in (told.selection, told.by_group, told.over_time, told.static, told.ahead):
        np.testing.assert_allclose(shares.sum(axis=-1), 1.0)
    np.testing.assert_allclose(told.attention.sum(axis=2) + told.attention_ahead, 1.0)
    trend = [told.variables.index(name) for name in told.variables if name.removesuffix(" missing") == first]
    np.testing.assert_allclose(told.by_group[:, 0], told.selection[:, trend].sum(axis=1))
    document = json.loads(json.dumps(told.to_json()))
    assert document["groups"] == list(told.groups)
    np.testing.assert_array_equal(document["attention"], told.attention)


def test_absent_bars_have_no_share() -> None:
    seen = Seen(
        past=np.full((1, 3, 3), 1 / 3),
        ahead=np.ones((1, 2, 1)),
        static=np.ones((1, 1)),
        attention=np.full((1, 2, 5), 0.2),
        present=np.array([[False, True, True]]),
    )
    told = explanation_of(
        np.array([[0, 7]]), seen, names=(("a",), ("week",), ("instrument",)), groups={"a": "price"}, horizons=(2,)
    )
    assert np.isnan(told.over_time[0, 0]).all()
    np.testing.assert_allclose(told.by_group, [[1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(told.attention[0, 0], [0.2, 0.2, 0.2])
    assert told.to_json()["over_time"][0][0] == [None, None, None]


def past_of(states: list[float], rows: list[tuple[int, int]], horizon: int = 2) -> PastDays:
    place = np.array(rows, dtype=np.int64)
    return PastDays(place, np.array(states)[:, None], np.arange(len(rows)) / 100.0, place[:, 1] + horizon)


def test_similar_days_are_the_nearest_whose_outcome_was_known() -> None:
    past = past_of([0.0, 1.0, 0.2, 0.1, 0.05], [(0, 1), (0, 3), (1, 5), (1, 9), (0, 10)])
    told = similar_days(np.array([[0, 11]]), np.array([[0.0]]), past, count=3)
    assert told.days[0].tolist() == [[0, 1], [1, 9], [1, 5]]  # day 10 is nearer, but its outcome comes at 12
    assert told.followed[0].tolist() == [0.0, 0.03, 0.02]
    assert (np.diff(told.distance[0]) > 0).all()
    early = similar_days(np.array([[0, 3]]), np.array([[0.0]]), past, count=3)
    assert early.days[0].tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert early.to_json()["followed"] == [[0.0, None, None]]


def test_ties_go_to_the_later_day_then_to_the_first_name_and_neighbours_are_kept_apart() -> None:
    past = past_of([1.0, 1.0, 1.0, 2.0], [(1, 4), (0, 4), (0, 5), (0, 1)])
    told = similar_days(np.array([[2, 20]]), np.array([[1.0]]), past, count=4)
    assert told.days[0].tolist() == [[0, 5], [0, 4], [1, 4], [0, 1]]
    apart = similar_days(np.array([[2, 20]]), np.array([[1.0]]), past, count=4, apart=3)
    assert apart.days[0].tolist() == [[0, 5], [1, 4], [0, 1], [-1, -1]]
    unknown = replace(past, followed=np.full(4, np.nan))
    assert (similar_days(np.array([[2, 20]]), np.array([[1.0]]), unknown).days == -1).all()
    with pytest.raises(ConfigError, match="apart"):
        similar_days(np.array([[2, 20]]), np.array([[1.0]]), past, apart=0)
