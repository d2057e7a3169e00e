from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from foresail.core.errors import DataError
from foresail.domain.panel import Panel
from foresail.features.drift import MOVED, feature_health
from foresail.measures.drift import kolmogorov_smirnov

FIELDS = ("rsi_14", "rsi_9", "volatility_20", "vix_level")


def features(seed: int = 0, n: int = 4, t: int = 100) -> Panel:
    values = np.random.default_rng(seed).normal(size=(n, t, len(FIELDS)))
    end = 10 * np.arange(1, t + 1, dtype=np.int64)
    names = tuple(f"stock.US.S{i}" for i in range(n))
    return Panel(values, np.ones((n, t), bool), end - 10, end, end + 1, FIELDS, names, "1d", "24/7")


def test_distance_of_distributions_agrees_with_a_peer():
    rng = np.random.default_rng(1)
    for old, new in (
        (rng.normal(size=300), rng.normal(0.3, 2.0, 77)),
        (np.ones(5), np.zeros(3)),
        (np.arange(9.0),) * 2,
    ):
        assert kolmogorov_smirnov(old, new) == pytest.approx(ks_2samp(old, new).statistic, abs=1e-15)
    gappy = np.array([1.0, np.nan, 2.0])
    assert kolmogorov_smirnov(gappy, np.array([1.0, 2.0])) == 0.0
    assert np.isnan(kolmogorov_smirnov(gappy, np.array([np.nan])))


def test_ages_and_missing_shares_by_hand():
    panel = features()
    panel.values[:, 60:, 1] = np.nan
    panel.values[:, :, 3] = np.nan
    panel.present[0, :50] = False
    panel.values[0, :50] = np.nan
    market, momentum, volatility = feature_health(panel, at_ns=1_006)
    assert (market.group, momentum.group, volatility.group) == ("market", "momentum", "volatility")
    assert market.age_ns is None
    assert market.missing == 1.0
    assert volatility.age_ns == 1_006 - 1_001
    assert momentum.age_ns == 1_006 - (10 * 60 + 1)
    assert momentum.features[1].missing == pytest.approx(4 * 40 / 350)
    assert momentum.missing == pytest.approx(2 * 40 / 350)
    assert np.isnan(momentum.drift)
    assert momentum.plain()["drift"] is None


def test_what_was_not_available_yet_does_not_count():
    panel = features()
    panel.values[:, 50:, 0] += 100.0
    training = features(seed=5).values.reshape(-1, 4)
    early = feature_health(panel, at_ns=501, training=training)
    late = feature_health(panel, at_ns=1_001, training=training)
    assert early[1].moved == ()
    assert late[1].moved == ("rsi_14",)


def test_drift_finds_the_feature_that_moved():
    panel = features()
    panel.values[:, :, 2] = 2.0 * panel.values[:, :, 2] + 1.0
    training = features(seed=5).values.reshape(-1, 4)
    groups = {g.group: g for g in feature_health(panel, at_ns=2_000, training=training)}
    assert groups["volatility"].moved == ("volatility_20",)
    assert groups["volatility"].drift > MOVED
    assert groups["momentum"].moved == ()
    assert groups["momentum"].drift < 0.1
    assert groups["volatility"].features[0].distance > 3 * groups["momentum"].features[0].distance
    with pytest.raises(DataError, match="4 features"):
        feature_health(panel, at_ns=2_000, training=training[:, :3])


def test_a_carried_value_is_as_old_as_its_publication():
    market = feature_health(features(), at_ns=2_000, published={"vix_level": 300})[0]
    assert market.age_ns == 1_700
    with pytest.raises(DataError, match="after the instant"):
        feature_health(features(), at_ns=2_000, published={"vix_level": 2_001})


def test_no_row_is_wholly_missing():
    health = feature_health(features(), at_ns=0)
    assert {g.missing for g in health} == {1.0}
    assert {g.age_ns for g in health} == {None}


def test_features_of_other_frames_stand_in_their_group():
    panel = replace(features(), fields=("rsi_14", "rsi_14@1w", "volatility_20@1h", "my_own"))
    told = {one.group: [each.name for each in one.features] for one in feature_health(panel, at_ns=1_006)}
    assert told == {"momentum": ["rsi_14", "rsi_14@1w"], "volatility": ["volatility_20@1h"], "other": ["my_own"]}
