"""A set that stores bars before and after the session goes on bar after bar; only what they move asks for the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from foresail.core.clock import SimulatedClock, from_ns, to_ns
from foresail.domain.panel import Panel
from foresail.service.loading import load_bars
from foresail.service.serving_bars import BarFeed
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_panel, bar_set, bar_table

PANEL = bar_panel({f"stock.S0.H{k}": 50.0 + np.arange(70.0) + k for k in range(3)}, frame="1h", first_day="2020-03-02")
DAY = np.flatnonzero(np.diff(PANEL.end) > 10 * 3_600 * 10**9) + 1  # first bar of each day but the first
LAST = int(DAY[5]) - 1  # the last bar of a day


def moved(t: int, hours: float, *, dividend: float = 0.0) -> Panel:
    """Return a bar as if it had come so many hours later, outside the session."""
    one = PANEL.cut(t, t + 1)
    values = one.values.copy()
    values[0, 0, one.index("dividend")] = dividend
    shift = round(hours * 3_600) * 10**9
    return replace(
        one, values=values, start=one.start + shift, end=one.end + shift, available_at=one.available_at + shift
    )


class Store:
    """A store that grows, and what reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SimulatedClock(from_ns(int(PANEL.end[LAST])) + timedelta(minutes=1))
        self.add(PANEL.cut(0, LAST + 1))
        self.feed = BarFeed("mine", folder, self.clock)

    def add(self, panel: Panel) -> None:
        at = from_ns(int(panel.available_at[-1])) + timedelta(minutes=1)
        if at > self.clock.now():
            self.clock.advance_to(at)
        store = EmbeddedStore(self.folder / "store")
        store.append(bar_table(panel), bar_set(PANEL, name="mine"), recorded_at=self.clock.now())

    @property
    def now(self) -> int:
        return to_ns(self.clock.now())

    def whole(self) -> Panel:
        return load_bars("mine", workspace=self.folder, until_ns=self.now, clock=self.clock).data.bars


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    return Store(tmp_path)


def assert_newest(store: Store, rows: Panel | str) -> None:
    assert not isinstance(rows, str), rows
    whole, count = store.whole(), rows.shape[1]
    np.testing.assert_array_equal(rows.end, whole.end[-count:])
    np.testing.assert_array_equal(rows.values, whole.values[:, -count:])


def test_bars_after_the_close_are_no_rows_and_no_reason(store: Store) -> None:
    store.feed.whole(store.now)
    store.add(moved(LAST, 1.0))
    rows = store.feed.newer(store.now)
    assert not isinstance(rows, str), rows
    assert rows.shape[:2] == (3, 0)
    store.add(moved(LAST + 1, -2.0))  # before the next session
    store.add(PANEL.cut(LAST + 1, LAST + 3))
    assert_newest(store, store.feed.newer(store.now))


def test_a_process_that_starts_after_the_close_goes_on_bar_by_bar(store: Store) -> None:
    store.add(moved(LAST, 1.0))
    store.feed.whole(store.now)
    store.add(PANEL.cut(LAST + 1, LAST + 2))
    rows = store.feed.newer(store.now)
    assert_newest(store, rows)
    store.add(PANEL.cut(LAST + 2, LAST + 3))
    assert_newest(store, store.feed.newer(store.now))


def test_a_payment_outside_the_session_reaches_the_next_row_by_a_whole_reading(store: Store) -> None:
    store.feed.whole(store.now)
    store.add(moved(LAST + 1, -2.0, dividend=0.5))
    for _ in range(2):
        told = store.feed.newer(store.now)
        assert isinstance(told, str)
        assert "payment or split" in told
        store.feed.whole(store.now)
    store.add(PANEL.cut(LAST + 1, LAST + 2))
    assert "payment or split" in str(store.feed.newer(store.now))
    assert store.feed.whole(store.now).data.bars.field("dividend")[0, -1] == 0.5
    store.add(PANEL.cut(LAST + 2, LAST + 3))
    assert_newest(store, store.feed.newer(store.now))


def test_a_bar_in_the_session_that_is_not_known_yet_is_still_awaited(store: Store) -> None:
    later = PANEL.cut(LAST + 1, LAST + 2)
    store.add(moved(LAST, 1.0))
    store.feed.whole(store.now)
    hidden = replace(later, available_at=later.available_at + 3_600 * 10**9)
    at = from_ns(int(later.end[0])) + timedelta(minutes=1)
    store.clock.advance_to(at)
    EmbeddedStore(store.folder / "store").append(
        bar_table(hidden), bar_set(PANEL, name="mine"), recorded_at=store.clock.now()
    )
    assert "not known yet" in str(store.feed.newer(store.now))
    store.feed.whole(store.now)
    assert "not known yet" in str(store.feed.newer(store.now))
