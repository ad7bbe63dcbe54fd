"""How the source is laid out: folders in the order of imports, files and functions of a size."""

import ast
import re
import sys
from pathlib import Path

import pytest
from commands import ROOT

# From the ground up: a folder imports itself and those before it.
FOLDERS = (
    "__init__", "registry", "system", "topology", "data", "cell", "execute", "nn",
    "run", "sharing", "diagnosis", "distributed", "training", "export", "config", "fitting",
    "serving", "study", "draw", "bench", "check",
    "cli", "__main__",
)  # fmt: skip
# Up to here a module imports only these when it is imported.
LIBRARY = FOLDERS[: FOLDERS.index("nn") + 1]
OF_LIBRARY = {"structnet", "torch", "numpy"}
FRAMEWORK = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "structnet").rglob("*.py"))
    if path.relative_to(ROOT / "structnet").parts[0] not in ("plugins", "conf")
}
PLUGINS = {
    f"structnet.{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}".removesuffix(
        ".__init__"
    ): path
    for path in sorted((ROOT / "plugins").rglob("*.py"))
}


def imported(nodes):
    """The modules that statements import; `a.b` for `from a import b` where that is one of ours."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FRAMEWORK | PLUGINS else node.module


def parsed(path):
    return ast.parse(path.read_text(), str(path))


def everywhere(path):
    return {name for name in imported(ast.walk(parsed(path))) if name.startswith("structnet")}


def folder(module):
    return [*module.split("."), "__init__"][1]


def at_import(path):
    """What a module imports when it is imported itself."""
    nodes = list(parsed(path).body)
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            nodes += [] if is_for_types else ast.iter_child_nodes(node)
    return set(imported(nodes))


@pytest.mark.parametrize("module", FRAMEWORK)
def test_folders_import_those_below_them(module):
    below = FOLDERS[: FOLDERS.index(folder(module)) + 1]
    if module != "structnet":
        others = sorted(everywhere(FRAMEWORK[module]))
        assert not [other for other in others if folder(other) not in below]


def test_no_modules_import_each_other():
    done, above = set(), []

    def visit(module):
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module not in done:
            above.append(module)
            for other in sorted(everywhere(FRAMEWORK[module]) & FRAMEWORK.keys()):
                visit(other)
            done.add(above.pop())

    for module in FRAMEWORK:
        # Its names are imported when they are asked for.
        if module != "structnet":
            done.add("structnet")
            visit(module)


@pytest.mark.parametrize("module", [name for name in FRAMEWORK if folder(name) in LIBRARY])
def test_the_library_needs_torch_and_numpy_alone(module):
    roots = {name.split(".")[0] for name in at_import(FRAMEWORK[module])}
    assert roots - sys.stdlib_module_names <= OF_LIBRARY


def test_plugins_are_imported_with_torch_and_numpy_alone():
    found, open_ = set(), [name for name in PLUGINS if name.count(".") == 2]
    while open_:
        module = open_.pop()
        if module not in found:
            found.add(module)
            imports = at_import(PLUGINS[module])
            roots = {name.split(".")[0] for name in imports}
            assert roots - sys.stdlib_module_names <= OF_LIBRARY, module
            open_ += imports & PLUGINS.keys()
    assert "structnet.plugins.grid.tasks.mnist" in found


@pytest.mark.parametrize(
    "path", [*FRAMEWORK.values(), *PLUGINS.values()], ids=lambda path: path.name
)
def test_files_and_functions_are_short(path):
    assert len(path.read_text().splitlines()) <= 300
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1:] and ast.get_docstring(node) is not None
            start = node.body[0].end_lineno if first else node.lineno
            assert node.end_lineno - start <= 50, node.name


def test_one_call_of_a_recurrence_is_read_in_one_sitting():
    """What `Recurrence` and the executor that it takes by default import, all of it."""
    found, open_ = set(), ["structnet.nn.recurrence", "structnet.execute.batched"]
    while open_:
        module = open_.pop()
        if module not in found:
            found.add(module)
            open_ += at_import(FRAMEWORK[module]) & FRAMEWORK.keys()
    lines = sum(len(Path(FRAMEWORK[module]).read_text().splitlines()) for module in found)
    assert len(found) <= 25 and lines <= 2500, (len(found), lines, sorted(found))


def test_the_page_of_the_design_has_every_folder_in_the_order_of_imports():
    page = (ROOT / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.M)
    named = [name for name in FOLDERS if not name.startswith("__")]
    modules = [FRAMEWORK[f"structnet.{name}"] for name in named]
    said = [(ast.get_docstring(parsed(path)) or "").partition("\n")[0] for path in modules]
    assert rows == list(zip(named, said, strict=True))
