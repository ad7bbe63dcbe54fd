"""Texts to learn from: found, read, split, or refused."""

import gzip
from collections import Counter
from pathlib import Path

import pytest
from commands import DATA

from structnet.plugins.text.corpora import join, read, split_texts

needs_corpora = pytest.mark.skipif(
    DATA is None, reason="STRUCTNET_DATA names no folder with NLTK's corpora"
)


def test_one_text_is_cut_at_its_ends(tmp_path):
    file = tmp_path / "a.txt"
    text = "".join(chr(97 + i % 26) for i in range(1000))
    file.write_text(text)
    found = read("python", file, "*")
    assert found["validation"] + found["train"] + found["test"] == text
    assert [len(found[split]) for split in ("train", "validation", "test")] == [850, 50, 100]


def test_the_files_of_a_folder_are_split_as_wholes(tmp_path):
    for number in range(21):
        (tmp_path / f"{number}.txt").write_text(f"text {number}\n" * 3)
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "notes.md").write_text("no")
    found = read("python", tmp_path, "*.txt")
    lines = {split: Counter(text.splitlines()) for split, text in found.items()}
    assert {split: len(some) for split, some in lines.items()} == {
        "train": 17, "validation": 2, "test": 2,
    }  # fmt: skip
    assert sum(lines.values(), Counter()) == {f"text {number}": 3 for number in range(21)}
    assert found == read("python", tmp_path, "*.txt")


def test_files_named_as_splits_are_the_splits_packed_or_not(tmp_path):
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress(b" a b \n c \n"))
    (tmp_path / "valid.txt").write_bytes("\ufeffé\n".encode())
    (tmp_path / "test.txt").write_text(" d \n")
    found = read("python", tmp_path, "*")
    assert found == {"train": " a b \n c \n", "validation": "é\n", "test": " d \n"}


def test_line_breaks_of_windows_become_plain_ones(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo \rthree\r\n" * 9)
    found = read("python", tmp_path, "*")
    assert found["validation"] + found["train"] + found["test"] == "one\ntwo \rthree\n" * 9


def test_what_is_not_a_pattern_of_file_names_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError, match=r"'/etc/\*' is not a pattern of file names below"):
        read("python", tmp_path, "/etc/*")


def test_texts_that_are_joined_each_end_their_line():
    assert join(["a", "b\n", "c"]) == "a\nb\nc"
    assert join([]) == ""


def test_python_is_split_by_files_the_same_every_time():
    found = read("python", None, "*")
    assert found == read("python", None, "*")
    assert {split: len(text) > 100_000 for split, text in found.items()} == dict.fromkeys(
        found, True
    )
    assert "def " in found["test"] and found["test"][:500] not in found["train"]


def test_wrong_paths_and_texts_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no file or folder nowhere; give a text file"):
        read("python", Path("nowhere"), "*")
    with pytest.raises(ValueError, match=rf"no file below {tmp_path} matches '\*.txt'"):
        read("python", tmp_path, "*.txt")
    (tmp_path / "a.txt").write_text(" \n\n")
    with pytest.raises(ValueError, match="is empty: there is no text"):
        read("python", tmp_path, "*")
    (tmp_path / "b.txt").write_bytes(b"good \xff text")
    with pytest.raises(ValueError, match=r"b\.txt is not text in UTF-8: byte 0xff at offset 5"):
        read("python", tmp_path, "*")
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    for corpus in ("tinyshakespeare", "wikitext-2"):
        with pytest.raises(FileNotFoundError, match=f"STRUCTNET_DATA.*{corpus}"):
            read(corpus, None, "*")
    with pytest.raises(ValueError, match=r"no corpus 'nothing': set task.corpus to python"):
        read("nothing", None, "*")
    # Of NLTK, but not its corpora.
    with pytest.raises(ValueError, match="no corpus 'reader'"):
        read("reader", None, "*")


def test_a_corpus_of_nltk_that_is_not_there_is_named(monkeypatch):
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"'abc' is not on this machine.*downloader abc"):
        read("abc", None, "*")


def test_too_little_text_is_refused():
    with pytest.raises(ValueError, match="it has 9 characters, too few for train, test"):
        split_texts({"all": ["123456789"]}, "it")


@pytest.mark.slow
@needs_corpora
def test_nltk_s_tagged_texts_are_their_words(monkeypatch):
    found = read("treebank", None, "*")
    text = "".join(found.values())
    assert "Pierre Vinken , 61 years old , will join the board" in text and "/NNP" not in text
    assert all(found.values())
