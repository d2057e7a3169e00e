"""Settings: defaults by frame, unknown keys refused, the template is a settings file once its marks are removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.service.settings import Overrides, default_settings, read_settings, template

BASE = default_settings("1d", 252.0)


def written(folder: Path, text: str) -> Path:
    path = folder / "foresail.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_is_valid_as_it_is_and_with_every_mark_removed(tmp_path: Path) -> None:
    assert read_settings(BASE, written(tmp_path, template()), Overrides()) == BASE
    bare = "\n".join(line[2:] if line.startswith("# ") and " = " in line else line for line in template().splitlines())
    full = read_settings(BASE, written(tmp_path, bare), Overrides())
    assert full.walk_forward == BASE.walk_forward
    assert (full.horizons, full.capital, full.seed) == (BASE.horizons, BASE.capital, BASE.seed)


def test_the_protocol_by_frame() -> None:
    daily, hourly = default_settings("1d", 252.0), default_settings("1h", 6240.0)
    assert (daily.walk_forward.train_bars, daily.walk_forward.minimum_train_bars, daily.walk_forward.refit_bars) == (
        1260,
        504,
        252,
    )
    assert hourly.horizons == (1, 4, 24)
    assert hourly.walk_forward.refit_bars == 520


def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="horizons"):
        read_settings(BASE, written(tmp_path, "version = 1\n[run]\nhorizon = 5\n"), Overrides())
    with pytest.raises(UnknownNameError, match="walk_forward"):
        read_settings(BASE, written(tmp_path, "version = 1\n[walk]\n"), Overrides())


@pytest.mark.parametrize(
    "text",
    [
        "version = 2\n",
        "version = 1\n[run]\nseed = true\n",
        'version = 1\n[run]\nhorizons = ["5 days"]\n',
        "version = 1\n[run]\ndecision_horizon = 3\n",
        'version = 1\n[run]\ncapital = "lots"\n',
        'version = 1\n[run]\ncapital = "-5 USD"\n',
        "version = 1\n[walk_forward]\ntrain = 300\n",
        'version = 1\n[walk_forward]\nminimum_train = "9999 sessions"\n',
        "version = = 1\n",
    ],
)
def test_wrong_values_are_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read_settings(BASE, written(tmp_path, text), Overrides())


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'version = 1\n[run]\nseed = 3\ncapital = "5000 EUR"\n')
    settings = read_settings(BASE, path, Overrides(seed=9))
    assert (settings.seed, settings.currency) == (9, "EUR")


def test_features_are_sets_and_names_of_any_frame(tmp_path: Path) -> None:
    def read(text: str) -> tuple[str, ...]:
        return read_settings(BASE, written(tmp_path, f"version = 1\n[run]\nfeatures = {text}\n"), Overrides()).features

    assert read('["scan100", "rsi_5"]') == ("scan100", "rsi_5")
    assert read('["default:funnel"]') == ("default:funnel",)
    with pytest.raises(UnknownNameError, match="feature or set 'scan10'"):
        read('["scan10"]')
    assert read('["rsi_14@1w", "frame50@six"]') == ("rsi_14@1w", "frame50@six")
    with pytest.raises(UnknownNameError, match="feature or set 'rsi_41'"):
        read('["rsi_41@1w"]')
    with pytest.raises(UnknownNameError, match="frame '7w'"):
        read('["spine@7w"]')
