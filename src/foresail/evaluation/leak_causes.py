"""Words for a leak: which call on a suspected statement looks ahead, on which line, told in one sentence.

The proof of a leak is the changed output; this file only reads the statement's syntax tree to say it well. Where no
known pattern fits, the statement's first line and a general sentence are given.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = ["ADJUSTED_BACKWARDS", "explain", "reads", "split_line", "statement_at", "stores"]

# fmt: off
_STATISTICS = {
    "mean", "std", "var", "min", "max", "median", "quantile", "rank", "sum", "corr", "cov", "zscore", "nanmean",
    "nanstd", "nanmax", "nanmin", "average", "percentile", "describe", "skew", "kurt", "qcut",
}
# fmt: on
_WINDOWS = {"rolling", "expanding", "ewm", "cumsum", "cumprod", "cummax", "cummin"}
_SMOOTHERS = {"savgol_filter", "filtfilt", "sosfiltfilt", "gradient", "convolve", "gaussian_filter1d", "interpolate"}
_FITS = {
    "partial_fit",
    "fit_resample",
    "SelectKBest",
    "fit",
    "fit_transform",
    "fit_predict",
    "polyfit",
    "lstsq",
    "curve_fit",
}
_SPLITS = {
    "train_test_split",
    "KFold",
    "StratifiedKFold",
    "ShuffleSplit",
    "StratifiedShuffleSplit",
    "permutation",
    "shuffle",
    "choice",
    "sample",
    "GroupKFold",
    "TimeSeriesSplit",
    "split",
}
_GENERAL = "the value at or before this time depends on later bars"
ADJUSTED_BACKWARDS = "the level of a price that is adjusted backwards depends on later dividends and splits"
_TABLES = {
    "fundamentals": "figures are used that were received or restated later; join on available_at",
    "news": "items are used that were received later (publish time, another clock or zone); join on available_at",
    "actions": "dividends or splits are used before they were declared",
    "membership": "membership of a later day is used: who will leave or join is not known yet",
    "listing": "who will be delisted is not known yet: only survivors are left",
}


def statement_at(tree: ast.AST, line: int) -> ast.stmt | None:
    """Return the innermost statement that covers a line."""
    found: ast.stmt | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            inner = found is None or (node.lineno, -(node.end_lineno or 0)) >= (found.lineno, -(found.end_lineno or 0))
            found = node if inner else found
    return found


def reads(statement: ast.AST) -> set[str]:
    """Return the names that a statement reads."""
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def stores(statement: ast.AST, name: str) -> Iterator[ast.stmt]:
    """Yield the statements inside a statement that assign to a name, an element of it, or call a method on it."""
    for node in ast.walk(statement):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            targets = [node.value.func]
        if any(name == _root(target) for target in targets) and isinstance(node, ast.stmt):
            yield node


def explain(
    statement: ast.AST, line: int, *, table: str = "", tree: ast.AST | None = None, general: str = _GENERAL
) -> tuple[int, str]:
    """Return the line of the part that looks ahead and a sentence; the given line where no pattern is known.

    Parameters
    ----------
    table : name of the point-in-time table whose later rows are used, "" for bars
    tree : of the whole file, to see the loop around the statement
    general : said where no pattern is known
    """
    if tree is not None and _walks_backwards(tree, line):
        return line, "a loop that walks backwards in time carries later rows to earlier ones (smoothed, not filtered)"
    if table in _TABLES:
        return line, _TABLES[table]
    for pattern in (_adjusted, _backward, _window, _last_row, _labels, _later_row, _sample):
        for node in ast.walk(statement):
            if isinstance(node, ast.stmt) and node is not statement:
                continue
            cause = pattern(node)
            if cause is not None:
                return _line(node), cause
    return line, general


def _walks_backwards(tree: ast.AST, line: int) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.For) and node.lineno < line <= (node.end_lineno or node.lineno):
            source = node.iter
            if _name(source) == "reversed":
                return True
            if isinstance(source, ast.Call) and _name(source) == "range" and len(source.args) == 3:
                return _is_negative(source.args[2])
    return False


def split_line(tree: ast.AST, default: int) -> int:
    """Return the line that divides rows into training and test: a known call, else an assignment to a name like it."""
    calls = [_line(node) for node in ast.walk(tree) if _name(node) in _SPLITS]
    if calls:
        return min(calls)
    named = [
        (_root(target).lower(), node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
    ]
    exact = [line for name, line in named if name == "train"]
    return max(exact) if exact else min((line for name, line in named if "train" in name), default=default)


def _line(node: ast.AST) -> int:
    """Return the line on which a call's method name stands: in a chain over several lines the call starts earlier."""
    if isinstance(node, ast.Call):
        return node.func.end_lineno or node.lineno
    return int(getattr(node, "lineno", 1))


