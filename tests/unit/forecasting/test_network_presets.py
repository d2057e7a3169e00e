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
