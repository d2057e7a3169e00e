"""The probability of overfitting over the runs of a workspace: their net gain over 1/N on the bars that all share.

Finished runs that lie beside this one, on the same bars (equal content hash), are its variants. The figure is told in
the report; the verdict does not use it, because it depends on which run folders are still there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.evaluation.variants import overfitting_of
from foresail.measures.honesty import MINIMUM_VARIANTS
from foresail.measures.returns import simple_returns
from foresail.service.finished import Finished, deciding
from foresail.service.runfolder import RunReader

__all__ = ["run_overfitting"]


def run_overfitting(finished: Finished) -> tuple[float | None, str]:
    """Return the probability of overfitting with a sentence; None where fewer than ten runs lie side by side."""
    if finished.trials.n < MINIMUM_VARIANTS:
        count = finished.trials.n
        return None, f"not defined: {count} trial{'s' if count != 1 else ''}, {MINIMUM_VARIANTS} are needed"
    ends = finished.result.data.bars.end[finished.comparison.first :]
    own = _gain(ends, finished.comparison.net, finished.comparison.one_over_n)
    others = _others(finished.out, finished.record)
    if 1 + len(others) < MINIMUM_VARIANTS:
        return None, f"not defined: the returns of {1 + len(others)} of {finished.trials.n} trials lie beside this run"
    common = sorted(set(own).intersection(*others))
    series = [np.array([one[end] for end in common]) for one in (own, *others)]
    return overfitting_of(series)


def _gain(end: IntArray, net: FloatArray, other: FloatArray) -> dict[int, float]:
    """Return bar end -> net return less that of 1/N."""
    gain = simple_returns(net) - simple_returns(other)
    return dict(zip(end[1:].tolist(), gain.tolist(), strict=True))


def _others(out: Path, record: dict[str, Any]) -> list[dict[int, float]]:
    """Return the gains of finished runs on the same bars, one for each distinct record, in order of folder name."""
    found = []
    seen = [_variant(record)]
    content = record["inputs"].get("content")
    folders = sorted(p for p in out.parent.iterdir() if p != out) if out.parent.is_dir() else []
    for folder in folders:
        if not (folder / "complete").is_file():
            continue
        try:
            reader = RunReader(folder)
            other = reader.json("run.json")
            if content is None or other["inputs"].get("content") != content:
                continue
            key = _variant(other)
            if key in seen:
                continue
            table = reader.table("equity")
        except DataError:
            continue  # a damaged run is no variant; opening it says why
        seen.append(key)
        columns = {name: table.column(name).to_numpy(zero_copy_only=False) for name in ("end", "net", "one_over_n")}
        if np.isfinite(columns["one_over_n"].astype(np.float64)).all():
            found.append(_gain(columns["end"], columns["net"], columns["one_over_n"].astype(np.float64)))
    return found


def _variant(record: dict[str, Any]) -> str:
    """Return what makes a record another trial than its neighbours."""
    return json.dumps({**record, "settings": deciding(record["settings"])}, sort_keys=True, default=str)
