"""Run a plan over some times with the compiled loops: the one path that history and live share.

A pass runs as follows.
1. Each reference series and the calendar fill their columns of the series matrix.
2. Per stage: the lane program over blocks of 64 instruments, then the row program over times.
3. Memory is either fresh (history: one block at a time per thread) or kept (live).

Live calls this with one time and kept memory, so both results are the same machine code's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import CapabilityError
from foresail.features.context import FeatureContext
from foresail.features.kernels._layout import CHUNK, LANES
from foresail.features.kernels.build import loops
from foresail.features.plan import LaneProgram, Plan

__all__ = ["RAW_FIELDS", "LaneMemory", "Memory", "blocks_of", "chunk_of", "field_positions", "fresh_memory", "run"]

RAW_FIELDS = ("open", "high", "low", "close", "volume", "split", "total_factor")
_LINE = 64  # bytes of a cache line
_WORK_ROWS = 1024  # rows of LANES numbers: half a megabyte
_REFERENCE_FIELDS = np.array([-1, -1, -1, 0, -1, -1, -1], dtype=np.int64)


def _zeros(shape: tuple[int, ...], kind: type) -> Any:
    """Return zeros that begin on a cache line: a vector that crosses lines costs twice, and more when read back."""
    spare: Any = np.zeros(math.prod(shape) + _LINE // 8, dtype=kind)
    first = -spare.ctypes.data % _LINE // 8
    return spare[first : first + math.prod(shape)].reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class LaneMemory:
    """What a lane program remembers, for a number of blocks.

    Attributes
    ----------
    count : (blocks, clocks, LANES); state, ring : (blocks, rows, LANES)
    """

    count: IntArray
    state: FloatArray
    ring: FloatArray

    @classmethod
    def empty(cls, program: LaneProgram, blocks: int) -> LaneMemory:
        """Return the memory before the first bar."""
        return cls(
            _zeros((blocks, program.clocks, LANES), np.int64),
            _zeros((blocks, program.states, LANES), np.float64),
            _zeros((blocks, program.rings, LANES), np.float64),
        )

    def of_blocks(self, first: int, last: int) -> LaneMemory:
        """Return the memory of some blocks, not copied."""
        return LaneMemory(self.count[first:last], self.state[first:last], self.ring[first:last])


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What a whole plan remembers: per stage and per reference series."""

    stages: tuple[LaneMemory, ...]
    reference: tuple[LaneMemory, ...]


