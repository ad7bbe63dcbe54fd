"""Files of word vectors: what is read of them, and what is refused with its line."""

import gzip
import random
import warnings

import numpy as np
import pytest

import structnet as sn
from structnet.data import vectors as module

WORDS = ("the", "Zoë", ". . .", "cat", "unseen")
GLOVE = "the 0.5 -1e-3 2\nZoë 1 2 3\n. . . 4 5 6\ndog 7 8 9\ncat -1 -2 -3\n"


def vocabulary(*words):
    return sn.Vocabulary(dict.fromkeys(words or WORDS, 1))


def written(tmp_path, text, name="vectors.txt"):
    path = tmp_path / name
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def refused(path, *words):
    with pytest.raises(ValueError) as caught:
        sn.read_vectors(path, vocabulary(*words))
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message.removeprefix(f"{path}, ")


EXPECTED = [[0, 0, 0], [0.5, -1e-3, 2], [1, 2, 3], [4, 5, 6], [-1, -2, -3], [0, 0, 0]]


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: f"5 3\n{text}",
        lambda text: text.replace("\n", " \n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(" 2\n", "\t2\n"),
        lambda text: text + "\n\n",
        lambda text: text + "cat 0 0 0\n",
    ],
    ids=["glove", "word2vec", "space at ends", "carriage returns", "tabs", "blank", "twice"],
)
def test_the_words_of_the_vocabulary_have_their_vectors(tmp_path, change, name):
    found = sn.read_vectors(str(written(tmp_path, change(GLOVE), name)), vocabulary())
    assert found.weight.numpy().tolist() == np.array(EXPECTED, np.float32).tolist()
    assert found.known.tolist() == [False, True, True, True, True, False]


def test_a_word_may_hold_spaces_that_are_not_ascii(tmp_path):
    path = written(tmp_path, "New\u00a0York 1 2\nof\u2028 3 4\n")
    found = sn.read_vectors(path, vocabulary("of\u2028", "New\u00a0York"))
    assert found.weight.tolist() == [[0, 0], [3, 4], [1, 2]]


def test_numbers_are_words_too(tmp_path):
    found = sn.read_vectors(written(tmp_path, "1 2 3\n7 8 9\n"), vocabulary("7"))
    assert found.weight.tolist() == [[0, 0], [8, 9]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1 2 3\n", "line 2: 3 numbers, expected 2 as for the vectors before, in 'b 1 2"),
        ("a 1 2\nb 1 2\nc 1\n", "line 3: 1 numbers, expected 2"),
        ("a 1 2\n\nc\n", "line 3: 0 numbers, expected 2"),
        ("9 3\na 1 2 3\nc 1 2\n", "line 3: 2 numbers, expected 3"),
        ("a 1 nan\n", "line 1: expected a word and finite numbers, got 'a 1 nan'"),
        ("a\n", "line 1: expected a word and finite numbers, got 'a'"),
        ("", "line 1: expected a word and finite numbers, got ''"),
        ("a 1 2\ncat 1 x\n", "line 2: expected a finite number, got 'x'"),
        ("a 1 2\ncat 1 1e39\n", "line 2: expected a finite number, got '1e39'"),
        ("a 1 2\ncat inf 1\n", "line 2: expected a finite number, got 'inf'"),
        ("3 0\na\n", "line 1: vectors of width 0"),
        ("3 9999999999\na 1\n", "line 1: vectors of width 9999999999"),
        ("the cat sat on the mat\n", "line 1: expected a word and finite numbers"),
        ("a 1 2\n".encode("utf-16"), "line 1: expected a word and finite numbers"),
    ],
)
def test_what_is_not_a_vector_is_refused_with_its_line(tmp_path, text, message):
    assert refused(written(tmp_path, text)).startswith(message)


def test_a_line_without_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_LINE", 20)
    assert refused(written(tmp_path, "a 1\nb" + " 1" * 50)) == "line 2: more than 20 bytes"
    assert "line 1: more than 20 bytes" in refused(written(tmp_path, b"\0" * 10_000, "zeros.gz"))


def test_a_file_without_any_of_the_words_is_refused(tmp_path):
    message = refused(written(tmp_path, GLOVE), "THE", "CAT", "SAT", "MAT")
    assert "has none of the 4 words of the vocabulary, such as ['THE', 'CAT', 'SAT']" in message


def test_a_cut_archive_a_folder_and_no_file_are_refused(tmp_path):
    generator = random.Random(0)
    text = "".join(f"word{i} {generator.random()} {generator.random()}\n" for i in range(1000))
    path = written(tmp_path, text, "vectors.gz")
    path.write_bytes(path.read_bytes()[:-3000])
    assert "is not a complete gzip file after line " in refused(path)
    assert "it is a folder" in refused(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        sn.read_vectors(tmp_path / "nowhere", vocabulary())


def test_words_of_another_encoding_and_a_wrong_count_are_warned_of(tmp_path):
    latin = "the 1 2\nZoë 1 2\nnaïve 3 4\n".encode("latin-1")
    with pytest.warns(sn.DataWarning, match="skipped 2 of 3 words, .* UTF-8, the first in line 2"):
        found = sn.read_vectors(written(tmp_path, latin), vocabulary())
    assert found.known.tolist() == [False, True, False, False, False, False]
    with pytest.warns(sn.DataWarning, match="the first line says 9 vectors, the file has 5"):
        sn.read_vectors(written(tmp_path, "9 3\n" + GLOVE), vocabulary())


def test_only_what_is_asked_for_is_kept(tmp_path):
    """A file of 20,000 words is read in a moment, and gives vectors of two."""
    path = written(tmp_path, "".join(f"w{i} {i} 1 2 3\n" for i in range(20_000)))
    with warnings.catch_warnings(action="error"):
        found = sn.read_vectors(path, vocabulary("w19999", "w3"))
    assert found.weight.tolist() == [[0] * 4, [19999, 1, 2, 3], [3, 1, 2, 3]]
