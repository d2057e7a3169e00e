"""The vector of FCST-14: 44,800 (35 %), 45,100 (30 %) and 45,600 (35 %) give 45,170, shown as 45,200."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS, Forecast
from foresail.domain.instruments import AssetClass
from foresail.forecasting.prediction import LastBars, prediction_records
from foresail.forecasting.records import forecast_row
from foresail.service.predicting_output import shown_price, table_lines
from foresail.service.predicting_panel import combined_rows, panel_weights, parse_weights

NAME = InstrumentId("crypto.BTCUSD")
PRICE = 45_000.0


def row(value: float, horizon: int = 24) -> dict[str, object]:
    curve = np.log(value / PRICE) + 0.02 * norm.ppf(QUANTILE_LEVELS)
    forecast = Forecast(
        curve[None, None, None], 10**18, (NAME,), ("close",), (horizon,), QUANTILE_LEVELS, f"m{value:g}"
    )
    bars = LastBars(AssetClass.CRYPTO, "1h", np.array([PRICE]), np.array([0.005]), [(10**18, False)])
    return forecast_row(prediction_records(forecast, bars)[0], ticker="BTCUSD", name="1d")


def test_the_vector_of_the_forecast_panel():
    told = [(f"m{i}", [row(value)]) for i, value in enumerate((44_800.0, 45_100.0, 45_600.0))]
    (one,) = combined_rows(told, (0.35, 0.30, 0.35))
    assert one["predicted_price"] == pytest.approx(45_170.0, abs=1e-6)
    assert shown_price(one["predicted_price"]) == "45,200"
    assert one["price_low"] < one["predicted_price"] < one["price_high"]
    lines = table_lines("panel", "", [one], [])
    assert "  45,200 (44,000 to 46,300) = m0 44,800 (35%, " in lines[3]
    assert one["signal"] in ("BUY", "HOLD", "SELL")
    with pytest.raises(ConfigError, match="no horizon in common"):
        combined_rows([("a", [row(45_000.0)]), ("b", [row(45_000.0, horizon=4)])], (0.5, 0.5))


def test_votes_that_disagree_lower_the_confidence():
    up, down = row(46_500.0), row(43_500.0)
    (one,) = combined_rows([("a", [up]), ("b", [down])], (0.6, 0.4))
    assert one["confidence_score"] < min(up["confidence_score"], down["confidence_score"])
    assert [part["signal"] for part in one["breakdown"]] == ["BUY", "SELL"]
    assert one["prob_down"] + one["prob_neutral"] + one["prob_up"] == pytest.approx(1.0)


def test_weights_and_shown_prices():
    assert panel_weights((3.0, 1.0), ("a", "b")) == (0.75, 0.25)
    assert panel_weights((), ("a", "b")) == (0.5, 0.5)
    assert parse_weights("0.6, 0.4") == (0.6, 0.4)
    assert parse_weights("") == ()
    with pytest.raises(ConfigError, match="expected numbers such as"):
        parse_weights("a,b")
    shown = {45_170.0: "45,200", 125.674: "125.7", 0.0123456: "0.01235", 999.6: "1,000", 0.0: "0"}
    assert {value: shown_price(value) for value in shown} == shown
