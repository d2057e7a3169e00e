"""Habits that linters do not know: time and chance are injected, zero is a value, nothing is pickled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from house_sources import functions, sources, trees

CLOCK = {"core/clock.py"}
CHANCE = {"core/seeds.py"}
_CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "Timestamp.now",
    "Timestamp.utcnow",
    "Timestamp.today",
}
_CHANCE_CALLS = {"uuid.uuid1", "uuid.uuid4", "os.urandom", "random.Random", "secrets.token_hex", "secrets.token_bytes"}
_NUMBERS = {"int", "float", "Decimal", "complex"}


def _dotted(node: ast.AST) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def clock_and_chance(tree: ast.AST) -> list[tuple[int, str]]:
    """Return (line, what) of every bare clock and every draw that no seed of the run decides."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ".".join(_dotted(node.func).split(".")[-2:])
            if name in _CLOCK_CALLS or name in _CHANCE_CALLS:
                found.append((node.lineno, name))
            if _dotted(node.func).endswith("random.default_rng") or _dotted(node.func) == "default_rng":
                found.append((node.lineno, "default_rng: use core.seeds.generator"))
            legacy = re.fullmatch(r"(?:np|numpy)\.random\.([a-z]\w*)", _dotted(node.func))
            if legacy and legacy[1] != "default_rng":
                found.append((node.lineno, legacy[0]))
        if isinstance(node, ast.Import) and any(a.name in {"random", "secrets"} for a in node.names):
            found.append((node.lineno, "import random"))
        if isinstance(node, ast.ImportFrom) and node.module in {"random", "secrets", "numpy.random"}:
            found.append((node.lineno, f"from {node.module}"))
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found.append((node.lineno, "from time"))
    return found


def _is_optional_number(annotation: ast.AST | None) -> bool:
    if annotation is None:
        return False
    text = ast.unparse(annotation)
    match = re.fullmatch(r"Optional\[(.+)\]", text)
    parts = {p.strip() for p in (match[1] + " | None" if match else text).split("|")}
    return "None" in parts and bool(parts & _NUMBERS) and parts <= _NUMBERS | {"None"}


def _tested(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield every expression whose truth is asked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.operand
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def optional_number_fields(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Return the names of fields annotated as optional numbers, and of all other annotated fields and methods."""
    optional, other = set(), set()
    for cls in [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]:
        for node in cls.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                (optional if _is_optional_number(node.annotation) else other).add(node.target.id)
            elif isinstance(node, ast.FunctionDef):
                (optional if _is_optional_number(node.returns) else other).add(node.name)
    return optional, other


def truthiness_slips(tree: ast.AST, fields: frozenset[str] = frozenset()) -> list[tuple[int, str]]:
    """Return (line, name) wherever an optional number is asked for its truth, so that 0 is taken for absent."""
    found = set()
    for _, function in functions(tree):
        a = function.args
        names = {p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if _is_optional_number(p.annotation)}
        names |= {
            n.target.id
            for n in ast.walk(function)
            if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and _is_optional_number(n.annotation)
        }
        for tested in _tested(function):
            if isinstance(tested, ast.Name) and tested.id in names:
                found.add((tested.lineno, tested.id))
    for tested in _tested(tree):
        if isinstance(tested, ast.Attribute) and tested.attr in fields:
            found.add((tested.lineno, tested.attr))
    return sorted(found)


def test_time_and_chance_are_injected() -> None:
    found = {
        name: hits for name, tree in trees().items() if name not in CLOCK | CHANCE and (hits := clock_and_chance(tree))
    }
    assert found == {}


def test_optional_numbers_are_compared_with_none() -> None:
    optional: set[str] = set()
    other: set[str] = set()
    for tree in trees().values():
        one, two = optional_number_fields(tree)
        optional |= one
        other |= two
    fields = frozenset(optional - other)
    found = {name: hits for name, tree in trees().items() if (hits := truthiness_slips(tree, fields))}
    assert found == {}


def test_nothing_is_pickled_and_no_broad_except() -> None:
    found = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            if {m.split(".")[0] for m in modules} & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}:
                found.append((name, node.lineno, modules))
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                found.append((name, node.lineno, "bare except"))
    assert found == []


def test_nothing_is_left_to_do() -> None:
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [(n, m[0]) for n, t in sources().items() if (m := pattern.search(t))] == []


def test_the_checks_can_fail() -> None:
    clock = (
        "import time, random\nx = time.time()\ny = datetime.now(UTC)\nz = np.random.default_rng()\nnp.random.normal()"
    )
    assert [line for line, _ in clock_and_chance(ast.parse(clock))] == [1, 2, 3, 4, 5]
    assert clock_and_chance(ast.parse("def f(g: np.random.Generator) -> None:\n    g.normal(0, 1)")) == []
    head = "def f(a: int | None, b: str | None, c: float | None = None):\n"
    slip = head + "    if a: pass\n    return (c or 1) if b else not a"
    assert truthiness_slips(ast.parse(slip)) == [(2, "a"), (3, "a"), (3, "c")]
    assert truthiness_slips(ast.parse("x = 1 if order.limit else 2"), frozenset({"limit"})) == [(1, "limit")]
    assert truthiness_slips(ast.parse("def f(a: int | None):\n    return 1 if a is None else a")) == []
