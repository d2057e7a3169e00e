"""SIZE-04 to 06, 10, 12, 13: worked examples and refusals."""

from decimal import Decimal

import pytest

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.portfolio.multipliers import Conditions, condition_factor
from foresail.portfolio.sizing import (
    WorstCase,
    atr_units,
    kelly_fraction,
    small_account_units,
    volatility_distance,
    worst_case_units,
)

D = Decimal


def test_atr_sizing_of_the_specification():
    assert atr_units(D(10_000), D(5)) == 20


def test_volatility_form_of_a_thousand_dollar_account():
    distance = volatility_distance(D("0.25"))
    assert distance == D("0.50")
    assert small_account_units(D(1_000), D("0.01"), distance) == 20


def test_kelly_of_the_specification():
    half = kelly_fraction(D("0.55"), D(200), D(100), share=D("0.5"))
    assert (half * 2, half, kelly_fraction(D("0.55"), D(200), D(100))) == (D("0.325"), D("0.1625"), D("0.08125"))


def test_negative_kelly_is_no_trade_and_full_kelly_is_refused():
    assert kelly_fraction(D("0.3"), D(100), D(100)) == 0
    for share in ("0.2", "0.6", "1"):
        with pytest.raises(ConfigError, match="a quarter and half"):
            kelly_fraction(D("0.55"), D(200), D(100), share=D(share))
    with pytest.raises(ConfigError, match="win rate"):
        kelly_fraction(D("1.1"), D(200), D(100))


def test_worst_case_counts_both_sides_and_the_gap():
    costs = WorstCase(slippage=D("0.001"), fee=D("0.001"), gap=D("0.02"))
    assert costs.loss(D(100), D(95)) == D(5) + D("0.2") + D(95) * D("0.022")
    units = worst_case_units(D(100), D(100), D(95), costs)
    assert units < 20
    assert units * costs.loss(D(100), D(95)) == pytest.approx(D(100))
    assert costs.loss(D(100), D(105), is_short=True) > 5
    with pytest.raises(ConfigError, match="below its entry"):
        worst_case_units(D(100), D(100), D(105), costs)
    with pytest.raises(ConfigError, match="finite"):
        WorstCase(gap=D("NaN"))


def test_conditions_multiply_in_order_and_name_themselves():
    told = condition_factor(AssetClass.STOCK, Conditions(beta=1.6, vix=26.0))
    assert told.size == D("0.49")
    assert [text.split(":")[1].split()[0] for text in told.acted] == ["beta", "VIX"]
    crypto = condition_factor(AssetClass.CRYPTO, Conditions(vix=30.0, bitcoin_volatility=0.9))
    assert (crypto.size, crypto.opens) == (D("0.35"), False)
    forex = condition_factor(AssetClass.FOREX, Conditions(vix=10.0, is_asian_session=True))
    assert (forex.size, forex.leverage) == (1, D("0.5"))


def test_limits_themselves_do_not_act_and_unknown_inputs_are_told():
    calm = condition_factor(AssetClass.STOCK, Conditions(beta=1.5, vix=25.0))
    assert (calm.size, calm.acted, calm.unknown) == (1, (), ())
    blind = condition_factor(AssetClass.FOREX, Conditions())
    assert (blind.size, blind.unknown) == (1, ("VIX", "session"))
