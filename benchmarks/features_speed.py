"""The feature engine against its targets: batch and live against TA-Lib, a whole set, six frames, peak memory.

    python -m benchmarks.features_speed [--json]

The same as ``foresail bench features``; exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys

from foresail.service.bench_features import BenchFeaturesRequest, bench_features


def main() -> int:
    """Run the benchmark; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    outcome = bench_features(BenchFeaturesRequest(repetitions=options.repetitions))
    print(json.dumps(outcome.document, indent=1) if options.json else "\n".join(outcome.lines))
    return 1 if outcome.document["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
