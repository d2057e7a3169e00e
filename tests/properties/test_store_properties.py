"""Properties of the way from bars to panel: the past does not change, order does not matter, the factor is causal."""

from datetime import UTC, date, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.adapters.files.actions import Prints, from_adjusted_close
from foresail.core.clock import NS_PER_S
from foresail.domain.bars import BarSet, bar_table
from foresail.domain.calendars import sessions
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.store.gate import check
from foresail.store.hashing import content_hash
from foresail.store.panels import to_panel

_, OPENS, CLOSES = sessions("XNYS", date(2020, 1, 2), date(2020, 12, 31))
SET = BarSet(
    name="t", asset_class=AssetClass.STOCK, frame="1d", calendar="XNYS", price_basis=PriceBasis.RAW,
    universe_basis="unknown", currency="USD", grace_s=1.0, known_by_date=False, close_only=False, instruments=(),
)  # fmt: skip


def dirty_bars(seed, days):
    """Three names with everything that may go wrong: jumps, gaps, bad bars, repeats, late bars, splits, payments."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(3):
        kept = np.flatnonzero(rng.random(days) > 0.05)
        kept = kept[rng.integers(0, 10) :]
        kept = np.sort(np.r_[kept, rng.choice(kept, 3)]) if len(kept) else kept
        n = len(kept)
        close = 20 * np.exp(np.cumsum(rng.normal(0, 0.02, n) + rng.choice([0, 0.7, -0.7], n, p=[0.96, 0.02, 0.02])))
        open_ = close * np.exp(rng.normal(0, 0.01, n))
        high = np.maximum(open_, close) * rng.choice([1.01, 0.9], n, p=[0.97, 0.03])
        known = CLOSES[kept] + NS_PER_S + rng.choice([0, 3 * 86_400], n, p=[0.9, 0.1]) * NS_PER_S
        split = rng.choice([1.0, 2.0], n, p=[0.97, 0.03])
        parts.append(
            {
                "instrument": np.full(n, f"stock.US.{'ABC'[number]}", dtype=object), "start": OPENS[kept],
                "end": CLOSES[kept], "available_at": known, "open": open_, "high": high,
                "low": np.minimum(open_, close) * 0.99, "close": close,
                "volume": rng.choice([0.0, -1.0, 1e5], n), "spread": rng.choice([0.01, -0.01, 3.0, np.nan], n),
                "split": split, "total_factor": np.cumprod(split), "dividend": rng.choice([0.0, 0.2], n, p=[0.9, 0.1]),
            }
        )  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def rows(columns, index):
    return {name: values[index] for name, values in columns.items()}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), cut=st.integers(15, 140))
def test_cutting_the_bars_leaves_everything_before_bit_equal(seed, cut):
    columns = dirty_bars(seed, 150)
    limit = int(CLOSES[cut]) + NS_PER_S
    whole, report = check(bar_table(columns), SET)
    early, early_report = check(bar_table(rows(columns, columns["end"] <= CLOSES[cut])), SET)
    one, two = to_panel(whole, SET, known_at_ns=limit), to_panel(early, SET, known_at_ns=limit)
    assert one.instruments == two.instruments
    assert one.end.tobytes() == two.end.tobytes()
    assert one.available_at.tobytes() == two.available_at.tobytes()
    assert one.values.tobytes() == two.values.tobytes()
    cut_flags = [f for f in report.flags if f.end <= CLOSES[cut] and f.rule != "DATA-54"]
    assert cut_flags == [f for f in early_report.flags if f.rule != "DATA-54"]
    assert [b for b in report.blocked if b[1] <= CLOSES[cut]] == list(early_report.blocked)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), shuffle=st.integers(0, 2**31))
def test_row_order_does_not_matter(seed, shuffle):
    columns = dirty_bars(seed, 80)
    mixed = rows(columns, np.random.default_rng(shuffle).permutation(len(columns["end"])))
    straight, report = check(bar_table(columns), SET)
    other, other_report = check(bar_table(mixed), SET)
    assert other.table.equals(straight.table)
    assert (report.accepted, report.collapsed, report.flags, report.blocked) == (
        other_report.accepted, other_report.collapsed, other_report.flags, other_report.blocked,
    )  # fmt: skip
    assert content_hash(bar_table(columns)) == content_hash(bar_table(mixed))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_gate_is_idempotent(seed):
    once, _ = check(bar_table(dirty_bars(seed, 100)), SET)
    twice, report = check(once, SET)
    assert report.collapsed == 0
    assert not [q for q in report.quarantined if q.rule in ("DATA-51", "DATA-52", "DATA-53")]
    if not report.quarantined:
        # a spread is judged against the spreads that were kept before it, so a second pass may drop further ones
        assert twice.table.drop_columns(["spread"]).equals(once.table.drop_columns(["spread"]))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.5, 3.0, 1000.0]))
def test_the_forward_factor_is_causal_and_starts_at_one(seed, scale):
    rng = np.random.default_rng(seed)
    n = 60
    close = np.round(30 * scale * np.exp(np.cumsum(rng.normal(0, 0.02, n))), 4)
    factor = np.cumprod(np.where(rng.random(n) < 0.08, 1 / (1 - 0.01), 1.0))
    adjusted = np.round(close * factor / factor[-1], 4)
    code = np.zeros(n, dtype=np.int64)
    whole = from_adjusted_close(Prints(code, close, adjusted), PriceBasis.SPLIT_ADJUSTED)
    assert whole.total_factor[0] == 1.0
    np.testing.assert_allclose(whole.total_factor, factor / factor[0], rtol=2e-3)
    cut = int(rng.integers(1, n))
    part = from_adjusted_close(Prints(code[:cut], close[:cut], adjusted[:cut]), PriceBasis.SPLIT_ADJUSTED)
    assert part.total_factor.tobytes() == whole.total_factor[:cut].tobytes()


@settings(max_examples=50, deadline=None)
@given(day=st.dates(date(1995, 1, 1), date(2025, 12, 31)), calendar=st.sampled_from(["XNYS", "24/7", "24/5"]))
def test_sessions_are_half_open_ascending_and_do_not_depend_on_the_span_asked_for(day, calendar):
    labels, opens, closes = sessions(calendar, day, date.fromordinal(day.toordinal() + 40))
    assert np.all(opens < closes)
    assert np.all(closes[:-1] <= opens[1:])
    few, first_open, _ = sessions(calendar, day, date.fromordinal(day.toordinal() + 9))
    assert np.array_equal(few, labels[: len(few)])
    assert np.array_equal(first_open, opens[: len(few)])
    assert datetime.fromtimestamp(int(opens[0]) // NS_PER_S, tz=UTC).year in (day.year - 1, day.year, day.year + 1)
