"""The screening sweep: one strategy over all combinations of its parameters, compiled, on several threads.

It is for finding what deserves a backtest. Its money is float64, it knows one instrument at a time, no gate, no limits,
no borrow, no corporate actions; so every table is labelled ``screening``, every combination counts as a trial, and a
result is confirmed by ``engine.sweep_replay`` before anything is said about it. The trades are those of the event
engine: docs/guide/backtest-speed.md says under which conditions, and the tests compare them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.sweep_inputs import Signals, SweepBars, SweepRule, TradeLog
from foresail.execution.simulated import sweep_fills as room
from foresail.execution.simulated import sweep_signals as kernel

__all__ = ["FIGURES", "LABEL", "SignalFunction", "SweepTable", "simulate", "sweep"]

LABEL = "screening"
FIGURES = ("trades", "winners", "net_profit", "fees", "closed_drawdown", "bars_held")
_RULE_FIELDS = frozenset(one.name for one in fields(SweepRule))
_PIECES = 4  # of a thread: rules take different times

SignalFunction = Callable[..., Signals]  # (bars, **parameters) -> signals; must not read past the bar it speaks about


@dataclass(frozen=True, slots=True, eq=False)
class SweepTable:
    """What came of a sweep: a row for each instrument and combination, in the order of the grid.

    Attributes
    ----------
    instruments : (R,) names
    parameters : name -> (R,) values
    figures : (R, 6), by ``FIGURES``: trades closed, winners, net profit, fees, largest fall of closed equity, bars held
    trials : how many combinations were tried: each one counts when the best is judged
    label : always ``screening``
    """

    instruments: tuple[InstrumentId, ...]
    parameters: dict[str, tuple[Any, ...]]
    figures: FloatArray
    trials: int
    label: str = LABEL

    def __len__(self) -> int:
        return len(self.figures)

    def column(self, name: str) -> FloatArray:
        """Return one figure, (R,).

        Raises
        ------
        ConfigError
            If there is no such figure.
        """
        if name not in FIGURES:
            raise ConfigError(f"unknown figure {name!r}; known: {', '.join(FIGURES)}")
        column: FloatArray = self.figures[:, FIGURES.index(name)]
        return column

    def best(self, name: str = "net_profit", count: int = 10) -> tuple[dict[str, Any], ...]:
        """Return the rows with the largest values of a figure, the earlier of equal ones first."""
        order = np.argsort(-self.column(name), kind="stable")[:count]
        return tuple(self.row(int(r)) for r in order)

    def row(self, r: int) -> dict[str, Any]:
        """Return one row as names and values."""
        told = {name: values[r] for name, values in self.parameters.items()}
        numbers = dict(zip(FIGURES, self.figures[r].tolist(), strict=True))
        return {"instrument": self.instruments[r], **told, **numbers, "label": self.label, "trials": self.trials}


def simulate(bars: SweepBars, signals: Signals, rule: SweepRule) -> TradeLog:
    """Return the trades of one run.

    Parameters
    ----------
    bars : T bars of one instrument
    signals : decided at the close of each bar
    rule : how they become trades

    Notes
    -----
    Timing: a decision at the close of bar t fills at the open of the next bar that there is.
    """
    log, values = kernel.simulate_signals(bars.columns, signals.columns(len(bars)), rule.numbers(bars.tick))
    bought, sold, units = values[room.V_BOUGHT], values[room.V_SOLD], values[room.V_UNITS]
    if bars.tick > 0.0:
        bought, sold, units = bought * bars.tick, sold * bars.tick, units * rule.lot
    return TradeLog(
        entry_bar=log[room.L_ENTRY],
        exit_bar=log[room.L_EXIT],
        reason=log[room.L_REASON],
        entry_price=bought,
        exit_price=sold,
        units=units,
        fees=values[room.V_FEES],
    )


def sweep(
    panel: Panel | SweepBars,
    signals: SignalFunction,
    grid: Mapping[str, Sequence[Any]],
    *,
    rule: SweepRule | None = None,
    threads: int = 1,
) -> SweepTable:
    """Run every combination of the grid and return the figures of each.

    Parameters
    ----------
    panel : every instrument of a panel is swept by itself; or the bars of one
    signals : called with bars and those parameters that are no field of ``SweepRule``, once for each combination of
        these; must be safe to call from several threads
    grid : parameter -> its values; ``stop``, ``target``, ``hold_bars`` and every other field of the rule may be among
        them
    rule : what the grid does not vary
    threads : that work side by side; the table does not depend on it

    Raises
    ------
    ConfigError
        If a parameter has no values, or there are no parameters.
    """
    if not grid or not all(len(values) for values in grid.values()):
        raise ConfigError(
            "expected at least one parameter, each with at least one value", hint='{"stop": (0.02, 0.04)}'
        )
    if threads < 1:
        raise ConfigError(f"expected threads >= 1, received {threads}")
    plan = _plan(grid, SweepRule() if rule is None else rule)
    table = np.zeros((0, kernel.M_WIDTH))
    names: list[InstrumentId] = []
    for name, bars in _each(panel):
        table = np.concatenate((table, _sweep_one(bars, signals, plan, threads)))
        names += [name] * plan.rows
    repeat = len(table) // plan.rows
    parameters = {name: values * repeat for name, values in plan.columns.items()}
    return SweepTable(tuple(names), parameters, table, trials=len(table))


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """The grid by combinations of signal parameters: each with the rows of the table and the rules that share it."""

    rows: int
    columns: dict[str, tuple[Any, ...]]
    groups: tuple[tuple[dict[str, Any], tuple[int, ...], tuple[SweepRule, ...]], ...]


def _plan(grid: Mapping[str, Sequence[Any]], rule: SweepRule) -> _Plan:
    names = list(grid)
    combinations = list(itertools.product(*(grid[name] for name in names)))
    of_rule = [i for i, name in enumerate(names) if name in _RULE_FIELDS]
    of_signals = [i for i, name in enumerate(names) if name not in _RULE_FIELDS]
    groups: dict[tuple[Any, ...], list[int]] = {}
    known: dict[tuple[Any, ...], SweepRule] = {}  # every group of signals has the same rules: each is made once
    rule_of = []
    for r, values in enumerate(combinations):
        groups.setdefault(tuple([values[i] for i in of_signals]), []).append(r)
        chosen = tuple([values[i] for i in of_rule])
        if chosen not in known:
            known[chosen] = rule.with_values({names[i]: values[i] for i in of_rule})
        rule_of.append(known[chosen])
    made = [
        (
            {names[i]: value for i, value in zip(of_signals, key, strict=True)},
            tuple(rows),
            tuple([rule_of[r] for r in rows]),
        )
        for key, rows in groups.items()
    ]
    columns = dict(zip(names, zip(*combinations, strict=True), strict=True))
    return _Plan(len(combinations), columns, tuple(made))


def _each(panel: Panel | SweepBars) -> list[tuple[InstrumentId, SweepBars]]:
    if isinstance(panel, SweepBars):
        return [(InstrumentId(""), panel)]
    return [(name, SweepBars.of_panel(panel, name)) for name in panel.instruments]


def _sweep_one(bars: SweepBars, signals: SignalFunction, plan: _Plan, threads: int) -> FloatArray:
    """Return (rows, M_WIDTH): jobs are groups, cut where there are fewer of them than threads."""
    table = np.zeros((plan.rows, kernel.M_WIDTH))
    made = {id(one): one for _, _, rules in plan.groups for one in rules}
    known = {key: one.numbers(bars.tick) for key, one in made.items()}

    def work(job: tuple[dict[str, Any], tuple[int, ...], tuple[SweepRule, ...]]) -> None:
        parameters, rows, rules = job
        columns = signals(bars, **parameters).columns(len(bars))
        numbers = [known[id(one)] for one in rules]
        stacked = np.stack([one[0] for one in numbers]), np.stack([one[1] for one in numbers])
        figures = np.zeros((len(rows), kernel.M_WIDTH))
        kernel.summarise_many(bars.columns, columns, stacked, figures)
        table[list(rows)] = figures

    jobs = _cut(plan, threads)
    if threads == 1:
        for job in jobs:
            work(job)
        return table
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, job) for job in jobs]:
            done.result()
    return table


def _cut(plan: _Plan, threads: int) -> list[tuple[dict[str, Any], tuple[int, ...], tuple[SweepRule, ...]]]:
    if len(plan.groups) >= 2 * threads:
        return list(plan.groups)
    out = []
    for parameters, rows, rules in plan.groups:
        size = -(-len(rows) // (_PIECES * threads))
        out += [(parameters, rows[k : k + size], rules[k : k + size]) for k in range(0, len(rows), size)]
    return out
