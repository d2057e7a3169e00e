"""Plug-ins: broken files give one sentence with file and line; a leaky one cannot look ahead when it is run."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from foresail.core.errors import ConfigError, LookAheadError
from foresail.domain.signals import Weights
from foresail.service.plugins import compute_feature, fuzz, load_plugin, to_strategy
from foresail.testing.builders import FakeView, small_panel
from foresail.testing.contracts import check_prefix_invariance, check_strategy, decisions

EXAMPLES = Path(__file__).parents[3] / "examples"
GOOD = 'api = 1\nid = "me/flat@1"\n\n\ndef weights(bars):\n    return bars["close"].notna() / 6\n'
CLASS = '''"""A step strategy."""
from __future__ import annotations
from dataclasses import dataclass
from foresail.domain.signals import Weights

api = 1
id = "me/steps@2"


@dataclass(frozen=True)
class Spec:
    id: str = "me/steps@2"
    every: int = 5
    critical_inputs: tuple[str, ...] = ("close",)


class Steps:
    spec = Spec()

    def start(self):
        return {"count": 0}

    def step(self, state, view):
        state["count"] += 1
        first = view.instruments[0]
        return [Weights(((first, 0.5),))]
'''


@pytest.fixture(scope="module")
def panel():
    return small_panel(6, 200, seed=2)


def written(tmp_path, text, name="plugin.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_good_file_is_loaded(tmp_path):
    path = written(tmp_path, GOOD)
    plugin = load_plugin(path)
    assert (plugin.kind, plugin.id, plugin.api) == ("weights", "me/flat@1", 1)
    assert plugin.source_hash == hashlib.sha256(path.read_bytes()).hexdigest()


BROKEN = [
    ("syntax", GOOD.replace("def weights(bars):", "def weights(bars:"), r"line 5: .*"),
    ("no api", GOOD.replace("api = 1\n", ""), r"expected a line 'api = 1', received none"),
    ("wrong api", GOOD.replace("api = 1", "api = 2"), r"expected a line 'api = 1', received 2"),
    ("true is not 1", GOOD.replace("api = 1", "api = True"), r"received True"),
    ("no id", GOOD.replace('id = "me/flat@1"', ""), r"expected a line such as id = .*received none"),
    ("wrong id", GOOD.replace("me/flat@1", "flat"), r"received 'flat'"),
    ("import fails", "import does_not_exist\n" + GOOD, r"line 1: importing it failed with ModuleNotFoundError"),
    ("fails at import", GOOD + "\n\nx = 1 / 0\n", r"line 9: .*ZeroDivisionError: division by zero in `x = 1 / 0`"),
    ("exits", GOOD + "\n\nraise SystemExit(3)\n", r"line 9: .*SystemExit: 3"),
    ("nothing", 'api = 1\nid = "me/flat@1"\n', r"found none"),
    ("two", GOOD + "\n\ndef feature(bars):\n    return 1\n", r"exactly one plug-in, found 2: weights \(line 5\)"),
    ("arguments", GOOD.replace("(bars)", "(bars, more)"), r"line 5: expected weights\(bars\) with one argument"),
    ("every", GOOD + "\n\nevery = 0\n", r"expected every to be a whole number of bars above 0, received 0"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pattern"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_file_gives_one_sentence_with_its_name(tmp_path, text, pattern):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=pattern) as caught:
        load_plugin(path)
    assert str(path) in caught.value.text
    assert "\n" not in caught.value.text


def test_file_that_is_absent_or_no_text(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_plugin(tmp_path / "none.py")
    (tmp_path / "bytes.py").write_bytes(b"api = 1\n\xff\xfe")
    with pytest.raises(ConfigError, match="line 2: expected UTF-8"):
        load_plugin(tmp_path / "bytes.py")
    (tmp_path / "zero.py").write_bytes(b"api = 1\n\x00")
    with pytest.raises(ConfigError, match=r"zero\.py"):
        load_plugin(tmp_path / "zero.py")


RETURNS = [
    ("None", r"expected a table of 200 bars by 6 instruments, received NoneType"),
    ('bars["close"].reset_index(drop=True)', r"rows labelled with the bars' UTC times"),
    ('bars["close"].shift(1, freq="D")', r"only the bars' own times as rows, received row "),
    ('bars["close"].rename(columns=str.upper)', r"instruments as columns, received SIM"),
    ('bars["close"].astype(str) + "x"', r"expected numbers"),
    ('bars["close"] / 0', r"infinite value"),
    ('bars["price"]', r"line 6: weights\(bars\) failed with KeyError: these bars have no 'price'"),
]


@pytest.mark.parametrize(("expression", "pattern"), RETURNS)
def test_wrong_result_is_told(tmp_path, panel, expression, pattern):
    plugin = load_plugin(written(tmp_path, GOOD.replace('bars["close"].notna() / 6', expression)))
    with pytest.raises(ConfigError, match=pattern):
        fuzz(plugin, panel)


def test_leaky_file_is_refused_with_file_line_column_and_time(panel):
    with pytest.raises(LookAheadError) as caught:
        fuzz(load_plugin(EXAMPLES / "leaky.py"), panel)
    error = caught.value
    assert error.file == str(EXAMPLES / "leaky.py")
    assert error.row == 12
    assert (error.column, error.rule) == ("close", "look-ahead")
    assert "2000-" in error.text
    assert fuzz(load_plugin(EXAMPLES / "clean_twin.py"), panel).leaks == ()


@pytest.mark.parametrize("name", ["leaky.py", "clean_twin.py"])
def test_run_as_a_step_nothing_can_look_ahead(panel, name):
    plugin = load_plugin(EXAMPLES / name)
    check_strategy(lambda: to_strategy(plugin, frame="1d"), panel)


def test_step_gives_the_last_row_of_instruments_that_trade(panel):
    plugin = load_plugin(EXAMPLES / "clean_twin.py")
    strategy = to_strategy(plugin, frame="1d")
    view = FakeView(panel, 150)
    (intent,) = strategy.step(strategy.start(), view)
    assert isinstance(intent, Weights)
    assert sum(w for _, w in intent.weights) == pytest.approx(1.0)
    assert {i for i, _ in intent.weights} <= set(view.instruments)


def test_every_and_context_length_are_taken_from_the_file(tmp_path, panel):
    text = GOOD.replace("def weights", "every = 5\ncontext_length = 30\n\n\ndef weights").replace(
        'bars["close"].notna() / 6', 'bars["close"].notna() * len(bars["close"]) / 1000'
    )
    strategy = to_strategy(load_plugin(written(tmp_path, text)), frame="1d")
    assert strategy.spec.every == 5
    assert strategy.spec.id == "me/flat@1"
    made = decisions(strategy, panel)
    assert [p for p, _ in made] == list(range(0, 200, 5))
    assert made[-1][1][0].weights[0][1] == pytest.approx(0.03)


def test_class_strategy_is_loaded_and_keeps_its_contract(tmp_path, panel):
    plugin = load_plugin(written(tmp_path, CLASS))
    assert plugin.kind == "strategy"
    check_strategy(lambda: to_strategy(plugin, frame="1d"), panel)
    assert fuzz(plugin, panel).leaks == ()


def test_class_strategy_with_another_id_is_refused(tmp_path):
    plugin = load_plugin(written(tmp_path, CLASS.replace('id = "me/steps@2"', 'id = "me/other@2"', 1)))
    with pytest.raises(ConfigError, match="'me/other@2', its strategy's spec says 'me/steps@2'"):
        to_strategy(plugin, frame="1d")


def test_feature_is_computed(tmp_path, panel):
    text = GOOD.replace("weights", "feature").replace('bars["close"].notna() / 6', 'bars["close"].pct_change(5)')
    plugin = load_plugin(written(tmp_path, text))
    values = compute_feature(plugin, panel)
    close = panel.field("close")
    assert np.isnan(values[:, :5]).all()
    np.testing.assert_allclose(values[:, 5:], close[:, 5:] / close[:, :-5] - 1)
    check_prefix_invariance(lambda p: compute_feature(plugin, p), panel)
    with pytest.raises(ConfigError, match="cannot be run as a strategy"):
        to_strategy(plugin, frame="1d")


def test_what_a_plugin_prints_stays_off_stdout(tmp_path, panel, capsys):
    text = GOOD.replace("    return", '    print("hello")\n    return')
    fuzz(load_plugin(written(tmp_path, 'print("at import")\n' + text)), panel)
    assert capsys.readouterr().out == ""
