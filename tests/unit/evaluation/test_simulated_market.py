"""The simulated market: what was planted is found, what was not is absent, bars are bars, bytes repeat."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
from scipy.stats import rankdata

from foresail.core.errors import ConfigError
from foresail.evaluation.session_axis import session_axis
from foresail.evaluation.simulated_market import (
    EDGE_HORIZON,
    SimulationSettings,
    random_walk_market,
    simulate,
    simulate_with_truth,
    simulated_bar_set,
)

COMPLETE = {"late_listings": 0.0, "delistings": 0.0, "missing_share": 0.0}


def digest(panel):
    return hashlib.sha256(panel.values.tobytes() + panel.end.tobytes() + repr(panel.instruments).encode()).hexdigest()


def mean_correlation(signal, returns, *, warm_up=60, ranks=False):
    """Time mean of cross-sectional correlation with the next 5 bars' summed return, and its standard error."""
    total = np.cumsum(returns, axis=1)
    ahead = total[:, EDGE_HORIZON:] - total[:, :-EDGE_HORIZON]
    scores = []
    for t in range(warm_up, ahead.shape[1]):
        a, b = signal[:, t], ahead[:, t]
        scores.append(np.corrcoef(rankdata(a), rankdata(b))[0, 1] if ranks else np.corrcoef(a, b)[0, 1])
    scores = np.array(scores)
    blocks = scores[: len(scores) // 40 * 40].reshape(-1, 40).mean(axis=1)  # overlapping labels, slow signal
    return scores.mean(), blocks.std(ddof=1) / np.sqrt(len(blocks))


def simple_returns(panel):
    close = panel.field("close")
    result = np.zeros_like(close)
    result[:, 1:] = close[:, 1:] / close[:, :-1] - 1.0
    return result


def trailing(returns, width):
    total = np.cumsum(returns, axis=1)
    result = np.zeros_like(total)
    result[:, width:] = total[:, width:] - total[:, :-width]
    return result


@pytest.mark.parametrize(("asked", "signal_bars"), [(0.05, 20), (0.05, 5), (0.10, 20), (-0.03, 10)])
def test_realised_information_coefficient_is_what_was_planted(asked, signal_bars):
    settings = SimulationSettings(instruments=200, bars=5_000, information_coefficient=asked, signal_bars=signal_bars)
    _, truth = simulate_with_truth(settings, seed=3)
    found, error = mean_correlation(truth.signal, truth.own_return)
    assert error < 0.004
    assert found == pytest.approx(asked, abs=0.01)


def test_planted_edge_is_visible_to_a_trailing_return():
    panel = simulate(SimulationSettings(instruments=150, bars=4_000, information_coefficient=0.05, **COMPLETE), seed=8)
    returns = simple_returns(panel)
    found, error = mean_correlation(-trailing(returns, 20), returns, ranks=True)
    assert found > 0.03
    assert found > 5 * error
    volume = np.log(panel.field("volume"))
    surprise = trailing(volume, 5) / 5 - trailing(volume, 60) / 60
    trace, error = mean_correlation(surprise, returns, ranks=True)
    assert trace > 3 * error


def test_null_market_has_no_predictable_cross_section():
    panel = simulate(SimulationSettings(instruments=150, bars=4_000, **COMPLETE), seed=21)
    returns = simple_returns(panel)
    with np.errstate(divide="ignore"):
        volume = np.log(panel.field("volume"))
    features = {
        "return_1": returns,
        "return_5": trailing(returns, 5),
        "return_20": trailing(returns, 20),
        "return_60": trailing(returns, 60),
        "volatility_20": np.sqrt(np.maximum(trailing(returns**2, 20), 0)),
        "volume": volume - trailing(volume, 60) / 60,
        "range": np.log(panel.field("high") / panel.field("low")),
        "gap": panel.field("open") / panel.field("close"),
    }
    for name, values in features.items():
        found, error = mean_correlation(values, returns)
        assert abs(found) < 3.3 * error, name


def test_null_market_has_equal_drifts():
    settings = SimulationSettings(instruments=100, bars=20_000, calendar="24/7", drift=0.06, **COMPLETE)
    panel = simulate(settings, seed=2)
    returns = simple_returns(panel)[:, 1:]
    excess = returns - returns.mean(axis=0)
    scores = excess.mean(axis=1) / (excess.std(axis=1) / np.sqrt(excess.shape[1]))
    assert scores.std() == pytest.approx(1.0, abs=0.2)
    assert np.abs(scores).max() < 4.5
    volatility = excess.std(axis=1)
    assert abs(np.corrcoef(volatility, excess.mean(axis=1))[0, 1]) < 0.25


def test_tails_are_fat_volatility_clusters_sectors_move_together():
    settings = SimulationSettings(instruments=60, bars=5_000, sector_volatility=0.12, **COMPLETE)
    panel, truth = simulate_with_truth(settings, seed=5)
    returns = simple_returns(panel)[:, 1:]
    unit = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, keepdims=True)
    assert (unit**4).mean() > 4.5
    size = np.abs(unit)
    clustering = np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in size])
    assert clustering > 0.06
    assert returns[:, truth.is_stormy[1:]].std() > 1.3 * returns[:, ~truth.is_stormy[1:]].std()
    correlation = np.corrcoef(returns)
    same = truth.sector[:, None] == truth.sector[None, :]
    off = ~np.eye(len(same), dtype=bool)
    assert correlation[same & off].mean() > correlation[~same].mean() + 0.03
    volume = np.log(panel.field("volume"))[:, 1:]
    assert np.mean([np.corrcoef(size[i], volume[i])[0, 1] for i in range(60)]) > 0.1