def blocks_of(instruments: int) -> int:
    """Return the number of blocks of 64 that hold so many instruments."""
    return -(-instruments // LANES)


def chunk_of(program: LaneProgram, times: int) -> int:
    """Return how many bars a program computes at once: as many as stay in the second cache, at most ``CHUNK``."""
    return max(min(_WORK_ROWS // program.work, CHUNK, times), 1 if times < 2 else 2)


def fresh_memory(plan: Plan, instruments: int) -> Memory:
    """Return the memory of a plan before the first bar."""
    blocks = blocks_of(instruments)
    return Memory(
        tuple(LaneMemory.empty(stage.lanes, blocks) for stage in plan.stages),
        tuple(LaneMemory.empty(program, 1) for _, program in plan.reference),
    )


def field_positions(fields: tuple[str, ...]) -> IntArray:
    """Return the position of each raw field in a panel's fields, -1 where it has none."""
    return np.array([fields.index(f) if f in fields else -1 for f in RAW_FIELDS], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    """The arrays of one run."""

    fields: IntArray
    values: FloatArray
    present: BoolArray
    series: FloatArray
    given: FloatArray
    out: FloatArray


def run(
    plan: Plan,
    bars: tuple[IntArray, FloatArray, BoolArray],
    context: FeatureContext,
    *,
    memory: Memory | None = None,
    threads: int = 1,
    silent: BoolArray | None = None,
) -> FloatArray:
    """Return the (N, T, columns) values of a plan over some times.

    Parameters
    ----------
    bars : positions of the raw fields, values (N, T, F), presence (N, T)
    context : of the same instruments and times
    memory : kept and advanced where given; else every block begins anew
    silent : (N, columns) values that are absent whatever the bars say, also for cross-sections; None = no value
    """
    fields, values, present = bars
    n, t = present.shape
    out = np.empty((n, t, plan.columns))  # every cell is written by a stage
    series = np.full((t, max(len(plan.series), 1)), np.nan)
    arrays = _Arrays(fields, values, present, series, _given(plan, context), out)
    _fill_series(plan, context, series, memory)
    for number, stage in enumerate(plan.stages):
        kept = None if memory is None else memory.stages[number]
        _perform(_lane_jobs(stage.lanes, arrays, kept, threads), threads)
        if silent is not None:
            out[np.broadcast_to(silent[:, None, :], out.shape)] = np.nan
        _perform(_row_jobs(stage.rows, arrays, context.sector_codes, threads), threads)
    if silent is not None:
        out[np.broadcast_to(silent[:, None, :], out.shape)] = np.nan
    return out


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Return the threads beside the caller's; they stay, since starting one costs as much as a live bar."""
    return ThreadPoolExecutor(max_workers=count, thread_name_prefix="foresail-features")


def _perform(jobs: list[Callable[[], None]], threads: int) -> None:
    """Run independent jobs; the compiled loops hold no interpreter lock, so threads run side by side."""
    waiting = iter(jobs)

    def work() -> None:
        for job in waiting:  # one list iterator, shared: each job is taken once
            job()

    helpers = min(threads, len(jobs)) - 1
    running = [_helpers(threads - 1).submit(work) for _ in range(helpers)]
    work()
    for one in running:
        one.result()


def _lane_jobs(
    program: LaneProgram, arrays: _Arrays, kept: LaneMemory | None, threads: int
) -> list[Callable[[], None]]:
    """Return one job a block where memory is fresh, one a thread where it is kept."""
    if program.outputs.shape[0] == 0:
        return []
    blocks = blocks_of(arrays.present.shape[0])
    if kept is not None:
        share = -(-blocks // max(threads, 1))

        def part(first: int) -> Callable[[], None]:
            last = min(first + share, blocks)
            return lambda: _run_lanes(program, arrays, (first, last), kept.of_blocks(first, last))

        return [part(first) for first in range(0, blocks, share)]

    def job(block: int) -> Callable[[], None]:
        return lambda: _run_lanes(program, arrays, (block, block + 1), LaneMemory.empty(program, 1))

    return [job(block) for block in range(blocks)]


def _run_lanes(program: LaneProgram, arrays: _Arrays, blocks: tuple[int, int], memory: LaneMemory) -> None:
    chunk = chunk_of(program, arrays.present.shape[1])
    loops().run_lanes(
        program.lines,
        program.reals,
        arrays.fields,
        arrays.values,
        arrays.present,
        arrays.series,
        *blocks,
        program.series_rows,
        arrays.given,
        program.given_rows,
        program.outputs,
        program.rows,
        arrays.out,
        _zeros((program.work + 1, chunk + 1, LANES), np.float64),
        _zeros((chunk, program.clocks, LANES), np.int64),
        memory.count,
        memory.state,
        memory.ring,
    )


def _row_jobs(lines: IntArray, arrays: _Arrays, codes: IntArray, threads: int) -> list[Callable[[], None]]:
    """Return jobs over runs of whole chunks of times; one time is independent of all others."""
    if lines.shape[0] == 0:
        return []
    times = arrays.present.shape[1]
    chunks = -(-times // CHUNK)
    share = max(-(-chunks // (4 * max(threads, 1))), 1) * CHUNK

    def job(first: int) -> Callable[[], None]:
        last = min(first + share, times)
        return lambda: loops().run_rows(lines, arrays.out, arrays.present, arrays.series, codes, first, last)

    return [job(first) for first in range(0, times, share)]


def _given(plan: Plan, context: FeatureContext) -> FloatArray:
    """Return the (N, T, G) numbers that a plan reads beside the bars, in its order.

    Raises
    ------
    CapabilityError
        If one was not given.
    """
    lacking = [name for name in plan.givens if name not in context.given_names]
    if lacking:
        raise CapabilityError(
            f"features of the given series {', '.join(lacking)} were asked for, the context has "
            f"{', '.join(context.given_names) or 'none'}",
            hint="resolve() tells which features a set can give",
        )
    if not plan.givens:
        n = context.sector_codes.shape[0]
        return np.empty((n, context.calendar.shape[1], 0))
    chosen = [context.given_names.index(name) for name in plan.givens]
    return np.ascontiguousarray(context.given[:, :, chosen], dtype=np.float64)


def _fill_series(plan: Plan, context: FeatureContext, series: FloatArray, memory: Memory | None) -> None:
    """Fill the columns of reference series and the calendar.

    Raises
    ------
    CapabilityError
        If a reference series or calendar number that a feature needs was not given.
    """
    for column, item in enumerate(plan.series):
        if item.kind == "calendar":
            if item.name not in context.calendar_names:
                raise CapabilityError(
                    f"features of the calendar number {item.name!r} were asked for, the context has "
                    f"{', '.join(context.calendar_names) or 'none'}",
                    hint="build the context with FeatureContext.of, which has all of them",
                )
            series[:, column] = context.calendar[context.calendar_names.index(item.name)]
        elif item.kind == "reference" and item.source is None:
            series[:, column] = _reference(context, item.name)
    for i, (name, program) in enumerate(plan.reference):
        closes = np.ascontiguousarray(_reference(context, name).reshape(1, -1, 1))
        nothing = np.empty((1, closes.shape[1], 0))
        out = np.full((1, closes.shape[1], series.shape[1]), np.nan)
        arrays = _Arrays(_REFERENCE_FIELDS, closes, np.isfinite(closes[:, :, 0]), series, nothing, out)
        _run_lanes(program, arrays, (0, 1), LaneMemory.empty(program, 1) if memory is None else memory.reference[i])
        for _, column in program.outputs:
            series[:, column] = out[0, :, column]


def _reference(context: FeatureContext, name: str) -> FloatArray:
    """Return the (T,) values of a reference series.

    Raises
    ------
    CapabilityError
        If it was not given.
    """
    if name not in context.reference_names:
        raise CapabilityError(
            f"features of the reference series {name!r} were asked for, the context has "
            f"{', '.join(context.reference_names) or 'none'}",
            hint="resolve() tells which features a set can give",
        )
    values: FloatArray = context.reference[context.reference_names.index(name)]
    return values
