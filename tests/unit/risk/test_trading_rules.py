"""Every rule of an account that trades, with the numbers of the specification."""

from __future__ import annotations

from decimal import Decimal as D

import numpy as np
import pytest
from tests.unit.risk.trading_world import ALT, BTC, DAY, EUR, GBP, KNOWN, NOON, A, B, funded, order, review, world

from foresail.core.errors import ConfigError
from foresail.core.ids import OrderId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import AccountLimits, BookLimits, MarketLimits, TradingLimits
from foresail.domain.orders import Fill, FillReason, OrderKind
from foresail.domain.signals import Side
from foresail.ledger.entries import CancelIntended, FillBooked, OrderIntended, TradingHalted, TradingResumed
from foresail.risk.accounts import edited
from foresail.risk.gate import RiskGate
from foresail.risk.projected import Projected
from foresail.risk.rules.conditions import condition_factors
from foresail.risk.rules.correlation import correlations
from foresail.risk.rules.day_trades import day_trade_rule
from foresail.risk.rules.leverage import LeverageCap, margin_ratio, margin_state, safe_leverage
from foresail.risk.rules.value_at_risk import ValueAtRisk

NONE = {"book__leverage": (9.0, 9.0, 20.0), "flow__submitted_per_minute": None}


def test_an_order_within_every_limit_passes_untouched():
    assert review([order()], world()) == [(10, [])]


@pytest.mark.parametrize(
    ("case", "seen", "rule"),
    [
        ("blocked", {"blocks": {A: "order x is unknown"}}, "EXEC-06 blocked instrument"),
        ("vix", {"facts": {"vix": 35.01}}, "RISK-03 VIX"),
        ("spread 51 bps", {"spreads": {A: 0.51}}, "RISK-04 liquidity"),
        ("data link", {"facts": {"data_link_silence_s": 60.1}}, "RISK-31 links and clock"),
        ("broker link", {"facts": {"broker_link_silence_s": 61.0}}, "RISK-31 links and clock"),
        ("clock", {"facts": {"clock_offset_ms": -251.0}}, "RISK-31 links and clock"),
    ],
)
def test_what_refuses_an_opening_never_stops_an_exit(case, seen, rule):
    quantity, rules = review([order()], world(**seen))[0]
    assert (quantity, rules[0]) == (0, rule), case
    assert review([order(side=Side.SELL)], world({A: 10}, **seen)) == [(10, [])], case


def test_just_within_the_limits_passes():
    facts = {"vix": 25.0, "data_link_silence_s": 60.0, "broker_link_silence_s": 60.0, "clock_offset_ms": 250.0}
    assert review([order()], world(facts=facts, spreads={A: 0.50})) == [(10, [])]


def test_where_trading_is_live_not_knowing_refuses():
    assert review([order()], world(), market__needs_links=True)[0][1] == ["RISK-31 links and clock"]
    assert review([order()], world(age=61 * 10**9), market__max_price_age_ns=60 * 10**9) == [(0, ["RISK-31 price age"])]
    assert review([order()], world(age=-1), market__max_price_age_ns=60 * 10**9)[0][0] == 0


def test_conditions_multiply_in_order():
    assert review([order()], world(facts={"vix": 25.1})) == [(7, ["SIZE-10 condition multipliers"])]
    assert review([order(quantity="100")], world(facts={"vix": 30.0, f"beta:{A}": 1.6}))[0][0] == 49  # 0.7 x 0.7
    assert review([order(BTC)], world(facts={"btc_volatility_30d": 0.81}))[0][0] == 0
    factors = condition_factors(AssetClass.STOCK, MarketLimits(), beta=1.51, vix=26.0)
    assert [factor for factor, _ in factors] == [0.7, 0.7]


def test_collar():
    inside, outside = order(limit_price=D("109.9")), order(limit_price=D("110.1"))
    assert review([inside], world()) == [(10, [])]
    assert review([outside], world()) == [(0, ["EXEC-06 price collar"])]


def test_liquidity_cuts_to_one_percent_of_volume():
    assert review([order(quantity="100")], world(volumes={A: 5000.0})) == [(50, ["RISK-04 liquidity"])]
    assert review([order()], world(volumes={A: 5000.0}), market__min_volume=5001.0)[0][0] == 0


def test_thin_hours_of_crypto_take_limit_orders_only():
    at_three = NOON - 9 * 3_600 * 10**9
    assert review([order(BTC, "1")], world(now=at_three)) == [(0, ["EXEC-04 thin hours"])]
    assert review([order(BTC, "1", limit_price=D(99))], world(now=at_three)) == [(1, [])]
    assert review([order(BTC, "1")], world()) == [(1, [])]
    assert review([order()], world(now=at_three)) == [(10, [])]


