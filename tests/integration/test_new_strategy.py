"""A strategy of one's own: written by a command, run as it is, judged like any other, blind to names not yet listed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import foresail
from market_files import run_set, said_until, sessions, settings_file, simulated_frame, write_set

from foresail.core.canonical import hash_file
from foresail.service.plugins import load_plugin, to_strategy
from foresail.service.runfolder import RunReader


def test_a_new_strategy_runs_untouched_and_ends_in_a_report(tmp_path: Path) -> None:
    write_set(tmp_path / "set", simulated_frame(bars=520, instruments=10))
    (tmp_path / "foresail.toml").write_text(settings_file(tmp_path).read_text())
    written = foresail("new", "strategy", "my_idea", "--json", cwd=tmp_path)
    assert (written.code, written.document["file"]) == (0, "my_idea.py")
    called = foresail("run", "--bars", "set", "--plugin", "my_idea.py", "--out", "run", cwd=tmp_path)
    assert called.code == 0, called.err
    assert "run/report.html" in called.out
    reader = RunReader(tmp_path / "run")
    verdict = reader.json("metrics.json")["verdict"]
    assert verdict["word"] in ("evidence", "no evidence", "cannot tell", "cannot judge")
    assert verdict["reasons"]
    assert "my_idea" in reader.text("report.html")
    (plugin,) = reader.json("run.json")["plugins"]
    assert plugin["id"] == "me/my_idea@1"
    assert plugin["sha256"] == hash_file(tmp_path / "my_idea.py")
    fills = pq.read_table(tmp_path / "run" / "fills.parquet").to_pandas()
    assert len(fills) > 20

    source = (tmp_path / "my_idea.py").read_text()
    (tmp_path / "my_idea.py").write_text(source.replace("[:3]", "[:4]"))
    changed = foresail("verify", "run", "--json", cwd=tmp_path)
    (tmp_path / "my_idea.py").unlink()
    gone = foresail("verify", "run", "--json", cwd=tmp_path)
    assert (changed.code, gone.code) == (5, 5)
    assert "my_idea.py has changed" in changed.document["text"]
    assert json.loads(gone.out)["missing"].endswith("my_idea.py")


COUNTS_NAMES = {
    "weights": """api = 1
id = "me/counts@1"

def weights(bars):
    close = bars["close"]
    return (close > 0) / (2 * close.shape[1])
""",
    "strategy": """from foresail.domain.signals import Weights

api = 1
id = "me/counts@1"

class Spec:
    id, every, critical_inputs = id, 5, ("close",)

class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        forecast = view.forecast()
        told = [view.bars("1d", 21), view.features(), *([] if forecast is None else [forecast])]
        known = sum(len(one.instruments) + len(one.values) for one in told)
        return [Weights(tuple((name, 1.0 / known) for name in view.instruments))]
""",
}


@pytest.mark.parametrize("kind", sorted(COUNTS_NAMES))
def test_a_strategy_sees_no_name_before_it_is_listed(tmp_path: Path, kind: str) -> None:
    """A list of all names that there will ever be is news from the future, even without a price."""
    frame = simulated_frame(bars=420, instruments=8)
    day: date = sessions(frame)[330]
    later = frame[frame["date"] > day]
    more = pd.concat([frame, later[later["symbol"] == "I0001"].assign(symbol="ZZZZ")])
    (tmp_path / "counts.py").write_text(COUNTS_NAMES[kind])
    strategy = to_strategy(load_plugin(tmp_path / "counts.py"), frame="1d")
    settings = settings_file(tmp_path)
    without = run_set(write_set(tmp_path / "set", frame), settings, strategy=strategy)
    with_it = run_set(write_set(tmp_path / "more", more), settings, strategy=strategy)
    one, two = said_until(without, day), said_until(with_it, day)
    assert len(one["orders"]) > 10
    assert one["weights"] == two["weights"]
    assert one["orders"] == two["orders"]
