"""The embedded store: append-only, revisions, reads as of an instant, damaged files, interruption."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from foresail.core.clock import NS_PER_S
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.domain.bars import BAR_COLUMNS, BarSet, bar_table
from foresail.domain.calendars import sessions
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.protocols import MarketStore
from foresail.store import embedded
from foresail.store.embedded import EmbeddedStore
from foresail.store.hashing import content_hash

A, B = "stock.US.AAA", "stock.US.BBB"
_, OPENS, CLOSES = sessions("XNYS", date(2019, 12, 2), date(2020, 2, 28))
MAY, JUNE, JULY = (datetime(2021, month, 1, tzinfo=UTC) for month in (5, 6, 7))


def bar_set(**changes):
    base = {
        "name": "t", "asset_class": AssetClass.STOCK, "frame": "1d", "calendar": "XNYS",
        "price_basis": PriceBasis.SPLIT_ADJUSTED, "universe_basis": "hindsight", "currency": "USD", "grace_s": 1.0,
        "known_by_date": False, "close_only": True,
        "instruments": tuple(Instrument(name, name[-3:], AssetClass.STOCK, sector="energy") for name in (A, B)),
    }  # fmt: skip
    return BarSet(**(base | changes))


def days(first, last, *, instrument=A, level=10.0, **more):
    n = last - first
    columns = {
        "instrument": [instrument] * n, "start": OPENS[first:last], "end": CLOSES[first:last],
        "available_at": CLOSES[first:last] + NS_PER_S, "close": level + np.arange(first, last) * 0.01,
    }  # fmt: skip
    return bar_table(columns | more)


@pytest.fixture
def store(tmp_path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store")


def test_it_is_a_market_store(store):
    market: MarketStore = store
    assert market is store


def test_what_goes_in_comes_out(store):
    bars = days(0, 40)
    report = store.append(bars, bar_set(), recorded_at=MAY)
    assert report.accepted == 40
    panel = store.read("t", known_at=JUNE)
    assert panel.shape == (1, 40, 9)
    assert panel.end.tolist() == CLOSES[:40].tolist()
    assert store.sets() == (bar_set(),)
    assert content_hash(store.read_table("t")) == content_hash(bars)


def test_layout_sorted_by_year_with_latest_bars(store):
    store.append(days(0, 40), bar_set(), recorded_at=MAY)
    parts = [part.path for part in store.entry("t").parts]
    assert parts == ["bars/v1/stock/1d/2019/t-00000.parquet", "bars/v1/stock/1d/2020/t-00000.parquet"]
    latest = store.latest_bars()
    assert latest.column_names == ["set", *(name for name, _, _ in BAR_COLUMNS)]
    assert latest.column("end").to_pylist() == [int(CLOSES[39])]


def test_importing_twice_adds_nothing(store):
    store.append(days(0, 40), bar_set(), recorded_at=MAY)
    report = store.append(days(0, 40), bar_set(), recorded_at=JUNE)
    assert report.collapsed == 40
    assert store.read_table("t").table.num_rows == 40


def test_a_later_import_revises_and_the_old_view_remains(store):
    store.append(days(0, 20), bar_set(), recorded_at=MAY)
    store.append(days(5, 20, level=11.0), bar_set(), recorded_at=JULY)
    before = store.read("t", known_at=JUNE).field("close")[0]
    after = store.read("t", known_at=JULY).field("close")[0]
    assert before[5] == pytest.approx(10.05)
    assert after[5] == pytest.approx(11.05)
    assert after[4] == before[4]
    assert store.read_table("t").table.num_rows == 35


def test_nothing_was_recorded_before_the_import(store):
    store.append(days(0, 20), bar_set(), recorded_at=JUNE)
    with pytest.raises(DataError, match="no data in range: it was first recorded at 2021-06-01") as caught:
        store.read("t", known_at=MAY)
    assert "--until" in str(caught.value)


def test_until_cuts_a_read(store):
    store.append(days(0, 20), bar_set(), recorded_at=MAY)
    panel = store.read("t", known_at=JUNE, until_ns=int(CLOSES[9]) + NS_PER_S)
    assert panel.shape[1] == 10


def test_new_bars_continue_the_factor(store):
    factor = np.where(np.arange(20) >= 10, 1.02, 1.0)
    store.append(days(0, 20, total_factor=factor), bar_set(), recorded_at=MAY)
    later = np.where(np.arange(15, 30) >= 25, 1.03, 1.0)  # a file that starts again at 1
    store.append(days(15, 30, total_factor=later), bar_set(), recorded_at=JUNE)
    seen = store.read("t", known_at=JULY).field("total_factor")[0]
    assert seen[19] == 1.02
    assert seen[20] == pytest.approx(1.02)
    assert seen[29] == pytest.approx(1.02 * 1.03)


def test_names_join_and_can_be_selected(store):
    store.append(days(0, 20), bar_set(instruments=bar_set().instruments[:1]), recorded_at=MAY)
    store.append(days(0, 20, instrument=B), bar_set(instruments=bar_set().instruments[1:]), recorded_at=JUNE)
    assert [i.id for i in store.sets()[0].instruments] == [A, B]
    assert store.read("t", known_at=JULY, instruments=[B]).instruments == (B,)
    with pytest.raises(UnknownNameError, match=r"stock.US.CCC"):
        store.read("t", known_at=JULY, instruments=["stock.US.CCC"])


def test_unknown_set_and_changed_meaning(store):
    store.append(days(0, 20), bar_set(), recorded_at=MAY)
    with pytest.raises(UnknownNameError, match=r"unknown set 'tt'. Did you mean 't'"):
        store.read("tt", known_at=JUNE)
    with pytest.raises(ConfigError, match="stored with price_basis split_adjusted, the new bars have raw"):
        store.append(days(20, 30), bar_set(price_basis=PriceBasis.RAW), recorded_at=JUNE)


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b"other" + data, lambda data: b""])
def test_truncated_or_foreign_files_are_refused(store, damage):
    store.append(days(0, 20), bar_set(), recorded_at=MAY)
    path = store.folder / store.entry("t").parts[0].path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="truncated or foreign") as caught:
        store.read("t", known_at=JUNE)
    assert caught.value.file == str(path)
    path.unlink()
    with pytest.raises(DataError, match="is not there"):
        store.read("t", known_at=JUNE)


def test_a_foreign_manifest_is_refused(store):
    store.append(days(0, 20), bar_set(), recorded_at=MAY)
    manifest = store.folder / "manifest.json"
    manifest.write_text("{}")
    with pytest.raises(DataError, match="not the manifest of a store"):
        store.sets()
    manifest.write_text('{"format": "foresail-store", "version": 9, "sets": {}}')
    with pytest.raises(DataError, match="expected foresail-store version 1"):
        store.sets()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_interrupted_append_leaves_the_store_as_it_was(store, monkeypatch, step):
    store.append(days(0, 10), bar_set(), recorded_at=MAY)
    whole = store.read_table("t")
    count = 0

    def fails_at(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise OSError(28, "No space left on device")
        original(path, data)

    original = embedded.write_atomic
    monkeypatch.setattr(embedded, "write_atomic", fails_at)
    monkeypatch.setattr("foresail.store.manifest.write_atomic", fails_at)
    with pytest.raises(DataError, match="cannot be written: No space left on device; nothing of this import was kept"):
        store.append(days(10, 40), bar_set(), recorded_at=JUNE)
    monkeypatch.undo()
    assert store.read_table("t").table.equals(whole.table)
    store.append(days(10, 40), bar_set(), recorded_at=JUNE)
    assert store.read_table("t").table.num_rows == 40
    assert not list(store.folder.rglob("*.tmp"))


def test_nothing_usable_is_refused(store):
    with pytest.raises(DataError, match="none of 5 bars passed the quality gate; the first reason"):
        store.append(days(0, 5, level=-100.0), bar_set(), recorded_at=MAY)
    assert not (store.folder / "manifest.json").exists()


def test_the_same_import_writes_the_same_bytes(tmp_path):
    files = []
    for name in ("one", "two"):
        store = EmbeddedStore(tmp_path / name)
        store.append(days(0, 40), bar_set(), recorded_at=MAY)
        files.append([(p.relative_to(store.folder), p.read_bytes()) for p in sorted(store.folder.rglob("*.*"))])
    assert files[0] == files[1]
