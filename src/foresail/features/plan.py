"""Turn expressions into programs: which rows, states and rings each step uses, and in which passes they run.

1. Every expression has a level: 0 if it needs bars, references and calendar only; one more for each market-wide
   number it is built on (a beta needs the market's mean return first).
2. Per level: one lane program (all instruments apart), then one row program (all instruments at one time).
3. Within a lane program nodes are laid out in the order they are first needed; equal nodes appear once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.features.expressions import BAR, Cross, Expression, Node, Ref, Series
from foresail.features.kernels import _layout as at
from foresail.features.kernels.build import ROW_OPS, STEPS

__all__ = [
    "DeclaredMemory",
    "LaneProgram",
    "Plan",
    "Stage",
    "declared_memory",
    "lane_program",
    "level_of",
    "make_plan",
    "memory_of",
    "nodes_of",
    "ready_of",
]


@dataclass(frozen=True, slots=True, eq=False)
class LaneProgram:
    """A lane program and the memory it needs, in rows of ``LANES`` numbers.

    Attributes
    ----------
    lines : (L, ARGS) int64; reals : (L,) float64
    outputs : (O, 2) int64, (work row, output column)
    series_rows : (S,) int64, work row of each series, -1 where unused
    given_rows : (G,) int64, work row of each given number, -1 where unused
    rows : (C,) int64, work row of every output column, -1 where another pass fills it; empty where earlier passes have
    """

    lines: IntArray
    reals: FloatArray
    outputs: IntArray
    series_rows: IntArray
    given_rows: IntArray
    rows: IntArray
    work: int
    clocks: int
    states: int
    rings: int


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One level: lanes, then rows ((R, 4) int64 lines of op, source, target, 0)."""

    lanes: LaneProgram
    rows: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything a driver needs to run a set of features.

    Attributes
    ----------
    columns : output columns, the wanted ones first, then ``columns - wanted`` intermediate ones
    series : what each column of the series matrix holds
    givens : names of the numbers per instrument that come from outside, sorted
    reference : lane program per reference name, writing series columns
    """

    stages: tuple[Stage, ...]
    wanted: int
    columns: int
    series: tuple[Series, ...]
    givens: tuple[str, ...]
    reference: tuple[tuple[str, LaneProgram], ...]


def nodes_of(value: Expression | Series | Node) -> list[Node]:
    """Return every node below an expression, inputs before users."""
    found: dict[Node, None] = {}

    def visit(item: Expression | Series | Node | None) -> None:
        if item is None:
            return
        if isinstance(item, Cross | Series):
            visit(item.source)
        elif isinstance(item, Ref):
            visit(item.node)
        elif item not in found:
            visit(item.series)
            for ref in item.inputs:
                visit(ref)
            if isinstance(item.clock, Node):
                visit(item.clock)
            found[item] = None

    visit(value)
    return list(found)


def level_of(value: Expression | Series | Node) -> int:
    """Return how many market-wide numbers must be known first."""
    if isinstance(value, Cross):
        source = value.source
        if isinstance(source, Series):
            return max(level_of(source) - 1, 0) if source.kind.startswith("market") else 0
        return level_of(source)
    if isinstance(value, Series):
        return 1 + level_of(value.source) if value.source is not None and value.kind.startswith("market") else 0
    if isinstance(value, Ref):
        return level_of(value.node)
    below = [level_of(ref) for ref in value.inputs]
    below += [level_of(value.clock)] if isinstance(value.clock, Node) else []
    below += [level_of(value.series)] if value.series is not None else []
    return max(below, default=0)


def ready_of(value: Expression | Series) -> int:
    """Return the bars until an expression can be defined."""
    return max((n.ready for n in nodes_of(value)), default=1)


def memory_of(value: Expression) -> str:
    """Return the strongest memory below an expression: finite, recursive or cumulative."""
    kinds = {n.memory for n in nodes_of(value) if n is not BAR}
    return next((k for k in ("cumulative", "recursive", "finite") if k in kinds), "finite")


@dataclass(frozen=True, slots=True)
class DeclaredMemory:
    """What an expression remembers of one instrument, however many bars have passed.

    Attributes
    ----------
    ring_bars : past values kept, over all rings (each a power of two that holds its longest look-back and a chunk of
        bars), and the tails of extremes
    states : numbers kept beside them: sums, means, extremes, the running factor and split of the bar
    counters : clocks whose bars are counted
    """

    ring_bars: int
    states: int
    counters: int


def declared_memory(value: Expression) -> DeclaredMemory:
    """Return what a driver of this one expression keeps of one instrument."""
    plan = make_plan([value])
    programs = [stage.lanes for stage in plan.stages if stage.lanes.outputs.shape[0]]
    programs += [program for _, program in plan.reference]
    rings = sum(int((p.lines[p.lines[:, at.OP] == STEPS["push"], at.MASK] + 1).sum()) for p in programs)
    rings += sum(int(p.lines[p.lines[:, at.OP] == STEPS["rolling_extreme"], at.WINDOW].sum()) for p in programs)
    return DeclaredMemory(rings, sum(p.states for p in programs), sum(p.clocks for p in programs))


@dataclass(slots=True)
class _Builder:
    """Allocates rows for one lane program."""

    series_index: dict[Series, int]
    given_index: dict[str, int]
    lines: list[list[int]] = field(default_factory=list)
    reals: list[float] = field(default_factory=list)
    rows: dict[Node, int] = field(default_factory=dict)
    clock_ids: dict[Node, int] = field(default_factory=dict)
    rings: dict[tuple[Ref, int], tuple[int, int]] = field(default_factory=dict)
    runs: dict[tuple[Ref, int, int], int] = field(default_factory=dict)
    lengths: dict[tuple[Ref, int | Node], int] = field(default_factory=dict)
    series_rows: dict[int, int] = field(default_factory=dict)
    given_rows: dict[int, int] = field(default_factory=dict)
    work: int = at.RAW_ROWS
    states: int = 0
    ring_rows: int = 0

    def clock(self, value: int | Node) -> int:
        return self.clock_ids[value] if isinstance(value, Node) else value

    def ring(self, ref: Ref, n: Node) -> tuple[int, int]:
        """Return (first row, length - 1) of the ring of a row on a node's clock, adding the push on first use."""
        clock = self.clock(n.clock)
        if (ref, clock) not in self.rings:
            longest = self.lengths[ref, n.clock]
            size = 1 << (longest + at.CHUNK - 1).bit_length()  # bars of a chunk are pushed before they are used
            self.rings[ref, clock] = (self.ring_rows, size - 1)
            self.ring_rows += size
            line = [0] * at.ARGS
            line[at.OP], line[at.CLOCK] = STEPS["push"], clock
            line[at.A] = self.rows[ref.node] + ref.index
            line[at.RING], line[at.MASK] = self.rings[ref, clock]
            line[at.DELAY] = n.delay
            self.lines.append(line)
            self.reals.append(0.0)
        return self.rings[ref, clock]

    def run(self, n: Node) -> int:
        """Return the row with the run of equal values of a node's input, adding its line on first use."""
        key = (n.inputs[0], self.clock(n.clock), n.delay)
        if key not in self.runs:
            line = [0] * at.ARGS
            line[at.OP], line[at.CLOCK], line[at.DELAY] = STEPS["run_length"], key[1], n.delay
            line[at.A] = self.rows[key[0].node] + key[0].index
            line[at.RING], line[at.MASK] = self.ring(key[0], n)
            line[at.OUT] = self.runs[key] = self.work
            line[at.STATE] = self.states
            self.work += 1
            self.states += 1
            self.lines.append(line)
            self.reals.append(0.0)
        return self.runs[key]

    def add(self, n: Node) -> None:
        if n.op == "series":
            if n.series is None:
                raise ValueError("a series node needs its series")
            self.rows[n] = self.series_rows.setdefault(self.series_index[n.series], self.work)
            self.work = max(self.work, self.rows[n] + 1)
            return
        if n.op == "given":
            self.rows[n] = self.given_rows.setdefault(self.given_index[n.name], self.work)
            self.work = max(self.work, self.rows[n] + 1)
            return
        line = [0] * at.ARGS
        line[at.OP], line[at.CLOCK], line[at.WINDOW], line[at.DELAY] = (
            STEPS[n.op],
            self.clock(n.clock),
            n.window,
            n.delay,
        )
        line[at.C] = n.extra
        for position, ref in zip((at.A, at.B, at.C), n.inputs, strict=False):
            line[position] = self.rows[ref.node] + ref.index
        if n.history:
            line[at.RING], line[at.MASK] = self.ring(n.inputs[0], n)
        if n.history_b:
            line[at.RING2], line[at.MASK2] = self.ring(n.inputs[1], n)
        if n.op in {"rolling_mean", "rolling_std"}:
            line[at.B] = self.run(n)
        if n.op == "rolling_extreme":
            line[at.RING2] = self.ring_rows
            self.ring_rows += n.window
        if n.op == "join":
            self.clock_ids[n] = at.BAR_CLOCKS + len(self.clock_ids)
            line[at.OUT] = self.clock_ids[n]
        else:
            line[at.OUT] = self.rows[n] = self.work
            self.work += n.outputs
        line[at.STATE] = self.states
        self.states += n.states
        self.lines.append(line)
        self.reals.append(n.real)


