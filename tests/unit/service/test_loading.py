"""What a stored set brings along when it is loaded again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.domain.facts import FactBasis, FactSet, fact_table
from foresail.engine.pipeline import feature_inputs
from foresail.service.loading import load_bars, load_reading, with_facts
from foresail.service.reading import Reading
from foresail.store.embedded import EmbeddedStore
from foresail.testing.builders import bar_panel, bar_set, bar_table

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[4] / "shared" / "data"))
MINUTES = DATA / "crypto_bitfinex_1m" / "bitfinex_1m.parquet"


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


def test_a_blocked_name_is_blocked_from_the_coarse_bar_of_its_jump(tmp_path: Path) -> None:
    calm, split = "sim.S01.A", "sim.S02.B"
    closes = {calm: [10.0] * 40, split: [10.0] * 25 + [5.0] * 15}
    fields = {name: {split: closes[split]} for name in ("open", "high", "low")}
    panel = bar_panel(closes, fields=fields)
    store = EmbeddedStore(tmp_path / "store")
    store.append(bar_table(panel), bar_set(panel, name="mine"), recorded_at=datetime(2024, 1, 1, tzinfo=UTC))
    coarse = load_reading("mine", Reading(frame="1w"), workspace=tmp_path)
    bars, blocked = coarse.data.bars, coarse.data.blocked_from.tolist()
    assert (bars.frame, coarse.data.bar_set.frame) == ("1w", "1w")
    assert blocked[0] == bars.shape[1]
    jump = panel.end[25]
    assert bars.start[blocked[1]] < jump <= bars.end[blocked[1]]


def _market_with_facts(folder: Path, value: float = 7.0) -> EmbeddedStore:
    panel = bar_panel({"sim.S01.A": [10.0 + i for i in range(40)]}, fields={})
    store = EmbeddedStore(folder / "store")
    store.append(bar_table(panel), bar_set(panel, name="mine"), recorded_at=datetime(2024, 1, 1, tzinfo=UTC))
    known = panel.available_at[[10, 20]]
    facts = fact_table(["sim.S01.A", "sim.S01.A"], known - 1, {"roe": np.array([0.1, value])}, available_at=known)
    about = FactSet("quality", ("roe",), FactBasis.PUBLISHED)
    store.append_facts(facts, about, recorded_at=datetime(2024, 1, 2, tzinfo=UTC))
    return store


def test_facts_of_the_store_reach_the_features_when_they_were_available(tmp_path: Path) -> None:
    _market_with_facts(tmp_path)
    loaded = load_bars("mine", workspace=tmp_path)
    context, specs, absent = feature_inputs(loaded.data, ["roe", "beta"])
    assert [spec.name for spec in specs] == ["roe"]
    assert "no facts" in absent["beta"]
    roe = context.given[0, :, context.given_names.index("roe")]
    assert np.isnan(roe[:10]).all()
    assert (roe[10:20] == 0.1).all()
    assert (roe[20:] == 7.0).all()


def test_the_run_records_what_the_facts_were(tmp_path: Path) -> None:
    _market_with_facts(tmp_path / "one")
    _market_with_facts(tmp_path / "two")
    _market_with_facts(tmp_path / "three", value=8.0)
    one, two, three = (load_bars("mine", workspace=tmp_path / name).inputs for name in ("one", "two", "three"))
    assert one == two
    assert one["content"] == three["content"]
    assert one["facts"] != three["facts"]


def test_until_takes_later_facts_away(tmp_path: Path) -> None:
    store = _market_with_facts(tmp_path)
    at = store.read("mine", known_at=datetime(2025, 1, 1, tzinfo=UTC)).available_at
    early = load_bars("mine", workspace=tmp_path, until_ns=int(at[5]))
    assert early.data.facts == {}
    assert "facts" not in early.inputs
    middle = load_bars("mine", workspace=tmp_path, until_ns=int(at[15]))
    assert len(middle.data.facts["quality"]) == 1
    alone = with_facts(middle, {})
    assert alone.data.facts == {}
    assert "facts" not in alone.inputs


@pytest.mark.data
@pytest.mark.skipif(not MINUTES.is_file(), reason=f"needs {MINUTES} (set FORESAIL_DATA)")
def test_real_minutes_make_the_hours_that_pandas_makes(tmp_path: Path) -> None:
    minutes = pd.read_parquet(MINUTES, filters=[("symbol", "==", "ETHUSD")])
    if minutes.empty:
        minutes = pd.read_parquet(MINUTES)
        minutes = minutes[minutes["symbol"] == minutes["symbol"].iloc[0]]
    minutes = minutes[minutes["ts"] < pd.Timestamp("2019-02-01", tz="UTC")]
    minutes.to_parquet(tmp_path / "minutes.parquet", index=False)
    (tmp_path / "minutes.toml").write_text(
        'version = 1\nname = "minutes"\nfiles = ["minutes.parquet"]\nclass = "crypto"\nframe = "1m"\n'
        'time = "start"\nprice_basis = "raw"\n'
    )
    loaded = load_reading(str(tmp_path / "minutes.toml"), Reading(frame="1h"), workspace=tmp_path)
    hours = minutes.set_index("ts").resample("1h")
    told = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected, count = hours.agg(told), hours["close"].count()
    whole = expected[count == 60]
    bars = loaded.data.bars
    assert loaded.inputs["incomplete_bars"] == int(((count > 0) & (count < 60)).sum()) > 0
    assert bars.start.tolist() == whole.index.as_unit("ns").asi8.tolist()
    for name in told:
        np.testing.assert_allclose(bars.field(name)[0], whole[name], rtol=1e-12)
