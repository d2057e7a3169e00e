"""What every row of the catalogue owes, on bars within the day as well as on daily ones, in both of its forms.

``test_features_engine`` runs the same laws over daily bars; there all rows of sessions are silent. Here the bars have a
clock: a quarter of an hour, around weekends, with holes and late listings. Beside the laws of time this holds every row
to what it declares: its first value, its units, and finite numbers on absurd prices.
"""

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
MINUTE = 60_000_000_000
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
NAMES = list(CATALOGUE)
REFERENCES = tuple(sorted({i[10:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("reference:")}))
GIVENS = tuple(sorted({i[6:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("given:")}))
FRIDAY = int(np.datetime64("2024-07-05T12:00", "ns").astype(np.int64))  # the weekend and both clocks follow
QUARTER = 15 * MINUTE


def bars(n: int, t: int, seed: int, *, step: int = DAY, holes: float = 0.0, late: bool = False) -> Panel:
    rng = np.random.default_rng(seed)
    close = 40.0 * np.exp(np.cumsum(rng.standard_t(4, (n, t)) * 0.008, axis=1))
    opening = close * np.exp(rng.normal(0, 0.003, (n, t)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.003, (n, t))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.003, (n, t))))
    volume = np.round(np.exp(rng.normal(9, 1, (n, t))))
    empty, ones = np.full((n, t), np.nan), np.ones((n, t))
    values = np.stack([opening, high, low, close, volume, empty, ones, ones, empty], axis=2)
    present = rng.random((n, t)) >= holes
    if late:
        present &= np.arange(t)[None, :] >= np.where(rng.random(n) < 0.5, rng.integers(0, t, n), 0)[:, None]
    values[~present] = np.nan
    start = FRIDAY + np.arange(t, dtype=np.int64) * step
    ids = tuple(f"crypto.S{i:03d}" for i in range(n))
    return Panel(
        values, present, start, start + step, start + step, FIELDS, ids, "1d" if step == DAY else "15m", "24/7"
    )


def context_of(panel: Panel, seed: int = 8) -> FeatureContext:
    n, t, _ = panel.shape
    rng = np.random.default_rng(seed)
    reference = 25.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (len(REFERENCES), t)), axis=1))
    numbers = np.exp(np.cumsum(rng.normal(0.0, 0.05, (n, t, len(GIVENS))), axis=1))
    sectors = [f"s{i % 2}" for i in range(n)]
    context = FeatureContext.of(panel, sectors=sectors, reference_names=REFERENCES, reference=reference)
    return replace(context, given_names=GIVENS, given=numbers)


def cut(context: FeatureContext, t: int) -> FeatureContext:
    return replace(
        context, reference=context.reference[:, :t], calendar=context.calendar[:, :t], given=context.given[:, :t]
    )


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    both_absent = np.isnan(a) & np.isnan(b)
    return a.shape == b.shape and bool(np.all(both_absent | (a.view(np.int64) == b.view(np.int64))))


def unequal(a: np.ndarray, b: np.ndarray) -> list[str]:
    """Return the names of the columns whose bits differ."""
    return [name for k, name in enumerate(NAMES) if not same_bits(a[:, :, k], b[:, :, k])]


@pytest.fixture(scope="module")
def within_the_day() -> tuple[Panel, FeatureContext, np.ndarray]:
    panel = bars(70, 96 * 4, 1, step=QUARTER, holes=0.08, late=True)
    context = context_of(panel)
    return panel, context, compute(panel, NAMES, context).values


def test_no_row_is_silent_everywhere():
    """A law that holds because all is NaN says nothing: each row speaks on daily or on quarter-hour bars."""
    heard = np.zeros(len(NAMES), dtype=bool)
    for panel in (bars(4, 420, 2), bars(4, 96 * 63, 3, step=QUARTER)):
        heard |= np.isfinite(compute(panel, NAMES, context_of(panel)).values).any(axis=(0, 1))
    assert [name for name, one in zip(NAMES, heard, strict=True) if not one] == []


