"""A decision in one line: bars, RSI and forecast curves of a few instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account, Position
from foresail.domain.forecast import QUANTILE_LEVELS, Forecast
from foresail.testing.builders import FakeView, bar_panel, feature_panel

NORMAL = np.array([-2.054, -1.282, -0.674, 0.0, 0.674, 1.282, 2.054])  # standard normal at QUANTILE_LEVELS


@pytest.fixture
def decision():
    """Return a function that makes a view from centres of the 5-bar forecast."""

    def make(
        centres: Mapping[str, float],
        *,
        spread: float = 0.03,
        held: Mapping[str, str] | None = None,
        rsi: Mapping[str, float] | None = None,
        facts: Mapping[str, float] | None = None,
        targets: tuple[str, ...] = ("close",),
        scale: Mapping[str, float] | None = None,
        position: int = 30,
    ) -> FakeView:
        steps = np.array([0.01 * (-1) ** t for t in range(31)])
        path = 100.0 * np.exp(np.cumsum(steps))
        factor = scale or {}
        panel = bar_panel({name: path * factor.get(name, 1.0) for name in centres})
        names = panel.instruments
        curve = np.array([centres[name] for name in names])[:, None] + spread * NORMAL
        shift = {"close": 0.0, "high": spread, "low": -spread}
        values = np.stack([curve + shift[t] for t in targets], axis=1)[:, :, None, :].repeat(2, axis=2)
        known = np.array([(rsi or {}).get(name, 0.5) for name in names])
        features = feature_panel(np.broadcast_to(known[:, None, None], (len(names), 31, 1)), ("rsi_14",), panel)
        now = int(panel.available_at[position])
        positions = tuple(
            Position(InstrumentId(name), Decimal(units), Decimal(100), 0)
            for name, units in sorted((held or {}).items())
        )
        forecast = Forecast(values, now, names, targets, (1, 5), QUANTILE_LEVELS, "model-1", "hash")
        account = Account("test", "USD", Decimal(100_000), Decimal(100_000), positions, now)
        return FakeView(panel, position, "decide", features, forecast, dict(facts or {}), account)

    return make


@pytest.fixture
def shuffled():
    """Return a function that puts the axes of a view's panels and forecast in another order."""

    def shuffle(view: FakeView, order: list[int]) -> FakeView:
        def panel(one):
            return replace(
                one,
                values=np.ascontiguousarray(one.values[order]),
                present=np.ascontiguousarray(one.present[order]),
                instruments=tuple(one.instruments[i] for i in order),
            )

        forecast = replace(
            view.forecasts,
            values=view.forecasts.values[order],
            instruments=tuple(view.forecasts.instruments[i] for i in order),
        )
        return replace(view, panel=panel(view.panel), features_panel=panel(view.features_panel), forecasts=forecast)

    return shuffle
