"""Sub-words: learned, split into, joined again, and kept as plain data."""

import json

import pytest

from structnet.plugins.text.subwords import Subwords

TEXT = "the cat sat on the mat\n  the naïve cat; \u2603 the mat\r\n\x0cthen\n" * 5


@pytest.fixture(scope="module")
def learned():
    return Subwords.learn(TEXT, 280)


def test_any_text_is_joined_again_as_it_was(learned):
    assert 260 < len(learned.pieces) == len(set(learned.pieces)) <= 280
    for text in (TEXT, "日本 \U0001f600 never seen\t\n\n", " ", "", "\u2028a"):
        pieces = learned.split(text)
        assert learned.join(pieces) == text
        assert set(pieces) <= {*learned.pieces}
        assert sum(map(learned.characters, pieces)) == len(text)
    assert len(learned.split(TEXT)) < len(TEXT)


def test_sub_words_are_rebuilt_from_plain_data(learned):
    again = Subwords(json.loads(json.dumps(learned.merges)))
    assert again.split(TEXT) == learned.split(TEXT) and again.pieces == learned.pieces


def test_learning_is_the_same_every_time(learned):
    assert Subwords.learn(TEXT, 280).merges == learned.merges


def test_frequent_neighbours_are_joined_first():
    # Of 5 pairs "ab" and 3 pairs "cd".
    assert Subwords.learn("ab ab ab ab ab cd cd cd", 258).merges[:2] == [("a", "b"), ("Ġ", "ab")]


@pytest.mark.parametrize(
    "merges", [[["a"]], [["a", "xyz"]], [["a", "b", "c"]], ["ab"], [[["a"], "b"]], [7]]
)
def test_merges_of_what_is_not_known_are_refused(merges):
    with pytest.raises(ValueError, match=r"merge 0 of the sub-words, .* is not of two"):
        Subwords(merges)


def test_fewer_sub_words_than_bytes_are_refused():
    with pytest.raises(ValueError, match="more than 256 sub-words, those of bytes, got 256"):
        Subwords.learn(TEXT, 256)


def test_what_is_not_a_character_is_refused(learned):
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        learned.split("a\udcff")


def test_without_the_library_its_name_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ImportError, match="extra 'subwords'"):
        Subwords([])