def test_first_rows_of_all_equal_all_of_the_first_rows(within_the_day):
    panel, context, whole = within_the_day
    for t in (1, 40, 133, 290):
        part = compute(panel.cut(0, t), NAMES, cut(context, t)).values
        assert unequal(part, whole[:, :t]) == []


@settings(max_examples=8, deadline=None)
@given(t=st.integers(1, 299), seed=st.integers(0, 1000), n=st.integers(1, 66))
def test_the_future_changes_nothing_in_the_past(t, seed, n):
    panel = bars(n, 300, seed, step=QUARTER, holes=0.1, late=True)
    context = context_of(panel, seed)
    values, reference, numbers = panel.values.copy(), context.reference.copy(), context.given.copy()
    rng = np.random.default_rng(seed)
    values[:, t:, :5] *= rng.uniform(0.1, 10.0, (n, 300 - t, 5))
    reference[:, t:] *= rng.uniform(0.1, 10.0, reference[:, t:].shape)
    numbers[:, t:] *= rng.uniform(0.1, 10.0, numbers[:, t:].shape)
    after = compute(replace(panel, values=values), NAMES, replace(context, reference=reference, given=numbers)).values
    assert unequal(compute(panel, NAMES, context).values[:, :t], after[:, :t]) == []


def test_live_equals_history_bit_for_bit(within_the_day):
    panel, context, whole = within_the_day
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(panel.shape[1])]
    assert unequal(np.stack(rows, axis=1), whole) == []


def test_threads_do_not_change_a_bit(within_the_day):
    panel, context, whole = within_the_day
    for threads in (1, 3):
        assert unequal(compute(panel, NAMES, context, threads=threads).values, whole) == []


def test_an_absent_bar_leaves_the_memory_of_its_instrument_alone():
    """Bars that are not there may be left out: what follows has the same bits (calendar and market aside)."""
    lane = [
        n for n in NAMES if CATALOGUE[n].scope == "lane" and not any(i[:8] == "calendar" for i in CATALOGUE[n].inputs)
    ]
    panel = bars(3, 400, 5, step=QUARTER, holes=0.3)
    context = context_of(panel)
    whole = compute(panel, lane, context).values
    for i in range(3):
        rows = np.flatnonzero(panel.present[i])
        own = replace(
            panel.select(panel.instruments[i : i + 1]),
            values=np.ascontiguousarray(panel.values[i : i + 1, rows]),
            present=np.ones((1, len(rows)), bool),
            start=panel.start[rows],
            end=panel.end[rows],
            available_at=panel.available_at[rows],
        )
        beside = replace(FeatureContext.of(own), given_names=GIVENS, given=context.given[i : i + 1, rows])
        assert same_bits(compute(own, lane, beside).values, whole[i : i + 1, rows])


# Rows that wait for something to happen, so that their first value comes at the earliest with the declared bar.
WAITS = {
    "support", "resistance", "support_tests", "resistance_tests", "level_tests", "opening_range_high",
    "opening_range_low", "avg_volatility_this_hour", "avg_volume_this_hour", "rvol", "asian_high", "asian_low",
    "asian_range", "asian_range_pips", "london_gain_pips", "weekend_low_distance", "overnight_futures_change_es",
    "overnight_futures_change_nq", "vwap_zscore", "minutes_from_open", "time_of_day", "bb_place_session_20",
    "volume_24h",
}  # fmt: skip


