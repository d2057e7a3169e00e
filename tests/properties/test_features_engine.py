"""What must hold for every feature, whatever the bars: no look-ahead, history equals live, isolation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.live import LiveDriver

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
NAMES = list(CATALOGUE)
LANE = [name for name in NAMES if CATALOGUE[name].scope == "lane"]
FREE = [name for name in NAMES if CATALOGUE[name].scale in {"free", "volume"}]
REFERENCES = tuple(sorted({i[10:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("reference:")}))
LEVELS = [
    name
    for name in LANE
    if CATALOGUE[name].scale in {"price", "price_change"} and not any(":" in i for i in CATALOGUE[name].inputs)
]
GIVENS = tuple(sorted({i[6:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("given:")}))


def gappy(n: int, t: int, seed: int) -> Panel:
    """Bars with holes, late listings, missing volumes and ranges, zero volumes, flat stretches and splits."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(3, (n, t)) * 0.02
    moves[rng.random((n, t)) < 0.15] = 0.0
    close = 50.0 * np.exp(np.cumsum(moves, axis=1))
    opening = close * np.exp(rng.normal(0, 0.003, (n, t)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, (n, t))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, (n, t))))
    volume = np.round(np.exp(rng.normal(8, 2, (n, t)))) * (rng.random((n, t)) > 0.05)
    split = np.where(rng.random((n, t)) < 0.01, 2.0, 1.0)
    factor = np.cumprod(split, axis=1) * np.exp(np.cumsum((rng.random((n, t)) < 0.02) * 0.01, axis=1))
    empty = np.full((n, t), np.nan)
    values = np.stack([opening, high, low, close, volume, empty, split, factor, empty], axis=2)
    for field, share in ((0, 0.03), (1, 0.03), (4, 0.05)):
        values[:, :, field][rng.random((n, t)) < share] = np.nan
    present = rng.random((n, t)) > 0.1
    listed = np.where(rng.random(n) < 0.4, rng.integers(0, t, n), 0)
    present &= np.arange(t)[None, :] >= listed[:, None]
    values[~present] = np.nan
    start = np.arange(t, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i:04d}" for i in range(n))
    return Panel(values, present, start, start + DAY, start + DAY, FIELDS, names, "1d", "24/7")


