"""Every fifth epoch is told (TRAIN-21), in the fine-tuning of sectors with the name of the sector."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.options import attach, build_forecaster
from foresail.forecasting.sectors import fine_tune
from foresail.service.training_progress import EpochLines
from foresail.testing.planted import PlantedSettings, planted_market

END = 200
MARKET = planted_market(PlantedSettings(names=6, bars=220, noise=2, skill=0.5), seed=5)
NAMES = MARKET.features.instruments
OPTIONS = {"width": 8, "heads": 2, "epochs": 6, "context_length": 8, "minimum_windows": 50, "threads": 1, "patience": 9}


def test_stages_and_lines_name_the_sector_and_each_line_is_of_its_own_epochs(tmp_path: Path) -> None:
    spec = ForecasterSpec(
        "tft", "1", MARKET.features.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS
    )
    base = build_forecaster("tft", spec, OPTIONS)
    stages: list[tuple[str, int, int]] = []
    lines: list[str] = []
    told = EpochLines(lambda *step: stages.append(step), lines.append, tmp_path)
    attach(base, progress=told, checkpoint=tmp_path)
    base.fit(MARKET.training_set(END), seed=1)
    assert {stage for stage, *_ in stages} == {"training"}
    assert [line.partition(":")[0] for line in lines] == ["epoch 1", "epoch 5", "epoch 6"]

    stages.clear()
    lines.clear()
    sectors = {"Energy": NAMES[:3], "Real Estate": NAMES[3:]}
    tuned = fine_tune(base, MARKET.training_set(END), sectors, seed=2)
    epochs = {name: len(tuned.sectors[name].history["train_loss"]) - 6 for name in sectors}
    assert [stage for stage, *_ in stages] == [f"training {name}" for name in sectors for _ in range(epochs[name])]
    assert [one for one in lines if ": train loss" not in one] == []
    heads = [line.partition(":")[0] for line in lines]
    assert heads[0] == "Energy, epoch 1"
    assert "Real Estate, epoch 1" in heads
    assert len(lines) == len(set(lines))  # the second sector does not repeat the first one's
    assert not list(tmp_path.rglob("checkpoint.json"))
