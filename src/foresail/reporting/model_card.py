"""The model card as one HTML file that opens offline, in the look of the reports (EVAL-07)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from foresail import __version__
from foresail.core.clock import format_ns
from foresail.reporting.axes import Scale, linear_ticks
from foresail.reporting.blocks import Block, Chart, Notes, Table, Tiles
from foresail.reporting.charts import both_widths
from foresail.reporting.figures import bars, decimal, percent, scientific
from foresail.reporting.html import page_environment, page_style
from foresail.reporting.model_card_classes import class_tables
from foresail.reporting.svg import BOTTOM, LEFT, RIGHT, TOP, WIDE, dot, drawing, label, line, padded, segment, y_axis

__all__ = ["render_model_card"]

_NAN = float("nan")
_SHOWN = 20  # features in the table of importances


def render_model_card(card: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    card : ``card.json``, with the keys of ``domain.model_card``
    record : ``model.json``
    """
    environment = page_environment()
    data = card["data"]
    subtitle = (
        f"{card['model']['version']} · {len(data['instruments'])} {record['class']} instruments · "
        f"{data['frame']} bars · {format_ns(data['from'])[:10]} to {format_ns(data['to'])[:10]} · names: "
        f"{data['universe_basis'].replace('_', ' ')} · prices: {data['price_basis'].replace('_', ' ')}"
    )
    return environment.get_template("model_card.html.j2").render(
        title=card["model"]["name"],
        subtitle=subtitle,
        version=__version__,
        style=page_style(environment),
        sections=(
            ("use", "Use and limits", (Notes((card["intended_use"], *card["limits"])), _checks(card))),
            ("test", "Test part, scored once", _scores(card, record)),
            ("training", "Training", _training(card, record)),
            ("inputs", "Inputs", _inputs(card)),
        ),
    )


def _number(value: Any) -> float:
    return _NAN if value is None else float(value)


def _checks(card: Mapping[str, Any]) -> Block:
    rows = tuple(("passed" if one["passed"] else "failed", one["text"]) for one in card["acceptance"]["checks"])
    return Table("Checks", ("result", "what was compared"), rows, names=2)


