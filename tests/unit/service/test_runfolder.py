"""The run folder is whole or absent: bytes, refusals, full disks, kills."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from foresail.core.clock import SimulatedClock
from foresail.core.errors import DataError, IntegrityError, UnknownNameError, UserError
from foresail.service.runfolder import RunReader, RunWriter, code_hash

RUN = {"command": "run", "inputs": {"bars": "00"}, "code": "11", "settings": {"horizons": (1, 5)}, "seed": 7}
METRICS = {
    "gross": {},
    "net": {"sharpe": 0.5},
    "net_2x": {},
    "benchmarks": {},
    "verdict": {"word": "no evidence", "reasons": ["the interval contains 0"]},
    "coverage": {},
    "canaries": [],
}
EQUITY = {
    "end": np.arange(4, dtype=np.int64),
    "gross": [1.0, 2.0, 3.0, 4.0],
    "net": np.array([1.0, np.nan, 3.0, 4.0]),
    "net_2x": None,
    "cash": None,
    "exposure": None,
    "one_over_n": None,
    "index": None,
    "trend": None,
}


def write(out: Path, *, force: bool = False, seed: int = 7) -> Path:
    with RunWriter(out, force=force, clock=SimulatedClock(datetime(2024, 1, 1, tzinfo=UTC))) as writer:
        writer.write_json("run.json", RUN | {"seed": seed})
        writer.log("started", stage="read")
        writer.write_json("metrics.json", METRICS)
        writer.write_table("equity", EQUITY)
        writer.write_text("report.html", "<p>report</p>")
        return writer.finish()


def leftovers(parent: Path) -> list[str]:
    return [p.name for p in parent.iterdir() if p.name.startswith(".")]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    out = write(tmp_path / "runs" / "one")
    run = RunReader(out)
    assert run.json("run.json")["settings"] == {"horizons": [1, 5]}
    assert run.json("metrics.json") == METRICS
    assert run.table("equity").column("net").to_pylist() == [1.0, None, 3.0, 4.0]
    assert run.text("report.html") == "<p>report</p>"
    assert run.log() == [{"at": "2024-01-01T00:00:00+00:00", "event": "started", "stage": "read"}]
    assert run.has("equity")
    assert not run.has("fills")
    assert set(run.promised) == {"run.json", "metrics.json", "equity.parquet"}
    assert leftovers(out.parent) == []


def test_missing_is_null_and_the_file_knows_its_units(tmp_path: Path) -> None:
    schema = pq.read_schema(write(tmp_path / "one") / "equity.parquet")
    assert schema.metadata == {b"foresail.table": b"equity", b"foresail.version": b"1"}
    assert schema.field("end").metadata[b"unit"] == b"ns UTC"


def test_same_content_gives_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import importlib.util, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("writer", sys.argv[1])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.write(Path(sys.argv[2]))
    """)
    digests = set()
    for i, extra in enumerate([{"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}, {"OMP_NUM_THREADS": "1", "TZ": "UTC"}]):
        out = tmp_path / str(i)
        subprocess.run([sys.executable, "-c", script, __file__, str(out)], check=True, env=os.environ | extra)
        digests.add(RunReader(out).digest)
    assert digests == {RunReader(write(tmp_path / "here")).digest}


def test_rows_are_sorted_by_the_key(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "a", force=False) as writer:
        one = writer.write_table("equity", EQUITY)
        back = {k: None if v is None else list(v)[::-1] for k, v in EQUITY.items()}
        assert writer.write_table("equity", back) == one


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"extra": [1, 2, 3, 4]}, "not in the schema \\['extra'\\]"),
        ({"end": None}, "end: 0 of 0|end: 4 of 4"),
        ({"net": [1.0, 2.0]}, "differ in length"),
        ({"net": [1.0, 2.0, float("inf"), 4.0]}, "infinity"),
        ({"net": ["a", "b", "c", "d"]}, "expected double"),
        ({"end": [1.5, 2.0, 3.0, 4.0]}, "expected int64"),
    ],
)
def test_a_table_that_differs_from_its_schema_is_refused(tmp_path: Path, change: dict, text: str) -> None:
    with RunWriter(tmp_path / "a", force=False) as writer, pytest.raises(IntegrityError, match=text):
        writer.write_table("equity", EQUITY | change)


def test_a_document_without_a_required_key_is_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "a", force=False) as writer:
        with pytest.raises(IntegrityError, match=r"verdict\.word"):
            writer.write_json("metrics.json", METRICS | {"verdict": {"reasons": []}})
        with pytest.raises(UnknownNameError, match=r"metrics\.json"):
            writer.write_json("metric.json", METRICS)
        with pytest.raises(UnknownNameError, match="equity"):
            writer.write_table("equty", EQUITY)


def test_an_existing_run_is_refused_without_force_and_replaced_with_it(tmp_path: Path) -> None:
    out = write(tmp_path / "one")
    with pytest.raises(UserError, match="exists already") as refused:
        write(out)
    assert "--force" in str(refused.value)
    write(out, force=True, seed=8)
    assert RunReader(out).json("run.json")["seed"] == 8
    assert leftovers(tmp_path) == []


