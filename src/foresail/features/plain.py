"""Features of one frame, that of the rows, all at once; ``batch.compute`` is the door that takes all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from foresail.core.errors import UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.catalogue import expand, refuse_frames, resolve
from foresail.features.context import FeatureContext
from foresail.features.expressions import Expression
from foresail.features.plan import Plan, make_plan
from foresail.features.runner import field_positions, run
from foresail.features.stablecoins import silent_values

__all__ = ["FORMS", "compute_plain"]

FORMS = ("display", "model")


class _ById:
    """An expression that equals itself alone: hashing the graph of a hundred features costs as much as computing them.

    Expressions of the catalogue live as long as the program, and a cached one is held here, so no id is given twice.
    """

    __slots__ = ("expression",)

    def __init__(self, expression: Expression) -> None:
        self.expression = expression

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.expression is self.expression

    def __hash__(self) -> int:
        return id(self.expression)


@lru_cache(maxsize=64)
def _plan_of(expressions: tuple[_ById, ...]) -> Plan:
    return make_plan([one.expression for one in expressions])


def compute_plain(
    panel: Panel, names: Sequence[str] | str | None, context: FeatureContext, *, threads: int = 2, form: str = "display"
) -> Panel:
    """Return the features of a panel of bars, none of another frame.

    Parameters
    ----------
    panel : (N, T, F) bars as the store reads them
    names : names, aliases or a set; None = every feature of the default set that the panel can give
    context : sectors, reference series, calendar of the same panel
    threads : the result is the same for any number
    form : "display" = as defined, levels in the units of the instrument; "model" = what a model sees, free of units
        (NORM-05). The two differ only where ``FeatureSpec.scale`` is not "free"

    Returns
    -------
    (N, T, features) panel of the same axes; NaN until warm, where an input is absent and where there is no bar

    Raises
    ------
    UnknownNameError
        If a name is not in the catalogue, or the form is neither of the two.
    CapabilityError
        If a feature is of another frame, or needs a reference series that the context lacks.

    Notes
    -----
    Timing: the value at t uses bars up to t and context that was available with them; it is known at
    ``available_at[t]``.
    """
    if form not in FORMS:
        raise UnknownNameError("form of features", form, FORMS)
    context = context.complete(panel)
    specs = resolve(None, panel, context.reference_names, context.given_names)[0] if names is None else expand(names)
    refuse_frames(specs, "features of one frame")
    plan = _plan_of(tuple(_ById(spec.model_expression if form == "model" else spec.expression) for spec in specs))
    context = context.complete(panel, [s.name for s in plan.series if s.kind == "calendar"])
    values = np.ascontiguousarray(panel.values, dtype=np.float64)
    present = np.ascontiguousarray(panel.present, dtype=np.bool_)
    silent = silent_values(panel.instruments, [spec.name for spec in specs], plan.columns)
    bars = (field_positions(panel.fields), values, present)
    out = run(plan, bars, context, threads=threads, silent=silent)
    if plan.columns > plan.wanted:
        out = np.ascontiguousarray(out[:, :, : plan.wanted])
    return replace(panel, values=out, present=present.copy(), fields=tuple(spec.name for spec in specs))
