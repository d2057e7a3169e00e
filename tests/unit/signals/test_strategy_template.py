"""The strategy that ``foresail new strategy`` writes runs as it is."""

from __future__ import annotations

from importlib import resources

from foresail.evaluation.user_file import read_user_file
from foresail.service.plugins import load_plugin, to_strategy
from foresail.testing.builders import FakeView, bar_panel


def test_template_holds_the_three_that_rose_most(tmp_path):
    text = resources.files("foresail.service").joinpath("templates/strategy.py.txt").read_text(encoding="utf-8")
    path = tmp_path / "my_first.py"
    path.write_text(text.replace("NAME", "my_first"), encoding="utf-8")
    assert read_user_file(path).id == "me/my_first@1"
    strategy = to_strategy(load_plugin(path), frame="1d")
    panel = bar_panel({f"stock.US.{n}": [10.0 + slope * t for t in range(30)] for slope, n in enumerate("ABCDE")})
    (weights,) = strategy.step(strategy.start(), FakeView(panel, 29))
    assert weights.weights == (("stock.US.E", 0.2), ("stock.US.D", 0.2), ("stock.US.C", 0.2))
    assert strategy.spec.every == 5
