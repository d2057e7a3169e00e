"""The loops without masks, the chunks and the tiled writing give the bits that the plain ways give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.features import runner
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.kernels._layout import CHUNK
from foresail.features.plan import LaneProgram
from foresail.features.runner import field_positions, fresh_memory, run
from foresail.service.bench_indicators import INDICATORS, more_windows, plan_of, random_bars, random_panel

FIELDS = ("open", "high", "low", "close", "volume")
PLAN = plan_of([*INDICATORS, *more_windows(40)])
LANE = [
    name
    for name, spec in CATALOGUE.items()
    if spec.scope == "lane" and not any(source.startswith(("given:", "reference:")) for source in spec.inputs)
]


def nothing(n: int, t: int) -> FeatureContext:
    return FeatureContext(
        np.full(n, -1, dtype=np.int64), calendar=np.empty((0, t)), calendar_names=(), given=np.empty((n, t, 0))
    )


def outputs(values: np.ndarray, here: np.ndarray, *, threads: int = 1) -> np.ndarray:
    n, t = here.shape
    return run(PLAN, (field_positions(FIELDS), values, here), nothing(n, t), threads=threads)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    missing = np.isnan(a) & np.isnan(b)
    return bool((missing | (np.ascontiguousarray(a).view(np.int64) == np.ascontiguousarray(b).view(np.int64))).all())


def flat_bars(seed: int, n: int, t: int) -> np.ndarray:
    values = random_bars(np.random.default_rng(seed), n, t)
    values[:, t // 3 : t // 2] = values[:, t // 3 : t // 3 + 1]  # a stretch in which nothing moves
    return values


def test_a_neighbour_with_holes_changes_no_bit_of_the_others():
    n, t = 64, 700
    values = flat_bars(1, n, t)
    whole = outputs(values, np.ones((n, t), dtype=bool))
    assert np.isfinite(whole[:, 300:]).any(axis=(0, 1)).all()
    rng = np.random.default_rng(2)
    for kind in ("holes", "late"):
        here = np.ones((n, t), dtype=bool)
        here[17] = rng.random(t) > 0.2 if kind == "holes" else np.arange(t) >= 50
        masked = outputs(values, here)
        others = np.arange(n) != 17
        assert same_bits(whole[others], masked[others])
        assert np.isnan(masked[17][~here[17]]).all()


def test_the_same_holds_for_every_feature_of_bars():
    panel = random_panel(np.random.default_rng(3), 5, 330)
    present = panel.present.copy()
    present[4] = np.random.default_rng(4).random(330) > 0.1
    gappy = replace(panel, present=present, values=np.where(present[:, :, None], panel.values, np.nan))
    whole = compute(panel, LANE, FeatureContext.of(panel), threads=1).values
    masked = compute(gappy, LANE, FeatureContext.of(gappy), threads=1).values
    assert same_bits(whole[:4], masked[:4])


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_chunks_of_any_length_give_the_same_bits(monkeypatch, chunk: int):
    n, t = 65, 401
    values = flat_bars(5, n, t)
    here = np.random.default_rng(6).random((n, t)) > np.where(np.arange(n) % 2, 0.0, 0.05)[:, None]
    usual = outputs(values, here)

    def chunk_of(program: LaneProgram, times: int) -> int:
        return min(chunk, times)

    monkeypatch.setattr(runner, "chunk_of", chunk_of)
    assert same_bits(usual, outputs(values, here))


def test_a_program_of_many_rows_takes_short_chunks():
    program = PLAN.stages[0].lanes
    assert runner.chunk_of(program, 1) == 1
    assert runner.chunk_of(replace(program, work=60), 1000) == CHUNK
    assert runner.chunk_of(replace(program, work=5000), 1000) == 2


def test_a_large_matrix_is_written_like_a_small_one():
    n, t = 70, 601  # above the size from which lines are streamed; no lane begins on a cache line but the first
    values = flat_bars(7, n, t)
    here = np.ones((n, t), dtype=bool)
    large = outputs(values, here, threads=2)
    assert large.size > 1 << 21
    for i in (0, 1, 63, 64, 69):
        alone = outputs(values[i : i + 1].copy(), here[i : i + 1].copy())
        assert same_bits(large[i], alone[0])


def test_few_columns_are_written_one_by_one():
    plan = plan_of(INDICATORS[:5])
    values = flat_bars(8, 66, 90)
    here = np.ones((66, 90), dtype=bool)
    bars = (field_positions(FIELDS), values, here)
    few = run(plan, bars, nothing(66, 90))
    assert same_bits(few, outputs(values, here)[:, :, :5].copy())


def test_space_between_chunks_carries_nothing(monkeypatch):
    n, t = 66, 260
    values = flat_bars(9, n, t)
    here = np.random.default_rng(10).random((n, t)) > 0.02
    usual = outputs(values, here)
    zeros = runner._zeros

    def rubbish(shape: tuple[int, ...], kind: type) -> np.ndarray:
        made = zeros(shape, kind)
        if len(shape) == 3 and shape[0] > 70:  # (rows, bars, lanes): the space, not the memory of two blocks
            made[...] = 12345.678
        return made

    monkeypatch.setattr(runner, "_zeros", rubbish)
    assert same_bits(usual, outputs(values, here))


def test_memory_of_lanes_not_in_use_does_not_depend_on_threads():
    n, t = 70, 40
    values = flat_bars(11, n, t)
    here = np.ones((n, t), dtype=bool)
    kept = []
    for threads in (1, 2):
        memory = fresh_memory(PLAN, n)
        run(PLAN, (field_positions(FIELDS), values, here), nothing(n, t), memory=memory, threads=threads)
        kept.append(memory.stages[0])
    for part in ("count", "state", "ring"):
        assert getattr(kept[0], part).tobytes() == getattr(kept[1], part).tobytes()
