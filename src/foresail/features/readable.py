"""Print the formula of a feature from its graph, so that what is shown is what is computed.

A step that is used more than once gets a name and a line of its own; the last line is the value. Arithmetic is written
as arithmetic, every other step as ``step(inputs, window)``, with its one number where it has one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from foresail.features.declared.spec import BAR_FIELDS
from foresail.features.expressions import BAR, Cross, Expression, Node, Ref, Series

__all__ = ["formula_lines", "formula_text"]

_LONGEST = 90  # letters of a formula before a part of it gets a line of its own
_NUMBERS = ("day_of_", "time_of_")  # reference series that are no prices
_SYMBOLS = {"multiply": "*", "divide": "/"}


def formula_lines(expression: Expression) -> tuple[str, ...]:
    """Return a formula as lines: named parts first, each as ``name = ...``, then the value.

    Examples
    --------
    >>> from foresail.features.catalogue import find
    >>> formula_lines(find("log_return_1").expression)
    ('log_change(close, 1)',)
    """
    writer = _Writer(_uses(expression))
    value = writer.expression(expression)
    return (*writer.lines, _bare(value))


def formula_text(expression: Expression) -> str:
    """Return a formula on one line, its named parts behind it."""
    *parts, value = formula_lines(expression)
    return value if not parts else f"{value} with {'; '.join(parts)}"


def _below(value: Expression | Series | Node | None) -> Iterator[Ref]:
    """Yield what stands directly below a node, series or column."""
    if isinstance(value, Cross | Series):
        if isinstance(value.source, Ref):
            yield value.source
        elif value.source is not None:
            yield from _below(value.source)
    elif isinstance(value, Node):
        yield from value.inputs
        if value.series is not None:
            yield from _below(value.series)


def _uses(expression: Expression) -> Counter[Node]:
    """Return how often the value of each node is read, each reader counted once."""
    counted: Counter[Node] = Counter()
    stack = [expression] if isinstance(expression, Ref) else list(_below(expression))
    while stack:
        n = stack.pop().node
        counted[n] += 1
        if counted[n] == 1:
            stack += _below(n)
    return counted


class _Writer:
    """Writes nodes, keeping the names that it gave."""

    def __init__(self, uses: Counter[Node]) -> None:
        self.lines: list[str] = []
        self._uses = uses
        self._known: dict[Node, str] = {}

    def expression(self, value: Expression | Series) -> str:
        if isinstance(value, Ref):
            return self.ref(value)
        if isinstance(value, Series):
            return self._series(value)
        inner = self.expression(value.source)
        return inner if value.op == "broadcast" else f"{value.op}({inner})"

    def ref(self, ref: Ref) -> str:
        """Return one output row of a node: by its field, its name, or written out."""
        if ref.node == BAR:
            return BAR_FIELDS[ref.index]
        text = self._node(ref.node)
        return f"{text}[{ref.index}]" if ref.node.outputs > 1 else text

    def _node(self, n: Node) -> str:
        if n in self._known:
            return self._known[n]
        text = self._written(n)
        if n.op not in {"given", "series"} and (self._uses[n] > 1 or len(text) > _LONGEST):
            name = f"p{len(self.lines) + 1}"
            self.lines.append(f"{name} = {_bare(text)}")
            text = name
        self._known[n] = text
        return text

    def _written(self, n: Node) -> str:
        if n.op == "given":
            return f"given.{n.name}"
        if n.op == "series" and n.series is not None:
            return self._series(n.series)
        inputs = [self.ref(ref) for ref in n.inputs]
        arithmetic = _arithmetic(n, inputs)
        if arithmetic is not None:
            return arithmetic
        parts = [*inputs]
        parts += [str(n.window)] if n.window else []
        parts += [str(n.extra)] if n.extra >= 0 and len(n.inputs) < 3 else []  # else the place of a third input
        parts += [_number(n.real)] if n.real and math.isfinite(n.real) else []
        return f"{n.op}({', '.join(parts)}{self._where(n)})"

    def _where(self, n: Node) -> str:
        """Return which values must be there for a bar to count, where that is not plain from the inputs."""
        if not isinstance(n.clock, Node):
            return ""
        others = [self.ref(ref) for ref in dict.fromkeys(n.clock.inputs) if ref not in n.inputs]
        return f"; on bars with {' and '.join(others)}" if others else ""

    def _series(self, series: Series) -> str:
        if series.kind == "calendar":
            return f"calendar.{series.name}"
        if series.kind != "reference":
            return f"{series.kind}({'' if series.source is None else self.ref(series.source)})"
        source = "close" if series.source is None else self.ref(series.source)
        if series.name.startswith(_NUMBERS) and source == "close":
            return series.name
        return f"{series.name}.{source}" if source in BAR_FIELDS else f"on {series.name}: {source}"


def _arithmetic(n: Node, inputs: list[str]) -> str | None:
    """Return a step of plain arithmetic as such, None for any other step; see ``kernels.arithmetic``."""
    if n.op in _SYMBOLS and len(inputs) == 2:
        instead = f", {_number(n.real)} where it is 0" if n.op == "divide" and math.isfinite(n.real) else ""
        return f"({inputs[0]} {_SYMBOLS[n.op]} {inputs[1]}{instead})"
    if n.op == "combine" and n.real == 0.0:
        return inputs[0]
    if n.op == "combine" and len(inputs) == 2:
        size = "" if abs(n.real) == 1.0 else f"{_number(abs(n.real))} * "
        return f"({inputs[0]} {'-' if n.real < 0 else '+'} {size}{inputs[1]})"
    if n.op == "add":
        return f"({inputs[0]} {'-' if n.real < 0 else '+'} {_number(abs(n.real))})"
    if n.op == "place":
        return f"place({inputs[0]} between {inputs[1]} and {inputs[2]})"
    forms = {"log_of": "ln({} / {})", "logarithm": "ln({})", "magnitude": "|{}|", "root": "sqrt({})"}
    forms["fall_squared"] = "min({}, 0)^2"
    return forms[n.op].format(*(_bare(text) for text in inputs)) if n.op in forms else None


def _number(value: float) -> str:
    return f"{value:.12g}"


def _bare(text: str) -> str:
    """Return a text without the brackets around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for i, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0 and i < len(text) - 1:
            return text
    return text[1:-1]
