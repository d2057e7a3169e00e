"""Facts and corporate actions through ``import_set``: what a user does, end to end."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from foresail.core.clock import SimulatedClock
from foresail.core.errors import LookAheadError
from foresail.service.importing import import_set, open_store

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data"))
CSV = "ticker,period,published,income\nA,2015-03-31,2015-04-24,1.0\nA,2015-03-31,2015-08-10,0.5\n"
TOML = """version = 1
kind = "facts"
name = "reports"
files = ["reports.csv"]
symbol = "ticker"
event_time = "period"
known_at = "published"
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "foresail.toml").write_text("version = 1\n")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "reports.csv").write_text(CSV)
    (tmp_path / "reports" / "foresail-set.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def test_facts_are_imported_once_and_read_as_known(workspace: Path) -> None:
    clock = SimulatedClock(at("2016-01-04"))
    outcome = import_set(workspace / "reports", clock=clock)
    assert (outcome.document["new"], outcome.document["stored_already"]) == (2, 0)
    assert "set of facts reports: 1 instruments, 1 fields, availability published" in outcome.lines[0]
    clock.advance_to(at("2016-01-05"))
    assert import_set(workspace / "reports" / "foresail-set.toml", clock=clock).document["new"] == 0
    store = open_store()
    assert store.read_facts("reports", as_of=at("2015-06-01")).values.tolist() == [[1.0]]
    assert store.read_facts("reports", as_of=at("2015-09-01")).values.tolist() == [[1.0], [0.5]]


def test_facts_that_do_not_say_when_are_refused(workspace: Path) -> None:
    toml = workspace / "reports" / "foresail-set.toml"
    toml.write_text(TOML.replace('known_at = "published"\n', ""))
    with pytest.raises(LookAheadError, match="expected one of known_at, publication_lag, at_close or snapshot"):
        import_set(toml, clock=SimulatedClock(at("2016-01-04")))


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "us_corporate_actions").is_dir(), reason=f"needs {DATA} (set FORESAIL_DATA)")
def test_a_folder_with_factor_and_map_files_is_imported_with_its_tickers(workspace: Path) -> None:
    outcome = import_set(DATA / "us_corporate_actions", clock=SimulatedClock(at("2021-01-04")))
    assert outcome.document["accepted"] == 63_248
    store = open_store()
    assert store.directory().resolve("WM", on=date(2008, 5, 5)) == "stock.US.WM"
    assert store.directory().resolve("WM", on=date(2010, 5, 5)) == "stock.US.UW"
    panel = store.read("us_corporate_actions", known_at=at("2021-01-04"))
    assert "stock.US.USO~2" in panel.instruments
