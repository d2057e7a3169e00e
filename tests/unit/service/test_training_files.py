"""A training file holds whatever the command can say: switches and how bars are read among it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.service.trained_ridge import PANEL, REQUEST, train
from typer.testing import CliRunner

from foresail.cli.main import app
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.service import training_job
from foresail.service.reading import Reading
from foresail.service.training_request import TrainRequest, with_config

FEATURES = "log_return_1,rsi_14"


def written(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(f"version = 1\n[train]\n{text}\n")
    return path


def read(folder: Path, text: str, **given: object) -> TrainRequest:
    return with_config(TrainRequest(config=written(folder, text), **given))  # type: ignore[arg-type]


def test_switches_and_reading_are_taken(tmp_path: Path) -> None:
    text = (
        'per_ticker = true\nrefit = true\nframe = "6h"\nextended = true\nseries = ["vix", "macro"]\npair = ["KO=PEP"]'
    )
    found = read(tmp_path, text)
    assert (found.per_ticker, found.refit) == (True, True)
    assert found.reading == Reading(frame="6h", extended=True, series=("vix", "macro"), pairs=(("KO", "PEP"),))


def test_the_command_goes_before_the_file(tmp_path: Path) -> None:
    own = Reading(frame="1d", series=("own",))
    found = read(tmp_path, 'frame = "1h"\nseries = "theirs"\npair = "A=B"\nrefit = false', reading=own, refit=True)
    assert found.reading == Reading(frame="1d", series=("own",), pairs=(("A", "B"),))
    assert (found.refit, found.per_ticker) == (True, False)


def test_a_part_of_it_may_stand_on_the_command(tmp_path: Path) -> None:
    assert read(tmp_path, 'frame = "6h"', reading=Reading(extended=True)).reading.extended
    with pytest.raises(ConfigError, match="regular hours"):
        read(tmp_path, "extended = true")
    with pytest.raises(ConfigError, match="regular hours"):
        read(tmp_path, 'frame = "1h"', reading=Reading(extended=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("refit = 1", "expected true or false"),
        ('per_ticker = "yes"', "expected true or false"),
        ("frame = 6", "expected text"),
        ('pair = "KO"', "expected A=B"),
    ],
)
def test_wrong_kinds_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_unknown_keys_are_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="per_ticker"):
        read(tmp_path, "per_tickers = true")


@pytest.mark.usefixtures("workspace", "same_code")
def test_the_command_trains_a_model_for_each_ticker_as_its_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training_job._spec
    monkeypatch.setattr(training_job, "_spec", lambda *args: replace(real(*args), minimum_rows=100))
    names = ", ".join(f'"{PANEL.instruments[i]}"' for i in (1, 4))
    file = written(
        tmp_path,
        f'data = "mine"\nforecaster = "ridge"\nfeatures = "{FEATURES}"\ntargets = "close"\nhorizons = [1]\n'
        f"symbols = [{names}]\nper_ticker = true",
    )
    told = CliRunner().invoke(app, ["train", "--config", str(file)])
    assert told.exit_code == 0, told.output
    assert "2 of 2 tickers have a model of their own" in told.output


@pytest.mark.usefixtures("workspace", "same_code")
def test_a_training_by_file_is_that_of_the_command(tmp_path: Path) -> None:
    text = f'data = "mine"\nforecaster = "ridge"\nfeatures = "{REQUEST.features}"\nframe = "1d"'
    file = written(tmp_path, text)
    assert REQUEST.data == "mine"
    again = train(data="", forecaster="", features="", config=file)
    assert (again["registered"], again["model"]) == (False, "stock_1d_ridge_v1")  # the one that the fixture trained
