"""The architecture, read from the source: layers, sizes, exports and docstrings."""

import ast
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import jaxmat

ROOT = Path(jaxmat.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

# Rows of CONTRIBUTING.md: a unit imports from rows above its own, or from its own row
# without a cycle. A unit is a subpackage, or a module beside them.
LAYERS = (
    {"_types", "_check", "units"},
    {"mandel", "rotations", "symmetry", "solve"},
    {"crystals", "atoms"},
    {"materials", "microstructure", "io"},
    {"cells"},
    {"training"},
    {"surrogates", "pinn", "generative"},
    {"design", "plot", "studies", "cli"},
)
ROW = {unit: row for row, units in enumerate(LAYERS) for unit in units}


def unit_of(path):
    """The subpackage that a file belongs to, or its own name; "" for the root."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


@functools.cache
def imports_of(path):
    """Dotted names below `jaxmat` that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the full name of the module"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {
        name.removeprefix("jaxmat.") for name in names if name.startswith("jaxmat.")
    }


@functools.cache
def graph():
    """The units that each unit imports from."""
    edges = {unit_of(path): set() for path in SOURCES}
    for path in SOURCES:
        units = {name.split(".")[0] for name in imports_of(path)}
        # The version and other attributes of the root are no layer.
        edges[unit_of(path)] |= (units & set(edges)) - {unit_of(path)}
    del edges[""]
    return edges


def relative(path):
    return str(path.relative_to(ROOT))


def test_every_unit_has_a_layer():
    assert set(graph()) - {"__main__"} <= set(ROW)


def test_no_unit_imports_from_a_layer_below_its_own():
    wrong = [
        f"{unit} imports {other}"
        for unit, others in graph().items()
        for other in others
        if ROW[other] > ROW[unit]
    ]
    assert not wrong


def test_what_is_private_stays_in_its_own_unit():
    """The ground, `_types` and `_check`, belongs to all."""
    wrong = [
        f"{relative(path)} imports {name}"
        for path in SOURCES
        for name in imports_of(path)
        if "._" in name and name.split(".")[0] != unit_of(path)
    ]
    assert not wrong


def test_no_units_import_each_other():
    done = set()

    def visit(unit, path):
        assert unit not in path, f"a cycle: {' -> '.join([*path, unit])}"
        if unit not in done:
            for other in graph()[unit]:
                visit(other, [*path, unit])
            done.add(unit)

    for unit in graph():
        visit(unit, [])


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_fits_in_one_head(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 400, f"{relative(path)} has {len(lines)} lines; split it"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_says_what_it_decides(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_the_command_line_configures_jax(path):
    if relative(path) == "cli.py":
        return
    tree = ast.parse(path.read_text())
    touched = [ast.unparse(x) for x in ast.walk(tree) if isinstance(x, ast.Attribute)]
    assert not [name for name in touched if name.startswith("jax.config")]


PACKAGES = [p for p in SOURCES if p.name == "__init__.py" and p.parent != ROOT]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_subpackage_only_reexports(path):
    """`from jaxmat.sub._x import name as name`, of each of its private modules."""
    for node in ast.parse(path.read_text()).body[1:]:
        assert isinstance(node, ast.ImportFrom), ast.unparse(node)
        assert all(alias.name == alias.asname for alias in node.names)


def exported():
    """Those that a user can reach without an underscore."""
    names = {}
    for found in pkgutil.walk_packages(jaxmat.__path__, "jaxmat."):
        if "._" not in found.name:
            for name, member in vars(importlib.import_module(found.name)).items():
                home = getattr(member, "__module__", "") or ""
                if name[0] != "_" and home.startswith(found.name) and callable(member):
                    names[f"{found.name}.{name}"] = inspect.unwrap(member)
    return names


def test_every_public_name_has_a_docstring():
    bare = [name for name, x in exported().items() if not (x.__doc__ or "").strip()]
    assert bare == []


def returns_something(function):
    return inspect.signature(function).return_annotation is not None


def test_where_arguments_are_described_the_answer_is_too():
    """Without an `Args:` section the first line names the answer and its unit."""
    silent = [
        name
        for name, x in exported().items()
        if inspect.isfunction(x)
        and returns_something(x)
        and "Args:" in x.__doc__
        and not re.search("Returns:|Yields:", x.__doc__)
    ]
    assert silent == []
