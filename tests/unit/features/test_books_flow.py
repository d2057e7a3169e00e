"""Order flow on a book with known impact, integrated flow, and books beside bars."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.core.seeds import generator
from foresail.domain.books import BookKind, BookStream
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.books.driver import BookBars, BookDriver, book_bars
from foresail.features.books.integrated import fit_integrated_flow
from foresail.features.books.join import BOOK_GIVENS, join_books, with_books
from foresail.features.books.layout import BookSettings
from foresail.features.catalogue import CATALOGUE, find, resolve
from foresail.features.context import FeatureContext
from foresail.features.live import LiveDriver

S = 1_000_000_000
T0 = 1_700_000_000 * S
K = BookKind
BOOK = [name for name, spec in CATALOGUE.items() if spec.scope == "book"]


def of_columns(time, kind, side, price, size, closes):
    i8, i64 = np.int8, np.int64
    zero = np.zeros(len(time), i64)
    return BookStream(
        "crypto.X.A-B", 0.01, 1.0, time, time, kind.astype(i8), side.astype(i8), price.astype(i64),
        size.astype(i64), zero, zero, closes,
    )  # fmt: skip


def known_impact(bars, a_bar, depth, gap, spread_of_gaps, seed):
    """A book whose quotes both jump at each event, by gap + xi ticks, xi uniform on -spread .. spread.

    Every level holds ``depth``. A jump up adds a better bid (+depth) and takes the best ask away (+depth); a jump down
    does the opposite. So the flow of a jump is 2 depth x direction, the mid moves by direction x (gap + xi), and in
    units of ``gap`` ticks the slope is 1 / (2 depth). Over a bar of n jumps the move has the variance
    n (gap^2 + Var(xi)), of which flow explains the first part: R^2 = gap^2 / (gap^2 + Var(xi)).
    """
    rng = generator(seed, "impact")
    n = bars * a_bar
    up = np.where(rng.random(n) < 0.5, 1, -1)
    moves = up * (gap + rng.integers(-spread_of_gaps, spread_of_gaps + 1, n))
    bid = 1_000_000 + np.concatenate([[0], np.cumsum(moves)])
    rows = []
    for k in range(n + 1):
        at = T0 + (0 if k == 0 else S + (k - 1) * S // a_bar)
        if k == 0:
            rows.append((at, K.CLEAR, 0, 0, 0, False))
        else:  # the level behind comes into view in the same message
            rows.append((at, K.LEVEL, 1, bid[k - 1], 0, False))
            rows.append((at, K.LEVEL, -1, bid[k - 1] + 2, 0, False))
        rows.append((at, K.LEVEL, 1, bid[k], depth, False))
        rows.append((at, K.LEVEL, -1, bid[k] + 2, depth, True))
    time, kind, side, price, size, closes = (np.array(c) for c in zip(*rows, strict=True))
    return of_columns(time, kind, side, price, size, closes)


@pytest.mark.parametrize(("depth", "spread_of_gaps"), [(50, 2), (7, 0), (400, 4)])
def test_a_book_of_known_impact_returns_its_slope_and_its_fit(depth, spread_of_gaps):
    gap = 8
    data = known_impact(1500, 20, depth, gap, spread_of_gaps, depth)
    driver = BookDriver(data, BookSettings(depths=(1,), flow_levels=1))
    bars = driver.feed(data)
    flow = bars.column("order_flow_imbalance")[1:]
    move = np.diff(bars.column("mid")) / 0.01 / gap
    slope = float(np.cov(flow, move)[0, 1] / np.var(flow, ddof=1))
    fit = float(np.corrcoef(flow, move)[0, 1] ** 2)
    noise = ((2 * spread_of_gaps + 1) ** 2 - 1) / 12  # variance of xi
    expected = gap**2 / (gap**2 + noise)
    error = math.sqrt(noise / gap**2 / len(flow))  # relative standard error of the slope
    assert slope * 2 * depth == pytest.approx(1.0, abs=1e-9 + 4 * error)
    assert fit == pytest.approx(expected, abs=1e-9 + 8 * (1 - expected) * math.sqrt(expected / len(flow)))
    np.testing.assert_allclose(bars.column("average_depth")[1:], depth)


def flows_of(values, names=None):
    b, levels = values.shape
    end = T0 + np.arange(1, b + 1, dtype=np.int64) * S
    names = tuple(f"multi_level_flow_{k}" for k in range(1, levels + 1))
    return BookBars("crypto.X.A-B", end - S, end, names, values)


def test_integrated_flow_finds_the_direction_that_was_planted():
    rng = generator(1, "levels")
    weights = np.array([0.5, 0.3, 0.2])
    common = rng.normal(0, 1, 4000)
    values = common[:, None] * weights / np.linalg.norm(weights) ** 2 + rng.normal(0, 0.05, (4000, 3))
    bars = flows_of(values)
    fitted = fit_integrated_flow(bars, levels=3, train_until_ns=int(bars.end[1999]))
    np.testing.assert_allclose(fitted.weights, weights, atol=0.01)
    assert fitted.explained > 0.98
    assert fitted.rows == 2000
    assert sum(map(abs, fitted.weights)) == pytest.approx(1.0)
    told = fitted.add_to(bars).column("integrated_flow")
    np.testing.assert_allclose(told, values @ np.array(fitted.weights), rtol=1e-12)
    assert np.corrcoef(told, common)[0, 1] > 0.99


def test_integrated_flow_looks_at_training_rows_only_and_its_sign_is_fixed():
    rng = generator(2, "levels")
    values = rng.normal(0, 1, (400, 1)) * np.array([1.0, 0.8, 0.6, 0.4]) + rng.normal(0, 0.3, (400, 4))
    until = T0 + 200 * S
    one = fit_integrated_flow(flows_of(values), levels=4, train_until_ns=until)
    other = values.copy()
    other[200:] *= -1e3
    assert fit_integrated_flow(flows_of(other), levels=4, train_until_ns=until) == one
    turned = fit_integrated_flow(flows_of(-values), levels=4, train_until_ns=until)
    np.testing.assert_allclose(turned.weights, one.weights, rtol=1e-9)
    assert sum(one.weights) > 0
    gone = values.copy()
    gone[5] = np.nan
    assert fit_integrated_flow(flows_of(gone), levels=4, train_until_ns=until).rows == 199
    with pytest.raises(DataError, match="ten a level"):
        fit_integrated_flow(flows_of(values), levels=4, train_until_ns=T0 + 39 * S)
    with pytest.raises(DataError, match="never changes"):
        fit_integrated_flow(flows_of(np.ones((100, 2))), levels=2, train_until_ns=until)


def panel_of(ids, t, frame_s=60, grace_ns=0):
    fields = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
    values = np.full((len(ids), t, len(fields)), np.nan)
    values[:, :, :4], values[:, :, 4], values[:, :, 6:8] = 10.0, 100.0, 1.0
    start = T0 - T0 % (60 * S) + np.arange(t, dtype=np.int64) * frame_s * S
    end = start + frame_s * S
    return Panel(values, np.ones((len(ids), t), bool), start, end, end + grace_ns, fields, ids, "1m", "24/7")


def some_bars(panel, *, seconds=60, count=40, seed=0):
    end = panel.start[0] + np.arange(1, count + 1, dtype=np.int64) * seconds * S
    names = tuple(name for name in BOOK_GIVENS if name != "integrated_flow")
    values = generator(seed, "bars").normal(0, 1, (count, len(names)))
    return BookBars("crypto.X.A-B", end - seconds * S, end, names, values)


def test_a_book_bar_counts_from_its_end_to_its_limit_and_nothing_is_carried_over_a_broken_book():
    panel = panel_of(("crypto.X.A-B", "crypto.X.C-D"), 12)
    bars = some_bars(panel, count=4)
    bars.values[2] = np.nan
    joined = join_books(panel, {"crypto.X.A-B": bars}, ("spread_bps",))[:, :, 0]
    own = bars.column("spread_bps")
    np.testing.assert_array_equal(joined[0, :4], [own[0], own[1], np.nan, own[3]])
    np.testing.assert_array_equal(joined[0, 4:9], [own[3]] * 5)  # five minutes
    assert np.isnan(joined[0, 9:]).all()
    assert np.isnan(joined[1]).all()
    early = replace(panel, available_at=panel.available_at - 1)
    np.testing.assert_array_equal(join_books(early, {"crypto.X.A-B": bars}, ("spread_bps",))[0, 1, 0], own[0])


def test_rows_of_the_catalogue_take_their_numbers_from_books_in_history_and_live():
    panel = panel_of(("crypto.X.A-B", "crypto.X.C-D"), 40)
    bars = some_bars(panel)
    context = with_books(FeatureContext.of(panel), panel, {"crypto.X.A-B": bars})
    available, absent = resolve(BOOK, panel, given_names=context.given_names)
    assert set(absent) == {"integrated_flow"}
    assert "weights were not fitted" in absent["integrated_flow"]
    names = [spec.name for spec in available]
    out = compute(panel, names, context)
    for name in names:
        np.testing.assert_array_equal(out.field(name)[0], bars.column(name), err_msg=name)
        assert np.isnan(out.field(name)[1]).all()
    driver = LiveDriver(panel.instruments, names, context, panel.fields)
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(40)]
    assert np.stack(rows, axis=1).tobytes() == np.ascontiguousarray(out.values).tobytes()
    with pytest.raises(ValueError, match="already"):
        with_books(context, panel, {"crypto.X.A-B": bars})


def test_without_a_book_the_rows_say_so():
    panel = panel_of(("crypto.X.A-B",), 3)
    available, absent = resolve(BOOK, panel)
    assert available == ()
    assert "no order book was given" in absent["spread_bps"]
    assert find("order_book_imbalance").name == "imbalance_20"
    fx = panel_of(("fx.EUR-USD",), 3)
    assert "not defined for forex" in resolve(["spread_bps"], fx, given_names=["spread_bps"])[1]["spread_bps"]


def test_a_stream_reaches_a_feature_of_the_bar_engine():
    """The vector of the specification, from events through bars of a minute to a row of the catalogue."""
    bids, asks = (10, 20, 30, 10, 20, 10, 10, 20, 10, 10), (5, 10, 10, 10, 10, 5, 5, 10, 5, 5)
    panel = panel_of(("crypto.X.A-B",), 3)
    count = 21
    kind = np.array([K.CLEAR] + [K.LEVEL] * 20)
    side = np.array([0] + [1] * 10 + [-1] * 10)
    price = np.array([0, *range(9998, 9988, -1), *range(10002, 10012)])
    time = np.full(count, panel.start[0] + S)
    data = of_columns(time, kind, side, price, np.array([0, *bids, *asks]), np.arange(count) == count - 1)
    driver = BookDriver(data, BookSettings(bar_ns=60 * S))
    assert len(driver.feed(data)) == 0
    bars = driver.advance(int(panel.end[1]))
    assert len(bars) == 2
    context = with_books(FeatureContext.of(panel), panel, {"crypto.X.A-B": bars})
    out = compute(panel, ["imbalance_10", "spread_bps", "hidden_liquidity"], context)
    np.testing.assert_allclose(out.values[0, 0], [1 / 3, 4.0, math.sqrt(0.2)], rtol=1e-12)
    assert len(book_bars(data)) == 0
