"""Features of several frames: only closed bars, history equals live bit for bit, holes make a bar absent."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from foresail.core.errors import ConfigError, IntegrityError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.coarse import coarsen
from foresail.features.context import FeatureContext
from foresail.features.frame_syntax import split_frame
from foresail.features.frames import FrameSettings, compute_frames, frame_names
from foresail.features.frames_live import FrameBar, FrameLiveDriver
from foresail.features.live import BAR_FIELDS

MINUTE = 60 * 10**9
MONDAY = 1_704_672_000 * 10**9  # 2024-01-08 00:00 UTC
NAMES = [
    "log_return_1",
    "log_return_1@15m",
    "price_to_sma_20@15m",
    "day_sin@1h",
    "hour_sin@1h",
    "rank_log_return_1@15m",
    "vix_change_1@15m",
    "volume_ratio_20@15m",
    "trend_direction@5m",
    "direction_15m",
    "mtf_agreement",
]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.all((np.isnan(a) & np.isnan(b)) | (a == b)))


def bars(n: int, t: int, seed: int, *, step: int = 5, start: int = MONDAY, holes: float = 0.0) -> Panel:
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.002, (n, t)), axis=1))
    opening = close * np.exp(rng.normal(0.0, 0.0005, (n, t)))
    high, low = np.maximum(opening, close) * 1.001, np.minimum(opening, close) * 0.999
    volume = rng.integers(1, 1000, (n, t)).astype(float)
    split = np.where(rng.random((n, t)) < 0.01, 2.0, 1.0)
    empty = np.zeros((n, t))
    values = np.stack([opening, high, low, close, volume, empty, split, np.cumprod(split, axis=1), empty], axis=2)
    present = rng.random((n, t)) >= holes
    values[~present] = np.nan
    begin = start + np.arange(t, dtype=np.int64) * step * MINUTE
    end = begin + step * MINUTE
    names = tuple(f"crypto.C{i:02d}" for i in range(n))
    return Panel(values, present, begin, end, end, BAR_FIELDS, names, f"{step}m", "24/7")


def context_of(panel: Panel) -> FeatureContext:
    t = panel.shape[1]
    vix = 20.0 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, (1, t)), axis=1))
    return FeatureContext.of(panel, reference_names=("vix",), reference=vix)


def stream(driver: FrameLiveDriver, panel: Panel, context: FeatureContext) -> np.ndarray:
    rows = []
    for t in range(panel.shape[1]):
        times = int(panel.start[t]), int(panel.end[t]), int(panel.available_at[t])
        rows.append(driver.update(FrameBar(panel.values[:, t], panel.present[:, t], *times, context.row(t))))
    return np.stack(rows, axis=1)


def test_names_split_in_feature_and_frame():
    assert split_frame("rsi_14@1h") == ("rsi_14", "1h")
    assert split_frame("direction_60m") == ("trend_direction", "1h")
    assert frame_names(["a", "b"], ["5m", "1h"]) == ("a@5m", "b@5m", "a@1h", "b@1h")
    with pytest.raises(UnknownNameError, match="frame"):
        split_frame("rsi_14@7m")


@pytest.mark.parametrize("holes", [0.0, 0.03])
def test_live_equals_history_bit_for_bit(holes):
    panel = bars(3, 900, 1, holes=holes)
    context = context_of(panel)
    history = compute_frames(panel, NAMES, context)
    driver = FrameLiveDriver(panel, NAMES, context)
    assert driver.names == history.fields
    assert same_bits(stream(driver, panel, context), history.values)
    assert np.isfinite(history.values).any(axis=(0, 1)).all()


def test_a_row_sees_the_last_closed_bar_only():
    panel = bars(1, 48, 2)
    context = context_of(panel)
    out = compute_frames(panel, ["log_return_1@1h"], context).values[0, :, 0]
    adjusted = panel.field("close")[0] * panel.field("total_factor")[0]
    hourly = np.log(adjusted[23::12] / adjusted[11:-12:12])
    assert np.isnan(out[:23]).all()
    np.testing.assert_allclose(out[23:35], hourly[0], rtol=1e-12)
    np.testing.assert_allclose(out[35:47], hourly[1], rtol=1e-12)
    np.testing.assert_allclose(out[47], hourly[2], rtol=1e-12)


def test_first_rows_of_all_equal_all_of_the_first_rows():
    panel = bars(2, 300, 4, holes=0.01)
    whole = compute_frames(panel, NAMES, context_of(panel)).values
    for t in (1, 13, 100, 143, 144, 299):
        part = panel.cut(0, t)
        cut = context_of(panel)
        cut = replace(cut, reference=cut.reference[:, :t], calendar=cut.calendar[:, :t])
        assert same_bits(compute_frames(part, NAMES, cut).values, np.ascontiguousarray(whole[:, :t]))


def test_an_unfinished_bar_never_shows():
    panel = bars(1, 40, 5)
    context = context_of(panel)
    wild = panel.values.copy()
    wild[:, 36:39, :4] *= 3.0  # three rows of the fourth hour, which is not over
    before = compute_frames(panel.cut(0, 39), ["log_return_1@1h"], FeatureContext.of(panel.cut(0, 39))).values
    changed = replace(panel, values=wild).cut(0, 39)
    assert same_bits(before, compute_frames(changed, ["log_return_1@1h"], FeatureContext.of(changed)).values)
    assert context.calendar.shape[1] == 40


def test_a_missing_row_makes_its_coarse_bar_absent_and_keeps_the_value_before():
    panel = bars(2, 72, 6)
    values, present = panel.values.copy(), panel.present.copy()
    values[0, 40], present[0, 40] = np.nan, False
    holed = replace(panel, values=values, present=present)
    coarse = coarsen(holed, "1h")
    assert list(coarse.panel.present[0]) == [True, True, True, False, True, True]
    assert coarse.panel.present[1].all()
    assert list(np.flatnonzero(coarse.incomplete[0])) == [3]
    out = compute_frames(holed, ["log_return_1@1h"], FeatureContext.of(holed)).values[:, :, 0]
    assert out[0, 47] == out[0, 46] == out[0, 35]
    assert np.isnan(out[0, 40])
    assert out[1, 47] != out[1, 46]


def test_sixty_minutes_make_one_exact_hour():
    panel = bars(1, 60, 7, step=1)
    values = panel.values.copy()
    values[0, :, 5] = 0.01
    values[:, :, 6:8] = 1.0
    coarse = coarsen(replace(panel, values=values), "1h").panel
    assert coarse.shape[:2] == (1, 1)
    row = coarse.values[0, 0]
    v = values[0]
    assert list(row[:4]) == [v[0, 0], v[:, 1].max(), v[:, 2].min(), v[-1, 3]]
    assert row[4] == v[:, 4].sum()
    assert row[5] == pytest.approx(0.6)


def test_prices_before_a_split_within_a_bar_are_put_in_new_units():
    panel = bars(1, 12, 8)
    values = panel.values.copy()
    values[0, :, :4] = 100.0
    values[0, 6:, :4] = 50.0
    values[0, :, 4] = 10.0
    values[0, :, 6] = 1.0
    values[0, 6, 6] = 2.0
    values[0, :, 7] = np.where(np.arange(12) >= 6, 2.0, 1.0)
    row = coarsen(replace(panel, values=values), "1h").panel.values[0, 0]
    assert list(row[:4]) == [50.0] * 4
    assert row[4] == 6 * 20.0 + 6 * 10.0
    assert row[6] == 2.0
    already = values.copy()
    already[0, :, :4], already[0, :, 7] = 50.0, 1.0  # an adjusted history: the factor does not carry the split
    assert coarsen(replace(panel, values=already), "1h").panel.values[0, 0, 4] == 120.0


def test_agreement_adds_up_the_directions_of_a_style():
    t = 300 * 12
    rising = bars(1, t, 9)
    values = rising.values.copy()
    values[0, :, :4] = np.exp(np.arange(t) * 1e-4)[:, None]
    values[0, :, 6:8] = 1.0
    rising = replace(rising, values=values)
    out = compute_frames(rising, ["mtf_agreement", "direction_60m"], FeatureContext.of(rising)).values[0]
    assert list(out[-1]) == [3.0, 1.0]
    swing = compute_frames(rising, ["mtf_agreement"], FeatureContext.of(rising), FrameSettings(style="swing"))
    assert np.isnan(swing.values).all()  # 50 days have not passed
    falling = replace(rising, values=np.ascontiguousarray(values[:, ::-1]))
    falling.values[0, :, 6:8] = 1.0
    assert compute_frames(falling, ["mtf_agreement"], FeatureContext.of(falling)).values[0, -1, 0] == -3.0


def test_frames_that_do_not_fit_are_refused():
    panel = bars(1, 12, 1)
    context = FeatureContext.of(panel)
    with pytest.raises(ConfigError, match="no multiple"):
        compute_frames(panel, ["rsi_14@1m"], context)
    with pytest.raises(UnknownNameError, match="style"):
        compute_frames(panel, ["rsi_14"], context, FrameSettings(style="never"))
    with pytest.raises(UnknownNameError, match="feature"):
        compute_frames(panel, ["nothing@1h"], context)


def test_a_frame_equal_to_the_rows_is_the_plain_feature():
    panel = bars(2, 100, 3)
    context = context_of(panel)
    plain = compute(panel, ["rsi_14"], context).values
    assert same_bits(compute_frames(panel, ["rsi_14@5m"], context).values, plain)


def test_stock_hours_close_with_the_session():
    start = 1_720_445_400 * 10**9  # Monday 2024-07-08 09:30 New York
    panel = replace(bars(1, 78, 2, start=start), calendar="XNYS")
    coarse = coarsen(panel, "1h")
    assert coarse.panel.present.all()
    assert len(coarse.last_row) == 7
    assert coarse.panel.end[-1] - coarse.panel.start[-1] == 30 * MINUTE
    assert all(a < b for a, b in pairwise(coarse.last_row))


def extended_days(days: int) -> Panel:
    """Return 6h bars of New York from 04:00 to 20:00, three a day, from Monday on, in winter time."""
    opens = [MONDAY + (d * 24 + 9) * 60 * MINUTE for d in range(days)]
    begin = np.array([one + k * 6 * 60 * MINUTE for one in opens for k in range(3)], dtype=np.int64)
    end = begin + np.tile(np.array([6, 6, 4]) * 60 * MINUTE, days)
    panel = bars(2, 3 * days, 5)
    return replace(panel, start=begin, end=end, available_at=end, frame="6h", calendar="XNYS")


def test_six_hours_of_an_exchange_make_days_without_being_told_of_extended_hours():
    """Bars of 6h are of 04:00 to 20:00 (DATA-42), so the days of a model that reads them are, history and live."""
    panel = extended_days(4)
    context = FeatureContext.of(panel)
    names = ["log_return_1@1d", "log_return_1"]
    found = compute(panel, names, context)
    days = coarsen(panel, "1d", extended=True).panel
    assert days.present.sum() == 8
    daily = compute(days, ["log_return_1"], FeatureContext.of(days))
    np.testing.assert_array_equal(found.values[:, 2::3, 0], daily.values[:, :, 0])
    assert np.isfinite(found.values[:, 5:, 0]).all()
    assert same_bits(stream(FrameLiveDriver(panel, names, context), panel, context), found.values)


def part_of(context: FeatureContext, first: int, last: int) -> FeatureContext:
    return replace(
        context, reference=context.reference[:, first:last], calendar=np.empty((0, 0)), given=np.empty((0, 0, 0))
    )


@pytest.mark.parametrize("at", [0, 37, 300])
@pytest.mark.parametrize("form", ["display", "model"])
def test_a_snapshot_carries_the_bars_under_way_and_a_correction_is_replayed(at, form):
    panel = bars(3, 420, 11, holes=0.02)
    context = context_of(panel)
    names = [*NAMES, "sma_10@15m", "sma_10"]
    history = compute_frames(panel, names, context, form=form).values
    driver = FrameLiveDriver(panel, names, context, form=form)
    wrong = panel.values.copy()
    wrong[:, at:, :4] *= 1.3
    early, late = panel.cut(0, at), panel.cut(at, 420)
    if at:
        stream(driver, early, context)
    kept = driver.snapshot()
    for t in range(at, 420):  # bars that will be corrected
        times = int(panel.start[t]), int(panel.end[t]), int(panel.available_at[t])
        driver.update(FrameBar(wrong[:, t], panel.present[:, t], *times, context.row(t)))
    rest = part_of(context, at, 420).complete(late)
    assert same_bits(driver.replay(kept, late, rest), np.ascontiguousarray(history[:, at:]))
    fresh = FrameLiveDriver(panel, names, context, form=form)  # another process
    fresh.restore(kept)
    assert same_bits(stream(fresh, late, rest), np.ascontiguousarray(history[:, at:]))


def test_a_snapshot_of_other_frames_is_refused():
    panel = bars(2, 20, 1)
    context = context_of(panel)
    kept = FrameLiveDriver(panel, ["rsi_14@15m", "mtf_agreement"], context).snapshot()
    swing = FrameLiveDriver(panel, ["rsi_14@15m", "mtf_agreement"], context, FrameSettings(style="swing"))
    with pytest.raises(IntegrityError, match="other instruments, features or frames"):
        swing.restore(kept)
    driver = FrameLiveDriver(panel, ["rsi_14@15m", "mtf_agreement"], context)
    with pytest.raises(IntegrityError, match="the panel to replay has 1 instruments"):
        driver.replay(kept, panel.select(panel.instruments[:1]), context)


def test_an_instrument_that_joins_within_a_bar_is_there_from_its_next_one():
    panel = bars(3, 240, 12)
    panel.present[1, :100], panel.values[1, :100] = False, np.nan  # 100 rows: in the midst of 15 minutes and an hour
    context = context_of(panel)
    names = ["log_return_1@15m", "log_return_1@1h", "log_return_1", "mtf_agreement", "vix_change_1@1h"]
    history = compute_frames(panel, names, context).values
    few = panel.select([panel.instruments[0], panel.instruments[2]])
    driver = FrameLiveDriver(few, names, context_of(few))
    first = stream(driver, few.cut(0, 100), context_of(few))
    assert same_bits(first, np.ascontiguousarray(history[[0, 2], :100]))
    driver.enlist(panel.instruments, context)
    rest = part_of(context, 100, 240).complete(panel.cut(100, 240))
    assert same_bits(stream(driver, panel.cut(100, 240), rest), np.ascontiguousarray(history[:, 100:]))
    with pytest.raises(IntegrityError, match="1 instruments of the driver are missing"):
        driver.enlist(few.instruments, context_of(few))
