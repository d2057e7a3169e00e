"""Presets of networks, and what can be set of their training by name."""

from __future__ import annotations

import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.options import build_forecaster

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")


def built(name="tft", **options):
    spec = ForecasterSpec(name, "1", ("a",), ("close",), (1, 5), QUANTILE_LEVELS)
    return build_forecaster(name, spec, options).settings


@pytest.mark.parametrize(
    ("preset", "shape"),
    [("minute", (60, 256, 8, 6)), ("hourly", (336, 64, 4, 1)), ("daily", (60, 64, 4, 1))],
)
def test_a_preset_sets_the_shape_and_other_options_change_it(preset, shape):
    found = built(preset=preset)
    assert (found.context_length, found.width, found.heads, found.layers) == shape
    changed = built(preset=preset, width="32")
    assert (changed.context_length, changed.width) == (shape[0], 32)


def test_the_deep_preset_builds_a_network_of_its_shape():
    import torch

    from foresail.forecasting.neural.tft.network import Segments, TemporalFusionTransformer, TftSettings

    own = built(preset="minute")
    shape = TftSettings(3, 2, (4,), 1, 7, own.context_length, 5, own.width, own.heads, own.layers)
    network = TemporalFusionTransformer(shape).eval()
    assert network.encoder.num_layers == network.decoder.num_layers == 6
    with torch.inference_mode():
        segments = Segments(
            torch.zeros(1, 60, 3), torch.zeros(1, 65, 2), torch.ones(1, 60), torch.ones(1, 1, dtype=torch.int64)
        )
        assert network(segments).quantiles.shape == (1, 1, 5, 1, 7)


def test_unknown_presets_and_modes_are_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="hourly"):
        built(preset="weekly")
    with pytest.raises(UnknownNameError, match="cosine"):
        built(schedule="linear")
    with pytest.raises(UnknownNameError, match="adaptive"):
        built(clipping="none")
    with pytest.raises(ConfigError, match="largest_norm"):
        built(largest_norm="0")


def test_schedule_and_clipping_reach_the_recipe():
    made = built("lstm", schedule="plateau", clipping="norm", largest_norm="0.5", weight_decay="0.01").recipe()
    assert (made.rates.schedule, made.clipping, made.largest_norm, made.weight_decay) == ("plateau", "norm", 0.5, 0.01)
    assert made.rates.patience < made.patience  # the rate is cut before training stops


def test_every_part_of_a_schedule_can_be_set():
    asked = {"epochs": "50", "warm_up": "5", "minimum_rate": "1e-6"}
    cosine = built(**asked).recipe().rates
    told = [cosine.at(epoch) for epoch in (0, 1, 5, 27, 50)]
    assert told == pytest.approx([1e-6, 2e-4, 1e-3, 5.179e-4, 1e-6], rel=1e-4)  # TRAIN-11
    cyclic = built(schedule="cyclic", rate="0.01", minimum_rate="1e-4", cycle="10").recipe().rates
    assert [cyclic.at(0, step=s) for s in (0, 2, 5, 7, 10)] == pytest.approx([1e-4, 4.06e-3, 1e-2, 6.04e-3, 1e-4])
    assert built(schedule="cyclic", cycle="4").recipe().rates.at(0, step=2) == pytest.approx(1e-3)
    plateau = built(schedule="plateau", plateau_patience="3", cut_factor="0.1").recipe().rates
    assert (plateau.patience, plateau.at(9, stale=2)) == (3, pytest.approx(1e-5))
    step = built(schedule="step", step_every="4", cut_factor="0.25").recipe().rates
    assert [step.at(epoch) for epoch in (3, 4, 8)] == pytest.approx([1e-3, 2.5e-4, 6.25e-5])
    assert built(warm_up="0").recipe().rates.at(0) == pytest.approx(1e-3)  # no warm-up at all


def test_the_defaults_of_the_schedules_are_as_they_were():
    rates = built().recipe().rates
    assert (rates.minimum, rates.warm_up, rates.cycle, rates.patience) == (pytest.approx(1e-6), 2, 10, 2)
    assert (rates.factor, rates.every) == (0.5, 15)
    assert built(schedule="cyclic").recipe().rates.minimum == pytest.approx(1e-5)
    again = built(minimum_rate="1e-4").recipe(0.5).rates  # a training that begins again at half the rate
    assert (again.base, again.minimum) == (pytest.approx(5e-4), pytest.approx(5e-5))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("warm_up", "21"),
        ("warm_up", "-2"),
        ("minimum_rate", "0.1"),
        ("cut_factor", "1.0"),
        ("cycle", "1"),
        ("step_every", "0"),
        ("plateau_patience", "-1"),
    ],
)
def test_a_schedule_that_makes_no_rate_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        built(**{name: value})