@pytest.mark.parametrize(
    ("asset_class", "volatility", "expected"),
    [
        (AssetClass.STOCK, 0.35, 1.0),
        (AssetClass.CRYPTO, 0.10, 1.8),
        (AssetClass.FOREX, 0.20, 5.0),
        (AssetClass.STOCK, 0.10, 2.0),
        (AssetClass.FOREX, float("nan"), 2.5),
    ],
)
def test_safe_leverage_of_risk_20(asset_class, volatility, expected):
    assert safe_leverage(asset_class, volatility=volatility) == expected


def test_leverage_is_off_until_it_is_raised():
    few = {"flow__submitted_per_minute": None}
    assert review([order(quantity="1500")], world(), **few) == [(1000, ["RISK-20 leverage"])]
    assert review([order(quantity="1500")], world(), book__leverage=(2.0, 1.0, 2.0), **few) == [(1500, [])]
    half = review([order(quantity="2500")], world(), book__leverage=(9.0, 1.0, 2.0), **few)
    assert half == [(1500, ["RISK-21 margin", "RISK-20 leverage"])]  # credit of half of equity
    few["book__max_margin_use"] = None
    assert review([order(quantity="2500")], world(), book__leverage=(9.0, 1.0, 2.0), **few)[0][0] == 2000  # the class
    volatile = world(facts={"portfolio_volatility": 0.35})
    assert review([order(quantity="1500")], volatile, book__leverage=(2.0, 1.0, 2.0), **few)[0][0] == 1000


def test_asian_session_halves_forex_and_weekends_unlever_crypto():
    free = {**NONE, "book__currency_risk": None, "book__max_margin_use": None}
    at_three = NOON - 9 * 3_600 * 10**9
    limits = {**free, "book__leverage": (1.0, 3.0, 10.0)}
    day, night = (
        review([order(EUR, "12000")], world(), **limits),
        review([order(EUR, "12000")], world(now=at_three), **limits),
    )
    assert (day[0][0], night[0][0]) == (10000, 5000)
    saturday = NOON + 4 * DAY
    assert review([order(BTC, "5000")], world(), **limits)[0][0] == 3000
    assert review([order(BTC, "5000")], world(now=saturday), **limits)[0][0] == 1000
    assert review([order(BTC, "5000")], world(now=saturday + 2 * DAY), **limits)[0][0] == 3000


@pytest.mark.parametrize(("hour", "units"), [(21, 10000), (22, 5000), (0, 5000), (8, 5000), (9, 10000)])
def test_the_asian_session_of_forex_is_from_22_to_09(hour, units):
    limits = {**NONE, "book__currency_risk": None, "book__max_margin_use": None, "book__leverage": (1.0, 3.0, 10.0)}
    seen = world(now=NOON + (hour - 12) * 3_600 * 10**9)
    assert review([order(EUR, "12000")], seen, **limits)[0][0] == units


def test_the_ruling_on_leverage_says_what_lowers_it():
    limits = edited(TradingLimits(), {"book.leverage": (2.0, 3.0, 10.0), "flow.submitted_per_minute": None})
    rules = (LeverageCap(limits.book),)

    def told(one, seen):
        return RiskGate((), KNOWN, trading=rules, flow=limits.flow).review([one], seen)[0][1][0].text

    night = world(now=NOON - 9 * 3_600 * 10**9, facts={"portfolio_volatility": 0.2})
    assert "limited to 2.5; the portfolio's volatility is 20%; half in the Asian session" in told(
        order(EUR, "12000"), night
    )
    assert "limited to 1; none above 1 at the weekend" in told(order(BTC, "5000"), world(now=NOON + 4 * DAY))
    wild = world(facts={"portfolio_volatility": 0.35})
    assert told(order(quantity="2500"), wild).startswith(
        "leverage of stock is limited to 1; the portfolio's volatility is 35%"
    )


def test_margin_ratio_of_risk_21():
    assert margin_ratio(100.0, 0.0) == float("inf")
    assert [margin_state(r) for r in (0.49, 0.5, 1.99, 2.0, float("inf"), float("nan"))] == [
        "close", "hold", "hold", "free", "free", "hold",
    ]  # fmt: skip
    cut = review([order(EUR, "50000")], world(), **{**NONE, "book__currency_risk": None})
    assert cut[0] == (20000, ["RISK-20 leverage", "RISK-21 margin"])
    short = review([order(quantity="1500", side=Side.SELL)], world(), **NONE)
    assert short == [(1000, ["RISK-21 margin"])]  # half of equity at 50 % a share


