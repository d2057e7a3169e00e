"""Facts in the store: append only, vintages kept, hashes checked, read as known and as recorded."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from foresail.core.clock import to_ns
from foresail.core.errors import ConfigError, DataError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.facts import FactBasis, FactSet, fact_table, snapshot_facts
from foresail.domain.instruments import Alias
from foresail.store.embedded import EmbeddedStore

A = instrument_id("stock.US.A")
SET = FactSet("reports", ("income",), FactBasis.PUBLISHED, "test")


def on(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def facts(*rows: tuple[str, str, float]):
    event, available, values = zip(*rows, strict=True)
    stamps = [np.array([to_ns(on(day)) for day in column], dtype=np.int64) for column in (event, available)]
    return fact_table([A] * len(rows), stamps[0], {"income": np.array(values)}, available_at=stamps[1])


FIRST = ("2015-03-31", "2015-04-24", 1.0)
RESTATED = ("2015-03-31", "2015-08-10", 0.5)


def test_a_restatement_that_arrives_later_changes_nothing_seen_before(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    assert store.append_facts(facts(FIRST), SET, recorded_at=on("2015-05-01")) == 1
    before = store.read_facts("reports", as_of=on("2015-06-01"))
    file = next((tmp_path / "facts" / "v1").glob("*.parquet"))
    content = file.read_bytes()
    assert store.append_facts(facts(FIRST, RESTATED), SET, recorded_at=on("2015-08-11")) == 1  # the first is known
    assert file.read_bytes() == content
    again = store.read_facts("reports", as_of=on("2015-06-01"))
    np.testing.assert_array_equal(again.values, before.values)
    assert store.read_facts("reports", as_of=on("2015-09-01")).values[:, 0].tolist() == [1.0, 0.5]
    audit = store.read_facts("reports", as_of=on("2015-09-01"), recorded_by=on("2015-06-01"))
    assert audit.values[:, 0].tolist() == [1.0]


def test_a_correction_of_the_same_times_is_kept_beside_the_first_word(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.append_facts(facts(FIRST), SET, recorded_at=on("2015-05-01"))
    corrected = facts(("2015-03-31", "2015-04-24", 1.5))
    assert store.append_facts(corrected, SET, recorded_at=on("2015-05-02")) == 1
    assert store.append_facts(corrected, SET, recorded_at=on("2015-05-03")) == 0
    assert store.append_facts(facts(FIRST), SET, recorded_at=on("2015-05-04")) == 1  # taken back: a correction again
    assert store.read_facts("reports", as_of=on("2015-06-01")).values[:, 0].tolist() == [1.0, 1.5, 1.0]
    then = store.read_facts("reports", as_of=on("2015-06-01"), recorded_by=on("2015-05-01"))
    assert then.values[:, 0].tolist() == [1.0]


def test_two_rows_of_one_publication_are_stored_once(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    both = facts(FIRST, ("2015-03-31", "2015-04-24", 2.0))
    assert store.append_facts(both, SET, recorded_at=on("2015-05-01")) == 2
    assert store.append_facts(both, SET, recorded_at=on("2015-05-02")) == 0


def test_snapshots_cannot_be_put_into_the_past(tmp_path: Path) -> None:
    store, said = EmbeddedStore(tmp_path), FactSet("info", ("income",), FactBasis.SNAPSHOT)
    old = snapshot_facts([A], {"income": np.array([1.0])}, stored_at_ns=to_ns(on("2001-01-01")))
    assert store.append_facts(old, said, recorded_at=on("2020-01-01")) == 1
    with pytest.raises(DataError, match=r"nothing was known by 2019-12-31; the first value is known at 2020-01-01"):
        store.read_facts("info", as_of=on("2019-12-31"))
    assert len(store.read_facts("info", as_of=on("2020-01-01"))) == 1
    assert store.append_facts(old, said, recorded_at=on("2020-01-02")) == 0  # the state is the same
    new = snapshot_facts([A], {"income": np.array([2.0])}, stored_at_ns=to_ns(on("2020-02-01")))
    assert store.append_facts(new, said, recorded_at=on("2020-02-01")) == 1


def test_a_set_keeps_its_fields_and_basis(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.append_facts(facts(FIRST), SET, recorded_at=on("2015-05-01"))
    other = FactSet("reports", ("sales",), FactBasis.PUBLISHED)
    with pytest.raises(ConfigError, match=r"stored with fields \('income',\)"):
        store.append_facts(facts(FIRST), other, recorded_at=on("2015-05-02"))
    with pytest.raises(UnknownNameError, match=r"unknown set of facts 'report'. Did you mean 'reports'"):
        store.read_facts("report", as_of=on("2015-05-02"))
    assert store.fact_sets() == (SET,)


def test_damage_is_refused(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.append_facts(facts(FIRST), SET, recorded_at=on("2015-05-01"))
    file = next((tmp_path / "facts" / "v1").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="truncated or foreign"):
        store.read_facts("reports", as_of=on("2015-06-01"))
    file.unlink()
    with pytest.raises(DataError, match="it is not there"):
        store.read_facts("reports", as_of=on("2015-06-01"))
    (tmp_path / "facts.json").write_text("{}")
    with pytest.raises(DataError, match="not the manifest"):
        store.fact_sets()


def test_aliases_are_kept_and_an_open_one_can_end(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.append_aliases([Alias("A", date(2000, 1, 3), None, A)])
    new = instrument_id("stock.US.A~2")
    store.append_aliases([Alias("A", date(2000, 1, 3), date(2010, 1, 4), A), Alias("A", date(2012, 1, 3), None, new)])
    directory = store.directory()
    assert directory.resolve("A", on=date(2005, 1, 3)) == A
    assert directory.resolve("A", on=date(2015, 1, 3)) == new
    with pytest.raises(DataError, match="was not listed on 2011-01-03"):
        directory.resolve("A", on=date(2011, 1, 3))
