"""The live driver over restarts, late bars and listings; what it keeps; that no request compiles."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numba.core import event

from foresail.core.errors import IntegrityError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.kernels.build import cache_folder, warm
from foresail.features.live import LiveDriver
from foresail.features.plan import declared_memory
from foresail.service.bench_indicators import INDICATORS, plan_of, random_panel, talib_matrix

NAMES = ["log_return_20", "rsi_14", "macd_12_26", "max_drawdown_60", "rank_log_return_5", "beta_60", "vix_zscore_250"]


def holed(n: int, t: int, seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    panel = random_panel(rng, n, t)
    listed = np.where(rng.random(n) < 0.5, rng.integers(0, t, n), 0)
    present = (rng.random((n, t)) > 0.1) & (np.arange(t)[None, :] >= listed[:, None])
    return replace(panel, values=np.where(present[:, :, None], panel.values, np.nan), present=present)


def context_of(panel: Panel, seed: int = 4) -> FeatureContext:
    t = panel.shape[1]
    reference = 20.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.03, (1, t)), axis=1))
    sectors = [f"s{int(name[-1]) % 4}" for name in panel.instruments]
    return FeatureContext.of(panel, sectors=sectors, reference_names=["vix"], reference=reference)


def part(panel: Panel, context: FeatureContext, times: slice) -> tuple[Panel, FeatureContext]:
    names = {"start": panel.start, "end": panel.end, "available_at": panel.available_at}
    cut = replace(
        panel,
        values=panel.values[:, times],
        present=panel.present[:, times],
        **{name: array[times] for name, array in names.items()},
    )
    return cut, replace(
        context,
        reference=context.reference[:, times],
        calendar=context.calendar[:, times],
        given=context.given[:, times],
    )


def feed(driver: LiveDriver, panel: Panel, context: FeatureContext, first: int, last: int) -> np.ndarray:
    rows = [driver.update(panel.values[:, t], panel.present[:, t], context.row(t)) for t in range(first, last)]
    return np.stack(rows, axis=1)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(np.ascontiguousarray(a).view(np.int64), np.ascontiguousarray(b).view(np.int64))


CONTINUE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_feature_live_driver import NAMES, FeatureContext, LiveDriver
held = dict(np.load(sys.argv[1]))
names = [str(name) for name in held["names"]]
n = len(names)
context = FeatureContext(held["codes"], ("vix",))
driver = LiveDriver(names, NAMES, context)
driver.restore({k[5:]: v for k, v in held.items() if k.startswith("snap:")})
from foresail.features.context import ContextRow
rows = [
    driver.update(held["values"][:, t], held["present"][:, t], ContextRow(held["vix"][:, t], held["calendar"][:, t]))
    for t in range(held["present"].shape[1])
]
np.save(sys.argv[1] + ".out.npy", np.stack(rows, axis=1))
"""


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1453])
def test_a_fresh_process_with_a_snapshot_only_continues_bit_for_bit(n, tmp_path):
    panel = holed(n, 110, n)
    context = context_of(panel)
    history = compute(panel, NAMES, context).values
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    feed(driver, panel, context, 0, 90)
    path = tmp_path / "state.npz"
    np.savez(
        path,
        names=np.array(panel.instruments),
        codes=context.sector_codes,
        values=panel.values[:, 90:],
        present=panel.present[:, 90:],
        vix=context.reference[:, 90:],
        calendar=context.calendar[:, 90:],
        **{f"snap:{key}": array for key, array in driver.snapshot().items()},
    )
    subprocess.run([sys.executable, "-c", CONTINUE, str(path), str(Path(__file__).parent)], check=True, env=os.environ)
    assert same_bits(np.load(f"{path}.out.npy"), history[:, 90:])


def test_a_late_bar_is_taken_in_by_replay():
    panel = holed(66, 120, 8)
    context = context_of(panel)
    late = replace(panel, present=panel.present.copy(), values=panel.values.copy())
    late.present[7, 100] = False
    late.values[7, 100] = np.nan
    panel.present[7, 100] = True
    panel.values[7, 100, :5] = (100.0, 101.0, 99.0, 100.5, 1e6)
    panel.values[7, 100, 6:8] = 1.0
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    feed(driver, late, context, 0, 95)
    snapshot = driver.snapshot()
    wrong = feed(driver, late, context, 95, 110)
    values = driver.replay(snapshot, *part(panel, context, slice(95, 110)))
    right = compute(panel, NAMES, context).values
    assert same_bits(values, right[:, 95:110])
    assert not same_bits(wrong, right[:, 95:110])
    assert same_bits(feed(driver, panel, context, 110, 120), right[:, 110:])