def test_currency_exposure_adds_losses_at_the_stop():
    cap = {**NONE, "book__max_margin_use": None}
    stop = {"stop_price": D("99")}  # one unit risks 1; 5 % of 100,000 are 5,000
    assert review([order(EUR, "6000", **stop)], world(), **cap) == [(5000, ["RISK-06 currency exposure"])]
    both = review([order(EUR, "3000", **stop), order(GBP, "6000", number=1, **stop)], world(), **cap)
    assert both[1][0] == D("2000")  # 3,000 units passed before with the same stop: 3,000 of 5,000 used


def test_altcoins_are_at_most_forty_percent_of_the_crypto_cap():
    assert review([order(ALT, "200")], world()) == [(D("120.000"), ["RISK-05 altcoin share"])]
    assert review([order(BTC, "200")], world()) == [(200, [])]


def _series(seed, correlated=None):
    rng = np.random.default_rng(seed)
    own = rng.standard_normal(260) * 0.01
    return own if correlated is None else 0.9 * correlated + 0.1 * own


def test_correlation_above_seventy_percent_cuts_by_thirty():
    first = _series(1)
    returns = {A: _series(2, first), B: first}
    held = world({B: 100}, "90000", returns=returns)  # equity 100,000: 10 % held
    assert review([order(quantity="100")], held) == [(70, ["RISK-11 correlation"])]
    assert review([order(quantity="50")], held) == [(50, [])]  # 15 % together
    assert review([order(quantity="100", side=Side.SELL)], held, **NONE) == [(100, [])]  # a hedge
    assert review([order(quantity="100")], world({B: 100}, "90000", returns={A: _series(3), B: first})) == [(100, [])]
    assert review([order(quantity="100")], world({B: 100}, "90000"), book__needs_history=True)[0][0] == 0


def test_correlation_against_numpy_and_with_gaps():
    a, b = _series(1), _series(2, _series(1))
    assert correlations(a, b[None])[0] == pytest.approx(np.corrcoef(a, b)[0, 1])
    gappy = b.copy()
    gappy[:245] = np.nan
    assert np.isnan(correlations(a, gappy[None])[0])


def test_value_at_risk_cuts_until_fifteen_percent():
    returns = {A: np.arange(-50, 50) / 1000.0 * 5}  # loses 22.525 % one day in twenty
    ((quantity, rules),) = review([order(quantity="1000")], world(returns=returns), **NONE)
    assert rules == ["RISK-14 value at risk"]
    assert float(quantity) / 1000 == pytest.approx(0.15 / 0.22525, abs=2e-3)
    assert review([order(quantity="600")], world(returns=returns), **NONE) == [(600, [])]


class Looked:
    """A world that counts looks at single days, and tells the worst of them or does not."""

    def __init__(self, seen, has_moves):
        self._seen, self._has_moves, self.looks = seen, has_moves, 0

    def __getattr__(self, name):
        return getattr(self._seen, name)

    def daily_returns(self, names):
        self.looks += 1
        return self._seen.daily_returns(names)

    def largest_moves(self, names, days):
        return self._seen.largest_moves(names, days) if self._has_moves else None


def test_the_bound_of_the_worst_days_never_changes_a_ruling():
    """It only spares the look at single days: with it and without it, an order comes out the same, cut or not."""
    rng, cut, spared = np.random.default_rng(8), 0, 0
    for _ in range(300):
        returns = {name: rng.standard_t(3, 60) * rng.uniform(0.005, 0.1) for name in (A, B)}
        returns[A][rng.integers(60)] = np.nan
        held = {B: int(rng.integers(-900, 900)) or 1}
        one = order(quantity=str(int(rng.integers(1, 2000))), side=Side.BUY if rng.random() < 0.7 else Side.SELL)
        plain, bounded = (Looked(world(held, returns=returns), has_moves) for has_moves in (False, True))
        rule = ValueAtRisk(BookLimits())
        told = [rule.review(one, Projected(seen, KNOWN)) for seen in (plain, bounded)]
        assert told[0] == told[1]
        assert plain.looks == 1
        cut += told[0].quantity < one.quantity
        spared += not bounded.looks
    assert min(cut, spared) > 20


def test_orders_per_minute_come_from_the_journal():
    state = funded()
    for i in range(119):
        state.apply(OrderIntended(NOON - 10**9, 2 + i, order(number=i, quantity="1")))
    seen = world(state=state)
    results = review([order(number=500, quantity="1"), order(B, number=501, quantity="1")], seen)
    assert results == [(1, []), (0, ["RISK-09 orders per minute"])]
    seen.now += 60 * 10**9
    assert review([order(number=500)], seen)[0][0] == 10


