"""Several registered models as one forecast: value, low and high, and what each model says with its weight (FCST-14).

The quantiles of the panel are the weighted means of the models' quantiles as prices, level by level; so the value is
the weighted mean of their values. Class probabilities and the probability of a rise are weighted means too. Where one
model forecasts nothing, the panel does not either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foresail.core.canonical import hash_value
from foresail.core.errors import ConfigError
from foresail.forecasting.confidence import BUCKETS, bucket_probabilities, expected_return
from foresail.forecasting.records import CLASS_SIGNALS
from foresail.service.loading import Loaded
from foresail.service.models_loading import LoadedModel
from foresail.service.outcome import Outcome
from foresail.service.predicting_output import csv_lines, table_lines

__all__ = ["combined_rows", "panel_outcome", "panel_weights", "parse_weights"]

_Row = Mapping[str, Any]
_CLASSES = ("prob_down", "prob_neutral", "prob_up")


def parse_weights(text: str) -> tuple[float, ...]:
    """Return numbers separated by commas; empty = none.

    Raises
    ------
    ConfigError
        If one is no number.
    """
    try:
        return tuple(float(one) for one in text.split(",") if one.strip())
    except ValueError:
        raise ConfigError(f"--weights: expected numbers such as 0.6,0.4, received {text!r}") from None


def panel_weights(given: Sequence[float], names: Sequence[str]) -> tuple[float, ...]:
    """Return the weights of the models, summing to 1; equal ones where none are given.

    Raises
    ------
    ConfigError
        If there are not as many as models, one is not above 0, or a model comes twice.
    """
    if len(set(names)) != len(names):
        raise ConfigError(f"--model {','.join(names)}: a model comes twice")
    if not given:
        return tuple(1.0 / len(names) for _ in names)
    if len(given) != len(names):
        raise ConfigError(
            f"--weights: {len(given)} for {len(names)} model{'s' if len(names) > 1 else ''}",
            hint="give one for each: --model a,b --weights 0.6,0.4",
        )
    wrong = [one for one in given if not (math.isfinite(one) and one > 0.0)]
    if wrong:
        raise ConfigError(f"--weights: expected numbers above 0, received {wrong[0]:g}")
    total = math.fsum(given)
    return tuple(one / total for one in given)


def combined_rows(told: Sequence[tuple[str, Sequence[_Row]]], weights: Sequence[float]) -> list[dict[str, Any]]:
    """Return the rows of a panel, for the instruments and horizons that all its models forecast.

    Parameters
    ----------
    told : name of a model, and its rows of ``forecasting.records.RECORD_COLUMNS``
    weights : of the models, summing to 1

    Raises
    ------
    ConfigError
        If they have no horizon in common.
    """
    by_key = [{(row["instrument"], row["horizon"]): row for row in rows} for _, rows in told]
    keys = [key for key in by_key[0] if all(key in one for one in by_key)]
    if not keys:
        each = "; ".join(f"{name}: {sorted({row['horizon'] for row in rows})}" for name, rows in told)
        raise ConfigError(f"the models have no horizon in common ({each})", hint="choose models of the same horizons")
    names = [name for name, _ in told]
    return [_combined(names, [one[key] for one in by_key], weights) for key in keys]


def _combined(names: Sequence[str], rows: Sequence[_Row], weights: Sequence[float]) -> dict[str, Any]:
    version = " + ".join(f"{weight:.4g} {row['model_version']}" for weight, row in zip(weights, rows, strict=True))
    own = {"model_version": version, "features_hash": hash_value([row["features_hash"] for row in rows])}
    nothing = next((row for row in rows if row["stale"]), None)
    if nothing is not None:
        return {**nothing, **own}
    w = np.array(weights)
    levels = [*rows[0]["quantiles"]]
    curve = np.log(w @ np.exp(np.array([[row["quantiles"][level] for level in levels] for row in rows])))
    numbers = tuple(map(float, levels))
    mean = float(expected_return(curve[None, :], numbers)[0])
    up = float(
        w @ [row["confidence_score"] if row["predicted_return"] >= 0 else 1 - row["confidence_score"] for row in rows]
    )
    shares = [float(w @ [row[name] for row in rows]) for name in _CLASSES]
    buckets = map(float, bucket_probabilities(curve[None, :], numbers)[0])
    prices = {
        key: float(w @ [row[key] for row in rows])
        for key in ("predicted_price", "price_low", "price_high", "predicted_high", "predicted_low")
    }
    return {
        **rows[0],
        **own,
        **prices,
        "predicted_return": mean,
        "confidence_score": max(up if mean >= 0 else 1.0 - up, 0.5),
        "signal": CLASS_SIGNALS[int(np.argmax(shares))],
        **dict(zip(_CLASSES, shares, strict=True)),
        **dict(zip(BUCKETS, buckets, strict=True)),
        "quantiles": dict(zip(levels, curve.tolist(), strict=True)),
        "breakdown": [_part(*one) for one in zip(names, rows, weights, strict=True)],
    }


def _part(name: str, row: _Row, weight: float) -> dict[str, Any]:
    """Return what one model says: its vote and weight (XPL-03)."""
    return {
        "model": name,
        "weight": weight,
        "price": row["predicted_price"],
        "low": row["price_low"],
        "high": row["price_high"],
        "signal": row["signal"],
        "confidence_score": row["confidence_score"],
    }


def panel_outcome(
    models: Sequence[LoadedModel],
    told: Sequence[Sequence[_Row]],
    weights: Sequence[float],
    loaded: Loaded,
    *,
    as_csv: bool,
) -> Outcome:
    """Return the outcome of ``foresail predict`` with several models.

    Raises
    ------
    ConfigError
        If they have no horizon in common.
    """
    names = [one.entry.name for one in models]
    rows = combined_rows(list(zip(names, told, strict=True)), weights)
    stale = sum(1 for one in rows if one["stale"])
    notes = [*loaded.notes, *(note for one in models for note in one.notes_on(loaded))]
    left = sorted({row["horizon"] for part in told for row in part} - {row["horizon"] for row in rows})
    if left:
        notes.append(f"horizons that not all models forecast are left out: {', '.join(map(str, left))} bars")
    if stale:
        notes.append(f"{stale} of {len(rows)} rows forecast nothing; a past day is asked for with --at YYYY-MM-DD")
    document = {
        "model": ",".join(names),
        "stage": "panel",
        "models": [
            {"model": one.entry.name, "stage": one.entry.stage, "model_version": one.version, "weight": weight}
            for one, weight in zip(models, weights, strict=True)
        ],
        "data": loaded.inputs,
        "forecasts": rows,
        "stale": stale,
        "notes": notes,
    }
    lines = csv_lines(rows) if as_csv else table_lines(",".join(names), "panel", rows, notes)
    return Outcome(document, lines)