def context_of(panel: Panel, seed: int = 5) -> FeatureContext:
    t = panel.shape[1]
    moves = np.random.default_rng(seed).normal(0, 0.03, (len(REFERENCES), t))
    reference = 20.0 * np.exp(np.cumsum(moves, axis=1))
    reference[1, : t // 3] = np.nan
    sectors = [f"s{int(name[-1]) % 4}" for name in panel.instruments]
    context = FeatureContext.of(panel, sectors=sectors, reference_names=REFERENCES, reference=reference)
    given_ = np.stack([_given_of(name, t, seed) for name in panel.instruments])
    return replace(context, given_names=GIVENS, given=given_)


def _given_of(name: str, t: int, seed: int) -> np.ndarray:
    """Return (t, G) numbers of one instrument, in steps, with holes; the same whichever others are there."""
    rng = np.random.default_rng([seed, int(name[-4:])])
    values = np.repeat(rng.normal(1.0, 0.8, (t // 3 + 1, len(GIVENS))), 3, axis=0)[:t]
    values[rng.random(values.shape) < 0.05] = np.nan
    values[: t // 10] = np.nan
    return values


def cut_context(context: FeatureContext, t: int) -> FeatureContext:
    return replace(
        context,
        reference=context.reference[:, :t],
        calendar=context.calendar[:, :t],
        given=context.given[:, :t],
    )


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    both_absent = np.isnan(a) & np.isnan(b)
    return a.shape == b.shape and bool(np.all(both_absent | (a.view(np.int64) == b.view(np.int64))))


@pytest.fixture(scope="module")
def long_panel() -> tuple[Panel, FeatureContext, Panel]:
    panel = gappy(30, 420, 11)
    context = context_of(panel)
    return panel, context, compute(panel, NAMES, context)


@pytest.mark.parametrize("name", NAMES)
def test_first_rows_of_all_equal_all_of_the_first_rows(long_panel, name):
    panel, context, whole = long_panel
    for t in (1, 21, 260, 333):
        part = compute(panel.cut(0, t), [name], cut_context(context, t))
        assert same_bits(part.values[:, :, 0], np.ascontiguousarray(whole.field(name)[:, :t]))


@settings(max_examples=15, deadline=None)
@given(t=st.integers(1, 139), seed=st.integers(0, 10_000), n=st.integers(1, 70))
def test_the_future_changes_nothing_in_the_past(t, seed, n):
    panel = gappy(n, 140, seed)
    changed = panel.values.copy()
    changed[:, t:, :5] *= np.random.default_rng(seed).uniform(0.1, 10.0, (n, 140 - t, 5))
    context = context_of(panel)
    before = compute(panel, NAMES, context).values[:, :t]
    after = compute(replace(panel, values=changed), NAMES, context).values[:, :t]
    assert same_bits(np.ascontiguousarray(before), np.ascontiguousarray(after))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_live_equals_history_bit_for_bit(n):
    panel = gappy(n, 300 if n < 100 else 130, n)
    context = context_of(panel)
    history = compute(panel, NAMES, context)
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    rows = [
        driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(panel.present.shape[1])
    ]
    assert same_bits(np.stack(rows, axis=1), history.values)


def test_a_restored_driver_continues_as_if_nothing_happened():
    panel = gappy(70, 200, 2)
    context = context_of(panel)
    history = compute(panel, NAMES, context)
    first = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    for t in range(120):
        first.update(panel.values[:, t], panel.present[:, t], context.row(t))
    snapshot = first.snapshot()
    first.update(panel.values[:, 120] * 7.0, panel.present[:, 120], context.row(120))  # must not leak into the copy
    second = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    second.restore(snapshot)
    rows = [second.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(120, 200)]
    assert same_bits(np.stack(rows, axis=1), np.ascontiguousarray(history.values[:, 120:]))


def test_threads_do_not_change_a_bit():
    panel = gappy(150, 200, 3)
    context = context_of(panel)
    one = compute(panel, NAMES, context, threads=1).values
    for threads in (2, 5):
        assert same_bits(one, compute(panel, NAMES, context, threads=threads).values)


def test_other_instruments_do_not_change_lane_features():
    panel = gappy(130, 300, 4)
    whole = compute(panel, LANE, context_of(panel)).values
    some = [panel.instruments[i] for i in (1, 5, 64, 65, 99, 129)]
    part = panel.select(some)
    alone = compute(part, LANE, context_of(part)).values
    assert same_bits(alone, np.ascontiguousarray(whole[[1, 5, 64, 65, 99, 129]]))


@settings(max_examples=10, deadline=None)
@given(i=st.integers(0, 69), t=st.integers(0, 149), seed=st.integers(0, 1000))
def test_a_deleted_bar_touches_its_own_name_only(i, t, seed):
    panel = gappy(70, 150, seed)
    values, present = panel.values.copy(), panel.present.copy()
    values[i, t], present[i, t] = np.nan, False
    context = context_of(panel)
    before = compute(panel, LANE, context).values
    after = compute(replace(panel, values=values, present=present), LANE, context).values
    others = [j for j in range(70) if j != i]
    assert same_bits(np.ascontiguousarray(before[others]), np.ascontiguousarray(after[others]))
    assert same_bits(np.ascontiguousarray(before[i : i + 1, :t]), np.ascontiguousarray(after[i : i + 1, :t]))


@pytest.mark.parametrize("power", [-12, 1, 20])
def test_prices_times_a_power_of_two_change_no_bit(power):
    panel = gappy(40, 300, 6)
    context = context_of(panel)
    scaled = panel.values.copy()
    scaled[7, :, :4] *= 2.0**power
    before = compute(panel, FREE, context).values
    assert same_bits(before, compute(replace(panel, values=scaled), FREE, context).values)


@pytest.mark.parametrize("power", [-12, 1, 20])
def test_levels_and_differences_move_with_the_price_to_the_bit(power):
    panel = gappy(20, 300, 7)
    context = context_of(panel)
    scaled = panel.values.copy()
    scaled[7, :, :4] *= 2.0**power
    before = compute(panel, LEVELS, context).values.copy()
    before[7] *= 2.0**power
    assert same_bits(before, compute(replace(panel, values=scaled), LEVELS, context).values)


@settings(max_examples=8, deadline=None)
@given(constant=st.floats(1e-4, 1e4))
def test_prices_times_a_constant_change_only_float_noise(constant):
    panel = gappy(20, 300, 8)
    # Equal closes stay equal under rounding, but bounds computed from them may split by one unit in the last place.
    context = context_of(panel)
    scaled = panel.values.copy()
    scaled[3, :, :4] *= constant
    # rsi_divergence asks whether two computed indices are equal, so a unit in the last place decides it.
    names = [name for name in FREE if not name.startswith("rank_") and name != "rsi_divergence"]
    before = compute(panel, names, context).values
    after = compute(replace(panel, values=scaled), names, context).values
    assert np.array_equal(np.isnan(before), np.isnan(after))
    assert np.nanmax(np.abs(before - after)) < 1e-7


def test_a_gappy_name_equals_its_bars_closed_up():
    """Windows count bars that exist: holes are as if they were not there."""
    panel = gappy(5, 400, 9)
    context = context_of(panel)
    whole = compute(panel, LANE, context).values
    for i in range(5):
        rows = np.flatnonzero(panel.present[i])
        start = np.arange(len(rows), dtype=np.int64) * DAY
        closed = Panel(
            np.ascontiguousarray(panel.values[i : i + 1, rows]),
            np.ones((1, len(rows)), bool),
            start,
            start + DAY,
            start + DAY,
            FIELDS,
            panel.instruments[i : i + 1],
            "1d",
            "24/7",
        )
        own = replace(FeatureContext.of(closed), given_names=GIVENS, given=context.given[i : i + 1, rows])
        alone = compute(closed, LANE, own).values
        assert same_bits(alone, np.ascontiguousarray(whole[i : i + 1, rows]))


def test_no_value_where_there_is_no_bar(long_panel):
    panel, _, whole = long_panel
    assert np.isnan(whole.values[~panel.present]).all()


WILD = {
    "constant": lambda v, rng: v[:, :, :4].fill(7.0),
    "all absent": lambda v, rng: v.fill(np.nan),
    "huge": lambda v, rng: np.multiply(v[:, :, :5], 1e300, out=v[:, :, :5]),
    "tiny": lambda v, rng: np.multiply(v[:, :, :5], 1e-300, out=v[:, :, :5]),
    "zero": lambda v, rng: v[:, :, :5].fill(0.0),
    "negative": lambda v, rng: np.negative(v[:, :, :5], out=v[:, :, :5]),
    "infinite": lambda v, rng: v.__setitem__((slice(None), slice(None, None, 5)), np.inf),
    "spikes": lambda v, rng: v.__setitem__(
        (slice(None), slice(None), slice(0, 5)), v[:, :, :5] * 10.0 ** rng.integers(-55, 55, v[:, :, :5].shape)
    ),
    "no volume": lambda v, rng: v[:, :, 4].fill(0.0),
    "crossed range": lambda v, rng: v[:, :, 1].fill(0.01),
    "no factor": lambda v, rng: v[:, :, 7].fill(np.nan),
}


@pytest.mark.parametrize("kind", list(WILD))
@pytest.mark.parametrize("t", [1, 330])
def test_wild_input_gives_neither_a_crash_nor_infinity(kind, t):
    panel = gappy(9, t, 12)
    values = panel.values.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        WILD[kind](values, np.random.default_rng(1))
    values[~panel.present] = np.nan
    out = compute(replace(panel, values=values), NAMES, context_of(panel)).values
    assert not np.isinf(out).any()


def test_a_wild_value_is_forgotten():
    """After one infinite, one zero and one huge price every feature is finite again once it is warm anew."""
    panel = gappy(3, 900, 13)
    values = panel.values.copy()
    values[1, 200, :5] = np.inf
    values[1, 210, :5] = 0.0
    values[1, 220, :5] = 1e250
    clean = compute(panel, NAMES, context_of(panel)).values
    dirty = compute(replace(panel, values=values), NAMES, context_of(panel)).values
    assert np.array_equal(np.isnan(clean[1, 600:]), np.isnan(dirty[1, 600:]))


def test_a_flat_window_gives_exact_zeros_and_halves_at_every_bar():
    panel = gappy(40, 300, 14)
    values = panel.values.copy()
    values[:, 100:, 0:4] = 33.0
    values[:, 100:, 6:8] = 1.0
    names = ["volatility_20", "downside_volatility_60", "bb_place_20_2", "max_drawdown_60", "log_return_5"]
    flat = replace(panel, values=values, present=np.ones_like(panel.present))
    out = compute(flat, names, context_of(panel))
    for name, value in zip(names, [0.0, 0.0, 0.5, 0.0, 0.0], strict=True):
        after = out.field(name)[:, 100 + CATALOGUE[name].warm_up :]
        assert np.array_equal(after, np.full_like(after, value)), name


def test_rounding_left_by_an_enormous_price_is_washed_out():
    """Sums are made anew from the ring, so what a spike of 1e40 leaves behind lasts a few windows at most."""
    panel = gappy(2, 700, 15)
    values = panel.values.copy()
    values[1, :, 4] = np.where(np.isfinite(values[1, :, 4]), 1000.0 + np.arange(700) % 7, np.nan)
    spiked = values.copy()
    spiked[1, 100, :5] *= 1e40
    names = [name for name in LANE if CATALOGUE[name].memory == "finite"]
    clean = compute(replace(panel, values=values), names, context_of(panel)).values[1, 650:]
    dirty = compute(replace(panel, values=spiked), names, context_of(panel)).values[1, 650:]
    assert np.array_equal(np.isnan(clean), np.isnan(dirty))
    assert np.nanmax(np.abs(clean - dirty)) < 1e-9