def test_submitted_value_per_minute():
    state = funded()
    state.apply(OrderIntended(NOON - 1, 2, order(quantity="1990")))
    assert review([order(number=1, quantity="20")], world(state=state)) == [(10, ["RISK-09 submitted per minute"])]


def test_children_never_outgrow_their_parent():
    state = funded()
    parent = order(quantity="100", number=1)
    state.apply(OrderIntended(NOON - 2, 2, parent))
    state.apply(OrderIntended(NOON - 1, 3, order(quantity="90", number=2, parent=parent.id)))
    assert review([order(quantity="20", number=3, parent=parent.id)], world(state=state)) == [
        (10, ["RISK-09 cap of a parent"])
    ]
    assert review([order(parent=OrderId("f" * 32))], world())[0][0] == 0


def test_two_strategies_never_trade_with_each_other():
    other = order(side=Side.SELL, number=7, limit_price=D(101), strategy="other")
    seen = world({A: 10}, orders=[(other, D(10))])
    assert review([order(limit_price=D("100.9"))], seen) == [(10, [])]
    assert review([order(limit_price=D(101))], seen) == [(0, ["COMP-06 self-cross"])]
    assert review([order()], seen) == [(0, ["COMP-06 self-cross"])]


def test_cancels_per_fill():
    state = funded(at=NOON - 10**9)
    for i in range(51):
        state.apply(CancelIntended(NOON - 10**6, 2 + i, OrderId(f"{i:032d}")))
    seen = world(state=state)
    assert review([order(limit_price=D(99))], seen) == [(0, ["COMP-06 cancels per fill"])]
    assert review([order()], seen) == [(10, [])]


def _fill(state, side, at, number, name=A, quantity="10", price="100"):
    fill = Fill(
        OrderId(f"{number:032d}"), name, side, D(quantity), D(price), D(price), D(0), D(0), at, FillReason.ENTRY,
        f"e{number}",
    )  # fmt: skip
    state.apply(FillBooked(at, 100 + number, fill))


def test_the_fourth_day_trade_is_stopped_at_its_opening():
    state = funded("10000", at=NOON - 10 * DAY)
    for i in range(3):
        _fill(state, Side.BUY, NOON - 2 * DAY + i, 2 * i)
        _fill(state, Side.SELL, NOON - 2 * DAY + 10 + i, 2 * i + 1)
    small = world(cash="10000", state=state, now=NOON + DAY)
    assert state.day_trades(NOON + DAY)[0] == 3
    assert review([order(quantity="1")], small) == [(0, ["SMALL-03 day trades"])]
    assert review([order(BTC, "1")], small) == [(1, [])]
    assert review([order(quantity="1")], world(cash="25000", state=state, now=NOON + DAY)) == [(1, [])]
    assert review([order(quantity="1")], small, account__is_margin=False) == [(1, [])]
    later = world(cash="10000", state=state, now=NOON + 6 * DAY)
    assert review([order(quantity="1")], later) == [(1, [])]
    rules = (("2001-09-28", "pdt"), ("2024-01-03", "intraday_margin"))
    assert review([order(quantity="1")], small, account__day_trade_rules=rules) == [(1, [])]
    free = {**NONE, "book__max_margin_use": None}
    over = review([order(quantity="500")], small, account__day_trade_rules=rules, **free)
    assert over[0] == (200, ["RISK-20 leverage", "SMALL-03 day trades"])  # 10,000 / 25 % would carry 400


def test_the_day_trade_rule_is_dated():
    limits = AccountLimits(day_trade_rules=(("2001-09-28", "pdt"), ("2026-06-04", "intraday_margin")))
    before, after = 1_780_500_000 * 10**9, 1_780_600_000 * 10**9  # 3 and 4 June 2026, New York
    assert [day_trade_rule(limits, at) for at in (before, after)] == ["pdt", "intraday_margin"]
    with pytest.raises(ConfigError, match="intraday_margin"):
        day_trade_rule(AccountLimits(day_trade_rules=(("2001-01-01", "no"),)), NOON)


def test_a_cash_account_spends_settled_funds_only():
    state = funded("1000", at=NOON - DAY)
    _fill(state, Side.BUY, NOON - DAY, 1, quantity="9")
    _fill(state, Side.SELL, NOON, 2, quantity="9")
    today, tomorrow = world(cash="1000", state=state), world(cash="1000", state=state, now=NOON + DAY)
    assert review([order(quantity="3")], today, account__is_margin=False) == [(1, ["SMALL-05 settled cash"])]
    assert review([order(quantity="3")], tomorrow, account__is_margin=False) == [(3, [])]
    assert review([order(quantity="3")], today) == [(3, [])]


