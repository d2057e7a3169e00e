import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.errors import ConfigError, UserError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS, Forecast
from foresail.domain.instruments import AssetClass
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.confidence import (
    BUCKETS,
    bucket_probabilities,
    class_probabilities,
    confidence,
    expected_return,
    probability_up,
)
from foresail.forecasting.horizons import bars_per_session, decision_horizon, default_horizons
from foresail.forecasting.prediction import LastBars, prediction_records

Z = norm.ppf(QUANTILE_LEVELS)


def test_expected_return_and_confidence_of_a_normal_curve():
    values = 0.01 + 0.02 * Z
    assert expected_return(values, QUANTILE_LEVELS) == pytest.approx(0.01)
    # Linear interpolation of a curve between levels costs up to two points of probability.
    assert confidence(values, QUANTILE_LEVELS) == pytest.approx(norm.cdf(0.5), abs=0.02)
    assert confidence(-values[::-1], QUANTILE_LEVELS) == pytest.approx(confidence(values, QUANTILE_LEVELS))


def test_confidence_is_one_half_where_mean_and_bulk_disagree():
    skewed = np.array([-0.02, -0.015, -0.01, -0.002, 0.005, 0.04, 0.2])
    assert expected_return(skewed, QUANTILE_LEVELS) > 0
    assert probability_up(skewed, QUANTILE_LEVELS) < 0.5
    assert confidence(skewed, QUANTILE_LEVELS) == 0.5


def test_buckets_sum_to_one_and_match_the_normal():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.01, (50, 1)) + rng.uniform(0.005, 0.05, (50, 1)) * Z
    p = bucket_probabilities(values, QUANTILE_LEVELS)
    assert p.shape == (50, len(BUCKETS))
    assert p.sum(axis=1) == pytest.approx(np.ones(50))
    assert (p >= 0).all()
    wide = bucket_probabilities(0.03 * Z, QUANTILE_LEVELS)
    assert wide[4] == pytest.approx(1 - norm.cdf(np.log1p(0.035) / 0.03), abs=0.03)


@pytest.mark.parametrize(("edge", "below"), [(-0.035, 0), (-0.01, 1), (0.01, 2), (0.035, 3)])
def test_every_edge_of_the_buckets(edge, below):
    """FCST-13: > +3.5 %, +1 to +3.5, -1 to +1, -3.5 to -1, < -3.5, of simple returns; a mass on an edge is halved."""
    point = np.log1p(edge)
    width = 1e-6 * Z  # so narrow that all of a curve lies on one side
    under, above = (bucket_probabilities(point + side + width, QUANTILE_LEVELS) for side in (-1e-4, 1e-4))
    assert under[below] == pytest.approx(1.0, abs=1e-9)
    assert above[below + 1] == pytest.approx(1.0, abs=1e-9)
    on = bucket_probabilities(np.full(7, point), QUANTILE_LEVELS)
    assert on[[below, below + 1]] == pytest.approx([0.5, 0.5])


def test_the_edges_are_of_simple_returns():
    """log(1.035) = 0.0344: a log return of 0.0345 is above +3.5 %, one of -0.0350 not below -3.5 %."""
    narrow = 1e-7 * Z
    assert bucket_probabilities(0.0345 + narrow, QUANTILE_LEVELS)[4] == pytest.approx(1.0)
    assert bucket_probabilities(-0.0350 + narrow, QUANTILE_LEVELS)[1] == pytest.approx(1.0)
    assert bucket_probabilities(-0.0357 + narrow, QUANTILE_LEVELS)[0] == pytest.approx(1.0)


def test_class_probabilities_use_the_volatility_threshold():
    p = class_probabilities(0.02 * Z, QUANTILE_LEVELS, np.array(0.02), ClassRule())
    assert p.sum() == pytest.approx(1.0)
    assert p[0] == pytest.approx(norm.cdf(-0.5), abs=0.02)
    floored = class_probabilities(0.02 * Z, QUANTILE_LEVELS, np.array(0.02), ClassRule(floor=0.02))
    assert floored[1] > p[1]


def test_prediction_records():
    values = np.full((2, 3, 2, 7), np.nan)
    values[0] = 0.02 * Z
    values[0, 1], values[0, 2] = 0.02 * Z + 0.01, 0.02 * Z - 0.01
    ids = (InstrumentId("sim.A"), InstrumentId("sim.B"))
    forecast = Forecast(values, 50, ids, ("close", "high", "low"), (1, 5), QUANTILE_LEVELS, "m@1", "hash")
    bars = LastBars(
        AssetClass.STOCK, "1d", prices=np.array([100.0, 7.0]), scale=np.full(2, 0.01), as_of=[(40, False)] * 2
    )
    records = prediction_records(forecast, bars)
    assert [r.horizon for r in records] == [1, 5]
    assert records[0].ticker == "sim.A"
    assert records[0].predicted_high == pytest.approx(100 * np.exp(0.01))
    assert sum(records[0].class_probabilities) == pytest.approx(1.0)
    assert (records[0].as_of, records[0].stale, records[0].model_version) == (40, False, "m@1")
    with pytest.raises(UserError, match="close"):
        prediction_records(Forecast(values, 50, ids, ("x", "high", "low"), (1, 5), QUANTILE_LEVELS, "m"), bars)


@pytest.mark.parametrize(
    ("asset_class", "frame", "expected"),
    [
        (AssetClass.STOCK, "1d", (1, 5)),
        (AssetClass.CRYPTO, "1d", (1, 5)),
        (AssetClass.CRYPTO, "1h", (1, 4, 24)),
        (AssetClass.FOREX, "1h", (1, 4, 24)),
        (AssetClass.STOCK, "1h", (1, 4, 7)),
        (AssetClass.STOCK, "15m", (1, 16, 26)),
        (AssetClass.CRYPTO, "4h", (1, 6)),
    ],
)
def test_horizons_by_class_and_frame(asset_class, frame, expected):
    assert default_horizons(asset_class, frame) == expected
    assert decision_horizon(expected) == expected[-1]


def test_bad_frames_are_refused():
    assert bars_per_session(AssetClass.STOCK, "30m") == 13
    with pytest.raises(ConfigError, match="shorter than a session"):
        bars_per_session(AssetClass.STOCK, "1d")
    with pytest.raises(ConfigError, match="'hourly'"):
        default_horizons(AssetClass.STOCK, "hourly")
    with pytest.raises(UserError, match="horizon"):
        decision_horizon(())
