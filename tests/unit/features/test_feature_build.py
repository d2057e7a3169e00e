"""The compiled loops: found again by a second process, rebuilt when any kernel source changes."""

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from foresail.features.kernels import build

SCRIPT = (
    "import time; t=time.perf_counter()\n"
    "import numpy as np\n"
    "from foresail.features.kernels.build import loops, warm\n"
    "said=[]; folder=warm(lambda text, share: said.append(share))\n"
    "l=loops(); hits=sum(l.run_lanes.stats.cache_hits.values())+sum(l.run_rows.stats.cache_hits.values())\n"
    "print(hits, said[0], said[-1], time.perf_counter()-t)\n"
)


def test_a_second_process_loads_and_does_not_compile():
    build.warm()
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=os.environ)
    hits, first, last, _ = done.stdout.split()
    assert hits == "2"
    assert (float(first), float(last)) == (0.0, 1.0)


def test_every_kernel_source_is_hashed():
    folder = resources.files("foresail.features.kernels")
    files = {p.name for p in folder.iterdir() if p.name.endswith((".py", ".txt"))}
    assert files - {"__init__.py", "build.py"} == set(build._SOURCES)


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        ("recursive.py", "2.0 / (window + 1.0)", "3.0 / (window + 1.0)"),
        ("rolling.py", "period *= 2", "period *= 4"),
        ("_layout.py", "(n[lane] - back) & mask", "(n[lane] - back - 1) & mask"),
        ("loop_template.txt", "math.inf", "1e300"),
    ],
    ids=["kernel", "callee", "callee in another file", "loop"],
)
def test_a_changed_constant_gives_another_hash(monkeypatch, tmp_path: Path, source: str, old: str, new: str):
    before = build.source_hash()
    for file in resources.files("foresail.features.kernels").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    changed = tmp_path / source
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new))
    monkeypatch.setattr(build.resources, "files", lambda package: tmp_path)
    assert build.source_hash() != before


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("FORESAIL_CACHE", str(tmp_path))
    assert build.cache_folder() == tmp_path / "kernels"
    monkeypatch.delenv("FORESAIL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert build.cache_folder() == tmp_path / "x" / "foresail" / "kernels"


def test_where_no_folder_is_writable_a_private_one_serves(monkeypatch, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("FORESAIL_CACHE", str(blocked))
    path = build._written("x = 1\n", "d" * 64)
    assert path.read_text() == "x = 1\n"
    assert not str(path).startswith(str(blocked))
