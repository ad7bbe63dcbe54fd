"""Source code as trees: read by grammars of tree-sitter, learned and predicted by task trees."""

import ast
import bisect
import io
import re
import tokenize
import warnings
from pathlib import Path

import pytest
from commands import SMALL, call, refused

import structnet as sn
from structnet.plugins.code import grammars
from structnet.plugins.treebanks.programs import read_programs

needs_c = pytest.mark.skipif(
    grammars.find_spec("tree_sitter") is None or grammars.find_spec("tree_sitter_c") is None,
    reason="tree-sitter is not installed: pip install tree-sitter tree-sitter-c",
)


def read(tmp_path, text, language="c"):
    path = tmp_path / "a.c"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_programs([path], language))


@needs_c
def test_a_definition_is_a_tree_of_kinds_with_its_tokens_as_leaves(tmp_path):
    one, other = read(tmp_path, "// first\nint f(char *a) {\n  /* b */ return a[0]; }\n\nint b;\n")
    assert (one.line, one.text) == (2, "int f ( char * a ) { return a [ 0 ] ; }")
    kinds = [(label, word) for label, word in zip(one.labels, one.words, strict=True)]
    assert kinds[:4] == [
        ("function_definition", ""), ("primitive_type", "int"), ("function_declarator", ""),
        ("identifier", "f"),
    ]  # fmt: skip
    assert ("", "return") in kinds and ("number_literal", "0") in kinds
    assert one.parent.tolist()[:4] == [-1, 0, 0, 2]
    assert (other.line, other.labels[0]) == (5, "declaration")
    # The nodes are in pre-order.
    assert all(above < node for node, above in enumerate(one.parent.tolist()))


@pytest.mark.parametrize("module", [bisect, tokenize])
def test_python_read_by_a_grammar_has_the_tokens_and_functions_that_python_has(module):
    pytest.importorskip("tree_sitter_python")
    path = Path(module.__file__)
    trees = list(read_programs([path], "python"))
    source = path.read_text()
    said = tokenize.generate_tokens(io.StringIO(source).readline)
    tokens = "".join(one.string for one in said if one.type != tokenize.COMMENT)
    ours = "".join(word for tree in trees for word in tree.words)
    assert "".join(ours.split()) == "".join(tokens.split())
    functions = [one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)]
    assert sum(tree.labels.count("function_definition") for tree in trees) == len(functions)
    starts = {
        min(part.lineno for part in (one, *getattr(one, "decorator_list", ())))
        for one in ast.parse(source).body
    }
    assert {tree.line for tree in trees} == starts


MISTAKES = {
    b"int a;\nint g() { return 1 }\n": "line 2, column 19: ';' is missing",
    'int a; char *s = "é" } é;\n'.encode(): "line 1, column 22: '} é' is not c",
    b"int a;\nint f( { }\n": "line 2, column",
    b"int a;\n\x00": "line 2, column 1: '\\x00' is not c",
}  # fmt: skip


@needs_c
@pytest.mark.parametrize("text", MISTAKES)
def test_what_has_a_mistake_is_skipped_and_named_with_its_place(tmp_path, text):
    with pytest.warns(sn.DataWarning) as caught:
        (one,) = read(tmp_path, text)
    assert one.text == "int a ;"
    said = str(caught[0].message)
    place = f"{tmp_path / 'a.c'}, {MISTAKES[text]}"
    assert said.startswith("skipped 1 of 2 definitions, which have syntax errors: ") and (
        place in said
    )


@needs_c
@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"int f( {", "line 1, column"),
        (b"int a;\n\xff", "line 2: not text in UTF-8"),
        (b"}" * 2_000_001, "more than 2.0 MB; split it"),
    ],
)
def test_what_is_wrong_throughout_is_refused(tmp_path, text, what):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'a.c'}") and what in str(caught.value)


@needs_c
@pytest.mark.parametrize("text", [b"", b"\n\n", b"// comments alone\n"])
def test_a_file_may_have_no_definitions(tmp_path, text):
    assert read(tmp_path, text) == []


