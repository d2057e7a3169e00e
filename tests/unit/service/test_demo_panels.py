"""The demo's simulated panels: the same words from both processes, and a clear end where one of them fails."""

from __future__ import annotations

import io

import pytest

from foresail.core.errors import ForesailError
from foresail.evaluation.self_calibration import PanelOutcome, calibration_settings, demo_simulation, self_calibrate
from foresail.evaluation.simulated_market import SimulationSettings
from foresail.service import demo_panels as room


@pytest.fixture
def one_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PANELS", 1)
    child = room._CHILD.replace("tell_panels(int", "room._PANELS = 1; room.tell_panels(int")
    monkeypatch.setattr(room, "_CHILD", "from foresail.service import demo_panels as room; " + child)


def test_the_process_beside_says_what_this_one_would(one_panel: None) -> None:
    said: list[tuple[str, int, int]] = []
    without, with_edge = room.demo_panels(3, lambda *news: said.append(news))
    (alone,) = self_calibrate(demo_simulation(0.1), calibration_settings(), panels=1, seed=3)
    assert without.information_coefficient == 0.0
    assert (with_edge.information_coefficient, with_edge.seed) == (0.1, alone.seed)
    assert with_edge.verdict.word is alone.verdict.word
    assert with_edge.verdict.reasons == alone.verdict.reasons
    assert said[-1] == ("panels, IC 0.1", 1, 1)


@pytest.mark.parametrize(
    ("child", "text"),
    [
        ("import sys; sys.exit('no memory is left')", "ended with 1 after 0 of 4: no memory is left"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9 after 0 of 4: it said nothing"),
        ("", "ended with 0 after 0 of 4: it said nothing"),
    ],
)
def test_a_process_that_fails_is_told_with_its_last_words(
    child: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_CHILD", child)
    monkeypatch.setattr(room, "self_calibrate", lambda *_, **__: ())
    with pytest.raises(ForesailError, match=text):
        room.demo_panels(3, lambda *_: None)


def test_every_panel_is_told_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(_: SimulationSettings, *arguments: object, **named: object) -> tuple[PanelOutcome, ...]:
        small = SimulationSettings(instruments=8, bars=700, information_coefficient=0.1)
        return self_calibrate(small, *arguments, **{**named, "panels": 2})  # type: ignore[arg-type]

    monkeypatch.setattr(room, "self_calibrate", short)
    out = io.StringIO()
    room.tell_panels(3, out)
    assert [line.startswith('{"seed":') for line in out.getvalue().splitlines()] == [True, True]
