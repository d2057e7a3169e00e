"""Importing: a described set reaches the store, and what was not kept is told with file, row, column and rule."""

import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foresail.core.clock import SimulatedClock
from foresail.core.errors import ConfigError, DataError
from foresail.service.importing import describe_set, import_set, open_store
from foresail.service.workspace import init_workspace

NOW = datetime(2024, 6, 1, tzinfo=UTC)
CLOCK = SimulatedClock(NOW)
DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))
GOOD = """date,ticker,open,high,low,close,volume
2024-01-02,AAA,9,10,9,9.5,100
2024-01-03,AAA,10,11,9,10.5,100
2024-01-04,AAA,10,11,9,10.5,100
2024-01-05,AAA,10,11,9,10.6,100
"""
DIRTY = (
    GOOD
    + """2024-01-05,AAA,10,11,9,10.6,100
2024-01-06,AAA,10,11,9,10.6,100
2024-01-08,AAA,10,9,11,10.6,100
2024-01-09,AAA,10,11,9,oops,100
2024-01-10,AAA,10,11,9,-1,100
2024-01-12,AAA,10,14,9,13.9,100
"""
)


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_workspace(tmp_path)
    return tmp_path


def write(text, name="bars.csv"):
    path = Path(name)
    path.write_text(text)
    return path


def test_a_clean_file_is_stored_with_the_time_of_the_clock(workspace):
    outcome = import_set(write(GOOD), name="mine", clock=CLOCK)
    assert outcome.exit_code == 0
    assert outcome.document["received"] == outcome.document["accepted"] == 4
    assert outcome.document["quarantined"] == []
    assert outcome.document["set"]["name"] == "mine"
    assert outcome.document["set"]["instruments"] == ["stock.US.AAA"]
    assert outcome.document["store"] == str(workspace / "store")
    assert outcome.lines[-1] == "next: foresail run --bars mine"
    panel = open_store().read("mine", known_at=NOW)
    assert panel.field("close").tolist() == [[9.5, 10.5, 10.5, 10.6]]
    assert set(open_store().read_table("mine").table.column("recorded_at").to_pylist()) == {
        int(NOW.timestamp()) * 10**9
    }


def test_every_row_that_was_not_kept_is_named():
    document = import_set(write(DIRTY), name="mine", clock=CLOCK).document
    told = {(row["file"], row["row"], row["column"], row["rule"]) for row in document["quarantined"]}
    assert told == {
        ("bars.csv", 6, "time", "DATA-54"),
        ("bars.csv", 7, "high", "DATA-52"),
        ("bars.csv", 8, "close", "DATA-51"),
        ("bars.csv", 9, "close", "DATA-52"),
    }
    assert all(row["reason"] and row["original"] for row in document["quarantined"])
    assert document["collapsed"] == 1
    assert (document["received"], document["accepted"]) == (10, 5)
    assert document["received"] == document["accepted"] + document["collapsed"] + len(document["quarantined"])
    assert document["gaps"] == 4
    assert {flag["rule"] for flag in document["flags"]} >= {"DATA-54", "DATA-55"}


def test_the_terminal_shows_the_first_rows_and_says_how_many_more():
    rows = "".join(f"2024-02-{day:02d},AAA,10,9,11,10.6,100\n" for day in (1, 2, 5, 6, 7, 8, 9))
    lines = import_set(write(GOOD + rows), name="mine", clock=CLOCK).lines
    assert "received 11 rows, accepted 4, set aside 7, equal repeats 0" in lines
    assert "  bars.csv, 5, high, DATA-52: high below low" in lines
    assert "  ... and 2 more (--json lists all)" in lines
    assert len(lines) < 25


def test_a_jump_that_nothing_explains_is_listed_as_blocked():
    rows = "2024-01-08,AAA,5.3,5.4,5.2,5.3,200\n2024-01-09,AAA,5.3,5.4,5.2,5.3,200\n"
    write(GOOD + rows)
    Path("foresail-set.toml").write_text(
        'version = 1\nname = "r"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\ntime = "session"\n'
        'price_basis = "raw"\nuniverse = "point_in_time"\n'
    )
    outcome = import_set(Path(), clock=CLOCK)
    assert [name for name, _ in outcome.document["blocked"]] == ["stock.US.AAA"]
    assert "  stock.US.AAA from 2024-01-08T21:00:00Z" in outcome.lines


def test_importing_again_stores_nothing_twice():
    path = write(GOOD)
    import_set(path, name="mine", clock=CLOCK)
    again = import_set(path, name="mine", clock=SimulatedClock(NOW.replace(day=2)))
    assert again.document["collapsed"] == 4
    assert open_store().read_table("mine").table.num_rows == 4


HOURLY = """time,open,high,low,close
2024-01-02 10:00,1.10,1.11,1.09,1.10
2024-01-02 11:00,1.10,1.11,1.09,1.10
2024-01-02 12:00,1.10,1.11,1.09,1.10
"""