@pytest.mark.parametrize("form", ["display", "model"])
def test_the_first_value_comes_with_the_declared_bar(form):
    panel = bars(4, 420, 6)
    values = compute(panel, NAMES, context_of(panel), form=form).values
    wrong = {}
    for k, name in enumerate(NAMES):
        declared = max(CATALOGUE[name].warm_up, 1)
        finite = np.flatnonzero(np.isfinite(values[0, :, k]))
        first = int(finite[0]) + 1 if len(finite) else None
        # A ratio may wait for what it is divided by.
        late = form == "model" and CATALOGUE[name].model_expression != CATALOGUE[name].expression
        waits = name in WAITS or late
        if first is None:
            if name not in WAITS:
                wrong[name] = (declared, first)
        elif first < declared or (first > declared and not waits):
            wrong[name] = (declared, first)
    assert wrong == {}


def scaled(panel: Panel, fields: slice, factor: float) -> Panel:
    values = panel.values.copy()
    values[:, :, fields] *= factor
    return replace(panel, values=values)


@pytest.mark.parametrize("step", [DAY, QUARTER])
def test_units_of_price_and_volume_move_a_row_as_it_declares(step):
    """Four is a power of two: prices four times as high leave every bit of a free row, or its rounding alone."""
    panel = bars(5, 420, 7, step=step)
    context = context_of(panel)
    given_in_prices = {"pair_close", "sector_close", "binance_price", "coinbase_price"}
    plain = compute(panel, NAMES, context).values
    for fields, kinds in ((slice(0, 4), {"price", "price_change"}), (slice(4, 5), {"volume"})):
        moved = compute(scaled(panel, fields, 4.0), NAMES, context).values
        wrong = []
        for k, name in enumerate(NAMES):
            factor = 4.0 if CATALOGUE[name].scale in kinds else 1.0
            if any(f"given:{one}" in CATALOGUE[name].inputs for one in given_in_prices) and factor == 1.0:
                continue  # compares with a price that was not multiplied
            a, b = factor * plain[:, :, k], moved[:, :, k]
            close = np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
            wrong += [] if close else [name]
        assert wrong == []


@pytest.mark.parametrize("step", [DAY, QUARTER])
def test_what_a_model_sees_has_no_units(step):
    panel = bars(5, 420, 9, step=step)
    context = context_of(panel)
    names = [n for n in NAMES if CATALOGUE[n].scale != "free"]
    plain = compute(panel, names, context, form="model").values
    for fields in (slice(0, 4), slice(4, 5)):
        moved = compute(scaled(panel, fields, 4.0), names, context, form="model").values
        wrong = [
            name
            for k, name in enumerate(names)
            if not np.allclose(plain[:, :, k], moved[:, :, k], rtol=1e-9, atol=1e-12, equal_nan=True)
        ]
        assert wrong == []


def constant(values: np.ndarray, rng: np.random.Generator) -> None:
    values[:, :, :5] = 33.0


ABSURD = {
    "as they are": lambda v, rng: None,
    "constant": constant,
    "all absent": lambda v, rng: v.fill(np.nan),
    "huge": lambda v, rng: np.multiply(v[:, :, :5], 1e12, out=v[:, :, :5]),
    "tiny": lambda v, rng: np.multiply(v[:, :, :5], 1e-12, out=v[:, :, :5]),
    "from huge to tiny": lambda v, rng: np.multiply(
        v[:, :, :5], 10.0 ** rng.integers(-12, 13, v[:, :, :5].shape), out=v[:, :, :5]
    ),
    "zero": lambda v, rng: v[:, :, :5].fill(0.0),
}


@pytest.mark.parametrize("form", ["display", "model"])
@pytest.mark.parametrize("step", [DAY, QUARTER])
@pytest.mark.parametrize("kind", list(ABSURD))
def test_absurd_bars_give_neither_a_crash_nor_infinity(kind, step, form):
    for t in (1, 330):
        panel = bars(3, t, 10, step=step, holes=0.1 if t > 1 else 0.0)
        values = panel.values.copy()
        ABSURD[kind](values, np.random.default_rng(4))
        values[~panel.present] = np.nan
        out = compute(replace(panel, values=values), NAMES, context_of(panel), form=form).values
        assert [name for k, name in enumerate(NAMES) if np.isinf(out[:, :, k]).any()] == []
