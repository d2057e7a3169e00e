"""No training label meets a test label, whatever the spans: against a brute-force search and against skfolio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.errors import DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits import (
    Chronological,
    CombinatorialPurged,
    ExpandingWalkForward,
    PurgedKFold,
    RollingWalkForward,
    SharedWalkForward,
    TimeSeriesFolds,
    split_off,
)


@st.composite
def samples(draw: st.DrawFn) -> LabelSpans:
    """Several instruments, each listed for a while, on irregular times, with labels of unequal length, in any order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    axis = np.cumsum(rng.integers(1, draw(st.integers(2, 6)), draw(st.integers(30, 70))))
    longest = draw(st.integers(0, 5))
    start, instrument = [], []
    for i in range(draw(st.integers(1, 4))):
        first, last = np.sort(rng.integers(0, len(axis) + 1, 2))
        own = axis[first:last] if i else axis
        own = own[rng.random(len(own)) < 0.9] if i else own
        start += own.tolist()
        instrument += [i] * len(own)
    begin = np.array(start, dtype=np.int64)
    order = rng.permutation(len(begin))
    spans = LabelSpans.of(begin, begin + rng.integers(0, longest + 1, len(begin)), np.array(instrument))
    return spans.take(order)


SPLITTERS = (
    Chronological(),
    CombinatorialPurged(5, 2),
    CombinatorialPurged(6, 3),
    PurgedKFold(4),
    PurgedKFold(3, embargo_share=0.02),
    ExpandingWalkForward(15, 6, validation=5),
    RollingWalkForward(14, 7),
    SharedWalkForward(folds=2),
    TimeSeriesFolds(3),
)


def brute(spans: LabelSpans, test: np.ndarray, embargo: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each sample whether it meets a tested one, and whether it follows a block of them too soon."""
    meeting = np.zeros(len(spans), dtype=bool)
    soon = np.zeros(len(spans), dtype=bool)
    times = sorted(set(spans.start.tolist()))
    tested = {int(t) for t in spans.start[test]}
    blocks: list[list[int]] = []
    for before, t in zip([None, *times[:-1]], times, strict=True):
        if t in tested:
            if before in tested:
                blocks[-1].append(t)
            else:
                blocks.append([t])
    ends = [max(int(spans.end[j]) for j in test if int(spans.start[j]) in block) for block in blocks]
    for i in range(len(spans)):
        a, b = int(spans.start[i]), int(spans.end[i])
        meeting[i] = any(a <= int(spans.end[j]) and int(spans.start[j]) <= b for j in test)
        soon[i] = any(block[0] < a <= end + embargo for block, end in zip(blocks, ends, strict=True))
    return meeting, soon


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: f"{type(s).__name__}{SPLITTERS.index(s)}")
@settings(max_examples=12, deadline=None)
@given(spans=samples())
def test_no_training_label_meets_a_later_part(splitter, spans: LabelSpans) -> None:
    try:
        splits = list(splitter.split(spans))
    except DataError:
        return  # purged empty, said in words
    for split in splits:
        parts = (split.train, split.validation, split.test)
        assert len(np.unique(np.concatenate(parts))) == sum(len(p) for p in parts)
        meeting, soon = brute(spans, split.test, split.embargo)
        assert not meeting[split.train].any()
        assert not soon[split.train].any()
        assert not meeting[split.validation].any()
        if len(split.validation):
            assert not brute(spans, split.validation, split.embargo)[0][split.train].any()
        assert split.embargo >= spans.longest


@settings(max_examples=80, deadline=None)
@given(spans=samples(), seed=st.integers(0, 2**32 - 1))
def test_exactly_those_samples_are_dropped(spans: LabelSpans, seed: int) -> None:
    """Whole times are tested, in several blocks; what may be trained on equals the brute-force search."""
    rng = np.random.default_rng(seed)
    axis = np.unique(spans.start)
    chosen = axis[rng.random(len(axis)) < 0.15]
    test = np.flatnonzero(np.isin(spans.start, chosen))
    if len(test) == 0:
        return
    meeting, soon = brute(spans, test, spans.longest)
    expected = ~meeting & ~soon
    if not expected.any():
        with pytest.raises(DataError):
            split_off(spans, test)
        return
    split = split_off(spans, test)
    assert np.array_equal(split.train, np.flatnonzero(expected))
    assert split.purged + split.embargoed + len(split.train) + len(split.test) == len(spans)
    assert split.purged == (meeting.sum() - len(test))


@settings(max_examples=30, deadline=None)
@given(spans=samples(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_samples_does_not_matter(spans: LabelSpans, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(spans))
    shuffled = spans.take(order)
    try:
        first = list(CombinatorialPurged(5, 2).split(spans))
    except DataError:
        return
    for a, b in zip(first, CombinatorialPurged(5, 2).split(shuffled), strict=True):
        assert np.array_equal(a.train, np.sort(order[b.train]))
        assert np.array_equal(a.test, np.sort(order[b.test]))
        assert (a.purged, a.embargoed) == (b.purged, b.embargoed)


@settings(max_examples=30, deadline=None)
@given(spans=samples())
def test_one_time_is_on_one_side_and_tested_once(spans: LabelSpans) -> None:
    try:
        splits = list(PurgedKFold(4).split(spans))
    except DataError:
        return
    assert np.array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(len(spans)))
    for split in splits:
        assert not set(spans.start[split.train]) & set(spans.start[split.test])


@pytest.mark.parametrize(("groups", "tested"), [(5, 2), (6, 2), (6, 3), (10, 2)])
def test_every_path_covers_every_sample_once(groups: int, tested: int) -> None:
    splitter = CombinatorialPurged(groups, tested)
    i = np.arange(20 * groups)
    spans = LabelSpans.of(i, i + 1)
    splits = list(splitter.split(spans))
    told = splitter.assemble(spans, splits, [s.test.astype(float) for s in splits])
    assert np.array_equal(told, np.tile(i.astype(float), (splitter.path_count, 1)))
    paths = splitter.paths()
    used = sorted((int(paths[p, g]), g) for p in range(len(paths)) for g in range(groups))
    assert used == sorted((k, g) for k, chosen in enumerate(splitter.choices()) for g in chosen)


@pytest.mark.parametrize(("groups", "tested", "horizon"), [(6, 2, 2), (10, 2, 5), (6, 3, 1), (5, 2, 3)])
def test_as_skfolio_where_it_means_the_same(groups: int, tested: int, horizon: int) -> None:
    """Labels of one length on a regular axis: skfolio's purge by counts is then the purge by spans.

    Differences: skfolio cuts n // N times a group and the rest into the last, so the length here is a multiple of N;
    it counts rows, so several instruments are not split by time; its purge after a test block and its embargo are
    counts that add up, here h for labels that end inside the block's labels plus h of embargo; at the very last row it
    purges a test row when a block ends there, so tests are compared from its lists and not from its table.
    """
    from skfolio.model_selection import CombinatorialPurgedCV

    i = np.arange(30 * groups)
    ours = CombinatorialPurged(groups, tested)
    theirs = CombinatorialPurgedCV(groups, tested, purged_size=horizon, embargo_size=horizon)
    splits = list(ours.split(LabelSpans.of(i, i + horizon)))
    for a, (train, tests) in zip(splits, theirs.split(i[:, None]), strict=True):
        assert np.array_equal(a.test, np.sort(np.concatenate(tests)))
        assert np.array_equal(a.train, train)
    assert np.array_equal(ours.paths().T, theirs.recombined_paths)
    assert (ours.fits, ours.path_count) == (theirs.n_splits, theirs.n_test_paths)
