"""RISK-01 as data: the cells of the table, their origins, and what a class gets."""

from __future__ import annotations

import pytest

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.risk.accounts import edited, trading_limits
from foresail.risk.editing import known_limits, read_limits, trading_values
from foresail.risk.profiles import DEFAULT_PROFILE, PROFILES, comparison_exposure, profile_named

TABLE = {  # profile: risk per trade, max position, sector, total exposure, daily loss, shorting
    "nasdaq": (0.02, 0.10, None, 1.0, None, 0.0),
    "institutional": (0.01, 0.05, 0.25, 1.0, 0.02, 0.0),
    "small-account": (0.005, 0.10, None, 1.0, None, 0.0),
    "low-latency": (None, 0.05, None, 0.50, 0.02, 1.0),
    "funnel": (0.01, 0.10, None, 1.0, 0.02, 0.0),
    "multi-asset": (0.01, 0.15, 0.20, None, 0.02, 1.0),
    "conservative": (0.01, 0.15, 0.20, None, 0.02, 1.0),
    "aggressive": (0.01, 0.15, 0.20, None, 0.02, 1.0),
}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_rows_of_the_table(name):
    p = profile_named(name)
    cells = (p.risk_per_trade, p.max_position, p.sector, p.total_exposure, p.daily_loss, p.shorting)
    assert tuple(cell.value for cell in cells) == TABLE[name]


def test_every_cell_names_its_origin_and_an_empty_one_says_why():
    assert sorted(PROFILES) == sorted(TABLE)
    for profile in PROFILES.values():
        assert len(profile.rows()) == 24
        for _, cell in profile.rows():
            assert cell.origin.startswith(("RISK-01 [S", "RISK-05 [S", "RISK-07 [S"))
            assert cell.value is not None or cell.note


def test_unknown_profile_lists_the_known():
    with pytest.raises(UnknownNameError, match="multi-asset"):
        profile_named("brave")


def test_limits_by_class_of_the_default_profile():
    profile = profile_named(DEFAULT_PROFILE)
    stock, crypto, forex = (profile.limits(c) for c in (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX))
    assert (stock.class_exposure, crypto.class_exposure, forex.class_exposure) == (0.60, 0.30, 1.0)
    assert (stock.sector, crypto.sector, forex.max_positions) == (0.20, None, 3)
    assert stock.gross_exposure == 0.60
    assert forex.gross_exposure == pytest.approx(0.90)  # what the cash floor leaves
    assert stock.shorting


def test_a_profile_that_is_silent_gets_rc_01_and_the_ten_percent_warning():
    limits = profile_named("low-latency").limits(AssetClass.STOCK)
    assert limits.risk_per_trade == 0.01
    assert limits.gross_exposure == 0.50
    assert profile_named("nasdaq").limits(AssetClass.STOCK).risk_per_trade == 0.02


def test_comparison_exposure_is_what_the_strategy_can_reach():
    profile = profile_named(DEFAULT_PROFILE)
    assert comparison_exposure(profile, AssetClass.STOCK, top_k=20) == 0.60
    assert comparison_exposure(profile, AssetClass.STOCK, top_k=3) == pytest.approx(0.45)
    assert comparison_exposure(profile, AssetClass.FOREX, top_k=6) == pytest.approx(0.45)


def test_r_of_the_daily_loss_follows_the_risk_of_a_position_unless_it_is_set_itself():
    def day_limit(table):
        values = dict(read_limits(table))
        limits = edited(trading_limits("small-account"), trading_values(values)).breakers
        return limits.daily_loss_r * limits.risk_per_trade

    assert day_limit({}) == pytest.approx(0.01)  # 2 R of 0.5 %
    assert day_limit({"position.risk_per_trade": 0.0025}) == pytest.approx(0.005)
    assert day_limit({"position.risk_per_trade": 0.0025, "breakers.risk_per_trade": 0.005}) == pytest.approx(0.01)
    assert "where no stop is known" in known_limits()["position.stop_distance"]


@pytest.mark.parametrize(
    ("name", "shares"), [("conservative", (0.60, 0.10, 0.10, 0.20)), ("aggressive", (0.40, 0.30, 0.20, 0.05))]
)
def test_allocations_of_risk_07_are_profiles_and_the_crypto_cap_wins(name, shares):
    classes = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)
    limits = [profile_named(name).limits(one) for one in classes]
    assert (*(one.class_exposure for one in limits), limits[0].cash_floor) == shares
    assert [one.max_positions for one in limits] == [None, None, 3]
    assert trading_limits(name).book.crypto_exposure == shares[1]
    crypto = profile_named(name).crypto_exposure
    assert ("RC-04" in crypto.note, crypto.origin) == (
        (True, "RISK-05 [S4]") if name == "aggressive" else (False, "RISK-07 [S4]")
    )
    assert profile_named(name).limits(AssetClass.STOCK).profile == name