def lane_program(
    outputs: Sequence[tuple[Ref, int]], series: Sequence[Series], givens: Sequence[str] = (), columns: int = 0
) -> LaneProgram:
    """Return the program that writes each (row, output column), reading bars, series columns and given numbers.

    A first pass may write all ``columns``, since later ones fill what is not its own.
    """
    order: dict[Node, None] = {BAR: None}
    for ref, _ in outputs:
        for n in nodes_of(ref):
            # What stands below a market-wide series was computed in an earlier pass.
            order.setdefault(n)
    keep = _needed([ref for ref, _ in outputs])
    builder = _Builder({s: i for i, s in enumerate(series)}, {name: i for i, name in enumerate(givens)})
    for n in order:
        for position, longest in ((0, n.history), (1, n.history_b)):
            if longest and n in keep:
                key = (n.inputs[position], n.clock)
                builder.lengths[key] = max(builder.lengths.get(key, 0), longest)
    for n in order:
        if n is BAR or n in keep:
            builder.add(n)
    bar = builder.lines[0]
    bar[at.WINDOW] = 1 | sum(
        1 << clock for clock in {line[at.CLOCK] for line in builder.lines} if clock < at.BAR_CLOCKS
    )
    rows = _positions(builder.series_rows, len(series))
    given_rows = _positions(builder.given_rows, len(givens))
    pairs = [(builder.rows[ref.node] + ref.index, column) for ref, column in outputs]
    whole = np.full(columns, -1, dtype=np.int64)
    for row, column in pairs if columns else []:
        whole[column] = row
    return LaneProgram(
        np.array(builder.lines, dtype=np.int64).reshape(-1, at.ARGS),
        np.array(builder.reals, dtype=np.float64),
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        rows,
        given_rows,
        whole,
        builder.work,
        at.BAR_CLOCKS + len(builder.clock_ids),
        max(builder.states, 1),
        max(builder.ring_rows, 1),
    )


