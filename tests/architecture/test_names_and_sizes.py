"""Public names, the drawing of errors, size budgets, and docstrings that name real parameters."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
from house_sources import functions, sources, trees

from foresail.core import errors

FILE_LINES = 500
BODY_LINES = 50
PARAMETERS = 6

# One line each, with its reason.
LONG_FILES: dict[str, str] = {}
LONG_BODIES: dict[tuple[str, str], str] = {}
MANY_PARAMETERS: dict[tuple[str, str], str] = {
    ("core/ids.py", "order_id"): "the parts of an order's identity, keywords only",
    ("core/errors.py", "DataError.__init__"): "the fields of the error, keywords only",
    ("service/calls.py", "run"): "the options of the command of that name, keywords only",
    ("service/calls.py", "compute_features"): "the options of the command features compute, keywords only",
    ("service/feature_calls.py", "plot_feature"): "the options of the command features plot, keywords only",
    ("service/models_calls.py", "train"): "the options of the command of that name, keywords only",
    ("service/models_calls.py", "predict"): "the options of the command of that name, keywords only",
    ("service/trading_calls.py", "backtest"): "the options of the command of that name, keywords only",
    ("service/trading_calls.py", "paper"): "the options of the command paper start, keywords only",
    ("features/declared/spec.py", "declare"): "the columns of one row of the catalogue",
}


def _public_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {n for n in names if not n.startswith("_")}


def _declared(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return None


@pytest.mark.parametrize("name", sorted(sources()))
def test_all_equals_public_names(name: str) -> None:
    tree = trees()[name]
    public, declared = _public_names(tree), _declared(tree)
    if name.endswith("__init__.py"):  # a package may also hand on names of its modules
        assert public <= set(declared or ())
        return
    assert declared is not None or not public, f"{name} has public names but no __all__"
    told = set(declared or ())
    assert (sorted(public - told), sorted(told - public)) == ([], []), f"{name}: (not in __all__, only in __all__)"


@pytest.mark.parametrize("name", sorted(sources()))
def test_every_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(trees()[name]), f"{name} opens without a docstring"


def test_the_drawing_shows_the_errors_as_they_are() -> None:
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"((?:[│├└─ ])*)(\w+Error)", line)
        if match:
            depth = len(match[1]) // 3
            path = [*path[:depth], match[2]]
            drawn[match[2]] = path[depth - 1] if depth else None
    real = {
        name: None if cls is errors.ForesailError else cls.__base__.__name__
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, Exception)
    }
    assert drawn == real


def test_files_stay_within_the_budget() -> None:
    sizes = {n: len(t.splitlines()) for n, t in sources().items()}
    assert {n: s for n, s in sizes.items() if s > FILE_LINES and n not in LONG_FILES} == {}
    assert [n for n in LONG_FILES if sizes.get(n, 0) <= FILE_LINES] == [], "no longer needs its exception"


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_function_bodies_stay_within_the_budget() -> None:
    long = {(f, n): size for f, t in trees().items() for n, d in functions(t) if (size := _body_lines(d)) > BODY_LINES}
    assert {k: v for k, v in long.items() if k not in LONG_BODIES} == {}
    assert [k for k in LONG_BODIES if k not in long] == [], "no longer needs its exception"


def test_functions_take_few_parameters() -> None:
    many = {}
    for file, tree in trees().items():
        if file.startswith(("features/kernels/", "cli/")):
            continue  # a compiled kernel takes arrays one by one; a command has a parameter for each of its options
        for name, node in functions(tree):
            if any("jit" in ast.unparse(d) for d in node.decorator_list):
                continue
            a = node.args
            taken = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs) if p.arg not in {"self", "cls"}]
            if len(taken) > PARAMETERS:
                many[file, name] = len(taken)
    assert {k: v for k, v in many.items() if k not in MANY_PARAMETERS} == {}


def _documented(docstring: str, section: str) -> list[str]:
    match = re.search(rf"^{section}\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", docstring, re.DOTALL | re.MULTILINE)
    if not match:
        return []
    heads = re.findall(r"^(\*{0,2}\w+(?:, ?\*{0,2}\w+)*) :", match[1], re.MULTILINE)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def test_documented_parameters_exist() -> None:
    wrong = []
    for file, tree in trees().items():
        for name, node in functions(tree):
            a = node.args
            real = [p.arg for p in (*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg) if p is not None]
            listed = _documented(ast.get_docstring(node) or "", "Parameters")
            if [x for x in listed if x not in real] or sorted(listed, key=real.index) != listed:
                wrong.append((file, name, listed, real))
    assert wrong == []


def test_documented_attributes_exist() -> None:
    wrong = []
    for file, tree in trees().items():
        for node in [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]:
            docstring = ast.get_docstring(node) or ""
            real = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
            init: set[str] = set()
            for child in node.body:
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                    real.add(child.name)
                    if child.name == "__init__":
                        init = {p.arg for p in (*child.args.args, *child.args.kwonlyargs)}
                if isinstance(child, ast.Assign):
                    real |= {t.id for t in child.targets if isinstance(t, ast.Name)}
            stored = {t.attr for t in ast.walk(node) if isinstance(t, ast.Attribute) and isinstance(t.ctx, ast.Store)}
            inherits = bool(node.bases)
            for section, known in (("Attributes", real | stored), ("Parameters", init or real)):
                strange = [x for x in _documented(docstring, section) if x not in known]
                if strange and not inherits:
                    wrong.append((file, node.name, section, strange))
    assert wrong == []
