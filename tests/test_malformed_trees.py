"""Malformed files of trees: each is read, or refused in one line that says where."""

import gzip
import re

import pytest

from structnet.plugins.tree.listops.expression import read_expressions
from structnet.plugins.tree.pairs import formula, sentences
from structnet.plugins.treebanks.brackets import read_brackets
from structnet.plugins.treebanks.reading import read_trees


def rows(*words):
    lines = (
        f"{i}\t{word}\t_\t_\t_\t_\t{head}\tx\t_\t_\n" for i, (word, head) in enumerate(words, 1)
    )
    return "".join(lines) + "\n"


READERS = {
    "a.mrg": (read_trees, "(S (NP (A the) (B dog)) (VP c))\n(S (A a) (B b))\n"),
    "b.conllu": (read_trees, rows(("the", 2), ("dog", 0), ("a", 2)) + rows(("b", 0))),
    "c.txt": (read_brackets, "(3 (2 a) (1 b))\n(2 (2 c) (2 d))\n"),
    "d.tsv": (read_expressions, "2\t[MAX 2 1 ]\n3\t( ( [MAX 3 ) ] )\n"),
    "e.tsv": (formula.read_pairs, "=\t( not a )\t( a ( and b ) )\n<\ta\tb\n"),
    "f.json": (
        read_trees,
        '{"label": "S", "children": [{"label": "A", "word": "a"}, {"word": "b"}]}\n'
        '[{"labels": ["S", "A"], "words": [null, "x"], "parents": [-1, 0]}]\n',
    ),
}
LONG = b"x" * 100_000
CHANGES = {
    "blank": lambda text: b"\n\n \t\n",
    "a null byte in a word": lambda text: text.replace(b"a", b"a\0", 1),
    "a null byte in a line": lambda text: text + b"\0\n",
    "Latin-1": lambda text: text.replace(b"a", b"\xe9", 1),
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "a mark within": lambda text: text.replace(b"\n", b"\n\xef\xbb\xbf", 1),
    "line breaks of old Macs": lambda text: text.replace(b"\n", b"\r"),
    "tabs": lambda text: text.replace(b" ", b"\t"),
    "half": lambda text: text[: len(text) // 2],
    "three quarters": lambda text: text[: 3 * len(text) // 4],
    "without its end": lambda text: text[:-3],
    "a form feed": lambda text: text.replace(b"\n", b"\f\n", 1),
    "a no-break space": lambda text: text.replace(b" ", b"\xc2\xa0", 1),
    "a line separator": lambda text: text.replace(b" ", "\u2028".encode(), 1),
    "an opening bracket too many": lambda text: text.replace(b"(", b"((", 1),
    "a closing bracket too many": lambda text: text.replace(b")", b"))", 1),
    "an opening bracket too few": lambda text: text.replace(b"(", b"", 1),
    "a closing bracket too few": lambda text: text.replace(b")", b"", 1),
    "empty brackets": lambda text: text.replace(b"(", b"(() ", 1),
    "a long word": lambda text: text.replace(b"a", b"a" + LONG, 1),
    "a long line": lambda text: text + LONG + b"\n",
    "a page of HTML": lambda text: b"<html><body>404</body></html>\n",
    "a table": lambda text: b"a,b,c\n1,2,3\n",
    "an escape": lambda text: text.replace(b"a", b"\x1b[31m", 1),
    "half a surrogate pair": lambda text: text.replace(b'"a"', b'"\\ud800"', 1),
    "a long number": lambda text: text.replace(b"2", b"9" * 5000, 1),
    "a negative number": lambda text: text.replace(b"2", b"-1", 1),
    "another head": lambda text: text.replace(b"0", b"3", 1),
    "zeros alone": lambda text: re.sub(rb"\d", b"0", text),
    "a number in Arabic": lambda text: text.replace(b"2", "\u0662".encode(), 1),
    "brackets that open": lambda text: b"(" * 50_000,
    "brackets that close": lambda text: b")" * 50_000,
    "lists that open": lambda text: b"[" * 50_000,
    "objects that open": lambda text: b'{"children":[' * 50_000,
    "other quotes": lambda text: text.replace(b'"', b"'", 1),
    "not a number": lambda text: text.replace(b"-1", b"NaN", 1),
    "infinite": lambda text: text.replace(b"-1", b"1e999", 1),
    "a key twice": lambda text: text.replace(b'"word"', b'"label"', 1),
    "a comment": lambda text: b"# x\n" + text,
    "no labels": lambda text: re.sub(rb"\([A-Z\d]+ ", b"(", text),
    "no words": lambda text: re.sub(rb" [a-z]+\)", b")", text),
}  # fmt: skip


def refusal(read, path):
    """What is said of a file; "" if it is read."""
    try:
        list(read(path))
    except ValueError as error:
        said = str(error)
        assert said.startswith(str(path)), said[:300]
        assert "\n" not in said and len(said) < len(str(path)) + 300, said[:600]
        return said.removeprefix(str(path))
    return ""


@pytest.mark.parametrize("name", READERS)
def test_a_malformed_file_is_refused_with_its_line(tmp_path, name):
    read, good = READERS[name]
    path, refused = tmp_path / name, 0
    for what, change in CHANGES.items():
        path.write_bytes(change(good.encode()))
        if said := refusal(read, path):
            refused += 1
            place = r", line \d+(, column \d+)?: | is not text in UTF-8: .* line \d"
            assert re.match(place, said), (what, said)
            is_text = "UTF-8" not in said
            assert "column" in said or not (is_text and name in ("a.mrg", "c.txt", "f.json")), what
    assert refused >= 15


@pytest.mark.parametrize("name", READERS)
def test_marks_and_line_breaks_of_windows_are_read_as_if_they_were_not_there(tmp_path, name):
    read, good = READERS[name]
    path = tmp_path / name
    for change in (b"\xef\xbb\xbf" + good.encode(), good.replace("\n", "\r\n").encode(),
                   good.rstrip("\n").encode()):  # fmt: skip
        path.write_bytes(change)
        assert len(list(read(path))) == 2
    path.write_bytes(b"")
    assert list(read(path)) == []


@pytest.mark.parametrize("name", READERS)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path, name):
    read, good = READERS[name]
    path, packed = tmp_path / f"{name}.gz", gzip.compress(good.encode() * 50)
    path.write_bytes(packed)
    assert len(list(read(path))) == 100
    for damaged in (packed[:-9], packed[: len(packed) // 2], good.encode(), packed + b"more"):
        path.write_bytes(damaged)
        assert "is not a complete gzip file" in refusal(read, path)


PAIRS = {
    "a.toks": "the dog runs\na b\n", "b.toks": "x\na dog runs\n", "a.parents": "2 3 0\n0 1\n",
    "b.parents": "0\n2 3 0\n", "sim.txt": "4.5\n1.0\n", "id.txt": "1\n2\n",
}  # fmt: skip
HEADS = {
    "2 3": "'2 3', expected 3 numbers for 3 words, got 2",
    "2 3 x": "'x', expected the parent of node 3",
    "2 3 -1": "'-1', expected the parent of node 3",
    "2 3 4": "'4', expected the parent of node 3, from 0 (the root) to 3",
    "2 3 0.0": "'0.0', expected the parent",
    "2 3 \u0660": "'\u0660', expected the parent",
    "2 3 " + "9" * 5000: "'9999",
    "2,3,0": "'2,3,0', expected 3 numbers",
    "2 0 0": "'2 0 0', expected one root, a node with parent 0, got 2",
    "2 3 1": "'2 3 1', expected one root, a node with parent 0, got 0",
    "2 1 0": "'2 1 0', expected a tree: node 1 is above itself",
    "2\0003 0": "'2\\x003 0', expected 3 numbers",
}


@pytest.mark.parametrize("heads", HEADS)
def test_heads_that_make_no_tree_are_refused_with_their_line(tmp_path, heads):
    for name, text in PAIRS.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "a.parents"
    assert len(sentences.read_pairs(tmp_path, "dependency")) == 2
    path.write_text(f"{heads}\n0 1\n")
    said = refusal(lambda path: sentences.read_pairs(path.parent, "dependency"), path)
    assert said.startswith(f", line 1: {HEADS[heads]}")