def _positions(found: dict[int, int], length: int) -> IntArray:
    """Return the work row of each index, -1 where none was given."""
    rows = np.full(length, -1, dtype=np.int64)
    for index, row in found.items():
        rows[index] = row
    return rows


def _needed(refs: Sequence[Ref]) -> set[Node]:
    """Return the nodes that run in the same lane program: series are inputs, so nothing below them."""
    found: set[Node] = set()
    stack = [ref.node for ref in refs]
    while stack:
        n = stack.pop()
        if n in found:
            continue
        found.add(n)
        stack += [ref.node for ref in n.inputs]
        stack += [n.clock] if isinstance(n.clock, Node) else []
    return found


@dataclass(slots=True)
class _Layout:
    """Where every intermediate column and series stands."""

    columns: dict[Expression, list[int]]
    count: int
    series: dict[Series, int] = field(default_factory=dict)

    def need(self, value: Expression) -> None:
        """Give an expression and everything below it a place."""
        if value not in self.columns:
            self.columns[value] = [self.count]
            self.count += 1
        self._below(value)

    def _below(self, value: Expression) -> None:
        if isinstance(value, Cross):
            if isinstance(value.source, Series):
                self._series(value.source)
            else:
                self.need(value.source)
        else:
            for n in nodes_of(value):
                if n.series is not None:
                    self._series(n.series)

    def _series(self, series: Series) -> None:
        if series not in self.series:
            if series.kind == "reference" and series.source is not None:
                for n in nodes_of(series.source):
                    if n.series is not None and n.series is not series:
                        self._series(n.series)  # what it is compared with comes first
            self.series[series] = len(self.series)
            if series.kind.startswith("market") and series.source is not None:
                self.need(series.source)


