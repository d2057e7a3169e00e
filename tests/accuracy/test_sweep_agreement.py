"""Sweep, event backtest and paper replay give equal trades on 500 random strategies.

Each is a random market of 160 bars (gaps, jumps, absent bars), random signals on one or both sides, random stop,
target, time exit, fees, slippage and size. Paper loses power once, at a random event, and is opened again. Prices,
units, fees and bars of every trade must be equal; so must what happened: signal, stop, target.
"""

import collections
import sys

import numpy as np
import pytest

from foresail.engine.sweep import simulate
from foresail.engine.sweep_inputs import REASONS
from foresail.engine.sweep_replay import replay
from foresail.engine.sweep_weights import WeightRule, simulate_panel_weights
from foresail.testing.sweep_cases import (
    column_panel,
    difference,
    paper_replay,
    random_case,
    random_columns,
    weights_replay,
)

pytestmark = pytest.mark.accuracy
CASES, TRAILING, PORTFOLIOS = 500, 200, 40


def test_sweep_event_backtest_and_paper_agree_on_500_random_strategies():
    told = collections.Counter()
    wrong = []
    for seed in range(1000, 1000 + CASES):
        case = random_case(seed)
        log = simulate(case.bars, case.signals, case.rule)
        events = replay(case)
        paper = paper_replay(case, seed=seed)
        found = difference(log, events.trades) or difference(events.trades, paper)
        if found:
            wrong.append((seed, found))
        told.update(REASONS[reason] for reason in log.reason.tolist())
        told.update({"short": int((log.units < 0).sum()), "same bar": int((log.exit_bar == log.entry_bar).sum())})
    lines = [f"\n{CASES} strategies, {sum(told[name] for name in REASONS)} trades, {len(wrong)} differ"]
    lines += [f"  {name:<10}{count:>7}" for name, count in sorted(told.items())]
    sys.stdout.write("\n".join(lines) + "\n")
    assert not wrong, wrong[:5]
    assert min(told[name] for name in (*REASONS, "short", "same bar")) > 100


def test_trailing_stops_agree_on_200_random_strategies():
    told = collections.Counter()
    wrong = []
    for seed in range(5000, 5000 + TRAILING):
        case = random_case(seed, trails=True)
        log = simulate(case.bars, case.signals, case.rule)
        events = replay(case)
        found = difference(log, events.trades) or difference(events.trades, paper_replay(case, seed=seed))
        if found:
            wrong.append((seed, found))
        told.update(REASONS[reason] for reason in log.reason.tolist())
    lines = [f"\n{TRAILING} strategies with trailing stops, {sum(told.values())} trades, {len(wrong)} differ"]
    lines += [f"  {name:<10}{count:>7}" for name, count in sorted(told.items())]
    sys.stdout.write("\n".join(lines) + "\n")
    assert not wrong, wrong[:5]
    assert told["stop"] > 500


def test_portfolios_on_lots_agree_with_the_event_engine():
    fills = 0
    for seed in range(PORTFOLIOS):
        rng = np.random.default_rng(seed)
        columns = [np.array(random_columns(rng, 60)) for _ in range(5)]
        for one in columns:
            one[:, 1 + np.flatnonzero(rng.random(59) < 0.05)] = np.nan
        panel = column_panel(*(tuple(one) for one in columns))
        weights = np.cumsum(0.2 * rng.standard_normal((5, 60)), axis=1)
        weights /= np.abs(weights).sum(axis=0) / rng.uniform(0.3, 1.5)
        weights[rng.random((5, 60)) < 0.3] = np.nan
        rule = WeightRule(capital=100_000, fee=float(rng.choice((0.0, 0.001))), slippage=0.0005, tick=0.01)
        run = simulate_panel_weights(panel, weights, rule)
        driver, traded = weights_replay(panel, weights, rule)
        np.testing.assert_array_equal(run.traded, traded)
        np.testing.assert_allclose(run.equity, driver.net, atol=1e-6)
        fills += np.count_nonzero(traded)
    sys.stdout.write(f"\n{PORTFOLIOS} portfolios, {fills} fills, every one equal\n")
    assert fills > 5_000
