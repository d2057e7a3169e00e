"""Imports flow down only, and starting the command line loads no heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from house_sources import PACKAGE, ROOT
from importlinter.cli import lint_imports

HEAVY = ("lightgbm", "numba", "pandas", "sklearn", "torch")

_START = """
import sys
sys.argv = ["foresail", *sys.argv[1:]]
from foresail.cli.main import main
try:
    main()
except SystemExit as e:
    code = e.code
else:
    code = 0
print("LOADED", code, *sorted(m for m in sys.modules if "." not in m), file=sys.stderr)
"""


def test_import_contracts_hold(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert broken == 0, capsys.readouterr().out


def test_a_module_can_be_imported_without_heavy_libraries_in_the_ground_floors() -> None:
    names = [f"foresail.{p.parent.name}.{p.stem}" for r in ("core", "domain") for p in (PACKAGE / r).glob("[a-z]*.py")]
    loaded = _modules("-c", f"import importlib, sys; [importlib.import_module(n) for n in {sorted(names)}]")
    assert not {"lightgbm", "sklearn", "torch", "numba", "pyarrow"} & loaded


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_command_line_starts_light(option: str) -> None:
    if not (PACKAGE / "cli" / "main.py").exists():
        pytest.skip("foresail/cli/main.py does not exist yet")
    done = subprocess.run([sys.executable, "-c", _START, option], capture_output=True, text=True, check=True)
    line = next(x for x in done.stderr.splitlines() if x.startswith("LOADED"))
    _, code, *loaded = line.split()
    assert code in {"0", "None"}, done.stderr
    assert not sorted(set(HEAVY) & set(loaded))


def _modules(*command: str) -> set[str]:
    command = (command[0], command[1] + "; print(*[m for m in sys.modules if '.' not in m])")
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
