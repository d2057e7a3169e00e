"""Universe(t): membership on a day, a fixed list that confesses, filters that look back only, ends told from gaps."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.actions import DelistingRule
from foresail.domain.panel import Panel
from foresail.domain.universe import Listing, Universe, UniverseBasis
from foresail.measures.delisting import endings, universe_returns, with_delisting
from foresail.measures.liquidity import tradable_members

DAY = 86_400_000_000_000
A, B, C = (instrument_id(f"stock.US.{name}") for name in "ABC")
LISTINGS = [Listing(A, date(1970, 1, 1)), Listing(B, date(1970, 1, 2), date(1970, 1, 4)), Listing(C, date(1970, 1, 1))]
UNIVERSE = Universe.point_in_time(LISTINGS, source="test")
ENDS = (np.arange(8, dtype=np.int64) * DAY) + DAY // 2


def panel(close: np.ndarray, volume: np.ndarray) -> Panel:
    names: tuple[InstrumentId, ...] = (A, B, C)[: len(close)]
    values = np.stack([close, volume], axis=2)
    return Panel(values, np.isfinite(close), ENDS - 1, ENDS, ENDS, ("close", "volume"), names, "1d", "24/7")


def test_membership_is_a_function_of_the_day() -> None:
    assert UNIVERSE(date(1970, 1, 1)) == (A, C)
    assert UNIVERSE(date(1970, 1, 4)) == (A, B, C)
    assert UNIVERSE(date(1970, 1, 5)) == (A, C)
    assert (UNIVERSE.basis, UNIVERSE.source) == (UniverseBasis.POINT_IN_TIME, "test")
    mask = UNIVERSE.mask([A, B, instrument_id("stock.US.Z")], ENDS)
    assert mask.astype(int).tolist() == [[1] * 8, [0, 1, 1, 1, 0, 0, 0, 0], [0] * 8]


@pytest.mark.parametrize("said", [None, False])
def test_a_fixed_list_must_confess(said: bool | None) -> None:
    with pytest.raises(ConfigError, match="expected survivorship_biased=True"):
        Universe.fixed([A, B], survivorship_biased=said)


def test_a_fixed_list_is_hindsight_and_never_changes() -> None:
    fixed = Universe.fixed([B, A, A], survivorship_biased=True)
    assert fixed.basis is UniverseBasis.HINDSIGHT
    assert "survivorship biased" in fixed.basis.text
    assert fixed(date(1900, 1, 1)) == fixed(date(2100, 1, 1)) == (A, B)
    assert fixed.mask([A], ENDS).all()


def test_listings_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(DataError, match="overlap on 1980-01-01"):
        Universe.point_in_time([*LISTINGS, Listing(A, date(1980, 1, 1))], source="test")
    with pytest.raises(DataError, match="before it begins"):
        Universe.point_in_time([Listing(A, date(1980, 1, 2), date(1980, 1, 1))], source="test")


def test_a_series_that_stops_is_delisted_only_where_the_listing_says_so() -> None:
    present = np.ones((3, 8), dtype=bool)
    present[1, 4:] = False  # B: listing ended
    present[2, 5:] = False  # C: still listed, bars are missing
    found = endings(present, ENDS, [A, B, C], UNIVERSE)
    assert found.last.tolist() == [7, 3, 4]
    assert found.delisted.tolist() == [False, True, False]
    assert found.gap.tolist() == [False, False, True]
    fixed = endings(present, ENDS, [A, B, C], Universe.fixed([A, B, C], survivorship_biased=True))
    assert fixed.gap.tolist() == [False, True, True]


def test_delisting_returns_count_in_the_mean_of_the_universe() -> None:
    returns = np.zeros((3, 8))
    returns[1, 4:] = np.nan
    present = np.isfinite(returns)
    found = endings(present, ENDS, [A, B, C], UNIVERSE)
    lost = with_delisting(returns, found, DelistingRule(-0.3))
    assert lost[1, 4] == -0.3
    assert np.isnan(lost[1, 5:]).all()
    member = np.ones((3, 8), dtype=bool)
    mean, count = universe_returns(lost, member)
    assert mean[4] == pytest.approx(-0.1, rel=1e-15)
    assert count.tolist() == [3, 3, 3, 3, 3, 2, 2, 2]
    survivors, _ = universe_returns(returns, member)
    assert survivors[4] == 0.0  # leaving the ended one out hides the loss
    with pytest.raises(DataError, match="shape"):
        universe_returns(returns, member[:2])


def test_filters_use_what_was_known_at_the_bar() -> None:
    rng = np.random.default_rng(5)
    close, volume = rng.uniform(1, 20, (3, 8)), rng.uniform(1, 100, (3, 8))
    close[2, :3] = np.nan
    member = UNIVERSE.mask([A, B, C], ENDS)
    kept = tradable_members(panel(close, volume), member, minimum_price=5, minimum_dollar_volume=300, window=3)
    assert kept.any()
    assert not (kept & ~member).any()
    for t in range(8):
        changed_close, changed_volume = close.copy(), volume.copy()
        changed_close[:, t + 1 :], changed_volume[:, t + 1 :] = 100.0, 1e9
        again = tradable_members(
            panel(changed_close, changed_volume), member, minimum_price=5, minimum_dollar_volume=300, window=3
        )
        np.testing.assert_array_equal(again[:, : t + 1], kept[:, : t + 1])
        recent = slice(max(0, t - 2), t + 1)
        median = np.median(close[0, recent] * volume[0, recent])
        enough = t >= 1 and median >= 300
        assert kept[0, t] == (close[0, t] >= 5 and enough)
    with pytest.raises(ConfigError, match="window"):
        tradable_members(panel(close, volume), member, window=0)
