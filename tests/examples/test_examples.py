"""Every example runs, from a fresh folder, and says what its text promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("--bars", "embedded:us20", "--names", "6", "--until", "1993-12-31", "--config", str(EXAMPLES / "quick.toml"))


def _start(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )


def _foresail(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return _start(folder, "-m", "foresail.cli", *command)


def test_ten_lines_tell_verdict_figures_and_report(tmp_path: Path) -> None:
    code = [line for line in (EXAMPLES / "ten_lines.py").read_text().splitlines()[5:] if line and "import" not in line]
    assert len(code) <= 10
    (tmp_path / "foresail.toml").write_text((EXAMPLES / "quick.toml").read_text())
    done = _start(tmp_path, str(EXAMPLES / "ten_lines.py"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    metrics = json.loads((tmp_path / "runs" / "ten-lines" / "metrics.json").read_text())
    assert lines[0] == metrics["verdict"]["word"]
    assert lines[1] == metrics["verdict"]["reasons"][0]
    assert f"net {metrics['net']['annual_return']:+.1%} a year" in done.stdout
    assert (tmp_path / lines[-1]).is_file()


def test_the_best_of_many_coins_loses_its_evidence_when_its_trials_are_counted(tmp_path: Path) -> None:
    done = _start(tmp_path, str(EXAMPLES / "judge_returns.py"))
    assert done.returncode == 0, done.stderr
    words = [line.removeprefix("verdict: ") for line in done.stdout.splitlines() if line.startswith("verdict: ")]
    assert words == ["evidence", "no evidence"]


def test_a_step_strategy_runs(tmp_path: Path) -> None:
    done = _foresail(tmp_path, "run", *SMALL, "--plugin", str(EXAMPLES / "forecast_strategy.py"), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["net"]["num_trades"] > 0
    assert (tmp_path / document["report"]).is_file()


def test_a_weights_strategy_has_no_leak_and_its_leaky_twin_is_refused(tmp_path: Path) -> None:
    for name in ("momentum_weights", "clean_twin"):
        done = _foresail(tmp_path, "leaks", str(EXAMPLES / f"{name}.py"))
        assert (done.returncode, done.stderr) == (0, ""), name
    done = _foresail(tmp_path, "run", *SMALL, "--plugin", str(EXAMPLES / "leaky.py"))
    assert done.returncode == 4
    assert "leaky.py, line 12" in done.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".toml"}))
def test_every_example_is_listed_and_run(name: str) -> None:
    assert f"`{name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert name.removesuffix(".py") in Path(__file__).read_text(encoding="utf-8")


def test_importing_the_package_is_light() -> None:
    code = "import sys, foresail; foresail.__version__; dir(foresail); print(*[m for m in sys.modules if '.' not in m])"
    loaded = set(_start(Path(os.curdir), "-c", code).stdout.split())
    assert "foresail" in loaded
    assert not {"numpy", "pandas", "numba", "sklearn", "lightgbm", "pyarrow"} & loaded


def test_purged_folds_select_the_useful_feature_in_every_fold(tmp_path: Path) -> None:
    done = _start(tmp_path, str(EXAMPLES / "purged_folds.py"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 15
    assert all("'f2'" in line for line in lines)


def test_features_are_computed_and_the_absent_one_has_a_reason(tmp_path: Path) -> None:
    done = _start(tmp_path, str(EXAMPLES / "features.py"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("4 features, 1 absent)")
    assert lines[1].startswith("absent: volume_ratio_20: needs volume")
    assert "True" in lines
