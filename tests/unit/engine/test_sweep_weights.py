"""Target weights in the compiled sweep: against plain loops, against the event engine, and on a fine grid."""

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError
from foresail.engine.sweep_weights import WeightRule, simulate_panel_weights, simulate_weights, warm_sweeps
from foresail.testing.sweep_cases import column_panel, random_columns, weights_replay

NAN = float("nan")


def market(seed, n=6, t=60, absent=0.0):
    """Return closes (N, T) and drifting weights (N, T)."""
    rng = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(0.02 * rng.standard_normal((n, t)), axis=1))
    closes[rng.random((n, t)) < absent] = NAN
    weights = np.cumsum(0.2 * rng.standard_normal((n, t)), axis=1)
    return closes, weights / np.abs(weights).sum(axis=0)


def plainly(closes, weights, rule):
    """Return (equity, units traded) by the words of the rule: sales, then purchases from the smallest value on."""
    n, t = closes.shape
    held, last, cash = [0.0] * n, [0.0] * n, rule.capital
    equity, traded = [], np.zeros((n, t))
    for now in range(t):
        for i in range(n):
            last[i] = last[i] if np.isnan(closes[i, now]) else closes[i, now]
        worth = cash + sum(h * p for h, p in zip(held, last, strict=True))
        orders = []
        for i in range(n):
            if not (np.isnan(weights[i, now]) or np.isnan(closes[i, now])):
                units = weights[i, now] * worth / last[i] - held[i]
                orders.append((weights[i, now] * worth - held[i] * last[i], i, units))
        for _value, i, asked in sorted(orders):
            price = last[i] * (1 + rule.slippage * (1 if asked > 0 else -1))
            units = min(asked, cash / (1 + rule.fee) / price) if asked > 0 else asked
            held[i] += units
            cash -= units * price + abs(units) * price * rule.fee
            traded[i, now] = units
        equity.append(cash + sum(h * p for h, p in zip(held, last, strict=True)))
    return np.array(equity), traded


@pytest.mark.parametrize("sides", ["long and short", "long, all cash used"])
@pytest.mark.parametrize("absent", [0.0, 0.1])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_the_close_it_equals_plain_loops(seed, absent, sides):
    closes, weights = market(seed, absent=absent)
    if sides != "long and short":
        weights = np.abs(weights) / np.abs(weights).sum(axis=0)
    weights[0, 5:20] = NAN
    rule = WeightRule(capital=10_000, fee=0.001, slippage=0.0005, fill="same_close")
    run = simulate_weights(closes, weights, rule)
    equity, traded = plainly(closes, weights, rule)
    np.testing.assert_allclose(run.equity, equity, rtol=1e-11)
    np.testing.assert_allclose(run.traded, traded, atol=1e-7)
    np.testing.assert_allclose(run.traded.sum(axis=1), run.units, atol=1e-7)
    assert run.label == "screening"


def test_cash_that_does_not_suffice_cuts_the_largest_purchase():
    closes = np.full((3, 1), 10.0)
    weights = np.array([[0.3], [0.5], [0.4]])
    run = simulate_weights(closes, weights, WeightRule(capital=1_000, fee=0.01, fill="same_close"))
    np.testing.assert_allclose(run.traded[:, 0], [30.0, (1_000 - 70 * 10 * 1.01) / 10.1, 40.0])
    assert run.cash[0] == 0.0


@pytest.mark.parametrize("seed", [4, 5])
def test_a_tiny_lot_gives_the_trades_of_fractions(seed):
    closes, weights = market(seed)
    closes = np.round(closes, 2)
    rule = {"capital": 1e6, "fee": 0.001, "fill": "same_close"}
    free = simulate_weights(closes, weights, WeightRule(**rule))
    grid = simulate_weights(closes, weights, WeightRule(**rule, tick=0.01, lot=1e-6, minor_unit=1e-8))
    np.testing.assert_allclose(grid.traded, free.traded, atol=2e-5)
    np.testing.assert_allclose(grid.equity, free.equity, rtol=1e-9)


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("seed", [6, 7])
def test_on_lots_at_the_next_open_it_equals_the_event_engine(seed, absent):
    rng = np.random.default_rng(seed)
    columns = [np.array(random_columns(rng, 40)) for _ in range(4)]
    if absent:
        for one in columns:
            one[:, 1 + np.flatnonzero(rng.random(39) < 0.1)] = NAN
    panel = column_panel(*(tuple(one) for one in columns))
    _, weights = market(seed, 4, 40)
    weights[1, 10:15] = NAN
    rule = WeightRule(capital=100_000, fee=0.0015, slippage=0.0005, tick=0.01, lot=1.0)
    run = simulate_panel_weights(panel, weights, rule)
    driver, traded = weights_replay(panel, weights, rule)
    np.testing.assert_array_equal(run.traded, traded)
    np.testing.assert_allclose(run.cash, driver.cash, atol=1e-6)
    np.testing.assert_allclose(run.equity, driver.net, atol=1e-6)
    assert run.fees == pytest.approx(float(driver.core.books.totals().fees), abs=1e-6)
    assert np.count_nonzero(traded) > 50


def test_an_account_that_is_worth_nothing_trades_no_more():
    closes = np.array([[10.0, 25.0, 10.0, 10.0]])
    weights = np.array([[-0.9, NAN, 0.5, 0.5]])
    run = simulate_weights(closes, weights, WeightRule(capital=1_000, fill="same_close"))
    assert run.equity[1] < 0
    assert run.traded[0].tolist() == [-90.0, 0.0, pytest.approx(50.0 + 90.0), 0.0]


@pytest.mark.parametrize(
    ("error", "words", "action"),
    [
        (ConfigError, "need opens", lambda c, w: simulate_weights(c, w, WeightRule())),
        (ConfigError, "same_close", lambda c, w: simulate_weights(c, w, WeightRule(fill="never"))),
        (ConfigError, "fee", lambda c, w: WeightRule(fee=1.5)),
        (ConfigError, "lot", lambda c, w: WeightRule(lot=0.0)),
        (DataError, "one shape", lambda c, w: simulate_weights(c, w[:, 1:], WeightRule(fill="same_close"))),
        (DataError, "positive", lambda c, w: simulate_weights(-c, w, WeightRule(fill="same_close"))),
        (DataError, "weight", lambda c, w: simulate_weights(c, w / 0.0, WeightRule(fill="same_close"))),
    ],
)
def test_what_is_wrong_is_refused_by_name(error, words, action):
    closes, weights = market(1)
    with np.errstate(divide="ignore"), pytest.raises(error, match=words):
        action(closes, weights)


def test_sweeps_are_warmed_without_a_word():
    assert warm_sweeps() is None


def test_it_equals_vectorbt_where_that_is_installed():
    vectorbt = pytest.importorskip("vectorbt", reason="pip install vectorbt, to compare with it")
    closes, weights = market(9, 20, 120)
    run = simulate_weights(closes, weights, WeightRule(fee=0.001, slippage=0.0005, fill="same_close"))
    peer = vectorbt.Portfolio.from_orders(
        closes.T, size=weights.T, size_type="targetpercent", group_by=True, cash_sharing=True, call_seq="auto",
        fees=0.001, slippage=0.0005, init_cash=100_000.0,
    )  # fmt: skip
    np.testing.assert_allclose(run.equity, np.asarray(peer.value()).ravel(), rtol=1e-12)