def test_replay_refuses_a_panel_of_others():
    panel = holed(5, 30, 1)
    context = context_of(panel)
    driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
    other = replace(panel, instruments=tuple(f"stock.US.X{i}" for i in range(5)))
    with pytest.raises(IntegrityError, match="not those of the driver"):
        driver.replay(driver.snapshot(), other, context)


def test_a_snapshot_of_other_features_is_refused():
    panel = holed(5, 30, 1)
    context = context_of(panel)
    five, ten = (LiveDriver(panel.instruments, [name], context) for name in ("log_return_5", "log_return_10"))
    with pytest.raises(IntegrityError, match="other features"):
        five.restore(ten.snapshot())


def test_a_driver_grows_as_if_it_had_known_the_newcomers_from_the_start():
    panel = holed(130, 100, 3)
    newcomers = np.zeros(130, dtype=bool)
    newcomers[[0, 5, 63, 64, 100, 129]] = True
    panel.present[newcomers, :60] = False
    panel.values[newcomers, :60] = np.nan
    context = context_of(panel)
    history = compute(panel, NAMES, context).values
    old = ~newcomers
    early = replace(
        panel,
        values=panel.values[old],
        present=panel.present[old],
        instruments=tuple(np.array(panel.instruments)[old].tolist()),
    )
    early_context = replace(context, sector_codes=context.sector_codes[old], given=context.given[old])
    driver = LiveDriver(early.instruments, NAMES, early_context, panel.fields)
    before = feed(driver, early, early_context, 0, 60)
    assert same_bits(before, history[old, :60])
    driver.enlist(panel.instruments, context)
    assert same_bits(feed(driver, panel, context, 60, 100), history[:, 60:])


def test_a_driver_does_not_forget_an_instrument():
    panel = holed(5, 30, 1)
    context = context_of(panel)
    driver = LiveDriver(panel.instruments, NAMES, context)
    with pytest.raises(IntegrityError, match=r"1 instruments .* first is stock.US.S00000"):
        driver.enlist(panel.instruments[1:], context)


def test_declared_memory_counts_rings_and_states():
    kept = declared_memory(CATALOGUE["price_to_sma_20"].expression)
    assert (kept.ring_bars, kept.states) == (64, 4)  # 2 of the bar, run, mean; 20 bars and a chunk fit
    longest = max(declared_memory(spec.expression).ring_bars for spec in CATALOGUE.values())
    assert longest < 20_000


def test_nothing_compiles_inside_a_request():
    warm()
    before = sorted(str(p) for p in cache_folder().rglob("*") if p.is_file())
    panel = holed(70, 90, 6)
    context = context_of(panel)
    with event.install_recorder("numba:compile") as record:
        compute(panel, NAMES, context)
        driver = LiveDriver(panel.instruments, NAMES, context, panel.fields)
        feed(driver, panel, context, 0, 3)
    assert not record.buffer
    assert sorted(str(p) for p in cache_folder().rglob("*") if p.is_file()) == before


def test_the_indicators_of_the_bench_agree_with_talib():
    talib = pytest.importorskip("talib")
    from foresail.features.runner import field_positions, run
    from foresail.service.bench_features import _nothing
    from foresail.service.bench_indicators import random_bars

    bars = random_bars(np.random.default_rng(2), 3, 400)
    fields = field_positions(("open", "high", "low", "close", "volume"))
    ours = run(plan_of(INDICATORS), (fields, bars, np.ones((3, 400), dtype=bool)), _nothing(3, 400))
    theirs = talib_matrix(talib, bars)
    factor = {"rsi": 100.0, "nat": 100.0, "wil": 100.0, "sto": 100.0, "mfi": 100.0}
    for f, (name, _, _) in enumerate(INDICATORS):
        mine, other = ours[:, 300:, f] * factor.get(name[:3], 1.0), theirs[:, 300:, f]
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9, err_msg=name)
