"""What the guide says of the networks' defaults is what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")

from foresail.forecasting.neural.settings import NetworkSettings

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "networks.md"


@pytest.mark.parametrize("name", ["batch", "patience", "delta", "epochs"])
def test_defaults_that_differ_from_the_recipe_are_told(name: str) -> None:
    said = re.search(rf"`{name}` ([\d.e-]+)[^`(]*\(([\d.]+)\)", GUIDE.read_text(encoding="utf-8"))
    assert said is not None
    assert float(said[1]) == getattr(NetworkSettings(), name)
    assert float(said[2]) == {"batch": 64, "patience": 15, "delta": 0.001, "epochs": 50}[name]  # TRAIN-20 to 22
