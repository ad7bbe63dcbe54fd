import ast
import random
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import structnet as sn
from structnet.plugins.code.sources import (
    Place,
    parse,
    place_of,
    python_files,
    standard_library,
)
from structnet.plugins.code.syntax import flatten
from structnet.plugins.code.trees import left_child_right_sibling
from structnet.plugins.tree.expressions.expression import (
    BLOCK_LIMIT,
    Expression,
    _kind,
    expressions,
)

LIBRARY = Path(sysconfig.get_path("stdlib"))
FILES = [LIBRARY / name for name in ("textwrap.py", "bisect.py", "colorsys.py", "heapq.py")]


def read(folder, source):
    """The expressions of a source text."""
    # A name of its own: the lines of a file are remembered.
    path = folder / f"code_{len(list(folder.iterdir()))}.py"
    path.write_text(source)
    return list(expressions(path))


def own(nodes):
    """The first word of every node, its kind."""
    return [words[0] for words in nodes.words]


@pytest.fixture(scope="module")
def library():
    found = [expression for path in FILES for expression in expressions(path)]
    assert len(found) > 150
    return found


# What is found


def test_operations_single_comparisons_and_calls_with_two_arguments_are_found(tmp_path):
    source = (
        "a - b\n"
        "a < b\n"
        "f(a, b)\n"
        "f(a, b, *c, d=1)\n"
        "a < b < c\n"
        "f(a)\n"
        "f(*a, b)\n"
        "f(a, *b)\n"
        "f(a, k=b)\n"
        "a and b\n"
        "-a\n"
        "a[b]\n"
        "x += y\n"
    )
    found = [(one.kind, one.line, one.text) for one in read(tmp_path, source)]
    assert found == [
        ("operation", 1, "a - b"),
        ("comparison", 2, "a < b"),
        ("call", 3, "f(a, b)"),
        ("call", 4, "f(a, b, *c, d=1)"),
    ]


def test_nested_expressions_are_found_each_for_itself(tmp_path):
    found = read(tmp_path, "f(a - b, g(c, d) < e)\n")
    assert Counter(one.text for one in found) == Counter(
        ["f(a - b, g(c, d) < e)", "a - b", "g(c, d) < e", "g(c, d)"]
    )


def test_two_identical_operands_have_no_order_and_are_left_out(tmp_path):
    assert read(tmp_path, "a - a\nf(x.y, x.y)\n1 < 1\n(a, b) < (a, b)\n") == []
    kept = "1 < True\na - A\n1 < 1.0\nf(x, 'x')\n'a' < b'a'\n(1,) < (2,)\n400 - 300\n"
    assert len(read(tmp_path, kept)) == 7


def test_an_expressions_text_is_its_source_on_one_line(tmp_path):
    source = "if x:\n    y = max(  größe,\n             'ä' % b)  # comment\n"
    found = read(tmp_path, source)
    assert [(one.line, one.text) for one in found] == [
        (2, "max( größe, 'ä' % b)"),
        (3, "'ä' % b"),
    ]


def test_a_source_in_another_encoding_is_read(tmp_path):
    path = tmp_path / "code.py"
    path.write_bytes("# coding: latin-1\nx = 'ä' % größe\n".encode("latin-1"))
    (one,) = expressions(path)
    assert one.text == "'ä' % größe"


@pytest.mark.parametrize(
    "content", [b"def (:\n", b"\x00", b"x = '\xff'\n", b"(" * 400 + b")" * 400, b"\tx\n  y\n"]
)
def test_what_cannot_be_parsed_is_a_syntax_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "code.py"
    path.write_bytes(content)
    with pytest.raises(SyntaxError, match=r"code\.py"):
        list(expressions(path))


def test_an_empty_file_has_no_expressions(tmp_path):
    assert read(tmp_path, "") == []


# Order


def test_both_orders_hold_the_same_bag_of_words(library):
    for expression in library:
        one, other = expression.nodes(False), expression.nodes(True)
        assert Counter(one.words) == Counter(other.words), expression.text
        assert Counter(words for node in one.words for words in node) == Counter(
            words for node in other.words for words in node
        )


def test_both_orders_differ_as_trees_and_as_sequences(library):
    for expression in library:
        one, other = expression.nodes(False), expression.nodes(True)
        for ordered in (lambda nodes: list(range(len(nodes.words))), lambda nodes: nodes.reading):
            words = [[nodes.words[i] for i in ordered(nodes)] for nodes in (one, other)]
            assert words[0] != words[1], expression.text


