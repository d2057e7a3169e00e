"""What order flow explains of the moves it belongs to, on real books: measured and printed, held to a floor."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from foresail.adapters.binance_depth.reader import read_binance
from foresail.adapters.lobster.reader import read_lobster
from foresail.features.books.driver import book_bars
from foresail.features.books.integrated import fit_integrated_flow
from foresail.features.books.layout import BookSettings

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = [pytest.mark.accuracy, pytest.mark.data]


def explained(x, y):
    """R squared of y on x where both are known."""
    known = np.isfinite(x) & np.isfinite(y)
    return float(np.corrcoef(x[known], y[known])[0, 1] ** 2)


def test_order_flow_of_a_day_of_amazon(capsys):
    """Cont, Kukanov and Stoikov report a mean of 0.65 for 50 NYSE stocks; this is one Nasdaq stock of wide spreads."""
    folder = DATA / "lobster"
    if not folder.is_dir():
        pytest.skip(f"no LOBSTER samples under {folder}: set FORESAIL_DATA")
    name = "AMZN_2012-06-21_34200000_57600000_{}_1.csv.gz"
    day = read_lobster(folder / name.format("message"), folder / name.format("orderbook"), "stock.US.AMZN")
    bars = book_bars(day.stream, BookSettings(bar_ns=10_000_000_000, depths=(1,), flow_levels=1))
    flow, mid, depth, signed = (bars.column(c) for c in ("order_flow_imbalance", "mid", "depth_1", "signed_volume"))
    move = np.diff(mid, prepend=np.nan) / day.stream.tick
    lines, fits, prints, slopes = [], [], [], []
    for k in range(13):
        rows = slice(180 * k, 180 * (k + 1))
        fits.append(explained(flow[rows], move[rows]))
        prints.append(explained(signed[rows], move[rows]))
        known = np.isfinite(flow[rows]) & np.isfinite(move[rows])
        slopes.append(np.polyfit(flow[rows][known], move[rows][known], 1)[0])
        wide = np.nanmean(depth[rows])
        lines.append(f"{k:>9} {fits[-1]:>8.3f} {prints[-1]:>8.3f} {slopes[-1] * 2 * wide:>10.2f} {wide:>8.1f}")
    with capsys.disabled():
        head = (
            "\nAMZN 2012-06-21, 10-s bars, R2 with the move of the mid\nhalf hour     flow   prints  2 depth b    depth"
        )
        print(head, *lines, f"     mean {np.mean(fits):>8.3f} {np.mean(prints):>8.3f}", sep="\n")  # noqa: T201
    assert np.mean(fits) > 0.45
    assert np.mean(fits) > np.mean(prints)  # the paper's order: flow explains more than prints do
    assert min(slopes) > 0.0


@pytest.mark.parametrize(
    ("name", "tick", "lot"), [("spot_btcusdt", 0.01, 1e-8), ("spot_ethusdt", 0.01, 1e-8), ("usdm_btcusdt", 0.1, 1e-3)]
)
def test_integrated_flow_of_real_streams_out_of_sample(name, tick, lot, capsys):
    """Weights from the first half, R2 in the second: too short for more than a sign, so only that is held."""
    path = DATA / "crypto_l2_binance" / f"{name}_20240808.gz"
    if not path.is_file():
        pytest.skip(f"no Binance streams under {path.parent}: set FORESAIL_DATA")
    data = read_binance(path, f"crypto.BINANCE.{name}", tick=tick, lot=lot).stream
    bars = book_bars(data)
    half = len(bars) // 2
    fitted = fit_integrated_flow(bars, levels=10, train_until_ns=int(bars.end[half]))
    move = np.diff(bars.column("mid"), prepend=np.nan) / tick
    best = explained(bars.column("multi_level_flow_1")[half + 1 :], move[half + 1 :])
    whole = explained(fitted.values(bars)[half + 1 :], move[half + 1 :])
    with capsys.disabled():
        told = f"best level {best:.3f}, integrated {whole:.3f}; first component {fitted.explained:.2f} of the flows"
        print(f"\n{name}: 1-s bars, R2 of the second half: {told}")  # noqa: T201
    known = np.isfinite(move) & np.isfinite(fitted.values(bars))
    assert np.corrcoef(fitted.values(bars)[known], move[known])[0, 1] > 0.0
