"""A challenger beside the model that answers: both forecast, both are scored, on the same names and bars (REG-04).

Nothing is changed by it: who answers is changed by ``foresail models promote``. The comparison says when it may be
believed at all, which is after five days and a hundred pairs (REG-03).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foresail.evaluation.registry_file import RecordFile

__all__ = ["Pairs", "paired_lines"]

_DAYS, _FORECASTS = 5, 100  # REG-03: a step takes at least so many trading days and forecasts
_LOOK_BACK = 60  # files of scores, a day each

_Name = tuple[str, str]  # instrument, as_of


class Pairs:
    """Scores of two models side by side.

    Parameters
    ----------
    folder : ``forecasts/<class>_<frame>``
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "scores"
        self._files: dict[Path, RecordFile] = {}
        self._scores: dict[Path, dict[tuple[str, int], dict[_Name, Mapping[str, Any]]]] = {}

    def compare(self, champion: str, challenger: str) -> list[dict[str, Any]]:
        """Return a comparison for each horizon that both have scores of, as plain data.

        Parameters
        ----------
        champion, challenger : versions of the models
        """
        self._read()
        horizons = sorted({h for day in self._scores.values() for version, h in day if version == challenger})
        found = [self._compared(champion, challenger, horizon) for horizon in horizons]
        return [one for one in found if one is not None]

    def _compared(self, champion: str, challenger: str, horizon: int) -> dict[str, Any] | None:
        losses, signs = [], []
        for path in sorted(self._scores):
            ours, theirs = (self._scores[path].get((one, horizon), {}) for one in (champion, challenger))
            both = sorted(ours.keys() & theirs.keys())
            if both:
                losses.append(np.array([[one[name]["loss"] for name in both] for one in (ours, theirs)]).mean(axis=1))
                signs += [(ours[name]["right"], theirs[name]["right"]) for name in both]
        if not losses:
            return None
        days, known = np.array(losses), [pair for pair in signs if None not in pair]
        differences = days[:, 1] - days[:, 0]
        return {
            "horizon": horizon,
            "pairs": len(signs),
            "days": len(days),
            "loss_ratio": float(days[:, 1].mean() / days[:, 0].mean()),
            "days_better": float((differences < 0.0).mean()),
            "right": [float(np.mean([pair[i] for pair in known])) if known else None for i in (0, 1)],
            "enough": len(days) >= _DAYS and len(signs) >= _FORECASTS,
        }

    def _read(self) -> None:
        """Read what is new in the newest files."""
        newest = sorted(self._folder.glob("*.jsonl"))[-_LOOK_BACK:]
        for path in [path for path in self._scores if path not in newest]:
            del self._scores[path], self._files[path]
        for path in newest:
            fresh = self._files.setdefault(path, RecordFile(path)).read()
            if fresh is None:
                continue
            held = {} if fresh.from_start else self._scores[path]
            for _, one in fresh.records:
                if one["outcome"] is not None:
                    place = held.setdefault((one["model_version"], int(one["horizon"])), {})
                    place[one["instrument"], one["as_of"]] = one
            self._scores[path] = held


def paired_lines(beside: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return how challengers do, a line for each horizon."""
    lines = []
    for one in beside:
        if "refused" in one:
            lines.append(f"  challenger {one['model']} REFUSED: {one['refused']}")
            continue
        lines.append(f"  challenger {one['model']} ({one['stage']}): {one['written']} rows new")
        for told in one["paired"]:
            ahead = f"{told['horizon']} bar{'s' if told['horizon'] > 1 else ''} ahead"
            word = "" if told["enough"] else f"; too little to judge, {_DAYS} days and {_FORECASTS} pairs are needed"
            lines.append(
                f"    {ahead}: loss {told['loss_ratio']:.3f} of that of the model that answers, better on "
                f"{told['days_better']:.0%} of {told['days']} days, {told['pairs']} pairs{word}"
            )
    return lines