def test_bars_are_consistent():
    panel = simulate(SimulationSettings(), seed=1)
    opening, high, low, close = (panel.field(name)[panel.present] for name in ("open", "high", "low", "close"))
    assert (high >= np.maximum(opening, close)).all()
    assert (low <= np.minimum(opening, close)).all()
    assert (low > 0).all()
    assert (panel.field("volume")[panel.present] > 0).all()
    assert np.isnan(panel.values[~panel.present]).all()
    assert (np.diff(panel.end) > 0).all()
    assert (panel.start < panel.end).all()
    assert (panel.start[1:] >= panel.end[:-1]).all()
    assert (np.round(close, 4) == close).all()
    gaps = panel.field("open")[:, 1:] / panel.field("close")[:, :-1] - 1
    assert 0.002 < np.nanstd(gaps) < 0.02


def test_listings_delistings_and_missing_bars():
    settings = SimulationSettings(instruments=40, late_listings=0.25, delistings=0.2, missing_share=0.01)
    present = simulate(settings, seed=9).present
    first = present.argmax(axis=1)
    last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    assert (first > 50).sum() == 10
    assert (last < present.shape[1] - 50).sum() == 8
    inside = np.concatenate([present[i, first[i] : last[i] + 1] for i in range(40)])
    assert 0.005 < 1 - inside.mean() < 0.015


def test_same_seed_same_bytes_other_seed_other_bytes():
    settings = SimulationSettings(instruments=10, bars=300, information_coefficient=0.05)
    assert digest(simulate(settings, 7)) == digest(simulate(settings, 7))
    assert digest(simulate(settings, 7)) != digest(simulate(settings, 8))


def test_edge_changes_nothing_else():
    """With and without an edge the same seed gives the same calendar, presence and gaps in the main."""
    null, edge = (
        simulate(SimulationSettings(instruments=10, bars=300, information_coefficient=ic), 7) for ic in (0.0, 0.05)
    )
    assert (null.present == edge.present).all()
    ratio = np.nanstd(simple_returns(edge)) / np.nanstd(simple_returns(null))
    assert ratio == pytest.approx(1.0, abs=0.02)


def test_daily_sessions_are_those_of_the_exchange():
    start, end = session_axis("XNYS", "1d", "2023-11-20", 10)
    days = end.astype("datetime64[ns]").astype("datetime64[D]").astype(str).tolist()
    assert "2023-11-23" not in days  # Thanksgiving
    half_day = days.index("2023-11-24")
    assert str(end.astype("datetime64[ns]")[half_day]).startswith("2023-11-24T18:00")
    assert ((end - start)[:3] == 6.5 * 3_600e9).all()


@pytest.mark.parametrize("calendar", ["XNYS", "24/7", "24/5"])
@pytest.mark.parametrize("frame", ["1d", "1h"])
def test_every_calendar_and_frame(calendar, frame):
    panel = simulate(SimulationSettings(instruments=3, bars=200, calendar=calendar, frame=frame), seed=0)
    assert (panel.calendar, panel.frame, panel.shape[1]) == (calendar, frame, 200)
    if frame == "1h":
        assert (panel.end - panel.start).max() == 3_600_000_000_000
    if calendar == "24/5" and frame == "1d":
        weekdays = set((panel.end // 86_400_000_000_000 + 3) % 7)
        assert weekdays == {0, 1, 2, 3, 4}


def test_close_only_and_no_volume():
    panel = simulate(SimulationSettings(instruments=3, bars=60, close_only=True, has_volume=False), seed=0)
    assert not any(panel.has(name) for name in ("open", "high", "low", "volume"))
    assert panel.has("close")
    assert simulated_bar_set(panel).close_only


def test_bar_set_has_sectors():
    panel = simulate(SimulationSettings(instruments=8, sectors=4, bars=40), seed=0)
    record = simulated_bar_set(panel)
    assert tuple(i.id for i in record.instruments) == panel.instruments
    assert len({i.sector for i in record.instruments}) == 4


def test_random_walk_is_one():
    panel = random_walk_market(4, instruments=100, bars=3_000)
    returns = simple_returns(panel)
    found, error = mean_correlation(trailing(returns, 5), returns)
    assert abs(found) < 3.3 * error
    size = np.abs(returns[:, 1:])
    assert abs(np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in size])) < 0.02


def test_random_walk_like_a_panel_keeps_its_shape():
    like = simulate(SimulationSettings(instruments=12, bars=800, close_only=True), seed=6)
    walk = random_walk_market(1, like=like)
    assert walk.instruments == like.instruments
    assert (walk.present == like.present).all()
    assert (walk.end == like.end).all()
    assert not walk.has("open")
    for i in range(12):
        a, b = (np.diff(np.log(p.field("close")[i][p.present[i]])).std() for p in (walk, like))
        assert a == pytest.approx(b, rel=0.15)


def test_sixty_names_by_two_thousand_bars_in_half_a_second():
    settings = SimulationSettings(information_coefficient=0.05)
    simulate(settings, 0)
    times = []
    for seed in range(3):
        begun = time.perf_counter()
        simulate(settings, seed)
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"bars": 1}, "bars"),
        ({"information_coefficient": 0.9}, "information_coefficient"),
        ({"information_coefficient": 0.3, "signal_bars": 100}, "out of reach"),
        ({"calendar": "MOON"}, "MOON"),
        ({"frame": "7m"}, "7m"),
        ({"bars": 20_000}, "20000"),
        ({"first_day": "1 May"}, "1 May"),
    ],
)
def test_impossible_settings_are_refused_with_a_sentence(change, word):
    with pytest.raises(ConfigError, match=word):
        simulate(SimulationSettings(**{"instruments": 3, "bars": 100, **change}), seed=0)