def test_force_never_replaces_what_is_no_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        write(home, force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        write(tmp_path / "file", force=True)
    (tmp_path / "link").symlink_to(home)
    with pytest.raises(UserError, match="is a link"):
        write(tmp_path / "link", force=True)
    assert (home / "thesis.txt").read_text() == "years of work"


def test_an_old_run_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    out = write(tmp_path / "one")

    def interrupted() -> None:
        with RunWriter(out, force=True) as writer:
            writer.write_json("run.json", RUN | {"seed": 9})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert RunReader(out).json("run.json")["seed"] == 7
    assert leftovers(tmp_path) == []


def test_out_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "one"
    with RunWriter(out, force=False) as writer:
        writer.write_json("run.json", RUN)
        writer.write_json("metrics.json", METRICS)
        write(out, seed=1)
        with pytest.raises(UserError, match="exists already"):
            writer.finish()
    assert RunReader(out).json("run.json")["seed"] == 1


def test_without_an_atomic_exchange_the_old_run_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foresail.service.runfolder._exchange", lambda *_: False)
    out = write(tmp_path / "one")
    write(out, force=True, seed=8)
    assert RunReader(out).json("run.json")["seed"] == 8
    out.rename(tmp_path / ".old-one")  # what a kill between the two renames leaves
    with pytest.raises(UserError, match="exists already"):
        write(out)
    assert RunReader(out).json("run.json")["seed"] == 8
    assert leftovers(tmp_path) == []


def test_a_finished_run_needs_its_record(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "a", force=False) as writer:
        writer.write_json("run.json", RUN)
        with pytest.raises(IntegrityError, match=r"metrics\.json"):
            writer.finish()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda out: (out / "complete").unlink(), "was interrupted"),
        (lambda out: (out / "equity.parquet").unlink(), "equity.parquet is missing"),
        (lambda out: os.truncate(out / "equity.parquet", 100), "truncated: expected"),
        (lambda out: (out / "report.html").open("a").write("x"), "longer than written"),
        (lambda out: (out / "report.html").write_text("<p>repork</p>"), "was changed after the run"),
        (lambda out: (out / "complete").write_text('{"a'), "cannot be read as the listing"),
        (lambda out: (out / "complete").write_text("[]"), "cannot be read as the listing"),
        (
            lambda out: (out / "complete").write_text('{"format": "other", "version": 3, "files": {}}'),
            "received other version 3",
        ),
        (
            lambda out: (out / "complete").write_text(
                json.dumps(
                    {
                        "format": "foresail-run",
                        "version": 1,
                        "files": {"../secret": {"bytes": 1, "sha256": "0"}},
                    }
                )
            ),
            "secret is missing",
        ),
        (shutil.rmtree, "not there"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_sentence(tmp_path: Path, damage, text: str) -> None:
    out = write(tmp_path / "one")
    damage(out)
    with pytest.raises(DataError, match=text) as refused:
        RunReader(out)
    assert refused.value.hint
    assert refused.value.file


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="is no run folder"):
        RunReader(tmp_path)


def test_an_unwritable_place_gives_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="could not be written") as refused:
        write(tmp_path / "file" / "one")
    assert "writable" in str(refused.value)
    if Path("/proc/self").exists():
        with pytest.raises(UserError, match="could not be written"):
            write(Path("/proc/runs/one"))


@pytest.mark.parametrize("failing", range(5))
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    out = write(tmp_path / "one")
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="disk is full"):
        write(out, force=True, seed=8)
    assert RunReader(out).json("run.json")["seed"] == 7
    assert leftovers(tmp_path) == []


def test_a_real_write_limit_inside_parquet_is_a_full_disk(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = 20_000
    equity = EQUITY | {"end": np.arange(rows), "gross": np.sqrt(np.arange(rows)), "net": None}
    writer = RunWriter(tmp_path / "one", force=False)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        with pytest.raises(UserError, match="disk is full"):
            writer.write_table("equity", equity)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


_KILLER = """
import importlib.util, os, random, shutil, signal, sys, time
from pathlib import Path

spec = importlib.util.spec_from_file_location("writer", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
out = Path(sys.argv[2]) / "run"
module.write(out)  # warm
began = time.monotonic()
module.write(out, force=True)
one = time.monotonic() - began  # kills fall within the first few writes, however busy the machine is
rng = random.Random(11)
seen = set()
for kill in range(20):
    if kill % 4 == 0:
        shutil.rmtree(out, ignore_errors=True)
    child = os.fork()
    if child == 0:
        seed = 100 * kill
        while True:
            seed += 1
            module.write(out, force=True, seed=seed)
    time.sleep(rng.uniform(0.0, 6.0 * one))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if out.exists():
        seen.add(module.RunReader(out).json("run.json")["seed"])
    else:
        seen.add("absent")
module.write(out, force=True)
print(len(seen), module.leftovers(out.parent))
"""


def test_a_kill_leaves_the_old_run_or_the_new_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLER, __file__, str(tmp_path)], check=True, capture_output=True, text=True
    )
    different, left = done.stdout.split(maxsplit=1)
    assert int(different) >= 5
    assert left.strip() == "[]"


def test_the_code_hash_is_stable_and_covers_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert code_hash() == code_hash()
    copy = tmp_path / "foresail"
    (copy / "sub").mkdir(parents=True)
    (copy / "__init__.py").write_text("a = 1\n")
    monkeypatch.setattr("foresail.__file__", str(copy / "__init__.py"))
    first = code_hash()
    (copy / "sub" / "table.csv").write_text("x\n")
    second = code_hash()
    (copy / "sub" / "__pycache__").mkdir()
    (copy / "sub" / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert first != second == code_hash()
