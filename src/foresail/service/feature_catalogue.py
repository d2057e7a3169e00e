"""The catalogue told: a list of features, and everything there is to know of one.

What is told of a feature is derived from its formula: what it reads, when it has its first value, what it remembers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.clock import format_ns
from foresail.core.errors import UnknownNameError
from foresail.domain.calendars import is_daily
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE, expand, find
from foresail.features.declared.presets import levels_of
from foresail.features.declared.sets import SETS
from foresail.features.declared.spec import FeatureSpec
from foresail.features.frame_syntax import split_frame
from foresail.features.plan import declared_memory
from foresail.features.readable import formula_lines
from foresail.protocols import Progress
from foresail.service.feature_names import chosen_names, instrument_row
from foresail.service.features import FeatureRequest, compute_table
from foresail.service.loading import EMBEDDED
from foresail.service.outcome import Outcome

__all__ = ["explain_feature", "feature_facts", "list_features"]

_LAST_OF = 3  # instruments whose last value is shown


def list_features(*, group: str | None = None, asset_class: str | None = None, of_set: str | None = None) -> Outcome:
    """Return the features, all or those of a group, class or set: ``foresail features list``.

    Raises
    ------
    UnknownNameError
        If there is no such group, class or set.
    """
    specs = list(CATALOGUE.values()) if of_set is None else _members(of_set)
    groups = list(dict.fromkeys(spec.group for spec in CATALOGUE.values()))
    classes = [one.value for one in AssetClass]
    if group is not None and group not in groups:
        raise UnknownNameError("group of features", group, groups)
    if asset_class is not None and asset_class not in classes:
        raise UnknownNameError("asset class", asset_class, classes)
    specs = [s for s in specs if group is None or s.group == group]
    specs = [s for s in specs if asset_class is None or AssetClass(asset_class) in s.asset_classes]
    lines: list[str] = []
    for one in dict.fromkeys(s.group for s in specs):
        lines += ["", one]
        lines += [f"  {s.name:<30} {s.warm_up:>5}  {s.description}" for s in specs if s.group == one]
    head = f"{len(specs)} features, each with the bars until its first value; more: foresail features explain NAME"
    lines = [head, *lines, "", "sets: " + ", ".join(f"{name} ({len(SETS[name])})" for name in sorted(SETS))]
    document = {
        "features": [_row(s) for s in specs],
        "groups": groups,
        "sets": {name: len(SETS[name]) for name in sorted(SETS)},
    }
    return Outcome(document, lines)


def _members(name: str) -> list[FeatureSpec]:
    return list(expand(name))


def _row(spec: FeatureSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "group": spec.group,
        "type": spec.type,
        "aliases": list(spec.aliases),
        "description": spec.description,
        "inputs": list(spec.inputs),
        "warm_up": spec.warm_up,
        "scale": spec.scale,
        "classes": [one.value for one in spec.asset_classes],
        "critical": spec.critical,
        "source": spec.source,
    }


def feature_facts(spec: FeatureSpec) -> dict[str, Any]:
    """Return everything that is known of a feature without bars."""
    memory = declared_memory(spec.expression)
    return {
        **_row(spec),
        "parameters": list(spec.parameters),
        "scope": spec.scope,
        "formula": list(formula_lines(spec.expression)),
        "model_formula": list(formula_lines(spec.model_expression)),
        "memory": spec.memory,
        "ring_bars": memory.ring_bars,
        "states": memory.states,
        "counters": memory.counters,
        "normaliser": spec.normaliser,
        "display_factor": spec.display_factor,
        "known_in_advance": spec.known_in_advance,
        "delay_bars": spec.delay_bars,
        "missing": spec.missing,
        "levels": {one.value: list(found) for one in AssetClass if (found := levels_of(spec.name, one)) is not None},
        "sets": [name for name in sorted(SETS) if spec.name in {one.name for one in expand(name)}],
    }


def explain_feature(
    name: str,
    *,
    values: bool = True,
    bars: str = EMBEDDED,
    symbol: str | None = None,
    progress: Progress,
) -> Outcome:
    """Tell all of one feature, with its last values on some bars: ``foresail features explain``.

    Parameters
    ----------
    name : a feature or an alias, with ``@frame`` for its values on that frame
    values : whether to compute it
    bars : as for ``compute_features``; the embedded sample of the demo by default
    symbol : show this instrument, by id or its last part; None = the first ones that have a value

    Raises
    ------
    UnknownNameError
        If there is no such feature or instrument.
    UserError, DataError
        If there are no such bars.
    """
    column = name if name in SETS else chosen_names(name)[1][0]
    spec = find(split_frame(column)[0])
    document = feature_facts(spec)
    lines = _told(document)
    if values:
        last, why = _last_values(column, bars, symbol, progress)
        document |= {"last_values": last, "absent": why}
        lines += _value_lines(last, why, spec.display_factor, bars)
    return Outcome(document, lines)


def _told(facts: dict[str, Any]) -> list[str]:
    classes = "all classes" if len(facts["classes"]) == len(AssetClass) else ", ".join(facts["classes"])
    also = f" (also {', '.join(facts['aliases'])})" if facts["aliases"] else ""
    lines = [f"{facts['name']}{also}: {facts['description']}", ""]
    rows = [("formula", facts["formula"])]
    if facts["model_formula"] != facts["formula"]:
        rows.append(("a model sees", facts["model_formula"]))
    rows += [
        ("reads", [", ".join(facts["inputs"])]),
        ("first value", [_first(facts["warm_up"])]),
        ("remembers", [_memory(facts)]),
        ("known", [_availability(facts)]),
        ("missing", [facts["missing"]]),
        ("scale", [_SCALE[facts["scale"]]]),
        ("normaliser", [_NORMALISER[facts["normaliser"]]]),
        ("group, type", [f"{facts['group']}, {facts['type']}; {classes}" + _critical(facts)]),
        ("source", [facts["source"]]),
        ("sets", [", ".join(facts["sets"]) or "none"]),
    ]
    if facts["levels"]:
        rows.append(("levels", [_levels(facts["levels"])]))
    for title, texts in rows:
        lines.append(f"  {title:<12} {texts[0]}")
        lines += [f"  {'':<12} {text}" for text in texts[1:]]
    return lines


_SCALE = {
    "free": "free: multiplying all prices changes nothing",
    "price": "a price level, in the currency of the instrument (forward adjusted)",
    "price_change": "a difference of prices, in the currency of the instrument (forward adjusted)",
    "volume": "moves with the volume",
}
_NORMALISER = {
    "standard": "standard: scaled by the training rows of a fold only",
    "none": "none: taken as it is",
}


def _first(warm_up: int) -> str:
    return "at once" if warm_up <= 1 else f"at bar {warm_up} of an instrument at the earliest"


def _memory(facts: dict[str, Any]) -> str:
    if not facts["ring_bars"] and not facts["states"]:
        return "nothing"
    kinds = {"finite": "the last bars only", "recursive": "fades with time", "cumulative": "adds up from the first bar"}
    kept = f"{facts['ring_bars']} past values and {facts['states']} numbers of each instrument"
    return f"{kept} ({facts['memory']}: {kinds[facts['memory']]})"


def _levels(levels: dict[str, list[float]]) -> str:
    """Return oversold and overbought as screens show them, by class where they differ."""
    texts = {one: f"{100 * low:g}/{100 * high:g}" for one, (low, high) in levels.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ", ".join(f"{one} {text}" for one, text in texts.items())


def _availability(facts: dict[str, Any]) -> str:
    if facts["known_in_advance"]:
        return "in advance, from the calendar"
    return "when the bar is" + (f", {facts['delay_bars']} bars later" if facts["delay_bars"] else "")


def _critical(facts: dict[str, Any]) -> str:
    return "; critical: a missing one lowers a signal" if facts["critical"] else ""


def _last_values(
    name: str, bars: str, symbol: str | None, progress: Progress
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the last value of one or some instruments of the bars, or the reason why there is none."""
    table = compute_table(FeatureRequest(names=name, bars=bars), progress=progress)
    ids = table.panel.instruments
    rows = range(len(ids)) if symbol is None else [instrument_row(symbol, ids)]
    if table.absent:
        return [], next(iter(table.absent.values()))
    column = table.panel.values[:, :, 0]
    found: list[dict[str, Any]] = []
    for i in rows:
        known = np.flatnonzero(np.isfinite(column[i]))
        if len(known) and len(found) < _LAST_OF:
            end = format_ns(int(table.panel.end[known[-1]]))
            at = end[:10] if is_daily(table.panel.frame) else end
            found.append({"instrument": str(ids[i]), "end": at, "value": float(column[i, known[-1]])})
    return found, None if found else "no bar has a value"


def _value_lines(last: list[dict[str, Any]], why: str | None, factor: float, bars: str) -> list[str]:
    where = "the sample of the demo" if bars == EMBEDDED else bars
    if why is not None:
        return ["", f"no value on {where}: {why}"]
    shown = f", times {factor:g} on screens" if factor != 1.0 else ""
    lines = ["", f"last values on {where}{shown}:"]
    return [*lines, *(f"  {one['instrument']:<20} {one['end']}  {one['value']:.6g}" for one in last)]
