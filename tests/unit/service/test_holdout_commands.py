"""``foresail holdout``: the vault, the refusal to read on, the score, the list of looks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from foresail.cli.main import app
from foresail.core.clock import from_ns
from foresail.core.errors import ConfigError, DataError, IntegrityError, UserError
from foresail.service.holdout import OpenRequest, SealRequest, list_looks, open_holdout, seal_data
from foresail.service.loading import load_bars, parse_until
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_set, bar_table, fixed_clock, small_panel


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    panel = small_panel(6, 200)
    place = tmp_path / "work"
    EmbeddedStore(place / "store").append(
        bar_table(panel), bar_set(panel, name="mine"), recorded_at=datetime(2024, 1, 1, tzinfo=UTC)
    )
    return place


def sealed(workspace: Path, **changes: object) -> dict[str, object]:
    options: dict[str, object] = {
        "data": "mine",
        "name": "final",
        "vault": workspace.parent / "vault",
        "last": 0.25,
        "workspace": workspace,
        **changes,
    }
    return seal_data(SealRequest(**options), clock=fixed_clock()).document  # type: ignore[arg-type]


def predictions(workspace: Path, spread: float = 0.02) -> Path:
    labels = pd.read_parquet(workspace.parent / "vault/final/labels.parquet")
    table = labels[["instrument", "issued_at", "horizon"]].assign(q10=-spread, q50=0.0, q90=spread)
    path = workspace.parent / f"predictions-{spread}.parquet"
    table.to_parquet(path)
    return path


def opened(workspace: Path, file: Path, **changes: object) -> dict[str, object]:
    options: dict[str, object] = {
        "name": "final",
        "release": "1.0",
        "predictions": file,
        "workspace": workspace,
        **changes,
    }
    return open_holdout(OpenRequest(**options), clock=fixed_clock()).document  # type: ignore[arg-type]


def test_labels_of_the_last_quarter_go_into_the_vault(workspace: Path) -> None:
    document = sealed(workspace)
    labels = pd.read_parquet(workspace.parent / "vault/final/labels.parquet")
    panel = small_panel(6, 200)
    assert document["labels"] == len(labels)
    times = np.unique(labels["issued_at"])
    assert set(times) <= set(panel.available_at[149:].tolist())
    one = labels[(labels["horizon"] == 5) & (labels["instrument"] == str(panel.instruments[0]))].iloc[0]
    t = panel.available_at.tolist().index(one["issued_at"])
    close = np.log(panel.field("close")[0])
    assert one["outcome"] == pytest.approx(close[t + 5] - close[t], rel=1e-9)
    manifest = json.loads((workspace.parent / "vault/final/seal.json").read_text())
    assert manifest["sha256"] == document["labels_sha256"]


def test_runs_stop_before_the_period_or_are_refused(workspace: Path) -> None:
    assert load_bars("mine", workspace=workspace).notes == ()
    sealed(workspace)
    with pytest.raises(UserError, match="--until DAY"):
        load_bars("mine", workspace=workspace)
    start = pd.read_parquet(workspace.parent / "vault/final/labels.parquet")["issued_at"].min()
    before = from_ns(start - 86_400 * 10**9).date().isoformat()
    kept = load_bars("mine", workspace=workspace, until_ns=parse_until(before)).data.bars
    assert kept.available_at[-1] < start
    with pytest.raises(UserError, match="begins"):
        load_bars("mine", workspace=workspace, names=3)
    opened(workspace, predictions(workspace))
    assert "no hold-out any more" in load_bars("mine", workspace=workspace).notes[-1]


def test_one_look_a_release_and_further_looks_by_request(workspace: Path) -> None:
    sealed(workspace)
    first = opened(workspace, predictions(workspace))
    assert (first["look"], first["looks"], first["counted"]) == (1, 1, True)
    assert first["score"]["scored"] == first["score"]["labels"]  # type: ignore[index]
    again = opened(workspace, predictions(workspace))
    assert (again["counted"], again["score"]) == (False, first["score"])
    with pytest.raises(UserError, match="other predictions"):
        opened(workspace, predictions(workspace, 0.03))
    second = opened(workspace, predictions(workspace, 0.03), another_look=True)
    assert (second["look"], second["looks"]) == (2, 2)
    told = list_looks(workspace)
    assert "looks: 2; 1 count as further trials" in told.lines[0]
    assert [one["release"] for one in told.document["hold_outs"][0]["looks"]] == ["1.0", "1.0"]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"vault": "work/vault"}, UserError, "inside the workspace"),
        ({"vault": "repository/vault"}, UserError, "inside the repository"),
        ({"last": None}, ConfigError, "either a share or a first day"),
        ({"last": 1.5}, ConfigError, "between 0 and 1"),
        ({"last": None, "since": "soon"}, ConfigError, "--from: expected a day"),
        ({"last": None, "since": "2090-01-01"}, DataError, "no label was issued"),
        ({"name": "../final"}, ConfigError, "expected a name"),
        ({"horizons": (0,)}, ConfigError, "horizons of 1 bar"),
    ],
)
def test_a_wrong_seal_is_refused(workspace: Path, changes, error, text) -> None:  # type: ignore[no-untyped-def]
    (workspace.parent / "repository/.git").mkdir(parents=True)
    if "vault" in changes:
        changes = {"vault": workspace.parent / changes["vault"]}
    with pytest.raises(error, match=text):
        sealed(workspace, **changes)
    assert not (workspace / "trials.jsonl").exists()


def test_predictions_with_outcomes_or_changed_labels_are_refused(workspace: Path) -> None:
    sealed(workspace)
    labels = workspace.parent / "vault/final/labels.parquet"
    cheat = workspace.parent / "cheat.parquet"
    pd.read_parquet(labels).assign(forecast=0.0).to_parquet(cheat)
    with pytest.raises(DataError, match="without outcomes"):
        opened(workspace, cheat)
    assert list_looks(workspace).document["hold_outs"][0]["looks"] == []
    file = predictions(workspace)
    labels.chmod(0o600)
    changed = pd.read_parquet(labels)
    changed["outcome"] = 0.0
    changed.to_parquet(labels)
    with pytest.raises(IntegrityError, match="not the labels that were sealed"):
        opened(workspace, file)


def test_predictions_that_cannot_be_scored_cost_no_look(workspace: Path) -> None:
    sealed(workspace)
    table = pd.read_parquet(predictions(workspace))
    late, crossed = workspace.parent / "late.parquet", workspace.parent / "crossed.parquet"
    table.assign(issued_at=table["issued_at"] + 1).to_parquet(late)
    table.assign(q10=1.0).to_parquet(crossed)
    with pytest.raises(DataError, match="no prediction fits"):
        opened(workspace, late)
    with pytest.raises(DataError, match="cross"):
        opened(workspace, crossed)
    assert list_looks(workspace).document["hold_outs"][0]["looks"] == []


def test_a_table_of_labels_can_be_sealed(workspace: Path) -> None:
    days = pd.date_range("2020-01-01", periods=50, tz="UTC")
    table = pd.DataFrame({"instrument": "sim.S01.A", "issued_at": days, "horizon": 1, "realised": np.arange(50.0)})
    file = workspace.parent / "labels.csv"
    table.to_csv(file, index=False)
    document = sealed(workspace, data=str(file), last=None, since="2020-02-01", until="2020-02-10", target="weight")
    assert (document["labels"], document["from"]) == (10, "2020-02-01")


def test_the_commands_work_from_the_workspace(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    words = ["holdout", "seal", "final", "--data", "mine", "--last", "0.25", "--vault", "../vault", "--json"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, json.loads(done.stdout)["hold_out"]) == (0, "final")
    file = predictions(workspace)
    words = ["holdout", "open", "final", "--release", "1.0", "--predictions", str(file)]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0
    assert "hold-out final: looked at once; this is look 1" in shown.stdout
    assert "look 1: release 1.0" in CliRunner().invoke(app, ["holdout", "looks"]).stdout
