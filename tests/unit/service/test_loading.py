"""What a stored set brings along when it is loaded again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from foresail.service.loading import load_bars
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_panel, bar_set, bar_table


def test_an_unexplained_jump_blocks_a_name_of_a_stored_set_too(tmp_path: Path) -> None:
    calm, split = "sim.S01.A", "sim.S02.B"
    closes = {calm: [10.0] * 40, split: [10.0] * 25 + [5.0] * 15}
    opens = {split: [10.0] * 25 + [5.0] * 15}
    panel = bar_panel(closes, fields={"open": opens, "high": opens, "low": opens})
    EmbeddedStore(tmp_path / "store").append(
        bar_table(panel), bar_set(panel, name="mine"), recorded_at=datetime(2024, 1, 1, tzinfo=UTC)
    )
    loaded = load_bars("mine", workspace=tmp_path)
    assert loaded.data.blocked_from.tolist() == [40, 25]
    assert [flag.rule for flag in loaded.quality.flags if flag.instrument == split] == ["DATA-56"]