def test_a_losing_position_is_not_added_to():
    state = funded(at=NOON - DAY)
    _fill(state, Side.BUY, NOON - DAY, 1, price="101")
    seen = world({A: 10}, state=state)
    assert review([order()], seen, book__averaging_down=False) == [(0, ["SMALL-01 averaging down"])]
    assert review([order()], seen) == [(10, [])]
    seen.prices[A] = 101.0
    assert review([order()], seen, book__averaging_down=False) == [(10, [])]


def test_portfolio_beta_has_an_upper_limit_and_needs_to_be_known():
    facts = {f"beta:{A}": 2.0, f"beta:{B}": 1.0}
    seen = world({B: 800}, "20000", facts=facts)
    ((quantity, rules),) = review([order(quantity="500")], seen, market__portfolio_beta=1.2, **NONE)
    assert (quantity, rules[0]) == (200, "RISK-03 portfolio beta")  # (1.2 - 0.8) x 100,000 / 2 / 100
    assert review([order()], world(), market__portfolio_beta=1.2)[0][0] == 0


def test_halts_and_resume():
    state = funded()
    state.apply(TradingHalted(NOON - 2, 3, "", "RISK-31", "kill by ann"))
    seen = world({A: 5}, state=state)
    assert review([order(), order(side=Side.SELL, quantity="5", number=1)], seen) == [
        (0, ["RISK-31 kill switch"]),
        (5, []),
    ]
    state.apply(TradingResumed(NOON - 1, 4, "", "ann", "looked"))
    assert review([order()], seen) == [(10, [])]


def test_open_and_unknown_orders_count_at_their_worst():
    waiting = order(B, "900", number=9)
    seen = world(orders=[(waiting, D(900))])
    assert review([order(quantity="200")], seen, flow__submitted_per_minute=None) == [(100, ["RISK-20 leverage"])]


def test_exits_never_take_more_than_held_less_other_exits():
    resting = order(side=Side.SELL, quantity="6", number=5, reduce_only=True, limit_price=D(120))
    seen = world({A: 10}, orders=[(resting, D(6))])
    assert review([order(side=Side.SELL, quantity="10", number=6, reduce_only=True)], seen) == [(4, ["gate exits"])]
    stop = {"kind": OrderKind.STOP, "trigger_price": D(90), "reduce_only": True, "side": Side.SELL, "group": "g"}
    pair = [order(number=1, **stop), order(number=2, **{**stop, "kind": OrderKind.LIMIT, "limit_price": D(120)})]
    assert review(pair, world({A: 10})) == [(10, []), (10, [])]  # one group: the first that fills cancels the other
    assert review([order(side=Side.SELL, reduce_only=True)], world()) == [(0, ["gate exits"])]
    turned = review([*pair, order(quantity="30000", number=3)], world({A: 10}), flow__submitted_per_minute=None)
    assert turned[2][0] <= 1010  # a group closes once: the account is flat, not short


def test_a_bracket_leaves_with_its_parent():
    parent = order(number=1)
    exits = {"parent": parent.id, "reduce_only": True, "side": Side.SELL, "group": "g", "kind": OrderKind.STOP}
    child = order(number=2, trigger_price=D(90), **exits)
    assert review([child, parent], world()) == [(10, []), (10, [])]
    refused = review([child, parent], world(facts={"vix": 40.0}))
    assert [(quantity, rules[0]) for quantity, rules in refused] == [(0, "gate exits"), (0, "RISK-03 VIX")]


def test_a_loop_of_exits_is_capped():
    state = funded()
    for i in range(600):
        state.apply(OrderIntended(NOON - 1, 2 + i, order(side=Side.SELL, number=i, quantity="1", reduce_only=True)))
    assert review([order(side=Side.SELL, number=900)], world({A: 10}, state=state)) == [(0, ["gate exits"])]


@pytest.mark.parametrize("broken", ["state", "price_age", "blocked", "memory"])
def test_a_view_that_fails_refuses_openings(broken):
    seen = world(state=None)
    if broken == "state":
        seen.state = None
    elif broken == "memory":
        seen.state.memory.submitted = None
    else:
        setattr(seen, broken, None)
    assert review([order()], seen, market__max_price_age_ns=1)[0][0] == 0
    held = world({A: 10})
    held.state = seen.state
    assert review([order(side=Side.SELL)], held)[0][0] == 10
