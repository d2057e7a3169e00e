"""What a training tells while it runs and afterwards: the lines of TRAIN-21, and the curves of TRAIN-26."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from foresail.protocols import Progress

__all__ = ["EpochLines", "history_lines", "history_of"]

_EVERY = 5  # epochs (TRAIN-21)
_CHECKPOINT = "checkpoint.json"  # written before the epoch is told, so that the newest one is its
_CURVES = (
    ("train_loss", "train loss"),
    ("validation_loss", "validation loss"),
    ("rate", "rate"),
    ("gradient_norm", "gradient norm"),
)


class EpochLines:
    """A progress that passes on what it is told, and says a line on every fifth epoch, with the sector it is of.

    Parameters
    ----------
    progress : the one that is told everything
    note : told the lines; None = nobody
    checkpoint : folder in which the trainer keeps its history, as far as it has come; sectors have folders in it
    """

    def __init__(self, progress: Progress, note: Callable[[str], None] | None, checkpoint: Path) -> None:
        self._progress, self._note, self._folder = progress, note, checkpoint

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` steps of a stage are finished."""
        self._progress(stage, done, total)
        if self._note is None or not done or (done % _EVERY and done not in (1, total)):
            return
        found = sorted(self._folder.rglob(_CHECKPOINT), key=lambda path: (path.stat().st_mtime_ns, path))
        history = _curves(json.loads(found[-1].read_bytes()).get("history")) if found else {}
        if history:
            _, _, sector = stage.partition(" ")
            self._note((f"{sector}, " if sector else "") + _line(history, done - 1))


def history_of(weights: Path) -> dict[str, list[float]]:
    """Return the curves that a saved forecaster keeps, by name; empty where it keeps none."""
    path = weights / "model.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_bytes()).get("content")
    return _curves(content.get("history")) if isinstance(content, Mapping) else {}


def history_lines(history: Mapping[str, Sequence[float]]) -> list[str]:
    """Return a line on every fifth epoch, the first and the last."""
    count = len(history.get("train_loss", ()))
    return [_line(history, i) for i in range(count) if i in (0, count - 1) or (i + 1) % _EVERY == 0]


def _curves(found: Any) -> dict[str, list[float]]:
    if not isinstance(found, Mapping):
        return {}
    return {str(k): list(v) for k, v in found.items() if isinstance(v, list) and v and k in dict(_CURVES)}


def _line(history: Mapping[str, Sequence[float]], epoch: int) -> str:
    told = [f"{name} {history[key][epoch]:.4g}" for key, name in _CURVES if epoch < len(history.get(key, ()))]
    return f"epoch {epoch + 1}: {', '.join(told)}"
