"""The statistics against their targets: seconds and peak memory, each job in a process of its own.

    python -m benchmarks.statistics_speed [--json] [NAME ...]

``pbo``: CSCV with 16 blocks (12,870 splits) on 1,000 strategies x 2,500 days. ``spa``: 10,000 draws of Hansen's test on
200 models x 2,500 days. ``confidence_set``: 1,000 draws on the same table, no target stated. ``honesty``: what
registering a trial and deflating its Sharpe ratio add to a run, on a registry of 1,000 trials; its target is 1 % of the
seconds of the shortest run measured, ``foresail demo``, which is timed in the same job.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DAYS = 2500
TRIALS = 1000


def _pbo() -> dict[str, float]:
    from foresail.measures.honesty import probability_of_overfitting

    table = np.random.default_rng(0).normal(size=(DAYS, 1000))
    began = time.perf_counter()
    probability_of_overfitting(table, blocks=16)
    return {"seconds": time.perf_counter() - began}


def _spa() -> dict[str, float]:
    from foresail.measures.bootstrap import BootstrapSettings
    from foresail.measures.superiority import superior_predictive_ability

    table = np.random.default_rng(0).normal(size=(DAYS, 201))
    began = time.perf_counter()
    superior_predictive_ability(table[:, 0], table[:, 1:], BootstrapSettings(draws=10_000))
    return {"seconds": time.perf_counter() - began}


def _confidence_set() -> dict[str, float]:
    from foresail.measures.bootstrap import BootstrapSettings
    from foresail.measures.confidence_set import model_confidence_set

    table = np.random.default_rng(0).normal(size=(DAYS, 200))
    began = time.perf_counter()
    model_confidence_set(table, settings=BootstrapSettings(draws=1000))
    return {"seconds": time.perf_counter() - began}


def _honesty() -> dict[str, float]:
    from foresail.evaluation.honesty import collect
    from foresail.evaluation.registry import Lineage, Trial, TrialRegistry
    from foresail.measures.honesty import sharpe_sample

    random = np.random.default_rng(0)
    names = tuple(f"equity:n{i}.test" for i in range(500))
    lineage = Lineage(names, "1d", "close", 0, 10**18)
    with tempfile.TemporaryDirectory(prefix="foresail-bench-") as folder:
        path = Path(folder) / "trials.jsonl"
        registry = TrialRegistry(path)
        series = random.normal(size=(TRIALS, DAYS))
        for i in range(TRIALS - 1):
            registry.register(Trial(f"{i:064x}", "0" * 64, lineage, sharpe_sample(series[i]), 252.0))
        fresh = TrialRegistry(path)  # as at the end of a run: nothing read yet
        began = time.perf_counter()
        fresh.register(Trial("f" * 64, "0" * 64, lineage, sharpe_sample(series[-1]), 252.0))
        collect(series[-1], bars_per_year=252.0, trials=fresh.count(lineage))
        added = time.perf_counter() - began
        began = time.perf_counter()
        command = [sys.executable, "-m", "foresail.cli", "demo", "--out", str(Path(folder) / "demo"), "--json"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        run = time.perf_counter() - began
    return {"seconds": added, "run_seconds": run, "share_of_run": added / run}


JOBS: dict[str, tuple[Callable[[], dict[str, float]], str, float | None]] = {
    "pbo": (_pbo, "seconds", 20.0),
    "spa": (_spa, "seconds", 15.0),
    "confidence_set": (_confidence_set, "seconds", None),
    "honesty": (_honesty, "share_of_run", 0.01),
}


def measure(name: str) -> dict[str, object]:
    """Run one job in a fresh process and return its figures with target and peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.statistics_speed", "--inner", name],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    figures: dict[str, object] = json.loads(done.stdout)
    _, measured, target = JOBS[name]
    value = float(str(figures[measured]))
    return {"job": name, **figures, "target": target, "met": target is None or value <= target}


def main() -> int:
    """Run the chosen jobs; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="jobs: " + ", ".join(JOBS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inner", choices=list(JOBS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        figures = JOBS[options.inner][0]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**{key: round(value, 5) for key, value in figures.items()}, "peak_gib": round(peak, 2)}))
        return 0
    unknown = sorted(set(options.names) - set(JOBS))
    if unknown:
        parser.error(f"unknown job {unknown[0]!r}; known: {', '.join(JOBS)}")
    results = [measure(name) for name in JOBS if not options.names or name in options.names]
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "results": results}, indent=1))
    else:
        for row in results:
            print("  ".join(f"{key} {value}" for key, value in row.items()))
    return 0 if all(row["met"] for row in results) else 1


if __name__ == "__main__":
    sys.exit(main())