def make_plan(expressions: Sequence[Expression]) -> Plan:
    """Return the passes that compute the expressions, in their order, as output columns."""
    columns: dict[Expression, list[int]] = {}
    for i, expression in enumerate(expressions):
        columns.setdefault(expression, []).append(i)
    layout = _Layout(columns, len(expressions))
    for expression in expressions:
        layout.need(expression)
    series = tuple(layout.series)
    givens = tuple(sorted({n.name for e in layout.columns for n in nodes_of(e) if n.op == "given"}))
    depth = 1 + max([level_of(e) for e in layout.columns] + [level_of(s) - 1 for s in series], default=0)
    stages = []
    for level in range(depth):
        lanes = [
            (e, c)
            for e, places in layout.columns.items()
            if isinstance(e, Ref) and level_of(e) == level
            for c in places
        ]
        rows = _row_lines(layout, level)
        filled = layout.count if level == 0 else 0
        stages.append(Stage(lane_program(lanes, series, givens, filled), np.array(rows, dtype=np.int64).reshape(-1, 4)))
    return Plan(tuple(stages), len(expressions), layout.count, series, givens, _reference_programs(series))


def _reference_programs(series: Sequence[Series]) -> tuple[tuple[str, LaneProgram], ...]:
    """Return a program per reference series and depth: one that reads other reference series runs after theirs."""
    groups: dict[tuple[int, str], list[tuple[Ref, int]]] = {}
    for i, s in enumerate(series):
        if s.kind == "reference" and s.source is not None:
            groups.setdefault((_series_depth(s), s.name), []).append((s.source, i))
    ordered = sorted(groups, key=lambda key: key[0])  # stable: within a depth the order of first need
    return tuple((key[1], lane_program(groups[key], series)) for key in ordered)


def _series_depth(series: Series) -> int:
    """Return how many computed reference series stand one below the other under this one."""
    if series.kind != "reference" or series.source is None:
        return 0
    below = [n.series for n in nodes_of(series.source) if n.series is not None]
    return max((1 + _series_depth(s) for s in below if s.source is not None), default=0)


def _row_lines(layout: _Layout, level: int) -> list[tuple[int, int, int, int]]:
    """Return the row steps of a level: market series first, then columns built on them."""
    lines = []
    for s, place in layout.series.items():
        if s.kind.startswith("market") and s.source is not None and level_of(s) - 1 == level:
            lines.append((ROW_OPS[s.kind], layout.columns[s.source][0], place, 0))
    crosses = [(e, places) for e, places in layout.columns.items() if isinstance(e, Cross) and level_of(e) == level]
    crosses.sort(key=lambda item: _cross_depth(item[0]))
    for e, places in crosses:
        source = layout.series[e.source] if isinstance(e.source, Series) else layout.columns[e.source][0]
        lines.extend((ROW_OPS[e.op], source, place, 1) for place in places)
    return lines


def _cross_depth(value: Cross) -> int:
    return 1 + _cross_depth(value.source) if isinstance(value.source, Cross) else 0
