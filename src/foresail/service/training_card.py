"""The model card of a registered model (EVAL-07): what it was fitted on, how well it did, where not to trust it.

The keys are those of ``domain.model_card``, which the card of a run has too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foresail.core.canonical import plain
from foresail.domain.model_card import MODEL_CARD_FORMAT, MODEL_CARD_VERSION
from foresail.evaluation.acceptance import CALIBRATION_LIMIT
from foresail.evaluation.paired import BETTER
from foresail.service.training_inputs import selection_lines

__all__ = ["acceptance", "card_document"]

_NOMINAL, _TOLERANCE = 0.8, CALIBRATION_LIMIT  # of P10 to P90; how far the share that it held may be off (VALID-14)


def card_document(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``card.json`` of a model from its ``model.json``."""
    data, found = record["data"], record["metrics"]
    document = {
        "format": MODEL_CARD_FORMAT,
        "version": MODEL_CARD_VERSION,
        "reason": None,
        "model": {
            "name": record["name"],
            "version": record["model_version"],
            "settings": {"forecaster": record["forecaster"], "horizons": record["horizons"], **record["options"]},
        },
        "data": {key: data[key] for key in ("from", "to", "instruments", "frame", "price_basis", "universe_basis")},
        "features": {"names": record["features"]["names"], "sha256": record["features"]["hash"]},
        "seed": record["seed"],
        "splits": record["splits"],
        "metrics": found["scores"],
        "calibration": [_calibration(one, found["classes"]) for one in found["scores"]],
        "paired": found.get("paired", []),
        "acceptance": acceptance(found),
        "intended_use": _intended_use(record),
        "training": _training(record),
        "limits": _limits(record),
        "importance": dict(record["importance"]),
        "trials": record["trials"],
    }
    card: dict[str, Any] = plain(document)
    return card


def _calibration(one: Mapping[str, Any], classes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return coverage of a target and horizon, and for the close how honest its class probabilities are (EVAL-06)."""
    told = {"target": one["target"], "horizon": one["horizon"], "nominal": _NOMINAL, "coverage": one["coverage"]}
    honest = next((c["calibration"] for c in classes if c["horizon"] == one["horizon"]), None)
    return told if one["target"] != "close" or honest is None else {**told, **honest}


def acceptance(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the model is better than every baseline and calibrated at each horizon of the close (VALID-14).

    On the test part alone: the validation part has stopped the training, so it says nothing here. The verdict on a
    strategy is that of ``foresail run``.
    """
    checks = []
    for one in metrics["scores"]:
        if one["target"] != "close":
            continue
        ahead = f"{one['horizon']} bar{'s' if one['horizon'] > 1 else ''} ahead"
        held = one["coverage"]["value"]
        checks.append(_beats(ahead, [test for test in metrics["paired"] if test["horizon"] == one["horizon"]]))
        inside = held is not None and abs(held - _NOMINAL) <= _TOLERANCE
        told = "none" if held is None else f"{held:.1%}"
        checks.append((inside, f"{ahead}: {told} of outcomes within P10 to P90, 80 % promised"))
        checks += _honest(ahead, _calibration(one, metrics["classes"]))
    return {
        "accepted": bool(checks) and all(ok for ok, _ in checks),
        "checks": [{"passed": ok, "text": text} for ok, text in checks],
    }


def _beats(ahead: str, tests: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Return whether the paired test says better of every baseline: a lower mean alone does not (EVAL-08).

    A forecaster that was only asked for beside the model is no baseline; whoever asks for none must not fare better.
    """
    tests = [test for test in tests if test.get("is_baseline", True)]
    missed = [f"{test['other']} ({test['word']})" for test in tests if test["word"] != BETTER]
    if not tests:
        return False, f"{ahead}: no baseline could be compared with"
    if missed:
        return False, f"{ahead}: not better than {', '.join(missed)}"
    return True, f"{ahead}: better than all {len(tests)} baselines"


def _honest(ahead: str, told: Mapping[str, Any]) -> list[tuple[bool, str]]:
    """Return whether the error of class probabilities and confidence is below 5 points (VALID-14)."""
    found = []
    for key, name in (("classes", "class probabilities"), ("confidence", "confidence")):
        error = told.get(key, {}).get("error")
        points = "unknown" if error is None else f"{100 * error:.1f} points"
        passed = error is not None and error < CALIBRATION_LIMIT
        found.append((passed, f"{ahead}: calibration error of the {name} {points}, below 5 is asked"))
    return found


def _intended_use(record: Mapping[str, Any]) -> str:
    data = record["data"]
    return (
        f"Intended use: ranges of returns {', '.join(map(str, record['horizons']))} bars ahead on {data['frame']} bars "
        f"of {record['class']} instruments like the {len(data['instruments'])} named here. Not intended for other "
        "frames or classes, or as advice."
    )


def _training(record: Mapping[str, Any]) -> list[str]:
    history, chosen = record.get("history") or {}, selection_lines(record.get("selection"))
    if not history:
        return [*chosen, "Training curves: none; this model is fitted in one step and records no loss by round."]
    return [*chosen, f"Training curves of {len(history['train_loss'])} epochs are kept in model.json."]


def _limits(record: Mapping[str, Any]) -> list[str]:
    data = record["data"]
    said = [
        f"Fitted on {data['frame']} bars of {len(data['instruments'])} {record['class']} instruments up to "
        f"{record['usable_from'][:10]}; it must not forecast an earlier day, and says nothing of other frames or "
        "classes.",
        f"Its test part was scored once. Trials made on overlapping data so far: {record['trials']}; picking the best "
        "of several models uses that part up.",
        "Known failures: regimes unlike those trained on, listings shorter than its features, halts and gaps.",
    ]
    if record.get("history"):
        said.append("One seed says little of a network: train at least three before you compare it (TRAIN-29).")
    if data["universe_basis"] != "point_in_time":
        said.append("Names chosen afterwards or nobody knows how: it has never seen those that failed.")
    if record["refit"]:
        said.append(
            "The scores are those of the same settings fitted without the test part; the registered weights were "
            "fitted once more on all bars, so nothing has scored them yet."
        )
    if record["absent"]:
        said.append(f"Features that these bars could not give: {', '.join(sorted(record['absent']))}.")
    if record["sector"]:
        outside = (
            f"names outside are forecast by {record['base']} as it was" if "sectors" in record else "worse outside it"
        )
        said.append(f"Fine-tuned for {record['sector'].replace(',', ', ')} from {record['base']}; {outside}.")
    return said
