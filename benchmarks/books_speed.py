"""The book step: events a second on one core, and what order flow explains of AMZN's moves.

    python -m benchmarks.books_speed [--json] [--events 2000000]

Speed: made-up level changes around a mid, books of 1,000 levels a side, 1 s bars with all features; the median
of the repetitions, fresh numbers each, in seconds of the processor, since other programs run beside it. Order flow:
ten-second bars of the LOBSTER sample day of AMZN, the move of the mid in ticks regressed on the flow of the best quotes
in each of the thirteen half hours (needs the shared data, FORESAIL_DATA).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from foresail.adapters.lobster.reader import read_lobster
from foresail.core.seeds import generator
from foresail.domain.books import BookKind, BookStream
from foresail.features.books.driver import BookDriver, book_bars
from foresail.features.books.layout import BookSettings

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[2] / "shared" / "data")) / "lobster"
DAY = "AMZN_2012-06-21_34200000_57600000_{}_1.csv.gz"
TARGET = 5_000_000  # level changes a second
HALF_HOUR = 180  # bars of ten seconds


def made_up(events: int, seed: int, levels: int = 1000) -> BookStream:
    """Return a snapshot and level changes: one a message, most of them near the mid, 20,000 a second."""
    rng = generator(seed, "books")
    opening = 2 * levels + 1
    n = events + opening
    side = np.where(rng.random(n) < 0.5, 1, -1)
    away = np.minimum(rng.geometric(0.08, n), levels)
    size = np.where(rng.random(n) < 0.35, 0, rng.geometric(0.01, n))
    kind = np.full(n, BookKind.LEVEL, dtype=np.int8)
    price = 1_000_000 - side * away
    kind[0] = BookKind.CLEAR
    side[1:opening] = np.repeat([1, -1], levels)
    price[1:opening] = 1_000_000 - side[1:opening] * np.tile(np.arange(1, levels + 1), 2)
    size[1:opening] = 100
    at = 1_700_000_000_000_000_000 + np.maximum(np.arange(n, dtype=np.int64) - opening, 0) * 50_000
    closes = np.arange(n) >= opening - 1
    zero = np.zeros(n, dtype=np.int64)
    return BookStream(
        "crypto.X.A-B",
        0.01,
        1e-3,
        at,
        at,
        kind,
        side.astype(np.int8),
        price,
        size,
        zero,
        zero,
        closes,  # type: ignore[arg-type]
    )


def speed(events: int, repetitions: int) -> dict[str, Any]:
    """Return level changes a second, history and live in pieces of 100 rows."""
    book_bars(made_up(1000, 0))  # compile
    whole, pieces = [], []
    for r in range(repetitions):
        data = made_up(events, r + 1)
        driver = BookDriver(data)
        driver.feed(data.rows(0, 2001))
        rest = data.rows(2001, len(data))
        begun = time.process_time()
        driver.feed(rest)
        whole.append(len(rest) / (time.process_time() - begun))
        driver, count = BookDriver(data), 200_000
        begun = time.process_time()
        for first in range(0, count, 100):
            driver.feed(data.rows(first, first + 100))
        pieces.append(count / (time.process_time() - begun))
    return {
        "history_events_per_s": round(statistics.median(whole)),
        "live_pieces_of_100_events_per_s": round(statistics.median(pieces)),
        "target_events_per_s": TARGET,
        "missed": statistics.median(whole) < TARGET,
    }


def order_flow() -> dict[str, Any] | None:
    """Return R squared and slope of half hours, None where the sample is not there."""
    paths = [DATA / DAY.format(kind) for kind in ("message", "orderbook")]
    if not all(path.is_file() for path in paths):
        return None
    day = read_lobster(paths[0], paths[1], "stock.US.AMZN")  # type: ignore[arg-type]
    bars = book_bars(day.stream, BookSettings(bar_ns=10_000_000_000, depths=(1,), flow_levels=1))
    mid, flow, depth = (bars.column(name) for name in ("mid", "order_flow_imbalance", "depth_1"))
    move = np.diff(mid, prepend=np.nan) / day.stream.tick
    fits, slopes = [], []
    for first in range(0, 13 * HALF_HOUR, HALF_HOUR):
        rows = slice(first, first + HALF_HOUR)
        known = np.isfinite(move[rows]) & np.isfinite(flow[rows])
        x, y = flow[rows][known], move[rows][known]
        fits.append(float(np.corrcoef(x, y)[0, 1] ** 2))
        slopes.append(float(np.polyfit(x, y, 1)[0] * 2 * np.mean(depth[rows][known])))
    return {
        "r2_by_half_hour": [round(x, 3) for x in fits],
        "r2_mean": round(statistics.mean(fits), 3),
        "slope_times_twice_the_depth": [round(x, 2) for x in slopes],
    }


def main() -> int:
    """Run the benchmark; exit 1 if the speed is below its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    document = {"speed": speed(options.events, options.repetitions), "order_flow_amzn": order_flow()}
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for part, told in document.items():
            print(part, *(f"  {k}: {v}" for k, v in told.items()) if told else ("  no sample data",), sep="\n")
    return 1 if document["speed"]["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
