"""What a screen tells of the test part of a model: ranges, classes, paired tests, honesty of probabilities (EVAL-07).

``train`` and ``models show`` print the same lines, from ``model.json`` alone. What an older record lacks is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foresail.service.training_baselines import paired_lines

__all__ = ["metric_lines"]


def metric_lines(record: Mapping[str, Any]) -> list[str]:
    """Return the lines on the scores of a model on its test part.

    Parameters
    ----------
    record : ``model.json``
    """
    found = record["metrics"]
    paired, classes = found.get("paired", []), found["classes"]
    honest = [line for one in classes for line in _honest_line(one)]
    named = [line for one in classes for line in _class_lines(one)]
    return [
        *(_score_line(one) for one in found["scores"] if one["target"] == "close"),
        *(line for one in found["scores"] if one["target"] != "close" for line in _range_line(one)),
        *(line for one in found["scores"] for line in _variance_line(one)),
        *(["classes on the test part:", *named] if named else []),
        *(["paired tests on the test part (loss below):", *paired_lines(paired)] if paired else []),
        *(["calibration error of probabilities on the test part:", *honest] if honest else []),
    ]


def _ahead(one: Mapping[str, Any]) -> str:
    return f"{one['horizon']} bar{'s' if one['horizon'] > 1 else ''} ahead"


def _held(one: Mapping[str, Any]) -> str:
    """Return the share of outcomes within P10 and P90 with the width of that range, empty if unknown (EVAL-03)."""
    held, width = one["coverage"]["value"], one.get("width")
    if held is None:
        return ""
    return f"P10-P90 held {held:.1%}" + ("" if width is None else f" at a width of {width:.4f}")


def _score_line(one: Mapping[str, Any]) -> str:
    held, rank = _held(one), one["rank_ic"]["value"]
    return (
        f"  {_ahead(one)}: pinball {one['pinball']:.6f} (no change {one['no_change_pinball']:.6f}), "
        f"{held}{', ' if held else ''}right sign {one['hit_rate']:.1%} (constant answer {one['base_rate']:.1%})"
        f"{'' if rank is None else f', rank correlation {rank:.3f}'}"
    )


def _range_line(one: Mapping[str, Any]) -> list[str]:
    held = _held(one)
    return [f"  {one['target']} {_ahead(one)}: pinball {one['pinball']:.6f}, {held}"] if held else []


def _variance_line(one: Mapping[str, Any]) -> list[str]:
    """Return QLIKE of a volatility model (EVAL-05)."""
    told = one.get("variance")
    if not told:
        return []
    return [
        f"  variance {_ahead(one)}: QLIKE {told['qlike']:.4f} (no change {told['no_change_qlike']:.4f}), "
        f"realised over forecast {told['realised_over_forecast']:.3f}"
    ]


def _share(value: float | None) -> str:
    """Return a share, or that it is none: no precision of a class that was never said."""
    return "none" if value is None else f"{value:.1%}"


def _class_lines(one: Mapping[str, Any]) -> list[str]:
    """Return the classification report of a horizon in two lines (EVAL-01)."""
    report = one.get("classes")
    if not report or one.get("log_loss") is None:
        return []
    by_class = "; ".join(
        f"{name} {_share(told['precision'])}, {_share(told['recall'])}, {told['f1'] or 0.0:.3f}"
        for name, told in report.items()
    )
    return [
        f"  {_ahead(one)}: {one['accuracy']:.1%} right (always neutral {one['always_neutral']:.1%}), balanced "
        f"{one['balanced_accuracy']:.1%}, log loss {one['log_loss']:.4f}",
        f"    precision, recall, F1: {by_class}",
    ]


def _honest_line(one: Mapping[str, Any]) -> list[str]:
    """Return the calibration error of classes and confidence at a horizon, before and after scaling (EVAL-06)."""
    honest = one.get("calibration", {})
    parts = [
        f"{name} {100 * honest[key]['error']:.1f} points ({100 * honest[key]['error_before']:.1f} before, "
        f"scaling: {honest[key]['method']})"
        for key, name in (("classes", "classes"), ("confidence", "confidence"))
        if honest.get(key, {}).get("error") is not None
    ]
    return [f"  {_ahead(one)}: {', '.join(parts)}"] if parts else []