def _root(node: ast.expr) -> str:
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute | ast.Subscript | ast.Call):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    return inner.id if isinstance(inner, ast.Name) else ""


def _name(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _number(node: ast.expr | None) -> float | None:
    """Return a literal number, the sign included."""
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -sign
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return sign * float(node.value)
    return None


def _is_negative(node: ast.expr | None) -> bool:
    number = _number(node)
    return (number is not None and number < 0) or (number is None and isinstance(node, ast.UnaryOp))


def _keyword(call: ast.Call, *names: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg in names), None)


def _adjusted(node: ast.AST) -> str | None:
    is_asked = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    return ADJUSTED_BACKWARDS if is_asked and node.slice.value == "adjusted_close" else None  # type: ignore[attr-defined]


def _backward(node: ast.AST) -> str | None:
    name = _name(node)
    if not isinstance(node, ast.Call):
        return None
    if name in ("shift", "diff", "pct_change"):
        step = node.args[0] if node.args else _keyword(node, "periods")
        return f"{name} with a negative step moves later rows back in time" if _is_negative(step) else None
    if name == "roll":
        step = node.args[1] if len(node.args) > 1 else _keyword(node, "shift")
        return "roll carries rows around the end of the table; a negative step brings later rows" if step else None
    method = _keyword(node, "method", "limit_direction")
    word = method.value if isinstance(method, ast.Constant) else ""
    if name in ("merge_asof", "reindex", "searchsorted") and _looks_forward(node):
        return f"{name} takes the next row where it should take the last one"
    if name in ("bfill", "backfill") or word in ("bfill", "backfill", "backward", "both"):
        return "a gap is filled backwards with a later value"
    return None


def _looks_forward(call: ast.Call) -> bool:
    word = _keyword(call, "direction", "method")
    return isinstance(word, ast.Constant) and word.value in ("forward", "nearest", "bfill", "backfill")


def _window(node: ast.AST) -> str | None:
    name = _name(node)
    if isinstance(node, ast.Call):
        centre = _keyword(node, "center")
        if isinstance(centre, ast.Constant) and centre.value is True:
            return "a centred window takes in bars after its own time"
        if name in _SMOOTHERS:
            return f"{name} uses neighbours on both sides of each bar"
    return None


def _last_row(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Subscript):
        return None
    index = node.slice
    if isinstance(index, ast.Slice):
        backwards = index.step is not None and _is_negative(index.step)
        return "the table is walked backwards in time" if backwards else None
    owner = node.value.attr if isinstance(node.value, ast.Attribute) else ""
    if _is_negative(index) and owner in ("iloc", "values", "index", ""):
        return "the last row of the table is read, which is in the future of every earlier row"
    return None


def _labels(node: ast.AST) -> str | None:
    name = _name(node)
    if name in ("resample", "Grouper"):
        return "a resampled bar carries a label from before it ended"
    if name == "groupby":
        return "a statistic of a whole group is given to its earlier rows"
    return None


def _later_row(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Subscript):
        return None
    first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add):
        return "a row after the current one is read"
    if isinstance(first, ast.Slice) and (_number(first.lower) or 0) > 0 and first.upper is None:
        return "later rows are put beside earlier ones"
    return None


def _sample(node: ast.AST) -> str | None:
    name = _name(node)
    if not isinstance(node, ast.Call):
        return None
    if name in _FITS:
        return f"{name} learns from all rows, later ones included"
    if name in ("dropna", "isna", "notna", "count"):
        return "names are kept or dropped by looking at all rows, later ones included"
    axis = _number(_keyword(node, "axis"))
    if isinstance(node.func, ast.Name) and name in ("min", "max", "sum"):
        return None  # Python's own, of a list
    inner: ast.AST = node.func
    chain = set()
    while isinstance(inner, ast.Attribute | ast.Call | ast.Subscript):
        chain.add(_name(inner))
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    if name in _STATISTICS and axis != 1 and not chain & _WINDOWS:
        return f"{name} over all rows takes in bars after this time"
    return None
