"""Names of horizons, settings by name, rows of forecasts, and the conformal shift of a saved model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS, Forecast
from foresail.domain.instruments import AssetClass
from foresail.domain.training import ForecasterSpec, Targets, TrainingSet
from foresail.forecasting import options
from foresail.forecasting.confidence import BUCKETS
from foresail.forecasting.horizon_names import horizon_bars, horizon_name
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.prediction import LastBars, prediction_records
from foresail.forecasting.records import RECORD_COLUMNS, forecast_row, stale_row
from foresail.testing.builders import feature_panel, small_panel

STOCK, CRYPTO, FOREX = AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX
SPEC = ForecasterSpec("any", "1", ("a",), ("close",), (1,), QUANTILE_LEVELS)


@pytest.mark.parametrize(
    ("asset_class", "frame", "spans"),
    [
        (STOCK, "1h", {"1h": 1, "4h": 4, "1d": 7, "3d": 21, "1w": 35}),  # FCST-15
        (CRYPTO, "1h", {"1h": 1, "4h": 4, "1d": 24, "3d": 72, "1w": 168}),
        (FOREX, "1h", {"1d": 24, "1w": 120}),
        (STOCK, "5m", {"5m": 1, "30m": 6, "1h": 12, "1d": 78}),
        (CRYPTO, "15m", {"15m": 1, "1h": 4, "1d": 96}),
        (STOCK, "1d", {"1d": 1, "3d": 3, "1w": 5}),
        (CRYPTO, "1d", {"1d": 1, "3d": 3, "1w": 7}),
        (STOCK, "1w", {"1w": 1, "4w": 4}),
    ],
)
def test_spans_and_bars_are_one_another(asset_class, frame, spans):
    for name, bars in spans.items():
        assert horizon_bars(name, asset_class, frame) == bars
        assert horizon_name(bars, asset_class, frame) == name


def test_what_is_no_span_is_refused():
    assert horizon_bars(" 24 ", STOCK, "1h") == 24
    assert horizon_name(24, STOCK, "1h") == "24 bars"
    for text in ("", "0", "-1", "5x", "0d", "1.5d"):
        with pytest.raises(ConfigError, match="expected a horizon in bars"):
            horizon_bars(text, STOCK, "1d")
    for text, asset_class, frame in (
        ("30m", STOCK, "1h"),
        ("4h", STOCK, "1d"),
        ("8h", STOCK, "1h"),
        ("1d", STOCK, "1w"),
    ):
        with pytest.raises(ConfigError, match="no whole number"):
            horizon_bars(text, asset_class, frame)
    with pytest.raises(ConfigError, match="expected a frame"):
        horizon_name(1, STOCK, "daily")


@dataclass(frozen=True)
class Inner:
    depth: int = 3
    rate: float = 0.1


@dataclass(frozen=True)
class Settings:
    width: int = 32
    fast: bool = False
    mode: str = "plain"
    centre: Inner = field(default_factory=Inner)
    spread: Inner = field(default_factory=lambda: Inner(rate=0.2))


class Wanting:
    progress: Any = None

    def __init__(self, spec: ForecasterSpec, settings: Settings | None = None) -> None:
        self.spec, self.settings = spec, Settings() if settings is None else settings


def test_settings_are_found_typed_and_nested(monkeypatch):
    monkeypatch.setattr(options, "forecaster_class", lambda _: Wanting)
    assert options.option_defaults("any") == {
        "width": 32,
        "fast": False,
        "mode": "plain",
        "centre.depth": 3,
        "centre.rate": 0.1,
        "spread.depth": 3,
        "spread.rate": 0.2,
    }
    given = {"width": "64", "fast": "yes", "mode": "x", "centre.depth": 5, "spread.rate": "1e-3"}
    built: Any = options.build_forecaster("any", SPEC, given)
    assert built.settings == Settings(64, True, "x", Inner(5, 0.1), Inner(3, 1e-3))
    for wrong, text in (
        ({"width": "many"}, "expected int such as 32"),
        ({"width": 1.5}, "expected int"),
        ({"width": True}, "expected int"),
        ({"fast": "maybe"}, "expected bool"),
    ):
        with pytest.raises(ConfigError, match=text):
            options.build_forecaster("any", SPEC, wrong)
    with pytest.raises(UnknownNameError, match="Did you mean 'width'"):
        options.build_forecaster("any", SPEC, {"widht": 3})
    with pytest.raises(UnknownNameError, match=r"centre\.depth, spread\.depth"):
        options.build_forecaster("any", SPEC, {"depth": 3})
    options.attach(built, progress=print, checkpoint=None)
    assert built.progress is print
    assert not hasattr(built, "checkpoint")


def test_registered_forecasters_tell_their_options():
    assert options.option_defaults("ridge") == {}
    assert "max_rows" in options.option_defaults("quantile_trees")
    assert "centre.trees" in options.option_defaults("quantile_trees")


def test_a_row_has_every_column():
    name = InstrumentId("stock.US.AAA")
    values = np.array([[[[-0.06, -0.03, -0.01, 0.001, 0.02, 0.03, 0.06]]]])
    forecast = Forecast(values, 10**18, (name,), ("close",), (5,), QUANTILE_LEVELS, "m", "h")
    bars = LastBars(STOCK, "1d", prices=np.array([100.0]), scale=np.array([0.01]), as_of=[(10**18, False)])
    record = prediction_records(forecast, bars)[0]
    row = forecast_row(record, ticker="AAA", name="1w")
    assert list(row) == list(RECORD_COLUMNS)
    assert sum(row[b] for b in BUCKETS) == pytest.approx(1.0, abs=1e-12)
    assert row["predicted_price"] == pytest.approx(100.0 * np.exp(0.001))
    assert np.isnan(row["predicted_high"])
    assert row["signal"] in ("SELL", "HOLD", "BUY")
    nothing = stale_row(record, ticker="AAA", name="1w", reason="no bar")
    assert list(nothing) == list(RECORD_COLUMNS)
    assert (nothing["stale"], nothing["reason"], nothing["quantiles"], nothing["signal"]) == (
        True,
        "no bar",
        None,
        None,
    )
    assert nothing["current_price"] == 100.0


def test_an_uncalibrated_model_gets_its_coverage_and_keeps_its_mean():
    rng = np.random.default_rng(0)
    panel = small_panel(20, 160)
    n, t = 20, 160
    levels = QUANTILE_LEVELS
    labels = rng.normal(0.0, 0.02, (n, t, 1, 1))
    rows = np.array([(i, x) for x in range(t) for i in range(n)], dtype=np.int64)
    data = TrainingSet(
        features=feature_panel(np.zeros((n, t, 1)), ("a",), panel),
        targets=Targets(labels, np.arange(t)[:, None] + 1, ("close",), (1,)),
        scale=np.full((n, t), 0.01),
        train_rows=rows[:0],
        validation_rows=rows[:0],
        calibration_rows=rows[: n * 80],
        weights=np.ones(0),
    )
    narrow = np.broadcast_to(0.005 * np.array([-2.05, -1.28, -0.67, 0.0, 0.67, 1.28, 2.05]), (len(rows), 1, 1, 7))
    shift = IntervalShift.fit(narrow[: n * 80], data, levels)
    assert shift.times == 80
    fresh = rows[n * 80 :]
    unit = np.full((len(fresh), 1, 1, 1), 0.01)
    moved = shift.apply(narrow[n * 80 :], unit)
    outcome = labels[fresh[:, 0], fresh[:, 1], 0, 0]
    for low, high, nominal in ((0, 6, 0.96), (1, 5, 0.8), (2, 4, 0.5)):
        held = np.mean((outcome >= moved[:, 0, 0, low]) & (outcome <= moved[:, 0, 0, high]))
        assert held == pytest.approx(nominal, abs=0.04)
        bare = np.mean((outcome >= narrow[0, 0, 0, low]) & (outcome <= narrow[0, 0, 0, high]))
        assert bare < nominal - 0.2
    np.testing.assert_allclose(moved.sum(axis=-1), narrow[n * 80 :].sum(axis=-1), atol=1e-12)
    again = IntervalShift.of({"levels": list(levels), "shifts": shift.shifts.tolist(), "times": 80})
    np.testing.assert_array_equal(again.apply(narrow[:3], unit[:3]), shift.apply(narrow[:3], unit[:3]))
    empty = IntervalShift.fit(
        narrow[:0],
        TrainingSet(data.features, data.targets, data.scale, rows[:0], rows[:0], rows[:0], np.ones(0)),
        levels,
    )
    assert not empty.shifts.any()