def swapped_in_the_syntax_tree(path, number):
    """The file's expression `number` after its operands were exchanged in the syntax tree."""
    module = parse(path)
    chosen = list(expressions(path))[number]
    node = next(
        node
        for node in ast.walk(module)
        if isinstance(node, ast.BinOp | ast.Compare | ast.Call) and place_of(node) == chosen.place
    )
    if isinstance(node, ast.BinOp):
        node.left, node.right = node.right, node.left
    elif isinstance(node, ast.Compare):
        node.left, node.comparators[0] = node.comparators[0], node.left
    else:
        node.args[:2] = node.args[1::-1]
    file, found = flatten(module, _kind)
    (root,) = (root for root, _, one in found if one is node)
    return Expression(chosen.kind, path, chosen.place, file, root)


def test_exchanging_operands_is_what_writing_them_the_other_way_round_would_be():
    draw = random.Random(0)
    for path in FILES[:3]:
        found = list(expressions(path))
        for number in draw.sample(range(len(found)), 12):
            rewritten = swapped_in_the_syntax_tree(path, number)
            for one, other in ((False, True), (True, False)):
                a, b = found[number].nodes(one), rewritten.nodes(other)
                assert a.words == b.words, found[number].text
                assert a.parent.tolist() == b.parent.tolist()
                assert a.reading.tolist() == b.reading.tolist()


def test_operands_are_exchanged_with_the_order(library):
    for expression in library:
        left, right, operator = expression.operands(False)
        assert expression.operands(True) == (right, left, operator)


def test_nodes_are_in_pre_order(library):
    for expression in library:
        for order in (False, True):
            parent = expression.nodes(order).parent
            assert parent[0] == -1
            assert (parent[1:] >= 0).all() and (parent[1:] < np.arange(1, len(parent))).all()
            path = [0]
            for node in range(1, len(parent)):
                while path[-1] != parent[node]:
                    path.pop()
                path.append(node)


def test_a_sequence_is_read_as_the_source_is_written(tmp_path):
    def sequence(source, swapped=False):
        (one,) = [one for one in read(tmp_path, source) if one.text == source.strip()]
        nodes = one.nodes(swapped)
        names = [words[1] if len(words) > 1 and words[0] in ("<Name>", "<int>", "<Attribute>")
                 else words[0] for words in (nodes.words[i] for i in nodes.reading)]  # fmt: skip
        return " ".join(names)

    assert sequence("a - b\n") == "a <BinOp:Sub> b"
    assert sequence("a - b\n", swapped=True) == "b <BinOp:Sub> a"
    assert sequence("a.x < 3\n") == "a x <Compare:Lt> 3"
    assert sequence("a.x < 3\n", swapped=True) == "3 <Compare:Lt> a x"
    assert sequence("f(a, b + 1, c)\n") == "f <Call> a b <BinOp:Add> 1 c"
    assert sequence("f(a, b + 1, c)\n", swapped=True) == "f <Call> b <BinOp:Add> 1 a c"


def test_words_are_parts_of_names_and_values(tmp_path):
    (one,) = read(tmp_path, "startIndex - MAX_SIZE2\n")
    operation, left, right = one.nodes(False).words
    assert operation[0] == "<BinOp:Sub>"
    assert left[:3] == ("<Name>", "start", "index")
    assert right[:5] == ("<Name>", "<CONSTANT>", "max", "size", "2")


def test_an_argument_named_as_a_parameter_of_the_function_says_which(tmp_path):
    source = (
        "def area(width, height, *, unit): ...\n"
        "class Box:\n"
        "    def __init__(self, low, high): ...\n"
        "    def scale(self, width): ...\n"
        "area(height, self.width)\n"
        "Box(b.high, other)\n"
        "box.scale(_width, unit)\n"
        "unknown(width, height)\n"
    )

    def parameters(expression):
        words = expression.nodes(False).words
        return [word for bag in words for word in bag if word.startswith("<parameter")]

    found = {one.text: parameters(one) for one in read(tmp_path, source)}
    assert found == {
        "area(height, self.width)": ["<parameter 1>", "<parameter 0>"],
        "Box(b.high, other)": ["<parameter 1>"],
        "box.scale(_width, unit)": ["<parameter 0>"],
        "unknown(width, height)": [],
    }


def test_numbers_up_to_a_size_are_words_and_larger_ones_their_number_of_bits(tmp_path):
    def value(source):
        (one,) = read(tmp_path, f"x < {source}\n")
        return one.nodes(False).words[2][:2]

    assert value("7") == ("<int>", "7")
    assert value("-1") == ("<int>", "-1")
    assert value("1000") == ("<int>", "<2^10>") == value("1023")
    assert value("1000") != value("-1000")
    assert value("0.5") != value("0.25")
    assert value("0x1" + "0" * 5000) == ("<int>", "<2^20001>")
    assert value("1e999")[0] == "<float>"


# Size


