"""Down, neutral and up on a model card: the classification report and what was said when each came (EVAL-01, 07)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from foresail.reporting.blocks import Block, Notes, Table
from foresail.reporting.figures import bars, decimal, percent

__all__ = ["class_tables"]

_NAMES = ("down", "neutral", "up")
_NOTE = (
    "Log loss beside that of someone who knew how often each class would come in the test part and said these shares "
    "every time. Balanced accuracy is the mean recall: one third for any answer that ignores its inputs."
)


def class_tables(record: Mapping[str, Any]) -> list[Block]:
    """Return the tables on classes; what an older record lacks is left out.

    Parameters
    ----------
    record : ``model.json``
    """
    told = record["metrics"]["classes"]
    full = [one for one in told if one.get("log_loss") is not None]
    blocks: list[Block] = []
    if full:
        columns = ("ahead", "forecasts", "right", "always neutral", "balanced accuracy", "log loss", "of known shares")
        blocks += [
            Table("Classes on the test part", columns, tuple(_summary(one) for one in full)),
            Table(
                "Classification report",
                ("ahead", "class", "came", "precision", "recall", "F1"),
                tuple(row for one in full for row in _report(one)),
                names=2,
            ),
            Notes((_NOTE,)),
        ]
    return [*blocks, *(_confusion(one) for one in told)]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _summary(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        bars(one["horizon"]),
        f"{one['rows']:,}",
        *(percent(_number(one[key])) for key in ("accuracy", "always_neutral", "balanced_accuracy")),
        decimal(_number(one["log_loss"]), 4),
        decimal(_entropy([sum(row) for row in one["confusion"]]), 4),
    )


def _entropy(counts: Sequence[int]) -> float:
    """Return the log loss of the shares themselves, natural logarithm."""
    shares = [count / sum(counts) for count in counts if count]
    return -sum(share * math.log(share) for share in shares)


def _report(one: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            bars(one["horizon"]),
            name,
            f"{own['rows']:,}",
            percent(_number(own["precision"])),
            percent(_number(own["recall"])),
            decimal(_number(own["f1"]), 3),
        )
        for name, own in one["classes"].items()
    ]


def _confusion(one: Mapping[str, Any]) -> Table:
    rows = tuple((name, *(f"{count:,}" for count in row)) for name, row in zip(_NAMES, one["confusion"], strict=True))
    title = (
        f"Classes {bars(one['horizon'])} ahead: {percent(_number(one['accuracy']))} right, always neutral "
        f"{percent(_number(one['always_neutral']))}"
    )
    return Table(title, ("came", *(f"said {name}" for name in _NAMES)), rows, folded=True)
