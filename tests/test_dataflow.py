"""Data-flow graphs of functions that are short enough to be drawn by hand."""

import textwrap
import warnings

import networkx as nx
import pytest

import structnet as sn
from structnet.plugins.graph.dataflow.functions import functions


def read(tmp_path, source):
    path = tmp_path / "code.py"
    path.write_text(textwrap.dedent(source))
    return list(functions(path))


def read_one(tmp_path, source):
    (function,) = read(tmp_path, source)
    return function


def defined(function, use):
    """The words of the definitions that a use reads, in the order of the source."""
    return [" ".join(function.words[node]) for node in function.before[use.node]]


def reads(function, name):
    """What every use of a variable reads, in the order of the source."""
    return [defined(function, use) for use in function.uses if use.name == name]


def test_a_value_flows_from_parameters_through_operations_to_the_return(tmp_path):
    function = read_one(tmp_path, "def f(a, b):\n    return a + len(b)\n")
    words = [bag[0] for bag in function.words]
    assert words == ["<parameter>"] * 2 + ["<use>", "<use>", "<Call>", "<BinOp:Add>", "<Return>"]
    assert sorted(function.edges) == [(0, 2), (1, 3), (2, 5), (3, 4), (4, 5), (5, 6)]


def test_a_use_has_no_name_and_a_definition_has_one(tmp_path):
    function = read_one(tmp_path, "def f(lineCount):\n    total = lineCount\n    return total\n")
    for use in function.uses:
        assert not {"line", "count", "total"} & set(function.words[use.node])
    assert function.words[0] == ("<parameter>", "line", "count")
    assert ("<Store>", "total") in function.words


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = a\nreturn x", ["<Store> x"]),
        ("x = a\nx = 2\nreturn x", ["<Store> x"]),
        ("return x", ["<parameter> x"]),
        ("if a:\n    x = 1\nreturn x", ["<Store> x", "<parameter> x"]),
        ("if a:\n    x = 1\nelse:\n    x = 2\nreturn x", ["<Store> x", "<Store> x"]),
        # What returns does not flow on.
        ("if a:\n    x = 1\n    return 0\nreturn x", ["<parameter> x"]),
        ("for x in a:\n    pass\nreturn x", ["<Store> x"]),
        ("for i in a:\n    x = i\nreturn x", ["<Store> x", "<parameter> x"]),
        ("while a:\n    x = 1\nreturn x", ["<Store> x", "<parameter> x"]),
        ("with a as x:\n    return x", ["<Store> x"]),
        ("try:\n    x = a\nexcept OSError:\n    pass\nreturn x",
         ["<Store> x", "<parameter> x", "<Store> x"]),
        ("try:\n    pass\nexcept OSError as x:\n    return x", ["<except> <Class> os error x"]),
        ("match a:\n    case [x]:\n        return x", ["<MatchAs> x"]),
        ("import x\nreturn x", ["<Import> x"]),
        ("def x(): pass\nreturn x", ["<FunctionDef> x"]),
        ("(x := a)\nreturn x", ["<Store> x"]),
        ("x += a\nreturn x", ["<Store> x"]),
        ("x, *_ = a\nreturn x", ["<Store> x"]),
    ],
)  # fmt: skip
def test_a_use_follows_the_definitions_that_reach_it(tmp_path, body, expected):
    source = "def f(a, x):\n" + textwrap.indent(body, "    ")
    function = next(iter(read(tmp_path, source)))
    assert set(reads(function, "x")[-1]) == set(expected)


def test_nothing_flows_back_in_a_loop(tmp_path):
    function = read_one(
        tmp_path,
        """
        def f(a):
            total = 0
            while total < a:
                total = total + step
                step = total
            return total
        """,
    )
    assert all(source < target for source, target in function.edges)
    # The body is read once: step is a global name before it is defined.
    assert reads(function, "step") == []
    assert len(reads(function, "total")[-1]) == 2


def test_names_of_a_comprehension_or_lambda_stay_inside(tmp_path):
    function = read_one(
        tmp_path,
        """
        def f(x, rows):
            y = [x for x in rows if x]
            z = (lambda x: x)(y)
            return x
        """,
    )
    assert reads(function, "x") == [["<Store> x"], ["<Store> x"], ["<parameter> x"],
                                    ["<parameter> x"]]  # fmt: skip
    assert function.before[[u for u in function.uses if u.name == "x"][-1].node] == [0]


def test_the_other_variables_are_those_that_are_defined_there(tmp_path):
    function = read_one(
        tmp_path,
        """
        def f(self, a, b):
            c = a
            d = c
            del b
            return d
        """,
    )
    assert [(use.name, use.others) for use in function.uses] == [
        ("a", ["b"]),
        ("c", ["a", "b"]),
        ("d", ["a", "c"]),
    ]


def test_methods_and_nested_functions_are_read_on_their_own(tmp_path):
    found = read(
        tmp_path,
        """
        class A:
            async def m(self, x):
                def inner(y):
                    return x + y
                return inner
        """,
    )
    assert len(found) == 2
    # The nested function takes what it mentions.
    (outer, inner) = found
    (node,) = [i for i, bag in enumerate(outer.words) if bag[0] == "<FunctionDef>"]
    assert [outer.words[source] for source in outer.before[node]] == [("<parameter>", "x")]
    assert [use.name for use in inner.uses] == ["y"]


def test_the_graphs_of_real_code_are_acyclic():
    import email.message

    found = list(functions(email.message.__file__))
    assert len(found) > 50
    for function in found:
        graph = nx.DiGraph(function.edges)
        assert nx.is_directed_acyclic_graph(graph)
        assert all(0 <= node < len(function.words) for node in graph)
        for use in function.uses:
            assert set(function.before[use.node]) == set(use.reaching[use.name])


def test_what_is_nested_too_deep_is_passed_over_and_named(tmp_path, monkeypatch):
    from structnet.plugins.graph.dataflow import functions as dataflow

    def too_deep(self, node):
        raise RecursionError

    monkeypatch.setattr(dataflow.Reader, "function", too_deep)
    with pytest.warns(sn.DataWarning, match=r"skipped .*code\.py, line 1: nested too deep"):
        assert read(tmp_path, "def f(a):\n    return a\n") == []


def test_a_file_that_cannot_be_parsed_is_refused(tmp_path):
    with warnings.catch_warnings(), pytest.raises(SyntaxError, match=r"code\.py, line 1"):
        read(tmp_path, "def (:\n")
