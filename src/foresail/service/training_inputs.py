"""Which features a training reads: groups left out, a selection on the training part, and how stable that is.

1. Groups that are switched off go before anything is computed (SEL-11).
2. ``multi`` is reduced to 50 features, other sets when asked for (SEL-10). What counts is the selection on the whole
   training part; the same on its first 40, 60 and 80 % tells which features were kept by chance (SEL-07).
3. Of what is left, a feature that too many training rows lack is not given to the model, with a note (FEAT-38).

Validation, calibration and test rows take no part in any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from foresail.core.errors import ConfigError, DataError
from foresail.core.seeds import derive_seed
from foresail.engine.folds import rows_between
from foresail.engine.selecting import choose_features, with_fields
from foresail.engine.training_sets import training_set
from foresail.features.declared.sets import FEATURE_SETS, feature_set
from foresail.features.missing import dropped_notes
from foresail.features.selection import plan_selection, without_groups
from foresail.features.transforms.fold import Fold
from foresail.features.transforms.gaps import DropSparse
from foresail.service.feature_names import named_sets
from foresail.service.training_data import Ready
from foresail.service.training_request import TrainRequest

__all__ = ["asked_names", "chosen_inputs", "selection_lines", "set_ids"]

_PARTS = (0.4, 0.6, 0.8, 1.0)  # of the training part, each fitted by itself
_KEEP = 50
_MOST_MISSING = 0.2
_SHOWN = 10


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in (text or "").split(",") if one.strip())


def asked_names(request: TrainRequest, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features of a request without the groups that are switched off.

    Raises
    ------
    ConfigError
        If none is left.
    UnknownNameError
        If there is no such group.
    """
    switched_off = _words(request.without)
    left = without_groups(names, switched_off) if switched_off else names
    if not left:
        raise ConfigError(f"--without {request.without} leaves no feature", hint="leave fewer groups out")
    return left


def set_ids(request: TrainRequest, frame: str) -> list[str]:
    """Return name and version of each set that a request names (FSET-11)."""
    return [feature_set(one).id for one in named_sets(_words(request.features), frame) if one in FEATURE_SETS]


def chosen_inputs(ready: Ready, request: TrainRequest, seed: int) -> tuple[Ready, dict[str, Any]]:
    """Return the training with the features that it reads, and what is kept of the choice.

    Raises
    ------
    DataError
        If the training rows know too little of every feature.
    UnknownNameError
        If there is no such method.
    """
    fields = ready.inputs.features.fields
    keep = _KEEP if request.keep is None else request.keep
    asked = named_sets(_words(request.features), ready.inputs.features.frame)
    plan = plan_selection(asked, fields, request.select or "", k=keep, seed=derive_seed(seed, "selection"))
    told: dict[str, Any] = {}
    if plan is not None:
        longest, fold = max(ready.inputs.targets.horizons), ready.fold
        times = np.unique(ready.training.train_rows[:, 1])
        ends = [int(times[int(len(times) * share) - 1]) + 1 for share in _PARTS[:-1]]
        usable = ready.inputs.usable
        parts = [rows_between(usable, fold.train_from, end, longest) for end in ends]
        choice = choose_features(ready.inputs, [*parts, ready.training.train_rows], plan)
        kept, stability = choice.fields[-1], choice.stability
        if kept is not None and stability is not None:
            told = {"method": plan.settings.method, "k": keep, "from": len(fields), **stability.content()}
            told["chosen"] = kept
            ready = _with(ready, kept)
    ready, notes = _without_sparse(ready)
    return ready, {**told, "notes": notes} if told or notes else {}


def _without_sparse(ready: Ready) -> tuple[Ready, tuple[str, ...]]:
    """Return the training without features that too few of its rows know, and a sentence about each."""
    panel, rows = ready.inputs.features, ready.training.train_rows
    if not len(rows):
        return ready, ()
    sparse = DropSparse(share=_MOST_MISSING).fit(panel, rows, Fold.of_rows(rows))
    if not sparse.outputs:
        raise DataError(
            f"each of {len(panel.fields)} features is missing in more than {_MOST_MISSING:.0%} of the training rows",
            hint="give a longer history, or name features with a shorter warm-up",
        )
    return (ready, ()) if sparse.outputs == panel.fields else (_with(ready, sparse.outputs), dropped_notes(sparse))


def _with(ready: Ready, names: tuple[str, ...]) -> Ready:
    inputs = replace(ready.inputs, features=with_fields(ready.inputs.features, names))
    return replace(ready, inputs=inputs, training=training_set(inputs, ready.fold, row_weights=ready.row_weights))


def selection_lines(told: Mapping[str, Any] | None) -> list[str]:
    """Return what a screen and a card say of the choice; nothing where there was none."""
    if not told:
        return []
    lines = [str(note) for note in told.get("notes", ())]
    if "share" in told:
        share = told["share"]
        chosen = sorted(told["chosen"], key=lambda name: (-share.get(name, 1.0), name))
        always = [name for name in chosen if share.get(name, 1.0) == 1.0]
        lines.insert(
            0,
            f"Selection {told['method']!r} kept {len(chosen)} of {told['from']} features on the training part; of "
            f"{told['folds']} growing parts of it two agree on {told['agreement']:.0%}; always kept, {len(always)}: "
            f"{', '.join(always[:_SHOWN])}{' ...' if len(always) > _SHOWN else '.'}",
        )
    return lines
