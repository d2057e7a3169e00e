"""The scale of labels bar by bar is that of the history; features in model form live are those of the history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.context import FeatureContext
from foresail.features.live import LiveDriver
from foresail.features.live_scale import LiveScale
from foresail.features.targets import label_scale
from foresail.testing.builders import small_panel

NAMES = ["sma_20", "macd_12_26", "rsi_14", "obv"]


def holed() -> Panel:
    """Return bars with absences, a late listing, a delisting, a split and an unknown factor."""
    panel = small_panel(6, 300)
    present = np.random.default_rng(3).random(panel.present.shape) > 0.1
    present[1, :250] = False
    present[2, 100:] = False
    values = np.where(present[:, :, None], panel.values, np.nan)
    factor = panel.index("total_factor")
    values[3, 150:, factor] *= 2.0
    values[3, 200:210, factor] = np.nan
    values[4, 50, panel.index("close")] = 0.0
    return replace(panel, values=values, present=present)


def test_scale_bar_by_bar_is_that_of_history() -> None:
    panel = holed()
    live, told = LiveScale(6), label_scale(panel)
    begun = live.read(panel.cut(0, 120))
    rest = live.read(panel.cut(120, 300))
    found = np.concatenate([begun, rest], axis=1)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(told))
    np.testing.assert_allclose(found, told, rtol=1e-13)
    assert np.isfinite(told[1]).any()


def test_model_form_live_is_that_of_history_bit_for_bit() -> None:
    panel = holed()
    context = FeatureContext.of(panel)
    history = compute(panel, NAMES, context, form="model").values
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields, form="model")
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(300)]
    assert np.array_equal(np.stack(rows, axis=1).view(np.int64), history.view(np.int64))
    shown = compute(panel, NAMES, context).values
    assert not np.array_equal(shown, history, equal_nan=True)
    with pytest.raises(UnknownNameError, match="form"):
        LiveDriver(panel.instruments, NAMES, context, panel.fields, form="raw")
