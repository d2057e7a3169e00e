"""Backtests against their targets: the compiled sweep against vectorbt, its scaling on two cores, the event engine.

    python -m benchmarks.backtest_speed [--json] [--repetitions 3]

The same as ``foresail bench backtest``; exit 1 if a target is missed. vectorbt is optional: `pip install vectorbt`.
"""

from __future__ import annotations

import argparse
import json
import sys

from foresail.service.bench_backtest import BenchBacktestRequest, bench_backtest


def main() -> int:
    """Run the benchmark; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    outcome = bench_backtest(BenchBacktestRequest(repetitions=options.repetitions))
    print(json.dumps(outcome.document, indent=1) if options.json else "\n".join(outcome.lines))
    return 1 if outcome.document["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
