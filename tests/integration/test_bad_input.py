"""Bad input to ``foresail run``: an exit code, one JSON document, a sentence that says what is wrong and what next."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market_files import simulated_frame, write_set

from foresail.cli.main import main
from foresail.engine.pipeline import run_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples"
Edit = Callable[[pd.DataFrame], pd.DataFrame]
SMALL = 320  # sessions: enough to be judged with the settings below, few enough to be read at once


@pytest.fixture(scope="module")
def fine() -> pd.DataFrame:
    return simulated_frame(bars=SMALL, instruments=5)


@dataclass
class Refused:
    code: int
    document: dict[str, Any]
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Refused]:
    """Return a caller of ``foresail run`` that allows no model to be fitted: what is bad is found before."""
    monkeypatch.chdir(tmp_path)

    def too_late(*_: object, **__: object) -> None:
        pytest.fail("the pipeline was started on bad input")

    monkeypatch.setattr("foresail.service.run.run_pipeline", too_late)

    def call(*arguments: object) -> Refused:
        monkeypatch.setattr(sys, "argv", ["foresail", "run", "--json", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert isinstance(left.value.code, int)
        return Refused(left.value.code, json.loads(out), err)

    return call


def assert_sentence(refused: Refused, code: int, *words: str) -> None:
    """A document with error, text, hint and exit code, told on stderr too; the words are somewhere in it."""
    document = refused.document
    assert (refused.code, document["exit_code"]) == (code, code)
    told = json.dumps(document, ensure_ascii=False)
    assert [word for word in words if word not in told] == []
    assert document["text"] in refused.err
    assert document["hint"], "says what is wrong, not what next"
    assert f"next: {document['hint']}" in refused.err


def set_column(name: str, value: object) -> Edit:
    return lambda frame: frame.assign(**{name: value})


@dataclass(frozen=True)
class Case:
    edit: Edit
    words: tuple[str, ...]
    toml: str = ""
    arguments: tuple[str, ...] = field(default=())


WHOLE_FILE = {
    "missing column": Case(lambda f: f.drop(columns="close"), ("close", "bars.parquet", "column")),
    "missing time": Case(lambda f: f.drop(columns="date"), ("time", "bars.parquet", "column")),
    "column that is not there": Case(lambda f: f, ("'last_price'", "close"), '[columns]\nclose = "last_price"\n'),
    "two columns for one role": Case(set_column("Close", 1.0), ("'close'", "'Close'")),
    "unknown key": Case(lambda f: f, ("'quirk'",), '[quirk]\nepoch = "s"\n'),
    "all NaN": Case(set_column("close", np.nan), ("bars.parquet", '"column": "close"')),
    "all negative": Case(set_column("close", -1.0), ("none of", '"column": "close"', '"row": 1', "DATA-52")),
    "no row": Case(lambda f: f.iloc[:0], ("bars.parquet", "no row")),
    "one bar": Case(lambda f: f.iloc[:1], ("1 bar",)),
    "one session": Case(lambda f: f[f["date"] == f["date"].max()], ("1 bar",)),
    "too short": Case(lambda f: f[f["date"] < sorted(f["date"].unique())[100]], ("100 bars",)),
    "text for prices": Case(set_column("close", "dear"), ("close", "bars.parquet")),
    "unknown symbol": Case(lambda f: f, ("NOSUCH",), 'symbols = ["I0001", "NOSUCH"]\n'),
    "nothing by then": Case(lambda f: f, ("no data in range", "2008-01-02"), arguments=("--until", "2007-12-31")),
}


@pytest.mark.parametrize("name", WHOLE_FILE)
def test_a_file_that_cannot_be_used_is_refused(
    run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    case = WHOLE_FILE[name]
    place = write_set(tmp_path / "set", case.edit(fine))
    description = place / "foresail-set.toml"
    top, keys = description.read_text(), case.toml
    description.write_text(top + keys)
    refused = run("--bars", place, *case.arguments)
    code = 2 if name in ("unknown key", "unknown symbol") else 3
    assert_sentence(refused, code, *case.words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("empty",)),
        (b"\n \n", ("empty",)),
        (b"date,symbol,close\n", ("no row",)),
        (b"\x7fELF\x00\x00\x01" * 40, ("neither Parquet nor text",)),
        (b"%PDF-1.7\n1 0 obj\n<</Type /Catalog>>\nendobj\n", ("columns",)),
        (b"PAR1 cut short", ("truncated",)),
    ],
    ids=["empty", "blank", "header only", "a program", "a document", "a broken parquet"],
)
def test_a_file_that_is_no_bars_is_refused(
    run: Callable[..., Refused], tmp_path: Path, content: bytes, words: tuple[str, ...]
) -> None:
    (tmp_path / "bars.csv").write_bytes(content)
    assert_sentence(run("--bars", "bars.csv"), 3, "bars.csv", *words)


def test_a_truncated_file_is_refused(run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path) -> None:
    place = write_set(tmp_path / "set", fine)
    whole = (place / "bars.parquet").read_bytes()
    (place / "bars.parquet").write_bytes(whole[: len(whole) // 2])
    assert_sentence(run("--bars", place), 3, "truncated", "bars.parquet")


def hourly(stamp: Callable[[pd.Timestamp], str]) -> pd.DataFrame:
    hours = pd.date_range("2024-01-02 14:30", periods=60, freq="h")
    return pd.DataFrame({"time": [stamp(hour) for hour in hours], "symbol": "BTCUSDT", "close": 1.0})


def test_times_without_a_zone_ask_for_one(run: Callable[..., Refused], tmp_path: Path) -> None:
    hourly(lambda hour: hour.strftime("%Y-%m-%d %H:%M")).to_csv(tmp_path / "h.csv", index=False)
    assert_sentence(run("--bars", "h.csv"), 3, "h.csv", '"column": "time"', '"row": 1', "--timezone")
    told = run("--bars", "h.csv", "--timezone", "Mars/Olympus")
    assert_sentence(told, 2, "Mars/Olympus", "America/New_York")
    said = run("--bars", "h.csv", "--timezone", "America/New_York")
    assert "bars" in said.document["text"]  # the zone is settled: what is left to say is that 60 bars are too few
    assert "--timezone" not in json.dumps(said.document)


def test_times_of_mixed_zones_are_refused(run: Callable[..., Refused], tmp_path: Path) -> None:
    mixed = hourly(lambda hour: hour.strftime("%Y-%m-%d %H:%M") + ("+00:00" if hour.hour % 2 else ""))
    mixed.to_csv(tmp_path / "h.csv", index=False)
    assert_sentence(run("--bars", "h.csv"), 3, "h.csv", "time", "zone")


def test_what_is_no_path_and_no_set_is_refused(run: Callable[..., Refused]) -> None:
    assert_sentence(run("--bars", "nowhere"), 2, "nowhere", "foresail import PATH --name N")


def test_a_day_that_is_none_is_refused(run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path) -> None:
    place = write_set(tmp_path / "set", fine)
    refused = run("--bars", place, "--until", "31.12.2009")
    assert refused.code == 2
    assert "31.12.2009" in refused.document["text"]
    assert "2012-06-30" in refused.document["text"]  # an example says what to type


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = 1\n[run]\nforecastr = 'ridge'\n", ("forecastr", "forecaster")),
        ("version = 1\n[run]\nseed = 'x'\n", ("seed", "integer")),
        ("version = 2\n", ("version = 1",)),
        ("version = 1\n[walk_forward]\nrefit = 'soon'\n", ("refit", "252 sessions")),
        ("not toml", ("settings.toml",)),
    ],
)
def test_settings_that_are_none_are_refused(
    run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    place = write_set(tmp_path / "set", fine)
    (tmp_path / "settings.toml").write_text(text)
    refused = run("--bars", place, "--config", "settings.toml")
    assert refused.code == 2
    assert [word for word in words if word not in json.dumps(refused.document)] == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("forecaster = 'crystal_ball'", ("crystal_ball", "quantile_trees")),
        ("features = ['rsi_15']", ("rsi_15", "rsi_14")),
        ("profile = 'reckless'", ("reckless", "multi-asset")),
    ],
)
def test_names_that_nobody_knows_are_refused_and_leave_nothing(
    run: Callable[..., Refused],
    monkeypatch: pytest.MonkeyPatch,
    fine: pd.DataFrame,
    tmp_path: Path,
    line: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setattr("foresail.service.run.run_pipeline", run_pipeline)  # the rooms themselves know their names
    place = write_set(tmp_path / "set", fine)
    walk = "[walk_forward]\ntrain = '200 sessions'\nminimum_train = '150 sessions'\nrefit = '100 sessions'\n"
    start = "" if line.startswith("forecaster") else "forecaster = 'ridge'\n"
    (tmp_path / "settings.toml").write_text(f"version = 1\n[run]\n{start}{line}\n{walk}")
    refused = run("--bars", place, "--config", "settings.toml", "--out", "out")
    assert refused.code == 2
    assert [word for word in words if word not in json.dumps(refused.document)] == []
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".tmp-", "out"))] == []


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path
) -> None:
    place = write_set(tmp_path / "set", fine)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert_sentence(run("--bars", place, "--out", "file"), 2, "file", "--out")
    assert_sentence(run("--bars", place, "--out", "file/run"), 2, "file/run", "--out")
    assert_sentence(run("--bars", place, "--out", "mine"), 2, "exists already", "--force")
    assert_sentence(run("--bars", place, "--out", "mine", "--force"), 2, "thesis.txt", "--out")
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        assert_sentence(run("--bars", place, "--out", "closed/run"), 2, "closed", "--out")
    assert (tmp_path / "file").read_text() == (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".tmp-")] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def weights(bars)\n    return 1\n", ("line 1",)),
        ("api = 1\nid = 'me/x@1'\n", ("weights",)),
        ("import nosuchlibrary\n", ("nosuchlibrary", "line 1")),
        ("api = 9\nid = 'me/x@1'\n\ndef weights(bars):\n    return bars.close\n", ("api",)),
        ("api = 1\nid = 'me/x@1'\n\ndef weights(bars):\n    return 1 / 0\n", ("ZeroDivisionError", "line 5")),
    ],
    ids=["no python", "nothing in it", "missing library", "another api", "fails"],
)
def test_a_broken_plugin_is_refused(
    run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    place = write_set(tmp_path / "set", fine)
    (tmp_path / "idea.py").write_text(text)
    refused = run("--bars", place, "--plugin", "idea.py")
    assert refused.code == 2
    told = json.dumps(refused.document)
    assert [word for word in ("idea.py", *words) if word not in told] == []


def test_a_leaky_plugin_is_refused_with_line_column_and_time(
    run: Callable[..., Refused], fine: pd.DataFrame, tmp_path: Path
) -> None:
    place = write_set(tmp_path / "set", fine)
    refused = run("--bars", place, "--plugin", EXAMPLES / "leaky.py")
    assert_sentence(refused, 4, "leaky.py", "line 12", "later close", "center=True", "foresail leaks")
    assert refused.document["error"] == "LookAheadError"
    assert refused.document["rule"] == "look-ahead"
    assert (refused.document["row"], refused.document["column"]) == (12, "close")
    assert any(f"20{year:02d}-" in refused.document["text"] for year in range(8, 12))


# --- single bad rows: they are set aside and told, the run goes on ---------------------------------------------------


def rows_of(frame: pd.DataFrame, *, high: float | None = None, close: float | None = None) -> pd.DataFrame:
    edited = frame.copy()
    for column, value in (("high", high), ("close", close)):
        if value is not None:
            edited.loc[7, column] = value
    return edited


@pytest.mark.parametrize(
    ("edit", "rule", "column", "count"),
    [
        (lambda f: rows_of(f, high=0.01), "DATA-52", "high", 1),
        (lambda f: rows_of(f, close=-4.0), "DATA-52", "close", 1),
        (lambda f: pd.concat([f, f.iloc[[7]].assign(close=f.loc[7, "close"] * 1.001)]), "DATA-53", "end", 2),
    ],
    ids=["high below low", "negative price", "unequal duplicate"],
)
def test_a_bad_row_is_set_aside_with_file_row_column_and_rule(
    tmp_path: Path, fine: pd.DataFrame, edit: Edit, rule: str, column: str, count: int
) -> None:
    from foresail.service.loading import load_bars

    loaded = load_bars(str(write_set(tmp_path / "set", edit(fine))), workspace=tmp_path)
    assert len(loaded.quality.quarantined) == count
    told = loaded.quality.quarantined[0]
    assert (told.file, told.row, told.column, told.rule) == ("bars.parquet", 8, column, rule)
    assert told.reason
    assert loaded.quality.accepted == len(fine) - 1


def test_an_equal_duplicate_is_one_row(tmp_path: Path, fine: pd.DataFrame) -> None:
    from foresail.service.loading import load_bars

    twice = pd.concat([fine, fine.iloc[[7, 9]]])
    loaded = load_bars(str(write_set(tmp_path / "set", twice)), workspace=tmp_path)
    assert (loaded.quality.collapsed, loaded.quality.accepted) == (2, len(fine))
    assert loaded.quality.quarantined == ()
