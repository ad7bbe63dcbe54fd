"""Types as an editor sees them: what is public is known, and a wrong use of it is found."""

import ast
import json
import subprocess
import sys

import pytest
from commands import ROOT

import structnet

USES = """
import structnet as sn

layer = sn.Recurrence("chain", "lstm", input_size=3, hidden_size=4)
rnn = sn.RNN("lstm", 3, 4, num_layers=2)
plan = sn.schedule([[-1], [0]])
levels: tuple[int, ...] = plan.levels
"""
WRONG = {
    'sn.Recurrence("chain", "lstm", input_size="3", hidden_size=4)': "reportArgumentType",
    'sn.Recurrence("chain", "lstm", 3)': "reportCallIssue",
    'sn.RNN("lstm", 3, 4, num_layers="two")': "reportArgumentType",
    "sn.schedule()": "reportCallIssue",
    "plan.level": "reportAttributeAccessIssue",
    "sn.Recurrent": "reportAttributeAccessIssue",
    "sn.cells.names(3)": "reportCallIssue",
}


def test_a_wrong_use_of_a_public_name_is_a_type_error(tmp_path):
    pytest.importorskip("pyright")
    lines = [*USES.splitlines(), *WRONG]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    settings = {"include": ["mine.py"], "extraPaths": [str(ROOT)], "typeCheckingMode": "basic"}
    settings |= {"reportUnusedExpression": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    found = {
        (lines[one["range"]["start"]["line"]], one["rule"])
        for one in json.loads(done.stdout)["generalDiagnostics"]
    }
    assert found == set(WRONG.items())


def test_the_distribution_says_that_it_has_types():
    assert (ROOT / "structnet" / "py.typed").is_file()


def test_type_checkers_know_the_public_names_from_the_modules_that_have_them():
    source = (ROOT / "structnet" / "__init__.py").read_text()
    seen = {
        alias.asname: node.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname
    }
    assert seen == structnet._HOME
