import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.evaluation.registry import Lineage, Trial, TrialRegistry
from foresail.measures.honesty import SharpeSample

NAMES = tuple(f"stock.US.A{i}" for i in range(20))
LINEAGE = Lineage(NAMES, "1d", "close/5", 100, 200)


def trial(settings="s1", lineage=LINEAGE, sharpe=0.05, code="c1", inner=0):
    return Trial(settings, code, lineage, SharpeSample(sharpe, 1000, -0.2, 4.0), 252, inner_candidates=inner)


@pytest.fixture
def registry(tmp_path):
    return TrialRegistry(tmp_path / "trials.jsonl", runs=tmp_path / "runs")


def test_distinct_settings_and_code_count(registry):
    assert [registry.register(t) for t in (trial(), trial("s2"), trial("s2", code="c2"))] == [1, 2, 3]


def test_identical_rerun_adds_no_trial_and_no_byte(registry, tmp_path):
    registry.register(trial())
    before = (tmp_path / "trials.jsonl").read_bytes()
    assert registry.register(trial()) == 1
    assert (tmp_path / "trials.jsonl").read_bytes() == before


def test_inner_candidates_count(registry):
    assert registry.register(trial(inner=4)) == 5


@pytest.mark.parametrize(
    "other",
    [
        Lineage(NAMES, "1d", "close/5", 100, 201),  # one more bar
        Lineage(NAMES, "1d", "close/5", 199, 400),  # one bar in common
        Lineage(NAMES[:-1], "1d", "close/5", 100, 200),  # one name fewer
        Lineage((*NAMES, "stock.US.NEW"), "1d", "close/5", 100, 200),
        Lineage(NAMES[:5], "1d", "close/5", 100, 200),  # a part of the universe
    ],
)
def test_a_little_change_is_no_fresh_start(registry, other):
    registry.register(trial())
    assert registry.register(trial("s2", other)) == 2


@pytest.mark.parametrize(
    "other",
    [
        Lineage(NAMES, "1h", "close/5", 100, 200),
        Lineage(NAMES, "1d", "close/1", 100, 200),
        Lineage(NAMES, "1d", "close/5", 200, 300),  # windows are half open
        Lineage(tuple(f"stock.US.B{i}" for i in range(20)), "1d", "close/5", 100, 200),
    ],
)
def test_other_data_is_another_lineage(registry, other):
    registry.register(trial())
    assert registry.register(trial("s2", other)) == 1


def test_same_trial_on_a_grown_window_counts_once_with_its_newest_sharpe(registry):
    registry.register(trial(sharpe=0.05))
    registry.register(trial(lineage=Lineage(NAMES, "1d", "close/5", 100, 250), sharpe=0.02))
    found = registry.count(LINEAGE)
    assert (found.n, found.sharpes) == (1, (0.02,))


def test_variance_is_of_per_bar_sharpes(registry):
    for i, sharpe in enumerate((0.01, 0.03, 0.08)):
        registry.register(trial(f"s{i}", sharpe=sharpe))
    found = registry.count(LINEAGE)
    assert found.variance_of_sharpes == pytest.approx(np.var([0.01, 0.03, 0.08], ddof=1))
    assert found.is_complete


def test_undefined_sharpe_is_counted_but_not_averaged(registry):
    registry.register(trial(sharpe=float("nan")))
    registry.register(trial("s2"))
    found = registry.count(LINEAGE)
    assert (found.n, found.sharpes, found.variance_of_sharpes) == (2, (0.05,), None)


def test_nothing_on_record_counts_the_one_being_judged(registry):
    assert registry.count(LINEAGE).n == 1


def test_every_prefix_of_the_last_line_is_cut_and_said(tmp_path):
    path = tmp_path / "trials.jsonl"
    first = TrialRegistry(path)
    first.register(trial())
    whole = path.read_bytes()
    first.register(trial("s2"))
    both = path.read_bytes()
    for cut in (len(whole) + 1, len(whole) + 40, len(both) - 2):
        path.write_bytes(both[:cut])
        found = TrialRegistry(path).count(LINEAGE)
        assert found.n == 1
        assert any("torn" in note for note in found.notes)
        again = TrialRegistry(path)
        assert again.register(trial("s2")) == 2
        assert any("torn" in note for note in TrialRegistry(path).count(LINEAGE).notes)  # the note stays in the file
        for line in path.read_bytes().splitlines():
            json.loads(line)


def test_missing_newline_of_a_whole_record_loses_nothing(tmp_path):
    path = tmp_path / "trials.jsonl"
    TrialRegistry(path).register(trial())
    path.write_bytes(path.read_bytes()[:-1])
    assert TrialRegistry(path).register(trial("s2")) == 2
    assert TrialRegistry(path).count(LINEAGE).notes == ()


def test_damaged_middle_line_is_refused_with_its_number(tmp_path):
    path = tmp_path / "trials.jsonl"
    TrialRegistry(path).register(trial())
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(DataError, match="line 1") as error:
        TrialRegistry(path).count(LINEAGE)
    assert error.value.row == 1


