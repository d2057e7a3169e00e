"""Horizons of a run: those of class and frame as in ``train``, spans in file and command, which one is traded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.engine.settings import PipelineSettings
from foresail.forecasting.horizons import decision_horizon, default_horizons
from foresail.service.run import RunRequest, _command, settings_for
from foresail.service.settings import Overrides, default_settings, read_settings
from foresail.service.stream import StreamRequest, open_stream
from foresail.service.workspace import write_strategy

STOCK, CRYPTO = AssetClass.STOCK, AssetClass.CRYPTO


def read(
    folder: Path, text: str, frame: str = "1h", asset_class: AssetClass = STOCK, asked: str | None = None
) -> PipelineSettings:
    path = folder / "foresail.toml"
    path.write_text(f"version = 1\n[run]\n{text}\n", encoding="utf-8")
    base = default_settings(frame, 1764.0 if frame != "1d" else 252.0, asset_class)
    overrides = Overrides(horizons=None if asked is None else tuple(asked.split(",")))
    return read_settings(base, path, overrides, (asset_class, frame))


def of(settings: PipelineSettings) -> tuple[tuple[int, ...], int]:
    return settings.horizons, settings.decision_horizon


@pytest.mark.parametrize("asset_class", list(AssetClass))
@pytest.mark.parametrize("frame", ["1m", "5m", "30m", "1h", "4h"])
def test_a_run_on_intraday_bars_forecasts_what_train_does(asset_class: AssetClass, frame: str) -> None:
    expected = default_horizons(asset_class, frame)
    assert of(default_settings(frame, 6000.0, asset_class)) == (expected, decision_horizon(expected))


def test_stock_hours_count_sessions_and_daily_bars_keep_their_own() -> None:
    assert of(default_settings("1h", 1764.0, STOCK)) == ((1, 4, 7), 7)
    assert of(default_settings("1h", 8760.0, CRYPTO)) == ((1, 4, 24), 24)
    for asset_class in AssetClass:
        assert of(default_settings("1d", 252.0, asset_class)) == ((1, 5), 5)


def test_spans_are_read_by_class_and_frame(tmp_path: Path) -> None:
    text = 'horizons = ["1w", "4h", "1d", 2]\ndecision_horizon = "1d"'
    assert of(read(tmp_path, text)) == ((2, 4, 7, 35), 7)
    assert of(read(tmp_path, text, asset_class=CRYPTO)) == ((2, 4, 24, 168), 24)
    assert of(read(tmp_path, 'horizons = ["1d", "1w"]', frame="1d")) == ((1, 5), 5)


def test_the_traded_horizon_is_the_default_one_if_it_is_asked_for_else_the_longest(tmp_path: Path) -> None:
    assert of(read(tmp_path, "horizons = [1, 5, 10]", frame="1d")) == ((1, 5, 10), 5)
    assert of(read(tmp_path, "horizons = [1, 10]", frame="1d")) == ((1, 10), 10)
    with pytest.raises(ConfigError, match="decision_horizon 3 is not among horizons"):
        read(tmp_path, "horizons = [1, 10]\ndecision_horizon = 3", frame="1d")


def test_the_command_line_wins_and_is_told_again(tmp_path: Path) -> None:
    text = "horizons = [1, 5]\ndecision_horizon = 1"
    assert of(read(tmp_path, text, frame="1d", asked="1d,2w")) == ((1, 10), 1)
    assert of(read(tmp_path, text, frame="1d", asked="2d,2w")) == ((2, 10), 10)
    assert "--horizons 1d,2w" in _command(RunRequest("mine", horizons="1d,2w"))


@pytest.mark.parametrize("text", ['horizons = ["5x"]', "horizons = []", "horizons = [true]", "horizons = [0]"])
def test_what_is_no_horizon_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"horizons|horizon in bars"):
        read(tmp_path, text)


def test_a_span_that_is_no_whole_number_of_bars_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no whole number"):
        read(tmp_path, 'horizons = ["90m"]')


def test_a_file_with_spans_is_read_where_no_market_is_known(tmp_path: Path) -> None:
    path = tmp_path / "foresail.toml"
    path.write_text('version = 1\n[run]\nhorizons = ["4h", "1d"]\nseed = 3\n', encoding="utf-8")
    settings = read_settings(default_settings("1d", 252.0), path, Overrides())  # as ``foresail limits`` reads it
    assert (of(settings), settings.seed) == (((1, 5), 5), 3)


def test_the_command_has_the_option() -> None:
    from foresail.cli.main import app

    told = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
    assert "--horizons" in told


def test_the_settings_of_a_market_are_of_its_class(tmp_path: Path) -> None:
    bars = SimpleNamespace(calendar="XNYS", frame="1h", shape=(3, 9000))
    bar_set = SimpleNamespace(currency="USD", asset_class=STOCK, name="hourly", instruments=())
    loaded: Any = SimpleNamespace(data=SimpleNamespace(bars=bars, bar_set=bar_set))
    assert of(settings_for(loaded, None, Overrides())) == ((1, 4, 7), 7)
    path = tmp_path / "foresail.toml"
    path.write_text('version = 1\n[run]\nhorizons = ["4h", "1w"]\n', encoding="utf-8")
    assert of(settings_for(loaded, path, Overrides())) == ((4, 35), 35)


def test_a_strategy_is_traded_under_a_settings_file_with_spans(workspace: Path) -> None:
    (workspace / "foresail.toml").write_text('version = 1\n[run]\nhorizons = ["1d", "2w"]\n', encoding="utf-8")
    write_strategy("steady", frame="1d", force=False)
    stream = open_stream(StreamRequest("mine", workspace / "steady.py"), workspace, check_leaks=False)
    assert of(stream.settings) == ((1, 10), 10)
