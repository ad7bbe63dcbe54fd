"""Tokenisers, and the tables of text that they are given."""

import pytest

from structnet.plugins.files.tables import read_rows
from structnet.plugins.text.tokenise import tokeniser

TEXT = "It's well-made, for 3.50$ :-) don\u2019t @joe\u00a0 caf\u00e9\n"
TOKENS = {
    "words": "It's|well-made|,|for|3.50|$|:|-|)|don\u2019t|@|joe|caf\u00e9",
    "spaces": "It's|well-made,|for|3.50$|:-)|don\u2019t|@joe|caf\u00e9",
    "treebank": "It|'s|well-made|,|for|3.50|$|:|-|)|don\u2019t|@|joe|caf\u00e9",
    "wordpunct": "It|'|s|well|-|made|,|for|3|.|50|$|:-)|don|\u2019|t|@|joe|caf\u00e9",
    "tweet": "It's|well-made|,|for|3.50|$|:-)|don|\u2019|t|@joe|caf\u00e9",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_a_text_has_these_tokens(kind):
    tokens = tokeniser(kind)
    assert tokens(TEXT) == TOKENS[kind].split("|")
    assert tokens("") == tokens(" \t\n") == []


def test_characters_are_all_there_are():
    assert tokeniser("characters")("a b\u00e9\n") == ["a", " ", "b", "\u00e9", "\n"]


def test_a_pattern_gives_its_whole_matches_whatever_its_groups():
    assert tokeniser("pattern", r"(\w)(\w)?")("abc d") == ["ab", "c", "d"]
    assert tokeniser("pattern", r"\d*")("a12b3") == ["12", "3"]


@pytest.mark.parametrize(
    ("kind", "pattern", "message"),
    [
        ("pattern", "(", r"pattern '\(' is not a regular expression: missing \)"),
        ("pattern", None, "tokens=pattern and pattern=None"),
        ("words", "a", "tokens=words and pattern='a'"),
    ],
)
def test_a_wrong_pattern_is_refused(kind, pattern, message):
    with pytest.raises(ValueError, match=message):
        tokeniser(kind, pattern)


def test_rows_have_the_numbers_of_their_first_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n\n"two\nlines",2\r\n"say ""so""",3\n')
    assert list(read_rows(path)) == [
        (1, ["a", "b"]),
        (3, ["two\nlines", "2"]),
        (5, ['say "so"', "3"]),
    ]
    path.write_text('a\t"b\nc, d\te"f\n\t\n')
    rows = [(1, ["a", '"b']), (2, ["c, d", 'e"f']), (3, ["", ""])]
    assert list(read_rows(path, tabs=True)) == rows


@pytest.mark.parametrize(
    ("text", "line"), [('a,b\n"c,d\ne,f\n', 2), ('a\n"b"c\n', 2), ('a\n"b\nc"\nx,"y', 4)]
)
def test_a_quote_without_end_is_named_with_the_line_where_its_row_begins(tmp_path, text, line):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"a.csv, line {line}: not a row of comma-separated"):
        list(read_rows(path))
