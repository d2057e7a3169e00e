"""The public sweep: trades of single bars worked out by hand, the grid, threads, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from foresail.core.errors import ConfigError, DataError
from foresail.engine.sweep import FIGURES, LABEL, simulate, sweep
from foresail.engine.sweep_inputs import REASONS, Signals, SweepBars, SweepRule
from foresail.engine.sweep_replay import ReplayCase, replay
from foresail.testing.sweep_cases import column_panel, difference, paper_replay, random_case, random_columns

NAN = float("nan")


def made(rows, *, tick=0.0):
    """Return bars from (open, high, low, close) rows."""
    return SweepBars.of_columns(*np.array(rows, dtype=float).T, tick=tick)


def at(length, *places):
    flags = np.zeros(length, dtype=bool)
    flags[list(places)] = True
    return flags


def only(log, k=0):
    """Return one trade as (entry bar, exit bar, entry price, exit price, reason)."""
    return (
        int(log.entry_bar[k]),
        int(log.exit_bar[k]),
        float(log.entry_price[k]),
        float(log.exit_price[k]),
        REASONS[log.reason[k]],
    )


FLAT = (100.0, 101.0, 99.0, 100.0)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((100.0, 101.0, 95.0, 99.0), (1, 2, 100.0, 95.0, "stop")),  # the stop is met at its level
        ((94.0, 101.0, 90.0, 99.0), (1, 2, 100.0, 94.0, "stop")),  # worse of level and open
        ((100.0, 112.5, 99.0, 105.0), None),  # a target is not met by a touch
        ((100.0, 112.51, 99.0, 105.0), (1, 2, 100.0, 112.5, "target")),
        ((114.0, 115.0, 113.0, 114.0), (1, 2, 100.0, 114.0, "target")),  # the open beyond it
        ((100.0, 120.0, 90.0, 100.0), (1, 2, 100.0, 95.0, "stop")),  # both inside the bar: the stop wins
        ((114.0, 115.0, 90.0, 100.0), (1, 2, 100.0, 114.0, "target")),  # the open comes first
    ],
)
def test_a_long_position_leaves_where_the_bar_says(bar, expected):
    bars = made([FLAT, FLAT, bar, FLAT])
    log = simulate(bars, Signals(long_entry=at(4, 0)), SweepRule(stop=0.05, target=0.125, units=1))
    assert len(log) == 1
    if expected is None:
        assert int(log.exit_bar[0]) == -1
        assert np.isnan(log.exit_price[0])
    else:
        assert only(log) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        ((100.0, 105.0, 99.0, 101.0), (1, 2, 100.0, 105.0, "stop")),
        ((107.0, 108.0, 99.0, 101.0), (1, 2, 100.0, 107.0, "stop")),
        ((100.0, 101.0, 87.5, 95.0), None),
        ((100.0, 101.0, 87.4, 95.0), (1, 2, 100.0, 87.5, "target")),
        ((87.0, 120.0, 86.0, 95.0), (1, 2, 100.0, 87.0, "target")),
    ],
)
def test_a_short_position_is_the_mirror(bar, expected):
    bars = made([FLAT, FLAT, bar, FLAT])
    log = simulate(bars, Signals(short_entry=at(4, 0)), SweepRule(stop=0.05, target=0.125, units=1))
    assert (only(log) == pytest.approx(expected)) if expected else int(log.exit_bar[0]) == -1


def test_a_position_can_leave_in_the_bar_that_opened_it_and_enter_again_at_its_close():
    bars = made([FLAT, (100.0, 101.0, 90.0, 100.0), FLAT])
    log = simulate(bars, Signals(long_entry=at(3, 0, 1)), SweepRule(stop=0.05, units=1))
    assert only(log) == (1, 1, 100.0, 95.0, "stop")
    assert (int(log.entry_bar[1]), int(log.exit_bar[1])) == (2, -1)


@pytest.mark.parametrize(("high", "low", "ends"), [(112.5, 99.0, -1), (112.51, 99.0, 1), (101.0, 95.0, 1)])
def test_in_the_bar_of_entry_a_target_needs_more_than_a_touch_and_a_stop_does_not(high, low, ends):
    bars = made([FLAT, (100.0, high, low, 100.0), FLAT])
    log = simulate(bars, Signals(long_entry=at(3, 0)), SweepRule(stop=0.05, target=0.125, units=1))
    assert int(log.exit_bar[0]) == ends
    mirror = made([FLAT, (100.0, 200.0 - low, 200.0 - high, 100.0), FLAT])
    log = simulate(mirror, Signals(short_entry=at(3, 0)), SweepRule(stop=0.05, target=0.125, units=1))
    assert int(log.exit_bar[0]) == ends


def test_the_close_of_the_decision_sets_the_levels_and_a_gap_below_the_stop_leaves_at_once():
    bars = made([FLAT, (90.0, 91.0, 89.0, 90.0), FLAT])
    log = simulate(bars, Signals(long_entry=at(3, 0)), SweepRule(stop=0.05, units=1))
    assert only(log) == (1, 1, 90.0, 90.0, "stop")


def test_an_opposite_entry_turns_the_position_at_one_open():
    bars = made([FLAT, FLAT, FLAT, (102.0, 103.0, 101.0, 102.0), FLAT])
    log = simulate(bars, Signals(long_entry=at(5, 0), short_entry=at(5, 2)), SweepRule(units=2, fee=0.01))
    assert only(log) == (1, 3, 100.0, 102.0, "signal")
    assert int(log.entry_bar[1]) == 3
    assert log.units.tolist() == [2.0, -2.0]
    assert float(log.fees[0]) == pytest.approx(2 * 0.01 * 202)


def test_what_cancels_out_does_nothing():
    bars = made([FLAT] * 4)
    both = Signals(long_entry=at(4, 0), short_entry=at(4, 0))
    undecided = Signals(long_entry=at(4, 0), long_exit=at(4, 0))
    assert len(simulate(bars, both, SweepRule(units=1))) == len(simulate(bars, undecided, SweepRule(units=1))) == 0


def test_a_time_exit_counts_the_bar_of_entry():
    log = simulate(made([FLAT] * 8), Signals(long_entry=at(8, 0)), SweepRule(units=1, hold_bars=3))
    assert only(log) == (1, 4, 100.0, 100.0, "time")


@pytest.mark.parametrize(("life", "fills"), [(0, True), (3, True), (2, False)])
def test_an_order_waits_over_absent_bars_as_long_as_it_lives(life, fills):
    gone = (NAN,) * 4
    log = simulate(made([FLAT, gone, gone, FLAT]), Signals(long_entry=at(4, 0)), SweepRule(units=1, good_for_bars=life))
    assert len(log) == fills
    assert not fills or int(log.entry_bar[0]) == 3


def test_on_a_grid_prices_are_ticks_and_fees_cents_half_to_even():
    bars = made([(10.0, 10.2, 9.9, 10.03), (10.05, 10.1, 9.99, 10.0), (9.0, 9.1, 8.9, 9.0)], tick=0.01)
    log = simulate(bars, Signals(long_entry=at(3, 0)), SweepRule(stop=0.05, units=100, fee=0.0001, slippage=0.001))
    assert float(log.entry_price[0]) == 10.06  # 10.05 and one tick
    assert float(log.exit_price[0]) == 8.99  # 9.00 less one tick
    assert float(log.fees[0]) == pytest.approx(0.10 + 0.09)  # 0.1006 and 0.0899


def test_a_share_of_equity_buys_whole_lots_on_a_grid():
    bars = made([FLAT, FLAT, FLAT], tick=0.01)
    log = simulate(bars, Signals(long_entry=at(3, 0)), SweepRule(share=0.5, capital=1_050, lot=1.0))
    assert float(log.units[0]) == 5.0
    free = simulate(made([FLAT] * 3), Signals(long_entry=at(3, 0)), SweepRule(share=0.5, capital=1_050))
    assert float(free.units[0]) == 5.25


def cross(bars, *, fast, slow):
    """Return long above, short below: a slow mean against a fast one."""
    close = bars.close
    gone = np.isnan(close)
    sums = np.cumsum(np.where(gone, 0.0, close))

    def mean(n):
        out = np.full(len(close), NAN)
        out[n:] = (sums[n:] - sums[:-n]) / n
        return out

    above = mean(fast) > mean(slow)
    return Signals(long_entry=above, short_entry=~above)


def test_a_sweep_gives_the_figures_of_every_single_run_whatever_the_threads():
    rng = np.random.default_rng(3)
    bars = SweepBars.of_columns(*random_columns(rng, 400))
    grid = {"fast": (3, 5), "slow": (10, 20, 30), "stop": (0.0, 0.02), "fee": (0.0, 0.001)}
    rule = SweepRule(units=10)
    table = sweep(bars, cross, grid, rule=rule)
    assert (len(table), table.trials, table.label) == (24, 24, LABEL)
    assert list(table.parameters) == list(grid)
    for r in range(len(table)):
        row = table.row(r)
        log = simulate(
            bars, cross(bars, fast=row["fast"], slow=row["slow"]), SweepRule(units=10, stop=row["stop"], fee=row["fee"])
        )
        done = log.exit_bar >= 0
        profit = log.net_profit[done]
        closed = np.append(0.0, np.cumsum(profit))
        expected = (
            done.sum(),
            (profit > 0).sum(),
            profit.sum(),
            log.fees[done].sum(),
            (np.maximum.accumulate(closed) - closed).max(),
            (log.exit_bar - log.entry_bar)[done].sum(),
        )
        assert [row[name] for name in FIGURES] == pytest.approx(expected, abs=1e-7)
    for threads in (2, 3):
        again = sweep(bars, cross, grid, rule=rule, threads=threads)
        assert again.figures.tobytes() == table.figures.tobytes()
        assert again.parameters == table.parameters
    best = table.best("net_profit", 3)
    assert best[0]["net_profit"] == table.column("net_profit").max()
    assert all(one["label"] == "screening" and one["trials"] == 24 for one in best)


def test_a_sweep_takes_every_instrument_of_a_panel_and_counts_all_trials():
    panel = column_panel(random_columns(np.random.default_rng(4), 100))
    table = sweep(panel, cross, {"fast": (3,), "slow": (10, 20)})
    assert table.instruments == (panel.instruments[0],) * 2
    assert table.trials == 2


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: SweepRule(stop=1.0), "stop"),
        (lambda: SweepRule(fee=NAN), "fee"),
        (lambda: SweepRule(fill="magic"), "next_open, same_close"),
        (lambda: sweep(made([FLAT]), cross, {}), "at least one parameter"),
        (lambda: sweep(made([FLAT]), cross, {"fast": (1,)}, threads=0), "threads"),
        (lambda: sweep(made([FLAT] * 9), cross, {"fast": (1,), "slow": (2,)}).column("sharpe"), "net_profit"),
    ],
)
def test_wrong_settings_are_refused_by_name(action, words):
    with pytest.raises(ConfigError, match=words):
        action()


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: made([FLAT, (100.0, 101.0, 99.0, NAN)]), "bar 1.*close nan"),
        (lambda: made([FLAT, (-1.0, 101.0, 99.0, 100.0)]), "bar 1"),
        (lambda: SweepBars.of_columns(np.ones(3), np.ones(3), np.ones(2), np.ones(3)), "one length"),
        (lambda: simulate(made([FLAT] * 3), Signals(long_entry=at(4, 0)), SweepRule()), "long_entry"),
        (lambda: simulate(made([FLAT]), Signals(short_exit=np.ones(1)), SweepRule()), "short_exit"),
    ],
)
def test_wrong_data_are_refused_with_their_place(action, words):
    with pytest.raises(DataError, match=words):
        action()


def test_high_and_low_are_widened_to_open_and_close_as_at_the_venue():
    bars = made([(100.0, 99.0, 101.0, 102.0)])
    assert (bars.top[0], bars.bottom[0]) == (102.0, 100.0)


@pytest.mark.parametrize("seed", range(8))
def test_sweep_event_backtest_and_paper_give_equal_trades(seed):
    case = random_case(seed, bars=90)
    log = simulate(case.bars, case.signals, case.rule)
    events = replay(case)
    assert difference(log, events.trades) == ""
    assert difference(events.trades, paper_replay(case, seed=seed)) == ""
    assert not events.cut


@pytest.mark.parametrize("seed", range(6))
def test_a_trailing_stop_is_the_venues(seed):
    case = random_case(seed, bars=90, trails=True)
    log = simulate(case.bars, case.signals, case.rule)
    events = replay(case)
    assert difference(log, events.trades) == ""
    assert difference(events.trades, paper_replay(case, seed=seed)) == ""
    assert not events.cut


def test_a_trailing_stop_follows_what_was_known_before():
    rows = [(100, 100, 100, 100), (100, 110, 99, 109), (109, 112, 104, 111), (111, 111, 100, 101), (101,) * 4]
    rule = SweepRule(units=1.0, trail=0.05)
    # bought at 100, best 110 after bar 1: 105 is met in bar 2, whose own 112 does not count
    log = simulate(made(rows), Signals(long_entry=at(5, 0)), rule)
    assert only(log) == (1, 2, 100.0, 105.0, "stop")
    mirrored = made([(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in rows])
    assert only(simulate(mirrored, Signals(short_entry=at(5, 0)), rule)) == (1, 2, 100.0, 95.0, "stop")
    gap = made([rows[0], rows[1], (101.0, 103.0, 99.0, 100.0), rows[4]])
    assert only(simulate(gap, Signals(long_entry=at(4, 0)), rule)) == (1, 2, 100.0, 101.0, "stop")  # the open is worse
    with pytest.raises(ConfigError, match="stands in"):
        SweepRule(trail=0.05, stop=0.02)


def test_the_example_of_the_guide_runs():
    guide = Path(__file__).parents[3] / "docs" / "guide" / "backtest-speed.md"
    block = re.search(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    rng = np.random.default_rng(5)
    names = {"panel": column_panel(*(random_columns(rng, 120) for _ in range(2)))}
    exec(compile(block.group(1), str(guide), "exec"), names)
    assert names["table"].trials == 2 * 45 * 3
    assert set(names["table"].instruments) == set(names["panel"].instruments)


def test_a_replay_asks_for_one_instrument_a_tick_and_the_next_open():
    case = random_case(1, bars=30)
    with pytest.raises(ConfigError, match="next open"):
        ReplayCase(case.panel, case.signals, SweepRule(fill="same_close"))
