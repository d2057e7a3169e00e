"""Leaks in styles that the hunters were not made for are found; clean twins, innocent files and examples are not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from foresail.core.errors import ConfigError
from foresail.evaluation.leak_market import HuntData, hunt_data
from foresail.evaluation.leaks import hunt, hunt_on_simulated_markets

_spec = importlib.util.spec_from_file_location("planted_variants", Path(__file__).with_name("planted_variants.py"))
assert _spec is not None
assert _spec.loader is not None
_planted = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_planted)
VARIANTS, INNOCENT = _planted.VARIANTS, _planted.INNOCENT
ROOT = Path(__file__).parents[3]
EXAMPLES = ("clean_twin", "momentum_weights", "forecast_strategy")


@pytest.fixture(scope="module")
def market() -> HuntData:
    return hunt_data(3)


@pytest.mark.parametrize(("leaky", "clean"), [v[1:] for v in VARIANTS], ids=[v[0] for v in VARIANTS])
def test_variant_is_caught_and_its_twin_is_not(tmp_path: Path, market: HuntData, leaky: str, clean: str) -> None:
    for name, text in (("leaky", leaky), ("clean", clean)):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        report = hunt(path, market, seed=3)
        assert bool(report.leaks) == (name == "leaky"), report.text
        for leak in report.leaks:
            assert leak.file == str(path)
            assert leak.source_line == text.splitlines()[leak.line - 1].strip()
            assert leak.column
            assert leak.cause


@pytest.mark.parametrize("text", [one[1] for one in INNOCENT], ids=[one[0] for one in INNOCENT])
def test_innocent_file_raises_nothing(tmp_path: Path, market: HuntData, text: str) -> None:
    path = tmp_path / "innocent.py"
    path.write_text(text)
    report = hunt(path, market, seed=3)
    assert report.leaks == (), report.text


@pytest.mark.parametrize("name", EXAMPLES)
def test_shipped_example_raises_nothing(name: str) -> None:
    assert hunt_on_simulated_markets(ROOT / "examples" / f"{name}.py", seed=7).leaks == ()


@pytest.mark.parametrize("name", ["judge_returns", "ten_lines"])
def test_a_script_is_told_what_to_be_and_not_executed(name: str) -> None:
    with pytest.raises(ConfigError, match="is a script, which was not executed"):
        hunt_on_simulated_markets(ROOT / "examples" / f"{name}.py", seed=7)


BROKEN = [
    ("raises", "def experiment(data):\n    return 1 / 0\n", "line 2.*ZeroDivisionError"),
    ("returns nothing", "def experiment(data):\n    pass\n", "or a table of predictions"),
    ("other keys", "def experiment(data):\n    return {'accuracy': 0.9}\n", "received accuracy"),
    ("short", "def experiment(data):\n    return {'train': [0], 'test': [9, 8], 'prediction': [1.0]}\n", "2 values"),
    ("rows", "def experiment(data):\n    return {'train': ['a'], 'test': [9], 'prediction': [1]}\n", "row numbers"),
    ("folds", "def experiment(data):\n    return [1, 2]\n", "a fold must be a dict"),
    ("profit", "def experiment(data):\n    return {'profit': [[[1.0]]]}\n", "one number per bar"),
    ("unknown table", "def feature(bars):\n    return bars['earnings']\n", "no 'earnings'; they have open, high"),
    ("trades at", "trades_at = 'noon'\n\n\ndef feature(bars):\n    return bars['close']\n", "received 'noon'"),
    (
        "unseeded",
        "import numpy as np\n\n\ndef experiment(data):\n    return data['close'] * np.random.rand()\n",
        "different predictions on the same data",
    ),
    ("fewer", "class A:\n    def fit(self, x): ...\n\n    def transform(self, x):\n        return x[:3]\n", "rows"),
    ("exits", "import sys\n\n\ndef feature(bars):\n    sys.exit(5)\n", "line 5.*SystemExit"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pattern"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_what_users_code_does_wrong_is_a_sentence(tmp_path: Path, market: HuntData, text: str, pattern: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=pattern) as caught:
        hunt(path, market, seed=3)
    assert "broken.py" in caught.value.text


def test_the_command_finds_the_leak_of_an_experiment(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text({v[0]: v[1] for v in VARIANTS}["pipeline_fit_then_cut"])
    done = subprocess.run(
        [sys.executable, "-m", "foresail.cli", "leaks", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert "mine.py, line 16" in done.stdout
