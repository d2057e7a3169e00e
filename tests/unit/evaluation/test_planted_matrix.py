"""Planted leaks: each kind is caught with file, line, column, time and cause; its clean twin raises nothing.

The table in docs/guide/leaks.md is the one that is tested here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from foresail.core.clock import format_ns
from foresail.evaluation.leak_market import HuntData, hunt_data
from foresail.evaluation.leaks import hunt

_spec = importlib.util.spec_from_file_location("planted_kinds", Path(__file__).with_name("planted_kinds.py"))
assert _spec is not None
assert _spec.loader is not None
_planted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_planted)
KINDS = _planted.KINDS
GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "leaks.md"


@pytest.fixture(scope="module")
def market() -> HuntData:
    return hunt_data(7)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_planted_leak_is_named_and_its_twin_is_clean(tmp_path: Path, market: HuntData, kind) -> None:
    leaky, clean = tmp_path / "leaky.py", tmp_path / "clean.py"
    leaky.write_text(kind.leaky)
    clean.write_text(kind.clean)
    marked = next(n for n, text in enumerate(kind.leaky.splitlines(), 1) if "# HERE" in text)
    report = hunt(leaky, market, seed=7)
    assert report.leaks, f"{kind.name} was not caught"
    for leak in report.leaks:
        assert leak.file == str(leaky)
        assert leak.line == marked, report.text
        assert leak.column in kind.columns, report.text
        assert kind.cause in leak.cause, report.text
        assert format_ns(leak.time) in report.text
    assert hunt(clean, market, seed=7).leaks == (), hunt(clean, market, seed=7).text


@pytest.mark.parametrize("kind", KINDS[::4], ids=[kind.name for kind in KINDS[::4]])
def test_the_verdict_does_not_hang_on_the_seed(tmp_path: Path, kind) -> None:
    seed = 1
    other = hunt_data(seed)
    for name, text in (("leaky", kind.leaky), ("clean", kind.clean)):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        assert bool(hunt(path, other, seed=seed).leaks) == (name == "leaky")


def test_the_guide_prints_this_table() -> None:
    rows = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    listed = {row.split("|")[1].strip() for row in rows}
    assert {kind.listed_as for kind in KINDS} <= listed
