"""``foresail features health``: are the inputs of a registered model fresh, whole and like those it was trained on.

Training keeps the quantiles of every feature on its rows (FEAT-18); the newest bars are compared with them. A feature
that has moved matters by what the model rests on it: one that carries nothing may move as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foresail.core.arrays import FloatArray
from foresail.core.clock import Clock, SystemClock, to_ns
from foresail.core.errors import ConfigError
from foresail.domain.calendars import frame_ns
from foresail.domain.panel import Panel
from foresail.engine.settings import MarketData
from foresail.features.drift import MOVED, GroupHealth, feature_health
from foresail.forecasting.artefacts import array_of
from foresail.protocols import Progress
from foresail.service.loading import load_reading, parse_until
from foresail.service.models_folder import read_document
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ModelRegistry
from foresail.service.outcome import Outcome
from foresail.service.reading import Reading
from foresail.service.training_data import model_features
from foresail.service.workspace import find_workspace

__all__ = ["COMPARED_BARS", "HealthRequest", "features_health", "health_document", "health_line", "health_of"]

COMPARED_BARS = 250  # newest bars that are compared
_MISSING = 0.2  # share without a value above which a feature is no input any more (FEAT-38)
_CARRIED = 0.2  # share of the model that may rest on features that have moved
_BARS_OLD = 10  # spans of the frame; a weekend and holidays are among them
_EXIT = 4


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """What is to be looked at.

    Attributes
    ----------
    model : name, or class_frame_model for its champion; empty = the champion of the class and frame of the bars
    bars : as for ``foresail predict``
    at : "2015-12-31": stand at the end of that day, UTC; None = now
    last : newest bars that are compared with the training rows
    reading : how the bars are read
    """

    model: str = ""
    bars: str = ""
    at: str | None = None
    last: int = COMPARED_BARS
    reading: Reading = field(default_factory=Reading)


def features_health(request: HealthRequest, *, progress: Progress, clock: Clock | None = None) -> Outcome:
    """Tell how the features of a model are on these bars; the exit code is 4 where they are not well.

    Raises
    ------
    UserError
        If the request names something unknown.
    ModelError
        If the model is not what was registered, or does not fit these bars.
    DataError
        If the bars cannot be used.
    """
    if not request.bars:
        raise ConfigError("expected bars to look at", hint="--bars FILE, or the name of an imported set")
    watch = SystemClock() if clock is None else clock
    workspace = find_workspace()
    until = parse_until(request.at)
    progress("reading bars", 0, 1)
    loaded = load_reading(request.bars, request.reading, workspace=workspace, until_ns=until, clock=watch)
    progress("reading bars", 1, 1)
    bar_set = loaded.data.bar_set
    found = ModelRegistry(workspace, clock=watch).find(request.model or f"{bar_set.asset_class.value}_{bar_set.frame}")
    model = load_model(found)
    model.check_market(bar_set)
    model.check_legs(loaded.data)
    now = to_ns(watch.now()) if until is None else until
    document = {"model": found.name, "data": loaded.inputs, **health_document(model, loaded.data, now, request.last)}
    return Outcome(document, _lines(document), 0 if document["well"] else _EXIT)


def health_document(model: LoadedModel, data: MarketData, now: int, last: int = COMPARED_BARS) -> dict[str, Any]:
    """Return the state of each group of a model's features, and what is wrong, as plain data.

    Parameters
    ----------
    now : ns UTC; bars that were not available then are left out
    last : newest bars that are compared
    """
    panel = model_features(data, model.spec.features)
    return health_of(model, panel.cut(max(0, panel.shape[1] - last), panel.shape[1]), now)


def health_of(model: LoadedModel, recent: Panel, now: int) -> dict[str, Any]:
    """Return the same of the newest bars of features in model form, (N, T, F)."""
    groups = feature_health(recent, at_ns=now, training=_training_rows(model))
    weight = dict(model.record["importance"]) or dict.fromkeys(model.spec.features, 1.0 / len(model.spec.features))
    moved = sorted((name for one in groups for name in one.moved), key=lambda name: (-weight.get(name, 0.0), name))
    carried = float(sum(weight.get(name, 0.0) for name in moved))
    limit = _BARS_OLD * frame_ns(recent.frame)
    wrong = [*_gaps(groups), *_ages(groups, limit)]
    if carried > _CARRIED:
        wrong.append(
            f"features that have moved since training carry {carried:.0%} of the model ({', '.join(moved[:5])}"
            f"{' ...' if len(moved) > 5 else ''}): train it again"
        )
    return {
        "well": not wrong,
        "wrong": wrong,
        "bars": recent.shape[1],
        "compared": _training_rows(model) is not None,
        "moved": moved,
        "carried_by_moved": carried,
        "groups": [one.plain() for one in groups],
    }


def health_line(told: Mapping[str, Any]) -> str:
    """Return what ``health_of`` found in a line, with the time of ``at`` where it has one."""
    when = f" as of {told['at']}" if told.get("at") else ""
    return f"features{when}: " + ("well" if told["well"] else f"NOT WELL: {'; '.join(told['wrong'])}")


def _training_rows(model: LoadedModel) -> FloatArray | None:
    """Return (levels, F) quantiles of the training rows; None for a model that kept none."""
    kept = read_document(model.entry.path / "scaler.json").get("quantiles")
    return None if kept is None else array_of(kept).reshape(-1, len(model.spec.features))


def _gaps(groups: tuple[GroupHealth, ...]) -> list[str]:
    return [
        f"{one.name} is missing in {one.missing:.0%} of the newest bars, {_MISSING:.0%} may be"
        for group in groups
        for one in group.features
        if one.missing > _MISSING
    ]


def _ages(groups: tuple[GroupHealth, ...], limit: int) -> list[str]:
    return [
        f"the oldest feature of {one.group} is {_span(one.age_ns)} old"
        for one in groups
        if one.age_ns is not None and one.age_ns > limit
    ]


def _span(nanoseconds: int | None) -> str:
    if nanoseconds is None:
        return "never"
    hours = nanoseconds / 3.6e12
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _lines(document: dict[str, Any]) -> list[str]:
    lines = [
        f"{document['model']}: features of the newest {document['bars']} bars"
        + (
            " against the training rows"
            if document["compared"]
            else "; the model kept no training rows to compare with"
        ),
        f"  {'group':<14}{'features':>9}{'age':>12}{'missing':>9}{'drift':>7}  moved (index above {MOVED})",
    ]
    for one in document["groups"]:
        drift = "-" if one["drift"] is None else f"{one['drift']:.2f}"
        named = ", ".join(one["moved"][:4]) + (" ..." if len(one["moved"]) > 4 else "")
        numbers = f"{one['features']:>9}{_span(one['age_ns']):>12}{one['missing']:>9.1%}{drift:>7}"
        lines.append(f"  {one['group']:<14}{numbers}  {named}")
    share = document["carried_by_moved"]
    lines.append(f"features that have moved carry {share:.0%} of the model, {_CARRIED:.0%} may")
    lines += [f"not well: {one}" for one in document["wrong"]] or ["well"]
    return lines