def test_a_huge_expression_is_cut_the_same_in_both_orders(tmp_path):
    many = ", ".join(f"n{i}" for i in range(1000))
    (one,) = [e for e in read(tmp_path, f"f([{many}], x)\n") if e.kind == "call"]
    a, b = one.nodes(False), one.nodes(True)
    assert len(a.words) == len(b.words) <= 4 * BLOCK_LIMIT
    assert Counter(a.words) == Counter(b.words)
    assert any(words[0] == "<...>" for words in a.words)
    assert sorted(a.reading.tolist()) == list(range(len(a.words)))
    assert sorted(b.reading.tolist()) == list(range(len(b.words)))


def test_a_long_left_nested_expression_does_not_recurse():
    # Built as a tree, since Python's own parser would recurse over its source.
    node = ast.Name("a0", ast.Load())
    for i in range(1, 20_000):
        node = ast.BinOp(node, ast.Add(), ast.Name(f"a{i}", ast.Load()))
    module = ast.Module([ast.Expr(node)], [])
    file, found = flatten(module, lambda one: "operation" if one is node else None)
    assert len(file.words) == 2 + 2 * 20_000 - 1
    ((root, _, _),) = found
    whole = Expression("operation", Path("a.py"), Place(1, 0, 1, 1), file, root)
    assert len(whole.nodes(True).words) <= 3 * BLOCK_LIMIT
    # Read as written: names and operators in turn.
    read = [file.words[i] for i in file.reading.tolist() if file.words[i][0] == "<Name>"]
    assert [words[1:3] for words in read] == [("a", str(i)) for i in range(20_000)]


def test_a_long_sum_in_a_file_is_read(tmp_path):
    found = read(tmp_path, " - ".join(f"a{i}" for i in range(800)) + "\n")
    assert len(found) == 799
    for one in (found[0], found[-1]):
        assert Counter(one.nodes(False).words) == Counter(one.nodes(True).words)


# Tables


def random_parent(size, draw):
    """A tree in pre-order: the parent of every node."""
    parent, path = [-1], [0]
    for node in range(1, size):
        del path[draw.randrange(len(path)) + 1 :]
        parent.append(path[-1])
        path.append(node)
    return np.array(parent)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 57])
def test_left_child_right_sibling_keeps_all_children_in_order(size):
    draw = random.Random(size)
    for _ in range(20):
        parent = random_parent(size, draw)
        table = left_child_right_sibling(parent)
        assert table.shape == (size, 2) and table[0, 1] == -1
        found = np.full(size, -1)
        for node in range(size):
            child, order = table[node, 0], []
            while child >= 0:
                found[child] = node
                order.append(child)
                child = table[child, 1]
            assert order == sorted(order)
        assert found.tolist() == parent.tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 10, 57])
def test_the_table_of_children_has_all_children_in_order(size):
    draw = random.Random(size)
    for _ in range(20):
        parent = random_parent(size, draw)
        table = sn.Edges.of_parents(parent).table()
        for node in range(size):
            expected = [child for child in range(size) if parent[child] == node]
            assert [child for child in table[node] if child >= 0] == expected
            assert (table[node, : len(expected)] >= 0).all()
        assert table.shape == (size, max(1, *np.bincount(parent[1:], minlength=size)))


def test_both_tables_are_those_of_a_tree(library):
    ordered, unordered = sn.topologies.create("tree"), sn.topologies.create("tree", arity=None)
    for expression in library[:40]:
        parent = expression.nodes(False).parent
        for topology, table in (
            (ordered, left_child_right_sibling(parent)),
            (unordered, sn.Edges.of_parents(parent).table()),
        ):
            (plan,) = topology.plan([table])
            assert plan.num_nodes == len(parent)
            assert plan.sinks.tolist() == [0]


# Files


def test_tests_hidden_folders_and_installed_packages_are_passed_over(tmp_path):
    kept = ["a.py", "pkg/b.py", "pkg/deep/er/c.py"]
    passed = [
        "test_a.py", "tests/b.py", "test/c.py", ".git/d.py", "site-packages/e.py",
        "__pycache__/f.py", "node_modules/g.py", "mine/lib/h.py", "notes.txt",
    ]  # fmt: skip
    for name in kept + passed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "mine" / "pyvenv.cfg").write_text("")
    found = python_files(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == sorted(kept)
    with_tests = {str(path.relative_to(tmp_path)) for path in python_files(tmp_path, tests=True)}
    assert with_tests == {*kept, "test_a.py", "tests/b.py", "test/c.py"}


def test_a_file_is_itself_and_a_missing_one_is_named(tmp_path):
    path = tmp_path / "script"
    path.write_text("")
    assert python_files(path) == [path]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        python_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no \*\.py file below .*empty"):
        python_files(tmp_path / "empty")


def test_a_circle_of_links_ends(tmp_path):
    (tmp_path / "a.py").write_text("")
    (tmp_path / "again").symlink_to(tmp_path)
    assert python_files(tmp_path) == [tmp_path / "a.py"]


def test_the_standard_library_is_this_interpreters():
    assert standard_library() == LIBRARY
    assert (standard_library() / "ast.py").is_file()
