"""Leverage that can be used (RISK-20, RISK-23, RC-05, RC-07): the shares of positions grow with it."""

from __future__ import annotations

import dataclasses
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.risk.trading_world import ALT, EUR, A, B, order, review, world

from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.limits import BookLimits
from foresail.domain.signals import Weights
from foresail.engine.backtest import run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.execution.costs import default_costs
from foresail.ledger.entries import HoldingCharged, HoldingKind
from foresail.risk.accounts import edited, trading_limits
from foresail.risk.editing import trading_values
from foresail.risk.levered import levered_positions
from foresail.risk.profiles import PROFILES, profile_named
from foresail.risk.rules.margin import margin_of
from foresail.service.limits import LimitsRequest, show_limits
from foresail.testing.builders import bar_panel

STOCKS = tuple(InstrumentId(f"sim.S{i:02d}.A") for i in range(16))
PAIR = InstrumentId("fx.EUR-USD")
BARS = 30


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("own", [AssetClass.STOCK, AssetClass.CRYPTO])
def test_without_leverage_stocks_and_crypto_keep_every_share(name, own):
    limits = profile_named(name).limits(own)
    assert levered_positions(limits, own, trading_limits(name).book) == limits


def test_forex_has_leverage_two_and_no_cap_on_the_value_of_one_pair():
    limits = profile_named("multi-asset").limits(AssetClass.FOREX)
    levered = levered_positions(limits, AssetClass.FOREX, BookLimits())
    assert (levered.max_position, levered.class_exposure, levered.gross_exposure) == (2.0, 2.0, pytest.approx(1.8))
    off = levered_positions(limits, AssetClass.FOREX, BookLimits(leverage=(1.0, 1.0, 1.0)))
    assert (off.max_position, off.class_exposure, off.cash_floor) == (1.0, 1.0, 0.1)


def test_what_the_user_wrote_is_not_moved_and_the_class_maximum_holds():
    limits = dataclasses.replace(profile_named("multi-asset").limits(AssetClass.STOCK), max_position=0.05)
    found = levered_positions(limits, AssetClass.STOCK, BookLimits(leverage=(9, 1, 1)), {"position.max_position": 0.05})
    assert (found.max_position, found.class_exposure) == (0.05, 1.2)
    pair = profile_named("multi-asset").limits(AssetClass.FOREX)
    kept = levered_positions(pair, AssetClass.FOREX, BookLimits(), {"position.max_position", "position.class_exposure"})
    assert (kept.max_position, kept.class_exposure) == (pair.max_position, pair.class_exposure)


def test_the_share_of_altcoins_is_of_the_levered_crypto_cap():
    free = {"book__leverage": (1.0, 2.0, 2.0), "flow__submitted_per_minute": None}
    assert review([order(ALT, "500")], world(), **free)[0][0] == D("240.000")  # 40 % of 30 % x 2


def test_margin_of_forex_is_its_rate_and_no_credit_for_its_whole_value():
    assert margin_of([(EUR, 1500.0, 100.0)], -50_000.0, BookLimits()) == pytest.approx(3_000.0)
    assert margin_of([(EUR, -1500.0, 100.0)], 250_000.0, BookLimits()) == pytest.approx(3_000.0)
    assert margin_of([("stock.US.A", 1500.0, 100.0)], -50_000.0, BookLimits()) == 50_000.0
    below = margin_of([("crypto.X.BTC.perp", 100.0, -1000.0)], 200_000.0, BookLimits())
    assert below == margin_of([("crypto.X.BTC.perp", 100.0, 1000.0)], 200_000.0, BookLimits()) > 0.0  # never less
    both = [(EUR, 1000.0, 100.0), ("stock.US.A", 800.0, 100.0)]  # 100,000: of the shares 80,000 are paid for
    assert margin_of(both, -80_000.0, BookLimits()) == pytest.approx(2_000.0)
    assert margin_of(both, -110_000.0, BookLimits()) == pytest.approx(12_000.0)


class _Weights:
    """Wants the same weights at every bar."""

    spec = SimpleNamespace(id="test/levered@1", every=1, critical_inputs=())

    def __init__(self, weights):
        self._weights = tuple(weights.items())

    def start(self):
        return {}

    def step(self, state, view):
        return [Weights(self._weights)]


