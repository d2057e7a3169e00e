"""Progress without a terminal: a line when a stage starts, every 10 s, and when it ends; on a terminal a bar."""

import io
import sys
from datetime import UTC, datetime, timedelta

import pytest

from foresail.cli.contract import Progress
from foresail.core.clock import SimulatedClock

START = datetime(2024, 1, 1, tzinfo=UTC)


class Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock():
    return SimulatedClock(START)


def run(monkeypatch, clock, *, terminal, steps, seconds_each):
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(clock)
    for done in range(steps + 1):
        progress("folds", done, steps)
        clock.advance_to(clock.now() + timedelta(seconds=seconds_each))
    return screen.getvalue()


def test_a_line_every_ten_seconds(monkeypatch, clock):
    lines = run(monkeypatch, clock, terminal=False, steps=60, seconds_each=1).splitlines()
    assert [line.split()[1] for line in lines] == ["0/60", "10/60", "20/60", "30/60", "40/60", "50/60", "60/60"]
    assert "1.0/s  50 s left" in lines[1]
    assert lines[-1].endswith("done")
    assert not any("\r" in line for line in lines)


def test_short_work_says_two_lines_only(monkeypatch, clock):
    lines = run(monkeypatch, clock, terminal=False, steps=100, seconds_each=0.01).splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "100/100"]


def test_a_new_stage_is_told_at_once(monkeypatch, clock):
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(clock)
    progress("features", 0, 3)
    progress("folds", 0, 5)
    assert [line.split()[0] for line in screen.getvalue().splitlines()] == ["features", "folds"]


def test_on_a_terminal_one_line_is_redrawn(monkeypatch, clock):
    text = run(monkeypatch, clock, terminal=True, steps=60, seconds_each=1)
    assert text.count("\r") == 61
    assert text.count("\n") == 1
    assert "[############............]" in text


def test_a_stage_of_nothing_and_a_note(monkeypatch, clock, capsys):
    progress = Progress(clock)
    progress("folds", 0, 0)
    progress.note("a sentence")
    out, err = capsys.readouterr()
    assert out == ""
    assert "0/0 (100%)" in err
    assert err.endswith("a sentence\n")