def _scores(card: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[Block, ...]:
    close = [one for one in card["metrics"] if one["target"] == "close"]
    tiles = tuple(
        (
            percent(_number(one["coverage"]["value"])),
            "within P10 to P90",
            f"{bars(one['horizon'])} ahead, 80 % promised",
        )
        for one in close
    )
    columns = (
        "target",
        "ahead",
        "forecasts",
        "pinball (log return)",
        "of no change",
        "MAE (log return)",
        "of no change",
        "right sign",
        "constant",
    )
    rows = tuple(
        (
            one["target"],
            bars(one["horizon"]),
            f"{one['forecasts']:,}",
            *(scientific(_number(one[k])) for k in ("pinball", "no_change_pinball", "mae", "no_change_mae")),
            percent(_number(one["hit_rate"])),
            percent(_number(one["base_rate"])),
        )
        for one in card["metrics"]
    )
    trials = card["trials"]
    said = (
        f"{trials} trial{'s' if trials > 1 else ''} made on overlapping data so far, this one included.",
        f"Forecasts were written before outcomes were joined: SHA-256 {record['metrics']['predictions_sha256'][:16]}.",
    )
    return (
        Tiles(tiles),
        Table("", columns, rows, names=2),
        *_ranges(card),
        *_errors(card),
        *_variances(card),
        *_paired(card),
        *_honesty(card),
        *class_tables(record),
        _balance(record),
        Notes(said),
    )


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"  # both are a dash where there is no interval


def _ranges(card: Mapping[str, Any]) -> list[Block]:
    """Return coverage and width of each target, and the rank correlation (EVAL-03)."""
    rows = []
    for one in card["metrics"]:
        if "width" not in one:  # a card of an older version
            continue
        held, rank = one["coverage"], one["rank_ic"]
        rows.append((
            one["target"],
            bars(one["horizon"]),
            percent(_number(held["value"])),
            _between(*(percent(_number(held[end])) for end in ("low", "high"))),
            scientific(_number(one["width"])),
            decimal(_number(rank["value"]), 3, signed=True),
            _between(*(decimal(_number(rank[end]), 3, signed=True) for end in ("low", "high"))),
        ))  # fmt: skip
    columns = ("target", "ahead", "within P10 to P90", "95 %", "width (log return)", "rank correlation", "95 %")
    return [Table("Ranges, 80 % promised, and order of the names", columns, tuple(rows), names=2)] if rows else []


def _errors(card: Mapping[str, Any]) -> list[Block]:
    """Return squared and price errors beside no change, and breaches of the value at risk (EVAL-02, EVAL-05)."""
    rows = []
    for one in card["metrics"]:
        if "rmse" not in one:  # a card of an older version
            continue
        var = one["value_at_risk"]
        below = "" if var is None else percent(_number(var["share"]))
        wrong = "" if var is None or not var["tested"] else f"{var['christoffersen']} of {var['tested']}"
        figures = (percent(_number(one[k]), 3) for k in ("rmse", "no_change_rmse", "mape", "no_change_mape"))
        rows.append((one["target"], bars(one["horizon"]), *figures, below, wrong))
    columns = (
        "target",
        "ahead",
        "RMSE",
        "of no change",
        "MAPE",
        "of no change",
        "below 5 % VaR",
        "names where not 5 %",
    )
    return [Table("Errors, and outcomes below the value at risk", columns, tuple(rows), names=2)] if rows else []


def _variances(card: Mapping[str, Any]) -> list[Block]:
    """Return the loss of the variances of a volatility model against squared returns (EVAL-05)."""
    rows = tuple(
        (
            bars(one["horizon"]),
            f"{one['variance']['rows']:,}",
            *(decimal(_number(one["variance"][k]), 4) for k in ("qlike", "no_change_qlike")),
            decimal(_number(one["variance"]["realised_over_forecast"]), 3),
        )
        for one in card["metrics"]
        if one.get("variance")
    )
    columns = ("ahead", "forecasts", "QLIKE", "of no change", "realised over forecast")
    note = (
        "QLIKE of the variance of the curve against the squared return of the horizon, lower is better. A squared "
        "return is a noisy measure: compare the two columns, not the number with those of other tables. Tails of a "
        "curve are exponential, so of normal returns its variance is 9 % too large."
    )
    return [Table("Variance", columns, rows), Notes((note,))] if rows else []


def _paired(card: Mapping[str, Any]) -> list[Block]:
    """Return the tests against each baseline on the same rows (EVAL-08)."""
    rows = tuple((bars(one["horizon"]), one["other"], one["word"], one["text"]) for one in card.get("paired", ()))
    title = "Beside baselines on the same rows: mean pinball loss, clustered by issue time"
    note = (
        "Better and worse are said only where three tests agree: Diebold-Mariano, the interval over issue times that "
        "is shown, and a block bootstrap. So an interval without 0 can still be a cannot tell."
    )
    return [Table(title, ("ahead", "baseline", "", "what was seen"), rows, names=4), Notes((note,))] if rows else []


def _honesty(card: Mapping[str, Any]) -> list[Block]:
    """Return whether probabilities mean what they say: the error before and after calibration, and the curve after."""
    rows, curves = [], []
    for one in card.get("calibration", ()):
        for key, name in (("classes", "most probable class"), ("confidence", "confidence")):
            told = one.get(key)
            if told is None:
                continue
            before, after = (_number(told[k]) for k in ("error_before", "error"))
            rows.append((bars(one["horizon"]), name, told["method"], percent(before), percent(after)))
            curves += [
                (
                    bars(one["horizon"]),
                    name,
                    percent(_number(bin_["said"])),
                    percent(_number(bin_["seen"]["value"])),
                    f"{percent(_number(bin_['seen']['low']))} to {percent(_number(bin_['seen']['high']))}",
                    f"{bin_['rows']:,}",
                )
                for bin_ in told["curve"]
            ]
    if not rows:
        return []
    title = "Calibration error of probabilities on the test part; scaled on the calibration rows"
    return [
        Table(title, ("ahead", "of", "scaling", "error before", "error after"), tuple(rows), names=3),
        Table(
            "Reliability curves",
            ("ahead", "of", "said", "came", "95 %", "forecasts"),
            tuple(curves),
            names=2,
            folded=True,
        ),
    ]


def _balance(record: Mapping[str, Any]) -> Block:
    rows = tuple(
        (
            bars(one["horizon"]),
            one["part"],
            *([f"{count:,}" for count in one["counts"]] or ["", "", ""]),
            decimal(_number(one["imbalance"]), 2),
            one["warning"],
        )
        for one in record["metrics"]["balance"]
    )
    columns = ("ahead", "part", "down", "neutral", "up", "largest over smallest", "")
    return Table("How often each class came", columns, rows, names=2, folded=True)


def _training(card: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[Block, ...]:
    parts = tuple((one["part"], one["from"][:10], one["to"][:10], f"{one['rows']:,}") for one in card["splits"])
    settings = tuple((str(key), str(value)) for key, value in card["model"]["settings"].items())
    history = record.get("history") or {}
    charts: tuple[Block, ...] = (
        (
            Chart(
                "Loss by epoch",
                both_widths(lambda width: _curves(history, width)),
                (("s-net", "train", ""), ("s-one_over_n", "validation", "")),
            ),
        )
        if len(history.get("train_loss", ())) > 1
        else ()
    )
    return (
        Table("Parts, oldest first; rows whose label reaches into the next part are left out", _PARTS, parts),
        *charts,
        Notes((*card["training"], *record["notes"], f"Seed {card['seed']}; code {record['code'][:16]}.")),
        Table("Settings", ("setting", "value"), settings, names=2, folded=True),
    )


_PARTS = ("part", "from", "to", "rows")


def _curves(history: Mapping[str, Sequence[float | None]], width: int) -> Markup:
    """Return both losses over epochs."""
    height = 220 if width == WIDE else 180
    curves = [np.array([_number(v) for v in history.get(k, ())]) for k in ("train_loss", "validation_loss")]
    finite = np.concatenate([c[np.isfinite(c)] for c in curves])
    low, high = padded(float(finite.min()), float(finite.max()))
    y = Scale(low, high, height - BOTTOM, TOP + 10)
    count = max(len(c) for c in curves)
    x = Scale(1.0, float(count), LEFT, width - RIGHT)
    parts = [y_axis(y, [(t, f"{t:g}") for t in linear_ticks(low, high, 5)], width)]
    parts.append(segment(LEFT, height - BOTTOM, width - RIGHT, height - BOTTOM, "axis"))
    parts += [
        label(x(float(e)), height - 8, str(e), "tick mid") for e in sorted({1, (count + 1) // 2, count}) if e >= 1
    ]
    for curve, style in zip(curves, ("line s-net", "line s-one_over_n"), strict=True):
        parts.append(line(x, y, np.arange(1, len(curve) + 1, dtype=np.int64), curve, style))
    best = int(np.nanargmin(curves[1])) if len(curves[1]) and np.isfinite(curves[1]).any() else None
    if best is not None:
        value = float(curves[1][best])
        parts.append(dot(x(best + 1.0), y(value), "s-one_over_n", f"best epoch {best + 1}: {decimal(value, 4)}"))
    return drawing(width, height, "Training and validation loss by epoch", parts)


def _inputs(card: Mapping[str, Any]) -> tuple[Block, ...]:
    names, digest = card["features"]["names"], card["features"]["sha256"]
    ranked = sorted(card["importance"].items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    rows = tuple((name, percent(_number(share))) for name, share in ranked)
    listed = tuple((name,) for name in names)
    tables: tuple[Block, ...] = (
        (Table("Shares of what the model rests on", ("feature", "share"), rows),) if rows else ()
    )
    return (
        Notes((f"{len(names)} features, bound to their formulas by {digest[:16]}.",)),
        *tables,
        Table("All features, in the order of the matrix", ("feature",), listed, folded=True),
    )
