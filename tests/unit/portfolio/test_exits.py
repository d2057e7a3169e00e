"""EXIT-02 to 10: order of preference, ladder, trail, weekend, news."""

from decimal import Decimal

import pytest

from foresail.core.clock import to_ns
from foresail.core.errors import ConfigError
from foresail.domain.signals import Side
from foresail.portfolio.exits import (
    CLASS_EXITS,
    ExitInputs,
    choose_exit,
    crypto_ladder,
    is_crypto_weekend,
    is_near_stop,
    must_leave_for_news,
    narrowed_stop,
    trailing_stop,
)

D = Decimal
MINUTE = 60 * 10**9


def instant(text):
    from datetime import UTC, datetime

    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def test_the_signals_own_stop_comes_first_within_the_class_maximum():
    plan = choose_exit(ExitInputs(D(100), Side.BUY, "stock", signal_stop=D(99), signal_target=D(103)))
    assert (plan.stop, plan.targets[0].price, plan.stop_from) == (99, 103, "the signal's own stop")
    wide = choose_exit(ExitInputs(D(100), Side.BUY, "stock", signal_stop=D(90)))
    assert wide.stop == 98
    assert "maximum" in wide.stop_from
    assert choose_exit(ExitInputs(D(100), Side.BUY, "stock", signal_stop=D(90), may_exceed=True)).stop == 90


def test_then_the_tier_then_the_class():
    assert choose_exit(ExitInputs(D(100), Side.BUY, "stock", tier_stop=D("0.05"))).stop == 95
    assert choose_exit(ExitInputs(D(100), Side.BUY, "stock")).stop == 98
    assert choose_exit(ExitInputs(D(100), Side.BUY, "stock", signal_stop=D(96), tier_stop=D("0.05"))).stop == 96


@pytest.mark.parametrize(
    ("group", "entry", "pip", "stop", "target"),
    [
        ("stock", "100", "0", "98", "104"),
        ("crypto_major", "40000", "0", "38000", "44000"),
        ("crypto_other", "10", "0", "9.2", "11.6"),
        ("forex_major", "1.1000", "0.0001", "1.0970", "1.1060"),
        ("forex_cross", "150.00", "0.01", "149.60", "150.80"),
        ("forex_exotic", "18.0000", "0.0001", "17.9940", "18.0120"),
    ],
)
def test_class_stops_and_twice_their_distance(group, entry, pip, stop, target):
    plan = choose_exit(ExitInputs(D(entry), Side.BUY, group, D(pip)))
    assert (plan.stop, plan.targets[0].price) == (D(stop), D(target))


def test_a_short_lies_the_other_way_round():
    plan = choose_exit(ExitInputs(D(100), Side.SELL, "stock"))
    assert (plan.stop, plan.targets[0].price) == (102, 96)


def test_forex_without_a_pip_takes_two_average_true_ranges_or_refuses():
    plan = choose_exit(ExitInputs(D("1.1"), Side.BUY, "forex_major", atr=D("0.002")))
    assert plan.stop == D("1.096")
    with pytest.raises(ConfigError, match="pip"):
        choose_exit(ExitInputs(D("1.1"), Side.BUY, "forex_major"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"signal_stop": D(101)},
        {"signal_stop": D(100)},
        {"signal_target": D(99)},
        {"signal_stop": D("NaN")},
        {"signal_target": D("NaN")},
    ],
)
def test_levels_on_the_wrong_side_are_refused(wrong):
    with pytest.raises((ConfigError, ArithmeticError)):
        choose_exit(ExitInputs(D(100), Side.BUY, "stock", **wrong))


def test_unknown_groups_are_named():
    with pytest.raises(ConfigError, match="crypto_major"):
        choose_exit(ExitInputs(D(100), Side.BUY, "bonds"))
    assert set(CLASS_EXITS) == {
        "stock", "crypto_major", "crypto_other", "forex_major", "forex_cross", "forex_exotic",
    }  # fmt: skip


def test_the_ladder_of_the_specification():
    plan = crypto_ladder(choose_exit(ExitInputs(D(100), Side.BUY, "crypto_major")), D(100), D(4))
    assert [step.price for step in plan.targets] == [110, 120]
    assert sum(step.share for step in plan.targets) < D("0.667")
    assert plan.trail == 12


def test_the_trail_follows_at_three_average_true_ranges():
    assert trailing_stop(Side.BUY, D(120), D(4)) == 108
    assert trailing_stop(Side.SELL, D(80), D(4)) == 92
    with pytest.raises(ConfigError):
        trailing_stop(Side.BUY, D(10), D(4))


@pytest.mark.parametrize(
    ("at", "stop"),
    [
        ("2024-03-01 23:59:59", "95"),  # Friday
        ("2024-03-02 00:00:00", "96.5"),
        ("2024-03-03 23:59:59", "96.5"),
        ("2024-03-04 00:00:00", "95"),
    ],
)
def test_a_crypto_weekend_draws_the_stop_nearer(at, stop):
    wide = choose_exit(ExitInputs(D(100), Side.BUY, "crypto_major")).stop
    assert (narrowed_stop(wide, D(100)) if is_crypto_weekend(instant(at)) else wide) == D(stop)


def test_news_within_half_an_hour_closes():
    news = [instant("2024-03-01 13:30:00")]
    assert must_leave_for_news(news[0] - 29 * MINUTE, news)
    assert not must_leave_for_news(news[0] - 30 * MINUTE, news)
    assert not must_leave_for_news(news[0] + MINUTE, news)


def test_near_is_within_one_percent():
    assert is_near_stop(D("39890"), D("39500"))
    assert not is_near_stop(D("39900"), D("39500"))