@needs_c
def test_marks_and_line_breaks_of_windows_are_read(tmp_path):
    trees = read(tmp_path, b"\xef\xbb\xbfint a;\r\nint b;\r\n")
    assert [(tree.line, tree.text) for tree in trees] == [(1, "int a ;"), (2, "int b ;")]


@needs_c
@pytest.mark.parametrize("levels", [20_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_deep_code_is_read_without_recursion(tmp_path, levels):
    (tree,) = read(tmp_path, "int a = " + "(" * levels + "1" + ")" * levels + ";")
    assert tree.labels.count("parenthesized_expression") == levels


def test_a_grammar_that_is_missing_is_named_with_what_to_install(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"pip install .*tree-sitter-no-such; the grammars inst"):
        grammars.load_parser("no_such")
    with pytest.raises(ValueError, match="is the name of a grammar, such as python, c or go, got"):
        grammars.load_parser("c++")
    monkeypatch.setattr(grammars, "find_spec", lambda name: None)
    grammars.load_parser.cache_clear()
    with pytest.raises(ValueError, match="pip install tree-sitter tree-sitter-go; the grammars"):
        sn.tasks.create("trees", root=str(tmp_path), language="go").find()


@needs_c
def test_the_files_of_a_language_are_found_by_their_endings(tmp_path):
    for name in ("b.c", "a.h", "x.py", ".hidden/c.c", "sub/d.c", "test_e.c", "train.c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("int a;")
    found = sn.tasks.create("trees", root=str(tmp_path), language="c").find()
    assert found is not None and list(found) == ["all"]
    names = [str(path.relative_to(tmp_path)) for path in found["all"]]
    assert names == ["a.h", "b.c", "sub/d.c", "test_e.c", "train.c"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({}, "task.language is for source files: set task.root"),
        ({"root": ".", "traces": True}, "task.traces is for treebanks"),
        ({"root": ".", "functions": True}, "task.functions is for treebanks"),
    ],
)
def test_options_that_do_nothing_for_source_code_are_refused(options, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        sn.tasks.create("trees", language="c", **options)


def test_a_source_file_without_its_language_is_told_which_option_reads_it(tmp_path):
    (tmp_path / "a.c").write_text("int a;")
    for root in (tmp_path, tmp_path / "a.c"):
        with pytest.raises(ValueError, match="source code is read with task"):
            sn.tasks.create("trees", root=str(root)).find()


@needs_c
@pytest.mark.slow
def test_kinds_of_nodes_are_learned_and_predicted(tmp_path):
    text = "".join(f"int f{n}(int a) {{ return a + {n} * f{n}(a); }}\n" for n in range(12))
    (tmp_path / "a.c").write_text(text)
    run = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        status, out, err = call(
            "train", "task=trees", "topology=tree", "task.language=c", f"task.root={tmp_path}",
            f"run={run}", *SMALL, "trainer.max_epochs=60", "trainer.learning_rate=0.2",
        )  # fmt: skip
    assert status == 0, err
    status, out, err = call("predict", f"run={run}", f"path={tmp_path / 'a.c'}", "top=500")
    assert status == 0, err
    assert f"{tmp_path / 'a.c'}:12: node 0 int f11 ( int" in out
    said = re.findall(r"node \d+ (.*) \((\w+), [0-9.]+, given (\w+)( ✗)?\)$", out, re.MULTILINE)
    assert len(said) == len(out.splitlines()) == 12 * 10
    assert ("f3 ( a )", "call_expression") in [(name, given) for name, _, given, _ in said]
    assert all((label == given) == (not cross) for _, label, given, cross in said)
    assert sum(not cross for *_, cross in said) > 0.7 * len(said)
    bad = tmp_path / "bad.c"
    bad.write_text("int f( {")
    assert refused("predict", f"run={run}", f"path={bad}").startswith(f"{bad}, line 1, column")