def backtest(weights, own, values, prices, profile="multi-asset"):
    """Return a backtest in which the same weights are wanted at every bar."""
    step = 0.0002 if own is AssetClass.FOREX else 0.002
    closes = {name: [price * (1 + step * (t % 2)) for t in range(BARS)] for name, price in prices.items()}
    bars = bar_panel(closes, fields={"volume": {name: [5e7] * BARS for name in closes}})
    bar_set = simulated_bar_set(bar_panel({STOCKS[0]: [1.0]}))
    if own is AssetClass.FOREX:
        records = tuple(Instrument(n, n, own, tick=D("0.00001"), lot=D(1000)) for n in bars.instruments)
        bar_set = dataclasses.replace(bar_set, instruments=records, asset_class=own)
    else:
        bar_set = simulated_bar_set(bars)
    assert isinstance(bar_set, BarSet)
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(
        np.empty((len(closes), 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ()
    )
    data = MarketData(bars, bar_set, {}, np.full(len(closes), BARS), None)
    asked = PipelineSettings(
        capital=D(100_000),
        horizons=(1,),
        decision_horizon=1,
        targets=("close",),
        profile=profile,
        limits=tuple(sorted(values.items())),
    )
    inputs = BacktestInputs(data, asked, bars, {}, WalkForward(block, ()), 252.0)
    limits = edited(trading_limits(profile, asset_class=own), trading_values(values))
    return run_backtest(inputs, strategy=_Weights(weights), first=0, limits=limits)


def gross(*asked):
    """Return the largest gross exposure of a backtest, fraction of equity, and the rules that cut an order."""
    book = backtest(*asked)
    return float(book.exposure.max()), {ruling.rule for one in book.orders for ruling in one.rulings}


EACH = dict.fromkeys(STOCKS, 0.095)  # 1.52 of equity
AT_100 = dict.fromkeys(STOCKS, 100.0)
MANY = {"breakers.trades_per_day": None}


def test_stocks_reach_one_and_a_half_where_leverage_is_raised_and_not_before():
    values = {**MANY, "book.leverage": (2.0, 1.0, 2.0), "book.max_margin_use": None}
    reached, rules = gross(EACH, AssetClass.STOCK, values, AT_100, "nasdaq")
    assert 1.5 < reached < 1.55
    assert rules == set()
    assert gross(EACH, AssetClass.STOCK, MANY, AT_100, "nasdaq")[0] < 1.01
    assert 1.1 < gross(EACH, AssetClass.STOCK, values, AT_100)[0] < 1.22  # twice the 60 % of ``multi-asset``
    low = {**values, "position.class_exposure": 0.5}
    assert gross(EACH, AssetClass.STOCK, low, AT_100)[0] < 0.51


@pytest.mark.parametrize("most", [None, 0.5, 0.2, 0.0])
def test_credit_counts_towards_the_use_of_margin(most):
    wide = {**MANY, "book.leverage": (2.0, 1.0, 2.0), "book.max_margin_use": most}
    book = backtest(dict.fromkeys(STOCKS, 0.12), AssetClass.STOCK, wide, AT_100, "nasdaq")  # 1.92 of equity
    credit = float((np.maximum(0.0, -book.cash) / book.net).max())
    cut = {ruling.rule for one in book.orders for ruling in one.rulings}
    if most is None:
        assert credit > 0.9
        assert "RISK-21 margin" not in cut
    else:
        assert most - 0.01 < credit < most + 0.01  # prices move by a fifth of a percent, and equity by costs
        assert "RISK-21 margin" in cut


@pytest.mark.parametrize(
    ("short", "wanted", "left", "rules"),
    [(0, 800, 800, []), (0, 1600, 1500, ["RISK-21 margin"]), (1000, 1000, 1000, []), (1200, 800, 800, [])],
)
def test_what_cash_pays_for_needs_no_margin(short, wanted, left, rules):
    free = {"book__leverage": (2.0, 1.0, 2.0), "flow__submitted_per_minute": None}
    held = world({B: -short} if short else None, str(100_000 + 100 * short))  # 50 or 60 % stand for the short sale
    assert review([order(A, str(wanted))], held, **free) == [(left, rules)]


def test_forex_reaches_one_and_a_half_by_default_and_one_where_leverage_is_taken_off():
    reached, _ = gross({PAIR: 1.5}, AssetClass.FOREX, {}, {PAIR: 1.1})
    assert 1.45 < reached < 1.55
    off, rules = gross({PAIR: 1.5}, AssetClass.FOREX, {"book.leverage": (1.0, 1.0, 1.0)}, {PAIR: 1.1})
    assert 0.85 < off < 1.0
    assert isinstance(rules, set)


def test_what_is_bought_on_credit_costs_interest_and_own_money_and_forex_none():
    values = {**MANY, "book.leverage": (2.0, 1.0, 2.0)}
    book = backtest(EACH, AssetClass.STOCK, values, AT_100, "nasdaq")
    paid = [one for one in book.journal if isinstance(one, HoldingCharged)]
    assert {one.kind for one in paid} == {HoldingKind.MARGIN}
    assert {one.instrument for one in paid} == {None}
    credit = np.maximum(0.0, -book.cash)
    assert 45_000 < credit.max() < 60_000
    rate = float(default_costs(AssetClass.STOCK, PriceBasis.RAW).borrow_per_year)
    span = (book.journal[-1].at - book.journal[0].at) / (365.25 * 86_400e9)
    assert float(sum(one.amount for one in paid)) == pytest.approx(rate * credit.mean() * span, rel=0.15)
    for asked in ((EACH, AssetClass.STOCK, MANY, AT_100, "nasdaq"), ({PAIR: 1.5}, AssetClass.FOREX, {}, {PAIR: 1.1})):
        kinds = {one.kind for one in backtest(*asked).journal if isinstance(one, HoldingCharged)}
        assert HoldingKind.MARGIN not in kinds


def test_foresail_limits_shows_what_leverage_makes_of_the_shares(tmp_path):
    config = tmp_path / "foresail.toml"
    config.write_text("version = 1\n[limits]\nbook.leverage = [2.0, 1.0, 2.0]\nposition.max_position = 0.05\n")
    shown = show_limits(LimitsRequest("multi-asset", config, "stock"))
    assert shown.document["under_leverage"] == {
        "position.class_exposure": 1.2, "position.cash_floor": pytest.approx(-0.8),
    }  # fmt: skip
    assert any("position.class_exposure 1.2" in line for line in shown.lines)
    config.write_text("version = 1\n")
    assert show_limits(LimitsRequest("multi-asset", config, "stock")).document["under_leverage"] == {}
