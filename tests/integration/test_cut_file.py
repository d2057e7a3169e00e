"""The future does not exist: what is said up to D is the same whether the file goes on after D, stops or lies."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market_files import (
    MID_FOLD,
    PRICES,
    REFIT,
    did_something,
    differing,
    real_frame,
    run_set,
    said_until,
    sessions,
    settings_file,
    simulated_frame,
    write_set,
)

from foresail.engine.pipeline import PipelineResult

WHEN = pytest.mark.parametrize("position", [MID_FOLD, REFIT], ids=["mid-fold", "on a refit"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut")


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    return simulated_frame()


@pytest.fixture(scope="module")
def whole(folder: Path, simulated: pd.DataFrame) -> PipelineResult:
    return run_set(write_set(folder / "whole", simulated), settings_file(folder))


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return real_frame()


@pytest.fixture(scope="module")
def whole_real(folder: Path, real: pd.DataFrame) -> PipelineResult:
    return run_set(write_set(folder / "real", real, basis="split_adjusted"), settings_file(folder))


def cut(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame[frame["date"] <= day]


def assert_same_until(first: PipelineResult, second: PipelineResult, day: date) -> None:
    one, two = said_until(first, day), said_until(second, day)
    assert did_something(one)
    assert differing(one, two) == []


@WHEN
def test_a_cut_file_changes_nothing_before_the_cut(
    folder: Path, simulated: pd.DataFrame, whole: PipelineResult, position: int
) -> None:
    day = sessions(simulated)[position]
    assert position % 125 or any(fold.fold.test_from == position for fold in whole.walk.folds)
    part = write_set(folder / f"cut-{position}", cut(simulated, day))
    assert_same_until(whole, run_set(part, settings_file(folder)), day)


@pytest.mark.data
@WHEN
def test_a_cut_file_of_real_prices_changes_nothing_before_the_cut(
    folder: Path, real: pd.DataFrame, whole_real: PipelineResult, position: int
) -> None:
    day = sessions(real)[position]
    part = write_set(folder / f"real-{position}", cut(real, day), basis="split_adjusted")
    assert_same_until(whole_real, run_set(part, settings_file(folder)), day)


def test_a_cut_file_changes_nothing_before_the_cut_with_trees(folder: Path, simulated: pd.DataFrame) -> None:
    days = sessions(simulated)
    settings = settings_file(folder, "quantile_trees")
    shorter = cut(simulated, days[590])
    first = run_set(write_set(folder / "trees", shorter), settings)
    assert first.walk.contributions
    second = run_set(write_set(folder / "trees-cut", cut(shorter, days[REFIT])), settings)
    assert_same_until(first, second, days[REFIT])


def altered_after(frame: pd.DataFrame, day: date, *, adjusted: bool = False) -> pd.DataFrame:
    """Return the same rows up to a day; after it other prices and volumes, names gone and new, and all rows shuffled.

    The new names begin before, between and after the old ones in the order of ids.
    """
    random = np.random.default_rng(3)
    before, after = frame[frame["date"] <= day], frame[frame["date"] > day].copy()
    noise = np.exp(random.normal(0.0, 0.4, len(after)))
    columns = [*PRICES, "adj_close"] if adjusted else PRICES
    after[columns] = after[columns].mul(noise, axis=0)
    after["volume"] = np.round(after["volume"] * random.uniform(0.1, 9.0, len(after)))
    names = sorted(frame["symbol"].unique())
    gone = names[1:4]
    pattern = after[after["symbol"] == names[5]]
    new = [pattern.assign(symbol=symbol) for symbol in ("AAAA", f"{names[6]}X", "ZZZZ")]
    joined = pd.concat([before, after[~after["symbol"].isin(gone)], *new])
    return joined.sample(frac=1.0, random_state=11).reset_index(drop=True)


@WHEN
def test_other_prices_and_other_names_later_change_nothing_before(
    folder: Path, simulated: pd.DataFrame, whole: PipelineResult, position: int
) -> None:
    day = sessions(simulated)[position]
    other = run_set(write_set(folder / f"other-{position}", altered_after(simulated, day)), settings_file(folder))
    assert len(other.data.bars.instruments) == len(whole.data.bars.instruments) + 3
    assert_same_until(whole, other, day)
    later = sessions(simulated)[-1]
    assert "decisions" in differing(said_until(whole, later), said_until(other, later))


@pytest.mark.data
def test_other_prices_and_other_names_later_change_nothing_before_on_real_prices(
    folder: Path, real: pd.DataFrame, whole_real: PipelineResult
) -> None:
    day = sessions(real)[MID_FOLD]
    altered = altered_after(real, day, adjusted=True)
    other = run_set(write_set(folder / "real-other", altered, basis="split_adjusted"), settings_file(folder))
    assert_same_until(whole_real, other, day)


def test_an_until_in_the_request_equals_a_cut_of_the_file(folder: Path, simulated: pd.DataFrame) -> None:
    from foresail.service.loading import load_bars, parse_until

    day = sessions(simulated)[MID_FOLD]
    whole = write_set(folder / "until", simulated)
    part = write_set(folder / "until-cut", cut(simulated, day))
    asked = load_bars(str(whole), workspace=folder, until_ns=parse_until(day.isoformat())).data.bars
    given = load_bars(str(part), workspace=folder).data.bars
    before = load_bars(str(whole), workspace=folder, until_ns=parse_until((day - timedelta(days=1)).isoformat()))
    assert asked.instruments == given.instruments
    assert asked.end.tolist() == given.end.tolist()
    assert asked.values.tobytes() == given.values.tobytes()
    assert before.data.bars.shape[1] < given.shape[1]