def test_lost_registry_is_said_before_and_after_it_is_made_again(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "complete").touch()
    (tmp_path / "runs" / "unfinished").mkdir()
    registry = TrialRegistry(tmp_path / "trials.jsonl", runs=tmp_path / "runs")
    before = registry.count(LINEAGE)
    assert not before.is_complete
    assert "2 finished runs" in before.notes[0]
    assert registry.register(trial()) == 3
    after = TrialRegistry(tmp_path / "trials.jsonl", runs=tmp_path / "runs").count(LINEAGE)
    assert (after.n, after.is_complete, after.notes) == (3, False, before.notes)


def test_two_writers_lose_nothing(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from foresail.evaluation.registry import Lineage, Trial, TrialRegistry\n"
        "from foresail.measures.honesty import SharpeSample\n"
        "r = TrialRegistry(pathlib.Path(sys.argv[1]))\n"
        "for i in range(15):\n"
        "    lineage = Lineage(('a',), '1d', 't', 0, 9)\n"
        "    r.register(Trial(sys.argv[2] + str(i), 'c', lineage, SharpeSample(0.1, 9), 252))\n"
    )
    path = tmp_path / "trials.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), who]) for who in ("x", "y")]
    assert [process.wait() for process in running] == [0, 0]
    assert TrialRegistry(path).count(Lineage(("a",), "1d", "t", 0, 9)).n == 30


def test_writer_waits_for_the_lock(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "trials.jsonl"
    writer = threading.Thread(target=lambda: TrialRegistry(path).register(trial()))
    with (tmp_path / "trials.jsonl.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer.start()
        writer.join(timeout=0.3)
        assert writer.is_alive()
        assert not path.exists()
    writer.join(timeout=10)
    assert TrialRegistry(path).count(LINEAGE).sharpes == (0.05,)


def many(path, count, names=400):
    lineage = Lineage(tuple(f"stock.US.A{i}" for i in range(names)), "1d", "close/5", 0, 9)
    TrialRegistry(path).register(trial(lineage=lineage))
    record = path.read_text().splitlines()[1]
    with path.open("a") as stream:
        stream.writelines(record.replace('"s1"', f'"t{i}"') + "\n" for i in range(count - 1))
    return lineage


def test_a_thousand_trials_are_counted_in_a_blink(tmp_path):
    path = tmp_path / "trials.jsonl"
    lineage = many(path, 1001)
    begun = time.monotonic()
    assert TrialRegistry(path).register(trial("new", lineage)) == 1002
    assert time.monotonic() - begun < 1.0  # under 1 % of a run of two minutes


def test_what_was_read_before_is_not_parsed_again(tmp_path, monkeypatch):
    path = tmp_path / "trials.jsonl"
    lineage = many(path, 1_000)
    registry = TrialRegistry(path)
    taken = []
    take = TrialRegistry._take
    monkeypatch.setattr(TrialRegistry, "_take", lambda self, record: (taken.append(1), take(self, record))[1])
    assert registry.register(trial("new", lineage)) == 1_001
    assert len(taken) >= 1_000
    taken.clear()
    assert registry.register(trial("newer", lineage)) == 1_002
    assert 1 <= len(taken) < 5


def test_readers_follow_a_file_that_another_process_writes(tmp_path):
    path = tmp_path / "trials.jsonl"
    reader, writer = TrialRegistry(path), TrialRegistry(path)
    for i in range(5):
        writer.register(trial(f"s{i}"))
        assert reader.count(LINEAGE).n == i + 1


def test_a_replaced_file_is_read_from_its_start(tmp_path):
    path, other = tmp_path / "trials.jsonl", tmp_path / "other.jsonl"
    reader = TrialRegistry(path)
    reader.register(trial("s1"))
    assert reader.count(LINEAGE).n == 1
    for i in range(3):
        TrialRegistry(other).register(trial(f"x{i}", sharpe=0.2))
    path.write_bytes(other.read_bytes())
    assert reader.count(LINEAGE).sharpes == (0.2, 0.2, 0.2)
    path.unlink()
    assert reader.count(LINEAGE).sharpes == ()


def test_same_settings_on_disjoint_windows_are_two_trials_of_a_window_over_both(registry):
    early, late = Lineage(NAMES, "1d", "close/5", 0, 100), Lineage(NAMES, "1d", "close/5", 100, 200)
    registry.register(trial(lineage=early))
    registry.register(trial(lineage=late))
    assert registry.count(Lineage(NAMES, "1d", "close/5", 0, 200)).n == 2
    assert registry.count(late).n == 1


@pytest.mark.parametrize("line", [b"3\n", b"1, 2\n", b'{"kind": "trial"}\n', b'{"no": 1}\n', b"\n"])
def test_a_line_that_is_no_record_is_refused_with_its_number(tmp_path, line):
    path = tmp_path / "trials.jsonl"
    TrialRegistry(path).register(trial())
    path.write_bytes(path.read_bytes() + line + b'{"kind": "note", "text": "x"}\n')
    with pytest.raises(DataError, match="line 3") as error:
        TrialRegistry(path).count(LINEAGE)
    assert error.value.row == 3
