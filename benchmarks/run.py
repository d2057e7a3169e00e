"""The main job against its targets: wall time and peak memory of whole processes on real data.

    python -m benchmarks.run [--json] [NAME ...]

Data come from FORESAIL_DATA (default ../shared/data); a job whose data are absent is skipped with a line.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("FORESAIL_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Job:
    """One command with its limits: seconds of wall time, GiB of peak memory; None = no limit stated."""

    name: str
    arguments: tuple[str, ...]
    needs: str
    seconds: float | None
    gib: float | None


def _set(folder: str) -> str:
    return str(ROOT / "benchmarks" / "sets" / folder)


JOBS = (
    Job("demo", ("demo",), "", 60.0, 4.0),
    Job(
        "stocks_50",
        ("run", "--bars", _set("us_stocks_daily_2003_2016"), "--names", "50"),
        "us_stocks_daily_2003_2016",
        60.0,
        4.0,
    ),
    Job("stocks_363", ("run", "--bars", _set("us_stocks_daily_2003_2016")), "us_stocks_daily_2003_2016", 480.0, 4.0),
    Job("pit_1703", ("run", "--bars", _set("us_stocks_pit_2015_2017")), "us_stocks_pit_2015_2017", None, None),
    Job("perps", ("run", "--bars", _set("crypto_perps_2024_2026")), "crypto_perps_2024_2026", None, None),
    Job("forex_1h", ("run", "--bars", _set("forex_1h")), "forex_1h", None, None),
)


def measure(job: Job, folder: Path) -> dict[str, object]:
    """Run one job in a fresh workspace and return its figures."""
    out = folder / job.name
    command = [sys.executable, "-m", "foresail.cli", *job.arguments, "--out", str(out), "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "FORESAIL_DATA": str(DATA)}
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures: dict[str, object] = {
        "job": job.name,
        "exit": done.returncode,
        "seconds": round(seconds, 1),
        "target_seconds": job.seconds,
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_gib": round(after.ru_maxrss / 2**20, 2),
        "target_gib": job.gib,
    }
    if done.returncode == 0:
        figures["verdict"] = json.loads(done.stdout).get("verdict", {}).get("word")
    else:
        figures["error"] = done.stderr.strip().splitlines()[-2:]
    return figures


def main() -> int:
    """Run the chosen jobs; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="jobs: " + ", ".join(job.name for job in JOBS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - {job.name for job in JOBS})
    if unknown:
        parser.error(f"unknown job {unknown[0]!r}; known: {', '.join(job.name for job in JOBS)}")
    folder = Path(tempfile.mkdtemp(prefix="foresail-bench-"))
    results = []
    try:
        for job in JOBS:
            if options.names and job.name not in options.names:
                continue
            if job.needs and not (DATA / job.needs).is_dir():
                sys.stderr.write(f"{job.name}: skipped, {DATA / job.needs} is not there (FORESAIL_DATA)\n")
                continue
            sys.stderr.write(f"{job.name}: running ...\n")
            figures = measure(job, folder)
            results.append(figures)
            outcome = figures.get("verdict", figures.get("error"))
            sys.stderr.write(f"{job.name}: {figures['seconds']} s, {figures['peak_gib']} GiB, {outcome}\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missed = [
        r["job"]
        for r in results
        if r["exit"] != 0
        or (r["target_seconds"] is not None and float(str(r["seconds"])) > float(str(r["target_seconds"])))
    ]
    if options.json:
        print(json.dumps({"cores": os.cpu_count(), "results": results, "missed": missed}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