def test_a_naive_time_is_refused_until_a_zone_is_given():
    path = write(HOURLY, "EURUSD_1h.csv")
    with pytest.raises(DataError) as refused:
        import_set(path, clock=CLOCK)
    assert (refused.value.file, refused.value.row, refused.value.column) == ("EURUSD_1h.csv", 1, "time")
    assert "--timezone" in refused.value.hint
    assert not Path("store/manifest.json").exists()
    import_set(path, timezone="America/New_York", clock=CLOCK)
    end = open_store().read_table("EURUSD_1h").table.column("end")[0].as_py()
    assert datetime.fromtimestamp(end / 1e9, UTC).hour == 16  # 10:00 in New York, one hour later, UTC
    with pytest.raises(ConfigError, match="unknown time zone 'Mars/Base'"):
        import_set(path, timezone="Mars/Base", clock=CLOCK)


def test_describe_prints_toml_that_imports(workspace):
    write(GOOD)
    outcome = describe_set(Path("bars.csv"))
    text = "\n".join(outcome.lines)
    assert outcome.document["toml"].rstrip("\n") == text
    assert tomllib.loads(text)["files"] == ["bars.csv"]
    assert outcome.document["proposal"]["frame"] == "1d"
    assert not (workspace / "store/manifest.json").exists()
    Path("foresail-set.toml").write_text(text)
    assert import_set(Path(), clock=CLOCK).document["accepted"] == 4


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("date,ticker,close\n2024-01-02,AAA,1\n", DataError, "at least two are needed"),
        ("date,ticker,close\n2024-01-02,AAA,\n2024-01-03,AAA,\n", DataError, "no number in any"),
        ("date,ticker,close\n2024-01-02,AAA,-1\n2024-01-03,AAA,-2\n", DataError, "none of 2 bars passed"),
        ("", DataError, "empty"),
        ("\x00\x01\x02\x03" * 40, DataError, "neither Parquet nor text"),
    ],
)
def test_files_that_cannot_be_used_are_refused_with_their_name(text, error, words):
    with pytest.raises(error, match=words) as refused:
        import_set(write(text), clock=CLOCK)
    assert "bars" in str(refused.value)
    assert not Path("store/manifest.json").exists()


def test_a_missing_and_an_unknown_column_are_named():
    described = (
        'version = 1\nname = "r"\nfiles = ["bars.csv"]\nclass = "stock"\nframe = "1d"\ntime = "session"\n'
        'price_basis = "raw"\n'
    )
    write("date,ticker,open\n2024-01-02,AAA,1\n2024-01-03,AAA,1\n")
    Path("foresail-set.toml").write_text(described)
    with pytest.raises(DataError, match=r"no column for the close.*the file has: date, ticker, open"):
        import_set(Path(), clock=CLOCK)
    Path("foresail-set.toml").write_text(described + '[columns]\nclose = "Last"\n')
    with pytest.raises(DataError, match="Last"):
        import_set(Path(), clock=CLOCK)


def test_a_path_that_is_not_there():
    for use in (import_set, describe_set):
        with pytest.raises(DataError, match=r"nowhere\.csv"):
            use(Path("nowhere.csv"))


def test_a_store_that_cannot_be_written_is_told_and_left_alone(workspace):
    (workspace / "store").rmdir()
    (workspace / "store").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written") as refused:
        import_set(write(GOOD), clock=CLOCK)
    assert str(workspace / "store") in refused.value.text
    assert refused.value.hint is not None


def test_a_full_disk_leaves_the_store_as_it_was(monkeypatch):
    path = write(GOOD)
    import_set(path, name="mine", clock=CLOCK)
    before = open_store().read_table("mine").table

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foresail.store.embedded.write_atomic", full)
    with pytest.raises(DataError, match="No space left on device"):
        import_set(write(GOOD.replace("10.6", "10.7")), name="mine", clock=CLOCK)
    assert open_store().read_table("mine").table.equals(before)


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(path.name for path in (DATA / "dirty").glob("*")) or ["absent"])
def test_every_dirty_file_is_imported_set_aside_or_refused_with_its_place(name):
    path = DATA / "dirty" / name
    if not path.is_file():
        pytest.skip(f"no market data in {DATA}: set FORESAIL_DATA")
    document, refusal = _import_or_refuse(path)
    if refusal is not None:
        assert refusal.file == name
        assert refusal.rule
        assert refusal.row is not None
        assert refusal.hint
        return
    assert document["accepted"] > 0
    assert document["quarantined"]
    for row in document["quarantined"]:
        assert row["file"] == name
        assert row["row"] >= 1
        assert row["column"]
        assert row["rule"].startswith("DATA-")


def _import_or_refuse(path):
    try:
        later = SimulatedClock(datetime(2026, 6, 1, tzinfo=UTC))
        return import_set(path, name="dirty", clock=later).document, None
    except DataError as refusal:
        return None, refusal
