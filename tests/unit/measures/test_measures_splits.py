"""Splitters: the vectors, the documented splits, refusals, and the adapter for searches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import comb

import numpy as np
import pytest

from foresail.core.clock import NS_PER_DAY, to_ns
from foresail.core.errors import ConfigError, DataError
from foresail.domain.spans import LabelSpans, spans_of_targets
from foresail.domain.training import Targets
from foresail.measures.splits import (
    Chronological,
    CombinatorialPurged,
    CrossValidation,
    ExpandingWalkForward,
    NamedYears,
    PurgedKFold,
    RandomKFold,
    RollingDays,
    RollingWalkForward,
    SharedWalkForward,
    TimeSeriesFolds,
    embargo_length,
    from_sklearn,
    known_before,
    meets,
    refuse_random_k_fold,
    split_off,
    time_blocks,
)


def line(n: int, horizon: int = 2) -> LabelSpans:
    i = np.arange(n)
    return LabelSpans.of(i, i + horizon)


def daily(first: str, days: int, horizon: int = 1, hour: int = 21) -> LabelSpans:
    start = np.datetime64(first) + np.arange(days) + np.timedelta64(hour, "h")
    return LabelSpans.of(start, start + np.timedelta64(horizon, "D"))


def test_the_published_vector() -> None:
    """12 samples, label [i, i + 2], test {4, 5}, embargo 2: train {0, 1, 10, 11}."""
    split = split_off(line(12), np.array([4, 5]), embargo=2)
    assert split.train.tolist() == [0, 1, 10, 11]
    assert split.test.tolist() == [4, 5]
    assert (split.purged, split.embargoed) == (4, 2)
    assert split_off(line(12), np.array([5, 4])).train.tolist() == [0, 1, 10, 11], "the default is the longest span"


def test_a_longer_embargo_is_kept_and_a_shorter_one_refused() -> None:
    assert split_off(line(20), np.array([4, 5]), embargo=5).train.tolist() == [0, 1, *range(13, 20)]
    with pytest.raises(ConfigError, match="shorter than the longest label span, 2"):
        split_off(line(12), np.array([4, 5]), embargo=1)
    for splitter in (PurgedKFold(3, embargo=1), CombinatorialPurged(6, 2, embargo=0)):
        with pytest.raises(ConfigError, match="cannot be made shorter"):
            list(splitter.split(line(60)))


def test_one_percent_of_the_data_is_added_on_top() -> None:
    assert embargo_length(line(200), share=0.01) == 4
    assert embargo_length(line(200), 10, 0.01) == 12
    assert time_blocks().embargo_share == 0.01
    with pytest.raises(ConfigError, match="embargo share"):
        embargo_length(line(20), share=1.0)


def test_two_test_blocks_are_each_purged_on_both_sides_and_embargoed() -> None:
    split = split_off(line(30), np.array([4, 5, 15]))
    assert split.train.tolist() == [0, 1, 10, 11, 12, *range(20, 30)]


def test_a_gap_between_tested_samples_is_still_their_span() -> None:
    spans = LabelSpans.of([0, 10, 20, 30, 60], [1, 25, 21, 31, 61])
    assert split_off(spans, np.array([1])).train.tolist() == [0, 4], "20 lies inside, 30 in the embargo to 40"


def test_spans_that_only_touch_meet() -> None:
    assert meets(LabelSpans.of([0, 0], [4, 5]), LabelSpans.of([5], [6])).tolist() == [False, True]
    assert known_before(np.array([4, 5]), 5).tolist() == [True, False]
    with pytest.raises(DataError, match="cannot be compared"):
        meets(line(3), daily("2024-01-01", 3))


@pytest.mark.parametrize(("groups", "tested", "fits", "paths"), [(6, 2, 15, 5), (10, 2, 45, 9), (5, 1, 5, 1)])
def test_numbers_of_fits_and_paths(groups: int, tested: int, fits: int, paths: int) -> None:
    splitter = CombinatorialPurged(groups, tested)
    assert (splitter.fits, splitter.path_count, splitter.paths().shape) == (fits, paths, (paths, groups))
    assert splitter.path_count == tested * comb(groups, tested) // groups
    assert len(list(splitter.split(line(120)))) == fits


def test_paths_are_put_together_from_the_outputs() -> None:
    splitter, spans = CombinatorialPurged(6, 2), line(90)
    splits = list(splitter.split(spans))
    outputs = [1000.0 * i + s.test for i, s in enumerate(splits)]
    told = splitter.assemble(spans, splits, outputs)
    assert told.shape == (5, 90)
    assert np.array_equal(told % 1000, np.tile(np.arange(90), (5, 1)))
    group = splitter.group_of(spans)
    assert np.array_equal(told // 1000, splitter.paths()[:, group])
    with pytest.raises(DataError, match="expected 15 splits"):
        splitter.assemble(spans, splits[:3], outputs[:3])
    with pytest.raises(DataError, match="split 1 tests 30 samples"):
        splitter.assemble(spans, splits, [o[1:] for o in outputs])


def test_every_sample_is_tested_once_and_blocks_are_whole() -> None:
    splits = list(PurgedKFold(5).split(line(53)))
    assert sorted(np.concatenate([s.test for s in splits]).tolist()) == list(range(53))
    assert [len(s.test) for s in splits] == [11, 11, 11, 10, 10]
    assert all((np.diff(s.test) == 1).all() for s in splits)


def test_expanding_and_rolling_walk_forward() -> None:
    expanding = list(ExpandingWalkForward(20, 10, validation=5).split(line(47)))
    assert [(s.train[0], s.train[-1]) for s in expanding] == [(0, 12), (0, 22), (0, 32)]
    assert expanding[0].validation.tolist() == [15, 16, 17]
    assert [s.test[-1] for s in expanding] == [29, 39, 46]
    assert expanding[0].purged == 4
    rolling = list(RollingWalkForward(20, 10).split(line(47)))
    assert [(s.train[0], s.train[-1]) for s in rolling] == [(0, 17), (10, 27), (20, 37)]
    assert all(s.embargoed == 0 for s in (*expanding, *rolling)), "nothing is trained on after a test block"


def test_later_data_move_no_border() -> None:
    splitter = ExpandingWalkForward(20, 10)
    short, long = list(splitter.split(line(50))), list(splitter.split(line(200)))
    for a, b in zip(short, long[:3], strict=True):
        assert np.array_equal(a.train, b.train)
        assert np.array_equal(a.test, b.test)


def test_walk_forward_too_long_for_the_history() -> None:
    with pytest.raises(DataError, match="hold no test block"):
        list(ExpandingWalkForward(50, 10).split(line(50)))
    for wrong in ((0, 5, 0), (5, 0, 0), (5, 5, 5)):
        with pytest.raises(ConfigError):
            RollingWalkForward(*wrong)


def test_60_20_20() -> None:
    (split,) = Chronological().split(line(100))
    assert (split.train[0], split.train[-1]) == (0, 57)
    assert (split.validation[0], split.validation[-1]) == (60, 77)
    assert (split.test[0], split.test[-1]) == (80, 99)
    assert split.purged == 4
    with pytest.raises(ConfigError, match="leave some times"):
        Chronological(0.8, 0.2)


def test_80_20_walk_forward_leaves_the_last_fifth_alone() -> None:
    splits = list(SharedWalkForward().split(line(900)))
    assert len(splits) == 5
    assert [len(s.train) for s in splits] == [318] * 5, "320 less the two whose labels reach into the test block"
    tested = np.concatenate([s.test for s in splits])
    assert tested.tolist() == list(range(320, 718)), "one after the other; 718 and 719 reach into the sealed part"


def test_five_time_series_folds() -> None:
    splits = list(TimeSeriesFolds(5).split(line(63)))
    assert [s.test[0] for s in splits] == [13, 23, 33, 43, 53]
    assert splits[0].train.tolist() == list(range(11))


def test_thirty_and_seven_calendar_days() -> None:
    splits = list(RollingDays().split(daily("2024-01-01", 60)))
    assert splits[0].name == "2024-01-31 to 2024-02-07"
    assert splits[0].test.tolist() == list(range(30, 37))
    assert splits[0].train.tolist() == list(range(29)), "the label of day 30 ends with the first test day"
    assert splits[1].train.tolist() == list(range(7, 36))
    assert len(splits) == 5
    with pytest.raises(ConfigError, match="spans in ns"):
        list(RollingDays().split(line(60)))


def test_days_without_a_market_leave_windows_out() -> None:
    days = np.array(["2024-01-01", "2024-01-20", "2024-02-01", "2024-05-01"], dtype="datetime64[D]")
    (split,) = RollingDays().split(LabelSpans.of(days, days + np.timedelta64(1, "D")))
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2])
    apart = days[[0, 1, 3]]
    with pytest.raises(DataError, match="no window of 30 days"):
        list(RollingDays().split(LabelSpans.of(apart, apart + np.timedelta64(1, "D"))))


def test_weeks_and_months_follow_the_calendar_of_the_zone() -> None:
    weeks = list(RollingDays(30, "week").split(daily("2024-01-03", 70)))
    assert all(datetime.fromisoformat(s.name[:10]).weekday() == 0 for s in weeks)
    months = list(RollingDays(60, "month", zone="America/New_York").split(daily("2024-01-03", 200)))
    assert [s.name[:10] for s in months] == ["2024-04-01", "2024-05-01", "2024-06-01", "2024-07-01"]
    assert months[-1].name == "2024-07-01 to 2024-08-01"
    late = daily("2024-01-03", 200, hour=3)  # 3:00 UTC on the first is still the last day of the month in New York
    first = next(iter(RollingDays(60, "month", zone="America/New_York").split(late)))
    border = to_ns(datetime(2024, 4, 1, 4, tzinfo=UTC))
    assert (late.start[first.test] >= border).all()
    assert (late.start[first.train] < border).all()


def test_2024_is_out_of_sample() -> None:
    spans = daily("2021-06-01", 1600, horizon=5)
    (split,) = NamedYears().split(spans)
    begin, end = (to_ns(datetime(y, 1, 1, tzinfo=UTC)) for y in (2024, 2025))
    assert (spans.end[split.train] < begin).all()
    assert len(split.test) == 366
    assert ((spans.start[split.test] >= begin) & (spans.start[split.test] < end)).all()
    two = list(NamedYears((2023, 2024), validation=(2022,)).split(spans))
    assert [s.name for s in two] == ["2023", "2024"]
    assert len(two[0].validation) == 360, "365 less the five whose labels end in 2023"


def test_years_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="not out of sample"):
        NamedYears((2024,), train=(2025,))
    with pytest.raises(ConfigError, match="no year twice"):
        NamedYears((2024,), train=(2023,), validation=(2023,))
    with pytest.raises(DataError, match="no sample in 2024"):
        list(NamedYears().split(daily("2021-06-01", 100)))
    with pytest.raises(ConfigError, match="spans in ns"):
        list(NamedYears().split(line(10)))


def test_random_k_fold_is_refused_with_the_reason() -> None:
    from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit

    refused = (
        refuse_random_k_fold,
        RandomKFold,
        lambda: RandomKFold(5, random_state=1),
        lambda: from_sklearn(KFold(5, shuffle=True)),
        lambda: from_sklearn(ShuffleSplit()),
        lambda: from_sklearn(RepeatedKFold()),
    )
    for attempt in refused:
        with pytest.raises(ConfigError, match=r"recognises outcomes(?s:.*)PurgedKFold"):
            attempt()
    with pytest.raises(ConfigError, match=r"expected an object with split"):
        from_sklearn(5)


def test_a_hidden_shuffle_is_seen() -> None:
    class Innocent:
        def split(self, x: np.ndarray):
            order = np.random.default_rng(0).permutation(len(x))
            yield np.sort(order[20:]), np.sort(order[:20])

    with pytest.raises(ConfigError, match="separate pieces of time"):
        list(from_sklearn(Innocent()).split(line(100)))


def test_splitters_of_scikit_learn_are_purged() -> None:
    from sklearn.model_selection import KFold, TimeSeriesSplit

    spans = line(103, 3)
    for theirs, ours in ((KFold(5), PurgedKFold(5)), (TimeSeriesSplit(5), TimeSeriesFolds(5))):
        for a, b in zip(from_sklearn(theirs).split(spans), ours.split(spans), strict=True):
            assert np.array_equal(a.train, b.train)
            assert np.array_equal(a.test, b.test)


def test_a_grid_search_takes_our_splits() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(1)
    x, y, spans = rng.normal(size=(80, 3)), rng.normal(size=80), line(80)
    cv = CrossValidation(PurgedKFold(4), spans)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, cv=cv).fit(x, y)
    assert search.n_splits_ == cv.get_n_splits(x) == 4
    with pytest.raises(DataError, match="has 79 rows"):
        next(cv.split(x[1:]))


def test_a_search_never_scores_on_the_test_part() -> None:
    spans = line(100)
    (split,) = Chronological().split(spans)
    ((train, scored),) = CrossValidation(Chronological(), spans).split(np.zeros((100, 1)))
    assert np.array_equal(train, split.train)
    assert np.array_equal(scored, split.validation)


def test_spans_of_targets_in_positions_and_in_time() -> None:
    values = np.zeros((2, 10, 1, 2))
    values[1, 4, 0, 1] = np.nan
    ends = np.arange(10)[:, None] + np.array([1, 3])
    targets = Targets(values, ends.astype(np.int64), ("close",), (1, 3))
    spans, rows = spans_of_targets(targets)
    assert len(spans) == 2 * 7 - 1, "labels that end beyond the history do not exist"
    assert (spans.end - spans.start == 3).all()
    assert np.array_equal(spans.start, rows[:, 1])
    assert (np.diff(rows[:, 1]) >= 0).all()
    known = np.arange(10, dtype=np.int64) * NS_PER_DAY
    timed, same = spans_of_targets(targets, available_at=known)
    assert np.array_equal(same, rows)
    assert timed.unit == "ns"
    assert timed.longest == 3 * NS_PER_DAY


def test_several_calendars_are_joined_in_time_only() -> None:
    stocks, coins = daily("2024-01-01", 50), daily("2024-01-01", 80, hour=0)
    both = LabelSpans.join([stocks, coins])
    assert len(both) == 130
    assert sorted(set(both.instrument.tolist())) == [0, 1]
    for split in PurgedKFold(4).split(both):
        assert not meets(both.take(split.train), both.take(split.test)).any()
    with pytest.raises(DataError, match="ns only"):
        LabelSpans.join([line(5), line(5)])


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ([0, 1], [1, 0], "before it starts"),
        ([0, 1], [1], "one start and one end"),
        ([0.0, 1.0], [1.0, 2.0], "whole numbers or timestamps"),
        (np.array(["2024-01-01", "NaT"], "datetime64[D]"), np.array(["2024-01-02"] * 2, "datetime64[D]"), "no time"),
        (np.array(["2024-01-01"], "datetime64[D]"), [1], "both be timestamps"),
    ],
)
def test_spans_that_make_no_sense(start, end, text: str) -> None:
    with pytest.raises(DataError, match=text):
        LabelSpans.of(start, end)


def test_labels_longer_than_the_blocks_leave_nothing() -> None:
    with pytest.raises(DataError, match="left to train on"):
        list(PurgedKFold(5).split(line(20, 30)))
    with pytest.raises(DataError, match="distinct times cannot be cut"):
        list(PurgedKFold(5).split(line(4)))
    with pytest.raises(DataError, match="no samples"):
        list(PurgedKFold(5).split(line(0)))
    with pytest.raises(ConfigError, match="fits"):
        CombinatorialPurged(60, 30)


def test_the_clock_change_keeps_local_midnight() -> None:
    spans = daily("2024-02-20", 60)
    splits = list(RollingDays(10, 7, zone="America/New_York").split(spans))
    for split in splits:
        day = datetime.fromisoformat(split.name[:10])
        first = datetime.fromtimestamp(spans.start[split.test[0]] / 1e9, tz=UTC)
        assert first.date() == day.date(), "21:00 UTC is the same day in New York, in winter and in summer"
        assert timedelta(0) < first - day.replace(tzinfo=UTC) < timedelta(days=1)
