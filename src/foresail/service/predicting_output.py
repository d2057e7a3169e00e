"""Forecast rows for eyes and for files: a table on the terminal, CSV with one column for each quantile."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from foresail.forecasting.records import RECORD_COLUMNS

__all__ = ["csv_lines", "shown_price", "table_lines"]

_LOW, _HIGH = "0.1", "0.9"
_NESTED = ("quantiles", "inside", "breakdown", "last_good")
_ROUNDED = 0.0025  # of a price, what a panel may round away
_NEWEST = 5  # bars of the attention that the screen tells


def csv_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a header and a line for each row; what is absent is empty. What is nested is for JSON only."""
    levels = list(dict.fromkeys(level for row in rows for level in (row["quantiles"] or {})))
    plain = [column for column in RECORD_COLUMNS if column not in _NESTED]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*plain, *(f"q{level}" for level in levels)])
    for row in rows:
        curve = row["quantiles"] or {}
        writer.writerow([*(_cell(row[column]) for column in plain), *(_cell(curve.get(level)) for level in levels)])
    return out.getvalue().splitlines()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(
            f"{one['feature']} {one['adds']:+.6f}"
            if "feature" in one
            else f"{one['instrument']} {one['day']} {one['followed']:+.6f}"
            for one in value
        )
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 NaN alone differs from itself
        return ""
    return repr(value) if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else value


def table_lines(model: str, stage: str, rows: Sequence[dict[str, Any]], notes: Sequence[str]) -> list[str]:
    """Return the screen of the command: a line for each row, the stale ones with their reason."""
    head = (
        f"{'ticker':<10} {'ahead':>7} {'price':>12} {'P10':>8} {'P50':>8} {'P90':>8} {'mean':>8} {'signal':>6} "
        f"{'sure':>5}  down5 down2  flat   up2   up5"
    )
    lines = [f"{model} ({stage}), as of {rows[0]['as_of'] if rows else 'never'}", head]
    for row in rows:
        start = f"{row['ticker'][:10]:<10} {row['horizon_name']:>7} {row['current_price']:>12.6g}"
        if row["stale"]:
            lines.append(f"{start}   stale: {row['reason']}")
            lines += _last_good(row["last_good"])
            continue
        curve = row["quantiles"]
        moves = " ".join(f"{curve[level]:>+8.2%}" if level in curve else " " * 8 for level in (_LOW, "0.5", _HIGH))
        buckets = " ".join(f"{value:>5.0%}" for key, value in row.items() if key in _BUCKETS)
        sure = f"{row['signal']:>6} {row['confidence_score']:>5.0%}"
        lines.append(f"{start} {moves} {row['predicted_return']:>+8.2%} {sure}  {buckets}")
        if row["reasons"]:
            lines.append("  " + ", ".join(f"{one['feature']} {one['adds']:+.3%}" for one in row["reasons"]))
        lines += [*_breakdown(row), *_looked_into(row)]
    return [*lines, *(f"note: {one}" for one in notes)]


def shown_price(value: float) -> str:
    """Return a price as a panel shows it (FCST-14): 45,170 as 45,200, 125.674 as 125.7.

    It is rounded to the largest power of ten that is at most a quarter of a percent of it.
    """
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    places = -math.floor(math.log10(_ROUNDED * abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def _last_good(told: dict[str, Any] | None) -> list[str]:
    if told is None:
        return []
    value, low, high = (shown_price(told[key]) for key in ("predicted_price", "price_low", "price_high"))
    return [f"  last good, as of {told['as_of']}: {value} ({low} to {high})"]


def _breakdown(row: dict[str, Any]) -> list[str]:
    """Return value, low and high of a panel, and what each model says with its weight."""
    if not row["breakdown"]:
        return []
    value, low, high = (shown_price(row[key]) for key in ("predicted_price", "price_low", "price_high"))
    parts = (
        f"{one['model']} {shown_price(one['price'])} ({one['weight']:.0%}, {one['signal']})" for one in row["breakdown"]
    )
    return [f"  {value} ({low} to {high}) = {', '.join(parts)}"]


def _looked_into(row: dict[str, Any]) -> list[str]:
    """Return a line of similar days and one of weights, where a network told them."""
    lines = []
    if row["similar"]:
        days = (
            f"{one['instrument'].rpartition('.')[2]} {one['day']} then {one['followed']:+.2%}" for one in row["similar"]
        )
        lines.append("  similar days: " + ", ".join(days))
    if row["inside"]:
        groups = ", ".join(f"{one['name']} {one['share']:.0%}" for one in row["inside"]["groups"][:5])
        past = row["inside"]["attention"] or []
        newest = f"; {sum(past[-_NEWEST:]):.0%} of the attention on the last {_NEWEST} bars" if past else ""
        lines.append(f"  selected: {groups}{newest}")
    return lines


_BUCKETS = frozenset(name for name in RECORD_COLUMNS if name.startswith("prob_") and "percent" in name) | {"prob_flat"}
