"""The long proof of the money path: seeds, kills, crash images, hostile orders, planted bugs.

    python -m benchmarks.soak [--seeds 200000] [--app-seeds 20000] [--accounts 2000] [--kills 2000] [--images 20000]
                              [--hostile 1000000] [--workers 2] [--share 1.0]

Every line is one kind of trial: how many, how many were wrong, trials a second; every half minute a line tells how far
a long one is. Kills (SIGKILL) are shared between the trading core and the paper daemon. ``--share 0.01`` makes a
hundredth of all of them. The exit code is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

_CHUNK = 500
_NEWS_EVERY_S = 30.0
_TOLD = 10  # wrong trials of a piece that are told at once; the first fifty of all are told again at the end


def core_seeds(first: int, count: int) -> list[str]:
    from foresail.testing.simulation.world import run_seed

    return [
        f"core seed {one.seed}: {one.violation}" for one in map(run_seed, range(first, first + count)) if one.violation
    ]


def app_seeds(first: int, count: int) -> list[str]:
    from foresail.testing.simulation.settings import WorldSettings
    from foresail.testing.simulation.trading import make_trading_core
    from foresail.testing.simulation.world import run_seed

    app = WorldSettings(make_core=make_trading_core)
    found = (run_seed(seed, app) for seed in range(first, first + count))
    return [f"app seed {one.seed}: {one.violation}" for one in found if one.violation]


def crash_images(first: int, count: int) -> list[str]:
    from foresail.testing.simulation.images import judge_image

    return [f"image {seed}: {wrong}" for seed in range(first, first + count) if (wrong := judge_image(seed))]


def hostile(first: int, count: int) -> list[str]:
    from foresail.testing.hostile_orders import review_hostile

    return review_hostile(first, count).broken


def kills(first: int, count: int) -> list[str]:
    from foresail.testing.killlab import KillLab
    from foresail.testing.simulation.trace import ViolationError

    with tempfile.TemporaryDirectory() as folder:
        lab = KillLab(Path(folder), seed=first)
        try:
            lab.run(count)
        except ViolationError as error:
            return [f"kill lab {first}: {error}"]
        finally:
            lab.close()
    return []


def paper_kills(first: int, count: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:  # in a process of its own, because lives are forked from it
        command = [sys.executable, "-m", "foresail.testing.killpaper", folder, str(count), str(first)]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return [] if run.returncode == 0 else [f"paper kills {first}: {run.stderr.strip()[-2000:]}"]


def accounts(first: int, count: int) -> list[str]:
    from foresail.testing.simulation.account import run_account

    return [f"account {seed}: {wrong}" for seed in range(first, first + count) if (wrong := run_account(seed))]


def planted(first: int, count: int) -> list[str]:
    from foresail.testing.simulation.bugs import planted_bugs

    missed = [bug for bug in planted_bugs()[first : first + count] if bug.caught(2_000) is None]
    return [f"planted bug not caught: {bug.name}" for bug in missed]


def chunks(total: int, size: int) -> Iterable[tuple[int, int]]:
    return ((first, min(size, total - first)) for first in range(0, total, size))


def main() -> int:
    from foresail.testing.simulation.bugs import planted_bugs

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="part of every kind of trial, for example 0.01")
    for name, usual in (("seeds", 200_000), ("app-seeds", 20_000), ("accounts", 2_000), ("kills", 2_000),
                        ("images", 20_000), ("hostile", 1_000_000), ("workers", 2)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()

    def share(count: int) -> int:
        return max(1, round(count * options.share))

    jobs: tuple[tuple[str, Callable[[int, int], list[str]], int, int], ...] = (
        ("planted bugs caught", planted, len(planted_bugs()), 4),
        ("seeds of the core", core_seeds, share(options.seeds), _CHUNK),
        ("seeds of the trading core", app_seeds, share(options.app_seeds), _CHUNK),
        ("accounts, two lives each", accounts, share(options.accounts), 50),
        ("crash images", crash_images, share(options.images), _CHUNK),
        ("kills of the trading core", kills, share(options.kills - options.kills // 2), 100),
        ("kills of the paper daemon", paper_kills, share(options.kills // 2), 100),
        ("hostile orders", hostile, share(options.hostile), 20_000),
    )
    wrong: list[str] = []
    print(f"{'what':28s} {'trials':>10s} {'wrong':>6s} {'per second':>11s}")
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        for name, work, total, size in jobs:
            begin, found = time.perf_counter(), []
            parts = list(chunks(total, size))
            done, told = 0, begin
            results = pool.map(work, [first for first, _ in parts], [count for _, count in parts])
            for (_first, count), one in zip(parts, results, strict=True):
                for line in one[:_TOLD]:
                    print(f"  {line}", flush=True)
                found += one
                done += count
                if time.perf_counter() - told > _NEWS_EVERY_S and done < total:
                    told = time.perf_counter()
                    print(f"  {name}: {done:,d} of {total:,d}, {len(found)} wrong", flush=True)
            rate = total / max(time.perf_counter() - begin, 1e-9)
            print(f"{name:28s} {total:10,d} {len(found):6d} {rate:11,.0f}", flush=True)
            wrong += found
    print("\n".join(wrong[:50]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
