"""Same input, settings and seed: same bytes, whatever the process; and ``verify`` is able to tell when they are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import Called, differing, foresail, forge, promised
from market_files import simulated_frame, write_set

from foresail.core.canonical import canonical_bytes
from foresail.domain.schemas import DOCUMENTS, TABLES

# Few features and closes only: gradient-boosted trees, whose threads are the danger here, stay a matter of seconds.
SETTINGS = """version = 1
[run]
forecaster = "quantile_trees"
horizons = [5]
features = ["log_return_1", "log_return_5", "log_return_20", "rsi_14", "volatility_20", "rank_log_return_20"]
[walk_forward]
train = "375 sessions"
minimum_train = "250 sessions"
refit = "125 sessions"
"""
ONE = {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
TWO = {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", "OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set, and two workspaces with the same settings."""
    place = tmp_path_factory.mktemp("repeat")
    frame = simulated_frame(bars=600, instruments=10)
    write_set(place / "set", frame[["date", "symbol", "close", "volume"]])
    for name in ("one", "two/deeper"):
        (place / name).mkdir(parents=True)
        (place / name / "foresail.toml").write_text(SETTINGS)
    return place


@pytest.fixture(scope="module")
def first(place: Path) -> Called:
    arguments = ("run", "--bars", place / "set", "--out", place / "one" / "run", "--json")
    return foresail(*arguments, cwd=place / "one", **ONE)


@pytest.fixture
def run(place: Path, first: Called, tmp_path: Path) -> Path:
    """A copy of the first run to tamper with."""
    assert first.code == 0, first.err
    return Path(shutil.copytree(place / "one" / "run", tmp_path / "run"))


def test_a_run_in_another_process_zone_and_workspace_has_the_same_bytes(place: Path, first: Called) -> None:
    assert first.code == 0, first.err
    there = place / "two" / "deeper"
    second = foresail("run", "--bars", "../../set", "--json", cwd=there, **TWO)
    assert second.code == 0, second.err
    (other,) = (there / "runs").iterdir()
    assert differing(place / "one" / "run", other) == []
    wanted = {d.file for d in DOCUMENTS if d.promised} | {t.file for t in TABLES.values()}
    assert set(promised(other)) == wanted
    told = [{k: v for k, v in one.document.items() if k not in ("run", "report")} for one in (first, second)]
    assert told[0] == told[1]
    assert told[0] == json.loads((other / "metrics.json").read_bytes())
    assert len(first.document["canaries"]) == 5


def test_verify_finds_a_forged_setting(place: Path, run: Path) -> None:
    record = json.loads((run / "run.json").read_bytes())
    record["settings"]["top_k"] = 5
    forge(run, "run.json", canonical_bytes(record))
    called = foresail("verify", run, "--json", cwd=place)
    assert called.code == 4, called.err
    assert not called.document["equal"]
    assert {"orders.parquet", "fills.parquet", "equity.parquet", "metrics.json"} <= set(called.document["differing"])
    assert "forecasts.parquet" not in called.document["differing"]


def test_verify_finds_a_forged_table(place: Path, run: Path) -> None:
    forge(run, "fills.parquet", (run / "orders.parquet").read_bytes())
    called = foresail("verify", run, "--json", cwd=place)
    assert called.code == 4, called.err
    assert called.document["differing"] == ["fills.parquet"]


@pytest.mark.parametrize("name", ["run.json", "equity.parquet"])
def test_verify_finds_an_edited_file_at_once(place: Path, run: Path, name: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content.replace(b"7", b"8", 1))
    called = foresail("verify", run, "--json", cwd=place)
    assert called.code == 4, called.err
    assert called.document["equal"] is False
    assert called.document["differing"] == [name]
    assert "walk-forward" not in called.err


def test_verify_without_its_input_says_what_is_missing(place: Path, run: Path) -> None:
    bars = place / "set" / "bars.parquet"
    aside = bars.rename(place / "aside.parquet")
    try:
        gone = foresail("verify", run, "--json", cwd=place)
        frame = simulated_frame(bars=600, instruments=10, seed=6)
        write_set(place / "set", frame[["date", "symbol", "close", "volume"]])
        changed = foresail("verify", run, "--json", cwd=place)
    finally:
        aside.replace(bars)
    assert (gone.code, changed.code) == (5, 5)
    assert "bars.parquet" in gone.document["text"]
    assert "have changed since the run" in changed.document["text"]


def test_verify_of_what_is_no_run_is_refused(place: Path, run: Path) -> None:
    (run / "complete").unlink()
    for folder in (run, place / "nowhere"):
        called = foresail("verify", folder, "--json", cwd=place)
        assert called.code == 3
        assert called.document["error"] == "DataError"


def test_trials_made_meanwhile_change_the_verdict_only_and_verify_knows_their_number(
    place: Path, first: Called
) -> None:
    assert first.code == 0, first.err
    home = place / "one"
    for out, seed in (("other", 8), ("again", 7)):
        called = foresail("run", "--bars", place / "set", "--out", out, "--seed", seed, "--json", cwd=home)
        assert called.code == 0, called.err
    trials = [json.loads((home / name / "honesty.json").read_bytes())["trial_count"]["n"] for name in ("run", "again")]
    assert trials == [1, 2]
    assert set(differing(home / "run", home / "again")) <= {"metrics.json"}
    one, two = (json.loads((home / name / "metrics.json").read_bytes()) for name in ("run", "again"))
    assert one.pop("verdict") != two.pop("verdict")
    assert one == two
    verified = foresail("verify", home / "again", "--json", cwd=place, **TWO)
    assert verified.code == 0, verified.err
    assert verified.document["equal"]
    assert verified.document["files"] == sorted(promised(home / "again"))
