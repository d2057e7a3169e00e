"""Every kind of leak is caught with its line, every clean twin passes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from foresail.evaluation.leaks import hunt
from foresail.evaluation.simulated_market import SimulationSettings, simulate

_spec = importlib.util.spec_from_file_location("leak_cases", Path(__file__).with_name("leak_cases.py"))
assert _spec is not None
assert _spec.loader is not None
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)
CASES, HEAD = _cases.CASES, _cases.HEAD


@pytest.fixture(scope="module")
def panel():
    return simulate(SimulationSettings(instruments=12, bars=500, delistings=0.2), seed=4)


@pytest.mark.parametrize(("name", "leaky", "clean"), CASES, ids=[c[0] for c in CASES])
def test_leak_is_named_and_twin_is_clean(tmp_path, panel, name, leaky, clean):
    path = tmp_path / "leaky.py"
    path.write_text(HEAD + leaky)
    expected = next(i for i, text in enumerate((HEAD + leaky).splitlines(), 1) if "# HERE" in text)
    report = hunt(path, panel, seed=1)
    assert report.leaks, f"{name} was not caught"
    assert {leak.line for leak in report.leaks} == {expected}, report.text
    twin = tmp_path / "clean.py"
    twin.write_text(HEAD + clean)
    assert hunt(twin, panel, seed=1).leaks == (), hunt(twin, panel, seed=1).text
