"""A run that is killed: ``--out`` never holds a folder that could be read as a result, and the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import COMMAND, differing, foresail
from market_files import settings_file, simulated_frame, write_set

from foresail.core.errors import DataError
from foresail.service.runfolder import RunReader

MOMENTS = random.Random(20)  # of the kills, as shares of what a whole run takes

# Too short a moment to hit from outside: the process kills itself at the n-th move or removal after its last file.
DIE_WHILE_MOVING = """
import os, signal, sys
left, written = int(sys.argv.pop(1)), False
def hook(event, arguments):
    global left, written
    if event == "open" and str(arguments[0]).endswith("/complete") and "w" in str(arguments[1]):
        written = True
    elif written and event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.argv[0] = "foresail"
from foresail.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("interrupted")
    write_set(place / "set", simulated_frame(bars=520, instruments=10))
    settings_file(place)
    return place


def arguments(place: Path, *more: str) -> tuple[str, ...]:
    return ("run", "--bars", str(place / "set"), "--config", str(place / "settings-ridge.toml"), "--json", *more)


@pytest.fixture(scope="module")
def whole(place: Path) -> tuple[Path, float]:
    """An uninterrupted run in a workspace of its own, and the seconds that it took."""
    home = place / "calm"
    home.mkdir()
    began = time.monotonic()
    called = foresail(*arguments(place, "--out", "run"), cwd=home)
    assert called.code == 0, called.err
    return home / "run", time.monotonic() - began


@pytest.fixture(scope="module")
def old(place: Path, whole: tuple[Path, float]) -> Path:
    """A finished run with other figures, to be replaced."""
    called = foresail(*arguments(place, "--out", "old", "--capital", "50000 USD"), cwd=whole[0].parent)
    assert called.code == 0, called.err
    assert "equity.parquet" in differing(whole[0], whole[0].parent / "old")
    return whole[0].parent / "old"


def start(place: Path, home: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments(place, "--out", "run", *more)],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def wait_for_stage(running: subprocess.Popen[str], stage: str) -> None:
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith(stage):
            return
    pytest.fail(f"the run ended before {stage}")


def readable(out: Path) -> bool:
    """Return whether a folder is taken for a result."""
    try:
        return bool(RunReader(out).promised)
    except DataError:
        return False


def kill(running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate(timeout=20)
    assert running.returncode in (-signal.SIGKILL, 0)


def test_a_killed_run_leaves_no_result_and_the_next_one_goes_on(
    place: Path, whole: tuple[Path, float], old: Path
) -> None:
    home, (calm, seconds) = place / "killed", whole
    home.mkdir()
    out = home / "run"
    for share in (MOMENTS.uniform(0.2, 0.6), MOMENTS.uniform(0.6, 1.0)):
        running = start(place, home, "--force")
        time.sleep(share * seconds)
        kill(running)
        if out.exists():  # the kill came after the end
            assert differing(calm, out) == []
            shutil.rmtree(out)
    for stage in ("walk-forward", "canaries", "writing"):
        shutil.copytree(old, out)
        running = start(place, home, "--force")
        wait_for_stage(running, stage)
        time.sleep(MOMENTS.uniform(0.0, 0.3))
        kill(running)
        assert readable(out)
        assert not differing(old, out) or not differing(calm, out)
        shutil.rmtree(out)

    folds = sorted((home / ".foresail-cache").glob("*.fold"))
    written = {fold: fold.stat().st_mtime_ns for fold in folds}
    last = foresail(*arguments(place, "--out", "run"), cwd=home)
    assert last.code == 0, last.err
    assert len(written) == 3  # 250, 375 and 500: all were finished before some kill
    assert {fold: fold.stat().st_mtime_ns for fold in sorted((home / ".foresail-cache").glob("*.fold"))} == written
    assert differing(calm, out) == []
    assert [p.name for p in home.iterdir() if p.name.startswith((".tmp-", ".old-"))] == []


@pytest.mark.parametrize("nth", [1, 4])
def test_a_kill_while_the_folder_moves_leaves_the_old_run_or_the_new_one(
    place: Path, whole: tuple[Path, float], old: Path, nth: int
) -> None:
    home = place / f"moving-{nth}"
    out = home / "run"
    shutil.copytree(old, out)
    done = subprocess.run(
        [sys.executable, "-c", DIE_WHILE_MOVING, str(nth), *arguments(place, "--out", "run", "--force")],
        cwd=home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert readable(out)
    assert not differing(old, out) or not differing(whole[0], out)


def test_a_torn_fold_in_the_cache_is_fitted_again(place: Path, whole: tuple[Path, float]) -> None:
    home = place / "torn"
    shutil.copytree(whole[0].parent / ".foresail-cache", home / ".foresail-cache")
    folds = sorted((home / ".foresail-cache").glob("*.fold"))
    for number, fold in enumerate(folds):
        content = fold.read_bytes()
        fold.write_bytes((content[:-9], content[:20], content.replace(b"ridge", b"edgir", 1))[number % 3])
    called = foresail(*arguments(place, "--out", "run"), cwd=home)
    assert called.code == 0, called.err
    assert len(folds) >= 3
    assert differing(whole[0], home / "run") == []


def test_ctrl_c_leaves_nothing_and_exits_130(place: Path, whole: tuple[Path, float]) -> None:
    home = place / "stopped"
    home.mkdir()
    running = start(place, home)
    wait_for_stage(running, "canaries")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert '"exit_code": 130' in out
    assert "resumes from the cache" in err
    assert "Traceback" not in err
    assert not (home / "run").exists()
    assert [p.name for p in home.iterdir() if p.name.startswith(".tmp-")] == []
