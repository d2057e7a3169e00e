"""Workspaces, the strategy that ``new`` writes, and what ``doctor`` says."""

import importlib.util
from pathlib import Path

import pytest

from foresail.core.errors import ConfigError, UserError
from foresail.evaluation.user_file import read_user_file
from foresail.service import workspace as ws
from foresail.service.settings import WORKSPACE_FILE, Overrides, default_settings, read_settings
from foresail.service.workspace import examine, find_workspace, init_workspace, write_strategy


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_init_makes_a_workspace_and_a_second_time_changes_nothing(here):
    first = init_workspace(Path("w"))
    assert first.document == {"workspace": str(here / "w"), "created": True}
    assert sorted(p.name for p in (here / "w").iterdir()) == [WORKSPACE_FILE, "models", "runs", "store"]
    settings = here / "w" / WORKSPACE_FILE
    settings.write_text(settings.read_text() + "# mine\n")
    second = init_workspace(Path("w"))
    assert second.document["created"] is False
    assert settings.read_text().endswith("# mine\n")
    assert "was there and is unchanged" in second.lines[0]


def test_the_settings_that_init_writes_are_read_back_as_the_defaults(here):
    init_workspace(Path())
    defaults = default_settings("1d", 252.0)
    assert read_settings(defaults, here / WORKSPACE_FILE, Overrides()) == defaults


def test_the_nearest_workspace_upwards_is_found(here):
    init_workspace(Path())
    deep = here / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(deep) == here
    assert find_workspace() == here
    (here / WORKSPACE_FILE).unlink()
    assert find_workspace(deep) == deep


def test_init_where_nothing_can_be_written(here):
    (here / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as refused:
        init_workspace(Path("file/inside"))
    assert "folder that you may write to" in refused.value.hint
    (here / "store").write_text("")
    with pytest.raises(UserError, match="store: cannot be made"):
        init_workspace(Path())


@pytest.mark.parametrize("frame", ["1d", "4h", "15m"])
def test_the_new_strategy_is_a_plug_in_on_its_frame(here, frame):
    outcome = write_strategy("my_first", frame=frame)
    path = here / "my_first.py"
    text = path.read_text()
    assert outcome.document == {"file": "my_first.py", "frame": frame}
    assert f'view.bars("{frame}", 21)' in text
    assert "NAME" not in text
    assert "FRAME" not in text
    assert read_user_file(path).id == "me/my_first@1"


def test_an_existing_file_is_replaced_by_force_only(here):
    path = here / "mine.py"
    path.write_text("keep me")
    with pytest.raises(UserError, match=r"mine\.py exists") as refused:
        write_strategy("mine")
    assert "--force" in refused.value.hint
    assert path.read_text() == "keep me"
    write_strategy("mine", force=True)
    assert "me/mine@1" in path.read_text()


@pytest.mark.parametrize("name", ["", "My", "a-b", "../up", "9a", "class", "a b", "lambda"])
def test_a_name_that_is_none_is_refused(here, name):
    with pytest.raises(ConfigError):
        write_strategy(name)
    assert list(here.iterdir()) == []


def test_a_frame_that_is_none_is_refused(here):
    with pytest.raises(ConfigError, match="expected a frame such as"):
        write_strategy("mine", frame="daily")
    assert list(here.iterdir()) == []


def test_doctor_tells_what_is_there(here):
    outcome = examine()
    assert outcome.exit_code == 0
    assert outcome.document["missing"] == []
    assert outcome.document["workspace"] == str(here)
    assert outcome.document["has_settings"] is False
    assert any("foresail init" in line for line in outcome.lines)


def test_doctor_names_what_is_missing_and_how_to_get_it(monkeypatch):
    found = importlib.util.find_spec
    absent = {"lightgbm", "torch", "yfinance"}
    monkeypatch.setattr(ws.importlib.util, "find_spec", lambda name: None if name in absent else found(name))
    outcome = examine()
    assert outcome.exit_code == 2
    assert outcome.document["missing"] == ["lightgbm"]
    assert outcome.document["extras"] == {"deep": False, "yahoo": False}
    assert any("missing lightgbm; run: pip install foresail" in line for line in outcome.lines)
    for extra in ("deep", "yahoo"):
        assert any(f"pip install 'foresail[{extra}]'" in line for line in outcome.lines)
