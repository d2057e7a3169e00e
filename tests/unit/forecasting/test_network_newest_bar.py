"""A forecast of one bar computes one window, and is that of a forecast of many bars."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.testing.planted import PlantedSettings, planted_market

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.forecasting.neural.windows import WindowSource  # noqa: E402
from foresail.forecasting.options import build_forecaster  # noqa: E402

END, CONTEXT, NAMES = 160, 12, 6
OPTIONS = {"context_length": CONTEXT, "width": 8, "epochs": 1, "threads": 1, "minimum_windows": 50}


@pytest.fixture(scope="module", params=["tft", "lstm", "gru"])
def made(request):
    market = planted_market(PlantedSettings(names=NAMES, bars=190, noise=2, skill=0.3), seed=1)
    spec = ForecasterSpec(
        request.param, "1", market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS
    )
    model = build_forecaster(request.param, spec, OPTIONS)
    model.fit(market.training_set(END), seed=2)
    return model, market


@pytest.fixture
def cut(monkeypatch):
    """Bars of every segment that is made."""
    seen, real = [], WindowSource.batch

    def noted(self, starts, allowed=None):
        found = real(self, starts, allowed)
        seen.append((len(starts), found.segments.observed.shape[1], self.times))
        return found

    monkeypatch.setattr(WindowSource, "batch", noted)
    return seen


def rows_at(*times):
    return np.array([(i, t) for t in times for i in range(NAMES)], dtype=np.int64)


def test_the_newest_bar_alone_is_one_window_and_the_same_forecast(made, cut):
    model, market = made
    every = model.predict(market.features, rows_at(*range(END, END + 20)), market.scale)
    states = model.encode(market.features, rows_at(*range(END, END + 20)))
    assert cut[0][1] == CONTEXT + 7  # eight windows of a segment share their bars
    for t in (END, END + 7, END + 19):
        cut.clear()
        alone = model.predict(market.features, rows_at(t), market.scale)
        assert [one[:2] for one in cut] == [(NAMES, CONTEXT)]
        assert cut[0][2] <= CONTEXT + 2  # nothing is made of the bars before its window
        place = slice((t - END) * NAMES, (t - END + 1) * NAMES)
        np.testing.assert_allclose(alone, every[place], rtol=0, atol=1e-9)
        np.testing.assert_allclose(model.encode(market.features, rows_at(t)), states[place], rtol=0, atol=1e-9)


def test_two_bars_are_two_windows_whatever_lies_between_them(made, cut):
    model, market = made
    every = model.predict(market.features, rows_at(*range(END, END + 20)), market.scale)
    for times in ((END, END + 1), (END + 3, END + 15), (3, END + 3)):  # also one before a whole context
        cut.clear()
        told = model.predict(market.features, rows_at(*times), market.scale)
        assert max(one[1] for one in cut) == CONTEXT + times[1] - times[0]
        for t, part in zip(times, np.split(told, 2), strict=True):
            if t >= END:
                np.testing.assert_allclose(part, every[(t - END) * NAMES : (t - END + 1) * NAMES], rtol=0, atol=1e-9)
