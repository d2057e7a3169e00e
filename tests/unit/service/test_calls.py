"""The Python face: objects instead of screens, errors instead of exit codes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pandas as pd
import pytest

import foresail
from foresail.cli.main import app
from foresail.core.errors import ForesailError, UserError
from foresail.domain.schemas import DOCUMENTS
from foresail.service import calls

SETTINGS = """
version = 1
[run]
forecaster = "ridge"
horizons = [5]
[walk_forward]
train = "504 sessions"
minimum_train = "252 sessions"
refit = "504 sessions"
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> foresail.RunResult:
    folder = tmp_path_factory.mktemp("calls")
    (folder / "small.toml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        stages: list[str] = []
        made = foresail.run(
            "embedded:us20",
            names=4,
            until="1992-12-31",
            config="small.toml",
            out=folder / "run",
            progress=lambda stage, done, total: stages.append(stage),
        )
    assert "walk-forward" in stages
    return made


def test_a_run_gives_verdict_metrics_and_places(result: foresail.RunResult) -> None:
    assert result.verdict == result.metrics["verdict"]["word"]
    assert result.reasons == tuple(result.metrics["verdict"]["reasons"])
    assert result.report == result.out / "report.html"
    assert result.report.is_file()
    assert str(result).startswith(f"VERDICT: {result.verdict.upper()}")


def test_tables_come_as_pandas_with_utc_times(result: foresail.RunResult) -> None:
    equity = result.table("equity")
    assert isinstance(equity["end"].dtype, pd.DatetimeTZDtype)
    assert equity["end"].iloc[-1] == pd.Timestamp("1992-12-31 21:00", tz="UTC")
    assert str(equity["net"].dtype) == "float64"
    with pytest.raises(ForesailError, match="known"):
        result.table("nothing")


def test_the_documents_of_a_run_hold_what_the_reference_says(result: foresail.RunResult) -> None:
    for document in DOCUMENTS:
        if not document.keys or document.file == "complete":
            continue
        told = {key.path.split(".")[0].removesuffix("[]") for key in document.keys}
        written = set(pd.read_json(result.out / document.file, typ="series").index)
        assert written == told, document.file


def test_an_existing_folder_is_refused_as_on_the_command_line(result: foresail.RunResult) -> None:
    with pytest.raises(UserError, match="exists already"):
        foresail.run("embedded:us20", names=4, until="1992-12-31", out=result.out)


def test_judge_tells_the_verdict(tmp_path: Path) -> None:
    rows = [f"{day:%Y-%m-%d},{0.001 * (-1) ** n}" for n, day in enumerate(pd.bdate_range("2015-01-01", periods=300))]
    file = tmp_path / "returns.csv"
    file.write_text("\n".join(["date,return", *rows]))
    judged = foresail.judge(file, trials=3)
    assert judged.verdict == judged.metrics["verdict"]["word"]
    assert judged.metrics["trials"] == 3
    assert str(judged).startswith("verdict:")


def test_verify_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ForesailError, match="not there"):
        foresail.verify(tmp_path / "none")


def test_the_function_has_the_options_of_the_command() -> None:
    command = next(c for c in app.registered_commands if c.name == "run").callback
    assert command is not None
    options = set(inspect.signature(command).parameters) - {"as_json"}
    assert set(inspect.signature(calls.run).parameters) - {"progress"} == options


def test_unknown_names_are_told() -> None:
    with pytest.raises(AttributeError, match="it has BacktestResult, Feature"):
        foresail.nothing  # noqa: B018
    assert set(foresail.__all__) <= set(dir(foresail))


def test_the_guide_reads_the_forecasts_as_they_are(result: foresail.RunResult) -> None:
    page = (Path(__file__).parents[3] / "docs" / "guide" / "calibration.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0].replace('foresail.run("mine", out="runs/mine")', "result")
    told: list[pd.Series] = []
    exec(code, {"result": result, "print": told.append})
    assert told[0].between(0.5, 1.0).all()
